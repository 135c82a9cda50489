"""Causal attention knockout (Eq. 5): closing chosen attention edges in chosen layers, the plain way.

The plain way runs the whole model once for each variant. `arbitration.resume` gives the same numbers without
recomputing what cannot have changed; `knockout_sweep` uses it wherever it is exact.
"""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, fields

import numpy as np
import pandas as pd
import torch
from torch import Tensor
from tqdm.auto import tqdm
from transformers import StaticCache

from arbitration import metrics
from arbitration.trace import hooks, widened


@dataclass(frozen=True)
class Pathway:
    """All edges from the tokens of one group to those of another, 𝒫_{src→dst}.

    Attributes
    ----------
    source, target : str
        Names of token groups (`TokenGroups`).
    control : int, optional
        If given, the source is replaced by as many tokens drawn at random (this is the draw's seed) from all before the
        target's last token, except the first token of the prompt, on which attention rests by default. Tokens of source
        and target are among those drawn; a token's edge to itself is never closed.
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
            If no edge of the pathway exists: a group is empty, or causality already forbids them all.
        """
        source, target = prompt.groups.positions(self.source), prompt.groups.positions(self.target)
        if len(source) == 0 or len(target) == 0 or source.min() > target.max():
            raise ValueError(f"pathway {self} has no edge in {prompt.id}: {len(source)} source and {len(target)} target tokens, and attention only looks back")
        if self.control is not None:
            pool = torch.arange(1, int(target.max()))
            rng = np.random.default_rng([self.control, prompt.groups.length, len(source)])
            chosen = rng.choice(len(pool), size=min(len(source), len(pool)), replace=False)
            source = pool[torch.from_numpy(chosen)].sort().values
        return source, target


@dataclass(frozen=True)
class LayerWindow:
    """`width` layers around a centre (0-based), clipped to the model."""

    centre: int
    width: int = 3

    def __post_init__(self):
        if self.width < 1 or self.width % 2 == 0:
            raise ValueError(f"a layer window is centred, so its width is odd and positive; got {self.width}")

    def layers(self, n_layers: int) -> range:
        half = self.width // 2
        return range(max(0, self.centre - half), min(n_layers, self.centre + half + 1))


#: Figs. 3 and 4 of the paper, and the way out of the instruction.
STANDARD_PATHWAYS = (
    Pathway("vision", "text"), Pathway("vision", "last"), Pathway("text", "last"),
    Pathway("context", "instruction"), Pathway("context", "last"), Pathway("vision", "instruction"),
    Pathway("vision", "context"), Pathway("instruction", "last"),
)


@contextmanager
def knockout(subject, prompt, pathways: Iterable[Pathway], layers: Iterable[int]):
    """Close the pathways' edges in the given layers while the body runs.

    Works for forward passes over the prompt (a batch repeats it) and for `generate`, with drafts that an assistant or the prompt itself
    proposes and with the prompt in chunks: where the target is ``last``, every new token is a target too. Nothing is left
    behind, also when the body raises.

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
        If a pathway has no edge, a layer does not exist, or the attention implementation takes no mask; and in the body, for a cache
        of fixed size.
    """
    pairs = [(*pathway.edges(prompt), pathway.target == "last") for pathway in pathways]
    layers = sorted(set(layers))
    if not all(0 <= layer < subject.n_layers for layer in layers):
        raise ValueError(f"layers {layers} are outside 0..{subject.n_layers - 1} of {subject.name}")
    implementation = subject.decoder.config._attn_implementation
    if implementation not in ("sdpa", "eager"):
        raise ValueError(f"knockout needs attention by 'sdpa' or 'eager', which take a mask; {subject.name} uses {implementation!r}")

    def close(module, args, kwargs):
        hidden = kwargs["hidden_states"] if "hidden_states" in kwargs else args[0]
        past = kwargs.get("past_key_values")
        if isinstance(past, StaticCache):
            raise ValueError("knockout needs a cache that grows, whose length is that of the mask; generate without cache_implementation='static'")
        seen = past.get_seq_length(module.layer_idx) if past is not None else 0
        mask = open_mask(kwargs.get("attention_mask"), hidden, seen, implementation)
        return args, {**kwargs, "attention_mask": _closed(mask, pairs, seen, prompt.groups.length)}

    with hooks(subject.attention(layer).register_forward_pre_hook(close, with_kwargs=True) for layer in layers):
        yield


def open_mask(mask: Tensor | None, hidden: Tensor, seen: int, implementation: str = "sdpa") -> Tensor:
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
    return torch.zeros(allowed.shape, dtype=dtype, device=allowed.device).masked_fill(~allowed, torch.finfo(dtype).min)


def _closed(mask: Tensor, pairs, seen: int, prompt_length: int) -> Tensor:
    """A copy of the mask with the edges closed; query row i stands for position `seen` + i."""
    mask = mask.clone()
    shut = False if mask.dtype == torch.bool else torch.finfo(mask.dtype).min
    n_queries, n_keys = mask.shape[-2:]
    forgotten = max(0, seen + n_queries - n_keys)  # a layer with a sliding window keeps the last keys only
    for source, target, generated in pairs:
        rows = target - seen
        if generated and seen + n_queries > prompt_length:
            rows = torch.cat([rows, torch.arange(max(prompt_length - seen, 0), n_queries)])
        rows = rows[(rows >= 0) & (rows < n_queries)].to(mask.device)
        columns = source.to(mask.device) - forgotten
        close_edges(mask, rows, columns[columns >= 0], seen - forgotten, shut)
    return mask


def close_edges(mask: Tensor, rows: Tensor, source: Tensor, seen: int, shut: bool | float = False) -> None:
    """Close source columns in some rows of a mask in place; row i stands for column `seen` + i and keeps sight of itself."""
    edges = torch.zeros(mask.shape[-2:], dtype=torch.bool, device=mask.device)
    edges[rows[:, None], source[None, :]] = True
    edges.diagonal(seen).fill_(False)
    mask.masked_fill_(edges, shut)


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
    """The decision in (n, vocabulary) logits, and how far these are from `clean`, (1, vocabulary)."""
    log = log_softmax(logits)
    divergence = log.new_full((len(log),), float("nan")) if clean is None else metrics.signed_divergence(log_softmax(clean), log, prompt.y_p)
    return Decision(log[:, [prompt.y_p, prompt.y_c]], logits.argmax(-1), divergence)


def log_softmax(logits: Tensor) -> Tensor:
    return widened(logits).log_softmax(-1)


@torch.no_grad()
def next_token_logits(subject, prompt) -> Tensor:
    """Logits of the first answer token, (1, vocabulary), by one pass over the whole prompt."""
    return subject.model(**prompt.inputs, use_cache=False, logits_to_keep=1).logits[0]


def blocked_plain(subject, prompt, pathway: Pathway, windows: Sequence[range], clean: Tensor | None = None) -> Decision:
    """The decision with the pathway closed in each window, one full pass each; `clean` as in `decision`."""
    rows = []
    for window in windows:
        with knockout(subject, prompt, [pathway], window):
            rows.append(next_token_logits(subject, prompt))
    return decision(torch.cat(rows), prompt, clean)


@torch.no_grad()
def check_bites(subject, prompt, pathway: Pathway) -> None:
    """Prove that closing a pathway in every layer changes its target's attention outputs and nothing before it.

    Raises
    ------
    RuntimeError
        If the mask does not bite (a mask of the wrong kind silently blocks nothing), or bites elsewhere.
    """
    layers = range(subject.n_layers)

    def attention_outputs(pathways):
        found = []

        def record(module, args, out):
            found.append((out[0] if isinstance(out, tuple) else out)[0].cpu())

        # Both passes with an explicit mask: under sdpa, mask and causal flag may be served by different kernels.
        with knockout(subject, prompt, pathways, layers), hooks(subject.attention(layer).register_forward_hook(record) for layer in layers):
            subject.model(**prompt.inputs, use_cache=False, logits_to_keep=1)
        return torch.stack(found)

    moved = (attention_outputs([]) != attention_outputs([pathway])).any(-1).any(0)
    source, target = pathway.edges(prompt)
    sees = target[target >= source.min()]
    if not moved[sees].any() or moved[: int(target.min())].any():
        raise RuntimeError(
            f"knockout of {pathway} in all layers of {subject.name} changed {int(moved[sees].sum())} of {len(sees)} target rows"
            f" and {int(moved[: int(target.min())].sum())} rows before them; it must change target rows and later ones only:"
            " the model ignores the attention mask that it is given"
        )


#: Prompts whose clean passes are kept at once, so that pathways into their last tokens travel together.
TOGETHER = 4


def knockout_sweep(
    subject, prompts, pathways=STANDARD_PATHWAYS, width: int = 3, engine: str = "auto", layers=None, workspace: float | None = None, progress: bool = True
) -> pd.DataFrame:
    """NSSD of every prompt × pathway × layer window (Figs. 3, 4, 10 and 11).

    Parameters
    ----------
    subject : Subject
    prompts : sequence of Prompt
    pathways : sequence of Pathway
    width : int
        Layers per window, odd; clipped at both ends of the model.
    engine : {"auto", "resume", "plain"}
        ``plain`` is one full forward per variant; ``resume`` recomputes only what a variant changes; ``auto`` resumes
        where that is exact and says so where it is not.
    layers : iterable of int, optional
        Centres of the windows; all layers unless given.
    workspace : float, optional
        MiB that the variants of one pass may take, `plan.default_workspace` unless given: bounds the memory.

    Returns
    -------
    DataFrame
        One row per prompt × pathway × layer in the prompts' order: model, sample, following, pathway, control, layer,
        width, engine, workspace (MiB), p_p, p_c, p_p_blocked, p_c_blocked and their natural logarithms (logp_…), token and
        token_blocked (most likely next token), nssd (nats), divergence (`metrics.signed_divergence`, nats).

    Raises
    ------
    ValueError
        Before any pass, if a pathway has no edge in one of the prompts, or for an even width or unknown engine.
    RuntimeError
        If the model ignores the mask, or the engine disagrees with the plain way on the variant that is checked (`resume.check_against_plain`).
    """
    tables = knockout_tables(subject, prompts, pathways, width, engine, layers, workspace)
    return pd.concat(tqdm(tables, desc=f"knockout, {subject.name}", total=len(prompts), disable=not progress), ignore_index=True)


def knockout_tables(
    subject, prompts, pathways=STANDARD_PATHWAYS, width: int = 3, engine: str = "auto", layers=None, workspace: float | None = None
) -> Iterator[pd.DataFrame]:
    """As `knockout_sweep`, one table after the other, so that each can be kept as soon as it is measured."""
    from arbitration import plan, resume

    centres = range(subject.n_layers) if layers is None else list(layers)
    windows = [LayerWindow(centre, width).layers(subject.n_layers) for centre in centres]
    if engine not in ("auto", "resume", "plain"):
        raise ValueError(f"unknown engine {engine!r}; choose 'auto', 'resume' or 'plain'")
    for prompt in prompts:
        for pathway in pathways:
            pathway.edges(prompt)
    obstacle = subject.resume_obstacle
    if engine == "resume" and obstacle:
        raise ValueError(f"engine='resume' is not exact for {subject.name}: {obstacle}; use 'plain'")
    if engine == "auto":
        engine = "plain" if obstacle else "resume"
        if obstacle:
            tqdm.write(f"{subject.name} needs the plain way: {obstacle}")
    check_bites(subject, prompts[0], pathways[0])
    workspace = workspace or plan.default_workspace(subject)
    for start in range(0, len(prompts), TOGETHER):
        some = prompts[start : start + TOGETHER]
        if engine == "plain":
            decisions = (_plain(subject, prompt, pathways, windows) for prompt in some)
        else:
            decisions, workspace = resume.blocked(subject, some, pathways, windows, workspace)
            if start == 0:
                resume.check_against_plain(subject, prompts[0], pathways[-1], windows, decisions[0][1].log_probabilities[-len(windows) :])
        for prompt, (clean, blocked) in zip(some, decisions):
            origin = {"model": subject.name, "width": width, "engine": engine, "workspace": workspace}
            yield _table(prompt, pathways, centres, clean, blocked).assign(**origin)


def _plain(subject, prompt, pathways, windows) -> tuple[Decision, Decision]:
    clean = next_token_logits(subject, prompt)
    found = [blocked_plain(subject, prompt, pathway, windows, clean) for pathway in pathways]
    return decision(clean, prompt), Decision(*(torch.cat([getattr(one, part.name) for one in found]) for part in fields(Decision)))


def _table(prompt, pathways, centres, clean: Decision, blocked: Decision) -> pd.DataFrame:
    """One row per pathway × window of one prompt."""
    log, after = clean.log_probabilities.cpu()[0], blocked.log_probabilities.cpu()
    numbers = {"logp_p": log[0], "logp_c": log[1], "logp_p_blocked": after[:, 0], "logp_c_blocked": after[:, 1]}
    probabilities = {name.removeprefix("log"): value.exp() for name, value in numbers.items()}
    columns = {name: value.double().expand(len(after)).numpy() for name, value in (numbers | probabilities).items()}
    frame = pd.MultiIndex.from_product([range(len(pathways)), centres], names=["pathway", "layer"]).to_frame(index=False)
    return pd.DataFrame({
        "sample": prompt.sample.id, "following": prompt.following,
        "pathway": frame["pathway"].map(lambda number: str(pathways[number])),
        "control": frame["pathway"].map(lambda number: pathways[number].control is not None),
        "layer": frame["layer"], **columns, "token": int(clean.tokens[0]), "token_blocked": blocked.tokens.cpu().numpy(),
        "nssd": metrics.nssd(log[0], log[1], after[:, 0], after[:, 1]).double().numpy(),
        "divergence": blocked.divergence.double().cpu().numpy(),
    })
