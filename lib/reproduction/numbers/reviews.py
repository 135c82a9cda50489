"""The numbers about what the authors added for their reviewers; see `estimates` for how keys are
named.

Fewer samples, the whole vocabulary, prompts that fail, the last position, and what else is lost
with the heads.
"""

import math
from collections import defaultdict
from itertools import product

import numpy as np
import pandas as pd

from arbitration.dataset.sample import SOURCE
from reproduction.measures.ability import FACTORS, KINDS
from reproduction.numbers.estimates import (
    DIRECTIONS,
    chosen,
    depth,
    drawn,
    estimate,
    extreme,
    least_controls,
    paired,
    wide,
)

SHARES = (0.2, 0.4, 0.6, 0.8, 1.0)  # of the samples: the authors' design
DRAWS = 500
NEAR = (-1.5, 1.5)  # layers: half of the default window
CASES = {0.0: "blocked", 2.0: "doubled"}
INCREMENTS = ("attention_signal", "mlp_signal", "attention_margin", "mlp_margin")


def main_pathways(direction):
    """Into the instruction from the modality that it names, out of it, and past it."""
    return [f"{SOURCE[direction]}→instruction", "instruction→last", f"{SOURCE[direction]}→last"]


def curve(table, direction, pathway, control=False, value="nssd"):
    """A pathway's values as samples × layers, samples in the order in which they were measured."""
    found = wide(table, value, following=direction, pathway=pathway, control=control)
    names = found.index.get_level_values("sample")
    order = [
        name
        for name in table.loc[table["following"] == direction, "sample"].unique()
        if name in names
    ]
    return found.iloc[names.get_indexer(order)]


def stability(table, seed=0):
    """Peaks of the main pathways on parts of the samples.

    Parameters
    ----------
    table : DataFrame
        From `knockout_sweep`, with its controls; nssd in nats.

    Returns
    -------
    DataFrame
        following, pathway, control, part ("nested": the first samples, in parts that contain each
        other; "disjoint": fifths and halves that share none), share, n, layer, nssd (mean at the
        layer where it is largest), low, high (95 % over the part's samples, of a band over all
        layers).
    """
    found = []
    for d in DIRECTIONS:
        for pathway in main_pathways(d):
            for control in (False, True):
                whole = curve(table, d, pathway, control)
                parts = [
                    ("nested", share, np.arange(math.ceil(share * len(whole) - 1e-9)))
                    for share in SHARES
                ]
                if not control:
                    parts += [
                        ("disjoint", 1 / pieces, piece)
                        for pieces in (5, 2)
                        for piece in np.array_split(np.arange(len(whole)), pieces)
                    ]
                for part, share, places in parts:
                    if len(places):
                        own = whole.iloc[places]
                        layer = extreme(own)
                        found.append(
                            (
                                d,
                                pathway,
                                control,
                                part,
                                share,
                                len(own),
                                layer,
                                *chosen("peak", own, layer, seed).values(),
                            )
                        )
    return pd.DataFrame(
        found,
        columns=[
            "following",
            "pathway",
            "control",
            "part",
            "share",
            "n",
            "layer",
            "nssd",
            "low",
            "high",
        ],
    )


def summarise_reviews(table, components, failed, last, answers, reading, seed=0):
    """All numbers of this page: those of `stable`, `whole`, `failures`, `at_last`, `general`
    together.
    """
    return (
        summarise_stability(table, seed)
        | summarise_whole(table, seed)
        | summarise_failures(components, failed, seed)
        | summarise_last(components, last, seed)
        | summarise_ability(answers, reading, seed)
    )


def summarise_stability(table, seed=0):
    """How far peaks depend on the samples: nested parts as the authors cut them, and random pairs
    of disjoint halves.

    Returns
    -------
    dict
        For each main pathway p and direction d ``part_<p>_<d>_s20`` … ``_s100`` with ``_layer``;
        over random cuts in two halves, which have no sample in common, mean and 95 % of the cuts:
        ``halves_corr_<p>_<d>`` (correlation of their curves over layers), ``halves_shift_…``
        (layers from one peak to the other), ``halves_gap_…`` (nats between them, whichever is
        higher).
    """
    found = {"n_controls": least_controls(table)}
    nested = (
        stability(table, seed)
        .query("part == 'nested' and not control")
        .set_index(["following", "pathway", "share"])
    )
    routes = [(d, pathway) for d in DIRECTIONS for pathway in main_pathways(d)]
    for (d, pathway), share in product(routes, SHARES):
        key, ends = (
            f"part_{pathway.replace('→', '_')}_{d}_s{round(100 * share)}",
            {"": "nssd", "_low": "low", "_high": "high", "_layer": "layer"},
        )
        known = (d, pathway, share) in nested.index
        found |= {
            f"{key}{end}": float(nested.loc[(d, pathway, share), name]) if known else math.nan
            for end, name in ends.items()
        }
    for d in DIRECTIONS:
        found[f"n_{d}"] = float(table.loc[table["following"] == d, "sample"].nunique())
        for pathway in main_pathways(d):
            name = f"{pathway.replace('→', '_')}_{d}"
            one, other = _halves(curve(table, d, pathway).to_numpy(), seed)
            found |= _middle(f"halves_corr_{name}", _correlation(one, other), above=0.9)
            found |= _middle(f"halves_shift_{name}", _shift(one, other), within=NEAR)
            found |= _middle(f"halves_gap_{name}", abs(one.max(1) - other.max(1)))
    return found


def _halves(values, seed):
    """Mean curves of both halves of random cuts, each (draws, layers)."""
    random, half = np.random.default_rng(seed), len(values) // 2
    orders = [random.permutation(len(values)) for _ in range(DRAWS)]
    if not half:  # one sample, or none
        return np.full((2, DRAWS, values.shape[1]), np.nan)
    return np.array([values[order[:half]].mean(0) for order in orders]), np.array(
        [values[order[half : 2 * half]].mean(0) for order in orders]
    )


def _shift(one, other):
    """Layers from each row's peak to that of its partner; NaN where there is no curve."""
    return np.where(np.isnan(one + other).any(1), np.nan, other.argmax(1) - one.argmax(1))


def _middle(name, draws, **rule):
    return drawn(name, np.append(draws.mean(), draws), **rule)


def _correlation(one, other):
    """Pearson's correlation of each row with its partner; NaN where one is flat."""
    one, other = (rows - rows.mean(1, keepdims=True) for rows in (one, other))
    with np.errstate(invalid="ignore"):
        return (one * other).sum(1) / np.sqrt((one**2).sum(1) * (other**2).sum(1))


def summarise_whole(table, seed=0):
    """The main pathways without the restriction to two answers (`metrics.signed_divergence`),
    beside the NSSD.

    Returns
    -------
    dict
        For each main pathway p and direction d ``whole_<p>_<d>`` (peak of the mean, nats) with
        ``_layer`` and ``_control``; with intervals over resampled samples ``whole_corr_…``
        (correlation of both mean curves over layers) and ``whole_shift_…`` (layers from the NSSD's
        peak to its own); ``whole_sign_…`` (share of samples in which both have the same sign at the
        NSSD's peak).
    """
    found = {}
    for d in DIRECTIONS:
        for pathway in main_pathways(d):
            name = f"{pathway.replace('→', '_')}_{d}"
            narrow, broad, control = (
                curve(table, d, pathway, *kind)
                for kind in ((False, "nssd"), (False, "divergence"), (True, "divergence"))
            )
            layer = extreme(broad)
            found |= chosen(f"whole_{name}", broad, layer, seed) | {
                f"whole_{name}_layer": float(layer)
            }
            found |= chosen(f"whole_{name}_control", control, extreme(control), seed)
            means = _means(narrow, broad, seed)
            found |= drawn(f"whole_corr_{name}", _correlation(*means), above=0.9)
            found |= drawn(f"whole_shift_{name}", _shift(*means), within=NEAR)
            at = extreme(narrow)
            alike = np.sign(narrow[at]) == np.sign(broad[at]) if len(narrow) else []
            found |= estimate(f"whole_sign_{name}", alike, seed, above=0.9)
    return found


def _means(narrow, broad, seed):
    """Mean curves of both measures, the first of all samples, the others of resampled ones: each (1
    + draws, layers); NaN without samples.
    """
    n = len(narrow)
    if not n:
        return [np.full((1 + DRAWS, values.shape[1]), math.nan) for values in (narrow, broad)]
    weights = (
        np.vstack(
            [np.ones(n), np.random.default_rng(seed).multinomial(n, np.full(n, 1 / n), size=DRAWS)]
        )
        / n
    )
    return [weights @ values.to_numpy() for values in (narrow, broad)]


def _sums(rows):
    """Increments of each sample: the signal's over all layers, the margin's over the last third."""
    if not len(rows):
        return dict.fromkeys(INCREMENTS, pd.Series(dtype=float))
    parts = {
        "signal": sorted(rows["layer"].unique()),
        "margin": list(depth(int(rows["layer"].max()) + 1)["deep"]),
    }
    return {name: wide(rows, name)[parts[name.split("_")[1]]].sum(axis=1) for name in INCREMENTS}


def _of(table, direction, dictionary="own"):
    return table[(table["following"] == direction) & (table["dictionary"] == dictionary)]


def summarise_failures(components, failed, seed=0):
    """Where failures fail: increments on prompts that are answered with the competitor's answer,
    against those that follow.

    Parameters
    ----------
    components, failed : DataFrame
        From `components.measure_components`, of prompts that follow and of failures; these with the
        column mix, above 0 where the instruction was weakened.

    Returns
    -------
    dict
        For each increment i and direction d ``fail_<i>_<d>``, ``kept_<i>_<d>`` (on prompts that
        follow), ``fail_<i>_<d>_shuffled`` (another sample's answers: the control), ``lost_<i>_<d>``
        (failures minus the others); ``fork_<d>``, the largest difference that one layer's attention
        makes to the margin, with ``_layer``; ``failures_<d>``, of them ``weakened_<d>``.
    """
    found = {}
    for d in DIRECTIONS:
        own, good = _of(failed, d), _of(components, d)
        found |= {
            f"failures_{d}": float(own["sample"].nunique()),
            f"weakened_{d}": float(own.loc[own["mix"] > 0, "sample"].nunique()),
        }
        fail, kept, control = _sums(own), _sums(good), _sums(_of(failed, d, "shuffled"))
        for name in INCREMENTS:
            found |= estimate(f"fail_{name}_{d}", fail[name], seed) | estimate(
                f"kept_{name}_{d}", kept[name], seed
            )
            found |= estimate(f"fail_{name}_{d}_shuffled", control[name], seed)
            found |= between(f"lost_{name}_{d}", fail[name], kept[name], seed, below=0.0)
        layer, both = math.nan, len(own) and len(good)
        if both:
            curves = [wide(rows, "attention_margin") for rows in (own, good)]
            layer = (curves[0].mean() - curves[1].mean()).abs().idxmax()
        found |= between(
            f"fork_{d}", *([values[layer] for values in curves] if both else ([], [])), seed
        ) | {f"fork_{d}_layer": float(layer)}
    return found


def between(name, ones, others, seed=0, **rule):
    """Difference of the means of two groups of samples, each resampled on its own; as `estimate`,
    NaN if one is empty.
    """
    if not (len(ones) and len(others)):
        return estimate(name, [], seed, **rule)
    random = np.random.default_rng(seed)
    means = [
        np.append(np.mean(values), random.choice(np.asarray(values), (2000, len(values))).mean(1))
        for values in (ones, others)
    ]
    return drawn(name, means[0] - means[1], **rule)


def summarise_last(components, last, seed=0):
    """Increments at the last position beside those at the instruction tokens of the same prompts.

    Returns
    -------
    dict
        For each increment i and direction d ``last_<i>_<d>``, ``last_<i>_<d>_shuffled`` (control),
        ``anchor_<i>_<d>`` (at the instruction).
    """
    rules = {"attention_margin": {"above": 0.0}, "mlp_margin": {"below": 0.0}}
    found = {
        f"n_last_{d}": float(last.loc[last["following"] == d, "sample"].nunique())
        for d in DIRECTIONS
    }
    for d in DIRECTIONS:
        own, control = (_sums(_of(last, d, kind)) for kind in ("own", "shuffled"))
        anchor = _sums(_of(components[components["sample"].isin(last["sample"])], d))
        for name in INCREMENTS:
            found |= estimate(
                f"last_{name}_{d}", own[name], seed, **rules.get(name, {})
            ) | estimate(f"last_{name}_{d}_shuffled", control[name], seed)
            found |= estimate(f"anchor_{name}_{d}", anchor[name], seed, **rules.get(name, {}))
    return found


def summarise_ability(answers, reading, seed=0):
    """What else is lost with the top heads.

    Parameters
    ----------
    answers : DataFrame
        From `ability.measure_ability`.
    reading : DataFrame
        From `ability.measure_reading`.

    Returns
    -------
    dict
        For each kind k (conflict, alone), case c (blocked, doubled) and direction d:
        ``right_<k>_original_<d>``, ``right_<k>_<c>_<d>``, ``right_<k>_<c>_<d>_random``;
        ``spared_<c>_<d>``, what one modality alone loses; ``special_<c>_<d>``, what the conflict
        loses more, sample by sample. ``loss_original``, ``loss_<c>_<d>``, ``loss_<c>_random`` (nats
        per token, over sentences), ``rise_<c>_<d>`` and ``excess_<c>_<d>`` (more than without
        change, and than with random heads).
    """
    none = pd.Series(dtype=float)
    nats = defaultdict(lambda: none)
    nats |= {
        (name, factor): rows.groupby("sample")["nats"].mean()
        for (name, factor), rows in reading.groupby(["heads", "factor"])
    }
    plain = nats["original", 1.0]
    found = {"sentences": float(len(plain))} | estimate("loss_original", plain, seed)
    for d in DIRECTIONS:
        here = answers[answers["following"] == d]
        found[f"n_able_{d}"] = float(here["sample"].nunique())
        right = defaultdict(lambda: none)
        right |= {
            key: (rows["outcome"] == "follow").groupby(rows["sample"]).mean()
            for key, rows in here.groupby(["kind", "heads", "factor"])
        }
        for kind in KINDS:
            found |= estimate(f"right_{kind}_original_{d}", right[kind, "original", 1.0], seed)
        for factor in FACTORS:
            case, lost = CASES[factor], {}
            for kind in KINDS:
                found |= estimate(f"right_{kind}_{case}_{d}", right[kind, "target", factor], seed)
                found |= estimate(
                    f"right_{kind}_{case}_{d}_random", right[kind, "random", factor], seed
                )
                lost[kind] = paired(right[kind, "original", 1.0], right[kind, "target", factor])
            found |= estimate(f"spared_{case}_{d}", lost["alone"], seed, below=0.1)
            found |= estimate(
                f"special_{case}_{d}", paired(lost["conflict"], lost["alone"]), seed, above=0.0
            )
            found |= estimate(f"loss_{case}_{d}", nats[d, factor], seed) | estimate(
                f"loss_{case}_random", nats["random", factor], seed
            )
            found |= estimate(f"rise_{case}_{d}", paired(nats[d, factor], plain), seed, below=0.1)
            found |= estimate(
                f"excess_{case}_{d}",
                paired(nats[d, factor], nats["random", factor]),
                seed,
                above=0.0,
            )
    return found
