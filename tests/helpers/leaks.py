"""Whether a word stands anywhere below a folder, in text, packed tables and their descriptions."""

from pathlib import Path

import pandas as pd
import pyarrow.parquet as pq


def find_leaks(folder: Path, words: list[str]) -> list[tuple[str, str]]:
    """The files below a folder that hold one of some words, with the word; names count too."""
    found = []
    for path in sorted(folder.rglob("*")):
        inside = path.relative_to(folder).as_posix()
        content = inside.encode() + (read(path) if path.is_file() else b"")
        found += [(inside, word) for word in words if word.encode() in content]
    return found


def read(path: Path) -> bytes:
    """A file's bytes; of a parquet file its metadata and all of its words instead."""
    if path.suffix != ".parquet":
        return path.read_bytes()
    table = pd.read_parquet(path)
    texts = table.select_dtypes(exclude="number").astype(str)
    return repr((pq.read_metadata(path).metadata, texts.to_dict("list"))).encode()
