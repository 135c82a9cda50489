"""Other readings of what the paper leaves open (Appendix E and the book's conventions), measured
beside the default.

A reading changes how Φ (Eq. 8) is taken or which tokens count as the anchors. One clean pass serves
all of them.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import pandas as pd
import torch
from torch import Tensor

from arbitration.dataset.entities import EntityDictionary
from arbitration.equations.attribution import signals
from arbitration.equations.trace import trace
from arbitration.models.prompt import identity
from reproduction.measures.beliefs import list_dictionaries
from reproduction.measures.rows import to_numbers

#: The instruction together with the template's words between it and the last position, which could
#: relay too.
WIDENED = "instruction+template"
#: Which forms of an answer Φ looks for.
WORDS = ("all", "english", "answer")


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
    *POOLINGS,
    Reading("K = 4", top_k=4),
    Reading("final norm", norm=True),
    Reading("modality sentence", span="modality"),
    Reading("question", span="question"),
    Reading("answer format", span="constraint"),
    Reading("with the template after it", span=WIDENED),
    Reading("last position", span="last"),
    Reading("English forms", words="english"),
    Reading("answer as written", words="answer"),
)


def span_positions(prompt, span: str) -> Tensor:
    """Positions of a span, 0-based; none where the prompt lacks it."""
    if span != WIDENED:
        return prompt.groups.positions(span)
    return torch.cat([prompt.groups.instruction, prompt.groups.after])


def list_targets(prompts) -> list[str]:
    """The ways into the anchors that all prompts have: the instruction, its parts, and the
    instruction with the template's words after it.
    """
    spans = ("instruction", "modality", "question", "constraint", WIDENED)
    return [span for span in spans if all(len(span_positions(one, span)) for one in prompts)]


def widen(prompt):
    """The same prompt with the template's words after the instruction counted as instruction."""
    groups, place = prompt.groups, span_positions(prompt, WIDENED)
    return replace(
        prompt,
        groups=replace(
            groups, instruction=place, template=groups.template[~torch.isin(groups.template, place)]
        ),
    )


def reword(dictionary: EntityDictionary, words: str) -> EntityDictionary:
    """The dictionary with some of its forms only.

    Raises
    ------
    ValueError
        For an unknown choice; names the known ones.
    """
    if words not in WORDS:
        why = f"unknown choice of words {words!r}; choose one of {', '.join(WORDS)}"
        raise ValueError(why)
    if words == "all":
        return dictionary
    stop = 1 if words == "answer" else None
    kept = {}
    for kind, group in dictionary.entries.items():
        kept[kind] = {word: {"en": entry["en"][:stop]} for word, entry in group.items()}
    return EntityDictionary(kept)


def measure_readings(
    subject, prompt, dictionary: EntityDictionary, borrowed, readings: Sequence[Reading] = READINGS
) -> pd.DataFrame:
    """Φ_f and Φ_c (Eq. 8) in every layer under each reading, from one clean pass.

    Parameters
    ----------
    borrowed : Sample
        Whose answers the control reads (see `strangers.borrow_answers`).

    Returns
    -------
    DataFrame
        model, sample, following, reading, layer (−1 is the embedding), dictionary ("own" or
        "shuffled"), phi_f, phi_c (logits). A reading is left out where the prompt lacks its span,
        or has fewer tokens there than it averages over.
    """
    residual = trace(subject, prompt).residual
    frames = []
    for reading in readings:
        place = span_positions(prompt, reading.span).to(residual.device)
        if len(place) < reading.top_k:
            continue
        forms = reword(dictionary, reading.words)
        for source, sample in list_dictionaries(prompt, borrowed):
            followed, competitor = signals(
                subject, prompt, forms, reading.top_k, reading.pooling, reading.norm, sample
            )
            columns = {
                **identity(subject, prompt),
                "reading": reading.name,
                "layer": range(-1, subject.n_layers),
                "dictionary": source,
                "phi_f": to_numbers(followed(residual[:, place])),
                "phi_c": to_numbers(competitor(residual[:, place])),
            }
            frames.append(pd.DataFrame(columns))
    return pd.concat(frames, ignore_index=True)
