"""Which runs are current, and how a finished run gets into the book: whole or not at all."""

import hashlib
import json
import os
import sys
from dataclasses import dataclass, field
from pathlib import Path

import nbformat

ROOT = Path(__file__).resolve().parents[1]
# What a result depends on besides its notebook; constraints.txt stands for the versions of everything installed.
INPUTS = ("lib/arbitration/*.py", "data/models/**/*", "data/scenes/**/*", "data/architectures/*", "data/text/*", "data/authors_curves.json", "constraints.txt")


@dataclass(frozen=True)
class Run:
    """One notebook on one model, as papermill will be asked to run it."""

    source: Path
    model: str
    parameters: dict = field(default_factory=dict)

    @property
    def title(self) -> str:
        return f"{self.source.stem} · {self.model}"


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def inputs(root: Path = ROOT) -> dict[str, str]:
    """Content hashes of the code and data that every notebook may read."""
    found = (path for pattern in INPUTS for path in sorted(root.glob(pattern)))
    return {path.relative_to(root).as_posix(): digest(path) for path in found if path.is_file()}


def fingerprint(run: Run, shared: dict[str, str]) -> str:
    """Hash of all that a run's result depends on."""
    python = f"{sys.version_info.major}.{sys.version_info.minor}"
    parts = {"source": digest(run.source), "parameters": run.parameters, "python": python, "inputs": shared}
    return hashlib.sha256(json.dumps(parts, sort_keys=True, default=str).encode()).hexdigest()


def stamp_of(run: Run, executed: Path) -> Path:
    return executed / run.model / f"{run.source.stem}.stamp.json"


def is_current(run: Run, executed: Path, shared: dict[str, str]) -> bool:
    """Whether the published run has these inputs and its files are as they were published."""
    stamp = stamp_of(run, executed)
    if not stamp.exists():
        return False
    known = json.loads(stamp.read_text(encoding="utf-8"))
    folder = stamp.parent
    return known["inputs"] == fingerprint(run, shared) and all(
        (folder / name).is_file() and digest(folder / name) == content for name, content in known["files"].items())


def finished(notebook) -> bool:
    """Whether papermill ran every cell to its end without an exception.

    papermill 2.7 sets the notebook's own `exception` to True on a failure and otherwise leaves it at None, also when the
    kernel died; so the cells are asked too: each one that started says False, each one that did not says None.
    """
    record = notebook.metadata.get("papermill", {})
    ran = (cell.metadata.get("papermill", {}).get("exception") is False for cell in notebook.cells)
    return not record.get("exception") and bool(record.get("end_time")) and all(ran)


def without_paths(notebook, run: Run):
    """The notebook without the folders of this machine, in papermill's metadata and in printed text."""
    notebook.metadata.papermill.input_path = f"notebooks/{run.source.name}"
    notebook.metadata.papermill.output_path = f"book/_executed/{run.model}/{run.source.name}"
    for cell in notebook.cells:
        for output in cell.get("outputs", []):
            if output.output_type == "stream":
                output.text = output.text.replace(f"{ROOT}/", "").replace(f"{Path.home()}/", "~/")
    return notebook


def publish(run: Run, staging: Path, executed: Path, shared: dict[str, str]) -> None:
    """Move a finished run's files into the book; the stamp goes first and comes back last.

    Raises
    ------
    RuntimeError
        When papermill's record in the staged notebook does not say that the run finished.
    """
    notebook = nbformat.read(staging / run.source.name, as_version=4)
    if not finished(notebook):
        raise RuntimeError(f"{run.title} did not finish: nothing was published. Run it again.")
    produced = staging / "output" / run.model
    produced.mkdir(parents=True, exist_ok=True)
    nbformat.write(without_paths(notebook, run), produced / run.source.name)

    stamp = stamp_of(run, executed)
    before = json.loads(stamp.read_text(encoding="utf-8"))["files"] if stamp.exists() else {}
    stamp.unlink(missing_ok=True)
    files = {path.relative_to(produced).as_posix(): digest(path) for path in sorted(produced.rglob("*")) if path.is_file()}
    for name in before.keys() - files.keys():
        (stamp.parent / name).unlink(missing_ok=True)
    for name in files:
        target = stamp.parent / name
        target.parent.mkdir(parents=True, exist_ok=True)
        os.replace(produced / name, target)
    stamp.write_text(json.dumps({"inputs": fingerprint(run, shared), "files": files}, indent=1), encoding="utf-8")
