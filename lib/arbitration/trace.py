"""One clean pass with everything the equations read: H, A, F, and every head's output (Eqs. 1, 3, 4)."""

from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Trace:
    """Activations of one prompt, all on the subject's first device, wherever its layers are.

    Attributes
    ----------
    residual : Tensor, (L + 1, N, d)
        H; index 0 is the embedding (the paper's H⁰, layer −1 here), index l + 1 the stream after layer l, before any final norm.
    attention, mlp : Tensor, (L, N, d)
        A and F of Eq. 1.
    heads : Tensor, (L, N, n_heads, d_head)
        Head outputs before W_O (Eq. 4).
    log_probabilities : Tensor, (vocabulary,)
        Of the next token after the last position, natural logarithm, float32.
    """

    residual: Tensor
    attention: Tensor
    mlp: Tensor
    heads: Tensor
    log_probabilities: Tensor


@contextmanager
def hooks(handles):
    """Keep forward hooks for the body only: ``handles`` is an iterable of fresh hook handles."""
    with ExitStack() as stack:
        for handle in handles:
            stack.callback(handle.remove)
        yield


@torch.no_grad()
def trace(subject, prompt) -> Trace:
    """Run one prompt and keep its activations.

    Raises
    ------
    ValueError
        If the sublayer outputs do not sum to the residual stream (an architecture with a further term), so that no
        equation is evaluated on half of an update.
    """
    seen: dict[tuple[str, int], Tensor] = {}

    def keep(kind, layer, take):
        return lambda module, args, *rest: seen.__setitem__((kind, layer), take(args, *rest).to(subject.device))

    def first(value):
        return value[0] if isinstance(value, tuple) else value

    def register():
        for index, layer in enumerate(subject.layers):
            yield layer.register_forward_pre_hook(
                keep("before", index, lambda args, kwargs: (args[0] if args else kwargs["hidden_states"])[0]), with_kwargs=True
            )
            yield layer.register_forward_hook(keep("after", index, lambda args, out: first(out)[0]))
            yield subject.attention(index).register_forward_hook(keep("attention", index, lambda args, out: first(out)[0]))
            yield subject.mlp(index).register_forward_hook(keep("mlp", index, lambda args, out: first(out)[0]))
            yield subject.output_projection(index).register_forward_pre_hook(keep("heads", index, lambda args: args[0][0]))

    with hooks(register()):
        logits = subject.model(**prompt.inputs, use_cache=False, logits_to_keep=1).logits[0, -1]
    depth = range(subject.n_layers)

    def stack(kind):
        return torch.stack([seen[kind, layer] for layer in depth])

    residual = torch.cat([seen["before", 0][None], stack("after")])
    attention, mlp = stack("attention"), stack("mlp")
    _check_sum(subject, residual, attention, mlp)
    heads = stack("heads")
    heads = heads.reshape(*heads.shape[:2], subject.n_heads, -1)
    return Trace(residual, attention, mlp, heads, logits.to(subject.device).float().log_softmax(-1))


def _check_sum(subject, residual: Tensor, attention: Tensor, mlp: Tensor) -> None:
    """Eq. 1 must hold up to rounding of the model's dtype."""
    off = (residual[:-1] + attention + mlp - residual[1:]).abs().amax(dim=(1, 2))
    scale = residual[1:].abs().amax(dim=(1, 2))
    bad = (off > 8 * torch.finfo(residual.dtype).eps * scale).nonzero().flatten().tolist()
    if bad:
        raise ValueError(
            f"model {subject.name!r}: in layers {bad} the residual stream is not input + attention + MLP;"
            " it has a further term (such as a norm after the sublayer) that Eqs. 10–12 do not know"
        )
