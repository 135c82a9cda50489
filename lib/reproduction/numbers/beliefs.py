"""The numbers of Section 3.2: alignment, synchronisation, and following with a path closed."""

import numpy as np

from arbitration.dataset.sample import SOURCE
from arbitration.equations.metrics import beyond_chance
from reproduction.numbers.estimates import (
    DIRECTIONS,
    chosen,
    counts,
    depth,
    differences,
    estimate,
    extreme,
    per_sample,
    wide,
)


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
                found |= estimate(f"ldar_{name}_{d}{suffix}", values, seed, **rules.get(name, {}))
            found |= chosen(
                f"ldar_max_{d}{suffix}",
                aligned.drop(columns=-1),
                best,
                seed,
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
            f"over_ldar_max_{d}", differences(highest["own"], highest["shuffled"]), pair, seed
        )
        found |= _closed_paths(paths[paths["following"] == d], d, seed)
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
    weak = [layer for layer in critical if aligned[layer].mean() < 0.7]
    said = (
        f"{same[weak].to_numpy().mean():.2f} in {len(weak)} layers"
        if weak
        else "no such layer"
        if len(aligned)
        else "not measured"
    )
    return (
        estimate(f"sync_critical_{d}", same.mean(axis=1), seed, above=0.9)
        | estimate(f"over_sync_{d}", more, seed)
        | {f"sync_weak_{d}": said}
    )


def _closed_paths(rows, d, seed):
    found, follows = {}, {}
    for name, blocked in (
        ("none", "none"),
        ("instruction_last", "instruction→last"),
        ("modality_last", f"{SOURCE[d]}→last"),
        ("random_last", "random→last"),
    ):
        here = rows[rows["blocked"] == blocked]
        for outcome, word in (("follow", "follow"), ("competitor", "compete"), ("other", "other")):
            values = (
                here.assign(said=(here["outcome"] == outcome).astype(float))
                .groupby(per_sample(here))["said"]
                .mean()
            )
            found |= estimate(f"{word}_{name}_{d}", values, seed)
            follows[word, name] = values
    kept = {name: values for (word, name), values in follows.items() if word == "follow"}
    found |= estimate(
        f"contrast_collapse_{d}", kept["modality_last"] - kept["instruction_last"], seed, above=0.0
    )
    found |= estimate(
        f"contrast_random_{d}", kept["random_last"] - kept["instruction_last"], seed, above=0.0
    )
    return found | estimate(
        f"contrast_spared_{d}", kept["none"] - kept["modality_last"], seed, below=0.1
    )
