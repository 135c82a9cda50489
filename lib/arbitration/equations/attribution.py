"""What each attention sublayer, MLP and head adds to the signal and to the arbitration margin."""

from collections.abc import Callable

import numpy as np
import pandas as pd
import torch
from torch import Tensor
from tqdm.auto import tqdm

from arbitration.dataset import entities
from arbitration.dataset.sample import opposite
from arbitration.equations.lens import final_norm, phi
from arbitration.equations.trace import trace, widened
from arbitration.models.prompt import identity

Metric = Callable[[Tensor], Tensor]


def sublayer_increments(
    before: Tensor, attention: Tensor, mlp: Tensor, metric: Metric
) -> tuple[Tensor, Tensor]:
    """Contributions of attention and MLP to a metric of the residual stream (Eqs. 10 and 11).

    Parameters
    ----------
    before, attention, mlp : Tensor, (..., n_positions, d)
        H of the layer before, and the outputs A and F of this layer's sublayers; leading axes
        (layers) broadcast.
    metric : callable
        (..., n_positions, d) → (...): Φ_f for the signal, Φ_f − Φ_c for the margin, in logits.

    Returns
    -------
    delta_attention, delta_mlp : Tensor, (...)
        In the metric's unit. Their sum over layers telescopes to metric(H of the last) −
        metric(embedding).

    Examples
    --------
    The attention lifts the largest number from 1 to 3, the MLP from 3 to 4:

    >>> before, attention, mlp = torch.tensor([[[1.0, 0.0]], [[0.0, 3.0]], [[2.0, 1.0]]])
    >>> [step.item() for step in sublayer_increments(before, attention, mlp, torch.max)]
    [2.0, 1.0]
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

    Examples
    --------
    One position at (1, 1), two heads that write 2 · 3 to the first number and −1 · 4 to the
    second; the metric is the first minus the second:

    >>> heads, output_weight = torch.tensor([[[3.0], [4.0]]]), torch.tensor([[2.0, 0], [0, -1.0]])
    >>> gap = lambda hidden: (hidden[..., 0] - hidden[..., 1]).amax(-1)
    >>> head_increments(torch.ones(1, 2), heads, output_weight, gap).tolist()
    [6.0, 4.0]
    """
    return metric(before + head_writes(heads, output_weight)) - metric(before)


def head_writes(heads: Tensor, output_weight: Tensor) -> Tensor:
    """What each head writes to the residual stream, (n_heads, n_positions, d): its summand
    Head · W_O of Eq. 3, in float32 at least.
    """
    n_heads, width = heads.shape[-2:]
    slices = widened(output_weight).reshape(output_weight.shape[0], n_heads, width)
    return widened(heads).transpose(0, 1) @ slices.permute(1, 2, 0)


def head_attribution(
    subject, prompts, dictionary=None, top_k: int = 1, pooling: str = "max", norm: bool = False
) -> pd.DataFrame:
    """Contribution of every head to the arbitration margin at the instruction tokens: Eq. 12 over
    prompts.

    Parameters
    ----------
    subject : Subject
    prompts : sequence of Prompt
    dictionary : EntityDictionary, optional
        That of the shipped scenes unless given.
    top_k, pooling, norm
        As in `lens.phi`; ``norm=True`` applies the model's final norm first.

    Returns
    -------
    DataFrame
        One row per prompt × layer × head: model, sample, following, layer, head, margin (logits).

    Raises
    ------
    ValueError
        If what the heads write does not sum to what the layer adds (`Subject.head_obstacle`).
    """
    if subject.head_obstacle:
        why = (
            f"heads of {subject.name} have no contribution of their own (Eq. 12): "
            f"{subject.head_obstacle}; `head_sensitivity` ranks them, and"
            " scaling them works"
        )
        raise ValueError(why)
    dictionary = dictionary or entities.load("scenes")
    frames = []
    for prompt in tqdm(
        prompts, leave=False, disable=len(prompts) == 1, desc=f"heads, {subject.name}"
    ):
        activations = trace(subject, prompt)
        metric = margin(subject, prompt, dictionary, top_k, pooling, norm)
        place = prompt.groups.instruction.to(activations.residual.device)
        scores = torch.stack(
            [
                head_increments(
                    activations.residual[layer, place],
                    activations.heads[layer, place],
                    subject.output_projection(layer).weight.to(place.device),
                    metric,
                )
                for layer in range(subject.n_layers)
            ]
        )
        layers, heads = np.indices(scores.shape)
        frames.append(
            pd.DataFrame(
                {
                    **identity(subject, prompt),
                    "layer": layers.ravel(),
                    "head": heads.ravel(),
                    "margin": scores.detach().double().cpu().numpy().ravel(),
                }
            )
        )
    return pd.concat(frames, ignore_index=True)


def signals(
    subject,
    prompt,
    dictionary,
    top_k: int = 1,
    pooling: str = "max",
    norm: bool = False,
    sample=None,
):
    """Φ_f and Φ_c of one prompt as functions of (..., n_positions, d) residual streams.

    Another `sample` than the prompt's own gives the shuffled-dictionary control.
    """
    ids = dict(
        zip(("vision", "text"), dictionary.sample_ids(sample or prompt.sample, subject.tokenizer))
    )
    final = final_norm(subject) if norm else None

    def signal(modality):
        rows = subject.unembedding[ids[modality]].detach().to(subject.device)
        return lambda hidden: phi(hidden, rows, top_k, pooling, final)

    return signal(prompt.following), signal(opposite(prompt.following))


def margin(subject, prompt, dictionary, top_k: int = 1, pooling: str = "max", norm: bool = False):
    """The modality arbitration margin ΔS = Φ_f − Φ_c of one prompt as a function of residual
    streams (§4.1.1).
    """
    followed, competitor = signals(subject, prompt, dictionary, top_k, pooling, norm)
    return lambda hidden: followed(hidden) - competitor(hidden)
