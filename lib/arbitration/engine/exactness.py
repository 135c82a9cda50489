"""Is the engine's difference from full passes rounding? What is allowed, and the check while
measuring.

In float64 and float32 the bound is fixed. In narrower dtypes it is measured: by how much plain
passes differ among themselves, and how far they are from the same layers in a finer dtype.
"""

from collections.abc import Sequence
from contextlib import contextmanager
from dataclasses import replace

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_map
from tqdm.auto import tqdm

from arbitration.engine.plain import blocked_plain, log_softmax, next_token_logits
from arbitration.equations.hooks import hooks
from arbitration.equations.knockout import Pathway, knockout

#: Nats by which two ways to the same log-probability may differ by rounding, in the dtypes that
#: keep it small.
EXACT = {torch.float64: 1e-10, torch.float32: 1e-3}

#: In the others: this many times what plain passes differ by among themselves. In 32 cases of the
#: embedded models in bfloat16 the engine never differed by more than 1.5 times that.
FACTOR = 3


def check_against_plain(
    subject, prompt, pathway: Pathway, windows: Sequence[range], resumed: Tensor
) -> None:
    """Recompute one variant the plain way and stop on disagreement.

    In dtypes narrower than float32 three variants are recomputed, each in three plain ways
    (`rounding`). Where the engine is further from them than they allow, the engine and they are
    compared with the same layers in a finer dtype: if the engine is no more than `FACTOR` times as
    far from these as the plain ways are, rounding is to blame; that is printed, with both
    distances.

    Raises
    ------
    RuntimeError
        With both numbers, if the engine differs by more than rounding explains.
    """
    dtype = subject.model.dtype
    chosen = [len(windows) // 2]
    plain = blocked_plain(subject, prompt, pathway, [windows[chosen[0]]]).log_probabilities.cpu()
    off, bound = _furthest(plain, resumed[chosen]), EXACT.get(dtype, 0.0)
    if off <= bound:
        return
    truth = None
    if dtype != torch.float64:
        chosen = sorted({0, len(windows) // 2, len(windows) - 1})
        some = [windows[index] for index in chosen]
        ways, step = _plain_ways(subject, prompt, pathway, some)
        plain = ways[..., [prompt.y_p, prompt.y_c]]
        off, bound = _furthest(plain[0], resumed[chosen]), max(bound, _allowed(plain, step))
        if off <= bound:
            return
        truth = _finer(subject, prompt, pathway, some)
    found = (
        f"engine and plain way differ on {pathway}, layers "
        f"{[list(windows[index]) for index in chosen]}, of {prompt.id} by {off:.2g} nats"
        f" (at most {bound:.2g} is rounding in {dtype})"
    )
    if truth is not None:
        own, theirs = _furthest(resumed[chosen], truth), _furthest(plain, truth)
        found += (
            f"; from the same layers in a finer dtype the engine is {own:.2g} nats away, plain "
            f"passes up to {theirs:.2g}"
        )
        if own <= FACTOR * max(theirs, step):
            tqdm.write(f"{found}: rounding, which a larger dtype would lessen")
            return
    why = f"{found}: they disagree; please report it, and use engine='plain'"
    raise RuntimeError(why)


def rounding(subject, prompt, whole: bool = False) -> float:
    """By how much two log-probabilities of a prompt's first answer token that ought to be equal may
    differ, in nats.

    Of both answers, or of the `whole` vocabulary, whose furthest token differs by more. Fixed in
    float64 and float32 (`EXACT`). In a narrower dtype it depends on model and prompt, and is
    measured: `FACTOR` times the most by which plain passes differ among themselves (alone, beside a
    copy of the prompt, and with the other implementation of attention), with text→last closed in
    the first, the middle and the last layer; and at least one step of the dtype at the largest
    logit.
    """
    if subject.model.dtype in EXACT:
        return EXACT[subject.model.dtype]
    windows = [
        range(layer, layer + 1)
        for layer in sorted({0, subject.n_layers // 2, subject.n_layers - 1})
    ]
    ways, step = _plain_ways(subject, prompt, Pathway("text", "last"), windows)
    return _allowed(ways if whole else ways[..., [prompt.y_p, prompt.y_c]], step)


def _furthest(one: Tensor, other: Tensor) -> float:
    """The largest difference; not a number if one is in there, so that no comparison with a bound
    holds.
    """
    return (one - other).abs().max().item()


def _allowed(ways: Tensor, step: float) -> float:
    return max(FACTOR * _furthest(ways, ways[:1]), step)


def _plain_ways(
    subject, prompt, pathway: Pathway, windows: Sequence[range]
) -> tuple[Tensor, float]:
    """Log-probabilities of some variants by plain passes, (3 ways, n_windows, vocabulary), the
    usual way first; and a step of the dtype at the largest logit.
    """

    def run(one):
        rows = []
        for window in windows:
            with knockout(subject, one, [pathway], window):
                rows.append(next_token_logits(subject, one))
        return torch.cat(rows).cpu()

    twice = replace(
        prompt, inputs={name: torch.cat([value] * 2) for name, value in prompt.inputs.items()}
    )
    usual = subject.decoder.config._attn_implementation
    ways = [run(prompt), run(twice)]
    subject.decoder.set_attn_implementation("eager" if usual == "sdpa" else "sdpa")
    try:
        ways.append(run(prompt))
    finally:
        subject.decoder.set_attn_implementation(usual)
    step = torch.finfo(subject.model.dtype).eps * ways[0].abs().max().item()
    return log_softmax(torch.stack(ways)), step


def _finer(subject, prompt, pathway: Pathway, windows: Sequence[range]) -> Tensor | None:
    """The variants' log-probabilities by the same layers in a finer dtype, (n_windows, 2); None
    where memory does not allow it.

    One layer at a time is widened, so that a model of any size needs no more than that beside it.
    What the decoder is given (embeddings, what is seen, rotary positions) is the same as in every
    other way.
    """
    try:
        with in_finer_dtype(subject):
            return blocked_plain(subject, prompt, pathway, windows).log_probabilities.cpu()
    except torch.cuda.OutOfMemoryError:
        return None


@contextmanager
def in_finer_dtype(subject):
    """Layers, final norm and unembedding compute in float32 (in float64 for a float32 model) while
    the body runs, each widened for its own call.
    """
    finer = torch.float64 if subject.model.dtype == torch.float32 else torch.float32
    narrow: dict[nn.Parameter, Tensor] = {}

    def wider(value):
        return value.to(finer) if isinstance(value, Tensor) and value.is_floating_point() else value

    def widen(module, args, kwargs):
        for weight in module.parameters():
            narrow[weight] = weight.data
            weight.data = wider(weight.data)
        return tree_map(wider, args), tree_map(wider, kwargs)

    def restore(module=None, args=None, out=None):
        while narrow:
            weight, data = narrow.popitem()
            weight.data = data

    parts = [*subject.layers, subject.norm, subject.model.get_output_embeddings()]
    try:
        with (
            hooks(part.register_forward_pre_hook(widen, with_kwargs=True) for part in parts),
            hooks(part.register_forward_hook(restore) for part in parts),
        ):
            yield
    finally:
        restore()
