"""How much the decision would move if a head spoke a little louder: the exact derivative, for all
heads at once.

Eq. 12 asks what a head writes and reads it off with the lens, so it is blind to a head whose
writing a later layer turns into the decision. The derivative follows every way that the writing
takes, and costs one backward pass for each batch of prompts.
"""

from collections.abc import Callable, Sequence
from contextlib import contextmanager
from itertools import groupby

import numpy as np
import pandas as pd
import torch
from torch import Tensor
from tqdm.auto import tqdm

from arbitration.equations.heads import times
from arbitration.equations.hooks import hooks
from arbitration.equations.knockout import standing
from arbitration.equations.trace import precision
from arbitration.models.memory import prompts_at_once
from arbitration.models.prompt import identity

MOST = 4  # prompts that travel together: more are no faster


def decision_margin(logits: Tensor, prompt) -> Tensor:
    """ln P(y_p) − ln P(y_c) of the first answer token, in nats: the default metric."""
    return logits[prompt.y_p] - logits[prompt.y_c]


def head_sensitivity(
    subject,
    prompts,
    metric: Callable = decision_margin,
    positions: str | Callable = "instruction",
    batch: int | None = None,
) -> pd.DataFrame:
    """Derivative of a metric with respect to the gain of every head (the arguments are those of
    `gain_gradients`).

    Returns
    -------
    DataFrame
        One row per prompt × layer × head: model, sample, following, layer, head, sensitivity (the
        metric's unit per unit of gain). ``heads.ranking(table, by="sensitivity")`` puts the heads
        in order.
    """
    frames = []
    for prompt, scores in zip(
        prompts, gain_gradients(subject, prompts, metric, positions, batch).cpu().numpy()
    ):
        layers, heads = np.indices(scores.shape)
        frames.append(
            pd.DataFrame(
                {
                    **identity(subject, prompt),
                    "layer": layers.ravel(),
                    "head": heads.ravel(),
                    "sensitivity": scores.ravel(),
                }
            )
        )
    return pd.concat(frames, ignore_index=True)


def gain_gradients(
    subject,
    prompts: Sequence,
    metric: Callable = decision_margin,
    positions: str | Callable | tuple = "instruction",
    batch: int | None = None,
) -> Tensor:
    """Derivative of a metric with respect to every head's gain, one backward pass per batch.

    With a gain g on the output of head h of layer l at the positions 𝒯, all gains 1 in the model as
    it is,

        s_{l,h} = ∂M/∂g_{l,h} = Σ_{t ∈ 𝒯} ⟨∂M/∂Head_{l,h}(t), Head_{l,h}(t)⟩   (Head as in Eq. 4),

    so s tells to first order what `scale_heads` does at these positions: M moves by (factor − 1)·s.

    Parameters
    ----------
    subject : Subject
    prompts : sequence of Prompt
    metric : callable
        (logits of the next token after the last position, (vocabulary,); the prompt) → scalar M.
    positions : str, callable, or tuple
        Name of a token group, or a function from a prompt to positions, (n,); or a tuple of such,
        all from the same backward pass.
    batch : int, optional
        Prompts that travel together. Unless given, as many as the free memory holds
        (`memory.prompts_at_once`), at most 4. Out of GPU memory halves it. It changes no number
        beyond rounding. A model with closed paths (`Subject.closed`) takes one at a time.

    Returns
    -------
    Tensor, (n_prompts, L, n_heads); for a tuple of positions (n_prompts, n_positions, L, n_heads)
        In the metric's unit (nats for `decision_margin`) per unit of gain; float64.
    """
    prompts = list(prompts)
    size = batch or prompts_at_once(subject, prompts, MOST)
    size = 1 if subject.closed else size  # what it never sees lies elsewhere in every prompt
    rows: list[Tensor] = []
    shown = {
        "desc": f"sensitivity, {subject.name}",
        "leave": False,
        "disable": len(prompts) <= size,
    }
    with tqdm(total=len(prompts), **shown) as bar:
        # Mixed embeddings and token ids do not mix.
        for _, alike in groupby(prompts, key=lambda prompt: sorted(prompt.inputs)):
            left = list(alike)
            while left:
                pack = left[:size]
                try:
                    rows += _pack_gradients(subject, pack, metric, positions)
                except torch.cuda.OutOfMemoryError:
                    if len(pack) == 1:
                        raise
                    size = len(pack) // 2
                    tqdm.write(f"out of GPU memory; going on with {size} prompts at a time")
                    continue
                left = left[len(pack) :]
                bar.update(len(pack))
    return torch.stack(rows)


def _pack_gradients(subject, prompts, metric, positions) -> list[Tensor]:
    inputs, length = _side_by_side(prompts)
    # A gain at every position, so that the sum over the chosen ones is taken here and not in the
    # model's dtype.
    wide = precision(subject.model.dtype)
    shape = (len(prompts), subject.n_layers, length, subject.n_heads)
    gains = torch.ones(shape, dtype=wide, device=subject.device, requires_grad=True)

    def scale(layer):
        def hook(module, args):
            return (times(args[0], gains[:, layer].to(args[0].device)), *args[1:])

        return hook

    scaled = (
        subject.output_projection(layer).register_forward_pre_hook(scale(layer))
        for layer in range(subject.n_layers)
    )
    kept = 1 + length - min(prompt.groups.length for prompt in prompts)
    with (
        torch.enable_grad(),
        frozen(subject.model),
        standing(subject, prompts[0]),
        hooks(scaled),
    ):
        logits = subject.model(**inputs, use_cache=False, logits_to_keep=kept).logits.to(wide)
        values = [
            metric(row[prompt.groups.length - 1 - length], prompt)
            for row, prompt in zip(logits, prompts)
        ]
        gradients = torch.autograd.grad(torch.stack(values).sum(), gains)[0].double()

    def summed(gradient, prompt, positions):
        if isinstance(positions, tuple):
            return torch.stack([summed(gradient, prompt, one) for one in positions])
        named = isinstance(positions, str)
        place = prompt.groups.positions(positions) if named else positions(prompt)
        return gradient[:, place.to(gradient.device)].sum(1)

    return [summed(gradient, prompt, positions) for gradient, prompt in zip(gradients, prompts)]


@contextmanager
def frozen(model):
    """No parameter takes part in gradients while the body runs; each one's flag is restored, also
    when the body raises.
    """
    learning = [parameter for parameter in model.parameters() if parameter.requires_grad]
    try:
        for parameter in learning:
            parameter.requires_grad_(False)
        yield
    finally:
        for parameter in learning:
            parameter.requires_grad_(True)


def _side_by_side(prompts) -> tuple[dict[str, Tensor], int]:
    """Inputs of several prompts as one batch, and its length.

    Shorter prompts go on by repeating their last token: attention only looks back, so nothing that
    is read can change.
    """
    longest = max(prompt.groups.length for prompt in prompts)
    inputs = {}
    for key in prompts[0].inputs:
        values = []
        for prompt in prompts:
            value, length = prompt.inputs[key], prompt.groups.length
            by_token = value.shape[:2] == (1, length)
            values.append(
                value[:, torch.arange(longest, device=value.device).clamp_max(length - 1)]
                if by_token
                else value
            )
        inputs[key] = torch.cat(values)
    return inputs, longest
