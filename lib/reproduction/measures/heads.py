"""Which heads decide? Two rankings, what each head does alone, and sets of heads blocked or
amplified with their controls.

Eq. 12 ranks heads by what they write at the instruction tokens, `sensitivity` by how far the
decision moves with them. What each head does when it alone is silenced is the ground truth that a
ranking should foretell. Each function goes from one prompt to its rows.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from arbitration.dataset.entities import EntityDictionary
from arbitration.dataset.sample import opposite
from arbitration.engine import generation
from arbitration.equations.attribution import head_attribution
from arbitration.equations.heads import (
    Head,
    gain_table,
    layer_matched_heads,
    random_heads,
    ranking,
    share_count,
    shared_heads,
)
from arbitration.equations.sensitivity import gain_gradients
from arbitration.models.prompt import identity
from reproduction.measures.answers import outcome_of

PLACES = ("instruction", "last", "both")
METHODS = ("eq12", "sensitivity")


def positions_of(prompt, positions: str) -> Tensor:
    """Where heads are scaled: a token group, or ``both``, the instruction and the last position."""
    return (
        torch.cat([prompt.groups.instruction, prompt.groups.last])
        if positions == "both"
        else prompt.groups.positions(positions)
    )


def attribute_heads(subject, prompts, dictionary, **phi) -> Iterator[pd.DataFrame]:
    """The contribution of every head to the arbitration margin (`attribution.head_attribution`),
    one table a prompt; `phi` as in `lens.phi`.
    """
    for prompt in prompts:
        yield head_attribution(subject, [prompt], dictionary, **phi)


def rank_directions(scores: pd.DataFrame) -> dict[str, list[Head]]:
    """All heads by Eq. 12, the strongest first, for each direction; empty where none was scored."""
    ways = {way: scores[scores["following"] == way] for way in ("text", "vision")}
    return {way: ranking(rows) for way, rows in ways.items()}


def score_heads(subject, prompt, dictionary, **options) -> pd.DataFrame:
    """Both scores of every head.

    Parameters
    ----------
    **options
        ``top_k``, ``pooling``, ``norm`` of `lens.phi`, for Eq. 12.

    Returns
    -------
    DataFrame
        model, sample, following, layer, head; eq12 (logits, at the instruction tokens) and
        sensitivity_instruction, sensitivity_last, sensitivity_both (nats per unit of gain at these
        positions; a derivative, so that the last is the sum of the other two).
    """
    table = head_attribution(subject, [prompt], dictionary, **options).rename(
        columns={"margin": "eq12"}
    )
    instruction, last = (
        gain_gradients(subject, [prompt], positions=("instruction", "last"))[0].cpu().numpy()
    )
    derivatives = {"instruction": instruction, "last": last, "both": instruction + last}
    return table.assign(
        **{f"sensitivity_{name}": values.ravel() for name, values in derivatives.items()}
    )


def silence_heads(
    subject, prompt, places: Sequence[str] = ("instruction", "last"), engine: str = "auto"
) -> pd.DataFrame:
    """What silencing each head alone does to the decision: the ground truth of a ranking.

    Returns
    -------
    DataFrame
        model, sample, following, positions, layer, head, clean (the decision's lead ln P(y_p) − ln
        P(y_c), nats), effect (what the lead loses, nats: positive if the head served the
        instruction; to first order the head's sensitivity) and turned (whether the competitor leads
        without the head).
    """
    layers, heads = (indices.ravel() for indices in np.indices((subject.n_layers, subject.n_heads)))
    gains = torch.ones(len(layers), subject.n_layers, subject.n_heads)
    gains[torch.arange(len(layers)), torch.from_numpy(layers), torch.from_numpy(heads)] = 0.0
    frames = []
    for positions in places:
        clean, leads = generation.leads(
            subject, prompt, gains, positions_of(prompt, positions), engine
        )
        frames.append(
            pd.DataFrame(
                {
                    **identity(subject, prompt),
                    "positions": positions,
                    "layer": layers,
                    "head": heads,
                    "clean": clean,
                    "effect": clean - leads.numpy(),
                    "turned": (leads < 0).numpy() & (clean > 0),
                }
            )
        )
    return pd.concat(frames, ignore_index=True)


def rank_heads(scores: pd.DataFrame) -> dict[tuple[str, str, str], list[Head]]:
    """All heads in the order of each score: (method, positions, direction) → heads, strongest
    first.

    Eq. 12 is about the instruction tokens; its order is the same wherever the heads are scaled.
    """
    return {
        (method, positions, way): ranking(
            rows, by="eq12" if method == "eq12" else f"sensitivity_{positions}"
        )
        for way, rows in scores.groupby("following")
        for method in METHODS
        for positions in PLACES
    }


def keep_top(subject, orders: dict, share: float) -> dict:
    """The top share of all heads of each order: what scaling no more than that can depend on."""
    count = share_count(subject.total_heads, share)
    return {key: order[:count] for key, order in orders.items()}


#: The tables of `silenced` and `intervened` where there is no prompt to ask: every column, no row
#: (see `store.collect`).
NO_EFFECTS = pd.DataFrame(
    [
        {
            "model": "",
            "sample": "",
            "following": "",
            "positions": "",
            "layer": 0,
            "head": 0,
            "clean": 0.0,
            "effect": 0.0,
            "turned": False,
            "image": "",
        }
    ]
)[:0]
NO_ANSWERS = pd.DataFrame(
    [
        {
            "model": "",
            "sample": "",
            "following": "",
            "setting": "",
            "positions": "",
            "heads": "",
            "ranked_on": "",
            "draw": 0,
            "share": 0.0,
            "count": 0,
            "own": 0.0,
            "factor": 1.0,
            "answer": "",
            "outcome": "",
            "image": "",
        }
    ]
)[:0]


@dataclass(frozen=True)
class Case:
    """What is done to a share of all heads, and against how many random draws of each control.

    `compared` adds the top heads of the other direction, and of a ranking on the same samples where
    one is given.
    """

    share: float
    factor: float
    draws: int
    compared: bool = False


@dataclass(frozen=True)
class Setting:
    """One set of heads, scaled.

    Attributes
    ----------
    heads, ranked_on, draw
        Where it comes from (see `settings`).
    case : Case
    chosen : tuple of Head
    own : int, optional
        How many of it the target has too; None for random heads of the whole model, which belong to
        no one target.
    """

    heads: str
    ranked_on: str
    draw: int
    case: Case
    chosen: tuple[Head, ...]
    own: int | None


def list_settings(
    subject,
    cases: Sequence[Case],
    orders: dict,
    positions: str,
    direction: str,
    same: dict | None = None,
    seed: int = 0,
) -> Iterator[Setting]:
    """The sets of heads of some cases.

    Parameters
    ----------
    orders : dict
        From `rankings`, of samples other than those that are measured. A direction that it lacks,
        because no sample follows there, has random heads of the whole model alone.
    same : dict, optional
        From `rankings`, of the very samples that are measured.

    Yields
    ------
    Setting
        For each case and method: the top heads ("eq12", "sensitivity"), ranked on "other samples",
        and if compared also on the "same samples" and on the "other direction"; as many heads of
        the same layers ("eq12 matched", "sensitivity matched"), and as many of the whole model
        ("random"), by draws.
    """
    for case in cases:
        count = share_count(subject.total_heads, case.share)
        for method in METHODS:
            top = orders.get((method, positions, direction), [])[:count]
            if not top:
                continue
            yield Setting(method, "other samples", 0, case, tuple(top), count)
            if case.compared:
                rivals = {"same samples": (same or {}).get((method, positions, direction))}
                rivals["other direction"] = orders.get((method, positions, opposite(direction)))
                for name, order in rivals.items():
                    if not order:
                        continue
                    yield Setting(
                        method, name, 0, case, tuple(order[:count]), len({*order[:count]} & {*top})
                    )
            for draw in range(case.draws):
                control = layer_matched_heads(subject, top, seed + draw)
                yield Setting(
                    f"{method} matched", "", draw, case, tuple(control), len({*control} & {*top})
                )
        for draw in range(case.draws):
            yield Setting(
                "random", "", draw, case, tuple(random_heads(subject, count, seed + draw)), None
            )


def list_paper_settings(
    subject, cases: Sequence[Case], rankings: dict[str, list[Head]], direction: str, seed: int = 0
) -> Iterator[Setting]:
    """The sets of heads of Fig. 9, with their controls.

    Parameters
    ----------
    rankings : dict of direction to list of Head
        Strongest first; from samples other than those that are measured. Empty where none follows.

    Yields
    ------
    Setting
        For each case: the direction's top heads ("target"), those of them in the other direction's
        top too ("shared", if both were ranked), and by draws as many heads of the target's layers
        ("matched") and of the whole model ("random"). Of a direction without a ranking only these
        last.
    """
    for case in cases:
        count = share_count(subject.total_heads, case.share)
        top = {way: order[:count] for way, order in rankings.items()}
        target = top[direction]
        if target:
            yield Setting("target", "", 0, case, tuple(target), count)
        if all(top.values()):
            shared = shared_heads(*top.values())
            yield Setting("shared", "", 0, case, tuple(shared), len(shared))
        for draw in range(case.draws):
            if target:
                matched = layer_matched_heads(subject, target, seed + draw)
                yield Setting(
                    "matched", "", draw, case, tuple(matched), len({*matched} & {*target})
                )
            yield Setting(
                "random", "", draw, case, tuple(random_heads(subject, count, seed + draw)), None
            )


def scale_sets(
    subject, prompt, dictionary, sets: Sequence[Setting], setting: str, positions: str
) -> pd.DataFrame:
    """Answers of one prompt while sets of heads are scaled.

    Parameters
    ----------
    setting : {"blocking", "amplification"}
    positions : {"instruction", "last", "both"}

    Returns
    -------
    DataFrame
        model, sample, following, setting, positions, heads ("original" for no change), ranked_on,
        draw, share, count, own, factor, answer, outcome.
    """
    sets = list(sets)
    rows = [
        {
            "heads": "original",
            "ranked_on": "",
            "draw": 0,
            "share": 0.0,
            "count": 0,
            "own": None,
            "factor": 1.0,
        }
    ]
    rows += [
        {
            "heads": one.heads,
            "ranked_on": one.ranked_on,
            "draw": one.draw,
            "share": one.case.share,
            "count": len(one.chosen),
            "own": one.own,
            "factor": one.case.factor,
        }
        for one in sets
    ]
    gains = [
        gain_table(subject, [], 1.0),
        *(gain_table(subject, one.chosen, one.case.factor) for one in sets),
    ]
    answers = generation.answers(
        subject, prompt, torch.stack(gains), positions_of(prompt, positions)
    )
    names = {
        **identity(subject, prompt),
        "setting": setting,
        "positions": positions,
    }
    table = pd.DataFrame([names | row for row in rows]).assign(answer=answers)
    return table.assign(outcome=[outcome_of(answer, prompt, dictionary) for answer in answers])


def scale_paper_sets(
    subject,
    prompt,
    dictionary: EntityDictionary,
    rankings: dict[str, list[Head]],
    places: Mapping[str, Sequence[Case]],
    setting: str,
    seed: int,
) -> pd.DataFrame:
    """Answers of one prompt while the sets of Fig. 9 are scaled (`list_paper_settings`), each case
    at its positions.
    """
    frames = []
    for place, cases in places.items():
        sets = list_paper_settings(subject, cases, rankings, prompt.following, seed)
        frames.append(scale_sets(subject, prompt, dictionary, sets, setting, place))
    return pd.concat(frames)


def scale_rankings(
    subject,
    prompt,
    dictionary: EntityDictionary,
    orders: dict,
    places: Mapping[str, Sequence[Case]],
    setting: str,
    seed: int,
    same: dict | None = None,
) -> pd.DataFrame:
    """Answers of one prompt while the top heads of both rankings and their controls are scaled
    (`list_settings`), each case at its positions.
    """
    frames = []
    for place, cases in places.items():
        sets = list_settings(subject, cases, orders, place, prompt.following, same, seed)
        frames.append(scale_sets(subject, prompt, dictionary, sets, setting, place))
    return pd.concat(frames)


def scale_ranked(
    subject,
    prompt,
    dictionary: EntityDictionary,
    rankings: dict[str, dict[str, list[Head]]],
    cases,
    setting: str,
    draws: int = 3,
    seed: int = 0,
) -> pd.DataFrame:
    """Answers while the top heads of several rankings are scaled at the instruction tokens (Fig.
    14).

    Parameters
    ----------
    rankings : dict of reading to dict of direction to list of Head
        Strongest first; from samples other than this one. Empty where none follows: the reading is
        left out.
    cases : sequence of (share, factor)
        Share of all heads and what their outputs are multiplied by.
    setting : {"blocking", "amplification"}
    draws, seed
        Random sets per case, the control.

    Returns
    -------
    DataFrame
        As `heads.scale_sets`; heads is "original", a reading's name, or "random".
    """
    sets = []
    for share, factor in cases:
        case, count = Case(share, factor, draws), share_count(subject.total_heads, share)
        sets += [
            Setting(name, "", 0, case, tuple(order[prompt.following][:count]), None)
            for name, order in rankings.items()
            if order[prompt.following]
        ]
        sets += [
            Setting(
                "random", "", draw, case, tuple(random_heads(subject, count, seed + draw)), None
            )
            for draw in range(draws)
        ]
    return scale_sets(subject, prompt, dictionary, sets, setting, "instruction")
