"""Intervals: samples of one picture drawn together, bands over whole curves, and extremes that were
chosen by looking.
"""

import shutil
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

import tiny
from arbitration.uncertainty import resamples, simultaneous, wilson
from reproduction import numbers, results
from reproduction.numbers import estimates
from reproduction.results import question


def noise(seed, n=30, layers=40):
    return np.random.default_rng(seed).normal(size=(n, layers))


def plain_band(values, seed, draws):
    """The band once more, one resample and one point at a time: how far each point of a resample
    lies from the mean, in that resample's standard errors plus the largest of them.
    """
    n, layers = values.shape
    counts = np.random.default_rng(seed).multinomial(n, np.full(n, 1 / n), size=draws)

    def summed_up(drawn):
        mean = drawn.mean(axis=0)
        return mean, np.sqrt(((drawn - mean) ** 2).sum(axis=0) / (n - 1) / n)

    mean, error = summed_up(values)
    largest = []
    for count in counts:
        own, spread = summed_up(np.repeat(values, count, axis=0))
        largest.append(max(abs(own - mean) / (spread + max(spread))))
    margin = np.quantile(largest, 0.95) * (error + max(error))
    return mean - margin, mean + margin


def alone(values, **options):
    """Each column with the interval that it has by itself."""
    found = [simultaneous(column, **options) for column in np.asarray(values, float).T]
    return np.array(found).T


def test_the_band_is_that_of_a_second_program():
    values = noise(0, 17, 5) * [1.0, 2.0, 0.1, 3.0, 1.0]
    expected = plain_band(values, seed=3, draws=300)
    for clusters in (None, range(17), [f"picture {i:02}" for i in range(17)]):
        mean, low, high = simultaneous(values, seed=3, draws=300, clusters=clusters)
        np.testing.assert_allclose(mean, values.mean(axis=0), rtol=1e-12)
        np.testing.assert_allclose([low, high], expected, rtol=1e-9)
    for column, (_, low, high) in zip(values.T, zip(*alone(values, seed=3, draws=300))):
        expected = plain_band(column[:, None], seed=3, draws=300)
        assert (low, high) == pytest.approx(np.ravel(expected), rel=1e-9)


def test_samples_of_one_picture_are_drawn_together():
    """Pictures a and b: of two drawn, both are a, both b, or one each; b has three samples, so
    their means are 0, 1 and 3/4, and the error of the first two is 0: the interval is Student's
    with one degree of freedom. The sums of pictures of sizes 1 and 3 are off by 3/4 from what the
    mean makes of their sizes: √(2 · 2 · (3/4)²) / 4 = 3/8.
    """
    clusters = ["a", "b", "b", "b"]
    counts = resamples(4, seed=0, draws=400, clusters=clusters)
    assert set(map(tuple, counts)) == {(2, 0, 0, 0), (0, 2, 2, 2), (1, 1, 1, 1)}
    mean, low, high = simultaneous([0.0, 1.0, 1.0, 1.0], clusters=clusters)
    assert mean == 0.75
    assert (high - mean, mean - low) == (pytest.approx(12.7062 * 2 * 0.375, rel=1e-4),) * 2


def test_few_samples_have_a_wide_interval_and_not_none():
    """Three in ten resamples of [0, 0, 0, 1] hold no 1 and have no error: no band follows from
    them, and Student's t with three degrees of freedom, 3.182, bounds it. Of three samples one
    resample in nine repeats one of them.
    """
    for values, t in (([0.0, 0.0, 0.0, 1.0], 3.18245), ([1.0, 2.0, 4.0], 4.30265)):
        mean, low, high = simultaneous(values)
        assert (high - mean) == pytest.approx(mean - low)
        error = np.std(values, ddof=1) / len(values) ** 0.5
        assert high - mean == pytest.approx(2 * t * error, rel=1e-4)
    assert np.isfinite(simultaneous([[0.0, 1.0], [0.0, 2.0], [1.0, 5.0]])).all()


def test_the_same_sample_twice_tells_no_more_than_once():
    values = noise(1, 50, 3)
    once, twice = (
        alone(values),
        alone(np.repeat(values, 2, axis=0), clusters=np.repeat(range(50), 2)),
    )
    assert np.allclose(once, twice)
    _, low, high = alone(np.repeat(values, 2, axis=0))
    assert np.allclose((high - low) / (once[2] - once[1]), 0.5**0.5, atol=0.06), (
        "taken for more samples than they are"
    )


def test_labels_must_be_as_many_as_samples():
    for labels in (["a", "b"], ["a"]):
        with pytest.raises(ValueError, match=f"each of the 3 samples; got {len(labels)}"):
            simultaneous([1.0, 2.0, 3.0], clusters=labels)


@pytest.mark.parametrize("values, clusters", [([1.0], None), ([1.0, 0.0], ["a", "a"])])
def test_one_sample_or_one_picture_has_no_interval_and_no_verdict(values, clusters):
    """With [1, 1] as the interval of a single answer, one failure that was restored would confirm a
    claim.
    """
    mean, low, high = simultaneous(values, clusters=clusters)
    assert mean == np.mean(values) and np.isnan([low, high]).all()
    index = pd.MultiIndex.from_arrays(
        [[f"s{i}" for i in range(len(values))], clusters or ["a"]], names=["sample", "image"]
    )
    found = estimates.estimate("x", pd.Series(values, index=index), above=0.1)
    assert found["x"] == np.mean(values) and found["x_verdict"] == "not measured"
    for known, word in (
        ([1.0, 1.0], "not seen"),
        ([0.1, 0.1], "not seen"),
        ([0.0, 0.0], "not seen"),
        ([1.0, -1.0], "not seen"),
        ([0.9, 1.0, 1.1] * 4, "holds"),
        ([-0.1, 0.0, 0.1] * 40, "contradicted"),
        ([], "not measured"),
    ):
        assert estimates.estimate("x", known, above=0.1)["x_verdict"] == word


def test_a_band_of_one_point_is_the_symmetric_interval():
    """By hand: the 95 % quantile of how far a resampled mean is from the mean, in the resample's
    own standard errors; near Student's t for 30 samples, 2.045, where the samples are Gaussian.
    """
    values = noise(2)[:, 0]
    mean, low, high = simultaneous(values)
    assert (low, high) == pytest.approx(np.ravel(plain_band(values[:, None], 0, 2000)))
    error = values.std(ddof=1) / 30**0.5
    assert high - mean == pytest.approx(2.045 * error, rel=0.1)


def test_a_band_covers_a_whole_curve_as_often_as_it_says():
    """200 sets of 60 samples of a curve of 20 points, each a mixture of what it shares with its
    neighbours and noise; the truth is 0.
    """
    together, pointwise = [], []
    for seed in range(200):
        values = noise(seed, 60, 22)
        curves = values[:, :-2] + values[:, 1:-1] + values[:, 2:]
        for found, hits in (
            (simultaneous(curves, draws=400), together),
            (alone(curves, draws=400), pointwise),
        ):
            _, low, high = found
            hits.append(bool(((low <= 0) & (0 <= high)).all()))
    assert 0.90 <= np.mean(together) <= 0.99
    assert np.mean(pointwise) < 0.7, "each interval for itself misses somewhere"


def test_points_that_go_together_need_no_correction():
    """The largest error is the floor of all: a band of errors 1, 5 and 2 has the widths of 1 + 5,
    5 + 5 and 2 + 5, and the critical value is that of the largest alone.
    """
    one = noise(3)[:, :1]
    single, copies = simultaneous(one), simultaneous(one * np.array([1.0, 5.0, -2.0]))
    width = (single[2] - single[1])[0]
    assert (copies[2] - copies[1]).tolist() == pytest.approx([3 * width, 5 * width, 3.5 * width])


def test_a_point_at_which_all_samples_agree_is_not_thereby_known():
    """It has half of the band of the point with the largest error, and takes nothing from others;
    a point without a value has none.
    """
    values = noise(4, layers=4)
    filled = np.column_stack([values, np.full(30, 0.1), np.where(np.arange(30) == 7, np.nan, 1.0)])
    for plain, found in zip(simultaneous(values), simultaneous(filled)):
        assert np.allclose(plain, found[:4], rtol=0, atol=1e-12) and np.isnan(found[5])
    mean, low, high = simultaneous(filled)
    assert mean[4] == pytest.approx(0.1, abs=1e-15)
    assert high[4] - low[4] == pytest.approx((high[:4] - low[:4]).max() / 2)
    assert [part.tolist() for part in simultaneous(np.ones((5, 2)))] == [[1.0, 1.0]] * 3


def test_a_peak_of_noise_is_not_an_effect():
    """The largest of 40 layers of pure noise: told for itself it mostly lies above 0, told with its
    choice hardly ever.
    """
    alone, choosing = [], []
    for seed in range(60):
        values = pd.DataFrame(noise(seed))
        at = values.mean().idxmax()
        alone.append(estimates.estimate("x", values[at], above=0.0)["x_verdict"])
        choosing.append(estimates.chosen("x", values, at, above=0.0)["x_verdict"])
    assert alone.count("holds") > 30 and choosing.count("holds") <= 6


def test_the_quoted_peak_has_the_band_s_interval():
    table = pd.DataFrame(
        {
            "sample": np.repeat(range(30), 40),
            "layer": np.tile(range(40), 30),
            "nssd": noise(5).ravel(),
            "following": "text",
            "model": "toy",
        }
    )
    rows = [
        table.assign(
            pathway=path,
            following=d,
            control=control,
            logp_p=0.0,
            logp_c=-2.0,
            logp_p_blocked=0.0,
            logp_c_blocked=-1.0,
        )
        for path in (
            "vision→text",
            "vision→last",
            "text→last",
            "context→instruction",
            "context→last",
            "vision→instruction",
            "vision→context",
        )
        for d in ("text", "vision")
        for control in (False, True)
    ]
    found = numbers.summarise_knockout(pd.concat(rows, ignore_index=True))
    mean, low, high = simultaneous(noise(5))
    at = mean.argmax()
    assert found["peak_text_last_text_layer"] == at
    assert (found["peak_text_last_text_low"], found["peak_text_last_text_high"]) == (
        pytest.approx(low[at]),
        pytest.approx(high[at]),
    )
    # Two equal curves: their extremes do not differ, and another pair of layers could have been
    # chosen.
    assert found["contrast_relay_vision"] == 0.0
    assert found["contrast_relay_vision_low"] < 0.0 < found["contrast_relay_vision_high"]


def test_differences_are_those_of_every_pair_in_the_samples_of_both():
    more = pd.DataFrame([[1.0, 2.0], [3.0, 5.0]], index=["s0", "s1"], columns=[0, 1])
    less = pd.DataFrame([[10.0, 20.0]], index=["s1"], columns=[0, 1])
    found = estimates.differences(more, less)
    assert found.index.tolist() == ["s1"]
    assert found.loc["s1"].to_dict() == {(0, 0): -7.0, (0, 1): -17.0, (1, 0): -5.0, (1, 1): -15.0}


def test_a_table_s_pictures_are_its_clusters():
    table = pd.DataFrame(
        {
            "sample": [f"s{i}" for i in range(8)],
            "image": np.repeat(["a", "b", "c", "d"], 2),
            "layer": 0,
            "value": np.repeat([0.0, 0.0, 1.0, 1.0], 2),
        }
    )
    found = estimates.estimate("x", estimates.wide(table, "value")[0])
    assert (found["x_low"], found["x_high"]) == pytest.approx(
        tuple(map(float, simultaneous([0.0, 0.0, 1.0, 1.0])[1:]))
    )
    alone = estimates.estimate("x", estimates.wide(table.drop(columns="image"), "value")[0])
    assert found["x_low"] < alone["x_low"] and alone["x_high"] < found["x_high"]


def test_a_copied_picture_is_the_same_picture(tmp_path, monkeypatch):
    monkeypatch.setattr(question, "cache", lambda: tmp_path)
    subject, (one, other) = tiny.subject("llava"), tiny.samples(2)
    copy = replace(other, id="copy", image=shutil.copy(one.image, tmp_path / "elsewhere.png"))
    prompts = [subject.encode(sample, "text") for sample in (one, other, copy)]

    def rows(subject, prompts):
        return (pd.DataFrame({"sample": [one.sample.id], "value": [1.0]}) for one in prompts)

    table = results.gather("toy", rows, subject, prompts)
    assert table["image"][0] == table["image"][2] != table["image"][1]


def test_a_picture_is_drawn_in_both_directions_or_in_neither():
    """The first head hangs on four samples of nine, the others on the rest, in both directions
    alike: whatever is drawn, both have the same top.
    """
    rows = [
        (f"s{i}", d, layer, 0, float((i < 4) == (layer == 0)))
        for i in range(9)
        for d in ("text", "vision")
        for layer in range(3)
    ]
    scores = pd.DataFrame(rows, columns=["sample", "following", "layer", "head", "margin"])
    nothing = pd.DataFrame(
        columns=[
            "sample",
            "following",
            "setting",
            "heads",
            "draw",
            "positions",
            "share",
            "factor",
            "outcome",
        ]
    )
    found = numbers.summarise_heads(scores, nothing)
    assert (found["overlap_top_low"], found["overlap_top_high"]) == (1.0, 1.0)


@pytest.mark.parametrize(
    ("values", "rule", "words"),
    [
        # Mean 2, standard deviation 1 (of 1, 2, 3, with n − 1): d is 2, and none against another
        # bound than 0.
        ([1, 2, 3], {"above": 0.0}, "d = 2.00, n = 3"),
        ([1, 2, 3], {"below": 0.0}, "d = -2.00, n = 3"),
        ([1, 2, 3], {"above": 1.5}, "n = 3"),
        ([1, 2, 3], {"within": (0, 5)}, "n = 3"),
        ([0.95, 0.95, 0.95 + 1e-9], {"below": 0.5}, "n = 3"),
        ([0.1, 0.1, 0.1], {"above": 0.0}, "no spread, n = 3"),
        ([4], {"above": 0.0}, "n = 1"),
        ([], {"above": 0.0}, "n = 0"),
    ],
)
def test_the_size_of_an_effect_is_its_distance_from_the_bound_in_standard_deviations(
    values, rule, words
):
    assert estimates.estimate("x", values, **rule)["x_size"] == words
    assert "x_size" not in estimates.estimate("x", values)


def test_a_chosen_column_has_its_own_size():
    values = pd.DataFrame({0: [1.0, 2.0, 3.0], 1: [4.0, 4.0, 7.0]})
    assert estimates.chosen("x", values, 1, above=0.0)["x_size"] == "d = 2.89, n = 3"


@pytest.mark.parametrize(
    "hits, n, low, high", [(8, 10, 0.4902, 0.9433), (0, 10, 0.0, 0.2775), (1, 1, 0.2065, 1.0)]
)
def test_a_share_s_interval_by_hand(hits, n, low, high):
    """Wilson (1927): (p + z²/2n ± z √(p(1−p)/n + z²/4n²)) / (1 + z²/n), z = 1.96."""
    assert wilson(hits, n) == pytest.approx((low, high), abs=5e-5)
