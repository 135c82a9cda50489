"""Parts: one prompt's rows in a file, measured unless it is there.

The file's name holds hashes of everything that the rows depend on, and of nothing else
(`question.Question`). So an interrupted run picks up where it stopped, a changed one never does,
and 8 samples after 64 are at hand. What is missing is measured here, or by the workers of a
scheduler (`cluster`): the parts are the same.
"""

import os
from contextlib import closing, suppress
from pathlib import Path

import pandas as pd
from tqdm.auto import tqdm

from arbitration.files import atomic
from arbitration.models.prompt import Prompt, Unusable
from reproduction.results import cluster, tasks
from reproduction.results.question import Question


def measure_one(ask: Question, prompt) -> pd.DataFrame:
    """The rows of one prompt, measured here unless they are on disk."""
    path = ask.part(prompt)
    if not path.exists():
        for _, found in tasks.measure_here(ask.title, ask.tables_of, [prompt]):
            if isinstance(found, Unusable):
                raise found
            write_table(found, path, first=True)
    return read_table(path)


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
    missing = [(prompt, path) for prompt, path in parts if not path.exists()]
    # Only prompts travel: other units are few, or not worth a worker's loading a model.
    travel = cluster.address() and all(isinstance(prompt, Prompt) for prompt, _ in missing)
    measure = cluster.measure_elsewhere if missing and travel else tasks.measure_here
    tables = measure(ask.title, ask.tables_of, [prompt for prompt, _ in missing])
    shown = {"total": len(parts), "initial": len(parts) - len(missing), "desc": ask.title}
    with tqdm(**shown) as bar, closing(tables):
        for place, found in tables:
            prompt, path = missing[place]
            if isinstance(found, Unusable):
                dropped[prompt.id] = found
                continue
            write_table(found, path, first=True)
            bar.update()
    return dropped


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
