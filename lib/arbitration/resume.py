"""Interventions without recomputing what cannot have changed (see the book's page on conventions).

Layers before an intervention see clean inputs, and rows before the first changed row never change. So one clean pass keeps
every layer's input, keys and values; a variant starts at its first changed layer with the clean rows from its first changed
row on, and its rows look at the clean keys and values of the earlier ones. The layers themselves are the model's own
modules, so that rotary positions, biases, grouped heads and norms are theirs, whatever the architecture. Variants whose rows
begin at the same position travel side by side and join at the layer where each begins.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor
from tqdm.auto import tqdm

from arbitration.knockout import Pathway, blocked_plain, close_edges, log_softmax, open_mask
from arbitration.trace import hooks

#: Rows (variants × positions) that travel in one pass: bounds the memory, whatever the number of variants.
PACK_ROWS = 8192


@dataclass(frozen=True)
class Variant:
    """One change of a prompt's pass.

    Attributes
    ----------
    edges : tuple of (source, target, generated)
        Positions whose edges are closed, and whether every new token is a target too.
    layers : range
        Where they are closed.
    gains : Tensor, optional, (L, n_heads)
        Factors on the heads' outputs.
    positions : Tensor, optional
        Where the factors apply.
    """

    edges: tuple = ()
    layers: range = range(0)
    gains: Tensor | None = None
    positions: Tensor | None = None

    @property
    def first_row(self) -> int:
        rows = [target for _, target, _ in self.edges] + ([] if self.gains is None else [self.positions])
        return min(int(row.min()) for row in rows)

    @property
    def first_layer(self) -> int:
        """The first changed layer; for a variant that changes nothing the last one."""
        scaled = [] if self.gains is None else (self.gains != 1).any(1).nonzero().flatten().tolist()
        return min([*self.layers[:1], *scaled[:1]], default=None if self.gains is None else len(self.gains) - 1)


def closing(prompt, pathway: Pathway, layers: range) -> Variant:
    """The variant that closes one pathway in some layers."""
    return Variant(edges=((*pathway.edges(prompt), pathway.target == "last"),), layers=layers)


@dataclass(frozen=True)
class Clean:
    """What one clean pass leaves for its variants: per layer the input, keys, values and rotary positions."""

    inputs: list[Tensor]
    keys: list[Tensor]
    values: list[Tensor]
    rotary: list[tuple[Tensor, Tensor]]
    log_probabilities: Tensor


@dataclass
class Branches:
    """Stands in for transformers' cache: the clean keys and values before the first row, then each variant's own."""

    clean: Clean
    first_row: int
    own: dict[int, tuple[Tensor, Tensor]] = field(default_factory=dict)

    def get_seq_length(self, layer: int = 0) -> int:
        return self.first_row + (self.own[layer][0].shape[2] if layer in self.own else 0)

    def update(self, keys: Tensor, values: Tensor, layer: int, *args, **kwargs) -> tuple[Tensor, Tensor]:
        if layer in self.own:
            keys, values = (torch.cat(pair, dim=2) for pair in zip(self.own[layer], (keys, values)))
        self.own[layer] = keys, values
        stored = self.clean.keys[layer], self.clean.values[layer]
        return tuple(torch.cat([early[:, :, : self.first_row].expand(len(new), -1, -1, -1), new], dim=2) for early, new in zip(stored, (keys, values)))

    def complete(self, layer: int, variants: int) -> None:
        """Give the variants that have not begun by this layer the clean rows for their own."""
        clean = (rows[:, :, self.first_row :] for rows in (self.clean.keys[layer], self.clean.values[layer]))
        if layer not in self.own:
            self.own[layer] = tuple(rows.expand(variants, -1, -1, -1) for rows in clean)
        else:
            waiting = variants - len(self.own[layer][0])
            self.own[layer] = tuple(torch.cat([have, rows.expand(waiting, -1, -1, -1)]) for have, rows in zip(self.own[layer], clean))


def obstacle(subject) -> str | None:
    """Why resuming would not be exact for a model, in one line; None where it is."""
    config = subject.decoder.config
    kinds = set(getattr(config, "layer_types", None) or ["full_attention"])
    if kinds != {"full_attention"}:
        return f"it has layers other than full attention ({', '.join(sorted(kinds))})"
    if config._attn_implementation != "sdpa":
        return f"it attends by {config._attn_implementation!r}, not 'sdpa'"
    return None


@torch.no_grad()
def clean_pass(subject, prompt, new_tokens: int = 0) -> Clean:
    """Run the prompt once and keep what variants start from.

    With `new_tokens`, the rotary positions of as many tokens after the prompt are kept too: the model is asked for
    them, so that no architecture's way of numbering positions is repeated here.
    """
    inputs: list[Tensor] = []
    rotary: list[tuple[Tensor, Tensor]] = []

    def keep(module, args, kwargs):
        inputs.append(args[0] if args else kwargs["hidden_states"])
        rotary.append(kwargs["position_embeddings"])

    with hooks(layer.register_forward_pre_hook(keep, with_kwargs=True) for layer in subject.layers):
        out = subject.model(**prompt.inputs, use_cache=True, logits_to_keep=1)
        keys, values = ([getattr(cached, name) for cached in out.past_key_values.layers] for name in ("keys", "values"))
        if new_tokens:
            ids = torch.zeros(1, new_tokens, dtype=torch.long, device=subject.device)
            subject.model(input_ids=ids, past_key_values=out.past_key_values, logits_to_keep=1)
    layers = subject.n_layers
    if new_tokens:
        rotary = [tuple(torch.cat(pair, dim=-2) for pair in zip(*both)) for both in zip(rotary[:layers], rotary[layers:])]
    return Clean(inputs[:layers], keys, values, rotary, log_softmax(out.logits[0, -1]))


@torch.no_grad()
def blocked(subject, prompt, pathways, windows: Sequence[range], pack_rows: int = PACK_ROWS) -> tuple[Tensor, list[Tensor], int]:
    """Log-probabilities of the first answer token, clean and for every pathway × window.

    Returns
    -------
    clean : Tensor, (vocabulary,)
    blocked : list of Tensor, (n_windows, vocabulary), one per pathway
    pack_rows : int
        The pack size used: the one given, or what memory left of it.
    """
    clean = clean_pass(subject, prompt)
    variants = [closing(prompt, pathway, window) for pathway in pathways for window in windows]

    def log_probabilities(pack):
        return log_softmax(_suffix_pass(subject, clean, [variants[index] for index in pack])[0])

    rows, pack_rows = _packed(variants, prompt.groups.length, pack_rows, log_probabilities)
    return clean.log_probabilities, list(torch.stack(rows).split(len(windows))), pack_rows


@torch.no_grad()
def greedy(subject, prompt, variants: Sequence[Variant], max_new_tokens: int) -> list[list[int]]:
    """Greedy token ids after the prompt for each variant, up to and without the end token.

    Factors on heads hold at the variant's positions and not at new tokens; edges into ``last`` stay closed for them.
    """
    clean = clean_pass(subject, prompt, max_new_tokens)
    ends = subject.model.generation_config.eos_token_id
    ends = set(ends if isinstance(ends, list) else [ends])

    def answers(pack):
        chosen = [variants[index] for index in pack]
        logits, branches = _suffix_pass(subject, clean, chosen, keep=True)
        found: list[list[int]] = [[] for _ in chosen]
        going = set(range(len(chosen)))
        for step in range(max_new_tokens):
            tokens = logits.argmax(-1)
            going -= {row for row in going if int(tokens[row]) in ends}
            for row in going:
                found[row].append(int(tokens[row]))
            if not going or step == max_new_tokens - 1:
                return found
            logits = _next_token(subject, clean, chosen, branches, tokens, prompt.groups.length + step)

    return _packed(variants, prompt.groups.length, PACK_ROWS, answers)[0]


def _packed(variants, length: int, pack_rows: int, run) -> tuple[list, int]:
    """Results of `run` on every pack, in the variants' order; out of memory halves the packs and says so."""
    while True:
        results: list = [None] * len(variants)
        try:
            for pack in packs(variants, length, pack_rows):
                for index, result in zip(pack, run(pack)):
                    results[index] = result
            return results, pack_rows
        except torch.cuda.OutOfMemoryError:
            if pack_rows < length:
                raise
            pack_rows //= 2
            tqdm.write(f"out of GPU memory; going on with packs of {pack_rows} rows")


def packs(variants: Sequence[Variant], length: int, pack_rows: int) -> list[list[int]]:
    """Which variants travel together: those with the same first row, at most `pack_rows` rows, by first layer."""
    together: dict[int, list[int]] = {}
    for index, variant in enumerate(variants):
        together.setdefault(variant.first_row, []).append(index)
    found = []
    for first_row, indices in together.items():
        size = max(1, pack_rows // (length - first_row))
        indices.sort(key=lambda index: variants[index].first_layer)
        found += [indices[start : start + size] for start in range(0, len(indices), size)]
    return found


def _suffix_pass(subject, clean: Clean, variants: Sequence[Variant], keep: bool = False) -> tuple[Tensor, Branches]:
    """Variants with one first row, ordered by first layer, side by side from there to the end.

    Returns
    -------
    logits : Tensor, (n_variants, vocabulary)
        Of the last position.
    branches : Branches
        With `keep`, every variant's keys and values, for tokens to come.
    """
    first_row = variants[0].first_row
    length = clean.inputs[0].shape[1]
    causal = open_mask(None, clean.inputs[0][:, first_row:], first_row)
    closed = {id(variant): _close(causal, variant.edges, first_row) for variant in variants if variant.edges}
    factors = _factors(subject, variants, first_row, length)
    branches = Branches(clean, first_row)
    hidden = clean.inputs[0][:0, first_row:]

    def scale(layer):
        def hook(module, args):
            heads = args[0]
            own = factors[: len(heads), :, layer].to(heads)
            return ((heads.unflatten(-1, (subject.n_heads, -1)) * own[..., None]).flatten(-2),)

        return hook

    scaled = [] if factors is None else (factors != 1).any(0).any(0).any(-1).nonzero().flatten().tolist()
    with hooks(subject.output_projection(layer).register_forward_pre_hook(scale(layer)) for layer in scaled):
        for number, layer in enumerate(subject.layers):
            entering = sum(variant.first_layer == number for variant in variants)
            fresh = clean.inputs[number][:, first_row:].expand(entering, -1, -1)
            hidden = torch.cat([hidden.to(fresh.device), fresh])
            if len(hidden):
                here = variants[: len(hidden)]
                mask = causal.expand(len(here), -1, -1, -1)
                if any(variant.edges and number in variant.layers for variant in here):
                    mask = torch.cat([closed[id(v)] if v.edges and number in v.layers else causal for v in here])
                hidden = _through(layer, hidden, mask, clean.rotary[number], first_row, length, branches)
            if keep:
                branches.complete(number, len(variants))
            else:
                branches.own.clear()
    return subject.model.get_output_embeddings()(subject.norm(hidden[:, -1])), branches


def _next_token(subject, clean, variants, branches, tokens: Tensor, position: int) -> Tensor:
    """Logits after one more token per variant, (n_variants, vocabulary)."""
    hidden = subject.model.get_input_embeddings()(tokens)[:, None]
    everything = torch.ones(len(variants), 1, 1, position + 1, dtype=torch.bool, device=hidden.device)
    for number, layer in enumerate(subject.layers):
        mask = everything
        for row, variant in enumerate(variants):
            for source, _, generated in variant.edges if number in variant.layers else ():
                if generated:
                    mask = mask.clone() if mask is everything else mask
                    mask[row, :, :, source] = False
        hidden = _through(layer, hidden, mask, clean.rotary[number], position, position + 1, branches)
    return subject.model.get_output_embeddings()(subject.norm(hidden[:, -1]))


def _through(layer, hidden, mask, rotary, start: int, stop: int, branches) -> Tensor:
    """One decoder layer over rows that stand at positions `start` to `stop`."""
    cosine, sine = (part[..., start:stop, :] for part in rotary)
    out = layer(hidden, attention_mask=mask.to(hidden.device), position_embeddings=(cosine, sine), past_key_values=branches, use_cache=True)
    return out[0] if isinstance(out, tuple) else out


def _close(causal: Tensor, edges, first_row: int) -> Tensor:
    mask = causal.clone()
    for source, target, _ in edges:
        close_edges(mask, (target - first_row).to(mask.device), source.to(mask.device), first_row)
    return mask


def _factors(subject, variants, first_row: int, length: int) -> Tensor | None:
    """Factor of every variant × row × layer × head; None where no variant scales a head."""
    if all(variant.gains is None for variant in variants):
        return None
    factors = torch.ones(len(variants), length - first_row, subject.n_layers, subject.n_heads)
    for row, variant in enumerate(variants):
        if variant.gains is not None:
            factors[row, variant.positions - first_row] = variant.gains
    return factors


def check_against_plain(subject, prompt, pathway, windows: Sequence[range], resumed: Tensor) -> None:
    """Recompute one variant the plain way and stop on disagreement.

    Raises
    ------
    RuntimeError
        With both numbers, if they differ by more than the rounding of the model's dtype explains.
    """
    middle = len(windows) // 2
    plain = blocked_plain(subject, prompt, pathway, [windows[middle]])[0]
    tokens = [prompt.y_p, prompt.y_c]
    off = (plain[tokens] - resumed[middle][tokens]).abs().max().item()
    bound = {torch.float64: 1e-10, torch.float32: 1e-3}.get(subject.model.dtype, 0.25)
    if not off <= bound:
        raise RuntimeError(
            f"engine and plain way disagree on {pathway}, layers {list(windows[middle])}, of {prompt.id} by {off:.2g} nats"
            f" (at most {bound:g} is rounding in {subject.model.dtype}); please report it, and use engine='plain'"
        )
