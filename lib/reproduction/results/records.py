"""Records: measured rows that are kept, ``data/results/<model>/<table>.parquet`` with a
``<table>.json`` beside it, so that a measurement, once made, is data.

A record holds the parts of one table of one model, whichever notebook asked for them. Its rows have
five columns more: *case* (what was measured how, by everything that a reader can choose: `cases` of
the .json), *prompt* and *content* (whose rows they are, and a hash of all that this prompt
contains), *made* (by which measure, code, packages and processor, and when: `made`), and *seconds*.
A part is found again by case, prompt and content, whatever code asks for it: whether today's code
still measures the same is for `attest` to see.

Two files cannot be replaced at once. So the .json is written first, and as long as the rows are
being replaced it holds what is said of the old ones too (*before*): whoever reads meanwhile, or
after a process was killed in between, finds what belongs to the rows that are there.
"""

import hashlib
import io
import json
import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path

import numpy as np
import pandas as pd

from arbitration.files import atomic, folders
from arbitration.files.checksums import Damaged, digest, tell_state
from arbitration.files.given import parse_json, quote_error

KEY = ["case", "prompt", "content"]
#: Columns that say whose rows they are, and are none of the table itself.
OWN = [*KEY, "made", "seconds"]
#: Level at which zstd is small and still written in seconds.
LEVEL = 15


def home() -> Path:
    """Folder of the records, which no wheel carries; ``ARBITRATION_RECORDS`` moves it."""
    folder = os.environ.get("ARBITRATION_RECORDS") or folders.WORK / "data" / "results"
    return Path(folder).expanduser()


def record_path(model: str, table: str) -> Path:
    """The parquet file of a record."""
    return home() / model / f"{table}.parquet"


@dataclass(frozen=True)
class Part:
    """One prompt's rows, as measured.

    Attributes
    ----------
    prompt, content : str
        The prompt's `id`, and `origin.content_of` it.
    rows : DataFrame
    made : dict
        By what: measure, code, packages, device, processor, when.
    seconds : float
        How long it took; NaN if unknown.
    """

    prompt: str
    content: str
    rows: pd.DataFrame
    made: Mapping
    seconds: float = np.nan


@dataclass(frozen=True)
class Record:
    """One table of one model.

    Attributes
    ----------
    rows : DataFrame
        All parts, with the columns `OWN`.
    cases, made : dict of str to dict
        What the names in the columns case and made stand for.
    """

    rows: pd.DataFrame
    cases: Mapping[str, dict]
    made: Mapping[str, dict]

    @cached_property
    def by_case(self) -> "dict[str, Parts]":
        """The parts of each case: told apart once, however many prompts are asked for."""
        places: dict[str, dict] = {}
        for (case, *key), some in self.rows.groupby(KEY, sort=False, observed=True).indices.items():
            places.setdefault(case, {})[tuple(key)] = some
        rows, origins = self.rows.drop(columns=OWN), self.rows[["made", "seconds"]]
        return {case: Parts(rows, origins, own) for case, own in places.items()}

    def parts(self, case: str) -> "Parts | dict":
        """The rows of each (prompt, content) of a case, as they were measured."""
        return self.by_case.get(case, {})

    def read_part(self, case: str, key: tuple[str, str]) -> Part:
        """A part as it was put in."""
        parts = self.by_case[case]
        made, seconds = parts.origin(key)
        return Part(*key, parts[key], self.made[made], seconds)


@dataclass(frozen=True)
class Parts(Mapping):
    """The parts of one case by (prompt, content), as they were measured, cut out of a record when
    they are asked for: a search asks for few of thousands.

    Attributes
    ----------
    rows, origins : DataFrame
        Of the record the columns of its table, and made and seconds.
    places : mapping of (prompt, content) to array of int
        The rows of each part, ascending.
    """

    rows: pd.DataFrame
    origins: pd.DataFrame
    places: Mapping[tuple[str, str], np.ndarray]

    def __getitem__(self, key: tuple[str, str]) -> pd.DataFrame:
        some = self.places[key]
        # Written together, they lie together, and to cut them out copies nothing.
        together = some[-1] - some[0] == len(some) - 1
        cut = self.rows.iloc[some[0] : some[-1] + 1] if together else self.rows.take(some)
        return cut.reset_index(drop=True)

    def origin(self, key: tuple[str, str]) -> tuple[str, float]:
        """By what a part was made (`Record.made`), and in how many seconds."""
        made, seconds = self.origins.iloc[self.places[key][0]]
        return made, float(seconds)

    def __iter__(self) -> Iterator[tuple[str, str]]:
        return iter(self.places)

    def __len__(self) -> int:
        return len(self.places)


def name_case(subject, given: Mapping) -> tuple[str, dict]:
    """What is measured, by everything but the prompt and the code, and its name in a record.

    Returns
    -------
    str
        12 hexadecimal digits.
    dict
        revision, spelling, images, dtype and parameters.
    """
    from reproduction.results.origin import describe  # only now, because it imports torch

    about = {
        "revision": subject.revision,
        "spelling": subject.spelling,
        "images": subject.images,
        "dtype": str(subject.model.dtype).removeprefix("torch."),
        "parameters": describe(given),
    }
    return _name(about), about


def read_record(path: Path) -> Record | None:
    """The record in a parquet file; None if there is none.

    Raises
    ------
    ValueError
        If file and .json are not those that were written together, or one of them is no longer
        what was written; says what to do.
    """
    if not path.is_file():
        return None
    return _read(path, tell_state(path), tell_state(path.with_suffix(".json")))


@lru_cache(maxsize=4)
def _read(path: Path, *states: tuple) -> Record:
    """The states are there so that a file that was written anew is read anew."""
    try:
        content, about = _read_both(path)
        rows = restore_types(pd.read_parquet(io.BytesIO(content)), about["types"])
        _check_rows(rows, about)
        return Record(rows, about["cases"], about["made"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        why = (
            f"the record {path} is damaged ({quote_error(error)}); take it back from the "
            f"repository (git checkout), or delete both files and record them again"
        )
        raise Damaged(why) from error


def _check_rows(rows: pd.DataFrame, about: Mapping) -> None:
    """ValueError for rows of which the .json does not say what they are and who made them."""
    if lacking := {*OWN, *about["types"]} - {*rows.columns}:
        why = f"it has no column {sorted(lacking)[0]}"
        raise ValueError(why)
    for column, name in (("case", "cases"), ("made", "made")):
        untold = {*rows[column].unique()} - {*about[name]}
        if untold:
            why = f"the .json beside it does not tell the {name} {sorted(untold)[0]!r}"
            raise ValueError(why)
    if not all(
        isinstance(one, dict) and {"code", "when"} <= {*one} for one in about["made"].values()
    ):
        why = "the .json beside it does not tell by which code, and when, its rows were made"
        raise ValueError(why)


def _read_both(path: Path) -> tuple[bytes, dict]:
    """The bytes of a record's parquet file, and what its .json says of them.

    Raises
    ------
    ValueError
        If the .json says nothing of these bytes, or is not what was written.
    """
    beside = path.with_suffix(".json")
    while True:
        text, content = beside.read_bytes(), path.read_bytes()
        about = _find_about(text, hashlib.sha256(content).hexdigest())
        if about:
            return content, about
        if text == beside.read_bytes():  # else somebody has written both meanwhile
            why = "its hash is another than that in the .json beside it"
            raise ValueError(why)


def _find_about(text: bytes, sha256: str) -> dict | None:
    """Of what a .json says, the part about the rows with a hash; None if there is none.

    Raises
    ------
    ValueError
        If it is not what was written, or is of another version.
    """
    told = parse_json(text)
    _check_parts(told)
    # What was written before there was a check has none.
    if told.pop("check", None) not in (None, _name(told)):
        why = "its .json is not what was written"
        raise ValueError(why)
    before = told.pop("before", None)
    return next((one for one in (told, before) if one and one["sha256"] == sha256), None)


def _check_parts(told) -> None:
    parts = {"sha256": str, "types": dict, "cases": dict, "made": dict}
    if not isinstance(told, dict) or not all(
        isinstance(told.get(name), kind) for name, kind in parts.items()
    ):
        why = "the .json beside it does not have what this version writes"
        raise ValueError(why)


def write_record(path: Path, record: Record) -> None:
    """Write a record, so that one can be read at any time. The same rows give the same files."""
    rows = record.rows.sort_values(KEY, kind="stable", ignore_index=True)
    types = {name: str(kind) for name, kind in rows.dtypes.items()}
    before = _finish_writing(path)
    with atomic.partial(path) as free:
        narrow_types(rows).to_parquet(
            free, index=False, compression="zstd", compression_level=LEVEL, store_schema=False
        )
        about = {
            "rows": len(rows),
            "parts": len(rows[KEY].drop_duplicates()),
            "sha256": digest(free),
            "types": types,
            "cases": {name: record.cases[name] for name in sorted(set(rows["case"]))},
            "made": {name: record.made[name] for name in sorted(set(rows["made"]))},
        }
        both = {**about, "before": before} if before else about
        atomic.write_whole(path.with_suffix(".json"), _format_about(both))
        os.replace(free, path)
    if before:
        atomic.write_whole(path.with_suffix(".json"), _format_about(about))


def _format_about(about: dict) -> str:
    text = json.dumps({**about, "check": _name(about)}, indent=1, ensure_ascii=False)
    return text + "\n"


def _finish_writing(path: Path) -> dict | None:
    """What the .json of a record says of its rows, and from here on says alone, should a writer
    have been killed; None if there is no record.
    """
    if not path.is_file():
        return None
    about, beside = _read_both(path)[1], path.with_suffix(".json")
    if beside.read_text(encoding="utf-8") != _format_about(about):
        atomic.write_whole(beside, _format_about(about))
    return about


def add_parts(model: str, table: str, case: str, about: Mapping, parts: Iterable[Part]) -> int:
    """Put parts into a record, in the place of those of the same prompt and content; one without a
    row is none.

    Returns
    -------
    int
        How many the record did not have before, or had with other rows.
    """
    path = record_path(model, table)
    with atomic.take_lock(f"record-{_name([model, table])}"):
        for left in (path, path.with_suffix(".json")):
            atomic.remove_partial(left)
        old = read_record(path)
        known = old.parts(case) if old else {}
        new = [part for part in parts if len(part.rows)]
        new = [part for part in new if not _same(known.get((part.prompt, part.content)), part)]
        if not new:
            _finish_writing(path)
            return 0
        cases = {**(old.cases if old else {}), case: dict(about)}
        made = {**(old.made if old else {}), **{_name(part.made): dict(part.made) for part in new}}
        rows = pd.concat([_mark(part, case) for part in new], ignore_index=True)
        if old:
            keys = pd.MultiIndex.from_frame(rows[KEY])
            kept = ~pd.MultiIndex.from_frame(old.rows[KEY]).isin(keys)
            rows = pd.concat([old.rows[kept], rows], ignore_index=True)
        write_record(path, Record(rows, cases, made))
    return len(new)


def _same(known: pd.DataFrame | None, part: Part) -> bool:
    return known is not None and known.equals(part.rows)


def _mark(part: Part, case: str) -> pd.DataFrame:
    """A part's rows with the columns `OWN`."""
    own = {"case": case, "prompt": part.prompt, "content": part.content, "made": _name(part.made)}
    return part.rows.assign(**own, seconds=np.float32(part.seconds))


def _name(value) -> str:
    text = json.dumps(value, sort_keys=True, ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def narrow_types(table: pd.DataFrame) -> pd.DataFrame:
    """A table in the narrowest types that hold the same values.

    Examples
    --------
    >>> table = pd.DataFrame({"layer": [0, 29], "nats": [0.5, 0.25], "share": [0.1, 0.2]})
    >>> narrow_types(table).dtypes.astype(str).tolist()
    ['int8', 'float32', 'float64']
    """
    return table.apply(_narrow)


def _narrow(column: pd.Series) -> pd.Series:
    if pd.api.types.is_integer_dtype(column):
        return pd.to_numeric(column, downcast="integer")
    if column.dtype == np.float64:
        with np.errstate(over="ignore"):
            less = column.astype(np.float32)
        same = less.astype(np.float64).equals(column)
        return less if same else column
    return column


def restore_types(table: pd.DataFrame, types: Mapping[str, str]) -> pd.DataFrame:
    """A table in the types that it was measured in."""
    return table.astype(dict(types))


def list_records(folder: Path) -> list[Path]:
    """The parquet files of all records of a store, sorted."""
    return sorted(folder.rglob("*.parquet"))
