"""Answers with paths closed (Fig. 5b), and sweeps into and out of the anchors."""

from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby

import pandas as pd
import torch

from arbitration.dataset.sample import SOURCE, opposite
from arbitration.engine import generation
from arbitration.engine.sweep import knockout_tables
from arbitration.equations.knockout import Pathway, count_edges
from arbitration.models.prompt import identity
from reproduction.measures.answers import add_outcomes
from reproduction.measures.readings import WIDENED, widen


def lead_lost(table: pd.DataFrame) -> pd.Series:
    """By how much closing a path lowers the decision's lead ln P(y_p) − ln P(y_c), in nats.

    Where a model is sure, the renormalised probability of y_p (Eq. 6) is at its ceiling, and NSSD
    (Eq. 7) hardly moves; the lead has none.

    Examples
    --------
    From four to one to even odds costs ln 4:

    >>> log = torch.tensor([[0.4, 0.1, 0.2, 0.2]]).double().log()
    >>> names = ["logp_p", "logp_c", "logp_p_blocked", "logp_c_blocked"]
    >>> lead_lost(pd.DataFrame(log.numpy(), columns=names)).round(4).tolist()
    [1.3863]
    """
    before = table["logp_p"] - table["logp_c"]
    return before - (table["logp_p_blocked"] - table["logp_c_blocked"])


def describe_controls(prompts: Iterable, pathways: Sequence[Pathway], seed: int) -> pd.DataFrame:
    """What the random sources of pathways are (`knockout.draw_sources`); no model is asked.

    Returns
    -------
    DataFrame
        One row per prompt and pathway: sample, following, pathway, edges (closed by the control,
        over those closed by the path), own (share of them that come from tokens of the path's
        source or target), rival (share from the evidence of the modality that is not to be
        followed, where the path's source does not hold it).
    """
    rows = []
    for prompt in prompts:
        rival = prompt.groups.positions(SOURCE[opposite(prompt.following)])
        for path in pathways:
            source, target = path.edges(prompt)
            drawn, _ = Pathway(path.source, path.target, control=seed).edges(prompt)
            closed = count_edges(drawn, target)
            mine = torch.isin(drawn, torch.cat([source, target]))
            found = {
                "edges": closed.sum() / count_edges(source, target).sum(),
                "own": closed[mine].sum() / closed.sum(),
                "rival": closed[torch.isin(drawn, rival) & ~mine].sum() / closed.sum(),
            }
            named = {"sample": prompt.sample.id, "following": prompt.following}
            shares = {name: float(value) for name, value in found.items()}
            rows.append({**named, "pathway": str(path), **shares})
    return pd.DataFrame(rows)


def critical_layers(n_layers: int) -> range:
    """The paper's layers 20–25 of 28, as the same part of any model's depth.

    Examples
    --------
    >>> critical_layers(28), critical_layers(30)
    (range(20, 26), range(21, 27))
    """
    return range(20 * n_layers // 28, 25 * n_layers // 28 + 1)


def measure_paths(subject, prompt, dictionary, places: dict, seed: int) -> pd.DataFrame:
    """Answers with the paths into the generated tokens closed across the deep layers (Fig. 5b).

    Parameters
    ----------
    places : dict of str to (dict of str to range)
        For the name of each place the layers under each direction's instruction, or of the
        directions for which it is known.
    seed : int
        Of the random sources.

    Returns
    -------
    DataFrame
        place, layers ("21–26"), blocked ("none", "instruction→last", the instructed modality's own
        path, "random→last" with random sources that close as many edges as the instruction),
        answer, outcome, ambiguous.
    """
    tables = []
    for place, layers in places.items():
        if prompt.following not in layers:
            continue
        own = layers[prompt.following]
        table = _measure_place(subject, prompt, dictionary, own, seed)
        tables.append(table.assign(place=place, layers=f"{own[0]}–{own[-1]}"))
    return pd.concat(tables, ignore_index=True)


def _measure_place(subject, prompt, dictionary, layers: range, seed: int) -> pd.DataFrame:
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
