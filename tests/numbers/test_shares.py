"""Shares and differences of shares with intervals that know n and the samples' clusters, by numbers
worked out by hand; and how often bands and shares cover what is true.
"""

import math

import numpy as np
import pandas as pd
import pytest

from arbitration.uncertainty import (
    join_clusters,
    share,
    share_difference,
    simultaneous,
    student,
)
from reproduction.claims import rules
from reproduction.numbers import counting, estimates

T7 = 2.364624  # Student's t for seven degrees of freedom, from a printed table


def wilson(p, n, t=T7):
    """Wilson's interval as it is derived: the two p₀ with (p − p₀)² = t² p₀(1 − p₀)/n, which are
    the roots of (n + t²) p₀² − (2np + t²) p₀ + np².
    """
    a, b, c = n + t**2, 2 * n * p + t**2, n * p**2
    root = math.sqrt(b**2 - 4 * a * c)
    return (b - root) / (2 * a), (b + root) / (2 * a)


def told(found):
    return tuple(float(part) for part in found)


@pytest.mark.parametrize(
    ("freedom", "table"),
    [(1, 12.7062), (2, 4.30265), (3, 3.18245), (7, 2.36462), (16, 2.11991), (10**5, 1.95996)],
)
def test_student_s_t_is_that_of_the_tables(freedom, table):
    assert student(0.95, freedom) == pytest.approx(table, rel=1e-4)


def test_student_s_t_of_other_confidences_and_of_no_freedom():
    assert student(0.99, 5) == pytest.approx(4.03214, rel=1e-4)
    assert student(0.95, 0) == math.inf


def test_eight_of_eight_do_not_say_that_all_do():
    """1 and 8 / (8 + t²), t² = 5.591."""
    mean, low, high = told(share([1.0] * 8))
    assert (mean, high) == (1.0, 1.0) and low == pytest.approx(8 / (8 + 5.59145), rel=1e-5)
    mean, low, high = told(share([0.0] * 8))
    assert (mean, low) == (0.0, 0.0) and high == pytest.approx(5.59145 / (8 + 5.59145), rel=1e-5)


def test_six_of_eight():
    """The variance of the mean is p(1 − p)/(n − 1), as always with a mean of its own: seven samples
    are what eight tell. 0.330 to 0.948 by hand.
    """
    mean, low, high = told(share([1.0] * 6 + [0.0] * 2))
    assert mean == 0.75 and (low, high) == (
        pytest.approx(0.3298, abs=1e-4),
        pytest.approx(0.9482, abs=1e-4),
    )
    assert (low, high) == pytest.approx(wilson(0.75, 7), rel=1e-5)


def test_sixteen_samples_of_eight_wordings():
    """Pairs: four follow both, two neither, two one each: p = 10/16. Off the mean of 1.25 a pair
    they are 4 · 0.75² + 2 · 1.25² + 2 · 0.25² = 5.5, so the variance of the mean is
    5.5 · 8/7 / 16² and as good as 0.234375 / 0.024554 = 9.545 samples; t is that of eight.
    """
    pairs = [1, 1] * 4 + [0, 0] * 2 + [1, 0] * 2
    mean, low, high = told(share(pairs, clusters=np.repeat(range(8), 2)))
    assert mean == 0.625
    assert (low, high) == pytest.approx(wilson(0.625, 0.234375 * 256 * 7 / 8 / 5.5), rel=1e-5)
    apart = told(share(pairs))
    assert low < apart[1] and apart[2] < high, "sixteen of their own would tell more"


def test_copies_within_a_wording_tell_nothing_more():
    """Six of eight wordings follow, each asked three times: what eight samples tell."""
    once = told(share([1.0] * 6 + [0.0] * 2))
    thrice = told(share(np.repeat([1.0] * 6 + [0.0] * 2, 3), clusters=np.repeat(range(8), 3)))
    assert thrice == pytest.approx(once, rel=1e-9)


def test_clusters_that_are_more_alike_than_chance_are_no_more_samples_than_there_are():
    """Each pair has one of each: between pairs there is no variance at all; n stays 16."""
    found = told(share([1, 0] * 8, clusters=np.repeat(range(8), 2)))
    assert found == pytest.approx((0.5, *wilson(0.5, 16)), rel=1e-5)


def test_one_sample_or_one_wording_has_no_interval():
    for kind in (share, share_difference):
        for values, clusters in (([1.0], None), ([1.0, 0.0], ["a", "a"])):
            mean, low, high = told(kind(values, clusters=clusters))
            assert mean == np.mean(values) and math.isnan(low) and math.isnan(high)


def test_curves_of_shares_are_covered_together():
    """Two equal columns need no more than one; of columns that vary apart, each needs more; and
    where no sample varies Student's t is left.
    """
    random = np.random.default_rng(0)
    values = (random.random((40, 12)) < 0.7).astype(float)
    one, same = share(values[:, :1]), share(np.repeat(values[:, :1], 2, axis=1))
    assert [float(part[0]) for part in same] == pytest.approx(
        [float(part[0]) for part in one], abs=0.02
    )
    apart = share(values)
    assert apart[1][0] < one[1][0] and one[2][0] < apart[2][0]
    _, low, _ = share(np.ones((8, 3)))
    assert low.tolist() == pytest.approx([8 / (8 + T7**2)] * 3, rel=1e-5)


def test_no_change_in_n_samples_is_none_of_n():
    """Nothing rises and nothing falls: 0 of 8, up to t² / (8 + t²) = 0.411, on either side."""
    found = told(share_difference([0.0] * 8))
    assert found == pytest.approx((0.0, -0.41140, 0.41140), abs=1e-4)


def test_one_up_and_one_down():
    """Rises and falls are each 1/8 of what seven samples tell, 0.0153 to 0.5678; they exclude each
    other, r = −1/7. √(a² + b² + 2ab/7) with a = 0.1250 − 0.0153 and b = 0.5678 − 0.1250 is 0.4711.
    """
    low, high = wilson(0.125, 7)
    a, b = 0.125 - low, high - 0.125
    reach = math.sqrt(a**2 + b**2 + 2 * a * b / 7)
    found = told(share_difference([1.0, -1.0] + [0.0] * 6))
    assert found == pytest.approx((0.0, -reach, reach), abs=1e-5)
    assert reach == pytest.approx(0.4711, abs=1e-4)


def test_all_up_is_the_share_of_those_that_rise():
    """Nothing falls: 0 of 8 up to b = 0.411; below a = 1 − 0.589 and b together, above no more
    than 1.
    """
    low, high = 8 / (8 + T7**2), T7**2 / (8 + T7**2)
    found = told(share_difference([1.0] * 8))
    assert found == pytest.approx((1.0, 1 - math.hypot(1 - low, high), 1.0), rel=1e-5)
    turned = told(share_difference([-1.0] * 8))
    assert turned == pytest.approx((-found[0], -found[2], -found[1]))


def test_changes_of_one_wording_are_one_change():
    changes = [1.0, 0.0, -1.0, 0.0, 1.0, 0.0, 0.0, 1.0]
    thrice = share_difference(np.repeat(changes, 3), clusters=np.repeat(range(8), 3))
    assert told(thrice) == pytest.approx(told(share_difference(changes)), rel=1e-9)


def test_samples_that_share_anything_are_one_cluster():
    """0 and 1 share a sentence, 1 and 2 a picture, 2 and 3 a sentence: all four hang together."""
    words, pictures = list("aabbcd"), [1, 2, 2, 3, 4, 4]
    assert join_clusters(words, pictures).tolist() == [0, 0, 0, 0, 4, 4]
    assert join_clusters(words).tolist() == [0, 0, 2, 2, 4, 5]
    assert join_clusters(pictures, pictures).tolist() == [0, 1, 1, 3, 4, 4]
    assert join_clusters([], []).tolist() == []


def table(**columns):
    rows = pd.DataFrame(columns)
    return rows.assign(sample=[f"s{i}" for i in range(len(rows))], layer=0)


def labels(rows):
    return estimates.clusters(estimates.wide(rows.assign(value=0.0), "value")[0])


def test_samples_of_one_wording_or_one_picture_are_one_cluster():
    rows = table(image=["p", "q", "r", "p", "t"], wording=["look", "look", "see", "mind", "heed"])
    found = labels(rows)
    assert found[0] == found[1] == found[3] and len(set(found)) == 3
    assert estimates.count_groups(estimates.wide(rows.assign(value=0.0), "value")[0]) == 3


def test_a_set_with_one_wording_is_told_by_its_pictures():
    rows = table(image=["p", "q", "p", "t"], wording=[""] * 4)
    found = labels(rows)
    assert found[0] == found[2] and len(set(found)) == 3


def test_one_wording_among_several_has_no_interval():
    """All of these samples carry one sentence of a set that has others."""
    rows = table(image=list("pqrt"), wording=["look"] * 4).assign(value=[0.0, 1.0, 1.0, 1.0])
    values = estimates.wide(rows, "value")[0]
    for kind in (estimates.MEAN, estimates.RATE, estimates.CHANGE):
        found = estimates.estimate("x", values, kind=kind, above=0.0)
        assert found["x"] == 0.75 and math.isnan(found["x_low"])
        assert found["x_verdict"] == "not measured"
        assert found["x_size"].endswith("n = 4 in 1 wording")


def test_pictures_that_tie_all_wordings_leave_the_wordings():
    """Every picture is asked in both wordings: joined they were one cluster."""
    rows = table(image=["p", "p", "q", "q"], wording=["look", "see"] * 2)
    assert labels(rows).tolist() == ["look", "see", "look", "see"]


def test_wordings_are_counted():
    rows = table(image=list("pqrt"), wording=["a", "b", "b", "c"]).assign(following="text")
    found = counting.counts(rows)
    assert (found["n_text"], found["wordings_text"]) == (4.0, 3.0)
    assert (found["n_vision"], found["wordings_vision"]) == (0.0, 0.0)
    assert counting.counts(rows.drop(columns="wording"))["wordings_text"] == 1.0


def test_the_interval_of_a_ratio_knows_its_wordings():
    """Sixteen samples of four wordings: Student's t for three degrees of freedom, not fifteen."""
    random = np.random.default_rng(0)
    rows = table(image=[f"p{i}" for i in range(16)], wording=np.repeat(list("abcd"), 4))
    part, whole = (
        estimates.wide(rows.assign(value=random.gamma(4, size=16)), "value")[0] for _ in range(2)
    )
    known = estimates.ratio("x", part, whole)
    draws = [known["x"]]
    counts = estimates.resamples(16, 0, estimates.RESAMPLES, estimates.clusters(part))
    draws += [(count @ part) / (count @ whole) for count in counts]
    low, high = np.quantile(draws[1:], [0.025, 0.975])
    few = 3.18245 / 1.95996 * math.sqrt(4 / 3)
    assert known["x_low"] == pytest.approx(known["x"] + few * (low - known["x"]), rel=1e-4)
    assert known["x_high"] == pytest.approx(known["x"] + few * (high - known["x"]), rel=1e-4)


def test_a_fall_of_alignment_has_an_interval():
    """A rise from the shallow to the deep layers is a change: it may be negative."""
    found = estimates.estimate("x", [-1.0] * 6 + [0.0] * 2, kind=estimates.CHANGE, above=0.0)
    assert found["x"] == -0.75 and found["x_high"] < 0.0 and found["x_verdict"] == "contradicted"


# How often what is true lies inside.


def draw_curves(seed, large, n=64):
    """Samples of a curve over 30 layers that are mostly zero: with probability `large` a point is
    exponential with mean 2 nats, times a bump, else nearly 0. And the true mean.
    """
    random = np.random.default_rng(seed)
    bump = np.exp(-(((np.arange(30) - 15) / 4) ** 2) / 2)
    values = random.normal(0, 0.002, (n, 30))
    struck = random.random((n, 30)) < large
    return np.where(struck, random.exponential(2.0, (n, 30)) * bump, values), large * 2.0 * bump


def former_band(values, draws):
    """The band that was there before: distances in standard errors over all resamples, the same
    for each, and none wider for its neighbours.
    """
    n, mean = len(values), values.mean(axis=0)
    counts = np.random.default_rng(0).multinomial(n, np.full(n, 1 / n), size=draws)
    means = counts @ values / n
    error = means.std(axis=0)
    margin = np.quantile((abs(means - mean) / error).max(axis=1), 0.95) * error
    return mean - margin, mean + margin


@pytest.mark.parametrize("large", [0.1, 0.2])
def test_the_band_covers_skewed_curves_where_the_former_did_not(large):
    ours, former = [], []
    for seed in range(200):
        values, truth = draw_curves(seed, large)
        _, *band = simultaneous(values, draws=400)
        for hits, (low, high) in ((ours, band), (former, former_band(values, 400))):
            hits.append(bool(((low <= truth) & (truth <= high)).all()))
    assert np.mean(ours) >= 0.90
    assert np.mean(former) < 0.5


@pytest.mark.parametrize("n", [8, 16])
def test_a_share_covers_what_is_true_in_few_samples(n):
    """Nine of ten follow. A resampled interval has no width where all samples do, which is in 43 %
    of sets of eight.
    """
    random = np.random.default_rng(0)
    hits = []
    for _ in range(400):
        _, low, high = told(share((random.random(n) < 0.9).astype(float)))
        hits.append(low <= 0.9 <= high)
    assert 0.93 <= np.mean(hits)


def test_a_share_covers_what_is_true_of_eight_wordings():
    """Each wording has its own share, from a beta distribution of mean 0.7 (2.1, 0.9): the variance
    of a mean of 64 samples is three times that of independent ones, which cover too rarely.
    """
    random = np.random.default_rng(1)
    wording = np.repeat(range(8), 8)
    known, unknown = [], []
    for _ in range(300):
        own = random.beta(2.1, 0.9, size=8)[wording]
        values = (random.random(64) < own).astype(float)
        for hits, clusters in ((known, wording), (unknown, None)):
            _, low, high = told(share(values, clusters=clusters))
            hits.append(low <= 0.7 <= high)
    assert np.mean(known) >= 0.92 and np.mean(unknown) < 0.85


def test_next_to_nothing_is_not_found_where_it_could_not_have_been_missed():
    """A true change of 0.15, outside of ±0.1: eight samples never say that it is next to nothing,
    four hundred hardly ever, and that of no change they do.
    """
    margin = {"within": (-0.1, 0.1)}
    random = np.random.default_rng(2)

    def word(n, change):
        values = (random.random(n) < change).astype(float)
        return estimates.estimate("x", values, kind=estimates.CHANGE, **margin)["x_verdict"]

    assert "holds" not in {word(8, 0.15) for _ in range(200)}
    assert [word(400, 0.15) for _ in range(200)].count("holds") <= 2
    assert word(8, 0.0) == "not seen" and word(400, 0.0) == "holds"


def test_from_what_size_an_effect_would_have_been_seen():
    """2.80 of 1.96 standard errors of an interval of ±0.07 are 0.1."""
    assert rules.seen_from(-0.07, 0.07) == pytest.approx((1.95996 + 0.84162) / 1.95996 * 0.07)
    found = estimates.estimate("x", [0.0, 0.1, 0.2] * 4, above=0.0)
    assert found["x_seen"] == rules.seen_from(found["x_low"], found["x_high"])
    assert rules.can_tell(-0.069, 0.069, (-0.1, 0.1))
    assert not rules.can_tell(-0.071, 0.071, (-0.1, 0.1))
