"""Parts: one prompt's rows in a file, measured unless it is there.

The file's name holds hashes of everything that the rows depend on, and of nothing else
(`question.Question`). So an interrupted run picks up where it stopped, a changed one never does,
and 8 samples after 64 are at hand. What is missing is measured here, or by the workers of a
scheduler (`cluster`): the parts are the same.
"""

import hashlib
import json
import os
from contextlib import closing, suppress
from pathlib import Path

import pandas as pd
from tqdm.auto import tqdm

from arbitration.files import atomic
from arbitration.files.checksums import Damaged
from arbitration.files.given import quote_error
from arbitration.models.prompt import Prompt, Unusable
from reproduction.results import cluster, tasks
from reproduction.results.question import Question


def measure_one(ask: Question, prompt) -> pd.DataFrame:
    """The rows of one prompt, measured here unless they are on disk."""
    found, dropped = measure_parts(ask, [prompt])
    if dropped:
        raise dropped[prompt.id]
    return found[prompt.id]


def measure_parts(
    ask: Question, prompts: list
) -> tuple[dict[str, pd.DataFrame], dict[str, Unusable]]:
    """The rows of some prompts, by their `id`, and which were dropped (`fill`). What is damaged on
    disk is measured again, and that is said.
    """
    dropped = fill(ask, prompts)
    found, damaged = {}, []
    for prompt in prompts:
        if prompt.id in dropped:
            continue
        path = ask.part(prompt)
        try:
            found[prompt.id] = read_table(path)
        except Damaged as error:
            tqdm.write(f"{error}: measured again")
            path.unlink(missing_ok=True)
            damaged.append(prompt)
    if damaged:
        fill(ask, prompts)
        found |= {prompt.id: read_table(ask.part(prompt)) for prompt in damaged}
    return found, dropped


def fill(ask: Question, prompts: list) -> dict[str, Unusable]:
    """Measure those of some prompts whose part is not on disk yet, here or by workers
    (`cluster.address`).

    Returns
    -------
    dict of str to Unusable
        The prompts, by their `id`, whose sample cannot be put to the model in the form that the
        rows need; the others are measured.

    Raises
    ------
    Exception
        What the measure raises, with a note that names the prompt whose rows were to come.
    """
    parts, dropped = [(prompt, ask.part(prompt)) for prompt in prompts], {}
    if not prompts:
        return dropped
    lacking = {place for place, (_, path) in enumerate(parts) if not path.exists()}
    missing = [parts[place] for place in tasks.complete_passes(ask.rows, prompts, lacking)]
    # Only prompts travel: other units are few, or not worth a worker's loading a model.
    travel = cluster.address() and all(isinstance(prompt, Prompt) for prompt, _ in missing)
    measure = cluster.measure_elsewhere if missing and travel else tasks.measure_here
    tables = measure(ask.title, ask.tables_of, [prompt for prompt, _ in missing])
    shown = {"total": len(parts), "initial": len(parts) - len(lacking), "desc": ask.title}
    with tqdm(**shown) as bar, closing(tables):
        for place, found in tables:
            prompt, path = missing[place]
            if isinstance(found, Unusable):
                dropped[prompt.id] = found
                continue
            bar.update(not path.exists())
            write_table(found, path, first=True)
    return dropped


def write_table(table: pd.DataFrame, path: Path, first: bool = False) -> None:
    """Write a parquet file whole or not at all; with `first`, leave what another process has
    written there meanwhile.

    Processes that ask the same prompt at the same time so go on with the same answer, whatever the
    rounding of each.
    """
    with atomic.partial(path) as free:
        signed = table.copy(deep=False)
        signed.attrs = {**table.attrs, "form": _hash_form(table)}
        signed.to_parquet(free, index=False, write_page_checksum=True)
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
    Damaged
        If the file is not what was written; names it.
    """
    try:
        table = pd.read_parquet(path, page_checksum_verification=True)
        if table.attrs.pop("form", None) != _hash_form(table):
            why = "its columns are not those that were written"
            raise ValueError(why)
        return table
    except FileNotFoundError:
        raise
    except (OSError, ValueError, LookupError, TypeError, NotImplementedError) as error:
        why = f"{path} is damaged ({quote_error(error)})"
        raise Damaged(why) from error


def _hash_form(table: pd.DataFrame) -> str:
    """Hash of what the pages' checksums do not cover: names, types and `attrs`."""
    form = [list(table.columns), list(map(str, table.dtypes)), table.attrs]
    return hashlib.sha256(json.dumps(form, sort_keys=True).encode()).hexdigest()[:12]
