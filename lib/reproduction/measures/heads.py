"""Which heads decide? Two rankings, and what each head does alone.

Eq. 12 ranks heads by what they write at the instruction tokens, `sensitivity` by how far the
decision moves with them. What each head does when it alone is silenced is the ground truth that a
ranking should foretell. Each function goes from one prompt to its rows.
"""

from collections.abc import Iterator, Sequence

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from arbitration.engine import generation
from arbitration.equations.attribution import head_attribution
from arbitration.equations.heads import (
    Head,
    ranking,
    share_count,
)
from arbitration.equations.sensitivity import gain_gradients
from arbitration.models.prompt import identity

PLACES = ("instruction", "last", "both")

METHODS = ("eq12", "sensitivity")


def positions_of(prompt, positions: str) -> Tensor:
    """Where heads are scaled: a token group, or ``both``, the instruction and the last position."""
    return (
        torch.cat([prompt.groups.instruction, prompt.groups.last])
        if positions == "both"
        else prompt.groups.positions(positions)
    )


def attribute_heads(subject, prompts, dictionary, **phi) -> Iterator[pd.DataFrame]:
    """The contribution of every head to the arbitration margin (`attribution.head_attribution`),
    one table a prompt; `phi` as in `lens.phi`.
    """
    for prompt in prompts:
        yield head_attribution(subject, [prompt], dictionary, **phi)


def rank_directions(scores: pd.DataFrame) -> dict[str, list[Head]]:
    """All heads by Eq. 12, the strongest first, for each direction; empty where none was scored."""
    ways = {way: scores[scores["following"] == way] for way in ("text", "vision")}
    return {way: ranking(rows) for way, rows in ways.items()}


def score_heads(subject, prompt, dictionary, **options) -> pd.DataFrame:
    """Both scores of every head.

    Parameters
    ----------
    **options
        ``top_k``, ``pooling``, ``norm`` of `lens.phi`, for Eq. 12.

    Returns
    -------
    DataFrame
        model, sample, following, layer, head; eq12 (logits, at the instruction tokens) and
        sensitivity_instruction, sensitivity_last, sensitivity_both (nats per unit of gain at these
        positions; a derivative, so that the last is the sum of the other two).
    """
    table = head_attribution(subject, [prompt], dictionary, **options).rename(
        columns={"margin": "eq12"}
    )
    instruction, last = (
        gain_gradients(subject, [prompt], positions=("instruction", "last"))[0].cpu().numpy()
    )
    derivatives = {"instruction": instruction, "last": last, "both": instruction + last}
    return table.assign(
        **{f"sensitivity_{name}": values.ravel() for name, values in derivatives.items()}
    )


#: The table of `silence_heads` where there is no prompt to ask: every column, no row (see
#: `results.collect`).
NO_EFFECTS = pd.DataFrame(
    [("", "", "", "", 0, 0, 0.0, 0.0, False, "", "")],
    columns="model sample following positions layer head clean effect turned image wording".split(),
)[:0]


def silence_heads(
    subject,
    prompt,
    places: Sequence[str] = ("instruction", "last"),
    engine: str = "auto",
    layers: Sequence[int] | None = None,
) -> pd.DataFrame:
    """What silencing each head alone does to the decision: the ground truth of a ranking.

    Parameters
    ----------
    layers : sequence of int, optional
        Whose heads are silenced; those of every layer unless given.

    Returns
    -------
    DataFrame
        model, sample, following, positions, layer, head, clean (the decision's lead ln P(y_p) − ln
        P(y_c), nats), effect (what the lead loses, nats: positive if the head served the
        instruction; to first order the head's sensitivity) and turned (whether the competitor leads
        without the head).
    """
    layers = np.repeat(range(subject.n_layers) if layers is None else layers, subject.n_heads)
    heads = np.tile(np.arange(subject.n_heads), len(layers) // subject.n_heads)
    gains = torch.ones(len(layers), subject.n_layers, subject.n_heads)
    gains[torch.arange(len(layers)), torch.from_numpy(layers), torch.from_numpy(heads)] = 0.0
    frames = []
    for positions in places:
        clean, leads = generation.leads(
            subject, prompt, gains, positions_of(prompt, positions), engine
        )
        frames.append(
            pd.DataFrame(
                {
                    **identity(subject, prompt),
                    "positions": positions,
                    "layer": layers,
                    "head": heads,
                    "clean": clean,
                    "effect": clean - leads.numpy(),
                    "turned": (leads < 0).numpy() & (clean > 0),
                }
            )
        )
    return pd.concat(frames, ignore_index=True)


def rank_heads(scores: pd.DataFrame) -> dict[tuple[str, str, str], list[Head]]:
    """All heads in the order of each score: (method, positions, direction) → heads, strongest
    first.

    Eq. 12 is about the instruction tokens; its order is the same wherever the heads are scaled.
    """
    return {
        (method, positions, way): ranking(
            rows, by="eq12" if method == "eq12" else f"sensitivity_{positions}"
        )
        for way, rows in scores.groupby("following")
        for method in METHODS
        for positions in PLACES
    }


def keep_top(subject, orders: dict, share: float) -> dict:
    """The top share of all heads of each order: what scaling no more than that can depend on."""
    count = share_count(subject.total_heads, share)
    return {key: order[:count] for key, order in orders.items()}
