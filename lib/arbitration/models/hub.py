"""What the hub has of its models, and what is said when one cannot be had."""

import json
import re
from contextlib import contextmanager
from pathlib import Path

import torch
from huggingface_hub import model_info

from arbitration.files import atomic
from arbitration.files.folders import cache
from arbitration.files.given import parse_json, quote_error
from arbitration.models import snapshots
from arbitration.models.catalogue import EMBEDDED, Entry

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
        f" the embedded models run now: {', '.join(EMBEDDED)}"
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
