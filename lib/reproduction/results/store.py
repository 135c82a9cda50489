"""The store: tidy tables with their provenance, computed part by part, resumable.

A part is one prompt's rows. Its file name holds hashes of everything that the rows depend on, and
of nothing else: model and revision, the code that measures them, package versions, what that code
is given; the sample with its picture, and what it borrows from others. So an interrupted run picks
up where it stopped, a changed one never does, and 8 samples after 64 are at hand. What is missing
is measured here, or by the workers of a scheduler (`cluster`): the parts are the same.
"""

import hashlib
import json
import os
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import closing, suppress
from functools import partial
from pathlib import Path

import pandas as pd
from tqdm.auto import tqdm

from arbitration.dataset.entities import EntityDictionary
from arbitration.files import atomic
from arbitration.files.folders import cache, of_model
from arbitration.models.prompt import Unusable
from reproduction.results import cluster, tasks
from reproduction.results.origin import content_of, describe, picture_of, provenance


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
        the model (`Unusable`) once more: that one is left out, counted, printed and recorded.
    subject : Subject
    prompts : iterable of Prompt
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
        With the columns image, which picture the sample shows (`origin.picture_of`), and wording,
        which sentence its instruction is (`Prompt.wording`), so that samples of one picture or one
        wording can be resampled together.

    Raises
    ------
    ValueError
        If there is no prompt to measure, and no `empty`.
    TypeError
        If something given has no content that can be told.
    """
    prompts, started = list(prompts), time.perf_counter()
    table, dropped = _gathered(name, rows, subject, prompts, empty, borrowed, given)
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
    return _gathered(name, rows, subject, list(prompts), empty, borrowed, given)[0]


def _gathered(
    name, rows, subject, prompts, empty, borrowed, given
) -> tuple[pd.DataFrame, list[str]]:
    """The table, and why prompts were dropped from it."""
    if not prompts and empty is not None:
        return empty[:0], []
    if not prompts:
        why = (
            f"no prompt for the table {name!r}: no sample of {subject.name} had the outcome it "
            f"needs; raise n, or take another split"
        )
        raise ValueError(why)
    part = _parts(name, rows, subject, borrowed, given)
    parts = [(prompt, part(prompt)) for prompt in prompts]
    if borrowed is not None:
        given = {**given, "borrowed": borrowed}
    tables_of = partial(rows, subject, **given)
    dropped = fill(f"{name}, {subject.name}", parts, tables_of)
    left_out = [prompt for prompt in prompts if prompt.id in dropped]
    reasons = [f"{prompt.id}: {dropped[prompt.id].why}" for prompt in left_out]
    if len(reasons) == len(parts) and empty is None:
        why = f"none of {len(parts)} prompts can be measured for the table {name!r}; {reasons[0]}"
        raise ValueError(why)
    if reasons:
        told = f"dropped {len(reasons)} of {len(parts)} prompts from the table {name!r}"
        tqdm.write(f"{told}: {'; '.join(reasons)}")
    kept = [(prompt, path) for prompt, path in parts if prompt.id not in dropped]
    tables = [
        read_table(path).assign(image=picture_of(prompt.sample), wording=prompt.wording)
        for prompt, path in kept
    ]
    return pd.concat(tables, ignore_index=True) if tables else empty[:0], reasons


def fill(
    title: str, parts: list, tables_of: Callable[[list], Iterable[pd.DataFrame]]
) -> dict[str, Unusable]:
    """Measure those of some (prompt, path) parts that are not on disk yet, here or by workers
    (`cluster.address`).

    Returns
    -------
    dict of str to Unusable
        The prompts, by their `id`, whose sample cannot be put to the model in the form that the
        rows need; the others are measured.

    Raises
    ------
    Exception
        What `tables_of` raises, with a note that names the prompt whose rows were to come.
    """
    missing, dropped = [(prompt, path) for prompt, path in parts if not path.exists()], {}
    measure = cluster.measure_elsewhere if missing and cluster.address() else tasks.measure_here
    tables = measure(title, tables_of, [prompt for prompt, _ in missing])
    shown = {"total": len(parts), "initial": len(parts) - len(missing), "desc": title}
    with tqdm(**shown) as bar, closing(tables):
        for place, found in tables:
            prompt, path = missing[place]
            if isinstance(found, Unusable):
                dropped[prompt.id] = found
                continue
            write_table(found, path, first=True)
            bar.update()
    return dropped


def remember(
    name: str, rows: Callable[..., Iterable[pd.DataFrame]], subject, **given
) -> Callable[[object], pd.DataFrame]:
    """A function from one prompt to its rows, which are measured once and read from disk after
    that: the parts are those of a table that `gather` makes with the same arguments.
    """
    part = _parts(name, rows, subject, None, given)

    def recall(prompt):
        path = part(prompt)
        if not path.exists():
            [table] = rows(subject, [prompt], **given)
            write_table(table, path, first=True)
        return read_table(path)

    return recall


def _parts(name: str, rows, subject, borrowed: Mapping | None, given: dict):
    """Where the rows of a prompt are kept."""
    dictionaries = {key: one for key, one in given.items() if isinstance(one, EntityDictionary)}
    same = {key: one for key, one in given.items() if key not in dictionaries}
    origin = json.dumps([name, provenance(subject, rows, **same)], sort_keys=True)
    folder = cache() / "parts" / f"{name}-{hashlib.sha256(origin.encode()).hexdigest()[:16]}"

    def part(prompt) -> Path:
        own = None if borrowed is None else borrowed[prompt.sample.id]
        return folder / f"{prompt.id}-{content_of(prompt, own, dictionaries)}.parquet"

    return part


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


def _publish(table: pd.DataFrame, name: str, subject, origin: dict) -> Path:
    folder = of_model(subject.name) / "tables"
    path = folder / f"{name}.parquet"
    write_table(table, path)
    about = json.dumps({**origin, "rows": len(table)}, indent=1, ensure_ascii=False)
    atomic.write_whole(folder / f"{name}.json", about)
    return path


def write_table(table: pd.DataFrame, path: Path, first: bool = False) -> None:
    """Write a parquet file whole or not at all; with `first`, leave what another process has
    written there meanwhile.

    Processes that ask the same prompt at the same time so go on with the same answer, whatever the
    rounding of each.
    """
    with atomic.partial(path) as free:
        table.to_parquet(free, index=False, write_page_checksum=True)
        if first:
            with suppress(OSError):  # the file came in between, or the file system knows no links
                os.link(free, path)
            if path.exists():
                return
        os.replace(free, path)


def read_table(path: Path) -> pd.DataFrame:
    """A table from a parquet file, its checksums compared.

    Raises
    ------
    ValueError
        If the file is damaged; names it and says what to do.
    """
    try:
        return pd.read_parquet(path, page_checksum_verification=True)
    except FileNotFoundError:
        raise
    except (OSError, ValueError) as error:
        why = (
            f"{path} is damaged ({error}); delete it and run this again: its rows are measured anew"
        )
        raise ValueError(why) from error
