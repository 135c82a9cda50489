"""What each attention sublayer, MLP and head adds to the signal and to the arbitration margin."""

from collections.abc import Callable

from torch import Tensor

from arbitration.trace import widened

Metric = Callable[[Tensor], Tensor]


def sublayer_increments(before: Tensor, attention: Tensor, mlp: Tensor, metric: Metric) -> tuple[Tensor, Tensor]:
    """Contributions of attention and MLP to a metric of the residual stream (Eqs. 10 and 11).

    Parameters
    ----------
    before, attention, mlp : Tensor, (..., n_positions, d)
        H of the layer before, and the outputs A and F of this layer's sublayers; leading axes (layers) broadcast.
    metric : callable
        (..., n_positions, d) → (...): Φ_f for the signal, Φ_f − Φ_c for the margin, in logits.

    Returns
    -------
    delta_attention, delta_mlp : Tensor, (...)
        In the metric's unit. Their sum over layers telescopes to metric(H of the last) − metric(embedding).
    """
    before, attention, mlp = (widened(part) for part in (before, attention, mlp))
    middle = metric(before + attention)
    return middle - metric(before), metric(before + attention + mlp) - middle


def head_increments(before: Tensor, heads: Tensor, output_weight: Tensor, metric: Metric) -> Tensor:
    """Contribution of every head of one layer, each added to the layer's input alone (Eq. 12).

    Parameters
    ----------
    before : Tensor, (n_positions, d)
        H of the layer before.
    heads : Tensor, (n_positions, n_heads, d_head)
        Head outputs before the output projection.
    output_weight : Tensor, (d, n_heads · d_head)
        W_O as a linear layer stores it. Its bias belongs to no head.
    metric : callable
        (..., n_positions, d) → (...), in logits; maxima are taken anew for each head.

    Returns
    -------
    Tensor, (n_heads,)
    """
    return metric(before + head_writes(heads, output_weight)) - metric(before)


def head_writes(heads: Tensor, output_weight: Tensor) -> Tensor:
    """What each head writes to the residual stream: Head · W_O (Eq. 3), (n_heads, n_positions, d), in float32 at least."""
    n_heads, width = heads.shape[-2:]
    slices = widened(output_weight).reshape(output_weight.shape[0], n_heads, width)
    return widened(heads).transpose(0, 1) @ slices.permute(1, 2, 0)
