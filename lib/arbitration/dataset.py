"""Conflict samples: an image and a text that support different answers to one question (§2)."""

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from arbitration.folders import DATA

SPLITS = ("iid", "held", "held_style")
MODALITIES = ("vision", "text")


@dataclass(frozen=True)
class Sample:
    """S = ⟨Q, C_v, C_t, I_v, I_t⟩ of §2, with the two answers.

    Attributes
    ----------
    id, split, task : str
    image : str
        Path of the picture, C_v.
    question, context : str
        Q and the conflicting text C_t.
    answer_vision, answer_text : str
        What the image and what the text support.
    instruction_vision, instruction_text : str
        I_v and I_t.
    """

    id: str
    split: str
    task: str
    image: str
    question: str
    context: str
    answer_vision: str
    answer_text: str
    instruction_vision: str
    instruction_text: str

    def instruction(self, following: str) -> str:
        return {"vision": self.instruction_vision, "text": self.instruction_text}[following]

    def answers(self, following: str) -> tuple[str, str]:
        """The compliant answer and its competitor under the instruction to follow `following`."""
        pair = (self.answer_vision, self.answer_text)
        return {"vision": pair, "text": pair[::-1]}[following]


def opposite(modality: str) -> str:
    """The competitor of a modality."""
    return {"vision": "text", "text": "vision"}[modality]


def load(name: str | Path = "scenes", split: str = "held") -> list[Sample]:
    """The samples of a data set in their stored order.

    Parameters
    ----------
    name : str or Path
        ``"scenes"``, the set that ships with the project; ``"mc2"``, the paper's, downloaded at first use, or the path of its
        ``.json`` file; or the path of a reader's own samples: a folder with ``samples.jsonl`` or ``samples.parquet``, or such
        a file (`own_data` has the fields). A folder that is called like a known set is meant by ``"./scenes"``.
    split : str
        Of the scenes ``"iid"`` (same wordings and art styles as in training), ``"held"`` (held-out wordings and contexts) or
        ``"held_style"`` (a held-out art style). Own samples may name their splits. MC² has none, and a set without is taken whole.

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
    from arbitration import mc2, own_data

    if name == "mc2":
        return mc2.load()
    path = Path(name).expanduser()
    if not path.exists():
        raise ValueError(
            f"unknown data set {str(name)!r}; known: 'scenes', 'mc2', or the path of a folder with samples.jsonl or samples.parquet"
            f" (there is no {path.resolve()})"
        )
    return mc2.load(path) if path.suffix == ".json" else own_data.load(path, split)


def _scenes(split: str) -> list[Sample]:
    if split not in SPLITS:
        raise ValueError(f"unknown split {split!r}; choose one of {', '.join(SPLITS)}")
    folder = DATA / "scenes"
    with open(folder / "samples.jsonl", encoding="utf-8") as lines:
        records = [json.loads(line) for line in lines]
    fields = Sample.__dataclass_fields__
    return [
        Sample(**{**{key: record[key] for key in fields}, "image": str(folder / record["image"])})
        for record in records
        if record["split"] == split
    ]


def shuffled(samples: list[Sample], seed: int) -> list[Sample]:
    """The samples in an order drawn by seed, tasks taking turns so that every prefix is balanced."""
    rng = np.random.default_rng(seed)
    order = rng.permutation(len(samples))
    seen: dict[str, int] = {}
    turns = []
    for index in order:
        task = samples[index].task
        turns.append((seen.setdefault(task, 0), task, index))
        seen[task] += 1
    tasks = {task: place for place, task in enumerate(rng.permutation(sorted(seen)))}
    return [samples[index] for _, task, index in sorted(turns, key=lambda turn: (turn[0], tasks[turn[1]]))]
