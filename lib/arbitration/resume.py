"""Knockouts without recomputing what cannot have changed (see the book's page on the engine).

Layers before a window see clean inputs, and rows before the first blocked row never change. So one clean pass keeps every
layer's input, keys and values; a variant starts at its window's first layer with the clean rows from the first blocked
position on, and its later rows look at the clean keys and values of the earlier ones. The layers themselves are the
model's own modules, so that rotary positions, biases, grouped heads and norms are theirs, whatever the architecture.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from arbitration.knockout import blocked_plain, log_softmax, open_mask
from arbitration.trace import hooks


@dataclass(frozen=True)
class Clean:
    """What one clean pass leaves for its variants: per layer the input, keys and values, and the layers' other arguments."""

    inputs: list[Tensor]
    keys: list[Tensor]
    values: list[Tensor]
    positions: list[tuple[Tensor, Tensor]]
    log_probabilities: Tensor


class Prefix:
    """Stands in for transformers' cache: earlier rows' clean keys and values, then the rows of this pass."""

    def __init__(self, clean: Clean, rows: int):
        self.clean, self.rows = clean, rows

    def get_seq_length(self, layer: int = 0) -> int:
        return self.rows

    def update(self, keys: Tensor, values: Tensor, layer: int, *args, **kwargs) -> tuple[Tensor, Tensor]:
        def join(stored, new):
            early = stored[layer][:, :, : self.rows]
            return torch.cat([early.expand(len(new), -1, -1, -1), new], dim=2)

        return join(self.clean.keys, keys), join(self.clean.values, values)


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
def clean_pass(subject, prompt) -> Clean:
    """Run the prompt once and keep what variants start from."""
    inputs: list[Tensor] = []
    positions: list[tuple[Tensor, Tensor]] = []

    def keep(module, args, kwargs):
        inputs.append(args[0] if args else kwargs["hidden_states"])
        positions.append(kwargs["position_embeddings"])

    with hooks(layer.register_forward_pre_hook(keep, with_kwargs=True) for layer in subject.layers):
        out = subject.model(**prompt.inputs, use_cache=True, logits_to_keep=1)
    cache = out.past_key_values.layers
    return Clean(inputs, [c.keys for c in cache], [c.values for c in cache], positions, log_softmax(out.logits[0, -1]))


@torch.no_grad()
def blocked(subject, prompt, pathways, windows: Sequence[range]) -> tuple[Tensor, list[Tensor]]:
    """Log-probabilities of the first answer token, clean and for every pathway × window.

    Returns
    -------
    clean : Tensor, (vocabulary,)
    blocked : list of Tensor, (n_windows, vocabulary), one per pathway
    """
    clean = clean_pass(subject, prompt)
    edges = [pathway.edges(prompt) for pathway in pathways]
    results: dict[int, Tensor] = {}
    for first_row in sorted({int(target.min()) for _, target in edges}):
        together = [index for index, (_, target) in enumerate(edges) if int(target.min()) == first_row]
        variants = [(edges[index], window) for index in together for window in windows]
        rows = _suffix_pass(subject, clean, first_row, variants)
        results.update(zip(together, rows.split(len(windows))))
    return clean.log_probabilities, [results[index] for index in range(len(edges))]


def _suffix_pass(subject, clean: Clean, first_row: int, variants) -> Tensor:
    """All variants whose first blocked row is the same, side by side; each joins at its window's first layer.

    Parameters
    ----------
    variants : list of ((source, target), window)

    Returns
    -------
    Tensor, (n_variants, vocabulary)
        In the variants' order.
    """
    order = sorted(range(len(variants)), key=lambda index: variants[index][1].start)
    device = clean.inputs[0].device
    length = clean.inputs[0].shape[1]
    causal = open_mask(None, clean.inputs[0][:, first_row:], first_row).to(device)
    closed = {id(edge): _close(causal, edge, first_row) for edge, _ in variants}
    prefix = Prefix(clean, first_row)
    hidden, joined = None, 0
    for number, layer in enumerate(subject.layers):
        entering = sum(variants[index][1].start == number for index in order)
        fresh = clean.inputs[number][:, first_row:].expand(entering, -1, -1)
        hidden = fresh if hidden is None else torch.cat([hidden.to(fresh.device), fresh])
        joined += entering
        if joined == 0:
            hidden = None
            continue
        mask = causal.expand(joined, -1, -1, -1)
        if any(number in variants[index][1] for index in order[:joined]):
            mask = torch.cat([closed[id(variants[i][0])] if number in variants[i][1] else causal for i in order[:joined]])
        cosine, sine = clean.positions[number]
        hidden = layer(
            hidden,
            attention_mask=mask.to(hidden.device),
            position_embeddings=(cosine[..., first_row:length, :], sine[..., first_row:length, :]),
            past_key_values=prefix,
            use_cache=True,
        )
        hidden = hidden[0] if isinstance(hidden, tuple) else hidden
    logits = subject.model.get_output_embeddings()(subject.norm(hidden[:, -1]))
    back = torch.empty(len(order), dtype=torch.long)
    back[torch.tensor(order)] = torch.arange(len(order))
    return log_softmax(logits)[back.to(logits.device)]


def _close(causal: Tensor, edge: tuple[Tensor, Tensor], first_row: int) -> Tensor:
    source, target = (positions.to(causal.device) for positions in edge)
    mask = causal.clone()
    mask[:, :, (target - first_row)[:, None], source[None, :]] = False
    return mask


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
