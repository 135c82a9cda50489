"""Which models there are, under which names, and where each comes from.

Whoever only plans or names imports this, and not torch, which `embedded` and `hub` need to make a
model.
"""

import difflib
import re
from dataclasses import dataclass
from pathlib import Path

from huggingface_hub.errors import HFValidationError
from huggingface_hub.utils import validate_repo_id

from arbitration.files.given import quote

TRAINED = ("smol", "smol-relay")
#: The control in which a relay is the only way.
MASKED = "smol-masked"
EMBEDDED = (*TRAINED, MASKED)
#: Between the two trained ones, by how much of the second they are: ``smol-merge-0.25``.
MERGE = re.compile(r"smol-merge-(0(?:\.\d+)?|1(?:\.0+)?)")


@dataclass(frozen=True)
class Entry:
    """A model of the hub.

    Attributes
    ----------
    repository : str
        Its revision is recorded at the first download and kept from then on.
    because : str
        What a reader needs to know to have it, in a line.
    """

    repository: str
    because: str = ""


#: The paper's models, those that its authors added for their reviewers, and others that people use.
HUB = {
    "qwen2.5-vl": Entry("Qwen/Qwen2.5-VL-7B-Instruct"),
    "qwen2.5-vl-3b": Entry("Qwen/Qwen2.5-VL-3B-Instruct"),
    "qwen2.5-vl-32b": Entry("Qwen/Qwen2.5-VL-32B-Instruct"),
    "qwen2.5-vl-72b": Entry("Qwen/Qwen2.5-VL-72B-Instruct"),
    "internvl3": Entry("OpenGVLab/InternVL3-8B-hf"),
    "internvl3-14b": Entry("OpenGVLab/InternVL3-14B-hf"),
    "llava-1.5": Entry("llava-hf/llava-1.5-7b-hf"),
    "llava-onevision": Entry("llava-hf/llava-onevision-qwen2-7b-ov-hf"),
    "qwen3-vl": Entry("Qwen/Qwen3-VL-8B-Instruct"),
    "qwen3-vl-moe": Entry("Qwen/Qwen3-VL-30B-A3B-Instruct"),
    "gemma-3": Entry(
        "google/gemma-3-4b-it", "accept its licence on the hub and log in (`hf auth login`)"
    ),
}
NAMES = (*EMBEDDED, *HUB)


def is_embedded(name: str) -> bool:
    """Whether a name is that of an embedded model, or of a merge of them."""
    merge = MERGE.fullmatch(name)
    return name in EMBEDDED or (merge is not None and float(merge[1]) <= 1)


def entry_of(name: str) -> Entry | None:
    """Where a model comes from; None for an embedded one.

    Raises
    ------
    ValueError
        If the name is none of ours, no folder, and cannot be a repository.
    """
    if not isinstance(name, str) or not name.strip():
        why = f"{quote(name)} is no name of a model; give one as text, such as 'smol' or 'org/name'"
        raise ValueError(why)
    if is_embedded(name):
        return None
    if name in HUB:
        return HUB[name]
    if _is_folder(name):
        if not (Path(name) / "config.json").is_file():
            why = (
                f"the folder {name} has no config.json; give a folder that "
                f"`model.save_pretrained` and `processor.save_pretrained` wrote"
            )
            raise ValueError(why)
        return Entry(str(Path(name)))
    if re.fullmatch(r"\w[\w.-]*/\w[\w.-]*", name) and _is_repository(name):
        return Entry(name)
    near = difflib.get_close_matches(name, NAMES, n=1)
    hint = f"did you mean {near[0]!r}? " if near else ""
    why = (
        f"unknown model {quote(name)}; {hint}known models: {', '.join(NAMES)}; others by their "
        f"repository on the hub ('org/name') or by the"
        " folder that they were saved in"
    )
    raise ValueError(why)


def _is_folder(name: str) -> bool:
    try:
        return Path(name).is_dir()
    except OSError:  # longer than any file's name
        return False


def _is_repository(name: str) -> bool:
    """Whether the hub could have a repository of that name."""
    try:
        validate_repo_id(name)
    except HFValidationError:
        return False
    return True


def named(name: str) -> str:
    """The name of a model in tables and figures, and of the folder that they are kept in: a
    folder's is ``local/`` and its own name.
    """
    return (
        f"local/{Path(name).resolve().name}" if name not in NAMES and Path(name).is_dir() else name
    )
