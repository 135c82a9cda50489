"""The numbers that the book quotes about single heads (Figs. 8 and 9); see `estimates` for how keys
are named.
"""

import math

import numpy as np

from arbitration.equations.heads import FACTOR, SHARE, share_count
from arbitration.uncertainty import resamples
from reproduction.numbers.counting import counts, short, tell_wordings
from reproduction.numbers.estimates import (
    CHANGE,
    DIRECTIONS,
    RATE,
    among,
    best,
    clusters,
    drawn,
    estimate,
    followed,
    scaled_at,
    wide,
)

DRAWS = 500
SETS = ("target", "matched", "random", "shared")


def summarise_heads(scores, interventions, seed=0, wanted=0):
    """Numbers of Section 4.2: how few heads carry the margin, and what blocking or amplifying them
    does.

    Parameters
    ----------
    scores : DataFrame
        One row per prompt × layer × head: sample, following, layer, head, margin (Eq. 12, logits).
    interventions : DataFrame
        The table of Fig. 9.
    seed : int
        Of the bootstrap.
    wanted : int
        How many failures of each direction were sought.
    """
    values = {d: wide(scores, "margin", ["layer", "head"], following=d) for d in DIRECTIONS}
    names = list(values["text"].columns)
    total = len(names)
    top = share_count(total)
    found = counts(scores) | {"heads_total": float(total), "top_count": float(top)}
    found |= _sets(values, names, top, seed)
    for d in DIRECTIONS:
        order = (
            np.argsort(-values[d].to_numpy().mean(axis=0), kind="stable") if len(values[d]) else []
        )
        found[f"top_heads_{d}"] = (
            ", ".join("{}.{}".format(*names[index]) for index in order[:5]) or "not measured"
        )
        found |= _concentration(values[d], top, d, seed)
        found |= _blocking(interventions[interventions["following"] == d], d, seed)
        found |= _amplification(interventions[interventions["following"] == d], d, seed)
        found |= short(f"failures_{d}", found[f"failures_{d}"], wanted)
    return found


def _sets(values, names, top, seed):
    """Where the top heads lie and how many are the same in both directions, with intervals from
    resampled samples.

    Samples of one wording, or one picture, are drawn together, in both directions or in neither.
    """
    layers = np.array([layer for layer, _ in names])
    last_third = layers >= 2 * (layers.max() + 1) // 3
    labels = [
        table.index if clusters(table) is None else clusters(table) for table in values.values()
    ]
    labels = np.concatenate(labels)
    groups = len(np.unique(labels))
    sizes = [len(table) for table in values.values()]
    counts = np.split(resamples(sum(sizes), seed, DRAWS, labels), np.cumsum(sizes)[:-1], axis=1)
    orders = {}
    for (d, table), count in zip(values.items(), counts):
        weights = np.vstack([np.ones(len(table)), count])
        orders[d] = np.argsort(-(weights @ table.to_numpy()), axis=1, kind="stable")

    # The order of no samples is none.
    measured = {d: 1.0 if len(table) else math.nan for d, table in values.items()}

    def overlap(size):
        common = [
            len(np.intersect1d(a[:size], b[:size]))
            for a, b in zip(orders["text"], orders["vision"])
        ]
        return np.array(common, float) * measured["text"] * measured["vision"]

    found = {"overlap_top_chance": top**2 / len(names), "overlap_ten_chance": 100 / len(names)}
    found |= drawn("overlap_top", overlap(top), groups, above=top**2 / len(names))
    found |= drawn("overlap_ten", overlap(10), groups, above=100 / len(names))
    for name, size in (("top", top), ("ten", 10)):
        found |= drawn(
            f"over_overlap_{name}",
            overlap(size)
            - _same_layers(orders["text"][:, :size], orders["vision"][:, :size], layers),
            groups,
        )
    found |= drawn("overlap_fall", overlap(10) / 10 - overlap(top) / top, groups, above=0.0)
    for d in DIRECTIONS:
        found |= drawn(
            f"deep_share_{d}",
            last_third[orders[d][:, :top]].mean(axis=1) * measured[d],
            groups,
            above=0.5,
        )
    if not all(sizes):
        return found | {"shared_heads": "not measured"}
    common = sorted(set(orders["text"][0][:top]) & set(orders["vision"][0][:top]))
    return found | {
        "shared_heads": ", ".join("{}.{}".format(*names[index]) for index in common) or "none"
    }


def _same_layers(text, vision, layers):
    """Heads in common by chance, if each direction's are drawn from the layers in which they lie:
    for each row of resampled top sets.
    """
    names, of = np.unique(layers, return_inverse=True)

    def count_heads(rows):
        return np.stack([np.bincount(of[row], minlength=len(names)) for row in rows])

    return (count_heads(text) * count_heads(vision) / np.bincount(of)).sum(axis=1)


def _concentration(values, top, d, seed):
    """Share of all absolute contributions that the top heads carry; one half of the samples ranks,
    the other is measured.
    """
    first, second = values.iloc[::2].to_numpy(), values.iloc[1::2].abs()
    if not len(second):
        return estimate(f"concentration_{d}", [], seed, above=0.25)
    chosen = np.argsort(-first.mean(axis=0), kind="stable")[:top]
    return estimate(
        f"concentration_{d}",
        second.iloc[:, chosen].sum(axis=1) / second.sum(axis=1),
        seed,
        above=0.25,
    )


def _blocking(table, d, seed):
    rows = table[table["setting"] == "blocking"]
    original = followed(rows[rows["heads"] == "original"])
    found = {f"n_blocked_{d}": float(rows["sample"].nunique())} | estimate(
        f"block_original_{d}", original, seed, RATE
    )
    for positions, suffix in (("instruction", ""), ("last", "_last"), ("both", "_both")):
        here = scaled_at(rows, positions, share=SHARE)
        sets = {name: here[here["heads"] == name] for name in SETS}
        follows = {name: followed(rows) for name, rows in sets.items()}
        for name, values in follows.items():
            found |= estimate(f"block_{name}_{d}{suffix}", values, seed, RATE)
        for name, end in (("random", ""), ("matched", "_matched")):
            found |= estimate(
                f"contrast_necessity{end}_{d}{suffix}",
                (follows[name] - follows["target"]).dropna(),
                seed,
                CHANGE,
                above=0.0,
            )
            found[f"among_{name}_{d}{suffix}"] = among(sets["target"], sets[name], -1)
        found[f"draws_{d}{suffix}"] = float(sets["random"]["draw"].nunique())
        for name in ("target", "random"):
            found |= estimate(
                f"drop_{name}_{d}{suffix}", (original - follows[name]).dropna(), seed, CHANGE
            )
    return found


#: Kinds of failures, as the column source has them, and how the numbers' names end.
NATURAL = "natural"
KINDS = {"": None, "natural_": NATURAL}


def _amplification(table, d, seed):
    rows = table[table["setting"] == "amplification"]
    sources = (
        sorted({str(source) for source in rows["source"].dropna() if source})
        if "source" in rows
        else []
    )
    found = {f"failures_source_{d}": ", ".join(sources) or "none"}
    mixed = rows.loc[rows["mix"] > 0] if "mix" in rows else rows[:0]
    found |= {
        f"weakened_{d}": float(mixed["sample"].nunique()),
        f"mix_{d}": float(mixed["mix"].mean()) if len(mixed) else math.nan,
        f"failures_wordings_{d}": _restored_by_wording(rows),
    }
    found |= estimate(
        f"amplify_original_{d}", followed(rows[rows["heads"] == "original"]), seed, RATE
    )
    for kind, source in KINDS.items():
        own = rows if source is None else rows[rows["source"] == source] if sources else rows[:0]
        found |= _restored(own, f"{kind}{d}", seed)
    return found


def _restored_by_wording(rows):
    """What doubling the top heads, and random ones, restores of each wording's failures."""
    here = scaled_at(rows, "instruction", factor=FACTOR)
    called = {"top heads": "target", "random": "random"}
    return tell_wordings(rows, {name: here[here["heads"] == one] for name, one in called.items()})


def _restored(rows, name, seed):
    """What amplification restores of some failures; all of them, or one kind."""
    found = {f"failures_{name}": float(rows["sample"].nunique())}
    rows = rows[rows["positions"] == "instruction"]
    here = scaled_at(rows, "instruction", factor=FACTOR)
    sets = {kind: here[here["heads"] == kind] for kind in SETS}
    follows = {kind: followed(some) for kind, some in sets.items()}
    for kind, values in follows.items():
        found |= estimate(f"amplify_{kind}_{name}", values, seed, RATE)
    for kind, end in (("random", ""), ("matched", "_matched")):
        more = (follows["target"] - follows[kind]).dropna()
        found |= estimate(f"contrast_sufficiency{end}_{name}", more, seed, CHANGE, above=0.0)
        found[f"amplify_among_{kind}_{name}"] = among(sets["target"], sets[kind], 1)
    found[f"amplify_draws_{name}"] = float(sets["random"]["draw"].nunique())
    more = (follows["target"] - follows["shared"]).dropna()
    found |= estimate(f"contrast_hubs_{name}", more, seed, CHANGE, above=0.0)
    target = rows[rows["heads"] == "target"]
    curve = {factor: followed(part) for factor, part in target.groupby("factor")}
    return found | best(name, curve, seed, above=-0.1)
