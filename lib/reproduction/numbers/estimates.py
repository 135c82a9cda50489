"""Means with intervals as named numbers, and what the summaries share: thirds of the layers, tables
as samples × layers.

Samples that show one picture, or are asked in one wording, are drawn together wherever a table has
the columns image and wording (`store.gather` gives them). Where a direction, a control or a set of
heads has no sample, its table here has no row, and its number is NaN with n = 0: not measured.
"""

import math

import numpy as np
import pandas as pd

from arbitration.equations.metrics import mfr
from arbitration.uncertainty import (
    CONFIDENCE,
    at_least_as_strong,
    join_clusters,
    resamples,
    share,
    share_difference,
    simultaneous,
    student,
)
from reproduction.claims.rules import seen_from, verdict
from reproduction.measures.paths import critical_layers, lead_lost

DIRECTIONS = ("text", "vision")
RESAMPLES = 1000  # of a ratio
MARGINAL = 0.1  # nats: on the authors' own curves no direct path reaches it
LEVEL = 0.1  # of the samples: what we call no change
#: What kind of number a sample has, and the interval that knows it: any; between 0 and 1, as an
#: answer that follows or not; between −1 and 1, as the difference of two such.
MEAN, RATE, CHANGE = simultaneous, share, share_difference


def depth(layers):
    """Ranges of shallow, deep and critical layers of a model with `layers` layers."""
    return {
        "shallow": range(layers // 3),
        "deep": range(2 * layers // 3, layers),
        "critical": critical_layers(layers),
    }


def estimate(name, values, seed=0, kind=MEAN, **rule):
    """Mean and interval of per-sample values as dictionary entries.

    Parameters
    ----------
    name : str
    values : array_like, (n_samples,)
        A Series whose index has the levels image and wording is resampled by them (`clusters`).
    seed : int
        Of the bootstrap.
    kind : {MEAN, RATE, CHANGE}
        What the values are.
    **rule
        A prediction as in `rules.verdict`, such as ``above=0.1``.

    Returns
    -------
    dict
        ``name``, ``name_low`` and ``name_high`` as plain floats, NaN without samples;
        ``name_verdict``, ``name_size`` (see `size`) and ``name_seen`` (`rules.seen_from`) when
        there is a rule.
    """
    found = dict.fromkeys((name, f"{name}_low", f"{name}_high"), math.nan)
    if len(values):
        found = _named(name, *kind(values, seed=seed, clusters=clusters(values)))
    return found | _judged(name, found, values, rule)


def chosen(name, values, at, seed=0, kind=MEAN, **rule):
    """As `estimate`, of one column that was chosen by looking at all of them, such as the layer of
    an extreme.

    Parameters
    ----------
    values : DataFrame, (n_samples, n_choices)
        All columns that could have been chosen.
    at : label
        The one that was, such as that of `extreme`.
    kind
        As in `estimate`.

    Returns
    -------
    dict
        The interval is that of the band that covers all columns together: it holds whichever was
        chosen. The mean itself stays flattered
        by the choice. NaN without samples.
    """
    if not len(values):
        return estimate(name, [], seed, kind, **rule)
    place = values.columns.get_loc(at)
    mean, low, high = kind(values, seed=seed, clusters=clusters(values))
    found = _named(name, mean[place], low[place], high[place])
    return found | _judged(name, found, values[at], rule)


def tell_beside(name, rows, layer):
    """What stands beside an NSSD at a layer, from the same rows: the median sample as
    ``name_median``, and the mean of the lead lost there (`paths.lead_lost`) as ``name_lead``; NaN
    without samples.
    """
    at = rows[rows["layer"] == layer]
    values = at["nssd"].median(), lead_lost(at).mean()
    return {f"{name}_{what}": float(one) for what, one in zip(("median", "lead"), values)}


def extreme(curve, by=None):
    """The column in which a mean over samples is largest, the first of equals; NaN where there is
    no sample.

    Parameters
    ----------
    curve : DataFrame, (n_samples, n_columns)
    by : callable, optional
        What is looked for instead of the mean itself: ``np.negative`` gives the smallest,
        ``np.abs`` the one farthest from zero.
    """
    if not len(curve):
        return math.nan
    mean = curve.mean()
    return (by(mean) if by else mean).idxmax()


def best(name, curve, seed=0, **rule):
    """Where amplification restores most, and what the largest factor leaves of it.

    Parameters
    ----------
    name : str
    curve : dict of factor to Series, (n_samples,)
        Modality-following ratio of each sample.

    Returns
    -------
    dict
        ``amplify_best_<name>``, with an interval that knows that the factor was chosen,
        ``…_factor``; ``plateau_<name>``: the largest factor's ratio minus the best one's, with the
        verdict of `rule`, which is 0 where the largest is the best; and, which no choice flatters,
        ``rise_<name>``, the largest factor's ratio minus the smallest's, and ``level_<name>``, the
        largest's minus the next to it. Where nothing is restored there is none of these.
    """
    values = pd.DataFrame(curve)
    restored = len(values) > 0 and values.mean().max() > 0
    at = values.mean().idxmax() if len(values) else math.nan
    found = (
        chosen(f"amplify_best_{name}", values, at, seed, RATE)
        if len(values)
        else estimate(f"amplify_best_{name}", [])
    )
    found[f"amplify_best_{name}_factor"] = float(at) if restored else math.nan
    order = sorted(values)
    kept = values[order[-1]] - values[at] if restored else []
    found |= estimate(f"plateau_{name}", kept, seed, CHANGE, **rule)
    several = restored and len(order) > 1
    same = {"within": (-LEVEL, LEVEL)}
    for what, low, wanted in (("rise", 0, {"above": 0.0}), ("level", -2, same)):
        grown = values[order[-1]] - values[order[low]] if several else []
        found |= estimate(f"{what}_{name}", grown, seed, CHANGE, **wanted)
    return found


def differences(more, less):
    """Every column of one curve minus every column of another, in the samples that both have:
    samples × (column, column).

    The difference of two extremes is one of these, chosen by looking at all.
    """
    both = more.index.intersection(less.index)
    more, less = more.loc[both], less.loc[both]
    pairs = pd.MultiIndex.from_product([more.columns, less.columns])
    values = more.to_numpy(float)[:, :, None] - less.to_numpy(float)[:, None, :]
    return pd.DataFrame(values.reshape(len(both), len(pairs)), index=both, columns=pairs)


def paired(more, less):
    """By how much one value of a sample exceeds another, in the samples that have both."""
    both = more.index.intersection(less.index)
    return more.loc[both] - less.loc[both]


def _named(name, *numbers):
    return {
        key: float(number)
        for key, number in zip((name, f"{name}_low", f"{name}_high"), numbers, strict=True)
    }


def _judged(name, found, values, rule):
    if not rule:
        return {}
    measured = (found[f"{name}{end}"] for end in ("", "_low", "_high"))
    words = "resampled" if values is None else size(values, **rule)
    return {
        f"{name}_verdict": verdict(*measured, **rule),
        f"{name}_size": words,
        f"{name}_seen": seen_from(found[f"{name}_low"], found[f"{name}_high"]),
    }


def size(values, above=None, below=None, within=None) -> str:
    """The size of an effect in words, with its n: of a contrast with 0 Cohen's d of paired values,
    d_z, the mean in standard deviations over samples.

    Positive is the side on which the rule is met. Against a bound that is not 0, such as a share of
    0.95, the distance in standard deviations is the size of no effect, and n stands alone.

    Parameters
    ----------
    values : array_like, (n_samples,)
    above, below, within
        The rule, as in `rules.verdict`.
    """
    words = f"n = {len(values)}"
    if len(values) and isinstance(values, pd.Series) and "wording" in values.index.names:
        told = values.index.get_level_values("wording")
        words += f" in {told.nunique()} wording" + "s" * (told.nunique() > 1) if any(told) else ""
    values = np.asarray(values, float)
    bound = above if above is not None else below
    if bound != 0 or len(values) < 2:
        return words
    spread = values.std(ddof=1)
    if spread <= 1e-12 * np.abs(values).max():
        return f"no spread, {words}"
    return f"d = {values.mean() / spread * (1 if above is not None else -1):.2f}, {words}"


def drawn(name, draws, groups, **rule):
    """An estimate from its resamples: the first entry is the estimate, the others are what
    resampled samples give.

    Parameters
    ----------
    name : str
    draws : array_like, (1 + n_resamples,)
    groups : int or None
        How many clusters were resampled: few spread less than they should, and the interval's ends
        are moved away from the estimate as Student's t is from the normal. None for draws that are
        no resamples.

    Returns
    -------
    dict
        As `estimate`; the interval is that of the resamples, NaN if one of them is or there is one
        cluster. The size is "resampled": there are no values of samples.
    """
    few = 1.0 if groups is None else math.nan
    if groups is not None and groups > 1:
        few = student(CONFIDENCE, groups - 1) / student(CONFIDENCE, 10**6)
        few *= math.sqrt(groups / (groups - 1))
    ends = np.quantile(draws[1:], [0.025, 0.975])
    found = _named(name, draws[0], *(draws[0] + few * (ends - draws[0])))
    return found | _judged(name, found, None, rule)


def ratio(name, part, whole, seed=0):
    """Mean of `part` over mean of `whole` as an estimate, samples resampled together.

    Parameters
    ----------
    part, whole : array_like, (n_samples,)
        In the same unit and the same order of samples.

    Returns
    -------
    dict
        As `estimate`; NaN unless the mean of `whole` is positive in every resample: a share of
        nothing is no share.
    """
    if not len(part):
        return estimate(name, part)
    random, groups = resamples(len(part), seed, RESAMPLES, clusters(part)), count_groups(part)
    part, whole = np.asarray(part, float), np.asarray(whole, float)
    weights = np.vstack([np.ones(len(part)), random])
    parts, wholes = weights @ part, weights @ whole
    shares = parts / wholes if (wholes > 0).all() else np.full(len(weights), math.nan)
    return drawn(name, shares, groups)


def count_groups(values) -> int:
    """How many clusters some samples are."""
    labels = clusters(values)
    return len(values) if labels is None else len(np.unique(labels))


def wide(table, value, along="layer", **levels):
    """Values as samples × levels of `along`, samples in their sorted order.

    Parameters
    ----------
    table : DataFrame
    value : str
    along : str, or list of str
    **levels
        Only rows with these levels of other columns, such as ``following="text"``. Where there are
        none, the result has no row, and for its columns what the whole table has along `along`.
    """
    rows = table
    for name, level in levels.items():
        rows = rows[rows[name] == level]
    found = rows.pivot_table(
        index=per_sample(rows), columns=along, values=value, aggfunc="mean", observed=True
    )
    if len(found) or not len(table):
        return found
    return found.reindex(
        columns=table.pivot_table(
            index=per_sample(table), columns=along, values=value, observed=True
        ).columns
    )


def per_sample(table):
    """The columns that tell samples apart: with image and wording, where the table has them."""
    return ["sample", *(name for name in ("image", "wording") if name in table)]


def clusters(values):
    """Which samples belong together, as labels for `uncertainty.resamples`; None where only samples
    are known.

    Samples of one wording are one cluster, and so are samples that show one picture; where that
    would leave a single cluster of several wordings, the wordings alone count. A sample whose set
    has one wording (`Prompt.wording` is empty) is told by its picture.
    """
    known = isinstance(values, (pd.Series, pd.DataFrame)) and "image" in values.index.names
    if not known:
        return None
    image = values.index.get_level_values("image").astype(str)
    if "wording" not in values.index.names:
        return np.asarray(image)
    wording = values.index.get_level_values("wording").astype(str)
    said = np.where(wording == "", "picture " + image, wording).astype(object)
    joined = said[join_clusters(said, image)]
    return said if len(np.unique(joined)) == 1 else joined


def scaled_at(table, positions, **level):
    """The rows in which heads are scaled at some positions, at one level of share or factor."""
    ((column, value),) = level.items()
    same = np.isclose(table[column].astype(float), value)
    return table[(table["positions"] == positions) & same]


def followed(table):
    """Modality-following ratio of each sample (`metrics.mfr`), over its random draws."""
    return table.groupby(per_sample(table))["outcome"].agg(mfr).astype(float)


def among(target, control, sign):
    """Where a set of heads falls among the draws of its control: the share of draws that move
    following at least as far, the set counted in.

    Parameters
    ----------
    target, control : DataFrame
        Rows of the set and of all draws of the control, each of which has one row a sample.
    sign : {-1, 1}
        Which way is far: down when heads are blocked, up when they are amplified.
    """
    draws = control.groupby("draw")["outcome"].agg(mfr).astype(float)
    return at_least_as_strong(sign * followed(target).mean(), sign * draws)
