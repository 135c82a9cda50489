"""The store: tidy tables with their provenance, taken from records where these are attested, and
else computed part by part, resumable.
"""

import json
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

import numpy as np
import pandas as pd
from tqdm.auto import tqdm

from arbitration.files import atomic
from arbitration.files.folders import of_model
from arbitration.models.prompt import Prompt
from reproduction.results.origin import describe, picture_of, provenance
from reproduction.results.parts import measure_one, measure_parts, write_table
from reproduction.results.question import Question
from reproduction.results.recorded import (
    is_recording,
    list_origins,
    recall_recorded,
    record_later,
    record_parts,
    take_recorded,
)


def collect(
    name: str,
    rows: Callable[..., Iterable[pd.DataFrame]],
    subject,
    prompts: Iterable,
    empty: pd.DataFrame | None = None,
    borrowed: Mapping | None = None,
    **given,
) -> pd.DataFrame:
    """Measure a table prompt by prompt, keeping each part, and publish it as parquet with its
    provenance.

    Parameters
    ----------
    name : str
        The table's name; the file is ``<output>/<model>/tables/<name>.parquet``, the provenance
        ``<name>.json`` beside it.
    rows : callable
        ``rows(subject, prompts, **given)`` yields one DataFrame for each prompt, in their order
        (`measures.each` makes one of a function of a single prompt). It is asked for the prompts
        whose part is not on disk yet, and for those behind a prompt that turned out to be no use to
        the model (`Unusable`) once more: that one is left out, counted, printed and recorded. One
        with a keyword of `question.TRIED` is asked for a part of what it tries when its record is
        attested; the column of its rows says what was tried.
    subject : Subject
    prompts : iterable of Prompt, or of other units (`question.Question`)
        Their `id` names the parts.
    empty : DataFrame, optional
        The columns of the table where there may be no prompt for it, as where a model never fails.
    borrowed : mapping, optional
        For each sample's name what its rows take from other samples. `rows` is given it whole; a
        part is kept under its own prompt's share alone.
    **given
        Whatever else `rows` takes. It is passed on, and with the code that `rows` can reach it is
        what the parts are kept under, told by content (`origin.describe`).

    Returns
    -------
    DataFrame
        Of prompts with the columns image, which picture the sample shows (`origin.picture_of`),
        and wording, which sentence its instruction is (`Prompt.wording`), so that samples of one
        picture or one wording can be resampled together.

    Raises
    ------
    ValueError
        If there is no prompt to measure, and no `empty`.
    TypeError
        If something given has no content that can be told.
    """
    prompts, started = list(prompts), time.perf_counter()
    table, dropped = _gathered(Question(name, rows, subject, given, borrowed), prompts, empty)
    about = {
        "seconds": round(time.perf_counter() - started, 1),
        "parts": len(prompts) - len(dropped),
        "dropped": dropped,
    }
    if borrowed is not None:
        about["borrowed"] = {prompt.id: describe(borrowed[prompt.sample.id]) for prompt in prompts}
    _publish(table, name, subject, {**provenance(subject, rows, **given), **about})
    return table


def gather(
    name: str,
    rows: Callable[..., Iterable[pd.DataFrame]],
    subject,
    prompts: Iterable,
    empty: pd.DataFrame | None = None,
    borrowed: Mapping | None = None,
    **given,
) -> pd.DataFrame:
    """As `collect`, without publishing: what one notebook has measured under the same name with the
    same `rows` and `given` is read by another.
    """
    ask = Question(name, rows, subject, given, borrowed)
    return _gathered(ask, list(prompts), empty)[0]


def _gathered(
    ask: Question, prompts: list, empty: pd.DataFrame | None
) -> tuple[pd.DataFrame, list[str]]:
    """The table, and why prompts were dropped from it."""
    if not prompts and empty is not None:
        return empty[:0], []
    if not prompts:
        why = (
            f"no prompt for the table {ask.name!r}: no sample of {ask.subject.name} had the "
            f"outcome it needs; raise n, or take another split"
        )
        raise ValueError(why)
    taken = take_recorded(ask, prompts)
    rest = [prompt for prompt in prompts if prompt.id not in taken]
    if is_recording():  # what a stopped command has measured, before the rest may be stopped too
        record_parts(ask, [prompt for prompt in rest if ask.part(prompt).exists()])
    found, dropped = measure_parts(ask, rest)
    reasons = [f"{name}: {error.why}" for name, error in dropped.items()]
    if len(reasons) == len(prompts) and empty is None:
        why = (
            f"none of {len(prompts)} prompts can be measured for the table {ask.name!r}; "
            f"{reasons[0]}"
        )
        raise ValueError(why)
    if reasons:
        told = f"dropped {len(reasons)} of {len(prompts)} prompts from the table {ask.name!r}"
        tqdm.write(f"{told}: {'; '.join(reasons)}")
    measured = [prompt for prompt in rest if prompt.id not in dropped]
    taken |= found
    if is_recording():
        record_parts(ask, measured)
    tables = [(prompt, taken[prompt.id]) for prompt in prompts if prompt.id in taken]
    return _join(tables) if tables else empty[:0], reasons


def _join(tables: list[tuple[object, pd.DataFrame]]) -> pd.DataFrame:
    """The rows of some prompts as one table, with the columns image and wording; those of other
    units without.
    """
    table = pd.concat([rows for _, rows in tables], ignore_index=True)
    if not all(isinstance(prompt, Prompt) for prompt, _ in tables):
        return table
    lengths = [len(rows) for _, rows in tables]
    images = [picture_of(prompt.sample) for prompt, _ in tables]
    wordings = [prompt.wording for prompt, _ in tables]
    return table.assign(image=np.repeat(images, lengths), wording=np.repeat(wordings, lengths))


def remember(
    name: str, rows: Callable[..., Iterable[pd.DataFrame]], subject, **given
) -> Callable[[object], pd.DataFrame]:
    """A function from one prompt to its rows, which are measured once and read from disk or from a
    record after that: the parts are those of a table that `gather` makes with the same arguments.
    """
    ask = Question(name, rows, subject, given)

    def recall(prompt):
        recorded = recall_recorded(ask, prompt)
        if recorded is not None:
            return recorded
        rows = measure_one(ask, prompt)
        if is_recording():
            record_later(ask, prompt)
        return rows

    return recall


def save(table: pd.DataFrame, name: str, subject, **given) -> Path:
    """Publish a finished table with its provenance; returns the parquet file.

    Parameters
    ----------
    table : DataFrame
    name : str
    subject : Subject
        One whose name leads out of the folder of tables raises ValueError (`folders.of_model`).
    **given
        What else the table depends on, as in `origin.provenance`.
    """
    return _publish(table, name, subject, provenance(subject, **given))


def save_origins(notebook: str, subject) -> pd.DataFrame:
    """Publish where the rows of a notebook's tables come from (`recorded.list_origins`), as
    ``<notebook>_origins``.
    """
    found = list_origins()
    save(found, f"{notebook}_origins", subject)
    return found


def _publish(table: pd.DataFrame, name: str, subject, origin: dict) -> Path:
    folder = of_model(subject.name) / "tables"
    path = folder / f"{name}.parquet"
    write_table(table, path)
    about = json.dumps({**origin, "rows": len(table)}, indent=1, ensure_ascii=False)
    atomic.write_whole(folder / f"{name}.json", about)
    return path
