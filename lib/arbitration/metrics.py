"""The paper's measures: pure functions of numbers, no model in sight."""

import numpy as np
import torch
from torch import Tensor


def binary_subspace(log_p_p: Tensor, log_p_c: Tensor) -> tuple[Tensor, Tensor]:
    """Log-probabilities of `y_p` and `y_c` renormalised to the decision subspace {y_p, y_c} (Eq. 6).

    Parameters
    ----------
    log_p_p, log_p_c : Tensor, any common shape
        Natural logarithms of P(y_p) and P(y_c); any common additive constant (unnormalised
        probabilities, logits) drops out.

    Returns
    -------
    tuple of Tensor
        Logarithms of the two renormalised probabilities, in float64.
    """
    gap = log_p_p.double() - log_p_c.double()
    return torch.nn.functional.logsigmoid(gap), torch.nn.functional.logsigmoid(-gap)


def nssd(log_p_p: Tensor, log_p_c: Tensor, log_p_p_blocked: Tensor, log_p_c_blocked: Tensor) -> Tensor:
    """Normalised signed structural divergence, in nats (Eq. 7).

    The Kullback–Leibler divergence from the blocked to the clean decision, signed: positive when
    blocking lowers the renormalised probability of `y_p` (the path helped the model to follow), negative
    when it raises it, 0 when it changes nothing.

    Parameters
    ----------
    log_p_p, log_p_c : Tensor, any common shape
        Logarithms of the clean P(y_p) and P(y_c).
    log_p_p_blocked, log_p_c_blocked : Tensor, same shape
        The same under knockout.

    Returns
    -------
    Tensor
        float64, same shape.

    Examples
    --------
    >>> t = lambda p: torch.tensor(p).double().log()
    >>> round(nssd(t(.8), t(.2), t(.5), t(.5)).item(), 4)
    0.1927
    """
    p, c = binary_subspace(log_p_p, log_p_c)
    p_blocked, c_blocked = binary_subspace(log_p_p_blocked, log_p_c_blocked)
    divergence = p.exp() * (p - p_blocked) + c.exp() * (c - c_blocked)
    return torch.sign(p - p_blocked) * divergence.clamp_min(0.0)


def signed_divergence(log_p: Tensor, log_p_blocked: Tensor, token: int) -> Tensor:
    """NSSD without its restriction to two answers: the divergence of the whole next-token distribution, in nats.

    Kullback–Leibler divergence from the blocked to the clean distribution over the vocabulary, with the sign that Eq. 7 gives, taken
    from P(y_p) itself instead of its renormalised share: positive when blocking lowers it.

    Parameters
    ----------
    log_p : Tensor, (vocabulary,) or (n, vocabulary)
        Logarithms of the clean probabilities.
    log_p_blocked : Tensor, (n, vocabulary)
        The same under knockout.
    token : int
        y_p.

    Returns
    -------
    Tensor, (n,)
        In the inputs' dtype.

    Examples
    --------
    >>> t = lambda *p: torch.tensor([p]).double().log()
    >>> round(signed_divergence(t(.5, .25, .25), t(.25, .5, .25), 0).item(), 4)
    0.1733
    """
    divergence = (log_p.exp() * (log_p - log_p_blocked)).sum(-1).clamp_min(0.0)
    return torch.sign(log_p[..., token] - log_p_blocked[..., token]) * divergence


def ldar(phi_f, phi_c) -> float:
    """Latent decision alignment rate: share of samples with Φ_f > Φ_c, a ratio in [0, 1] (Eq. 9).

    Parameters
    ----------
    phi_f, phi_c : array_like, (n_samples,)
        Signal of the followed modality and of its competitor at one layer, in logits.
    """
    phi_f, phi_c = np.asarray(phi_f), np.asarray(phi_c)
    return float((phi_f > phi_c).mean())


def synchronisation(margin_anchor, margin_last) -> float:
    """Share of samples whose decision at the anchors equals that at the last position (§3.2.3).

    Parameters
    ----------
    margin_anchor, margin_last : array_like, (n_samples,)
        Φ_f − Φ_c at the instruction tokens and at the last position of the same layer, in logits.
    """
    return float((np.sign(margin_anchor) == np.sign(margin_last)).mean())


def beyond_chance(margin_anchor, margin_last) -> np.ndarray:
    """By how much each sample's two sites agree more with each other than with other samples' sites, averaged over layers.

    The control of `synchronisation`: two sites that are both right nearly always agree nearly always, whether or not one takes its decision
    from the other. Zero says that an anchor tells of the last position of its own sample no more than of another's.

    Parameters
    ----------
    margin_anchor, margin_last : array_like, (n_samples, n_layers)
        As in `synchronisation`; only their signs matter.

    Returns
    -------
    ndarray, (n_samples,)
        Between −1 and 1; empty if there are not two samples to compare.
    """
    anchor, last = np.sign(margin_anchor), np.sign(margin_last)
    if len(anchor) < 2:
        return np.empty(0)
    own = anchor == last
    others = sum((anchor == sign) * ((last == sign).sum(axis=0) - (last == sign)) for sign in (-1, 0, 1)) / (len(anchor) - 1)
    return (own - others).mean(axis=1)


def resamples(n: int, seed: int = 0, draws: int = 2000, clusters=None) -> np.ndarray:
    """How often each sample is in each bootstrap resample.

    Parameters
    ----------
    n : int
    seed, draws : int
        Seed of the resampling, number of resamples.
    clusters : array_like, optional, (n_samples,)
        Labels, such as the samples' images. Samples that share one are drawn together, as many clusters as there are.

    Returns
    -------
    ndarray of int, (draws, n_samples)
        With clusters of several sizes the rows have several sums.

    Raises
    ------
    ValueError
        If there is not one label for each sample.
    """
    _, members = np.unique(np.arange(n) if clusters is None else np.asarray(clusters), return_inverse=True)
    if len(members) != n:
        raise ValueError(f"clusters need one label for each of the {n} samples; got {len(members)}")
    if not n:
        return np.zeros((draws, 0), dtype=int)
    found = members.max(initial=-1) + 1
    # A resample is a multinomial count of each cluster, so that all means are one matrix product.
    counts = np.random.default_rng(seed).multinomial(found, np.full(found, 1 / found), size=draws)
    return counts if found == n else counts[:, members]


def _means(values: np.ndarray, seed, draws: int, clusters) -> np.ndarray:
    """Means of resampled samples, (draws, ...); NaN for a single sample or cluster, which says nothing about how others would differ."""
    counts = resamples(len(values), seed, draws, clusters)
    if len(values) == 1 or (clusters is not None and len(np.unique(clusters)) == 1):
        return np.full((draws, *values.shape[1:]), np.nan)
    return (counts @ values.reshape(len(values), -1) / counts.sum(axis=1, keepdims=True)).reshape(draws, *values.shape[1:])


def _samples(values) -> np.ndarray:
    values = np.asarray(values, dtype=float)
    if values.ndim == 0 or len(values) == 0:
        raise ValueError("bootstrap needs at least one sample along the first axis; got none")
    return values


def bootstrap(values, seed: int = 0, draws: int = 2000, confidence: float = 0.95, clusters=None):
    """Mean over samples with a percentile bootstrap interval.

    Parameters
    ----------
    values : array_like, (n_samples, ...)
        Resampled along the first axis; rows stay whole, so curves keep their correlation over layers.
    seed, draws, confidence
        Seed of the resampling, number of resamples, coverage of the interval.
    clusters : array_like, optional, (n_samples,)
        What is resampled instead of single samples (see `resamples`).

    Returns
    -------
    mean, low, high : ndarray, (...)
        Pointwise: each interval for itself. `simultaneous` covers all at once. The interval of a single sample, or of samples of one
        cluster, is NaN.

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
    """Mean over samples with a band that covers all its points together, so that looking for the most extreme one is allowed.

    Every point's distance from its mean is divided by its bootstrap standard error; the largest of these in each resample gives one
    critical value for all points (the sup-t band, Montiel Olea and Plagborg-Møller, Journal of Applied Econometrics 34, 2019). For
    a single point it is the symmetric bootstrap interval.

    Parameters
    ----------
    values, seed, draws, confidence, clusters
        As in `bootstrap`; a point that is NaN in some sample, or the same in all, does not count for the others.

    Returns
    -------
    mean, low, high : ndarray, (...)
        NaN where the mean is NaN, and the band of a single sample or cluster; without width where all samples are equal, about which
        resampling knows no more.

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
    margin = np.where(told | np.isnan(error), np.quantile(largest, confidence) * error, 0.0).reshape(mean.shape)
    return mean, mean - margin, mean + margin


def rank_correlation(one, other) -> float:
    """Spearman's correlation of two lists of scores, equal scores sharing their mean rank; NaN where one list is constant.

    Parameters
    ----------
    one, other : array_like, (n,)
    """
    ranks = []
    for values in (one, other):
        _, group, sizes = np.unique(np.asarray(values, dtype=float), return_inverse=True, return_counts=True)
        ranks.append((sizes.cumsum() - (sizes - 1) / 2)[group])
    if min(map(np.ptp, ranks)) == 0:
        return float("nan")
    return float(np.corrcoef(*ranks)[0, 1])


def at_least_as_strong(strength: float, draws) -> float:
    """Share of random draws at least as strong as a target, the target counted as one of them: a Monte Carlo p-value.

    Parameters
    ----------
    strength : float
    draws : array_like, (n_draws,)
        The same measure of each draw. With n draws the result is at least 1/(n + 1).

    Returns
    -------
    float
        In (0, 1]; NaN without draws, or for a target that is NaN.
    """
    draws = np.asarray(draws, dtype=float)
    if not len(draws) or np.isnan(strength):
        return float("nan")
    return float((1 + np.count_nonzero(draws >= strength)) / (1 + len(draws)))
