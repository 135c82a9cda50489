"""Parts: one prompt's rows in a file, measured unless it is there.

The file's name holds hashes of everything that the rows depend on, and of nothing else
(`question.Question`). So an interrupted run picks up where it stopped, a changed one never does,
and 8 samples after 64 are at hand. Several processes may fill one table: each measures its share of
the prompts (`team`), and all read all parts.
"""

import os
import time
from contextlib import suppress
from pathlib import Path

import pandas as pd
from tqdm.auto import tqdm

from arbitration.files import atomic
from arbitration.models.prompt import Unusable
from reproduction.results import team
from reproduction.results.question import Question, sign


def measure_parts(ask: Question, prompts: list) -> dict[str, Unusable]:
    """Measure those prompts whose part is not on disk, this process its share of them; those that
    are no use to the model, by their `id`.
    """
    rank, size = team.place()
    if not prompts:
        return {}
    dropped = fill(ask, prompts[rank::size])
    if size > 1:
        team.wait()
        dropped = fill(ask, prompts)
    return dropped


def measure_one(ask: Question, prompt) -> pd.DataFrame:
    """The rows of one prompt, measured here unless they are on disk."""
    path = ask.part(prompt)
    if not path.exists():
        begun = time.perf_counter()
        [table] = ask.measure([prompt])
        write_table(sign(table, ask.subject, time.perf_counter() - begun), path, first=True)
    return read_table(path)


def fill(ask: Question, prompts: list) -> dict[str, Unusable]:
    """Measure those of some prompts whose part is not on disk yet.

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
    missing = [(prompt, path) for prompt, path in parts if not path.exists()]
    with tqdm(
        total=len(parts),
        initial=len(parts) - len(missing),
        desc=ask.title,
        disable=team.place()[0] > 0,
    ) as bar:
        while missing:
            prompts, paths = zip(*missing)
            try:
                begun = time.perf_counter()
                for path, table in zip(paths, ask.measure(list(prompts)), strict=True):
                    took = time.perf_counter() - begun
                    write_table(sign(table, ask.subject, took), path, first=True)
                    begun += took
                    missing.pop(0)
                    bar.update()
            except Exception as error:
                prompt = missing[0][0] if missing else prompts[-1]
                if isinstance(error, Unusable) and str(error).startswith(
                    f"sample {prompt.sample.id}:"
                ):
                    dropped[missing.pop(0)[0].id] = error
                    continue
                error.add_note(
                    f"{ask.title}: the first prompt that was not measured is {prompt.id}"
                )
                raise
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
