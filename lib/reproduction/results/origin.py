"""What a number was measured with: model, code, packages, parameters, and the prompt itself."""

import hashlib
import inspect
import platform
from collections.abc import Callable, Mapping
from dataclasses import fields, is_dataclass, replace
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

import pandas as pd
import torch

from arbitration.dataset import sets
from arbitration.dataset.entities import EntityDictionary
from arbitration.dataset.sample import Sample
from arbitration.files import code
from arbitration.models.prompt import Prompt

PACKAGES = ("torch", "transformers", "numpy", "pandas")
#: How model and prompt were made, whatever is measured on them.
MAKING = "arbitration.models.load"
#: All that can measure: what counts for a function that a reader has written.
MEASURING = "reproduction.measures"


def code_version(rows: Callable | None = None) -> str:
    """Hash of the code that a function which measures can reach (`code.reach`), 12 hexadecimal
    digits.

    Parameters
    ----------
    rows : callable, optional
        Of these libraries, or a reader's own: then its source counts, and all that measures here.
        Without it all that measures here alone.
    """
    module = getattr(rows, "__module__", MEASURING)
    if code.find_module(module):
        return code.hash_modules(code.reach(module) | code.reach(MAKING))
    known = code.hash_modules(code.reach(MEASURING) | code.reach(MAKING))
    return hashlib.sha256(f"{known} {_source(rows)}".encode()).hexdigest()[:12]


def _source(rows: Callable) -> str:
    try:
        return inspect.getsource(rows)
    except (OSError, TypeError):  # typed at a prompt
        return repr((rows.__code__.co_code, rows.__code__.co_consts))


def describe(value):
    """A value by what it contains, as JSON can hold it: equal contents have equal descriptions.

    Raises
    ------
    TypeError
        If the value is of a kind whose contents are not known here.
    """
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, EntityDictionary):
        return f"{len(value.entries)} kinds, {_hash(repr(value.entries))}"
    if isinstance(value, Sample):
        return f"{value.id}, {_hash(repr(_bare(value)))}"
    if isinstance(value, Prompt):
        return f"{value.id}, {content_of(value)}"
    if is_dataclass(value) and not isinstance(value, type):
        return {part.name: describe(getattr(value, part.name)) for part in fields(value)}
    if isinstance(value, Mapping):
        return {str(key): describe(one) for key, one in value.items()}
    if isinstance(value, list | tuple | range):
        return [describe(one) for one in value]
    why = (
        f"a table cannot be kept under a {type(value).__name__}, whose contents are not "
        f"known; give numbers, words, "
        "samples, dictionaries, heads, pathways, or lists of these"
    )
    raise TypeError(why)


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def provenance(subject, rows: Callable | None = None, **given) -> dict:
    """Everything that the rows of a table depend on, whatever the prompt.

    Parameters
    ----------
    subject : Subject
    rows : callable, optional
        What measures them (`code_version`).
    **given
        What it is given, told by content (`describe`); a data set by what the set contains
        (`sets.content`).
    """
    if "data" in given:
        given = {**given, "data": sets.content(given["data"])}
    return {
        "model": subject.name,
        "revision": subject.revision,
        "spelling": subject.spelling,
        "images": subject.images,
        "dtype": str(subject.model.dtype).removeprefix("torch."),
        "device": subject.device.type,
        "code": code_version(rows),
        "packages": {name: version(name) for name in PACKAGES},
        "parameters": describe(given),
    }


def picture_of(sample) -> str:
    """Which picture a sample shows: a hash of the file, so that a copy under another name is the
    same picture.
    """
    return hashlib.sha256(Path(sample.image).read_bytes()).hexdigest()[:12]


def content_of(prompt, borrowed=None, dictionaries: Mapping | None = None) -> str:
    """Hash of all that a prompt's rows depend on besides what is the same for every prompt.

    That is what the prompt asks, its token groups and answers, what its rows borrow from other
    samples, and of each dictionary the entries of all these answers. Another set, or a reader's
    corrected one, may have another sample of the same name.

    Parameters
    ----------
    prompt : Prompt, or another unit (`question.Question`), told by what it contains
    borrowed : Sample, list of Sample or other value that `describe` knows, optional
    dictionaries : mapping of str to EntityDictionary, optional

    Returns
    -------
    str
        12 hexadecimal digits.
    """
    if not isinstance(prompt, Prompt):
        return _hash(repr((describe(prompt), describe(borrowed), describe(dictionaries or {}))))
    parts = fields(prompt.groups)
    groups = {part.name: getattr(prompt.groups, part.name).tolist() for part in parts}
    lenders = borrowed if isinstance(borrowed, list | tuple) else [borrowed]
    samples = [prompt.sample, *(one for one in lenders if isinstance(one, Sample))]
    known = {}
    for name, dictionary in (dictionaries or {}).items():
        known[name] = [dictionary.of_sample(sample).entries for sample in samples]
    asked = (_bare(prompt.sample), prompt.y_p, prompt.y_c, prompt.room)
    digest = hashlib.sha256(repr((asked, groups, describe(borrowed), known)).encode())
    for name, value in sorted(prompt.inputs.items()):
        digest.update(name.encode() + value.detach().float().cpu().numpy().tobytes())
    return digest.hexdigest()[:12]


def _bare(sample: Sample) -> Sample:
    """A sample without where its picture lies, which dictionary lies beside its set, and what its
    wording is called.
    """
    return replace(sample, image="", dictionary="", wording_vision="", wording_text="")


def sign(table: pd.DataFrame, subject, seconds: float) -> pd.DataFrame:
    """A part with what measured it in its `attrs`: device, processor, day (UTC) and seconds."""
    device = subject.device.type
    table.attrs = {
        "device": device,
        "processor": name_processor(device),
        "when": datetime.now(UTC).date().isoformat(),
        "seconds": round(seconds, 3),
    }
    return table


def name_processor(device: str) -> str:
    """The maker's name of what computes: of the GPU, or of this machine's processor."""
    if device == "cuda":
        return torch.cuda.get_device_name()
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:  # not on this system
        lines = []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()
