"""Steering one prompt: how its decision forms from layer to layer, and what scaling chosen heads
makes of it.

One prompt is an anecdote. It has no interval, so what it shows is set beside a distribution of its
own: the same with heads, or with answers, drawn at random.
"""

from collections.abc import Sequence

import pandas as pd
import torch

from arbitration.dataset.sample import Sample
from arbitration.engine import generation
from arbitration.equations.heads import gain_table
from arbitration.models.prompt import identity
from reproduction.measures import beliefs
from reproduction.measures.answers import add_outcomes
from reproduction.measures.head_sets import Case, list_settings

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
    frames = []
    for draw, stranger in enumerate(borrowed or [None]):
        table = beliefs.measure_beliefs(subject, prompt, dictionary, stranger, **options)
        table = table.assign(draw=draw)
        frames.append(table if draw == 0 else table[table["dictionary"] == beliefs.SHUFFLED])
    return pd.concat(frames, ignore_index=True)


def measure_effects(
    subject,
    prompt,
    dictionary,
    orders: dict,
    share: float,
    factors: Sequence[float],
    draws: int,
    seed: int,
    place: str = "everywhere",
) -> pd.DataFrame:
    """The decision's lead and the answer, unchanged and with sets of heads scaled.

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
    DataFrame
        One row per set and factor: model, sample, following, heads ("none", "eq12", "sensitivity",
        and with " matched" the random ones), draw, factor, count, lead (ln P(y_p) − ln P(y_c) at
        the first answer token, nats), answer, outcome, ambiguous.

    Raises
    ------
    ValueError
        For an unknown place.
    """
    if place not in PLACES:
        why = f"unknown place {place!r}; choose one of {', '.join(PLACES)}"
        raise ValueError(why)
    everywhere = place == "everywhere"
    positions = torch.arange(prompt.groups.length) if everywhere else prompt.groups.instruction
    cases = [Case(share, factor, draws) for factor in factors]
    # Rankings are known for the last position, the instruction, or both: both is what comes nearest
    # to everywhere.
    ranked_at = "both" if everywhere else "instruction"
    settings = list_settings(subject, cases, orders, ranked_at, prompt.following, seed=seed)
    sets = [one for one in settings if one.heads != "random"]
    rows = [{"heads": "none", "draw": 0, "factor": 1.0, "count": 0}]
    rows += [
        {"heads": one.heads, "draw": one.draw, "factor": one.case.factor, "count": len(one.chosen)}
        for one in sets
    ]
    gains = [gain_table(subject, one.chosen, one.case.factor) for one in sets]
    gains = torch.stack([gain_table(subject, [], 1.0), *gains])
    answers, leads = [], []
    for some in gains.split(TOGETHER):
        said, lead = generation.steered(subject, prompt, some, positions, everywhere)
        answers += said
        leads.append(lead)
    table = pd.DataFrame([identity(subject, prompt) | row for row in rows])
    table = table.assign(lead=torch.cat(leads).double().numpy(), answer=answers)
    return add_outcomes(table, prompt, dictionary)
