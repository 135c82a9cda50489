"""How far the main pathways' peaks and curves depend on which samples were measured, and on which
answers are compared; part of the numbers for the reviewers.
"""

import math
from itertools import product

import numpy as np
import pandas as pd

from arbitration.dataset.sample import SOURCE
from arbitration.uncertainty import resamples
from reproduction.numbers.counting import least_controls
from reproduction.numbers.estimates import (
    DIRECTIONS,
    RATE,
    chosen,
    clusters,
    count_groups,
    drawn,
    estimate,
    extreme,
    tell_beside,
    wide,
)

SHARES = (0.2, 0.4, 0.6, 0.8, 1.0)  # of the samples: the authors' design

DRAWS = 500

NEAR = (-1.5, 1.5)  # layers: half of the default window


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


def count_first(samples, share):
    """How many of some samples a share of them is, rounded up."""
    return math.ceil(share * len(samples) - 1e-9)


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
                    ("nested", share, np.arange(count_first(whole, share))) for share in SHARES
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
                        peak = chosen("peak", own, layer, seed).values()
                        found.append((d, pathway, control, part, share, len(own), layer, *peak))
    columns = "following pathway control part share n layer nssd low high".split()
    return pd.DataFrame(found, columns=columns)


def summarise_stability(table, seed=0):
    """How far peaks depend on the samples: nested parts as the authors cut them, and random pairs
    of disjoint halves.

    Returns
    -------
    dict
        For each main pathway p and direction d ``part_<p>_<d>_s20`` … ``_s100`` with ``_layer``,
        ``_median`` and ``_lead`` (`estimates.tell_beside`); over random cuts in two halves, which
        have no sample in common, mean and 95 % of the cuts:
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
    order = {
        (d, pathway): curve(table, d, pathway).index.get_level_values("sample")
        for d, pathway in routes
    }
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
        first = order[d, pathway]
        own = (table["following"] == d) & (table["pathway"] == pathway) & ~table["control"]
        own &= table["sample"].isin(first[: count_first(first, share)])
        found |= tell_beside(key, table[own], found[f"{key}_layer"])
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
    ones = np.array([values[order[:half]].mean(0) for order in orders])
    return ones, np.array([values[order[half : 2 * half]].mean(0) for order in orders])


def _shift(one, other):
    """Layers from each row's peak to that of its partner; NaN where there is no curve."""
    return np.where(np.isnan(one + other).any(1), np.nan, other.argmax(1) - one.argmax(1))


def _middle(name, draws, **rule):
    return drawn(name, np.append(draws.mean(), draws), None, **rule)


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
            groups = count_groups(narrow)
            found |= drawn(f"whole_corr_{name}", _correlation(*means), groups, above=0.9)
            found |= drawn(f"whole_shift_{name}", _shift(*means), groups, within=NEAR)
            at = extreme(narrow)
            alike = np.sign(narrow[at]) == np.sign(broad[at]) if len(narrow) else []
            found |= estimate(f"whole_sign_{name}", alike, seed, RATE, above=0.9)
    return found


def _means(narrow, broad, seed):
    """Mean curves of both measures, the first of all samples, the others of resampled ones: each (1
    + draws, layers); NaN without samples.
    """
    n = len(narrow)
    if not n:
        return [np.full((1 + DRAWS, values.shape[1]), math.nan) for values in (narrow, broad)]
    weights = np.vstack([np.ones(n), resamples(n, seed, DRAWS, clusters(narrow))])
    weights = weights / weights.sum(axis=1, keepdims=True)
    return [weights @ values.to_numpy() for values in (narrow, broad)]
