"""The numbers of models of which something is known: the relay against the dose, and what is found
of hand-made ones.
"""

import numpy as np
import pandas as pd

from arbitration.models.catalogue import MASKED
from arbitration.uncertainty import rank_correlation, resamples
from reproduction.measures.organisms import DOSES
from reproduction.numbers.counting import counts
from reproduction.numbers.estimates import (
    DIRECTIONS,
    RATE,
    RESAMPLES,
    chosen,
    clusters,
    count_groups,
    differences,
    drawn,
    estimate,
    extreme,
    per_sample,
    wide,
)

WAYS = ("into", "direct", "random")
#: Columns of the table of all organisms.
COLUMNS = "organism kind dose size noise key value low high n".split()


def summarise_ways(table, seed=0):
    """What goes through the instruction in one model, and what goes straight to the last token.

    Parameters
    ----------
    table : DataFrame
        Rows of `sweep_ways` of one model.

    Returns
    -------
    dict
        For each direction d and w of `WAYS`: ``nssd_<w>_<d>`` and ``lost_<w>_<d>``, the largest
        mean over layers, nats; ``nssd_relay_<d>`` and ``lost_relay_<d>``, that of the path into the
        instruction minus that of the direct one, and ``…_over_<d>``, minus that of random sources.
        Intervals know that the layers were chosen (`estimates.chosen`).
    """
    found = counts(table)
    for d in DIRECTIONS:
        for value in ("nssd", "lost"):
            curves = {way: wide(table, value, way=way, following=d) for way in WAYS}
            at = {way: extreme(curve) for way, curve in curves.items()}
            for way, curve in curves.items():
                found |= chosen(f"{value}_{way}_{d}", curve, at[way], seed)
            for less, name in (("direct", "relay"), ("random", "over")):
                both = differences(curves["into"], curves[less])
                pair = at["into"], at[less]
                found |= chosen(f"{value}_{name}_{d}", both, pair, seed, above=0.0)
    return found


#: What is asked of every organism: the number of `summarise_ways` that decides it, and the words.
CLAIMS = {
    "lost_relay": "own→instruction costs more lead than own→last",
    "lost_over": "own→instruction costs more lead than random sources",
    "nssd_relay": "own→instruction costs more NSSD than own→last",
    "nssd_over": "own→instruction costs more NSSD than random sources",
}


def judge_organisms(swept, seed=0):
    """Which of `CLAIMS` holds in which organism.

    Returns
    -------
    DataFrame
        One row per claim, direction and organism: claim, following, organism, verdict
        (`rules.verdict`), n.
    """
    rows = []
    for name, table in swept.items():
        found = summarise_ways(table, seed)
        for key in CLAIMS:
            for d in DIRECTIONS:
                word = found[f"{key}_{d}_verdict"]
                rows.append((CLAIMS[key], d, name, word, found[f"n_{d}"]))
    return pd.DataFrame(rows, columns=["claim", "following", "organism", "verdict", "n"])


def list_organisms(swept, plants, seed=0):
    """One row per organism and number.

    Parameters
    ----------
    swept : dict of str to DataFrame
        Rows of `sweep_ways` of each trained model, by its name.
    plants : DataFrame
        From `measure_plants`.

    Returns
    -------
    DataFrame
        organism, kind ("trained", "merged", "masked", "hand-made"), dose, size, noise, key (as in
        `summarise_ways`, or a column of `measure_plants` and the direction), value, low, high, n.
    """
    rows = []
    for name, table in swept.items():
        found = summarise_ways(table, seed)
        about = (name, _kind(name), DOSES.get(name, np.nan), "", np.nan)
        for key in [key for key in found if f"{key}_low" in found]:
            n = found["n_" + key.rpartition("_")[2]]
            rows.append((*about, key, found[key], found[f"{key}_low"], found[f"{key}_high"], n))
    for one in plants.to_dict("records"):
        about = (one["organism"], "hand-made", np.nan, one["size"], one["noise"])
        for key in ("follows", "path", "head", "lost_into", "lost_direct", "lost_random"):
            value = one[key]
            rows.append((*about, f"{key}_{one['following']}", value, np.nan, np.nan, one["n"]))
    return pd.DataFrame(rows, columns=COLUMNS)


def _kind(name):
    known = {MASKED: "masked", "smol": "trained", "smol-relay": "trained"}
    return known.get(name, "merged" if name in DOSES else "another")


def summarise_organisms(swept, plants, following, seed=0):
    """Numbers of the page of organisms.

    Parameters
    ----------
    swept, plants
        As of `list_organisms`.
    following : dict of str to DataFrame
        Of each trained model, what it answers (`ask_samples`).

    Returns
    -------
    dict
        For each model m (hyphens and dots as underscores) the numbers of `summarise_ways` as
        ``<m>_<key>``, and ``follow_<m>_<d>`` of the ``tried_<m>_<d>`` that were asked;
        ``rises_<value>_<d>`` and ``slope_<value>_<d>``, the rank correlation of dose and relay and
        the nats that the relay gains from no dose to a whole one, over the models of `DOSES`,
        samples resampled within each; of hand-made models for each noise (``0``, ``0_01``)
        ``plants_follow_…``, ``plants_path_…`` and ``plants_head_…``: the share of plants, sizes and
        directions that follow and in which path and head are found.
    """
    found = {}
    for name, table in swept.items():
        short, ways = key_of(name), summarise_ways(table, seed)
        for key, one in ways.items():
            kind, _, rest = key.partition("_")
            counted = kind in ("n", "wordings")
            found[f"{kind}_{short}_{rest}" if counted else f"{short}_{key}"] = one
        for d in DIRECTIONS:
            asked = following[name]
            own = asked[asked["following"] == d]
            kept = own.set_index(per_sample(own))["kept"].astype(float)
            found |= estimate(f"follow_{short}_{d}", kept, seed, RATE)
            found[f"tried_{short}_{d}"] = float(len(kept))
    for d in DIRECTIONS:
        for value in ("nssd", "lost"):
            found |= _rises(f"{value}_{d}", swept, value, d, seed)
    for noise, rows in plants.groupby("noise"):
        name = key_of(f"{noise:g}")
        found |= estimate(f"plants_follow_{name}", rows["follows"].to_numpy(), seed, RATE)
        found |= estimate(f"plants_path_{name}", rows["path"].to_numpy(), seed, RATE)
        found |= estimate(f"plants_head_{name}", rows["head"].dropna().to_numpy(), seed, RATE)
        found[f"plants_count_{name}"] = float(len(rows))
    return found


def key_of(name):
    """A model's name, or a number, in a key.

    Examples
    --------
    >>> key_of("smol-merge-0.25"), key_of("0.01")
    ('smol_merge_0_25', '0_01')
    """
    return name.replace("-", "_").replace(".", "_")


def _rises(name, swept, value, d, seed):
    """Whether the measured relay rises with the dose: Spearman's rank correlation over the models,
    each at its own layers.
    """
    doses, draws, groups = [], [], []
    for model, dose in DOSES.items():
        if model not in swept:
            continue
        curves = [wide(swept[model], value, way=way, following=d) for way in ("into", "direct")]
        if not len(curves[0]):
            continue
        at = tuple(extreme(curve) for curve in curves)
        own = differences(*curves)[at]
        counted = resamples(len(own), seed, RESAMPLES, clusters(own))
        groups.append(count_groups(own))
        weights = np.vstack([np.ones(len(own)), counted])
        doses.append(dose)
        draws.append(weights @ own.to_numpy() / weights.sum(axis=1))
    if len(doses) < 3:
        return estimate(f"rises_{name}", [], seed) | estimate(f"slope_{name}", [], seed, above=0.0)
    correlations = [rank_correlation(doses, one) for one in np.transpose(draws)]
    found = drawn(f"rises_{name}", np.array(correlations, float), min(groups))
    # Of five doses in their order every resample has the same ranks, which say nothing of chance.
    off = np.array(doses) - np.mean(doses)
    slopes = off @ np.array(draws) / (off**2).sum()
    return found | drawn(f"slope_{name}", slopes, min(groups), above=0.0)
