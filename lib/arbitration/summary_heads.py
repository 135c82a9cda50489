"""The numbers that the book quotes about single heads (Figs. 8 and 9); see `estimates` for how keys are named."""

import math

import numpy as np

from arbitration.estimates import DIRECTIONS, counts, drawn, estimate, wide

SHARE, FACTOR = 0.05, 2.0  # the paper's 40 of 784 heads; the factor at which amplification is quoted
DRAWS = 500


def heads(scores, interventions, seed=0):
    """Numbers of Section 4.2: how few heads carry the margin, and what blocking or amplifying them does.

    Parameters
    ----------
    scores : DataFrame
        One row per prompt × layer × head: sample, following, layer, head, margin (Eq. 12, logits).
    interventions : DataFrame
        The table of Fig. 9.
    """
    values = {d: wide(scores[scores["following"] == d], "margin", ["layer", "head"]) for d in DIRECTIONS}
    names = list(values["text"].columns)
    total = len(names)
    top = max(1, int(SHARE * total))
    found = counts(scores) | {"heads_total": float(total), "top_count": float(top)}
    found |= _sets(values, names, top, seed)
    for d in DIRECTIONS:
        order = np.argsort(-values[d].to_numpy().mean(axis=0), kind="stable")
        found[f"top_heads_{d}"] = ", ".join("{}.{}".format(*names[index]) for index in order[:5])
        found |= _concentration(values[d].to_numpy(), top, d, seed)
        found |= _blocking(interventions[interventions["following"] == d], d, seed)
        found |= _amplification(interventions[interventions["following"] == d], d, seed)
    return found


def _sets(values, names, top, seed):
    """Where the top heads lie and how many are the same in both directions, with intervals from resampled samples."""
    layers = np.array([layer for layer, _ in names])
    last_third = layers >= 2 * (layers.max() + 1) // 3
    random = np.random.default_rng(seed)
    orders = {}
    for d, table in values.items():
        n = len(table)
        weights = np.vstack([np.full(n, 1 / n), random.multinomial(n, np.full(n, 1 / n), size=DRAWS) / n])
        orders[d] = np.argsort(-(weights @ table.to_numpy()), axis=1, kind="stable")

    def overlap(size):
        return np.array([len(np.intersect1d(a[:size], b[:size])) for a, b in zip(orders["text"], orders["vision"])], float)

    found = {"overlap_top_chance": top**2 / len(names), "overlap_ten_chance": 100 / len(names)}
    found |= drawn("overlap_top", overlap(top), above=top**2 / len(names))
    found |= drawn("overlap_ten", overlap(10), above=100 / len(names))
    for name, size in (("top", top), ("ten", 10)):
        found |= drawn(f"over_overlap_{name}", overlap(size) - _same_layers(orders["text"][:, :size], orders["vision"][:, :size], layers))
    for d in DIRECTIONS:
        found |= drawn(f"deep_share_{d}", last_third[orders[d][:, :top]].mean(axis=1), above=0.5)
    common = sorted(set(orders["text"][0][:top]) & set(orders["vision"][0][:top]))
    return found | {"shared_heads": ", ".join("{}.{}".format(*names[index]) for index in common) or "none"}


def _same_layers(text, vision, layers):
    """Heads in common by chance, if each direction's are drawn from the layers in which they lie: for each row of resampled top sets."""
    names, of = np.unique(layers, return_inverse=True)
    text, vision = (np.stack([np.bincount(of[row], minlength=len(names)) for row in rows]) for rows in (text, vision))
    return (text * vision / np.bincount(of)).sum(axis=1)


def _concentration(values, top, d, seed):
    """Share of all absolute contributions that the top heads carry; one half of the samples ranks, the other is measured."""
    first, second = values[::2], np.abs(values[1::2])
    chosen = np.argsort(-first.mean(axis=0), kind="stable")[:top]
    return estimate(f"concentration_{d}", second[:, chosen].sum(axis=1) / second.sum(axis=1), seed, above=0.25)


def _following(rows):
    """Modality-following ratio of each sample, random draws averaged within it."""
    return (rows["outcome"] == "follow").groupby(rows["sample"]).mean()


def _blocking(table, d, seed):
    rows = table[table["setting"] == "blocking"]
    original = _following(rows[rows["heads"] == "original"])
    found = {f"n_blocked_{d}": float(rows["sample"].nunique())} | estimate(f"block_original_{d}", original, seed)
    for positions, suffix in (("instruction", ""), ("last", "_last"), ("both", "_both")):
        here = rows[(rows["positions"] == positions) & np.isclose(rows["share"].astype(float), SHARE)]
        follows = {name: _following(here[here["heads"] == name]) for name in ("target", "random", "shared")}
        for name, values in follows.items():
            found |= estimate(f"block_{name}_{d}{suffix}", values, seed)
        found |= estimate(f"contrast_necessity_{d}{suffix}", (follows["random"] - follows["target"]).dropna(), seed, above=0.0)
        for name in ("target", "random"):
            found |= estimate(f"drop_{name}_{d}{suffix}", (original - follows[name]).dropna(), seed)
    return found


def _amplification(table, d, seed):
    rows = table[table["setting"] == "amplification"]
    sources = sorted({str(source) for source in rows["source"].dropna() if source}) if "source" in rows else []
    found = {f"failures_{d}": float(rows["sample"].nunique()), f"failures_source_{d}": ", ".join(sources) or "none"}
    mixed = rows.loc[rows["mix"] > 0] if "mix" in rows else rows[:0]
    found |= {f"weakened_{d}": float(mixed["sample"].nunique()), f"mix_{d}": float(mixed["mix"].mean()) if len(mixed) else math.nan}
    found |= estimate(f"amplify_original_{d}", _following(rows[rows["heads"] == "original"]), seed)
    rows = rows[rows["positions"] == "instruction"]
    here = rows[np.isclose(rows["factor"].astype(float), FACTOR)]
    follows = {name: _following(here[here["heads"] == name]) for name in ("target", "random", "shared")}
    for name, values in follows.items():
        found |= estimate(f"amplify_{name}_{d}", values, seed)
    found |= estimate(f"contrast_sufficiency_{d}", (follows["target"] - follows["random"]).dropna(), seed, above=0.0)
    found |= estimate(f"contrast_hubs_{d}", (follows["target"] - follows["shared"]).dropna(), seed, above=0.0)
    target = rows[rows["heads"] == "target"]
    curve = {factor: _following(part) for factor, part in target.groupby("factor")}
    best = max(curve, key=lambda factor: curve[factor].mean(), default=math.nan)
    found |= estimate(f"amplify_best_{d}", curve.get(best, []), seed)
    restored = found[f"amplify_best_{d}"] > 0  # where nothing is restored there is no best factor and no plateau
    found[f"amplify_best_{d}_factor"] = float(best) if restored else math.nan
    return found | estimate(f"plateau_{d}", curve[max(curve)] - curve[best] if restored else [], seed, above=-0.1)
