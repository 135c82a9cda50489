"""Looking over data that a reader brings, before anything is measured: all that is wrong with it,
and where.
"""

import difflib
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from arbitration.files.given import quote

#: Different mistakes that are listed; of more, how many there are.
LISTED = 20
#: What is said of half a character, by its number.
HALF = "half a character (U+{:04X}), as a cut emoji leaves it; write the whole one, or delete it"


def text_faults(
    record: Mapping, fields: Mapping[str, str], required: Iterable[str]
) -> Iterator[str]:
    """What is wrong with the fields of one record: unknown, missing, no text, empty, or cut inside
    a character.

    Parameters
    ----------
    record : mapping
    fields : mapping of str to str
        The fields there may be, each with what would be right in it.
    required : iterable of str
        Those that there must be.
    """
    meant = set()
    for name in record:
        if name not in fields:
            near = difflib.get_close_matches(str(name), fields, n=1)
            meant.update(near)
            yield f"unknown field {quote(name)}; " + (
                f"did you mean {near[0]!r}?" if near else f"known fields: {', '.join(fields)}"
            )
    for name, right in fields.items():
        value = record.get(name)
        if value is None:
            if name in required and name not in meant:
                yield f"{name} is missing; {right}"
        elif not isinstance(value, str):
            yield f"{name} is {quote(value)}, which is no text; {right}, as text in quotes"
        elif not value.strip():
            yield f"{name} is empty; {right}"
        elif half := find_half(value):
            yield f"{name} holds {HALF.format(ord(half))}"


def find_half(text: str) -> str | None:
    """Half a character in a text, as a cut emoji leaves it, which no tokenizer takes; or None."""
    return next((char for char in text if "\ud800" <= char <= "\udfff"), None)


def refuse(where: str, faults: list[tuple[int, str]], source: Path | str) -> None:
    """Raise one ValueError that lists every (number, fault), equal faults on one line and no more
    than `LISTED` lines; do nothing if there is none.

    Parameters
    ----------
    where : str
        What the numbers count, as in ``"samples.jsonl, line"``.
    faults : list of (int, str)
    source : Path or str
        What is at fault.
    """
    if not faults:
        return
    places: dict[str, list[int]] = {}
    for number, fault in sorted(faults, key=lambda fault: fault[0]):
        places.setdefault(fault, []).append(number)
    unsaid = [number for fault in list(places)[LISTED:] for number in places.pop(fault)]
    lines = [
        f"{where}{'s' if len(numbers) > 1 else ''} {_ranges(numbers)}: {fault}"
        for fault, numbers in places.items()
    ]
    if unsaid:
        lines.append(f"{where} {min(unsaid)} is the first of {len(unsaid)} more")
    count = "1 thing is" if len(faults) == 1 else f"{len(faults)} things are"
    raise ValueError(
        f"{count} wrong in {source}; correct and load again, nothing was measured:\n"
        + "\n".join(lines)
    )


def _ranges(numbers: list[int]) -> str:
    """Ascending numbers as people write them: ``"1–3, 7"``."""
    runs: list[list[int]] = []
    for number in numbers:
        if runs and number == runs[-1][-1] + 1:
            runs[-1].append(number)
        else:
            runs.append([number])
    return ", ".join(str(run[0]) if len(run) == 1 else f"{run[0]}–{run[-1]}" for run in runs)
