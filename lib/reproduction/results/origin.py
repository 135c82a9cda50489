"""What a number was measured with: model, code, packages, parameters, and the prompt itself."""

import hashlib
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path

from arbitration.dataset import sets
from arbitration.files.folders import DATA, ROOT

PACKAGES = ("torch", "transformers", "numpy", "pandas")
#: Modules that read finished tables, or share out the work: a change in them cannot change a number
#: that a table holds.
READERS = (
    "commands",
    "controls",
    "estimates",
    "figures",
    "intervals",
    "paper",
    "parameters",
    "results",
    "style",
    "summary",
    "tables",
    "team",
)
#: Modules that make entity dictionaries, which count by what is in them: the shipped one here, one
#: of a reader's by `Sample.dictionary`.
MAKERS = ("dictionary", "endpoint", "sheet", "verification", "wordnet")


def code_version() -> str:
    """Hash of the sources that compute, answer dictionaries included: what a number was computed
    with, also in a tree with local edits.
    """
    digest = hashlib.sha256()
    for path in (
        *sorted((ROOT / "lib" / "arbitration").glob("*.py")),
        *sorted(DATA.glob("*/entities.json")),
    ):
        if path.stem.startswith(READERS + MAKERS):
            continue
        digest.update(path.name.encode() + path.read_bytes())
    return digest.hexdigest()[:12]


def provenance(subject, **parameters) -> dict:
    """Everything that a table depends on. The parameter `data` is told by what the set contains
    (`sets.content`).
    """
    if "data" in parameters:
        parameters = {**parameters, "data": sets.content(parameters["data"])}
    return {
        "model": subject.name,
        "revision": subject.revision,
        "spelling": subject.spelling,
        "images": subject.images,
        "dtype": str(subject.model.dtype).removeprefix("torch."),
        "device": subject.device.type,
        "code": code_version(),
        "packages": {name: version(name) for name in PACKAGES},
        "parameters": parameters,
    }


def picture_of(sample) -> str:
    """Which picture a sample shows: a hash of the file, so that a copy under another name is the
    same picture.
    """
    return hashlib.sha256(Path(sample.image).read_bytes()).hexdigest()[:12]


def content_of(prompt) -> str:
    """Hash of what a prompt asks and of its answers: another set, or a reader's corrected one, may
    have another sample of the same name.
    """
    digest = hashlib.sha256(
        repr((replace(prompt.sample, image=""), prompt.y_p, prompt.y_c)).encode()
    )
    for name, value in sorted(prompt.inputs.items()):
        digest.update(name.encode() + value.detach().float().cpu().numpy().tobytes())
    return digest.hexdigest()[:8]
