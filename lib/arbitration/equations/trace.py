"""One clean pass with everything that the equations read."""

from dataclasses import dataclass

import torch
from torch import Tensor

from arbitration.equations.hooks import hooks
from arbitration.equations.knockout import standing


@dataclass(frozen=True)
class Trace:
    """Activations of one prompt, all on the subject's first device, wherever its layers are, in the
    model's dtype (`widened` for arithmetic).

    Attributes
    ----------
    residual : Tensor, (L + 1, N, d)
        H; index 0 is the embedding (the paper's H⁰, layer −1 here), index l + 1 the stream after
        layer l, before any final norm. Where a model adds features of the picture between layers
        (`Subject.image_term`) they are in it, at the image's rows alone.
    attention, mlp : Tensor, (L, N, d)
        A and F of Eq. 1: what the layer adds, so after the norm that some architectures put behind
        a sublayer (`Subject.writers`).
    heads : Tensor, (L, N, n_heads, d_head)
        Head outputs before W_O (Eq. 4).
    log_probabilities : Tensor, (vocabulary,)
        Of the next token after the last position, natural logarithm, float32 (float64 for a float64
        model).
    """

    residual: Tensor
    attention: Tensor
    mlp: Tensor
    heads: Tensor
    log_probabilities: Tensor


def precision(dtype: torch.dtype) -> torch.dtype:
    """The dtype of all arithmetic after a pass of a model in `dtype`: float32, or float64 for a
    float64 model.

    Only what the model itself computes is rounded to the model's dtype: a difference of two
    signals, or of a stream with and without one head, is smaller than a step of bfloat16.
    """
    return torch.promote_types(dtype, torch.float32)


def widened(values: Tensor) -> Tensor:
    """Numbers of a pass, or weights, in the dtype of the arithmetic on them (`precision`); float32
    and float64 as they are.
    """
    return values.to(precision(values.dtype))


@torch.no_grad()
def trace(subject, prompt) -> Trace:
    """Run one prompt and keep its activations: H, A, F, and every head's output (Eqs. 1, 3 and 4).

    Raises
    ------
    ValueError
        If the sublayer outputs do not sum to the residual stream (an architecture with a further
        term), so that no equation is evaluated on half of an update. A term that is added to the
        image's rows and declared is none of its affair: no equation is evaluated there.
    """
    seen: dict[tuple[str, int], Tensor] = {}

    def keep(kind, layer, take):
        return lambda module, args, *rest: seen.__setitem__(
            (kind, layer), take(args, *rest).to(subject.device)
        )

    def first(value):
        return value[0] if isinstance(value, tuple) else value

    def register():
        for index, layer in enumerate(subject.layers):
            yield layer.register_forward_pre_hook(
                keep(
                    "before",
                    index,
                    lambda args, kwargs: (args[0] if args else kwargs["hidden_states"])[0],
                ),
                with_kwargs=True,
            )
            yield layer.register_forward_hook(keep("after", index, lambda args, out: first(out)[0]))
            for kind, module in zip(("attention", "mlp"), subject.writers(index)):
                yield module.register_forward_hook(
                    keep(kind, index, lambda args, out: first(out)[0])
                )
            yield subject.output_projection(index).register_forward_pre_hook(
                keep("heads", index, lambda args: args[0][0])
            )

    with standing(subject, prompt), hooks(register()):
        logits = subject.model(**prompt.inputs, use_cache=False, logits_to_keep=1).logits[0, -1]
    depth = range(subject.n_layers)

    def stack(kind):
        return torch.stack([seen[kind, layer] for layer in depth])

    before, after, attention, mlp = (
        stack(kind) for kind in ("before", "after", "attention", "mlp")
    )
    _check_sum(subject, prompt, before, attention, mlp, after)
    residual = torch.cat([before, after[-1:]])
    heads = stack("heads")
    heads = heads.reshape(*heads.shape[:2], subject.n_heads, -1)
    return Trace(
        residual, attention, mlp, heads, widened(logits.to(subject.device)).log_softmax(-1)
    )


def _check_sum(
    subject, prompt, before: Tensor, attention: Tensor, mlp: Tensor, after: Tensor
) -> None:
    """Eq. 1 must hold up to rounding of the model's dtype, and nothing may happen between layers
    but where it is declared.
    """
    # Layer by layer: a wide copy of all would be as large as the trace.
    parts = zip(before, attention, mlp, after)
    off = torch.stack(
        [
            (widened(start) + widened(a) + widened(f) - widened(end)).abs().max()
            for start, a, f, end in parts
        ]
    )
    scale = after.abs().amax(dim=(1, 2))
    bad = (off > 8 * torch.finfo(after.dtype).eps * scale).nonzero().flatten().tolist()
    if bad:
        why = (
            f"model {subject.name!r}: in layers {bad} the residual stream is not input + "
            f"attention + MLP;"
            " it has a further term (such as a norm after the sublayer) that Eqs. 10–12 do not know"
        )
        raise ValueError(why)
    moved = (before[1:] != after[:-1]).any(-1)
    if subject.image_term:
        moved[:, prompt.groups.vision.to(moved.device)] = False
    if moved.any():
        raise ValueError(
            f"model {subject.name!r}: after layers "
            f"{moved.any(1).nonzero().flatten().tolist()} something is added to the "
            f"residual stream before the"
            f" next layer, at {int(moved.any(0).sum())} of {moved.shape[1]} positions, "
            f"that Eqs. 1 and 10–12 do not know"
            + (
                f" ({subject.image_term} belong to the image's positions alone)"
                if subject.image_term
                else ""
            )
        )
