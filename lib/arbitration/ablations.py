"""Other readings of what the paper leaves open (Appendix E and the book's conventions), measured beside the default.

A reading changes how Φ (Eq. 8) is taken or which tokens count as the anchors. One clean pass serves all of them.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import groupby

import pandas as pd
import torch
from torch import Tensor

from arbitration.entities import EntityDictionary
from arbitration.heads import Head, random_heads, share_count, signals
from arbitration.knockout import Pathway, decision, knockout_tables, next_token_logits
from arbitration.measure import dictionaries
from arbitration.single_heads import Case, Setting, intervened
from arbitration.trace import trace

#: The instruction together with the template's words between it and the last position, which could relay too.
WIDENED = "instruction+template"
#: Which forms of an answer Φ looks for.
WORDS = ("all", "english", "answer")
#: The tokens of the modality that an instruction names.
SOURCE = {"text": "context", "vision": "vision"}


@dataclass(frozen=True)
class Reading:
    """One way to take Φ; as it stands, the default.

    Attributes
    ----------
    name : str
        In every table.
    top_k, pooling, norm
        As in `lens.phi`.
    span : str
        Where: a token group, or `WIDENED`.
    words : {"all", "english", "answer"}
        Which of an answer's forms: all, those in English, or the answer as written alone.
    """

    name: str = "default"
    top_k: int = 1
    pooling: str = "max"
    norm: bool = False
    span: str = "instruction"
    words: str = "all"


#: Those of the paper's Fig. 14.
POOLINGS = (Reading(), Reading("K = 2", top_k=2), Reading("average", pooling="mean"))
READINGS = (
    *POOLINGS, Reading("K = 4", top_k=4), Reading("final norm", norm=True), Reading("modality sentence", span="modality"),
    Reading("question", span="question"), Reading("answer format", span="constraint"), Reading("with the template after it", span=WIDENED),
    Reading("last position", span="last"), Reading("English forms", words="english"), Reading("answer as written", words="answer"),
)  # fmt: skip


def positions(prompt, span: str) -> Tensor:
    """Positions of a span, 0-based; none where the prompt lacks it."""
    if span != WIDENED:
        return prompt.groups.positions(span)
    groups = prompt.groups
    return torch.cat([groups.instruction, groups.template[groups.template > groups.instruction.max()]])


def widened(prompt):
    """The same prompt with the template's words after the instruction counted as instruction."""
    groups, place = prompt.groups, positions(prompt, WIDENED)
    return replace(prompt, groups=replace(groups, instruction=place, template=groups.template[~torch.isin(groups.template, place)]))


def reworded(dictionary: EntityDictionary, words: str) -> EntityDictionary:
    """The dictionary with some of its forms only.

    Raises
    ------
    ValueError
        For an unknown choice; names the known ones.
    """
    if words not in WORDS:
        raise ValueError(f"unknown choice of words {words!r}; choose one of {', '.join(WORDS)}")
    if words == "all":
        return dictionary
    stop = 1 if words == "answer" else None
    kept = {kind: {word: {"en": entry["en"][:stop]} for word, entry in group.items()} for kind, group in dictionary.entries.items()}
    return EntityDictionary(kept)


def beliefs(subject, prompt, dictionary: EntityDictionary, stranger, readings: Sequence[Reading] = READINGS) -> pd.DataFrame:
    """Φ_f and Φ_c (Eq. 8) in every layer under each reading, from one clean pass.

    Parameters
    ----------
    stranger : Sample
        Whose answers the control reads (see `measure.borrowed`).

    Returns
    -------
    DataFrame
        model, sample, following, reading, layer (−1 is the embedding), dictionary ("own" or "shuffled"), phi_f, phi_c (logits). A
        reading is left out where the prompt lacks its span, or has fewer tokens there than it averages over.
    """
    residual = trace(subject, prompt).residual
    frames = []
    for reading in readings:
        place = positions(prompt, reading.span).to(residual.device)
        if len(place) < reading.top_k:
            continue
        forms = reworded(dictionary, reading.words)
        for source, sample in dictionaries(prompt, stranger):
            both = signals(subject, prompt, forms, reading.top_k, reading.pooling, reading.norm, sample)
            phi_f, phi_c = (signal(residual[:, place]).detach().double().cpu().numpy() for signal in both)
            layers = {"layer": range(-1, subject.n_layers), "dictionary": source, "phi_f": phi_f, "phi_c": phi_c}
            frames.append(pd.DataFrame({**_origin(subject, prompt), "reading": reading.name, **layers}))
    return pd.concat(frames, ignore_index=True)


def into(subject, prompts: Iterable, span: str, width: int, layers: Sequence[int]) -> Iterator[pd.DataFrame]:
    """NSSD (Eq. 7) of the path from the tokens of the modality that is instructed into a span, one table a prompt.

    Parameters
    ----------
    span : str
        Target: a token group, or `WIDENED`.
    width, layers
        Layers per window, and the windows' centres.

    Yields
    ------
    DataFrame
        As `knockout_tables`, with the column span.
    """
    for way, some in groupby(prompts, key=lambda prompt: prompt.following):
        some = [widened(prompt) if span == WIDENED else prompt for prompt in some]
        pathway = Pathway(SOURCE[way], "instruction" if span == WIDENED else span)
        for table in knockout_tables(subject, some, [pathway], width, layers=layers):
            yield table.assign(span=span)


@torch.no_grad()
def first_token(subject, prompt) -> pd.DataFrame:
    """What the first answer token alone says: one row.

    Returns
    -------
    DataFrame
        model, sample, following, first ("follow", "competitor" or "other": which answer the most likely token begins), prefers (whether
        the compliant token is likelier than the competitor's).
    """
    found = decision(next_token_logits(subject, prompt), prompt)
    first = {prompt.y_p: "follow", prompt.y_c: "competitor"}.get(int(found.tokens[0]), "other")
    p, c = found.log_probabilities[0].tolist()
    return pd.DataFrame([{**_origin(subject, prompt), "first": first, "prefers": p > c}])


def interventions(
    subject, prompt, dictionary: EntityDictionary, rankings: dict[str, dict[str, list[Head]]], cases, setting: str, draws: int = 3, seed: int = 0
) -> pd.DataFrame:
    """Answers while the top heads of several rankings are scaled at the instruction tokens (Fig. 14).

    Parameters
    ----------
    rankings : dict of reading to dict of direction to list of Head
        Strongest first; from samples other than this one. Empty where none follows: the reading is left out.
    cases : sequence of (share, factor)
        Share of all heads and what their outputs are multiplied by.
    setting : {"blocking", "amplification"}
    draws, seed
        Random sets per case, the control.

    Returns
    -------
    DataFrame
        As `single_heads.intervened`; heads is "original", a reading's name, or "random".
    """
    sets = []
    for share, factor in cases:
        case, count = Case(share, factor, draws), share_count(subject, share)
        sets += [Setting(name, "", 0, case, tuple(order[prompt.following][:count]), None) for name, order in rankings.items() if order[prompt.following]]
        sets += [Setting("random", "", draw, case, tuple(random_heads(subject, count, seed + draw)), None) for draw in range(draws)]
    return intervened(subject, prompt, dictionary, sets, setting, "instruction")


def _origin(subject, prompt) -> dict[str, str]:
    return {"model": subject.name, "sample": prompt.sample.id, "following": prompt.following}
