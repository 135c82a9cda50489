"""Interventions without recomputing what cannot have changed (see the book's page “How fast, and
why it is exact”).

Layers before an intervention see clean inputs, and rows before the first changed row never change.
So one clean pass keeps every layer's input, keys and values (`arbitration.engine.clean`); a variant
starts at its first changed layer with the clean rows from its first changed row on, and its rows
look at the clean keys and values of the earlier ones. The layers themselves are the model's own
modules, so that rotary positions, biases, grouped heads and norms are theirs, whatever the
architecture. Who travels with whom is planned in `arbitration.engine.plan`; what is rounding is
decided in `arbitration.engine.exactness`.
"""

from collections.abc import Callable, Sequence
from dataclasses import fields

import torch
from torch import Tensor
from torch.nn.functional import pad
from tqdm.auto import tqdm

from arbitration.engine.clean import Branches, Clean, clean_pass
from arbitration.engine.plain import Decision, decision, join_decisions
from arbitration.engine.plan import (
    Pack,
    Variant,
    bytes_per_variant,
    closing,
    default_workspace,
    last_rows,
    packs,
)
from arbitration.equations.heads import times
from arbitration.equations.hooks import hooks
from arbitration.equations.knockout import Pathway, standing_edges


@torch.no_grad()
def blocked(
    subject,
    prompts,
    pathways: Sequence[Pathway],
    windows: Sequence[range],
    workspace: float | None = None,
) -> tuple[list[tuple[Decision, Decision]], float]:
    """The decision of every prompt, clean and with each pathway closed in each window.

    A pathway into the last token changes one row only; there all prompts travel together.

    Returns
    -------
    decisions : list of (clean, blocked), one per prompt
        Of one and of n_pathways × n_windows variants, pathway by pathway.
    workspace : float
        The one given, or what memory left of it.
    """
    order = [(number, window) for number in range(len(pathways)) for window in windows]
    one_row = [
        number for number, pathway in enumerate(pathways) if _changes_one_row(pathway, prompts)
    ]
    last = sorted(
        (index for index, (number, _) in enumerate(order) if number in one_row),
        key=lambda index: order[index][1].start,
    )
    rest = [index for index, (number, _) in enumerate(order) if number not in one_row]

    def measure(workspace):
        cleans = [clean_pass(subject, prompt) for prompt in prompts]
        parts: list[list[tuple[list[int], Decision]]] = [[] for _ in prompts]
        for some, together in _tiles(subject, last, prompts, workspace):
            batch = slice(together.start, together.stop)
            numbered = [order[index] for index in some]
            logits = _last_row_pass(subject, cleans[batch], prompts[batch], pathways, numbered)
            for at, own in zip(together, logits):
                parts[at].append((some, decision(own, prompts[at], cleans[at].logits)))
        for prompt, clean, found in zip(prompts, cleans, parts):
            variants = [
                variant
                for number, pathway in enumerate(pathways)
                if number not in one_row
                for variant in closing(prompt, [pathway], windows)
            ]
            for pack in packs(subject, variants, workspace):
                found.append(
                    (
                        [rest[index] for index in pack.variants],
                        decision(suffix_pass(subject, clean, pack)[0], prompt, clean.logits),
                    )
                )
        return [
            (decision(clean.logits, prompt), _ordered(found))
            for prompt, clean, found in zip(prompts, cleans, parts)
        ]

    return _within_memory(measure, workspace or default_workspace(subject))


@torch.no_grad()
def scaled(
    subject, prompt, gains: Tensor, positions: Tensor, workspace: float | None = None
) -> tuple[Decision, Decision]:
    """The decision of one prompt, clean and under each setting of the heads.

    Parameters
    ----------
    gains : Tensor, (n_settings, L, n_heads)
    positions : Tensor
        Where the heads are scaled.
    """
    variants = [Variant(prompt, gains=one, positions=positions) for one in gains]

    def measure(workspace):
        clean = clean_pass(subject, prompt)
        found = [
            (pack.variants, decision(suffix_pass(subject, clean, pack)[0], prompt))
            for pack in packs(subject, variants, workspace)
        ]
        return decision(clean.logits, prompt), _ordered(found)

    return _within_memory(measure, workspace or default_workspace(subject))[0]


def _changes_one_row(pathway: Pathway, prompts) -> bool:
    """Whether a pathway leads into the last token alone, in every prompt."""
    return all(pathway.edges(prompt)[1].min() == prompt.groups.length - 1 for prompt in prompts)


def _ordered(parts: list[tuple[list[int], Decision]]) -> Decision:
    order = torch.tensor([index for indices, _ in parts for index in indices]).argsort()
    whole = join_decisions([part for _, part in parts])
    return Decision(*(getattr(whole, part.name).cpu()[order] for part in fields(whole)))


def _tiles(subject, variants: list[int], prompts, workspace: float):
    """Which last-row variants of which prompts (by their places) travel together, within the
    workspace.
    """
    limit, longest = workspace * 2**20, max(prompt.groups.length for prompt in prompts)
    rows = max(1, min(len(variants), int(limit // bytes_per_variant(subject, 1, 1))))
    batch = max(1, int(limit // bytes_per_variant(subject, rows, longest + rows)))
    for start in range(0, len(variants), rows):
        for first in range(0, len(prompts), batch):
            yield variants[start : start + rows], range(len(prompts))[first : first + batch]


def greedy(subject, prompt, variants: Sequence[Variant], max_new_tokens: int) -> list[list[int]]:
    """Greedy token ids after the prompt for each variant, up to and without the end token.

    Factors on heads hold at the variant's positions and not at new tokens; edges into ``last`` stay
    closed for them.
    """
    return written(subject, prompt, variants, max_new_tokens)[2]


@torch.no_grad()
def written(
    subject, prompt, variants: Sequence[Variant], max_new_tokens: int
) -> tuple[Decision, Decision, list[list[int]]]:
    """The decision of one prompt, clean and under each variant, and what each variant writes
    (`greedy`).
    """
    ends = end_tokens(subject)

    def measure(workspace):
        clean = clean_pass(subject, prompt, max_new_tokens)
        found: list[list[int]] = [[] for _ in variants]
        parts = []
        for pack in packs(subject, variants, workspace):
            logits, branches = suffix_pass(subject, clean, pack, keep=True)
            parts.append((pack.variants, decision(logits, prompt, clean.logits)))
            going = set(pack.variants)
            for step in range(max_new_tokens):
                tokens = dict(zip(pack.variants, logits.argmax(-1).tolist()))
                going -= {index for index in going if tokens[index] in ends}
                for index in going:
                    found[index].append(tokens[index])
                if not going or step == max_new_tokens - 1:
                    break
                logits = _next_token(
                    subject,
                    clean,
                    [variants[index] for index in pack.variants],
                    branches,
                    list(tokens.values()),
                    clean.length + step,
                )
        return decision(clean.logits, prompt), _ordered(parts), found

    return _within_memory(measure, default_workspace(subject))[0]


def end_tokens(subject) -> set[int]:
    """The tokens with which a model ends its answer."""
    ends = subject.model.generation_config.eos_token_id
    return set(ends if isinstance(ends, list) else [ends])


def _within_memory(measure: Callable, workspace: float) -> tuple:
    """The result of `measure`, and the workspace it had: out of memory halves it and says so."""
    while True:
        try:
            return measure(workspace), workspace
        except torch.cuda.OutOfMemoryError:
            if workspace < 1:
                raise
            workspace /= 2
            tqdm.write(f"out of GPU memory; going on with a workspace of {workspace:g} MiB")


def suffix_pass(subject, clean: Clean, pack: Pack, keep: bool = False) -> tuple[Tensor, Branches]:
    """The variants of a pack side by side, from their first row to the end.

    Returns
    -------
    logits : Tensor, (n_variants, vocabulary)
        Of the last position.
    branches : Branches
        With `keep`, every variant's keys and values, for tokens to come.
    """
    first_row, length = pack.first_row, clean.length
    keys = [rows[:, :, :first_row] for rows in clean.keys]
    values = [rows[:, :, :first_row] for rows in clean.values]
    branches = Branches(keys, values, keep)
    hidden = clean.inputs[0][:0, first_row:]
    masks = pack.masks.to(hidden.device, non_blocking=True)

    def scale(layer):
        def hook(module, args):
            return (times(args[0], pack.factors[: len(args[0]), :, layer]),)

        return hook

    def only_last_row(module, args):
        # Of the last layer's output only the last row is read: the others, which broadcast from it,
        # are not.
        return (args[0][:, -1:], *args[1:])

    scaled = (
        []
        if pack.factors is None
        else (pack.factors != 1).any(0).any(0).any(-1).nonzero().flatten().tolist()
    )
    with (
        hooks(
            subject.output_projection(layer).register_forward_pre_hook(scale(layer))
            for layer in scaled
        ),
        hooks(
            part(subject.n_layers - 1).register_forward_pre_hook(only_last_row)
            for part in (subject.output_projection, subject.mlp)
        ),
    ):
        for number, layer in enumerate(subject.layers):
            if number in clean.added:
                hidden = hidden + clean.added[number][:, first_row:]
            fresh = clean.inputs[number][:, first_row:].expand(
                pack.joined[number] - len(hidden), -1, -1
            )
            hidden = torch.cat([hidden.to(fresh.device), fresh])
            if len(hidden):
                chosen = pack.mask_of[number]
                mask = (
                    masks[:1].expand(len(hidden), -1, -1, -1)
                    if chosen is None
                    else masks[chosen.to(masks.device, non_blocking=True)]
                )
                hidden = _through(
                    layer, hidden, mask, _rows(clean.rotary[number], first_row, length), branches
                )
            if keep:
                branches.complete(number, clean, first_row, len(pack.variants))
    return subject.model.get_output_embeddings()(subject.norm(hidden[:, -1])), branches


def _last_row_pass(subject, cleans: list[Clean], prompts, pathways, numbered) -> Tensor:
    """Logits of the last position, (n_prompts, n_variants, vocabulary): the prompts as a batch, the
    variants as its rows.

    The rows of a prompt share its keys and values, and each sees itself but not its neighbours.
    """
    plan = last_rows(subject, prompts, pathways, numbered)
    earlier = plan.masks.shape[-1]
    masks = plan.masks.to(cleans[0].inputs[0].device)
    hidden = torch.cat([clean.inputs[0][:, :0] for clean in cleans])

    def padded(rows: list[Tensor]) -> Tensor:
        return torch.cat(
            [pad(own[:, :, :-1], (0, 0, 0, earlier + 1 - own.shape[2])) for own in rows]
        )

    for number, layer in enumerate(subject.layers):
        joined = plan.joined[number]
        fresh = torch.cat([clean.inputs[number][:, -1:] for clean in cleans]).expand(
            -1, joined - hidden.shape[1], -1
        )
        hidden = torch.cat([hidden.to(fresh.device), fresh], dim=1)
        if joined:
            itself = torch.eye(joined, dtype=torch.bool, device=masks.device).expand(
                len(cleans), -1, -1
            )
            mask = torch.cat([masks[:, plan.mask_of[number].to(masks.device)], itself], dim=-1)[
                :, None
            ]
            keys = padded([clean.keys[number] for clean in cleans])
            values = padded([clean.values[number] for clean in cleans])
            branches = Branches({number: keys}, {number: values})
            ends = [_rows(clean.rotary[number], clean.length - 1, clean.length) for clean in cleans]
            rotary = [
                torch.cat(parts, dim=-3).expand(*parts[0].shape[:-3], len(cleans), joined, -1)
                for parts in zip(*ends)
            ]
            hidden = _through(layer, hidden, mask, rotary, branches)
    return subject.model.get_output_embeddings()(subject.norm(hidden))


def _next_token(subject, clean, variants, branches, tokens: list[int], position: int) -> Tensor:
    """Logits after one more token per variant, (n_variants, vocabulary)."""
    hidden = subject.model.get_input_embeddings()(torch.tensor(tokens, device=subject.device))[
        :, None
    ]
    everything = torch.ones(len(variants), 1, 1, position + 1, dtype=torch.bool)
    for source, _, generated in standing_edges(subject, variants[0].prompt):
        if generated:
            everything[..., source] = False
    for number, layer in enumerate(subject.layers):
        mask = everything
        for row, variant in enumerate(variants):
            for source, _, generated in variant.edges if number in variant.layers else ():
                if generated:
                    mask = mask.clone() if mask is everything else mask
                    mask[row, :, :, source] = False
        hidden = _through(
            layer, hidden, mask, _rows(clean.rotary[number], position, position + 1), branches
        )
    return subject.model.get_output_embeddings()(subject.norm(hidden[:, -1]))


def _rows(rotary: tuple[Tensor, Tensor], start: int, stop: int) -> tuple[Tensor, Tensor]:
    """The rotary positions from `start` to `stop`; with M-RoPE the parts have one axis more."""
    cosine, sine = rotary
    return cosine[..., start:stop, :], sine[..., start:stop, :]


def _through(layer, hidden: Tensor, mask: Tensor, rotary, branches: Branches) -> Tensor:
    """One decoder layer over recomputed rows."""
    out = layer(
        hidden,
        attention_mask=mask.to(hidden.device),
        position_embeddings=tuple(rotary),
        past_key_values=branches,
        use_cache=True,
    )
    return out[0] if isinstance(out, tuple) else out
