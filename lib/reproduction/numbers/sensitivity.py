"""The numbers that the book quotes about the head question; see `estimates` for how keys are named.

The rules behind the verdicts were written before any of these numbers was looked at. A block or an
amplification has the paper's size if it moves the modality-following ratio by more than 0.5, the
paper's own number being 0.6.
"""

import math

import numpy as np
import pandas as pd

from arbitration.equations.heads import FACTOR, SHARE, share_count
from arbitration.uncertainty import rank_correlation
from reproduction.cohorts.failures import SOURCES, WEAKENED
from reproduction.measures.heads import METHODS, PLACES
from reproduction.numbers.counting import short, tell_wordings
from reproduction.numbers.estimates import (
    CHANGE,
    DIRECTIONS,
    RATE,
    among,
    best,
    estimate,
    followed,
    per_sample,
    scaled_at,
    wide,
)

#: Of a change of the modality-following ratio: as in the paper; as good as none.
PAPER_SIZE, SAME = 0.5, 0.1
METHOD_NAMES = {"eq12": "top by Eq. 12", "sensitivity": "top by sensitivity"}
SHORT = {source: source.replace(" ", "_") for source in SOURCES}
SHUFFLES = 20


def summarise_sensitivity(scores, effects, blocking, amplification, tried, seed=0, wanted=0):
    """Numbers of the head question: which ranking foretells what a head does, and what its top
    heads do together.

    Parameters
    ----------
    scores : DataFrame
        From `heads.score_heads`, with a column half: "ranked" or "tested".
    effects : DataFrame
        From `heads.silence_heads`, on samples of the half "tested".
    blocking, amplification : DataFrame
        From `head_sets.scale_sets`, on the half "tested" and on failures, the latter with a column
        source.
    tried : DataFrame
        From `failures.seek_failures`.
    seed : int
        Of the bootstrap.
    wanted : int
        How many failures of each source and direction were sought.
    """
    ranked, tested = (scores[scores["half"] == half] for half in ("ranked", "tested"))
    total = len(scores[["layer", "head"]].drop_duplicates())
    top = share_count(total)
    found = {
        "heads_total": float(total),
        "top_count": float(top),
        "overlap_top_chance": top**2 / total,
    }
    for d in DIRECTIONS:
        found |= {
            f"n_ranked_{d}": _samples(ranked, d),
            f"n_tested_{d}": _samples(blocking, d),
            f"n_single_{d}": _samples(effects, d),
        }
        for positions in ("instruction", "last"):
            found |= _truth(
                _of(ranked, d), _of(effects, d, positions=positions), positions, top, d, seed
            )
        found |= _turned(_of(effects, d), d, seed)
        found |= _together(
            _of(effects, d, positions="instruction"),
            _of(blocking, d, positions="instruction"),
            d,
            seed,
        )
        found |= _sets(ranked, tested, top, d)
        found |= _blocking(_of(blocking, d), d, seed)
        for source in SOURCES:
            found |= _amplification(
                _of(amplification, d, source=source), f"{SHORT[source]}_{d}", seed
            )
            found |= _search(_of(tried, d, source=source), f"{SHORT[source]}_{d}")
            found |= short(f"{SHORT[source]}_{d}", found[f"failures_{SHORT[source]}_{d}"], wanted)
        found[f"failures_wordings_{d}"] = _restored_by_wording(_of(amplification, d))
        found |= _plateau(_of(amplification, d, source=WEAKENED), d, seed)
    for method in METHODS:
        text, vision = (set(_top(_of(ranked, d), method, "instruction", top)) for d in DIRECTIONS)
        found[f"overlap_directions_{method}"] = _common(text, vision)
    return found


def _common(one, other):
    """Heads that two top sets have in common; NaN if one was not ranked."""
    return float(len(one & other)) if one and other else math.nan


def _of(table, direction, **levels):
    """The rows of one direction at some levels of other columns; none of a table without rows."""
    for name, value in {"following": direction, **levels}.items():
        table = table[table[name] == value] if name in table else table[:0]
    return table


def _samples(table, direction):
    return float(_of(table, direction)["sample"].nunique())


def _column(method, positions):
    return "eq12" if method == "eq12" else f"sensitivity_{positions}"


def _means(table, method, positions):
    """Mean score of every head, by layer and head in their order."""
    return table.groupby(["layer", "head"])[_column(method, positions)].mean()


def _top(table, method, positions, count):
    mean = _means(table, method, positions)
    return list(mean.index[np.argsort(-mean.to_numpy(), kind="stable")[:count]])


def _truth(ranked, effects, positions, top, d, seed):
    """How well each ranking foretells, on other samples, what silencing a head alone does there."""
    suffix = "" if positions == "instruction" else f"_{positions}"
    truth = wide(effects, "effect", ["layer", "head"])
    told = truth if len(ranked) else truth[:0]
    found, per_sample, strength = {}, {}, {}
    for method in METHODS:
        mean = _means(ranked, method, positions)
        per_sample[method] = _each(
            told, lambda row, mean=mean: rank_correlation(mean.loc[row.index], row)
        )
        strength[method] = told[_top(ranked, method, positions, top) if len(told) else []].mean(
            axis=1
        )
        found |= estimate(f"foretell_{method}_{d}{suffix}", per_sample[method], seed, above=0.0)
        found |= estimate(
            f"foretell_{method}_{d}{suffix}_layers", _by_layer_alone(mean, told, seed), seed
        )
        found |= estimate(f"top_effect_{method}_{d}{suffix}", strength[method], seed)
    found |= estimate(f"mean_effect_{d}{suffix}", truth.mean(axis=1), seed)
    found |= estimate(
        f"contrast_foretell_{d}{suffix}",
        (per_sample["sensitivity"] - per_sample["eq12"]).dropna(),
        seed,
        above=0.0,
    )
    return found | estimate(
        f"contrast_top_effect_{d}{suffix}",
        strength["sensitivity"] - strength["eq12"],
        seed,
        above=0.0,
    )


def _each(truth, value):
    """A value of each sample's row; samples where it is NaN are left out."""
    return pd.Series(
        [value(row) for _, row in truth.iterrows()], index=truth.index, dtype=float
    ).dropna()


def _by_layer_alone(mean, truth, seed):
    """The control: each layer's heads change places at random, so that only the ranking of layers
    is left.
    """
    random = np.random.default_rng(seed)
    shuffled = [
        mean.groupby(level="layer", group_keys=False).transform(
            lambda layer: random.permutation(layer.to_numpy())
        )
        for _ in range(SHUFFLES)
    ]
    return _each(
        truth, lambda row: np.mean([rank_correlation(one.loc[row.index], row) for one in shuffled])
    )


def _turned(effects, d, seed):
    """How many single heads turn the decision when silenced, a sample."""
    found = {}
    for positions in ("instruction", "last"):
        rows = effects[effects["positions"] == positions]
        found |= estimate(
            f"turned_{positions}_{d}", rows.groupby(per_sample(rows))["turned"].sum(), seed
        )
    return found


def _together(effects, blocking, d, seed):
    """The head that turns most decisions alone, and how much more the top heads of Eq. 12 turn
    together, in the same samples.

    The one head is chosen on these samples, which flatters it.
    """
    turned, strength = (
        wide(effects, "turned", ["layer", "head"]),
        wide(effects, "effect", ["layer", "head"]).mean(),
    )
    if not len(turned):
        return estimate(f"strongest_{d}", [], seed, RATE) | estimate(
            f"contrast_several_{d}", [], seed, CHANGE, above=0.0
        )
    alone = turned[
        max(turned.columns, key=lambda head: (turned[head].mean(), strength[head]))
    ].astype(float)
    rows = _set(blocking, "eq12", "other samples")
    lost = 1.0 - followed(rows[np.isclose(rows["share"].astype(float), SHARE)])
    return estimate(f"strongest_{d}", alone, seed, RATE) | estimate(
        f"contrast_several_{d}", (lost - alone).dropna(), seed, CHANGE, above=0.0
    )


def _sets(ranked, tested, top, d):
    """Heads that two top sets share: those of both rankings, and of one ranking on both halves."""
    here, there = _of(ranked, d), _of(tested, d)
    sets = {method: set(_top(here, method, "instruction", top)) for method in METHODS}
    found = {f"overlap_rankings_{d}": _common(sets["eq12"], sets["sensitivity"])}
    for method in METHODS:
        found[f"overlap_halves_{method}_{d}"] = _common(
            sets[method], set(_top(there, method, "instruction", top))
        )
        found[f"top_heads_{method}_{d}"] = (
            ", ".join("{}.{}".format(*head) for head in _top(here, method, "instruction", top)[:5])
            or "not measured"
        )
        layers = [layer for layer, _ in sets[method]]
        found[f"top_layers_{method}_{d}"] = (
            f"{min(layers)}–{max(layers)}" if layers else "not measured"
        )
    return found


def _set(rows, heads, ranked_on=None):
    return rows[
        (rows["heads"] == heads) & (True if ranked_on is None else rows["ranked_on"] == ranked_on)
    ]


def _blocking(rows, d, seed):
    found = estimate(f"block_original_{d}", followed(_set(rows, "original")), seed, RATE)
    for positions in PLACES:
        suffix = "" if positions == "instruction" else f"_{positions}"
        here = scaled_at(rows, positions, share=SHARE)
        random = followed(_set(here, "random"))
        found |= estimate(f"block_random_{d}{suffix}", random, seed, RATE)
        top = {method: followed(_set(here, method, "other samples")) for method in METHODS}
        for method, follows in top.items():
            matched = followed(_set(here, f"{method} matched"))
            found |= estimate(f"block_{method}_{d}{suffix}", follows, seed, RATE)
            found |= estimate(f"block_{method}_matched_{d}{suffix}", matched, seed, RATE)
            found |= estimate(
                f"drop_{method}_{d}{suffix}",
                (followed(_set(rows, "original")) - follows).dropna(),
                seed,
                CHANGE,
                above=PAPER_SIZE,
            )
            found |= estimate(
                f"contrast_block_{method}_{d}{suffix}",
                (matched - follows).dropna(),
                seed,
                CHANGE,
                above=0.0,
            )
            found[f"among_{method}_{d}{suffix}"] = among(
                _set(here, method, "other samples"), _set(here, f"{method} matched"), -1
            )
            found[f"among_{method}_random_{d}{suffix}"] = among(
                _set(here, method, "other samples"), _set(here, "random"), -1
            )
        found |= estimate(
            f"contrast_block_methods_{d}{suffix}",
            (top["eq12"] - top["sensitivity"]).dropna(),
            seed,
            CHANGE,
            above=0.0,
        )
    here = scaled_at(rows, "instruction", share=SHARE)
    found[f"draws_{d}"] = float(_set(here, "random")["draw"].nunique())
    for method in METHODS:
        own = followed(_set(here, method, "other samples"))
        same = followed(_set(here, method, "same samples"))
        other = followed(_set(here, method, "other direction"))
        found[f"own_{method}_{d}"] = float(_set(here, f"{method} matched")["own"].mean())
        found |= estimate(f"block_{method}_same_{d}", same, seed, RATE)
        found |= estimate(f"block_{method}_other_{d}", other, seed, RATE)
        found |= estimate(
            f"selection_{method}_{d}", (own - same).dropna(), seed, CHANGE, within=(-SAME, SAME)
        )
        found |= estimate(f"specific_{method}_{d}", (other - own).dropna(), seed, CHANGE, above=0.0)
    return found


def _restored_by_wording(rows):
    """What doubling each ranking's top heads, and random ones, restores of each wording's
    failures.
    """
    if not len(rows):
        return tell_wordings(rows, {})
    here = scaled_at(rows, "instruction", factor=FACTOR)
    top = {METHOD_NAMES[one]: _set(here, one, "other samples") for one in METHODS}
    return tell_wordings(rows, top | {"random": _set(here, "random")})


def _amplification(rows, name, seed):
    found = {f"failures_{name}": float(rows["sample"].nunique())}
    for positions in PLACES:
        suffix = "" if positions == "instruction" else f"_{positions}"
        here = scaled_at(rows, positions, factor=FACTOR)
        found |= estimate(
            f"amplify_random_{name}{suffix}", followed(_set(here, "random")), seed, RATE
        )
        for method in METHODS:
            follows = followed(_set(here, method, "other samples"))
            matched = followed(_set(here, f"{method} matched"))
            found |= estimate(
                f"amplify_{method}_{name}{suffix}", follows, seed, RATE, above=PAPER_SIZE
            )
            found |= estimate(f"amplify_{method}_matched_{name}{suffix}", matched, seed, RATE)
            found |= estimate(
                f"contrast_amplify_{method}_{name}{suffix}",
                (follows - matched).dropna(),
                seed,
                CHANGE,
                above=0.0,
            )
            found[f"amplify_among_{method}_{name}{suffix}"] = among(
                _set(here, method, "other samples"), _set(here, f"{method} matched"), 1
            )
    here = scaled_at(rows, "instruction", factor=FACTOR)
    for method in METHODS:
        found |= estimate(
            f"amplify_{method}_other_{name}",
            followed(_set(here, method, "other direction")),
            seed,
            RATE,
        )
    return found


def _plateau(rows, d, seed):
    """The best factor, and what the largest leaves of it."""
    found = {}
    for method in METHODS:
        here = _set(rows[rows["positions"] == "instruction"], method, "other samples")
        curve = {factor: followed(part) for factor, part in here.groupby("factor")}
        found |= best(f"{method}_{d}", curve, seed, above=-SAME)
    return found


def _search(tried, name):
    """How many samples and attempts it took, and what came of them."""
    counts = tried["outcome"].value_counts() if len(tried) else pd.Series(dtype=int)
    failed = tried[tried["outcome"] == "competitor"] if len(tried) else tried
    return {
        f"tried_{name}": float(tried["sample"].nunique()) if len(tried) else 0.0,
        f"attempts_{name}": float(len(tried)),
        f"competed_{name}": float(counts.get("competitor", 0)),
        f"other_{name}": float(counts.get("other", 0)),
        f"degree_{name}": float(failed["degree"].mean()) if len(failed) else math.nan,
    }
