"""Causal attention knockout: closing chosen attention edges in chosen layers."""

from collections.abc import Iterable, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from zlib import crc32

import numpy as np
import torch
from torch import Tensor
from transformers import StaticCache

from arbitration.equations.hooks import hooks


@dataclass(frozen=True)
class Pathway:
    """All edges from the tokens of one group to those of another, 𝒫_{src→dst}.

    Attributes
    ----------
    source, target : str
        Names of token groups (`TokenGroups`).
    control : int, optional
        If given, the source is replaced by tokens drawn at random (`draw_sources`; this is the
        draw's seed). A token's edge to itself is never closed.
    """

    source: str
    target: str
    control: int | None = None

    def __str__(self) -> str:
        return f"{self.source}→{self.target}"

    def edges(self, prompt) -> tuple[Tensor, Tensor]:
        """Source and target positions in a prompt.

        Raises
        ------
        ValueError
            If no edge of the pathway exists: a group is empty, or causality already forbids them
            all.
        """
        source, target = prompt.groups.positions(self.source), prompt.groups.positions(self.target)
        if len(source) == 0 or len(target) == 0 or source.min() > target.max():
            why = (
                f"pathway {self} has no edge in {prompt.id}: {len(source)} source and "
                f"{len(target)} target tokens, and attention only looks back"
            )
            raise ValueError(why)
        if self.control is not None:
            source = draw_sources(source, target, [self.control, crc32(prompt.id.encode())])
        return source, target


def count_edges(source: Tensor, target: Tensor) -> Tensor:
    """Edges from each source token to the targets behind it, (n_sources,): attention looks back,
    and a token's edge to itself stays.

    Examples
    --------
    Of tokens 0 and 2 the first is seen by 2 and 3, the second by 3 alone:

    >>> count_edges(torch.tensor([0, 2]), torch.tensor([2, 3])).tolist()
    [2, 1]
    """
    return (target[None, :] > source[:, None]).sum(1)


def draw_sources(source: Tensor, target: Tensor, seed: Sequence[int]) -> Tensor:
    """Other sources for the same targets, drawn at random, which close as many edges as a pathway.

    Drawn are tokens of neither source nor target; where the prompt has too few of them, all of
    them, and then tokens of source and target too. The prompt's first token, on which attention
    rests by default, is never drawn. The number of edges is the nearest that whole tokens give.

    Parameters
    ----------
    source, target : Tensor, (n_sources,), (n_targets,)
        Positions of the pathway.
    seed : sequence of int
        Of the draw. `Pathway.edges` gives that of the control and one of the prompt, so that every
        prompt has a draw of its own.

    Returns
    -------
    Tensor, sorted
        Positions; empty where nothing but the first token precedes the targets.
    """
    rng = np.random.default_rng(seed)
    pool = torch.arange(1, int(target.max()))
    own = torch.isin(pool, torch.cat([source, target]))
    order = []
    for some in (pool[~own], pool[own]):
        order.append(some[torch.from_numpy(rng.permutation(len(some)))])
    drawn = torch.cat(order)
    drawn = drawn[count_edges(drawn, target) > 0]
    edges = torch.cat([torch.zeros(1, dtype=torch.long), count_edges(drawn, target).cumsum(0)])
    wanted = int(count_edges(source, target).sum())
    return drawn[: int((edges - wanted).abs().argmin())].sort().values


@dataclass(frozen=True)
class LayerWindow:
    """`width` layers around a centre (0-based), clipped to the model.

    Examples
    --------
    >>> list(LayerWindow(5, 3).layers(30)), list(LayerWindow(0, 3).layers(30))
    ([4, 5, 6], [0, 1])
    """

    centre: int
    width: int = 3

    def __post_init__(self):
        if self.width < 1 or self.width % 2 == 0:
            why = f"a layer window is centred, so its width is odd and positive; got {self.width}"
            raise ValueError(why)

    def layers(self, n_layers: int) -> range:
        half = self.width // 2
        return range(max(0, self.centre - half), min(n_layers, self.centre + half + 1))


#: Figs. 3 and 4 of the paper, and the way out of the instruction.
STANDARD_PATHWAYS = (
    Pathway("vision", "text"),
    Pathway("vision", "last"),
    Pathway("text", "last"),
    Pathway("context", "instruction"),
    Pathway("context", "last"),
    Pathway("vision", "instruction"),
    Pathway("vision", "context"),
    Pathway("instruction", "last"),
)


@contextmanager
def knockout(subject, prompt, pathways: Iterable[Pathway], layers: Iterable[int]):
    """Close the pathways' edges in the given layers while the body runs (Eq. 5).

    Works for forward passes over the prompt (a batch repeats it) and for `generate`, with drafts
    that an assistant or the prompt itself proposes and with the prompt in chunks: where the target
    is ``last``, every new token is a target too. Nothing is left behind, also when the body raises.

    Parameters
    ----------
    subject : Subject
    prompt : Prompt
    pathways : iterable of Pathway
    layers : iterable of int
        0-based.

    Raises
    ------
    ValueError
        If a pathway has no edge, a layer does not exist, or the attention implementation takes no
        mask; and in the body, for a cache of fixed size.
    """
    edges = [(*pathway.edges(prompt), pathway.target == "last") for pathway in pathways]
    with _without(subject, prompt, edges, layers):
        yield


def standing_edges(subject, prompt) -> list[tuple[Tensor, Tensor, bool]]:
    """What a model never has in this prompt, in no layer (`Subject.closed`): source and target
    positions, and whether every new token is a target too. Empty for most models.
    """
    return [
        (prompt.groups.positions(source), prompt.groups.positions(target), target == "last")
        for source, target in subject.closed
    ]


@contextmanager
def standing(subject, prompt):
    """Close what the model never has (`standing_edges`) while the body runs a pass over the prompt;
    for most models that is nothing.
    """
    edges = standing_edges(subject, prompt)
    with _without(subject, prompt, edges, range(subject.n_layers)) if edges else nullcontext():
        yield


@contextmanager
def _without(subject, prompt, edges, layers: Iterable[int]):
    """Close edges, (source, target, whether new tokens are targets too) each, in some layers."""
    layers = sorted(set(layers))
    if not all(0 <= layer < subject.n_layers for layer in layers):
        why = f"layers {layers} are outside 0..{subject.n_layers - 1} of {subject.name}"
        raise ValueError(why)
    implementation = subject.decoder.config._attn_implementation
    if implementation not in ("sdpa", "eager"):
        why = (
            f"knockout needs attention by 'sdpa' or 'eager', which take a mask; {subject.name} "
            f"uses {implementation!r}"
        )
        raise ValueError(why)

    def close(module, args, kwargs):
        hidden = kwargs["hidden_states"] if "hidden_states" in kwargs else args[0]
        past = kwargs.get("past_key_values")
        if isinstance(past, StaticCache):
            why = (
                "knockout needs a cache that grows, whose length is that of the mask; generate "
                "without cache_implementation='static'"
            )
            raise ValueError(why)
        seen = past.get_seq_length(module.layer_idx) if past is not None else 0
        mask = open_mask(kwargs.get("attention_mask"), hidden, seen, implementation)
        return args, {**kwargs, "attention_mask": _closed(mask, edges, seen, prompt.groups.length)}

    with hooks(
        subject.attention(layer).register_forward_pre_hook(close, with_kwargs=True)
        for layer in layers
    ):
        yield


def open_mask(
    mask: Tensor | None, hidden: Tensor, seen: int, implementation: str = "sdpa"
) -> Tensor:
    """The causal mask in full: transformers passes none where sdpa's causal flag suffices.

    Returns
    -------
    Tensor, (batch or 1, 1, n_queries, n_keys)
        Boolean (True: may look) for sdpa, additive in the model's dtype for eager.
    """
    if mask is not None:
        return mask
    queries = torch.arange(seen, seen + hidden.shape[1], device=hidden.device)
    keys = torch.arange(seen + hidden.shape[1], device=hidden.device)
    allowed = (keys[None, :] <= queries[:, None])[None, None]
    return allowed if implementation == "sdpa" else _additive(allowed, hidden.dtype)


def _additive(allowed: Tensor, dtype: torch.dtype) -> Tensor:
    return torch.zeros(allowed.shape, dtype=dtype, device=allowed.device).masked_fill(
        ~allowed, torch.finfo(dtype).min
    )


def _closed(mask: Tensor, edges, seen: int, prompt_length: int) -> Tensor:
    """A copy of the mask with the edges closed; query row i stands for position `seen` + i."""
    mask = mask.clone()
    shut = False if mask.dtype == torch.bool else torch.finfo(mask.dtype).min
    n_queries, n_keys = mask.shape[-2:]
    # A layer with a sliding window keeps the last keys only.
    forgotten = max(0, seen + n_queries - n_keys)
    for source, target, generated in edges:
        rows = target - seen
        if generated and seen + n_queries > prompt_length:
            rows = torch.cat([rows, torch.arange(max(prompt_length - seen, 0), n_queries)])
        rows = rows[(rows >= 0) & (rows < n_queries)].to(mask.device)
        columns = source.to(mask.device) - forgotten
        close_edges(mask, rows, columns[columns >= 0], seen - forgotten, shut)
    return mask


def close_edges(
    mask: Tensor, rows: Tensor, source: Tensor, seen: int, shut: bool | float = False
) -> None:
    """Close source columns in some rows of a mask in place; row i stands for column `seen` + i and
    keeps sight of itself.

    Examples
    --------
    The last two of three tokens may no longer look at the second; it still sees itself:

    >>> mask = torch.ones(3, 3, dtype=torch.bool).tril()
    >>> close_edges(mask, torch.tensor([1, 2]), torch.tensor([1]), seen=0)
    >>> mask.int().tolist()
    [[1, 0, 0], [1, 1, 0], [1, 0, 1]]
    """
    edges = torch.zeros(mask.shape[-2:], dtype=torch.bool, device=mask.device)
    edges[rows[:, None], source[None, :]] = True
    edges.diagonal(seen).fill_(False)
    mask.masked_fill_(edges, shut)
