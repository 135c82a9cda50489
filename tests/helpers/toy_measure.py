"""A toy measurement that takes no time: what it leaves on disk is what a real one leaves."""

from pathlib import Path

import pandas as pd

import tiny
from reproduction import results
from reproduction.results import records


def count_rows(subject, prompts):
    """Two rows a prompt, from its sample's number."""
    for prompt in prompts:
        number = int(prompt.sample.id[-1])
        yield pd.DataFrame(
            {
                "sample": prompt.sample.id,
                "following": prompt.following,
                "layer": [0, 1],
                "nssd": [number / 8, 0.1],
            }
        )


# As if it were one of the measures: the source of another is looked up anew for every question.
count_rows.__module__ = "reproduction.measures"


def encode(subject, count: int = 3) -> list:
    """Some prompts of each direction."""
    samples = tiny.samples(count)
    return [subject.encode(one, way) for way in ("text", "vision") for one in samples]


def folders(room: Path) -> dict[str, str]:
    """The environment of a machine of its own: cache, output and records."""
    names = {"CACHE": "cache", "OUTPUT": "out", "RECORDS": "records"}
    return {f"ARBITRATION_{name}": str(room / folder) for name, folder in names.items()}


def measure(subject, prompts, rows=count_rows, name: str = "toy") -> None:
    """A notebook's work: a table, published and, if the environment says so, recorded."""
    results.collect(name, rows, subject, prompts)


def published(room: Path, subject, name: str = "toy") -> pd.DataFrame:
    return pd.read_parquet(room / "out" / subject.name / "tables" / f"{name}.parquet")


def recorded(room: Path, subject, name: str = "toy") -> pd.DataFrame | None:
    """The rows of a record, without how long they took."""
    found = records.read_record(room / "records" / subject.name / f"{name}.parquet")
    return None if found is None else found.rows.drop(columns=["seconds", "made"])
