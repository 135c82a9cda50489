"""The paper's measures: pure functions of numbers, no model in sight."""

import numpy as np
import torch
from torch import Tensor


def binary_subspace(log_p_p: Tensor, log_p_c: Tensor) -> tuple[Tensor, Tensor]:
    """Log-probabilities of `y_p` and `y_c` renormalised to the decision subspace {y_p, y_c} (Eq.
    6).

    Parameters
    ----------
    log_p_p, log_p_c : Tensor, any common shape
        Natural logarithms of P(y_p) and P(y_c); any common additive constant (unnormalised
        probabilities, logits) drops out.

    Returns
    -------
    tuple of Tensor
        Logarithms of the two renormalised probabilities, in float64.

    Examples
    --------
    0.3 and 0.1 are three quarters and one quarter of what both answers have together:

    >>> p, c = binary_subspace(torch.tensor(0.3).log(), torch.tensor(0.1).log())
    >>> round(p.exp().item(), 4), round(c.exp().item(), 4)
    (0.75, 0.25)
    """
    gap = log_p_p.double() - log_p_c.double()
    return torch.nn.functional.logsigmoid(gap), torch.nn.functional.logsigmoid(-gap)


def nssd(
    log_p_p: Tensor, log_p_c: Tensor, log_p_p_blocked: Tensor, log_p_c_blocked: Tensor
) -> Tensor:
    """Normalised signed structural divergence, in nats (Eq. 7).

    The Kullback–Leibler divergence from the blocked to the clean decision, signed: positive when
    blocking lowers the renormalised probability of `y_p` (the path helped the model to follow),
    negative when it raises it, 0 when it changes nothing.

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
    From four to one in favour of `y_p` to even odds, and back: 0.8 ln 1.6 + 0.2 ln 0.4, and
    −(0.5 ln 0.625 + 0.5 ln 2.5).

    >>> t = lambda p: torch.tensor(p).double().log()
    >>> round(nssd(t(.8), t(.2), t(.5), t(.5)).item(), 4)
    0.1927
    >>> round(nssd(t(.5), t(.5), t(.8), t(.2)).item(), 4)
    -0.2231
    """
    p, c = binary_subspace(log_p_p, log_p_c)
    p_blocked, c_blocked = binary_subspace(log_p_p_blocked, log_p_c_blocked)
    divergence = p.exp() * (p - p_blocked) + c.exp() * (c - c_blocked)
    return torch.sign(p - p_blocked) * divergence.clamp_min(0.0)


def interaction(none, first, second, both):
    """By how much two interventions do more together than the sum of what each does alone, in the
    unit of what is given.

    With the effect of a set of closed paths the loss against none closed,

        I = (none − both) − (none − first) − (none − second) = first + second − none − both.

    Positive: they stand in for each other, each hides what the other would cost. Zero: their
    effects add up. Negative: each alone costs what both cost, as two parts of one route do.

    Parameters
    ----------
    none, first, second, both : float, array_like or Tensor, any common shape
        A lead, a share that follows or the like: with nothing closed, one, the other, both.

    Examples
    --------
    A lead of 10 nats is 9 without the one path and 8 without the other, and 1 without both: of the
    9 nats lost, 1 and 2 are lost by each alone.

    >>> interaction(10.0, 9.0, 8.0, 1.0)
    6.0

    Two parts of one chain: without either it is 1, and without both it is no less.

    >>> interaction(10.0, 1.0, 1.0, 1.0)
    -9.0
    """
    return first + second - none - both


def signed_divergence(log_p: Tensor, log_p_blocked: Tensor, token: int) -> Tensor:
    """NSSD without its restriction to two answers: the divergence of the whole next-token
    distribution, in nats.

    Kullback–Leibler divergence from the blocked to the clean distribution over the vocabulary, with
    the sign that Eq. 7 gives, taken from P(y_p) itself instead of its renormalised share: positive
    when blocking lowers it.

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

    Examples
    --------
    >>> ldar([3.0, 1.0, 2.0, 2.0], [1.0, 2.0, 1.0, 2.0])
    0.5
    """
    phi_f, phi_c = np.asarray(phi_f), np.asarray(phi_c)
    return float((phi_f > phi_c).mean())


def synchronisation(margin_anchor, margin_last) -> float:
    """Share of samples whose decision at the anchors equals that at the last position (§3.2.3).

    Parameters
    ----------
    margin_anchor, margin_last : array_like, (n_samples,)
        Φ_f − Φ_c at the instruction tokens and at the last position of the same layer, in logits.

    Examples
    --------
    >>> synchronisation([2.0, -1.0, 0.5, 1.0], [0.1, -3.0, 4.0, -1.0])
    0.75
    """
    return float((np.sign(margin_anchor) == np.sign(margin_last)).mean())


def beyond_chance(margin_anchor, margin_last) -> np.ndarray:
    """By how much each sample's two sites agree more with each other than with other samples'
    sites, averaged over layers.

    The control of `synchronisation`: two sites that are both right nearly always agree nearly
    always, whether or not one takes its decision from the other. Zero says that an anchor tells of
    the last position of its own sample no more than of another's.

    Parameters
    ----------
    margin_anchor, margin_last : array_like, (n_samples, n_layers)
        As in `synchronisation`; only their signs matter.

    Returns
    -------
    ndarray, (n_samples,)
        Between −1 and 1; empty if there are not two samples to compare.

    Examples
    --------
    Two samples that decide differently, each alike at both sites; and two sites that always say
    the same of every sample:

    >>> beyond_chance([[1.0], [-1.0]], [[2.0], [-2.0]]).tolist()
    [1.0, 1.0]
    >>> beyond_chance([[1.0], [1.0]], [[2.0], [2.0]]).tolist()
    [0.0, 0.0]
    """
    anchor, last = np.sign(margin_anchor), np.sign(margin_last)
    if len(anchor) < 2:
        return np.empty(0)
    own = anchor == last
    others = sum(
        (anchor == sign) * ((last == sign).sum(axis=0) - (last == sign)) for sign in (-1, 0, 1)
    ) / (len(anchor) - 1)
    return (own - others).mean(axis=1)


def mfr(outcomes) -> float:
    """Modality following ratio: share of answers that follow the instruction (§4.2.2).

    Parameters
    ----------
    outcomes : iterable of str
        ``follow``, ``competitor`` or ``other`` of each answer (`outcomes.outcome`).

    Raises
    ------
    ValueError
        If there is no answer.

    Examples
    --------
    >>> mfr(["follow", "competitor", "follow", "other"])
    0.5
    """
    outcomes = list(outcomes)
    if not outcomes:
        why = "the modality following ratio of no answer is undefined"
        raise ValueError(why)
    return sum(value == "follow" for value in outcomes) / len(outcomes)
