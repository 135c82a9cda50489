"""Answers while sets of heads are blocked or amplified, with their controls.

A `Case` says what is done to which share of the heads; a `Setting` is one set of heads, scaled. The
top heads of a ranking stand beside as many heads of the same layers and of the whole model.
"""

from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import pandas as pd
import torch

from arbitration.dataset.entities import EntityDictionary
from arbitration.dataset.sample import opposite
from arbitration.engine import generation
from arbitration.equations.heads import (
    Head,
    gain_table,
    layer_matched_heads,
    random_heads,
    share_count,
    shared_heads,
)
from arbitration.models.prompt import identity
from reproduction.measures.answers import add_outcomes
from reproduction.measures.heads import METHODS, positions_of

#: The table of `scale_sets` where there is no prompt to ask: every column, no row (see
#: `results.collect`).
NO_ANSWERS = pd.DataFrame(
    [("", "", "", "", "", "", "", 0, 0.0, 0, 0.0, 1.0, "", "", "", "")],
    columns=(
        "model sample following setting positions heads ranked_on draw share count own factor "
        "answer outcome image wording"
    ).split(),
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
        Where it comes from (see `list_settings`).
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


@dataclass(frozen=True)
class Scaling:
    """Heads and their factor: the unit of a table that is not measured prompt by prompt.

    Attributes
    ----------
    heads, draw
        Where they come from.
    factor : float
    chosen : tuple of Head
    """

    heads: str
    draw: int
    factor: float
    chosen: tuple[Head, ...]

    @property
    def id(self) -> str:
        return f"{self.heads}-{self.draw}-{self.factor}".replace(" ", "-")

    @property
    def following(self) -> str:
        return self.heads

    @property
    def columns(self) -> dict:
        """What its rows say of it."""
        return {"heads": self.heads, "draw": self.draw, "factor": self.factor}


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
        From `heads.rank_heads`, of samples other than those that are measured. A direction that it
        lacks, because no sample follows there, has random heads of the whole model alone.
    same : dict, optional
        From `heads.rank_heads`, of the very samples that are measured.

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
    subject,
    prompt,
    dictionary,
    sets: Mapping[str, Iterable[Setting]],
    setting: str,
    kept_draws: Container[int] | None = None,
) -> pd.DataFrame:
    """Answers of one prompt while sets of heads are scaled, all from one clean pass.

    Parameters
    ----------
    sets : mapping of {"instruction", "last", "both"} to iterable of Setting
        Which are scaled at which positions.
    setting : {"blocking", "amplification"}
    kept_draws : container of int, optional
        The draws that are measured, 0 for sets that are not drawn; all unless given.

    Returns
    -------
    DataFrame
        model, sample, following, setting, positions, heads ("original" for no change, one row for
        each of the positions), ranked_on, draw, share, count, own, factor, answer, outcome,
        ambiguous.
    """
    rows, gains, scaled_at = [], [gain_table(subject, [], 1.0)], [positions_of(prompt, "last")]
    unchanged = {"heads": "original", "ranked_on": "", "draw": 0, "share": 0.0, "count": 0}
    for place, settings in sets.items():
        at = positions_of(prompt, place)
        rows.append({"positions": place, **unchanged, "own": None, "factor": 1.0, "variant": 0})
        for one in settings:
            if kept_draws is not None and one.draw not in kept_draws:
                continue
            rows.append(
                {
                    "positions": place,
                    "heads": one.heads,
                    "ranked_on": one.ranked_on,
                    "draw": one.draw,
                    "share": one.case.share,
                    "count": len(one.chosen),
                    "own": one.own,
                    "factor": one.case.factor,
                    "variant": len(gains),
                }
            )
            gains.append(gain_table(subject, one.chosen, one.case.factor))
            scaled_at.append(at)
    answers = generation.answers(subject, prompt, torch.stack(gains), scaled_at)
    names = {**identity(subject, prompt), "setting": setting}
    table = pd.DataFrame([names | row for row in rows])
    table = table.assign(answer=[answers[variant] for variant in table.pop("variant")])
    return add_outcomes(table, prompt, dictionary)


def scale_paper_sets(
    subject,
    prompt,
    dictionary: EntityDictionary,
    rankings: dict[str, list[Head]],
    places: Mapping[str, Sequence[Case]],
    setting: str,
    seed: int,
    kept_draws: Container[int] | None = None,
) -> pd.DataFrame:
    """Answers of one prompt while the sets of Fig. 9 are scaled (`list_paper_settings`), each case
    at its positions; `kept_draws` as in `scale_sets`.
    """
    way = prompt.following
    sets = {
        place: list_paper_settings(subject, cases, rankings, way, seed)
        for place, cases in places.items()
    }
    return scale_sets(subject, prompt, dictionary, sets, setting, kept_draws)


def scale_rankings(
    subject,
    prompt,
    dictionary: EntityDictionary,
    orders: dict,
    places: Mapping[str, Sequence[Case]],
    setting: str,
    seed: int,
    same: dict | None = None,
    kept_draws: Container[int] | None = None,
) -> pd.DataFrame:
    """Answers of one prompt while the top heads of both rankings and their controls are scaled
    (`list_settings`), each case at its positions; `kept_draws` as in `scale_sets`.
    """
    way = prompt.following
    sets = {
        place: list_settings(subject, cases, orders, place, way, same, seed)
        for place, cases in places.items()
    }
    return scale_sets(subject, prompt, dictionary, sets, setting, kept_draws)


def scale_failures(subject, prompt, *, kept_draws: Container[int] | None = None, **given):
    """`scale_rankings` on a prompt that fails; its column source says why (`Prompt.variant`)."""
    rows = scale_rankings(subject, prompt, kept_draws=kept_draws, **given)
    return rows.assign(source=prompt.variant)


def scale_ranked(
    subject,
    prompt,
    dictionary: EntityDictionary,
    rankings: dict[str, dict[str, list[Head]]],
    cases,
    setting: str,
    draws: int = 3,
    seed: int = 0,
    kept_draws: Container[int] | None = None,
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
    kept_draws
        As in `scale_sets`.

    Returns
    -------
    DataFrame
        As `head_sets.scale_sets`; heads is "original", a reading's name, or "random".
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
    return scale_sets(subject, prompt, dictionary, {"instruction": sets}, setting, kept_draws)
