"""Which models come from the hub, under which names, and what is said when one cannot be had."""

import difflib
import re
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import torch

from arbitration import embedded


@dataclass(frozen=True)
class Entry:
    """A model of the hub.

    Attributes
    ----------
    repository : str
        Its revision is recorded at the first download and kept from then on.
    images : dict
        What its processor is told about pictures, beyond the checkpoint's own settings.
    because : str
        Why, in a line.
    """

    repository: str
    images: dict = field(default_factory=dict)
    because: str = "the checkpoint's own processor"


def _pixels(side: int, least: int) -> dict:
    """From `least` to 512 visual tokens of `side` × `side` pixels, for processors that resize to a number of pixels (their “edges” are that)."""
    return {"size": {"shortest_edge": least * side**2, "longest_edge": 512 * side**2}}


_LIMITED = "pictures are at most 512 tokens: the checkpoint's own limit is 16,384, and cost grows with their number"
_QWEN25 = (_pixels(28, least=4), _LIMITED)  # patches of 14 pixels, two by two a token
_QWEN3 = (_pixels(32, least=64), _LIMITED)  # patches of 16 pixels, two by two a token
_INTERNVL = ({"crop_to_patches": False}, "a picture is one tile of 448 pixels, 256 tokens: transformers would cut it into up to twelve more")

#: The paper's models, those that its authors added for their reviewers, and others that people use.
HUB = {
    "qwen2.5-vl": Entry("Qwen/Qwen2.5-VL-7B-Instruct", *_QWEN25),
    "qwen2.5-vl-3b": Entry("Qwen/Qwen2.5-VL-3B-Instruct", *_QWEN25),
    "qwen2.5-vl-32b": Entry("Qwen/Qwen2.5-VL-32B-Instruct", *_QWEN25),
    "qwen2.5-vl-72b": Entry("Qwen/Qwen2.5-VL-72B-Instruct", *_QWEN25),
    "internvl3": Entry("OpenGVLab/InternVL3-8B-hf", *_INTERNVL),
    "internvl3-14b": Entry("OpenGVLab/InternVL3-14B-hf", *_INTERNVL),
    "llava-1.5": Entry("llava-hf/llava-1.5-7b-hf", because="the checkpoint's own processor: 336 pixels, 576 tokens"),
    "llava-onevision": Entry("llava-hf/llava-onevision-qwen2-7b-ov-hf", because="the checkpoint's own processor: a view of 384 pixels, 729 tokens, and its tiles"),
    "qwen3-vl": Entry("Qwen/Qwen3-VL-8B-Instruct", *_QWEN3),
    "qwen3-vl-moe": Entry("Qwen/Qwen3-VL-30B-A3B-Instruct", *_QWEN3),
    "gemma-3": Entry("google/gemma-3-4b-it", because="the checkpoint's own processor: 896 pixels, 256 tokens; accept its licence on the hub and log in (`hf auth login`)"),
}
NAMES = (*embedded.NAMES, *HUB)


def entry_of(name: str) -> Entry | None:
    """Where a model comes from; None for an embedded one.

    Raises
    ------
    ValueError
        If the name is none of ours, no folder, and cannot be a repository.
    """
    if name in embedded.NAMES:
        return None
    if name in HUB:
        return HUB[name]
    if Path(name).is_dir():
        if not (Path(name) / "config.json").is_file():
            raise ValueError(f"the folder {name} has no config.json; give a folder that `model.save_pretrained` and `processor.save_pretrained` wrote")
        return Entry(str(Path(name)))
    if re.fullmatch(r"\w[\w.-]*/\w[\w.-]*", name):
        return Entry(name)
    near = difflib.get_close_matches(name, NAMES, n=1)
    hint = f"did you mean {near[0]!r}? " if near else ""
    raise ValueError(
        f"unknown model {name!r}; {hint}known models: {', '.join(NAMES)}; others by their repository on the hub ('org/name') or by the"
        " folder that they were saved in"
    )


def named(name: str) -> str:
    """The name of a model in tables and figures, and of the folder that they are kept in: a folder's is ``local/`` and its own name."""
    return f"local/{Path(name).resolve().name}" if name not in NAMES and Path(name).is_dir() else name


@contextmanager
def reported(name: str, entry: Entry):
    """Whatever goes wrong with a hub repository or a folder, said with what to do next."""
    try:
        yield
    except torch.cuda.OutOfMemoryError:
        raise  # it was had, and the device is too small
    except Exception as error:
        if isinstance(error, ValueError) and not isinstance(error, OSError):
            raise ValueError(
                f"transformers cannot read {name!r} ({entry.repository}): {error}. Code that comes with a checkpoint is not run here; give a"
                " checkpoint that transformers knows by itself (often a repository of the same name that ends in -hf)"
            ) from error
        if Path(entry.repository).is_dir():
            raise FileNotFoundError(
                f"the folder {entry.repository} holds no image-text model with its processor ({type(error).__name__}: {error}); write both into it"
                " with save_pretrained, the weights as safetensors"
            ) from error
        raise FileNotFoundError(
            f"the weights of {name!r} ({entry.repository}) are not on this machine and could not be downloaded ({type(error).__name__}: {error})."
            f" With network access, run `hf download {entry.repository}` and try again ({entry.because}); the embedded models run now:"
            f" {', '.join(embedded.NAMES)}"
        ) from error


def newest_revision(repository: str) -> str:
    """The commit that the hub (or, without network, its local cache) has as `main`."""
    from huggingface_hub import model_info, snapshot_download
    from huggingface_hub.errors import LocalEntryNotFoundError

    try:
        return Path(snapshot_download(repository, local_files_only=True)).name
    except LocalEntryNotFoundError:
        return model_info(repository).sha
