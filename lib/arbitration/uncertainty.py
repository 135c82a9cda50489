"""Intervals, bands, ranks and Monte Carlo p values: numbers in, numbers out.

Samples are drawn from clusters, such as the sentences of their instructions, and there may be few
of these. Every interval therefore knows how many clusters it rests on, and none is without width
because the samples at hand happen to agree.
"""

from math import inf, sqrt
from statistics import NormalDist

import numpy as np

DRAWS = 2000
CONFIDENCE = 0.95


def resamples(n: int, seed: int = 0, draws: int = DRAWS, clusters=None) -> np.ndarray:
    """How often each sample is in each bootstrap resample.

    Parameters
    ----------
    n : int
    seed, draws : int
        Seed of the resampling, number of resamples.
    clusters : array_like, optional, (n_samples,)
        Labels, such as the samples' wordings. Samples that share one are drawn together, as many
        clusters as there are.

    Returns
    -------
    ndarray of int, (draws, n_samples)
        With clusters of several sizes the rows have several sums.

    Raises
    ------
    ValueError
        If there is not one label for each sample.
    """
    members = _members(n, clusters)
    if not n:
        return np.zeros((draws, 0), dtype=int)
    counts = _drawn(members.max() + 1, seed, draws)
    return counts if counts.shape[1] == n else counts[:, members]


def _members(n: int, clusters) -> np.ndarray:
    """The number of each sample's cluster."""
    labels = np.arange(n) if clusters is None else np.asarray(clusters)
    if len(labels) != n:
        why = f"clusters need one label for each of the {n} samples; got {len(labels)}"
        raise ValueError(why)
    return np.unique(labels, return_inverse=True)[1]


def _drawn(found: int, seed: int, draws: int) -> np.ndarray:
    """How often each cluster is in each resample: one matrix product then gives all means."""
    return np.random.default_rng(seed).multinomial(found, np.full(found, 1 / found), size=draws)


def join_clusters(*labels) -> np.ndarray:
    """One label for each sample from several ways in which samples belong together: samples that
    share any of them are one cluster.

    Parameters
    ----------
    *labels : array_like, (n_samples,)

    Examples
    --------
    The first two share the first label, the last two the second:

    >>> join_clusters(["a", "a", "b", "c"], [1, 2, 3, 3]).tolist()
    [0, 0, 2, 2]
    """
    found = np.arange(len(labels[0]))
    settled = False
    while not settled:
        before = found
        for way in labels:
            _, members = np.unique(np.asarray(way), return_inverse=True)
            least = np.full(members.max(initial=-1) + 1, len(found))
            np.minimum.at(least, members, found)
            found = least[members]
        settled = np.array_equal(found, before)
    return found


def student(confidence: float, freedom: int) -> float:
    """How many standard errors an interval of Student's t reaches on either side.

    Examples
    --------
    For one degree of freedom it is the tangent, and for many the normal's 1.96:

    >>> round(student(0.95, 1), 2), round(student(0.95, 7), 3), round(student(0.95, 10**6), 3)
    (12.71, 2.365, 1.96)
    """
    if freedom < 1:
        return inf
    if freedom > 1000:
        return NormalDist().inv_cdf(0.5 + confidence / 2)
    # With t = √ν tan θ the density of θ is proportional to cos θ to the power of ν − 1.
    angle = np.linspace(0, np.pi / 2, 20001)
    density = np.cos(angle) ** (freedom - 1)
    area = np.concatenate([[0], (density[1:] + density[:-1]).cumsum()])
    return float(sqrt(freedom) * np.tan(np.interp(confidence, area / area[-1], angle)))


def _samples(values) -> np.ndarray:
    values = np.asarray(values, dtype=float)
    if values.ndim == 0 or len(values) == 0:
        why = "an interval needs at least one sample along the first axis; got none"
        raise ValueError(why)
    return values


def _means(values: np.ndarray, members: np.ndarray, counts: np.ndarray):
    """Means of weighted clusters and their standard errors, both (draws, n_columns).

    The error is that of a ratio of sums over clusters, the sum of values over that of sizes, with
    the correction for few clusters, G/(G − 1).
    """
    found = counts.shape[1]
    sums = np.zeros((found, values.shape[1]))
    np.add.at(sums, members, values)
    sizes = np.bincount(members, minlength=found).astype(float)[:, None]
    whole = counts @ sizes
    mean = counts @ sums / whole
    squares = (
        counts @ sums**2 - 2 * mean * (counts @ (sums * sizes)) + mean**2 * (counts @ sizes**2)
    )
    return mean, np.sqrt(np.maximum(squares, 0.0) * found / max(found - 1, 1)) / whole


def simultaneous(values, seed: int = 0, draws: int = DRAWS, confidence=CONFIDENCE, clusters=None):
    """Mean over samples with a band that covers all its points together, so that looking for the
    most extreme one is allowed.

    A sup-t band (Montiel Olea and Plagborg-Møller, Journal of Applied Econometrics 34, 2019) for
    curves that are mostly zero and in a few samples large, as those of NSSD. In every resample each
    point's distance from the mean is divided by that resample's own standard error (the bootstrap-t
    of Efron 1981, which follows skewness) plus the largest standard error of the curve: a point at
    which the samples at hand agree is not thereby known. The largest of these gives one critical
    value for all points. What no sample at hand shows, no band knows: a share of 3/n of all samples
    that behave otherwise is missed in one run of twenty.

    Parameters
    ----------
    values : array_like, (n_samples, ...)
        Rows stay whole, so curves keep their correlation over columns.
    seed, draws, confidence
        Seed of the resampling, number of resamples, coverage of the band.
    clusters : array_like, optional, (n_samples,)
        What is resampled instead of single samples (see `resamples`).

    Returns
    -------
    mean, low, high : ndarray, (...)
        NaN where the mean is NaN (such a point does not count for the others), and the band of a
        single sample or cluster. Without width where all values are equal, about which resampling
        knows no more: `rules.verdict` takes nothing from it.

    Raises
    ------
    ValueError
        If there is no sample, or not one label for each.
    """
    values = _samples(values)
    flat, members = values.reshape(len(values), -1), _members(len(values), clusters)
    found = members.max() + 1
    mean, error = (part[0] for part in _means(flat, members, np.ones((1, found))))
    told = ~np.isnan(mean)
    # Rounding leaves equal samples an error of 1e-17, whose multiples mean nothing.
    scale = np.abs(flat[:, told]).max(initial=0.0)
    if found == 1:
        margin = np.full(mean.shape, np.nan)
    elif error[told].max(initial=0.0) <= 1e-12 * scale:
        margin = np.where(told, 0.0, np.nan)
    else:
        counts = _drawn(found, seed, draws)
        reach = _critical(flat[:, told], members, counts, confidence, 1e-12 * scale)
        margin = reach * (error + error[told].max())
    mean, margin = mean.reshape(values.shape[1:]), margin.reshape(values.shape[1:])
    return mean, mean - margin, mean + margin


def _critical(values, members, counts, confidence: float, tiny: float) -> float:
    """The band's critical value, in standard errors plus the largest of them."""
    centre = _means(values, members, np.ones((1, counts.shape[1])))[0]
    means, errors = _means(values, members, counts)
    off = np.abs(means - centre)
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = off / (errors + errors.max(axis=1, keepdims=True))
    largest = np.where(off <= tiny, 0.0, ratio).max(axis=1)
    # Resamples of few clusters may have no error of their own: nothing reaches further than
    # Student's t, in a curve of the whole sum. Of one point the sum is twice its error.
    bound = student(confidence, counts.shape[1] - 1) * (1 if values.shape[1] == 1 else 2)
    # Before the quantile, which is not a number between two resamples without an error.
    return float(np.quantile(np.minimum(largest, bound), confidence))


def share(values, seed: int = 0, draws: int = DRAWS, confidence=CONFIDENCE, clusters=None):
    """Mean of values between 0 and 1, such as a share of samples, with an interval.

    Wilson's score interval (1927) with the number of samples that would be as informative if they
    were independent (Korn and Graubard, Survey Methodology 24, 1998): p(1 − p) over the variance of
    the mean between clusters, no more than there are samples; and with Student's t for the number
    of clusters. Columns are covered together, as in `simultaneous`.

    Parameters
    ----------
    values : array_like, (n_samples, ...)
    seed, draws, confidence, clusters
        As in `simultaneous`.

    Returns
    -------
    mean, low, high : ndarray, (...)
        NaN for a single sample or cluster.

    Raises
    ------
    ValueError
        If there is no sample, or not one label for each.

    Examples
    --------
    Ten of ten say less than that all do; two and a quarter is Student's t for ten samples:

    >>> mean, low, high = share([1.0] * 10)
    >>> float(mean), round(float(low), 3), float(high)
    (1.0, 0.661, 1.0)
    """
    values = _samples(values)
    flat, members = values.reshape(len(values), -1), _members(len(values), clusters)
    reach = _reach(flat, members, seed, draws, confidence)
    found = _wilson(*_informative(flat, members), reach)
    return tuple(part.reshape(values.shape[1:]) for part in found)


def share_difference(
    values, seed: int = 0, draws: int = DRAWS, confidence=CONFIDENCE, clusters=None
):
    """Mean of values between −1 and 1, such as differences of two answers of one sample, with an
    interval.

    What rises and what falls are shares (`share`), and the interval of their difference is put
    together from theirs (MOVER: Zou and Donner, Statistics in Medicine 27, 2008), with their
    correlation between clusters. Where no sample changes the interval has the width of none of n.

    Parameters, returns and errors are those of `share`.

    Examples
    --------
    No change in ten samples does not exclude one in some:

    >>> mean, low, high = share_difference([0.0] * 10)
    >>> float(mean), round(float(low), 3), round(float(high), 3)
    (0.0, -0.339, 0.339)
    """
    values = _samples(values)
    flat, members = values.reshape(len(values), -1), _members(len(values), clusters)
    reach = _reach(flat, members, seed, draws, confidence)
    rises, falls = np.maximum(flat, 0.0), np.maximum(-flat, 0.0)
    (up, up_low, up_high), (down, down_low, down_high) = (
        _wilson(*_informative(some, members), reach) for some in (rises, falls)
    )
    tied = _correlation(rises, falls, members)

    def joined(one, other):
        return np.sqrt(np.maximum(one**2 + other**2 - 2 * tied * one * other, 0.0))

    mean = flat.mean(axis=0)
    low = np.maximum(mean - joined(up - up_low, down_high - down), -1.0)
    high = np.minimum(mean + joined(up_high - up, down - down_low), 1.0)
    found = mean, low, high
    return tuple(part.reshape(values.shape[1:]) for part in found)


def _informative(values: np.ndarray, members: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Means, and of how many independent samples they would be as sure."""
    mean, error = (part[0] for part in _means(values, members, np.ones((1, members.max() + 1))))
    with np.errstate(divide="ignore", invalid="ignore"):
        effective = np.where(error > 1e-9, mean * (1 - mean) / error**2, len(values))
    return mean, np.minimum(effective, len(values))


def _reach(values: np.ndarray, members: np.ndarray, seed, draws, confidence) -> float:
    """How many standard errors cover all columns together: of one column Student's t."""
    found = members.max() + 1
    if (reach := student(confidence, found - 1)) == inf or values.shape[1] == 1:
        return reach
    mean, error = (part[0] for part in _means(values, members, np.ones((1, found))))
    # No surer than independent samples would be, as in `_informative`: a column in which the
    # clusters happen to agree would else outweigh all others.
    error = np.maximum(error, values.std(axis=0) / np.sqrt(len(values)))
    told = error > 1e-9
    if not told.any():
        return reach
    means, _ = _means(values[:, told], members, _drawn(found, seed, draws))
    largest = (np.abs(means - mean[told]) / error[told]).max(axis=1)
    normal = NormalDist().inv_cdf(0.5 + confidence / 2)
    # The distances of few clusters are short of Student's, as the normal's are.
    return max(reach, float(np.quantile(largest, confidence)) * reach / normal)


def _wilson(mean: np.ndarray, n: np.ndarray, reach: float):
    if np.isinf(reach):
        return mean, np.full(mean.shape, np.nan), np.full(mean.shape, np.nan)
    middle = (mean + reach**2 / (2 * n)) / (1 + reach**2 / n)
    margin = np.sqrt(mean * (1 - mean) / n + reach**2 / (4 * n**2)) * reach / (1 + reach**2 / n)
    # Rounding may leave the mean of equal values outside by 1e-17.
    return mean, np.minimum(middle - margin, mean), np.maximum(middle + margin, mean)


def _correlation(one: np.ndarray, other: np.ndarray, members: np.ndarray) -> np.ndarray:
    """Of two means, between clusters; 0 where one of them does not vary."""
    found = members.max() + 1
    off = []
    for values in (one, other):
        sums = np.zeros((found, values.shape[1]))
        np.add.at(sums, members, values - values.mean(axis=0))
        off.append(sums)
    lengths = np.sqrt((off[0] ** 2).sum(axis=0) * (off[1] ** 2).sum(axis=0))
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(lengths > 1e-12, (off[0] * off[1]).sum(axis=0) / lengths, 0.0)


def rank_correlation(one, other) -> float:
    """Spearman's correlation of two lists of scores, equal scores sharing their mean rank; NaN
    where one list is constant.

    Parameters
    ----------
    one, other : array_like, (n,)

    Examples
    --------
    The ranks are 1, 2, 3 on both sides, and 1, 2 against 2, 1:

    >>> round(rank_correlation([1, 2, 30], [5, 6, 7]), 6)
    1.0
    >>> round(rank_correlation([1, 2], [9, 4]), 6)
    -1.0
    """
    ranks = []
    for values in (one, other):
        _, group, sizes = np.unique(
            np.asarray(values, dtype=float), return_inverse=True, return_counts=True
        )
        ranks.append((sizes.cumsum() - (sizes - 1) / 2)[group])
    if min(map(np.ptp, ranks)) == 0:
        return float("nan")
    return float(np.corrcoef(*ranks)[0, 1])


def at_least_as_strong(strength: float, draws) -> float:
    """Share of random draws at least as strong as a target, the target counted as one of them: a
    Monte Carlo p-value.

    Parameters
    ----------
    strength : float
    draws : array_like, (n_draws,)
        The same measure of each draw. With n draws the result is at least 1/(n + 1).

    Returns
    -------
    float
        In (0, 1]; NaN without draws, or for a target that is NaN.

    Examples
    --------
    One of four draws is as strong, and the target itself counts: two of five.

    >>> at_least_as_strong(3.0, [1.0, 2.0, 3.0, 0.0])
    0.4
    """
    draws = np.asarray(draws, dtype=float)
    if not len(draws) or np.isnan(strength):
        return float("nan")
    return float((1 + np.count_nonzero(draws >= strength)) / (1 + len(draws)))


def wilson(hits: int, n: int, confidence: float = CONFIDENCE) -> tuple[float, float]:
    """Wilson's score interval of a share of independent samples (J. Am. Stat. Assoc. 22, 1927,
    209).

    Examples
    --------
    None of ten is not nothing: z² / (10 + z²) = 3.84 / 13.84.

    >>> low, high = wilson(0, 10)
    >>> round(low, 2), round(high, 2)
    (0.0, 0.28)
    """
    reach = NormalDist().inv_cdf(0.5 + confidence / 2)
    _, low, high = _wilson(np.array(hits / n), np.array(float(n)), reach)
    return float(low), float(high)
