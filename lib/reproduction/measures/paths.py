"""Answers with paths closed (Fig. 5b), and sweeps into and out of the anchors."""

from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby

import pandas as pd

from arbitration.dataset.sample import SOURCE
from arbitration.engine import generation
from arbitration.engine.sweep import knockout_tables
from arbitration.equations.knockout import Pathway
from arbitration.models.prompt import identity
from reproduction.measures.answers import add_outcomes
from reproduction.measures.readings import WIDENED, widen


def critical_layers(n_layers: int) -> range:
    """The paper's layers 20–25 of 28, as the same part of any model's depth.

    Examples
    --------
    >>> critical_layers(28), critical_layers(30)
    (range(20, 26), range(21, 27))
    """
    return range(20 * n_layers // 28, 25 * n_layers // 28 + 1)


def measure_paths(subject, prompt, dictionary, layers: range, seed: int) -> pd.DataFrame:
    """Answers with the paths into the generated tokens closed across the deep layers (Fig. 5b).

    Returns
    -------
    DataFrame
        blocked ("none", "instruction→last", the instructed modality's own path, "random→last" with
        as many random sources as the instruction has tokens), answer, outcome, ambiguous.
    """
    own = SOURCE[prompt.following]
    cases = {
        "none": [],
        "instruction→last": [Pathway("instruction", "last")],
        f"{own}→last": [Pathway(own, "last")],
        "random→last": [Pathway("instruction", "last", control=seed)],
    }
    answers = generation.answers_without(subject, prompt, list(cases.values()), layers)
    columns = {
        **identity(subject, prompt),
        "blocked": list(cases),
        "answer": answers,
    }
    return add_outcomes(pd.DataFrame(columns), prompt, dictionary)


def sweep_into(
    subject, prompts: Iterable, span: str, width: int, layers: Sequence[int]
) -> Iterator[pd.DataFrame]:
    """NSSD (Eq. 7) of the path from the tokens of the modality that is instructed into a span, one
    table a prompt.

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
        some = [widen(prompt) if span == WIDENED else prompt for prompt in some]
        pathway = Pathway(SOURCE[way], "instruction" if span == WIDENED else span)
        for table in knockout_tables(subject, some, [pathway], width, layers=layers):
            yield table.assign(span=span)


#: What a cue may be relayed through: the instruction's sentences, and neutral ones before them.
SPANS = ("modality", "question", "constraint", "neutral")


def span_pathways(prompt, control: int | None = None) -> list[Pathway]:
    """Into each span of a prompt from the tokens of the modality that is instructed, and from each
    span to the last token.
    """
    spans = [span for span in SPANS if len(prompt.groups.positions(span))]
    into = [Pathway(SOURCE[prompt.following], span, control) for span in spans]
    return into + [Pathway(span, "last", control) for span in spans]


def sweep_spans(
    subject, some: Sequence, width: int, layers: Sequence[int], seed: int
) -> Iterator[pd.DataFrame]:
    """NSSD (Eq. 7) of the pathways of prompts of one layout, each with as many random sources: one
    table a prompt.

    Parameters
    ----------
    some : sequence of Prompt
    width, layers
        Layers per window, and the windows' centres.
    seed : int
        Of the random sources.

    Yields
    ------
    DataFrame
        As `knockout_tables`.
    """
    for _, alike in groupby(some, key=lambda prompt: prompt.following):
        alike = list(alike)
        yield from knockout_tables(
            subject,
            alike,
            span_pathways(alike[0]) + span_pathways(alike[0], seed),
            width,
            layers=layers,
        )
