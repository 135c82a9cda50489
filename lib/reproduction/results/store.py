"""The store: tidy tables with their provenance, computed part by part, resumable.

A part is one prompt's rows. Its file name holds hashes of everything that the rows depend on (model
and revision, code, package versions, parameters, seed; the sample and its picture), so that an
interrupted run picks up where it stopped and a changed one never does. Several processes may fill
one table: each measures its share of the prompts (`team`), and all read all parts.
"""

import hashlib
import json
import os
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path

import pandas as pd
from tqdm.auto import tqdm

from arbitration.files import atomic
from arbitration.files.folders import cache, of_model
from arbitration.models.prompt import Unusable
from reproduction.results import team
from reproduction.results.origin import content_of, picture_of, provenance


def collect(
    name: str,
    subject,
    prompts: Iterable,
    tables_of: Callable[[list], Iterable[pd.DataFrame]],
    empty: pd.DataFrame | None = None,
    **parameters,
) -> pd.DataFrame:
    """Compute a table prompt by prompt, keeping each part, and publish it as parquet with its
    provenance.

    Parameters
    ----------
    name : str
        The table's name; the file is ``<output>/<model>/tables/<name>.parquet``, the provenance
        ``<name>.json`` beside it.
    subject : Subject
    prompts : iterable of Prompt
        Their `id` names the parts.
    tables_of : callable
        Prompts → iterable of one DataFrame for each, in their order. It is given the prompts whose
        part is not on disk yet, and those behind a prompt that turned out to be no use to the model
        (`Unusable`) once more: that one is left out, counted, printed and recorded.
    empty : DataFrame, optional
        The columns of the table where there may be no prompt for it, as where a model never fails.
    **parameters
        Whatever else the rows depend on (window, seed, …): part of the hash and of the provenance.

    Returns
    -------
    DataFrame
        With the column image: which picture the sample shows (`picture`), so that samples of one
        picture can be resampled together.

    Raises
    ------
    ValueError
        If there is no prompt to measure, and no `empty`.
    """
    prompts, started = list(prompts), time.perf_counter()
    table, dropped = _gathered(name, subject, prompts, tables_of, empty, parameters)
    seconds = round(time.perf_counter() - started, 1)
    origin = {
        **provenance(subject, **parameters),
        "seconds": seconds,
        "parts": len(prompts) - len(dropped),
        "dropped": dropped,
    }
    save(table, name, origin, subject.name)
    return table


def gather(
    name: str,
    subject,
    prompts: Iterable,
    tables_of: Callable[[list], Iterable[pd.DataFrame]],
    empty: pd.DataFrame | None = None,
    **parameters,
) -> pd.DataFrame:
    """As `collect`, without publishing: what one notebook has measured under the same name and
    parameters is read by another.

    Every process of a `team` must come here with the same prompts; each returns with the whole
    table.
    """
    return _gathered(name, subject, list(prompts), tables_of, empty, parameters)[0]


def _gathered(
    name, subject, prompts, tables_of, empty, parameters
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
    part = _parts(name, subject, parameters)
    parts = [(prompt, part(prompt)) for prompt in prompts]
    rank, size = team.place()
    dropped = fill(f"{name}, {subject.name}", parts[rank::size], tables_of)
    if size > 1:
        team.wait()
        dropped = fill(f"{name}, {subject.name}, left over", parts, tables_of)
    reasons = [
        f"{prompt.id}: {dropped[prompt.id].why}" for prompt, _ in parts if prompt.id in dropped
    ]
    if len(reasons) == len(parts) and empty is None:
        why = f"none of {len(parts)} prompts can be measured for the table {name!r}; {reasons[0]}"
        raise ValueError(why)
    if reasons:
        tqdm.write(
            f"dropped {len(reasons)} of {len(parts)} prompts from the table {name!r}: "
            f"{'; '.join(reasons)}"
        )
    tables = [
        read_table(path).assign(image=picture_of(prompt.sample))
        for prompt, path in parts
        if prompt.id not in dropped
    ]
    return pd.concat(tables, ignore_index=True) if tables else empty[:0], reasons


def fill(
    title: str, parts: list, tables_of: Callable[[list], Iterable[pd.DataFrame]]
) -> dict[str, Unusable]:
    """Measure those of some (prompt, path) parts that are not on disk yet.

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
    with tqdm(
        total=len(parts), initial=len(parts) - len(missing), desc=title, disable=team.place()[0] > 0
    ) as bar:
        while missing:
            prompts, paths = zip(*missing)
            try:
                for path, table in zip(paths, tables_of(list(prompts)), strict=True):
                    write_table(table, path, first=True)
                    missing.pop(0)
                    bar.update()
            except Exception as error:
                prompt = missing[0][0] if missing else prompts[-1]
                if isinstance(error, Unusable) and str(error).startswith(
                    f"sample {prompt.sample.id}:"
                ):
                    dropped[missing.pop(0)[0].id] = error
                    continue
                error.add_note(f"{title}: the first prompt that was not measured is {prompt.id}")
                raise
    return dropped


def remember(
    name: str, subject, rows_of: Callable[[object], pd.DataFrame], **parameters
) -> Callable[[object], pd.DataFrame]:
    """`rows_of` with a memory: a prompt's rows are computed once for everything they depend on, and
    read from disk after that.
    """
    part = _parts(name, subject, parameters)

    def rows(prompt):
        path = part(prompt)
        if not path.exists():
            write_table(rows_of(prompt), path, first=True)
        return read_table(path)

    return rows


def _parts(name: str, subject, parameters: dict) -> Callable[[object], Path]:
    """Where the rows of a prompt are kept."""
    key = hashlib.sha256(
        json.dumps([name, provenance(subject, **parameters)], sort_keys=True, default=str).encode()
    ).hexdigest()[:16]
    folder = cache() / "parts" / f"{name}-{key}"
    return lambda prompt: folder / f"{prompt.id}-{content_of(prompt)}.parquet"


def save(table: pd.DataFrame, name: str, origin: dict, model: str) -> Path:
    """Publish a finished table and its provenance; returns the parquet file.

    Parameters
    ----------
    model : str
        The subject's name; one that leads out of the folder of tables raises ValueError
        (`folders.of_model`).
    """
    folder = of_model(model) / "tables"
    path = folder / f"{name}.parquet"
    write_table(table, path)
    atomic.write(
        folder / f"{name}.json", json.dumps({**origin, "rows": len(table)}, indent=1, default=str)
    )
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
