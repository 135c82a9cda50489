"""Rows that come from a record instead of being measured, and rows that go into one.

``ARBITRATION_RECORDED=only`` refuses to measure what no record has, so that a run at full size ends
at once where the records do not reach (`attest.NotRecorded`); ``ARBITRATION_RECORD=1`` puts every
part that is measured or found into its record.
"""

import os
from collections.abc import Iterable
from importlib.metadata import version

import numpy as np
import pandas as pd
import torch
from tqdm.auto import tqdm

from arbitration.engine import exactness
from arbitration.files.checksums import Damaged
from arbitration.files.given import quote
from arbitration.models.prompt import Prompt
from reproduction.results import attest, records
from reproduction.results.attest import Attestation, NotAttested, NotRecorded, compare_rows
from reproduction.results.origin import PACKAGES
from reproduction.results.parts import measure_one, measure_parts, read_table
from reproduction.results.question import Question

#: Whether this process takes rows from records at all (`use_records`).
_USED = [True]
#: What was asked one by one and is still to be recorded, by model, table and case.
_WAITING: dict[tuple, list] = {}
#: Of those asked one by one, how many are written at a time.
BATCH = 200


def use_records(use: bool) -> None:
    """Take rows from records from here on, or measure everything here.

    Raises
    ------
    ValueError
        If the environment says something about records that means nothing.
    """
    is_recording(), _is_only(), attest.count_checked()
    _USED[0] = use


def is_recording() -> bool:
    return _is_set("ARBITRATION_RECORD", "1")


def _is_only() -> bool:
    return _is_set("ARBITRATION_RECORDED", "only")


def _is_set(variable: str, value: str) -> bool:
    given = os.environ.get(variable, "")
    if given not in ("", value):
        why = f"{variable} is {quote(given)}, which means nothing; set it to {value}, or not at all"
        raise ValueError(why)
    return given == value


def is_strict(subject) -> bool:
    """Whether nothing may be measured: by the environment, or for want of weights."""
    if not can_measure(subject):
        return True
    return _is_only() and _USED[0]


def find_parts(ask: Question) -> records.Parts | dict:
    """What the record of a table has of a question, by prompt and content. A damaged one has
    nothing, and that is said.

    Raises
    ------
    NotRecorded
        If it is damaged, and nothing is to be measured (`is_strict`).
    """
    if not _USED[0]:
        return {}
    try:
        record = records.read_record(records.record_path(ask.subject.name, ask.name))
    except Damaged as error:
        if is_strict(ask.subject):
            raise NotRecorded(str(error)) from error
        tqdm.write(f"{error}; until then its rows are measured here")
        return {}
    return record.parts(_case(ask)[0]) if record else {}


def _case(ask: Question) -> tuple[str, dict]:
    return records.name_case(ask.subject, ask.same)


def take_recorded(ask: Question, prompts: list) -> dict[str, pd.DataFrame]:
    """The rows of those prompts that a record has, by the prompt's `id`, after some of them were
    measured again here and agree; none if one does not.

    Raises
    ------
    NotRecorded, NotAttested
        In a run that is to measure nothing (`is_strict`): if something is lacking, or disagrees.
    """
    known = find_parts(ask)
    keys = {prompt.id: (prompt.id, ask.content(prompt)) for prompt in prompts}
    keys = {name: key for name, key in keys.items() if key in known}
    found = {name: known[key] for name, key in keys.items()}
    if is_strict(ask.subject):
        refuse_lacking(ask, [prompt for prompt in prompts if prompt.id not in found])
    having = [prompt for prompt in prompts if prompt.id in found]
    drawn = attest.draw_prompts(having, ask.code) if can_measure(ask.subject) else []
    part, tried = _narrow(ask, [found[one.id] for one in drawn])
    again = measure_parts(part, drawn)[0]
    checks = [_compare(ask, one, _keep(ask, found[one.id], tried), again[one.id]) for one in drawn]
    faults = tuple(fault for _, some in checks for fault in some)
    if faults:
        columns = {(fault.prompt, fault.column): fault for fault in reversed(faults)}
        told = "\n  ".join(map(str, reversed(columns.values())))
        tqdm.write(f"{ask.title}: the record is not what is measured here:\n  {told}")
    taken = {} if faults else found
    lacking = [prompt for prompt in prompts if prompt.id not in taken]
    attest.SEEN.append(
        _attest(
            ask,
            {known.origin(keys[name])[0] for name in taken},
            taken=frozenset(taken),
            checked=frozenset(prompt.id for prompt in drawn),
            here=frozenset(prompt.id for prompt in lacking),
            tried=frozenset() if tried is None else frozenset([ask.tried]),
            largest=max((largest for largest, _ in checks), default=0.0),
            faults=faults,
        )
    )
    if faults and is_strict(ask.subject):
        raise NotAttested(_tell_fault(ask, faults[0]))
    return taken


def recall_recorded(ask: Question, prompt) -> pd.DataFrame | None:
    """The rows of one prompt of many that are asked one by one, if a record has them. Some of these
    are asked again (`attest.is_asked_again`).

    Raises
    ------
    NotAttested
        If one disagrees, because those before it have been taken already.
    """
    faulty = any(one.faults for one in attest.SEEN if _names(one) == _names(ask))
    known = {} if faulty else find_parts(ask)
    key = prompt.id, ask.content(prompt)
    if key not in known:
        if is_strict(ask.subject):
            refuse_lacking(ask, [prompt])
        attest.SEEN.append(_attest(ask, set(), here=frozenset([prompt.id])))
        return None
    found = known[key]
    again = can_measure(ask.subject) and attest.is_asked_again(ask.code, prompt.id)
    largest, faults = 0.0, []
    if again:
        largest, faults = _compare(ask, prompt, found, measure_one(ask, prompt))
    attest.SEEN.append(
        _attest(
            ask,
            {known.origin(key)[0]},
            taken=frozenset([prompt.id]),
            checked=frozenset([prompt.id] if again else []),
            largest=largest,
            faults=tuple(faults),
        )
    )
    if faults:
        raise NotAttested(_tell_fault(ask, faults[0]))
    return found


def _narrow(ask: Question, tables: list[pd.DataFrame]) -> tuple[Question, list | None]:
    """What is measured again of some prompts: of what is tried on each one by one, as the rows of
    their record say, a part (`attest.draw_tried`); or all of it, and None, also where a record
    speaks of other layers than are asked for.
    """
    if ask.tried is None or any(ask.tried not in rows for rows in tables):
        return ask, None
    tried = sorted({one for rows in tables for one in rows[ask.tried].unique().tolist()})
    if ask.tried == "layer":
        asked = ask.given.get("layers") or range(ask.subject.n_layers)
        if any(sorted(rows["layer"].unique()) != sorted(asked) for rows in tables):
            return ask, None
    some = attest.draw_tried(tried, ask.code)
    return (ask, None) if some == tried else (ask.narrow(some), some)


def _keep(ask: Question, rows: pd.DataFrame, some: list | None) -> pd.DataFrame:
    if some is None:
        return rows
    return rows[rows[ask.tried].isin(some)].reset_index(drop=True)


def bound_rounding(dtype: torch.dtype) -> float:
    """By how much nats may differ between two machines that measure the same in a dtype.

    `attest.NEAR`, or what the engine counts as rounding (`exactness.EXACT`) where that is more. In
    float32 two processors differ by 1.4e-4 nats in the log-probability of an unlikely answer, with
    the value in float64 halfway between them.
    """
    return max(attest.NEAR, exactness.EXACT.get(dtype, 0.0))


def _compare(ask: Question, unit, recorded: pd.DataFrame, measured: pd.DataFrame):
    dtype = ask.subject.model.dtype
    near = bound_rounding(dtype)
    if dtype not in exactness.EXACT and isinstance(unit, Prompt):
        near = max(near, exactness.rounding(ask.subject, unit))
    return compare_rows(unit.id, recorded, measured, near)


def _tell_fault(ask: Question, fault: attest.Fault) -> str:
    return (
        f"the record of {ask.title} is not what is measured here: {fault}; measure = True in the "
        f"parameters leaves records aside"
    )


def _names(one) -> tuple[str, str]:
    if isinstance(one, Question):
        return one.subject.name, one.name
    return one.model, one.table


def _attest(ask: Question, names: set[str], **found) -> Attestation:
    """An attestation of parts that were made by what has some names (`records.Record.made`)."""
    path = records.record_path(ask.subject.name, ask.name)
    made = [records.read_record(path).made[name] for name in names]
    return Attestation(
        ask.subject.name,
        ask.name,
        recorded=frozenset(one["when"] for one in made),
        code=frozenset(one["code"] for one in made),
        **found,
    )


def can_measure(subject) -> bool:
    """Whether the model's weights are here."""
    return subject.model.device.type != "meta"


def refuse_lacking(ask: Question, lacking: list) -> None:
    """Break off a run that is to measure nothing, before it would have to.

    Raises
    ------
    NotRecorded
        With what is neither recorded nor at hand.
    """
    lacking = [prompt for prompt in lacking if not ask.part(prompt).exists()]
    if lacking:
        why = f"no record of {ask.title} for {len(lacking)} prompts, such as {lacking[0].id}; "
        why += "make record makes it" if can_measure(ask.subject) else "and no weights are here"
        raise NotRecorded(why)


def list_origins() -> pd.DataFrame:
    """Where the rows of each table of this process come from: model, table, origin (`attest.tell`),
    and what is behind it: taken, checked, here, largest, faults, recorded, code. What waits is
    recorded first.
    """
    record_waiting()
    return attest.list_attestations(attest.SEEN)


def record_parts(ask: Question, prompts: Iterable) -> None:
    """Put the parts of some prompts, which have been measured, into the table's record; also those
    that wait (`record_later`).
    """
    record_waiting()
    _record(ask, prompts)


def record_later(ask: Question, prompt) -> None:
    """Keep a prompt that was asked by itself for the next writing."""
    waiting = _WAITING.setdefault((*_names(ask), _case(ask)[0]), [])
    waiting.append((ask, prompt))
    if len(waiting) >= BATCH:
        record_waiting()


def record_waiting() -> None:
    """Record what waits; a notebook does so at its end (`list_origins`)."""
    for asked in _WAITING.values():
        if asked:
            _record(asked[0][0], [prompt for _, prompt in asked])
    _WAITING.clear()


def _record(ask: Question, prompts: Iterable) -> None:
    case, about = _case(ask)
    parts = [_part(ask, prompt) for prompt in prompts]
    records.add_parts(ask.subject.name, ask.name, case, about, parts)


def _part(ask: Question, prompt) -> records.Part:
    rows = read_table(ask.part(prompt))
    signed, rows.attrs = rows.attrs, {}
    made = {
        "measure": f"{ask.rows.__module__}.{ask.rows.__qualname__}",
        "code": ask.code,
        "packages": {name: version(name) for name in PACKAGES},
        **{name: signed.get(name, "unknown") for name in ("device", "processor", "when")},
    }
    seconds = signed.get("seconds", np.nan)
    return records.Part(prompt.id, ask.content(prompt), rows, made, seconds)
