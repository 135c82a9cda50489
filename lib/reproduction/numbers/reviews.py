"""The numbers about what the authors added for their reviewers; see `estimates` for how keys are
named.

Fewer samples, the whole vocabulary, prompts that fail, the last position, and what else is lost
with the heads.
"""

import math
from collections import defaultdict

import numpy as np
import pandas as pd

from arbitration.uncertainty import resamples
from reproduction.measures.ability import FACTORS, KINDS
from reproduction.numbers.estimates import (
    CHANGE,
    DIRECTIONS,
    RATE,
    clusters,
    count_groups,
    depth,
    drawn,
    estimate,
    followed,
    paired,
    wide,
)
from reproduction.numbers.stability import summarise_stability, summarise_whole

CASES = {0.0: "blocked", 2.0: "doubled"}

INCREMENTS = ("attention_signal", "mlp_signal", "attention_margin", "mlp_margin")


def summarise_reviews(table, components, failed, last, answers, reading, seed=0):
    """All numbers of this page: those of `summarise_stability`, `summarise_whole`,
    `summarise_failures`, `summarise_last` and `summarise_ability` together.
    """
    return (
        summarise_stability(table, seed)
        | summarise_whole(table, seed)
        | summarise_failures(components, failed, seed)
        | summarise_last(components, last, seed)
        | summarise_ability(answers, reading, seed)
    )


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
    means = []
    for number, values in enumerate((ones, others)):
        counts = resamples(len(values), seed + number, clusters=clusters(values))
        weights = np.vstack([np.ones(len(values)), counts])
        means.append(weights @ np.asarray(values) / weights.sum(axis=1))
    groups = min(map(count_groups, (ones, others)))
    return drawn(name, means[0] - means[1], groups, **rule)


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
        right |= {key: followed(rows) for key, rows in here.groupby(["kind", "heads", "factor"])}
        for kind in KINDS:
            found |= estimate(
                f"right_{kind}_original_{d}", right[kind, "original", 1.0], seed, RATE
            )
        for factor in FACTORS:
            case, lost = CASES[factor], {}
            for kind in KINDS:
                found |= estimate(
                    f"right_{kind}_{case}_{d}", right[kind, "target", factor], seed, RATE
                )
                found |= estimate(
                    f"right_{kind}_{case}_{d}_random", right[kind, "random", factor], seed, RATE
                )
                lost[kind] = paired(right[kind, "original", 1.0], right[kind, "target", factor])
            found |= estimate(f"spared_{case}_{d}", lost["alone"], seed, CHANGE, below=0.1)
            # A difference of two changes may be as large as 2.
            more = paired(lost["conflict"], lost["alone"])
            found |= estimate(f"special_{case}_{d}", more, seed, above=0.0)
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
