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


def bootstrap(values, seed: int = 0, draws: int = 2000, confidence: float = 0.95):
    """Mean over samples with a percentile bootstrap interval.

    Parameters
    ----------
    values : array_like, (n_samples, ...)
        Resampled along the first axis; rows stay whole, so curves keep their correlation over layers.
    seed, draws, confidence
        Seed of the resampling, number of resamples, coverage of the interval.

    Returns
    -------
    mean, low, high : ndarray, (...)

    Raises
    ------
    ValueError
        If there is no sample.
    """
    values = np.asarray(values, dtype=float)
    if values.ndim == 0 or len(values) == 0:
        raise ValueError("bootstrap needs at least one sample along the first axis; got none")
    n = len(values)
    # A resample is a multinomial count of each sample, so that all means are one matrix product.
    counts = np.random.default_rng(seed).multinomial(n, np.full(n, 1 / n), size=draws)
    means = (counts @ values.reshape(n, -1) / n).reshape(draws, *values.shape[1:])
    tail = (1 - confidence) / 2
    low, high = np.quantile(means, [tail, 1 - tail], axis=0)
    return values.mean(axis=0), low, high


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
