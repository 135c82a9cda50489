"""The logit lens on the answers' tokens, and the signal operator Φ built on it."""

from collections.abc import Callable

from torch import Tensor
from torch.func import functional_call

from arbitration.equations.trace import widened

POOLINGS = ("max", "mean")


def logits(hidden: Tensor, rows: Tensor, norm: Callable[[Tensor], Tensor] | None = None) -> Tensor:
    """Logit lens restricted to some tokens (Eq. 2), in float32 at least.

    Parameters
    ----------
    hidden : Tensor, (..., d)
        Residual stream.
    rows : Tensor, (n_tokens, d)
        Rows of the unembedding matrix E_u.
    norm : callable, optional
        The model's final norm, applied first; Eq. 2 has none.

    Returns
    -------
    Tensor, (..., n_tokens)
        In logits.
    """
    hidden = widened(hidden)
    return (hidden if norm is None else norm(hidden)) @ widened(rows).T


def final_norm(subject) -> Callable[[Tensor], Tensor]:
    """The model's final norm as a function of residual streams, in their own dtype and on their own
    device.
    """

    def norm(hidden):
        weights = {
            name: weight.to(hidden.dtype) for name, weight in subject.norm.named_parameters()
        }
        return functional_call(subject.norm, weights, (hidden,)).to(hidden.device)

    return norm


def phi(hidden: Tensor, rows: Tensor, top_k: int = 1, pooling: str = "max", norm=None) -> Tensor:
    """Signal of one modality at a set of positions, Φ_m (Eq. 8).

    Parameters
    ----------
    hidden : Tensor, (..., n_positions, d)
        Residual stream at the instruction tokens (or any others).
    rows : Tensor, (n_tokens, d)
        Unembedding rows of the modality's answer entities ℰ_m.
    top_k : int
        The mean is over the `top_k` positions with the strongest signal.
    pooling : {"max", "mean"}
        How the entities of one position are pooled; the paper takes the maximum.
    norm : callable, optional
        The model's final norm; Eq. 2 has none.

    Returns
    -------
    Tensor, (...)
        In logits.

    Raises
    ------
    ValueError
        For an unknown pooling, no entity, or more positions asked for than given.
    """
    return pool(logits(hidden, rows, norm), top_k, pooling)


def pool(entity_logits: Tensor, top_k: int = 1, pooling: str = "max") -> Tensor:
    """The pooling half of Eq. 8: (..., n_positions, n_tokens) logits to (...) signals."""
    positions, tokens = entity_logits.shape[-2:]
    if pooling not in POOLINGS:
        why = f"unknown pooling {pooling!r}; choose one of {', '.join(POOLINGS)}"
        raise ValueError(why)
    if tokens == 0:
        why = "phi needs at least one answer token; the entity dictionary gave none for this answer"
        raise ValueError(why)
    if not 1 <= top_k <= positions:
        why = f"top_k={top_k} is outside 1..{positions}, the number of positions given"
        raise ValueError(why)
    signal = entity_logits.amax(-1) if pooling == "max" else entity_logits.mean(-1)
    return signal.topk(top_k, dim=-1).values.mean(-1)
