"""What an intervention changes of a prompt's pass, and which variants travel together (the plan of
`arbitration.engine.resume`).

Everything here is index arithmetic on the CPU, done before the pass that it describes is started.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from arbitration.equations.knockout import Pathway, close_edges, standing_edges

#: MiB that the variants of one pass may take, besides the weights and the clean pass. A processor's
#: caches like less.
WORKSPACE = {"cpu": 128, "cuda": 384}


@dataclass(frozen=True, eq=False)
class Variant:
    """One change of a prompt's pass; as it stands, none.

    Attributes
    ----------
    prompt : Prompt
    edges : tuple of (source, target, generated)
        Positions whose edges are closed, and whether every new token is a target too.
    layers : range
        Where they are closed.
    gains : Tensor, optional, (L, n_heads)
        Factors on the heads' outputs.
    positions : Tensor, optional
        Where the factors apply.
    """

    prompt: object
    edges: tuple = ()
    layers: range = range(0)
    gains: Tensor | None = None
    positions: Tensor | None = None

    @cached_property
    def first_row(self) -> int:
        """The first changed row; the last one for a variant that changes nothing."""
        changed = [target for _, target, _ in self.edges] + (
            [] if self.gains is None else [self.positions]
        )
        return min((int(rows.min()) for rows in changed), default=self.prompt.groups.length - 1)

    @cached_property
    def first_layer(self) -> int | None:
        """The first changed layer, if there is one."""
        scaled = [] if self.gains is None else (self.gains != 1).any(1).nonzero().flatten().tolist()
        return min([*self.layers[:1], *scaled[:1]], default=None)


def default_workspace(subject) -> float:
    """What the variants of one pass may take unless a caller says otherwise, in MiB."""
    return WORKSPACE.get(subject.device.type, WORKSPACE["cuda"])


def closing(prompt, pathways: Sequence[Pathway], windows: Sequence[range]) -> list[Variant]:
    """The variants that close some pathways together, one for each window of layers."""
    edges = tuple((*pathway.edges(prompt), pathway.target == "last") for pathway in pathways)
    return [Variant(prompt, edges, window) for window in windows]


@dataclass(frozen=True)
class Pack:
    """Variants of one prompt that begin at the same row, in the order in which they join the pass.

    Attributes
    ----------
    variants : list of int
        Their places in the list that was planned.
    first_row : int
    joined : list of int
        How many are under way in each layer.
    masks : Tensor, (n_masks, 1, R, N)
        True where a row may look: what the model always sees (the causal mask, in most models),
        then one for each set of closed edges.
    mask_of : list of (Tensor or None), (joined,)
        In each layer the mask of every variant under way; None where all are causal.
    factors : Tensor, optional, (n_variants, R, L, n_heads)
        On the heads' outputs.
    """

    variants: list[int]
    first_row: int
    joined: list[int]
    masks: Tensor
    mask_of: list[Tensor | None]
    factors: Tensor | None


def packs(subject, variants: Sequence[Variant], workspace: float) -> list[Pack]:
    """Plan the passes for the variants of one prompt.

    Parameters
    ----------
    workspace : float
        MiB; together with model and prompt it fixes which variants travel together, so that a
        repeated run gives the same bits.
    """
    together: dict[int, list[int]] = {}
    for index, variant in enumerate(variants):
        together.setdefault(variant.first_row, []).append(index)
    found = []
    for first_row, indices in together.items():
        length = variants[indices[0]].prompt.groups.length
        size = max(
            1, int(workspace * 2**20 // bytes_per_variant(subject, length - first_row, length))
        )
        indices.sort(key=lambda index: _first_layer(subject, variants[index]))
        found += [
            _pack(subject, variants, indices[start : start + size], first_row)
            for start in range(0, len(indices), size)
        ]
    return found


def bytes_per_variant(subject, rows: int, length: int) -> int:
    """Rough memory of one variant in one layer: its rows in the MLP, and its copy of every head's
    keys and values.
    """
    config = subject.decoder.config
    per_row = 3 * config.intermediate_size + 4 * config.hidden_size
    per_key = 2 * 2 * subject.output_projection(0).in_features
    return (rows * per_row + length * per_key) * subject.model.dtype.itemsize


def _first_layer(subject, variant: Variant) -> int:
    return subject.n_layers - 1 if variant.first_layer is None else variant.first_layer


def _pack(subject, variants, indices: list[int], first_row: int) -> Pack:
    chosen = [variants[index] for index in indices]
    length = chosen[0].prompt.groups.length
    usual = usual_mask(subject, chosen[0].prompt, first_row)
    masks, number = [usual], {}
    for variant in chosen:
        if variant.edges and id(variant.edges) not in number:
            number[id(variant.edges)] = len(masks)
            masks.append(_closed(usual, variant.edges, first_row))
    starts = [_first_layer(subject, variant) for variant in chosen]
    joined = _joined(starts, subject.n_layers)
    return Pack(
        indices,
        first_row,
        joined,
        torch.stack(masks)[:, None],
        [_mask_of(chosen[:count], layer, number) for layer, count in enumerate(joined)],
        _factors(subject, chosen, first_row, length),
    )


def _mask_of(variants: Sequence[Variant], layer: int, number: dict[int, int]) -> Tensor | None:
    """Which mask each variant has in a layer, 0 where none of its edges is closed; None if that is
    so for all.
    """
    chosen = [
        number[id(variant.edges)] if variant.edges and layer in variant.layers else 0
        for variant in variants
    ]
    return torch.tensor(chosen) if any(chosen) else None


def usual_mask(subject, prompt, first_row: int) -> Tensor:
    """What a prompt's rows from the first one on see without an intervention, (R, N): all earlier
    tokens, less what the model never has.
    """
    length = prompt.groups.length
    causal = torch.arange(length)[None, :] <= torch.arange(first_row, length)[:, None]
    return _closed(causal, standing_edges(subject, prompt), first_row)


def _closed(usual: Tensor, edges, first_row: int) -> Tensor:
    mask = usual.clone()
    for source, target, _ in edges:
        close_edges(mask, target[target >= first_row] - first_row, source, first_row)
    return mask


def _factors(subject, variants, first_row: int, length: int) -> Tensor | None:
    if all(variant.gains is None for variant in variants):
        return None
    factors = torch.ones(len(variants), length - first_row, subject.n_layers, subject.n_heads)
    for row, variant in enumerate(variants):
        if variant.gains is not None:
            factors[row, variant.positions - first_row] = variant.gains
    return factors


@dataclass(frozen=True)
class LastRows:
    """Variants that change the last row alone: the prompts of a pass are its batch, the variants
    its rows.

    All prompts have the same variants (pathways into the last token × windows); the keys of shorter
    prompts are padded.

    Attributes
    ----------
    joined : list of int
        How many variants are under way in each layer.
    masks : Tensor, (n_prompts, n_masks, P)
        What the last row may see of the P earlier positions: what it always sees, then without each
        pathway's source.
    mask_of : list of Tensor, (joined,)
        In each layer the mask of every variant under way.
    """

    joined: list[int]
    masks: Tensor
    mask_of: list[Tensor]


def last_rows(
    subject, prompts, pathways: Sequence[Pathway], numbered: Sequence[tuple[int, range]]
) -> LastRows:
    """Plan one pass for (number of the pathway, window) pairs, ordered by the window's first layer,
    in every prompt.
    """
    earlier = max(prompt.groups.length for prompt in prompts) - 1
    masks = torch.zeros(len(prompts), 1 + len(pathways), earlier, dtype=torch.bool)
    for own, prompt in zip(masks, prompts):
        own[:, : prompt.groups.length - 1] = usual_mask(subject, prompt, prompt.groups.length - 1)[
            0, :-1
        ]
        for number, pathway in enumerate(pathways, 1):
            source = pathway.edges(prompt)[0]
            own[number, source[source < prompt.groups.length - 1]] = False
    joined = _joined([window.start for _, window in numbered], subject.n_layers)
    mask_of = []
    for layer, count in enumerate(joined):
        chosen = [1 + number if layer in window else 0 for number, window in numbered[:count]]
        mask_of.append(torch.tensor(chosen, dtype=torch.long))
    return LastRows(joined, masks, mask_of)


def _joined(starts: list[int], n_layers: int) -> list[int]:
    """How many are under way in each layer."""
    return [sum(start <= layer for start in starts) for layer in range(n_layers)]
