"""The numbers of Section 3.2: alignment, synchronisation, and following with a path closed."""

import numpy as np

from arbitration.dataset.sample import SOURCE
from arbitration.equations.metrics import beyond_chance
from reproduction.numbers.counting import counts
from reproduction.numbers.estimates import (
    CHANGE,
    DIRECTIONS,
    RATE,
    chosen,
    depth,
    differences,
    estimate,
    extreme,
    per_sample,
    wide,
)

#: Where the paths of Fig. 5b are closed, and how the numbers' names end: in the layers that the
#: paper names, as the same part of the model's depth, and in the model's own.
PLACES = {"scaled": "", "own": "_own"}
COLLAPSED = 0.5  # what we call a collapse: fewer than half still follow
WEAK = 0.7  # alignment below which the paper still finds both sites synchronised


def summarise_beliefs(beliefs, paths, seed=0, critical=None):
    """Numbers of Section 3.2 (Figs. 5a and 5b): alignment, synchronisation, and following with a
    path closed.

    Parameters
    ----------
    beliefs, paths : DataFrame
        The tables of Figs. 5a and 5b.
    critical : iterable of int, optional
        Layers of the synchronisation; the paper's 20 to 25 of 28, scaled, unless given.
    """
    layers = int(beliefs["layer"].max()) + 1
    part = depth(layers) | ({"critical": critical} if critical is not None else {})
    found = counts(beliefs) | {"layers": float(layers)}
    table = beliefs.assign(margin=beliefs["phi_f"] - beliefs["phi_c"])
    for d in DIRECTIONS:
        highest = {}
        for kind, suffix in (("own", ""), ("shuffled", "_shuffled")):
            aligned = (
                wide(table, "margin", following=d, positions="instruction", dictionary=kind) > 0
            ).astype(float)
            best = extreme(aligned.drop(columns=-1))
            pieces = {name: aligned[list(chosen)].mean(axis=1) for name, chosen in part.items()}
            pieces |= {"final": aligned[layers - 1], "rise": pieces["deep"] - pieces["shallow"]}
            rules = {} if suffix else {"shallow": {"within": (0.35, 0.65)}, "rise": {"above": 0.0}}
            for name, values in pieces.items():
                interval = CHANGE if name == "rise" else RATE
                found |= estimate(
                    f"ldar_{name}_{d}{suffix}", values, seed, interval, **rules.get(name, {})
                )
            found |= chosen(
                f"ldar_max_{d}{suffix}",
                aligned.drop(columns=-1),
                best,
                seed,
                RATE,
                **({} if suffix else {"above": 0.95}),
            )
            found[f"ldar_max_{d}{suffix}_layer"], highest[kind] = (
                float(best),
                aligned.drop(columns=-1),
            )
            if kind == "own":
                found |= _transition(aligned, d) | _synchronisation(
                    table, aligned, list(part["critical"]), d, seed
                )
        pair = tuple(extreme(highest[kind]) for kind in ("own", "shuffled"))
        found |= chosen(
            f"over_ldar_max_{d}",
            differences(highest["own"], highest["shuffled"]),
            pair,
            seed,
            CHANGE,
        )
        for place, suffix in PLACES.items():
            here = paths[(paths["following"] == d) & (paths["place"] == place)]
            found |= _closed_paths(here, f"{d}{suffix}", SOURCE[d], seed)
            told = sorted(here["layers"].unique()) if len(here) else ["not measured"]
            found[f"place_{d}{suffix}"] = ", ".join(told)
    return found


def _transition(aligned, d):
    if not len(aligned):
        return {f"ldar_transition_{d}": "not measured"}
    decided = aligned.mean() >= 0.9
    lasting = decided[::-1].cummin()[::-1]
    return {f"ldar_transition_{d}": f"layer {lasting.idxmax()}" if lasting.any() else "never"}


def _synchronisation(table, aligned, critical, d, seed):
    own = {"following": d, "dictionary": "own"}
    signs = {
        where: np.sign(wide(table, "margin", positions=where, **own))
        for where in ("instruction", "last")
    }
    same = (signs["instruction"] == signs["last"]).astype(float)[critical]
    more = beyond_chance(
        signs["instruction"][critical].to_numpy(), signs["last"][critical].to_numpy()
    )
    weak = [layer for layer in critical if aligned[layer].mean() < WEAK]
    said = (
        f"{same[weak].to_numpy().mean():.2f} in {len(weak)} layers"
        if weak
        else "no such layer"
        if len(aligned)
        else "not measured"
    )
    there = same[weak].mean(axis=1) if weak else []
    return (
        estimate(f"sync_critical_{d}", same.mean(axis=1), seed, RATE, above=0.9)
        | estimate(f"over_sync_{d}", more, seed, CHANGE)
        | estimate(f"sync_below_{d}", there, seed, RATE, above=0.9)
        | {f"sync_weak_{d}": said}
    )


def _closed_paths(rows, name, source, seed):
    """Answers with a path closed at one place; `source`: the tokens of the instructed modality."""
    found, follows = {}, {}
    for path, blocked in (
        ("none", "none"),
        ("instruction_last", "instruction→last"),
        ("modality_last", f"{source}→last"),
        ("random_last", "random→last"),
    ):
        here = rows[rows["blocked"] == blocked]
        for outcome, word in (("follow", "follow"), ("competitor", "compete"), ("other", "other")):
            said = here.assign(said=(here["outcome"] == outcome).astype(float))
            values = said.groupby(per_sample(here))["said"].mean()
            found |= estimate(f"{word}_{path}_{name}", values, seed, RATE)
            follows[word, path] = values
    kept = {path: values for (word, path), values in follows.items() if word == "follow"}
    collapse = kept["instruction_last"]
    found |= estimate(f"collapse_{name}", collapse, seed, RATE, below=COLLAPSED)
    for contrast, more in (("collapse", "modality_last"), ("random", "random_last")):
        lost = kept[more] - collapse
        found |= estimate(f"contrast_{contrast}_{name}", lost, seed, CHANGE, above=0.0)
    spared = kept["none"] - kept["modality_last"]
    return found | estimate(f"contrast_spared_{name}", spared, seed, CHANGE, below=0.1)
