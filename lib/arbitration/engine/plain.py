"""The plain way: one pass over the whole prompt for each variant. The other way says the same,
sooner.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields

import torch
from torch import Tensor

from arbitration.equations import metrics
from arbitration.equations.hooks import hooks
from arbitration.equations.knockout import Pathway, knockout, standing, standing_edges
from arbitration.equations.trace import widened


@dataclass(frozen=True)
class Decision:
    """What is read of the first answer token, for some variants of one prompt.

    Attributes
    ----------
    log_probabilities : Tensor, (n, 2)
        Of y_p and y_c, natural logarithm, float32 (float64 for a float64 model).
    tokens : Tensor, (n,)
        The most likely one.
    divergence : Tensor, (n,)
        `metrics.signed_divergence` from the clean distribution, nats; NaN where none was given.
    """

    log_probabilities: Tensor
    tokens: Tensor
    divergence: Tensor


def decision(logits: Tensor, prompt, clean: Tensor | None = None) -> Decision:
    """The decision in (n, vocabulary) logits and its divergence from `clean`, (1, vocabulary)."""
    log = log_softmax(logits)
    divergence = (
        log.new_full((len(log),), float("nan"))
        if clean is None
        else metrics.signed_divergence(log_softmax(clean), log, prompt.y_p)
    )
    return Decision(log[:, [prompt.y_p, prompt.y_c]], logits.argmax(-1), divergence)


def join_decisions(parts: Sequence[Decision]) -> Decision:
    """The variants of several decisions of one prompt, one part behind the other."""
    joined = []
    for name in (part.name for part in fields(Decision)):
        joined.append(torch.cat([getattr(one, name) for one in parts]))
    return Decision(*joined)


def log_softmax(logits: Tensor) -> Tensor:
    return widened(logits).log_softmax(-1)


@torch.no_grad()
def next_token_logits(subject, prompt) -> Tensor:
    """Logits of the first answer token, (1, vocabulary), by one pass over the whole prompt."""
    with standing(subject, prompt):
        return subject.model(**prompt.inputs, use_cache=False, logits_to_keep=1).logits[0]


def continued(subject, prompt, ids: Tensor) -> dict[str, Tensor]:
    """The prompt's inputs with more tokens behind, (1, n)."""

    def longer(name, value):
        if value.shape[:2] != (1, prompt.groups.length):
            return value
        if name == "inputs_embeds":
            more = subject.model.get_input_embeddings()(ids)
        else:
            more = {"input_ids": ids, "attention_mask": torch.ones_like(ids)}.get(
                name, torch.zeros_like(ids)
            )
        return torch.cat([value, more.to(value)], dim=1)

    return {name: longer(name, value) for name, value in prompt.inputs.items()}


def blocked_plain(
    subject, prompt, pathway: Pathway, windows: Sequence[range], clean: Tensor | None = None
) -> Decision:
    """The decision with the pathway closed in each window, one full pass each; `clean` as in
    `decision`.
    """
    rows = []
    for window in windows:
        with knockout(subject, prompt, [pathway], window):
            rows.append(next_token_logits(subject, prompt))
    return decision(torch.cat(rows), prompt, clean)


@torch.no_grad()
def check_bites(subject, prompt, pathway: Pathway) -> None:
    """Prove that closing a pathway in every layer changes its target's attention outputs and
    nothing before it; and nothing at all where the model never has the pathway.

    Raises
    ------
    RuntimeError
        If the mask does not bite (a mask of the wrong kind silently blocks nothing), or bites
        elsewhere.
    """
    layers = range(subject.n_layers)

    def attention_outputs(pathways):
        found = []

        def record(module, args, out):
            found.append((out[0] if isinstance(out, tuple) else out)[0].cpu())

        # Both passes with an explicit mask: under sdpa, mask and causal flag may be served by
        # different kernels.
        with (
            standing(subject, prompt),
            knockout(subject, prompt, pathways, layers),
            hooks(subject.attention(layer).register_forward_hook(record) for layer in layers),
        ):
            subject.model(**prompt.inputs, use_cache=False, logits_to_keep=1)
        return torch.stack(found)

    moved = (attention_outputs([]) != attention_outputs([pathway])).any(-1).any(0)
    source, target = pathway.edges(prompt)
    sees = target[target >= source.min()]
    open_edges = _open_edges(subject, prompt, source, target)
    if moved[sees].any() != open_edges or moved[: int(target.min())].any():
        must = "change target rows and later ones only" if open_edges else "change nothing"
        why = (
            f"knockout of {pathway} in all layers of {subject.name} changed "
            f"{int(moved[sees].sum())} of {len(sees)} target rows"
            f" and {int(moved[: int(target.min())].sum())} rows before them; it must {must}:"
            " the model ignores the attention mask that it is given"
        )
        raise RuntimeError(why)


def _open_edges(subject, prompt, source: Tensor, target: Tensor) -> bool:
    """Whether any edge is left to close between these positions: one that looks back, and that the
    model has.
    """
    length = prompt.groups.length
    seen = torch.ones(length, length, dtype=torch.bool).tril(-1)
    for columns, rows, _ in standing_edges(subject, prompt):
        seen[rows[:, None], columns[None, :]] = False
    return bool(seen[target[:, None], source[None, :]].any())
