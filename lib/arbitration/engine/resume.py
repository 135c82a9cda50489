"""Interventions without recomputing what cannot have changed (see the book's page “How fast, and
why it is exact”).

Layers before an intervention see clean inputs, and rows before the first changed row never change.
So one clean pass keeps every layer's input, keys and values; a variant starts at its first changed
layer with the clean rows from its first changed row on, and its rows look at the clean keys and
values of the earlier ones. The layers themselves are the model's own modules, so that rotary
positions, biases, grouped heads and norms are theirs, whatever the architecture. Who travels with
whom is planned in `arbitration.engine.plan`.
"""

from collections.abc import Callable, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor, nn
from torch.nn.functional import pad
from torch.utils._pytree import tree_map
from tqdm.auto import tqdm

from arbitration.engine.plain import (
    Decision,
    blocked_plain,
    decision,
    log_softmax,
    next_token_logits,
)
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
from arbitration.equations.knockout import Pathway, knockout
from arbitration.equations.trace import hooks

#: Nats by which two ways to the same log-probability may differ by rounding, in the dtypes that
#: keep it small.
EXACT = {torch.float64: 1e-10, torch.float32: 1e-3}
#: In the others: this many times what plain passes differ by among themselves. In 32 cases of the
#: embedded models in bfloat16 the engine never differed by more than 1.5 times that.
FACTOR = 3


@dataclass(frozen=True)
class Clean:
    """What one clean pass leaves for its variants: per layer the input, keys, values and rotary
    positions.

    `added` is what the model adds to the image's rows before some layers (`Subject.image_term`); it
    comes from the picture alone.
    """

    inputs: list[Tensor]
    keys: list[Tensor]
    values: list[Tensor]
    rotary: list[tuple[Tensor, Tensor]]
    added: dict[int, Tensor]
    logits: Tensor

    @property
    def length(self) -> int:
        return self.inputs[0].shape[1]


@dataclass
class Branches:
    """Stands in for transformers' cache: given keys and values of earlier positions, then each
    variant's own.

    Attributes
    ----------
    keys, values : list of Tensor, (1 or n_variants, n_heads, P, d_head)
        Per layer, of the positions before the recomputed ones.
    keep : bool
        Whether the variants' own are kept, for tokens to come.
    """

    keys: list[Tensor]
    values: list[Tensor]
    keep: bool = False
    own: dict[int, tuple[Tensor, Tensor]] = field(default_factory=dict)

    def get_seq_length(self, layer: int = 0) -> int:
        return self.keys[layer].shape[2] + (self.own[layer][0].shape[2] if layer in self.own else 0)

    def update(
        self, keys: Tensor, values: Tensor, layer: int, *args, **kwargs
    ) -> tuple[Tensor, Tensor]:
        if layer in self.own:
            keys, values = (torch.cat(pair, dim=2) for pair in zip(self.own[layer], (keys, values)))
        if self.keep:
            self.own[layer] = keys, values
        earlier = self.keys[layer], self.values[layer]
        return tuple(
            torch.cat([rows.expand(len(new), -1, -1, -1), new], dim=2)
            for rows, new in zip(earlier, (keys, values))
        )

    def complete(self, layer: int, clean: Clean, first_row: int, variants: int) -> None:
        """Give the variants that have not begun by this layer the clean rows for their own."""
        rows = (clean.keys[layer][:, :, first_row:], clean.values[layer][:, :, first_row:])
        have = self.own.get(layer, tuple(row[:0] for row in rows))
        self.own[layer] = tuple(
            torch.cat([own, row.expand(variants - len(own), -1, -1, -1)])
            for own, row in zip(have, rows)
        )


@torch.no_grad()
def clean_pass(subject, prompt, new_tokens: int = 0) -> Clean:
    """Run the prompt once and keep what variants start from.

    With `new_tokens`, the rotary positions of as many tokens after the prompt are kept too: the
    model is asked for them, so that no architecture's way of numbering positions is repeated here.
    """
    inputs: list[Tensor] = []
    outputs: list[Tensor] = []
    rotary: list[tuple[Tensor, Tensor]] = []

    def keep(module, args, kwargs):
        inputs.append(args[0] if args else kwargs["hidden_states"])
        rotary.append(kwargs["position_embeddings"])

    def keep_output(module, args, out):
        outputs.append(out[0] if isinstance(out, tuple) else out)

    with (
        hooks(layer.register_forward_pre_hook(keep, with_kwargs=True) for layer in subject.layers),
        hooks(
            layer.register_forward_hook(keep_output)
            for layer in subject.layers
            if subject.image_term
        ),
    ):
        out = subject.model(**prompt.inputs, use_cache=True, logits_to_keep=1)
        keys, values = (
            [getattr(cached, name) for cached in out.past_key_values.layers]
            for name in ("keys", "values")
        )
        if new_tokens:
            ids = torch.zeros(1, new_tokens, dtype=torch.long, device=subject.device)
            subject.model(input_ids=ids, past_key_values=out.past_key_values, logits_to_keep=1)
    layers = subject.n_layers
    if new_tokens:
        rotary = [
            tuple(torch.cat(pair, dim=-2) for pair in zip(*both))
            for both in zip(rotary[:layers], rotary[layers:])
        ]
    between = {
        number: inputs[number] - before for number, before in enumerate(outputs[: layers - 1], 1)
    }
    added = {number: term for number, term in between.items() if term.any()}
    return Clean(inputs[:layers], keys, values, rotary, added, out.logits[0, -1:])


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
        number
        for number, pathway in enumerate(pathways)
        if all(pathway.edges(prompt)[1].min() == prompt.groups.length - 1 for prompt in prompts)
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
            logits = _last_row_pass(
                subject,
                [cleans[at] for at in together],
                [prompts[at] for at in together],
                pathways,
                [order[index] for index in some],
            )
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


def _ordered(parts: list[tuple[list[int], Decision]]) -> Decision:
    order = torch.tensor([index for indices, _ in parts for index in indices]).argsort()
    return Decision(
        *(
            torch.cat([getattr(part, name) for _, part in parts]).cpu()[order]
            for name in ("log_probabilities", "tokens", "divergence")
        )
    )


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


@torch.no_grad()
def greedy(subject, prompt, variants: Sequence[Variant], max_new_tokens: int) -> list[list[int]]:
    """Greedy token ids after the prompt for each variant, up to and without the end token.

    Factors on heads hold at the variant's positions and not at new tokens; edges into ``last`` stay
    closed for them.
    """
    ends = subject.model.generation_config.eos_token_id
    ends = set(ends if isinstance(ends, list) else [ends])

    def measure(workspace):
        clean = clean_pass(subject, prompt, max_new_tokens)
        found: list[list[int]] = [[] for _ in variants]
        for pack in packs(subject, variants, workspace):
            logits, branches = suffix_pass(subject, clean, pack, keep=True)
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
        return found

    return _within_memory(measure, default_workspace(subject))[0]


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
    branches = Branches(
        [rows[:, :, :first_row] for rows in clean.keys],
        [rows[:, :, :first_row] for rows in clean.values],
        keep,
    )
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
    plan = last_rows(prompts, pathways, numbered, subject.n_layers)
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
            branches = Branches(
                {number: padded([clean.keys[number] for clean in cleans])},
                {number: padded([clean.values[number] for clean in cleans])},
            )
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
