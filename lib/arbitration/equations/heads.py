"""Sets of attention heads, and blocking or amplifying them (§4.2)."""

from collections.abc import Iterable
from contextlib import contextmanager
from dataclasses import dataclass
from functools import wraps

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from arbitration.equations.hooks import hooks
from arbitration.equations.trace import widened

#: The paper's set, 40 of 784 heads, as a share of all heads; and the factor at which it quotes
#: amplification (§4.2).
SHARE, FACTOR = 0.05, 2.0


@dataclass(frozen=True, order=True)
class Head:
    """A query head: 0-based layer and index."""

    layer: int
    index: int

    def __str__(self) -> str:
        return f"{self.layer}.{self.index}"


def ranking(scores: pd.DataFrame, by: str = "margin") -> list[Head]:
    """All heads by the mean of a column over the samples, strongest first (ties by layer and
    index).

    Examples
    --------
    >>> scores = pd.DataFrame({"layer": [0, 0, 1], "head": [0, 1, 0], "margin": [1.0, 3.0, 2.0]})
    >>> [str(head) for head in ranking(scores)]
    ['0.1', '1.0', '0.0']
    """
    mean = scores.groupby(["layer", "head"])[by].mean()
    ordered = sorted(mean.items(), key=lambda item: (-item[1], item[0]))
    return [Head(int(layer), int(index)) for (layer, index), _ in ordered]


def share_count(n_heads: int, share: float = SHARE) -> int:
    """How many heads a share of all heads is (rounded down, at least one).

    Parameters
    ----------
    n_heads : int
        Of the whole model, `Subject.total_heads`.
    share : float
        In (0, 1].

    Raises
    ------
    ValueError
        For a share outside of (0, 1].

    Examples
    --------
    >>> share_count(270, 0.05)
    13
    """
    if not 0 < share <= 1:
        why = f"a share of heads lies in (0, 1]; got {share}"
        raise ValueError(why)
    return max(1, int(share * n_heads))


def random_heads(subject, count: int, seed: int) -> list[Head]:
    """A control: `count` heads drawn from the whole model without replacement."""
    random = np.random.default_rng([seed, count])
    chosen = random.choice(subject.total_heads, size=count, replace=False)
    return sorted(Head(int(c) // subject.n_heads, int(c) % subject.n_heads) for c in chosen)


def layer_matched_heads(subject, heads: Iterable[Head], seed: int) -> list[Head]:
    """A control for a set: as many random heads in the same layers, none of the set's own as long
    as a layer has others.

    Where the set holds more than half of a layer's heads, some of its own are drawn again.
    """
    rng = np.random.default_rng([seed, 1])
    found, taken = [], sorted(set(heads))
    for layer in sorted({head.layer for head in taken}):
        own = [head.index for head in taken if head.layer == layer]
        others = [index for index in range(subject.n_heads) if index not in own]
        drawn = [*rng.permutation(others), *rng.permutation(own)]
        found += [Head(layer, int(index)) for index in drawn[: len(own)]]
    return sorted(found)


def shared_heads(first: Iterable[Head], second: Iterable[Head]) -> list[Head]:
    """Modality-shared heads: those in both directions' top sets.

    Examples
    --------
    >>> [str(head) for head in shared_heads([Head(2, 1), Head(0, 3)], [Head(0, 3), Head(5, 5)])]
    ['0.3']
    """
    return sorted(set(first) & set(second))


def gain_table(subject, heads: Iterable[Head], factor: float) -> Tensor:
    """Factor of every head, (L, n_heads): `factor` for the given heads, 1 elsewhere."""
    gains = torch.ones(subject.n_layers, subject.n_heads)
    for head in heads:
        if not (0 <= head.layer < subject.n_layers and 0 <= head.index < subject.n_heads):
            why = (
                f"head {head} does not exist: {subject.name} has {subject.n_layers} layers × "
                f"{subject.n_heads} heads"
            )
            raise ValueError(why)
        gains[head.layer, head.index] = factor
    return gains


def times(heads: Tensor, factors: Tensor) -> Tensor:
    """Head outputs side by side, (..., n_heads · d_head), each times its factor, (..., n_heads).

    The product, and its derivative with respect to the factors, are taken in float32 at least; the
    result is in the heads' dtype.

    Examples
    --------
    Two heads of two numbers, the first blocked, the second doubled:

    >>> times(torch.tensor([1.0, 2.0, 3.0, 4.0]), torch.tensor([0.0, 2.0])).tolist()
    [0.0, 0.0, 6.0, 8.0]
    """
    wide = widened(heads)
    return (
        (wide.unflatten(-1, (factors.shape[-1], -1)) * factors[..., None].to(wide))
        .flatten(-2)
        .to(heads.dtype)
    )


def scale_heads(
    subject,
    heads: Iterable[Head],
    factor: float,
    positions: Tensor | None = None,
    generated: bool = False,
):
    """Multiply the output of some heads while the body runs: 0 blocks, more than 1 amplifies
    (§4.2.2).

    The body may call the model or its `generate`, with a cache, on any prompt and any batch, with
    beams or samples, with drafts that an assistant or the prompt itself proposes, and with the
    prompt in chunks. What is prompt and what is generated is known from the call of `generate`;
    without one, the pass that begins a cache is the prompt, and single tokens after it are
    generated.

    Parameters
    ----------
    heads : iterable of Head
    factor : float
    positions : Tensor, optional
        Absolute positions of the prompt, (n,) or one row per sequence of the batch, (batch, n); all
        unless given.
    generated : bool
        Also at every token generated after the prompt; these are left alone otherwise.

    Raises
    ------
    ValueError
        For a head that does not exist; and in the body, if the rows of `positions` do not share out
        the batch or lie outside of the prompt, or if several tokens go on from a cache outside of
        `generate`, so that nobody knows whether they are prompt.

    Returns
    -------
    context manager
    """
    return scale_heads_by(subject, gain_table(subject, heads, factor), positions, generated)


@contextmanager
def scale_heads_by(
    subject, gains: Tensor, positions: Tensor | None = None, generated: bool = False
):
    """As `scale_heads`, with a factor for each head, (L, n_heads), or for each sequence too,
    (batch, L, n_heads).
    """
    gains = gains if gains.ndim == 3 else gains[None]
    touched = (gains != 1).any(0).any(-1).nonzero().flatten().tolist()
    # Per layer: the position of this pass's first row, whether there is a cache, and (outside of
    # `generate`) the length of the pass that began it.
    start, cached, length_of_prompt = {}, {}, {}

    def find_start(layer):
        def hook(module, args, kwargs):
            past = kwargs.get("past_key_values")
            cached[layer] = past is not None
            start[layer] = int(past.get_seq_length(module.layer_idx)) if cached[layer] else 0

        return hook

    def scale(layer):
        def hook(module, args):
            batch, length, _ = args[0].shape
            if start[layer] == 0:
                length_of_prompt[layer] = length
            if told[0] is not None:
                prompt = told[0]
            elif generated == (
                positions is None
            ):  # all rows, or those of the positions, whatever is prompt
                prompt = start[layer] + length
            elif start[layer] and length > 1:
                raise ValueError(_unknown_rows(length, start[layer]))
            else:
                prompt = length_of_prompt.get(layer, start[layer])
            if positions is not None and (told[0] is not None or not cached[layer]):
                _check_inside(positions, prompt)
            place = torch.arange(start[layer], start[layer] + length)
            chosen = ((place >= prompt) & generated).expand(batch, -1)
            chosen = chosen | ((place < prompt) & _among(place, positions, batch))
            factors = torch.where(
                chosen[..., None], _for_batch(gains[:, layer], batch, "gains")[:, None], 1.0
            )
            return (times(args[0], factors), *args[1:]) if chosen.any() else None

        return hook

    def register():
        for layer in touched:
            yield subject.attention(layer).register_forward_pre_hook(
                find_start(layer), with_kwargs=True
            )
            yield subject.output_projection(layer).register_forward_pre_hook(scale(layer))

    with hooks(register()), _told_prompts(subject.model) as told:
        yield


@contextmanager
def _told_prompts(model):
    """A list whose only entry is the length of the prompt while the model generates, None
    otherwise.

    A pass of `generate` does not tell: the first one may hold drafts behind the prompt, or only a
    chunk of it.
    """
    told, own = [None], model.__dict__.get("generate")
    honest = model.generate

    @wraps(honest)
    def generate(inputs=None, *args, **kwargs):
        given = (kwargs.get("inputs_embeds"), kwargs.get("input_ids"), inputs)
        outer, told[0] = told[0], next((one.shape[1] for one in given if one is not None), None)
        try:
            return honest(inputs, *args, **kwargs)
        finally:
            told[0] = outer

    model.generate = generate
    try:
        yield told
    finally:
        if own is None:
            del model.generate
        else:
            model.generate = own


def _among(place: Tensor, positions: Tensor | None, batch: int) -> Tensor:
    """Which places of a pass are among the positions, (batch, n_places); all if there are none
    given.
    """
    if positions is None:
        return torch.ones(batch, len(place), dtype=torch.bool)
    rows = _for_batch(torch.atleast_2d(positions), batch, "positions").cpu()
    return (rows[:, None] == place[:, None]).any(-1)


def _check_inside(positions: Tensor, prompt: int) -> None:
    outside = positions[(positions < 0) | (positions >= prompt)]
    if len(outside):
        why = (
            f"positions {outside.tolist()} are outside of the prompt's 0..{prompt - 1}; for "
            f"generated tokens give generated=True"
        )
        raise ValueError(why)


def _unknown_rows(length: int, seen: int) -> str:
    return (
        f"{length} tokens go on from {seen} in the cache, outside of `generate`: nobody "
        f"knows whether they are prompt or generated. Give `positions`"
        " with generated=False or none with generated=True, where it does not matter; or "
        "pass the whole prompt at once, or call the model's `generate`"
    )


def _for_batch(rows: Tensor, batch: int, what: str) -> Tensor:
    """A row for each sequence of a batch, from one for all or one for each prompt: `generate`
    repeats a prompt for each of its beams or samples.
    """
    if batch % len(rows):
        why = (
            f"{len(rows)} rows of {what} for a batch of {batch} sequences; give one row for "
            f"all, or one for each prompt"
        )
        raise ValueError(why)
    return rows.repeat_interleave(batch // len(rows), dim=0)
