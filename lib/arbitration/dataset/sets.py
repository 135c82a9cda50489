"""The conflict sets by their names: the scenes that ship with the project, MC², a reader's own."""

import hashlib
import json
from dataclasses import replace
from pathlib import Path

import numpy as np

from arbitration.dataset import mc2, own
from arbitration.dataset.sample import MODALITIES, Sample
from arbitration.files.folders import DATA, cache
from arbitration.files.given import find_path, quote

SPLITS = ("iid", "held", "held_style")


def load(name: str | Path = "scenes", split: str = "held") -> list[Sample]:
    """The samples of a data set in their stored order.

    Parameters
    ----------
    name : str or Path
        ``"scenes"``, the set that ships with the project; ``"mc2"``, the paper's, downloaded at
        first use, or the path of its ``.json`` file; or the path of a reader's own samples: a
        folder with ``samples.jsonl`` or ``samples.parquet``, or such a file (`own` has the
        fields). A folder that is called like a known set is meant by ``"./scenes"``.
    split : str
        Of the scenes ``"iid"`` (same wordings and art styles as in training), ``"held"`` (held-out
        wordings and contexts) or ``"held_style"`` (a held-out art style). Own samples may name
        their splits. MC² has none, and a set without is taken whole.

    Raises
    ------
    ValueError
        For an unknown data set or split, or with every mistake in a reader's own samples.
    FileNotFoundError
        If a folder has no samples file, or a picture is missing.
    ConnectionError
        If MC² is neither here nor to be had.
    """
    if name == "scenes":
        return _scenes(split)
    # They need the prompts' wording, and the prompts need this module.
    file, dictionary = source(name), mark(name)
    if name == "mc2":
        samples = mc2.load_mc2()
    else:
        samples = mc2.load_mc2(file) if file.suffix == ".json" else own.load_own(file, split)
    return _tell_wordings([replace(sample, dictionary=dictionary) for sample in samples])


def _tell_wordings(samples: list[Sample]) -> list[Sample]:
    """The samples of a set, each with its instructions as their wordings where the set has several
    of that direction.
    """
    for way in MODALITIES:
        if len({sample.instruction(way) for sample in samples}) > 1:
            samples = [
                replace(sample, **{f"wording_{way}": sample.instruction(way)}) for sample in samples
            ]
    return samples


def source(name: str | Path) -> Path:
    """The file of a data set's samples, by the names that `load` takes; MC²'s is there once it has
    been downloaded.
    """
    if name in ("scenes", "mc2"):
        return (
            DATA / "scenes" / "samples.jsonl"
            if name == "scenes"
            else cache() / "mc2" / Path(mc2.FILE).name
        )
    known = "known: 'scenes', 'mc2', or the path of a folder with samples.jsonl or samples.parquet"
    try:
        path = find_path(name)
    except ValueError as error:
        why = f"unknown data set: {error}; {known}"
        raise ValueError(why) from error
    if not path.exists():
        why = f"unknown data set {quote(str(name))}; {known} (there is no {path})"
        raise ValueError(why)
    return path if path.suffix == ".json" else own.samples_file(path)


def content(name: str | Path) -> str:
    """What a data set contains, however its path was spelled: the name of a known set; of a
    reader's own a hash of its samples, pictures and dictionary.
    """
    if name in ("scenes", "mc2"):
        return str(name)
    file = source(name)
    digest = hashlib.sha256(file.read_bytes() + mark(name).encode())
    list_pictures = mc2.list_mc2_pictures if file.suffix == ".json" else own.list_own_pictures
    for path in list_pictures(file):
        digest.update(hashlib.sha256(path.read_bytes()).digest() if path.is_file() else b"none")
    return digest.hexdigest()[:12]


def file_beside(name: str | Path, what: str) -> Path:
    """Where something that belongs to a data set lies: beside its samples, with their file's name
    before its own unless that is ``samples``.
    """
    file = source(name)
    return file.with_name(what if file.stem == "samples" else f"{file.stem}.{what}")


def mark(name: str | Path) -> str:
    """Hash of the entity dictionary beside a data set; nothing if there is none, or if it ships
    with the project.
    """
    path = file_beside(name, "entities.json")
    return (
        hashlib.sha256(path.read_bytes()).hexdigest()[:12]
        if name != "scenes" and path.exists()
        else ""
    )


def _scenes(split: str) -> list[Sample]:
    if split not in SPLITS:
        why = f"unknown split {split!r}; choose one of {', '.join(SPLITS)}"
        raise ValueError(why)
    folder = DATA / "scenes"
    with open(folder / "samples.jsonl", encoding="utf-8") as lines:
        records = [json.loads(line) for line in lines]
    fields = [field for field in Sample.__dataclass_fields__ if field != "dictionary"]
    samples = []
    for record in records:
        if record["split"] == split:
            text = {key: record[key] for key in fields}
            samples.append(Sample(**text | {"image": str(folder / record["image"])}))
    return samples


def shuffled(samples: list[Sample], seed: int) -> list[Sample]:
    """The samples in an order drawn by seed; tasks take turns, so that every prefix is balanced."""
    rng = np.random.default_rng(seed)
    order = rng.permutation(len(samples))
    seen: dict[str, int] = {}
    turns = []
    for index in order:
        task = samples[index].task
        turns.append((seen.setdefault(task, 0), task, index))
        seen[task] += 1
    tasks = {task: place for place, task in enumerate(rng.permutation(sorted(seen)))}
    return [
        samples[index]
        for _, task, index in sorted(turns, key=lambda turn: (turn[0], tasks[turn[1]]))
    ]
