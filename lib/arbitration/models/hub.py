"""Which models come from the hub, under which names, and what is said when one cannot be had."""

import difflib
import json
import re
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import torch
from huggingface_hub import model_info
from huggingface_hub.errors import HFValidationError
from huggingface_hub.utils import validate_repo_id

from arbitration.files import atomic
from arbitration.files.folders import cache
from arbitration.files.given import parse_json, quote, quote_error
from arbitration.models import embedded, snapshots


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
#: Architectures whose processor resizes a picture to a number of pixels: the fewest tokens of a
#: picture.
LEAST_TOKENS = {"qwen2_5_vl": 4, "qwen3_vl": 64, "qwen3_vl_moe": 64}
#: For which the hub is waited for; by itself its client waits for ever.
SECONDS = 60
MOST_TOKENS = 512  # their own limit is 16,384, and cost grows with the number


def picture_settings(config) -> dict:
    """What an architecture's processor is told about pictures, beyond the checkpoint's own
    settings.

    Qwen's give a picture at most 512 tokens. InternVL's takes it as one tile of 256 tokens, where
    it would add up to twelve. All others keep their own settings: an empty dict.
    """
    if config.model_type == "internvl":
        return {"crop_to_patches": False}
    if config.model_type not in LEAST_TOKENS:
        return {}
    token = (config.vision_config.patch_size * config.vision_config.spatial_merge_size) ** 2
    least = LEAST_TOKENS[config.model_type]
    # A token, and what the settings call edges, in pixels.
    return {"size": {"shortest_edge": least * token, "longest_edge": MOST_TOKENS * token}}


NAMES = (*embedded.NAMES, *HUB)


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
    if embedded.known(name):
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


@contextmanager
def reported(name: str, entry: Entry):
    """Whatever goes wrong with a hub repository or a folder, said with what to do next."""
    try:
        yield
    except torch.cuda.OutOfMemoryError:
        raise  # it was had, and the device is too small
    except Exception as error:
        if isinstance(error, ValueError) and not isinstance(error, OSError):
            why = (
                f"transformers cannot read {name!r} ({entry.repository}): {quote_error(error)}. "
                f"Code that comes with a checkpoint is not run here; give a"
                " checkpoint that transformers knows by itself (often a repository of the "
                "same name that ends in -hf)"
            )
            raise ValueError(why) from error
        if Path(entry.repository).is_dir():
            why = (
                f"the folder {entry.repository} holds no image-text model with its "
                f"processor ({type(error).__name__}: {quote_error(error)}); write both into it"
                " with save_pretrained, the weights as safetensors"
            )
            raise FileNotFoundError(why) from error
        raise FileNotFoundError(_why_not(name, entry, error)) from error


def _why_not(name: str, entry: Entry, error: Exception) -> str:
    """Why a repository's model cannot be had, and what to do."""
    said = f"({type(error).__name__}: {quote_error(error)})"
    pin = pinned().get(entry.repository)
    here = snapshots.complete(entry.repository, pin)
    if here:
        again = f"hf download {entry.repository} --revision {here.name} --force-download"
        what = f"{name!r} is on this machine, in {here}, but cannot be read {said}"
        return f"{what}; with network access, fetch it again: `{again}`"
    found = snapshots.folders(entry.repository)
    if pin:
        others = ", ".join(folder.name for folder in found if folder.name != pin) or "none"
        return (
            f"the first download of {name!r} ({entry.repository}) was revision {pin}, "
            f"which {pins_file()}"
            f" keeps to. It is not whole on this machine and could not be downloaded "
            f"{said}; other revisions"
            f" here: {others}. If the hub still has it, run `hf download "
            f"{entry.repository} --revision {pin}`;"
            " otherwise delete its line in that file, and what you measure from then on is "
            "of other weights"
        )
    partly = ""
    if found:
        partly = (
            f" Of revision {found[0].name} this machine lacks {few(snapshots.lacking(found[0]))}."
        )
    note = f" ({entry.because})" if entry.because else ""
    return (
        f"the weights of {name!r} ({entry.repository}) are not on this machine and could "
        f"not be downloaded"
        f" {said}.{partly} With network access, run `hf download {entry.repository}` and "
        f"try again{note};"
        f" the embedded models run now: {', '.join(embedded.NAMES)}"
    )


def few(names: list[str]) -> str:
    """The first three of some names, and how many more there are."""
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")


def check_whole(folder: Path, repository: str | None = None, contents: bool = False) -> None:
    """Stop at weights that were cut short on their way; with `contents`, also at a wrong bit in
    what the hub's cache knows the checksum of.

    Raises
    ------
    FileNotFoundError
        Naming the files, and how to have them again.
    """
    broken = snapshots.cut_short(folder)
    if not broken and contents:
        broken = snapshots.altered(folder)
    if not broken:
        return
    names = " ".join(Path(one.partition(" (")[0]).name for one in broken)
    fetch = f"hf download {repository} {names} --revision {folder.name} --force-download"
    todo = f"fetch them again: `{fetch}`" if repository else "copy or save them again"
    why = f"weights that are not whole: {few(broken)}; {todo}"
    raise FileNotFoundError(why)


def newest_revision(repository: str) -> str:
    """The commit that the hub has as `main`.

    Raises
    ------
    Exception
        If it cannot be reached; ConnectionError if it answers, and names none.
    """
    try:
        found = model_info(repository, timeout=SECONDS).sha
    except (ValueError, LookupError, TypeError, AttributeError) as error:
        if isinstance(error, OSError):
            raise
        why = f"the hub's answer about {repository} is not what it should be ({error!r})"
        raise ConnectionError(why) from error
    if not re.fullmatch("[0-9a-f]{40}", str(found)):
        why = f"the hub names no revision of {repository}, but {found!r}"
        raise ConnectionError(why)
    return found


def pins_file() -> Path:
    return cache() / "revisions.json"


def pinned() -> dict[str, str]:
    """The revisions of first downloads, by repository.

    Raises
    ------
    ValueError
        If their file is not what was written.
    """
    try:
        found = parse_json(pins_file().read_bytes()) if pins_file().exists() else {}
        if not isinstance(found, dict) or not all(isinstance(pin, str) for pin in found.values()):
            why = "no object of repositories and revisions"
            raise ValueError(why)
    except ValueError as error:
        what = (
            f"{pins_file()} cannot be read ({quote_error(error)}), so the revisions of the first "
            f"downloads are not known"
        )
        why = f"{what}; restore it, or delete it to take what the hub's cache has"
        raise ValueError(why) from error
    return found


def pin(repository: str, revision: str) -> None:
    """Write down the revision of a first download."""
    if repository in pinned():
        return
    with atomic.take_lock(pins_file().name):
        known = pinned()  # read again: another process may have pinned its model meanwhile
        if repository not in known:
            atomic.write_whole(pins_file(), json.dumps({**known, repository: revision}, indent=1))
