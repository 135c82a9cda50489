"""Intervals, bands, ranks and Monte Carlo p values: numbers in, numbers out."""

from math import sqrt
from statistics import NormalDist

import numpy as np


def resamples(n: int, seed: int = 0, draws: int = 2000, clusters=None) -> np.ndarray:
    """How often each sample is in each bootstrap resample.

    Parameters
    ----------
    n : int
    seed, draws : int
        Seed of the resampling, number of resamples.
    clusters : array_like, optional, (n_samples,)
        Labels, such as the samples' images. Samples that share one are drawn together, as many
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
    _, members = np.unique(
        np.arange(n) if clusters is None else np.asarray(clusters), return_inverse=True
    )
    if len(members) != n:
        why = f"clusters need one label for each of the {n} samples; got {len(members)}"
        raise ValueError(why)
    if not n:
        return np.zeros((draws, 0), dtype=int)
    found = members.max(initial=-1) + 1
    # A resample is a multinomial count of each cluster, so that all means are one matrix product.
    counts = np.random.default_rng(seed).multinomial(found, np.full(found, 1 / found), size=draws)
    return counts if found == n else counts[:, members]


def _means(values: np.ndarray, seed, draws: int, clusters) -> np.ndarray:
    """Means of resampled samples, (draws, ...); NaN for a single sample or cluster, which says
    nothing about how others would differ.
    """
    counts = resamples(len(values), seed, draws, clusters)
    if len(values) == 1 or (clusters is not None and len(np.unique(clusters)) == 1):
        return np.full((draws, *values.shape[1:]), np.nan)
    return (counts @ values.reshape(len(values), -1) / counts.sum(axis=1, keepdims=True)).reshape(
        draws, *values.shape[1:]
    )


def _samples(values) -> np.ndarray:
    values = np.asarray(values, dtype=float)
    if values.ndim == 0 or len(values) == 0:
        why = "bootstrap needs at least one sample along the first axis; got none"
        raise ValueError(why)
    return values


def bootstrap(values, seed: int = 0, draws: int = 2000, confidence: float = 0.95, clusters=None):
    """Mean over samples with a percentile bootstrap interval.

    Parameters
    ----------
    values : array_like, (n_samples, ...)
        Resampled along the first axis; rows stay whole, so curves keep their correlation over
        layers.
    seed, draws, confidence
        Seed of the resampling, number of resamples, coverage of the interval.
    clusters : array_like, optional, (n_samples,)
        What is resampled instead of single samples (see `resamples`).

    Returns
    -------
    mean, low, high : ndarray, (...)
        Pointwise: each interval for itself. `simultaneous` covers all at once. The interval of a
        single sample, or of samples of one cluster, is NaN.

    Raises
    ------
    ValueError
        If there is no sample, or not one label for each.
    """
    values = _samples(values)
    tail = (1 - confidence) / 2
    low, high = np.quantile(_means(values, seed, draws, clusters), [tail, 1 - tail], axis=0)
    return values.mean(axis=0), low, high


def simultaneous(values, seed: int = 0, draws: int = 2000, confidence: float = 0.95, clusters=None):
    """Mean over samples with a band that covers all its points together, so that looking for the
    most extreme one is allowed.

    Every point's distance from its mean is divided by its bootstrap standard error; the largest of
    these in each resample gives one critical value for all points (the sup-t band, Montiel Olea and
    Plagborg-Møller, Journal of Applied Econometrics 34, 2019). For a single point it is the
    symmetric bootstrap interval.

    Parameters
    ----------
    values, seed, draws, confidence, clusters
        As in `bootstrap`; a point that is NaN in some sample, or the same in all, does not count
        for the others.

    Returns
    -------
    mean, low, high : ndarray, (...)
        NaN where the mean is NaN, and the band of a single sample or cluster; without width where
        all samples are equal, about which resampling knows no more.

    Raises
    ------
    ValueError
        If there is no sample, or not one label for each.
    """
    values = _samples(values)
    means = _means(values.reshape(len(values), -1), seed, draws, clusters)
    mean, error = values.mean(axis=0), means.std(axis=0)
    # Rounding leaves equal samples an error of 1e-17, whose multiples mean nothing.
    told = error > 1e-12 * np.abs(values).reshape(len(values), -1).max(axis=0)
    largest = (np.abs(means - mean.reshape(-1))[:, told] / error[told]).max(axis=1, initial=0.0)
    margin = np.where(
        told | np.isnan(error), np.quantile(largest, confidence) * error, 0.0
    ).reshape(mean.shape)
    return mean, mean - margin, mean + margin


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


def wilson(hits: int, n: int, confidence: float = 0.95) -> tuple[float, float]:
    """Wilson's score interval of a share (Wilson 1927, J. Am. Stat. Assoc. 22, 209).

    Examples
    --------
    None of ten is not nothing: z² / (10 + z²) = 3.84 / 13.84.

    >>> low, high = wilson(0, 10)
    >>> round(low, 2), round(high, 2)
    (0.0, 0.28)
    """
    z = NormalDist().inv_cdf(0.5 + confidence / 2)
    share = hits / n
    middle = (share + z**2 / (2 * n)) / (1 + z**2 / n)
    reach = z / (1 + z**2 / n) * sqrt(share * (1 - share) / n + z**2 / (4 * n**2))
    return middle - reach, middle + reach
