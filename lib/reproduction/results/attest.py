"""Whether what a record says is what this code measures on this machine.

Of the prompts that a record has, a few of each direction are measured again; of what is tried on a
prompt by the dozen, a part (`question.Question.tried`). Which ones follows from the code's version:
whoever writes a record cannot choose them. Where every column agrees, the record is used whole;
where one does not, none of it is.
"""

import hashlib
import os
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from arbitration.files.given import quote

#: Prompts of each direction and table that are measured again, unless ``ARBITRATION_ATTEST`` gives
#: another number, or "all".
CHECKED = 2
#: Of what is asked for one by one, as in a search, the share that is asked again.
ASKED_AGAIN = 1 / 64
#: Of what a measure tries on a prompt one by one, such as the draws of a control, the first and one
#: of every so many are tried again.
TRIED_AGAIN = 32
#: What they are called, by the column that tells them apart.
TOLD = {"draw": "draws", "layer": "layers", "routes": "sets of routes"}
#: How far numbers may be apart: nats and shares, unless the model's dtype rounds more coarsely
#: (`recorded.bound_rounding`); logits and derivatives, in shares of their range.
NEAR, NEAR_OF_RANGE = 1e-4, 1e-3
#: Columns of the second kind.
RANGED = frozenset(
    "phi_f phi_c signal_f signal_c attention_signal mlp_signal attention_margin mlp_margin margin "
    "eq12 sensitivity_instruction sensitivity_last sensitivity_both".split()
)
#: How a row was measured, and not what: another machine has another size of its passes.
MEANS = ("engine", "workspace")


class NotRecorded(ValueError):
    """A table that was to come from a record alone cannot: a part is lacking."""


class NotAttested(ValueError):
    """A table that was to come from a record cannot: what is measured here is not what it says."""


@dataclass(frozen=True)
class Fault:
    """One value that is measured otherwise than it was recorded."""

    prompt: str
    column: str
    recorded: object
    measured: object

    def __str__(self) -> str:
        return f"{self.prompt}, {self.column}: recorded {self.recorded}, here {self.measured}"


@dataclass(frozen=True)
class Attestation:
    """Where the rows of one table come from.

    Attributes
    ----------
    model, table : str
    taken, checked, here : frozenset of str
        Prompts whose rows come from the record; those of the record that were measured again here;
        those that were measured here for want of a record.
    recorded, code : frozenset of str
        Days on which, and versions of the code by which, the record was made.
    tried : frozenset of str
        What the prompts that were measured again were not asked in whole (`TOLD`).
    largest : float
        Difference of a number that was measured again.
    faults : tuple of Fault
        Where there are any, nothing comes from the record.
    """

    model: str
    table: str
    taken: frozenset = frozenset()
    checked: frozenset = frozenset()
    here: frozenset = frozenset()
    recorded: frozenset = frozenset()
    code: frozenset = frozenset()
    tried: frozenset = frozenset()
    largest: float = 0.0
    faults: tuple[Fault, ...] = ()


SAID = ["recorded", "code"]
COLUMNS = ["model", "table", "origin", "taken", "checked", "here", "largest", "faults", *SAID]
#: What this process has taken from records, or measured, in its order.
SEEN: list[Attestation] = []


def count_checked() -> float:
    """How many prompts of each direction and table are measured again.

    Raises
    ------
    ValueError
        If the environment has no such number.
    """
    given = os.environ.get("ARBITRATION_ATTEST") or str(CHECKED)
    return read_count("ARBITRATION_ATTEST", given)


def read_count(what: str, given: str) -> float:
    """A number of prompts as it is typed, endless for "all".

    Raises
    ------
    ValueError
        If it attests nothing; `what` says where it was typed.
    """
    if given == "all":
        return np.inf
    if not re.fullmatch("[0-9]{1,9}", given) or int(given) < CHECKED:
        why = f"{what} is {quote(given)}; it must be a whole number of at least {CHECKED}, or all"
        raise ValueError(why)
    return int(given)


def draw_prompts(prompts: Sequence, code: str) -> list:
    """The prompts of each direction that are measured again, in an order that the code's version
    draws.
    """
    count, found = count_checked(), []
    for way in dict.fromkeys(prompt.following for prompt in prompts):
        own = sorted(
            (prompt for prompt in prompts if prompt.following == way),
            key=lambda prompt: draw_number(code, prompt.id),
        )
        found += own[: len(own) if np.isinf(count) else count]
    return found


def draw_tried(tried: Sequence, code: str) -> list:
    """Of things in order that are tried on a prompt those that are tried again: the first, and one
    of every `TRIED_AGAIN` neighbours, which the code's version draws; all of them with all prompts.
    """
    if np.isinf(count_checked()):
        return list(tried)
    runs = [tried[start : start + TRIED_AGAIN] for start in range(0, len(tried), TRIED_AGAIN)]
    drawn = [min(run, key=lambda one: draw_number(code, f"tried {one}")) for run in runs]
    return sorted({*tried[:1], *drawn})


def is_asked_again(code: str, prompt: str) -> bool:
    """Whether one of many that are asked one by one is asked again."""
    return np.isinf(count_checked()) or draw_number(code, prompt) < ASKED_AGAIN


def draw_number(code: str, prompt: str) -> float:
    """A number from 0 to 1 that nobody can choose without changing the code."""
    digest = hashlib.sha256(f"{code} {prompt}".encode()).digest()
    return int.from_bytes(digest[:8]) / 2**64


def compare_rows(prompt: str, recorded: pd.DataFrame, measured: pd.DataFrame, near: float = NEAR):
    """Where the rows of a prompt differ from its record.

    Parameters
    ----------
    near : float
        By how much nats and shares may differ.

    Returns
    -------
    float
        The largest difference of two numbers, in nats, or in shares of the range (`RANGED`).
    list of Fault
        One for each value that differs by more than it may; of each column the one that differs
        most comes first.
    """
    if list(recorded.columns) != list(measured.columns) or len(recorded) != len(measured):
        shapes = (f"{len(rows)} rows of {', '.join(rows)}" for rows in (recorded, measured))
        return 0.0, [Fault(prompt, "the table's form", *shapes)]
    largest, faults = 0.0, []
    for name in recorded.columns.difference(MEANS, sort=False):
        old, new = recorded[name], measured[name]
        if pd.api.types.is_float_dtype(old) and pd.api.types.is_float_dtype(new):
            apart, limit = _differ(old.to_numpy(), new.to_numpy(), name, near)
            largest = max(largest, apart.max(initial=0.0))
        else:
            apart, limit = _unequal(old, new), 0.0
        wrong = [row for row in np.argsort(-apart, kind="stable") if apart[row] > limit]
        faults += [Fault(prompt, name, old.iloc[row], new.iloc[row]) for row in wrong]
    return float(largest), faults


def _differ(old: np.ndarray, new: np.ndarray, name: str, near: float) -> tuple[np.ndarray, float]:
    """How far each number is from its record, and how far it may be; endless where one of both is
    none.
    """
    apart = np.where((old == new) | (np.isnan(old) & np.isnan(new)), 0.0, np.abs(old - new))
    apart = np.where(np.isnan(apart), np.inf, apart)
    if name not in RANGED:
        return apart, near
    span = np.nanmax(old) - np.nanmin(old) if np.isfinite(old).any() else 0.0
    return (apart / span if span > 0 else apart), NEAR_OF_RANGE


def _unequal(old: pd.Series, new: pd.Series) -> np.ndarray:
    both = zip(old, new)
    return np.array([float(not (a == b or (pd.isna(a) and pd.isna(b)))) for a, b in both])


def combine(attestations: Iterable[Attestation]) -> list[Attestation]:
    """One for each model and table, of all that was asked for."""
    asked: dict[tuple[str, str], list[Attestation]] = {}
    for one in attestations:
        asked.setdefault((one.model, one.table), []).append(one)
    return [_unite(*names, some) for names, some in asked.items()]


def _unite(model: str, table: str, some: list[Attestation]) -> Attestation:
    sets = {
        name: frozenset().union(*(getattr(one, name) for one in some))
        for name in ("taken", "checked", "here", "recorded", "code", "tried")
    }
    faults = dict.fromkeys(fault for one in some for fault in one.faults)
    largest = max(one.largest for one in some)
    return Attestation(model, table, **sets, largest=largest, faults=tuple(faults))


def tell(one: Attestation) -> str:
    """Where a table's rows come from, in words."""
    if one.faults:
        more = f", and {len(one.faults) - 1} more values" if len(one.faults) > 1 else ""
        return f"measured here: the record disagrees ({one.faults[0]}{more})"
    if not one.taken:
        return f"measured here, {len(one.here)} prompts"
    words = f"recorded on {_join(one.recorded)}, code {_join(one.code)}"
    if one.checked:
        part = "".join(f", one in {TRIED_AGAIN} {TOLD[name]} of each" for name in sorted(one.tried))
        words += (
            f"; {len(one.checked)} of {len(one.taken)} prompts measured again here{part}, largest "
            f"difference {tell_largest(one.largest)}"
        )
    else:
        words += f"; {len(one.taken)} prompts, not attested here"
    return words + (f"; {len(one.here)} prompts measured here" if one.here else "")


def tell_largest(difference: float) -> str:
    """A largest difference, to one digit.

    Examples
    --------
    >>> tell_largest(0.0000027), tell_largest(0.0)
    ('3e-6', '0')
    """
    return f"{difference:.0e}".replace("e-0", "e-") if difference else "0"


def _join(words: Iterable[str]) -> str:
    return ", ".join(sorted(words))


def list_attestations(attestations: Iterable[Attestation]) -> pd.DataFrame:
    """One row for each model and table: model, table, origin (`tell`), taken, checked, here
    (numbers of prompts), largest, faults (their number), recorded, code (words).
    """
    rows = [
        {
            "model": one.model,
            "table": one.table,
            "origin": tell(one),
            "taken": len(one.taken),
            "checked": len(one.checked),
            "here": len(one.here),
            "largest": one.largest,
            "faults": len(one.faults),
            "recorded": _join(one.recorded),
            "code": _join(one.code),
        }
        for one in combine(attestations)
    ]
    return pd.DataFrame(rows, columns=COLUMNS)


def tell_origins(origins: pd.DataFrame) -> str:
    """Where the rows of several tables come from (`list_attestations`), in a sentence."""
    taken, here = (int(origins[name].sum()) for name in ("taken", "here"))
    if not taken:
        tables = f"{len(origins)} table" + "s" * (len(origins) != 1)
        words = f"measured here, {here} prompts in {tables}"
    else:
        of = origins[origins["taken"] > 0]
        days, codes = (
            sorted({one for text in of[name] for one in text.split(", ")}) for name in SAID
        )
        code = codes[0] + (f" and {len(codes) - 1} more" if len(codes) > 1 else "")
        checked = int(of["checked"].sum())
        words = f"recorded on {', '.join(days)}, code {code}; "
        words += (
            f"{checked} of {taken} prompts measured again here, largest difference "
            f"{tell_largest(of['largest'].max())}"
            if checked
            else f"{taken} prompts, not attested here"
        )
        words += f"; {here} more measured here" if here else ""
    faulty = origins.loc[origins["faults"] > 0, "table"]
    return words + (f"; the record of {', '.join(faulty)} disagrees" if len(faulty) else "")
