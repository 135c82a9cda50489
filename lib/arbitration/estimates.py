"""Means with intervals as named numbers, and what the summaries share: thirds of the layers, tables as samples × layers."""

import math

import numpy as np

from arbitration.measure import critical_layers
from arbitration.metrics import bootstrap
from arbitration.paper import verdict

DIRECTIONS = ("text", "vision")
RESAMPLES = 1000  # of a ratio
MARGINAL = 0.1  # nats: on the authors' own curves no direct path reaches it


def depth(layers):
    """Ranges of shallow, deep and critical layers of a model with `layers` layers."""
    return {"shallow": range(layers // 3), "deep": range(2 * layers // 3, layers),
            "critical": critical_layers(layers)}


def estimate(name, values, seed=0, **rule):
    """Mean and interval of per-sample values as dictionary entries.

    Parameters
    ----------
    name : str
    values : array_like, (n_samples,)
    seed : int
        Of the bootstrap.
    **rule
        An expectation of `paper.verdict`, such as ``above=0.1``.

    Returns
    -------
    dict
        ``name``, ``name_low`` and ``name_high`` as plain floats, NaN without samples; ``name_verdict`` when there is a rule.
    """
    values = np.asarray(values, float)
    if not len(values):
        found = {name: math.nan, f"{name}_low": math.nan, f"{name}_high": math.nan}
    else:
        mean, low, high = bootstrap(values, seed=seed)
        found = {name: float(mean), f"{name}_low": float(low), f"{name}_high": float(high)}
    if rule:
        found[f"{name}_verdict"] = verdict(found[f"{name}_low"], found[f"{name}_high"], **rule)
    return found


def drawn(name, draws, **rule):
    """An estimate from its resamples: the first entry is the estimate, the others are what resampled samples give.

    Returns
    -------
    dict
        As `estimate`; the interval is that of the resamples, NaN if one of them is.
    """
    low, high = np.quantile(draws[1:], [0.025, 0.975])
    found = {name: float(draws[0]), f"{name}_low": float(low), f"{name}_high": float(high)}
    return found | ({f"{name}_verdict": verdict(low, high, **rule)} if rule else {})


def ratio(name, part, whole, seed=0):
    """Mean of `part` over mean of `whole` as an estimate, samples resampled together.

    Parameters
    ----------
    part, whole : array_like, (n_samples,)
        In the same unit and the same order of samples.

    Returns
    -------
    dict
        As `estimate`; NaN unless the mean of `whole` is positive in every resample: a share of nothing is no share.
    """
    part, whole = np.asarray(part, float), np.asarray(whole, float)
    if not len(part):
        return estimate(name, part)
    random = np.random.default_rng(seed).multinomial(len(part), np.full(len(part), 1 / len(part)), size=RESAMPLES)
    weights = np.vstack([np.ones(len(part)), random])
    parts, wholes = weights @ part, weights @ whole
    return drawn(name, parts / wholes if (wholes > 0).all() else np.full(len(weights), math.nan))


def wide(table, value, along="layer"):
    """Values as samples × levels of `along`, samples in their sorted order."""
    return table.pivot_table(index="sample", columns=along, values=value, aggfunc="mean", observed=True)


def counts(table):
    """Number of distinct samples of each direction, as ``n_text`` and ``n_vision``."""
    return {f"n_{d}": float(table.loc[table["following"] == d, "sample"].nunique()) for d in DIRECTIONS}
