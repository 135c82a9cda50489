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

    Examples
    --------
    >>> logits(Tensor([1, 2]), Tensor([[3, 0], [0, 5], [1, 1]])).tolist()
    [3.0, 10.0, 3.0]
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

    Examples
    --------
    Two positions, two entities; the first position's logits are 1 and 2, the second's 4 and 0:

    >>> phi(Tensor([[1, 2], [4, 0]]), Tensor([[1, 0], [0, 1]])).item()
    4.0
    """
    return pool(logits(hidden, rows, norm), top_k, pooling)


def pool(entity_logits: Tensor, top_k: int = 1, pooling: str = "max") -> Tensor:
    """The pooling half of Eq. 8: (..., n_positions, n_tokens) logits to (...) signals.

    Raises
    ------
    ValueError
        As `phi`.

    Examples
    --------
    The strongest entity of each position, 2 and 4, then the strongest position or both; and the
    entities of each position averaged, 1.5 and 2:

    >>> found = Tensor([[1, 2], [4, 0]])
    >>> pool(found).item(), pool(found, top_k=2).item(), pool(found, pooling="mean").item()
    (4.0, 3.0, 2.0)
    """
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
