"""People's judgement of a dictionary (Appendix B): a table of drawn forms to fill in, and what it
says once it is filled.

The table is CSV in UTF-8 with a mark at its start, which spreadsheet programs need to read Chinese;
they may save it with semicolons.
"""

import csv
import difflib
import io
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd

from arbitration.dataset.faults import refuse
from arbitration.files import atomic
from arbitration.uncertainty import wilson

LANGUAGES = ("en", "zh")
JUDGED = "right"
COLUMNS = ("kind", "answer", "question", "language", "form", JUDGED)
VERDICTS = {"yes": True, "y": True, "no": False, "n": False}


def write_sheet(path: Path, entries: Mapping, words: Mapping, size: int, seed: int) -> None:
    """Write a table of forms drawn at random, those of each language on their own; the answers
    themselves are not judged.

    Parameters
    ----------
    path : Path
    entries : mapping
        As in `EntityDictionary.entries`.
    words : mapping
        ``words[kind][answer]``: questions that it answers; the first one is shown.
    size : int
        Forms of each language; all of them if there are fewer.
    seed : int

    Raises
    ------
    ValueError
        If there is nothing to draw.
    """
    if size < 1:
        why = f"--sheet {size} asks for no form; give a number above 0"
        raise ValueError(why)
    if seed < 0:
        why = f"--seed {seed} draws nothing; give a whole number of at least 0"
        raise ValueError(why)
    rng, rows = np.random.default_rng(seed), []
    for language in LANGUAGES:
        forms = [
            (kind, answer, form)
            for kind, answer, form in _forms(entries, language)
            if form != answer
        ]
        for place in sorted(rng.permutation(len(forms))[:size]):
            kind, answer, form = forms[place]
            rows.append(
                (
                    kind,
                    answer,
                    next(iter(words.get(kind, {}).get(answer, [])), ""),
                    language,
                    form,
                    "",
                )
            )
    if not rows:
        why = (
            "the dictionary has no form besides the answers themselves, so there is nothing to "
            "judge"
        )
        raise ValueError(why)
    text = io.StringIO(newline="")
    csv.writer(text).writerows([COLUMNS, *rows])
    atomic.write_whole(path, text.getvalue().encode("utf-8-sig"))


def read_sheet(path: Path, entries: Mapping, rejected: Mapping) -> pd.DataFrame:
    """The judgements of a filled table.

    Parameters
    ----------
    path : Path
    entries : mapping
        Of the dictionary that was judged.
    rejected : mapping
        ``rejected[kind][answer]``: forms that were dropped before, which may be in the table too.

    Returns
    -------
    DataFrame
        kind, answer, language, form, right (bool).

    Raises
    ------
    ValueError
        With a line for every row that is not filled in, or not with yes or no, or that is not of
        this dictionary.
    FileNotFoundError
        If there is no table.
    """
    table = _open_table(path)
    known = _known_forms(entries, rejected)
    rows, faults = [], []
    for cells in table:
        if not any(cells):
            continue
        fault = _find_fault(cells, known)
        if fault:
            faults.append((table.line_num, fault))
        else:
            kind, answer, _, language, form, said = cells
            rows.append((kind, answer, language, form, VERDICTS[said.strip().lower()]))
    refuse(f"{path.name}, line", faults, path)
    if not rows:
        why = f"{path} has no row; draw it anew: delete it and use --sheet 100"
        raise ValueError(why)
    return pd.DataFrame(rows, columns=["kind", "answer", "language", "form", "right"])


def _open_table(path: Path):
    """A reader of the table's rows below its columns, whichever separator it was saved with."""
    if not path.exists():
        why = f"there is no table {path}; draw one with --sheet 100"
        raise FileNotFoundError(why)
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError:
        why = f"{path} is not written in UTF-8; save it as CSV in that encoding"
        raise ValueError(why) from None
    head = text.split("\n", 1)[0].strip()
    table = csv.reader(io.StringIO(text, newline=""), delimiter=max(",;\t", key=head.count))
    if tuple(next(table, ())) != COLUMNS:
        why = (
            f"{path} begins with {head!r} and not with its columns, {','.join(COLUMNS)}; put "
            f"them back"
        )
        raise ValueError(why)
    return table


def _known_forms(entries: Mapping, rejected: Mapping) -> set[tuple[str, str, str, str]]:
    """(kind, answer, language, form) of all that a table may judge."""
    known = {
        (kind, answer, language, form)
        for language in LANGUAGES
        for kind, answer, form in _forms(entries, language)
    }
    known |= {
        (kind, answer, language, form)
        for kind, group in rejected.items()
        for answer, forms in group.items()
        for form in forms
        for language in LANGUAGES
    }
    return known


def _find_fault(cells: list[str], known: set) -> str | None:
    """What is wrong with a row, or None."""
    if len(cells) != len(COLUMNS):
        return f"has {len(cells)} cells and not {len(COLUMNS)}"
    kind, answer, _, language, form, said = cells
    verdict = said.strip().lower()
    if not verdict:
        return f"{JUDGED} is empty; write yes or no"
    if verdict not in VERDICTS:
        near = difflib.get_close_matches(verdict, VERDICTS, n=1)
        advice = f"did you mean {near[0]!r}?" if near else "write yes or no"
        return f"{JUDGED} is {said!r}; {advice}"
    if (kind, answer, language, form) not in known:
        return (
            f"{form!r} is no form ({language}) of {answer!r} ({kind}) in the dictionary; "
            f"leave those cells as they were drawn"
        )
    return None


def agreement(table: pd.DataFrame) -> pd.DataFrame:
    """The share of judged forms that are right, for each language.

    Parameters
    ----------
    table : DataFrame
        From `read_sheet`.

    Returns
    -------
    DataFrame
        Indexed by language: forms (judged), right, share, and the bounds low and high of Wilson's
        95 % interval. It takes the forms as drawn from very many; where all of them were judged
        there is nothing left to estimate.
    """
    rows = {}
    for language, judged in table.groupby("language"):
        right, n = int(judged["right"].sum()), len(judged)
        low, high = wilson(right, n)
        rows[language] = {"forms": n, "right": right, "share": right / n, "low": low, "high": high}
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis("language")


def _forms(entries: Mapping, language: str) -> list[tuple[str, str, str]]:
    return [
        (kind, answer, form)
        for kind, group in entries.items()
        for answer, entry in group.items()
        for form in entry.get(language, [])
    ]
