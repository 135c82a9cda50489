"""Means with intervals as named numbers, and what the summaries share: thirds of the layers, tables
as samples × layers.

Samples that show the same picture are resampled together wherever a table has the column image
(`store.gather` gives it). Where a direction, a control or a set of heads has no sample, its table
here has no row, and its number is NaN with n = 0: not measured.
"""

import math

import numpy as np
import pandas as pd

from arbitration.equations.metrics import mfr
from arbitration.uncertainty import at_least_as_strong, bootstrap, resamples, simultaneous
from reproduction.claims.rules import verdict
from reproduction.measures.paths import critical_layers

DIRECTIONS = ("text", "vision")
RESAMPLES = 1000  # of a ratio
MARGINAL = 0.1  # nats: on the authors' own curves no direct path reaches it


def depth(layers):
    """Ranges of shallow, deep and critical layers of a model with `layers` layers."""
    return {
        "shallow": range(layers // 3),
        "deep": range(2 * layers // 3, layers),
        "critical": critical_layers(layers),
    }


def estimate(name, values, seed=0, **rule):
    """Mean and interval of per-sample values as dictionary entries.

    Parameters
    ----------
    name : str
    values : array_like, (n_samples,)
        A Series whose index has a level image is resampled by it.
    seed : int
        Of the bootstrap.
    **rule
        A prediction as in `rules.verdict`, such as ``above=0.1``.

    Returns
    -------
    dict
        ``name``, ``name_low`` and ``name_high`` as plain floats, NaN without samples;
        ``name_verdict`` and ``name_size`` (see `size`) when there is a rule.
    """
    found = dict.fromkeys((name, f"{name}_low", f"{name}_high"), math.nan)
    if len(values):
        found = _named(name, *bootstrap(values, seed=seed, clusters=images(values)))
    return found | _judged(name, found, values, rule)


def chosen(name, values, at, seed=0, **rule):
    """As `estimate`, of one column that was chosen by looking at all of them, such as the layer of
    an extreme.

    Parameters
    ----------
    values : DataFrame, (n_samples, n_choices)
        All columns that could have been chosen.
    at : label
        The one that was, such as that of `extreme`.

    Returns
    -------
    dict
        The interval is that of the band that covers all columns together
        (`uncertainty.simultaneous`): it holds whichever was chosen. The mean itself stays flattered
        by the choice. NaN without samples.
    """
    if not len(values):
        return estimate(name, [], seed, **rule)
    place = values.columns.get_loc(at)
    mean, low, high = simultaneous(values, seed=seed, clusters=images(values))
    found = _named(name, mean[place], low[place], high[place])
    return found | _judged(name, found, values[at], rule)


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
        ``…_factor``, and ``plateau_<name>``: the largest factor's ratio minus the best one's, with
        the verdict of `rule`. Where nothing is restored there is no best factor and no plateau.
    """
    values = pd.DataFrame(curve)
    restored = len(values) > 0 and values.mean().max() > 0
    at = values.mean().idxmax() if len(values) else math.nan
    found = (
        chosen(f"amplify_best_{name}", values, at, seed)
        if len(values)
        else estimate(f"amplify_best_{name}", [])
    )
    found[f"amplify_best_{name}_factor"] = float(at) if restored else math.nan
    return found | estimate(
        f"plateau_{name}", values[max(values)] - values[at] if restored else [], seed, **rule
    )


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
    return {f"{name}_verdict": verdict(*measured, **rule), f"{name}_size": words}


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
    values = np.asarray(values, float)
    words = f"n = {len(values)}"
    bound = above if above is not None else below
    if bound != 0 or len(values) < 2:
        return words
    spread = values.std(ddof=1)
    if spread <= 1e-12 * np.abs(values).max():
        return f"no spread, {words}"
    return f"d = {values.mean() / spread * (1 if above is not None else -1):.2f}, {words}"


def drawn(name, draws, **rule):
    """An estimate from its resamples: the first entry is the estimate, the others are what
    resampled samples give.

    Returns
    -------
    dict
        As `estimate`; the interval is that of the resamples, NaN if one of them is. The size is
        "resampled": there are no values of samples.
    """
    found = _named(name, draws[0], *np.quantile(draws[1:], [0.025, 0.975]))
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
    random = resamples(len(part), seed, RESAMPLES, images(part))
    part, whole = np.asarray(part, float), np.asarray(whole, float)
    weights = np.vstack([np.ones(len(part)), random])
    parts, wholes = weights @ part, weights @ whole
    return drawn(name, parts / wholes if (wholes > 0).all() else np.full(len(weights), math.nan))


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
    """The columns that tell samples apart: with the image, where the table has it."""
    return ["sample", "image"] if "image" in table else ["sample"]


def images(values):
    """The image of each sample, as clusters of `uncertainty.resamples`; None where only samples are
    known.
    """
    known = isinstance(values, (pd.Series, pd.DataFrame)) and "image" in values.index.names
    return values.index.get_level_values("image") if known else None


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
        Rows of the set and of all draws of the control.
    sign : {-1, 1}
        Which way is far: down when heads are blocked, up when they are amplified.
    """
    return at_least_as_strong(
        sign * followed(target).mean(),
        [sign * followed(draw).mean() for _, draw in control.groupby("draw")],
    )


def short(name, found, wanted):
    """How many failures were wanted, and how many of them were not found."""
    return {f"wanted_{name}": float(wanted), f"short_{name}": float(max(0, wanted - found))}


def counts(table):
    """Number of distinct samples of each direction, as ``n_text`` and ``n_vision``."""
    return {
        f"n_{d}": float(table.loc[table["following"] == d, "sample"].nunique()) for d in DIRECTIONS
    }


def least_controls(table):
    """Number of samples with a control in the direction that has fewer of them, among the
    directions that have samples.
    """
    return float(
        table[table["control"]]
        .groupby("following")["sample"]
        .nunique()
        .reindex(table["following"].unique(), fill_value=0)
        .min()
    )
