"""Steering one prompt: how its decision forms from layer to layer, and what scaling chosen heads
makes of it.

One prompt is an anecdote. It has no interval, so what it shows is set beside a distribution of its
own: the same with heads, or with answers, drawn at random.
"""

from collections.abc import Iterator, Sequence

import pandas as pd
import torch

from arbitration.dataset.sample import Sample
from arbitration.engine import generation
from arbitration.equations.heads import gain_table
from arbitration.equations.trace import trace
from arbitration.models.prompt import identity
from reproduction.measures import beliefs
from reproduction.measures.answers import add_outcomes
from reproduction.measures.head_sets import Case, Scaling, list_settings

#: Where the heads are scaled: in all of the prompt and at every generated token, or at the prompt's
#: instruction tokens as in §4.2.2.
PLACES = ("everywhere", "instruction")
TOGETHER = 8  # settings that are generated as one batch: bounds the memory


def trace_decision(
    subject, prompt, dictionary, borrowed: Sequence[Sample], **options
) -> pd.DataFrame:
    """Φ_f and Φ_c in every layer, of the prompt's own answers and of those of other samples
    (`strangers.draw_strangers`).

    Returns
    -------
    DataFrame
        As `beliefs.measure_beliefs`, with the column draw, which of `borrowed`; the dictionary is
        "own" in draw 0 alone, and nowhere "shuffled" if nothing is borrowed.
    """
    residual = trace(subject, prompt).residual
    read = [(beliefs.OWN, 0, prompt.sample)]
    read += [(beliefs.SHUFFLED, draw, stranger) for draw, stranger in enumerate(borrowed)]
    frames = [
        beliefs.read_beliefs(subject, prompt, dictionary, residual, sample, **options).assign(
            dictionary=source, draw=draw
        )
        for source, draw, sample in read
    ]
    return pd.concat(frames, ignore_index=True)[[*beliefs.COLUMNS, "draw"]]


def list_steered_sets(
    subject,
    prompt,
    orders: dict,
    share: float,
    factors: Sequence[float],
    draws: int,
    seed: int,
    place: str = "everywhere",
) -> list[Scaling]:
    """The sets of heads that are scaled in one prompt.

    Parameters
    ----------
    orders : dict
        From `heads.rank_heads`, of other samples.
    share : float
        Of all heads.
    factors : sequence of float
    draws : int
        Random sets beside each set of top heads, in the same layers.
    place : {"everywhere", "instruction"}
        See `PLACES`.

    Returns
    -------
    list of Scaling
        "none" first; then "eq12" and "sensitivity", and with " matched" the random ones.

    Raises
    ------
    ValueError
        For an unknown place.
    """
    if place not in PLACES:
        why = f"unknown place {place!r}; choose one of {', '.join(PLACES)}"
        raise ValueError(why)
    cases = [Case(share, factor, draws) for factor in factors]
    # Rankings are known for the last position, the instruction, or both: both is what comes nearest
    # to everywhere.
    ranked_at = "both" if place == "everywhere" else "instruction"
    settings = list_settings(subject, cases, orders, ranked_at, prompt.following, seed=seed)
    return [Scaling("none", 0, 1.0, ())] + [
        Scaling(one.heads, one.draw, one.case.factor, one.chosen)
        for one in settings
        if one.heads != "random"
    ]


def measure_effects(
    subject, scalings: Sequence[Scaling], prompt, dictionary, place: str = "everywhere"
) -> Iterator[pd.DataFrame]:
    """The decision's lead and the answer of one prompt, with sets of heads scaled.

    Parameters
    ----------
    scalings, place
        As in `list_steered_sets`.

    Yields
    ------
    DataFrame
        For each set: model, sample, following, heads, draw, factor, count, lead (ln P(y_p) −
        ln P(y_c) at the first answer token, nats), answer, outcome, ambiguous.
    """
    everywhere = place == "everywhere"
    positions = torch.arange(prompt.groups.length) if everywhere else prompt.groups.instruction
    for start in range(0, len(scalings), TOGETHER):
        some = scalings[start : start + TOGETHER]
        gains = torch.stack([gain_table(subject, one.chosen, one.factor) for one in some])
        answers, leads = generation.steered(subject, prompt, gains, positions, everywhere)
        for one, answer, lead in zip(some, answers, leads.double().tolist()):
            row = {**identity(subject, prompt), **one.columns, "count": len(one.chosen)}
            table = pd.DataFrame([row]).assign(lead=lead, answer=answer)
            yield add_outcomes(table, prompt, dictionary)
