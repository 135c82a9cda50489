"""Which notebooks the book has, which of their runs are current, and how a finished run gets into
the book: whole or not at all.

Any number of runs may go on at the same time, also of one notebook on one model: each writes into a
folder of its own, and one at a time publishes.
"""

import ast
import hashlib
import json
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

import nbformat
import yaml
from filelock import FileLock, Timeout

from arbitration import dataset
from arbitration.files import atomic, code
from arbitration.files.checksums import digest, tell_state
from arbitration.files.folders import DATA, ROOT
from arbitration.files.given import parse_json
from arbitration.models import catalogue
from reproduction.results import records

ALIVE = "alive.lock"
# stands in a stamp's place for the inputs while files are being published, and if that was broken
# off
UNFINISHED = ""


@dataclass(frozen=True)
class Run:
    """One notebook on one model, as papermill will be asked to run it."""

    source: Path
    model: str
    parameters: dict = field(default_factory=dict)

    @property
    def named(self) -> str:
        """What the model's tables and figures are called, and the folder that they are in."""
        return catalogue.named(self.model)

    @property
    def title(self) -> str:
        return f"{self.source.stem} · {self.named}"


def listed(root: Path = ROOT) -> list[str]:
    """The book's notebooks, in the order of its table of contents (``meta: notebooks``): what else
    lies in the folder of notebooks, such as a copy, is none of them.
    """
    contents = yaml.safe_load((root / "_toc.yml").read_text(encoding="utf-8"))
    return list(contents["meta"]["notebooks"])


def inputs(source: Path) -> dict[str, str]:
    """What a notebook's result depends on besides its own text: the meaning of the modules that its
    imports lead to, the contents of the data that these name, and the pinned versions of
    everything installed.

    Parameters
    ----------
    source : Path
        The ``.ipynb``.

    Returns
    -------
    dict of str to str
        Module, or path from the project's root, and hash.
    """
    code.look_again()
    cells = [
        cell.source
        for cell in nbformat.read(source, as_version=4).cells
        if cell.cell_type == "code"
    ]
    lines = [line for line in "\n".join(cells).splitlines() if not line.startswith(("%", "!"))]
    modules: dict[str, Path] = {}
    for name in code.find_imports(ast.parse("\n".join(lines))):
        modules |= code.reach(name)
    # Records count in the fingerprint of those runs alone that take rows from them.
    data = [path for path in code.data_files(modules) if not path.is_relative_to(DATA / "results")]
    files = [*data, ROOT / "constraints.txt"]
    found = {name: code.hash_modules([name]) for name in sorted(modules)}
    return found | {
        path.relative_to(ROOT).as_posix(): _digest(path, tell_state(path)) for path in files
    }


@cache
def _digest(path: Path, state: tuple) -> str:
    return digest(path)


def fingerprint(run: Run) -> str:
    """Hash of all that a run's result depends on."""
    python = f"{sys.version_info.major}.{sys.version_info.minor}"
    parts = {
        "source": digest(run.source),
        "parameters": run.parameters | brought(run),
        "python": python,
        "inputs": inputs(run.source),
    }
    if not run.parameters.get("measure"):
        parts["records"] = hash_records()
    return hashlib.sha256(json.dumps(parts, sort_keys=True, default=str).encode()).hexdigest()


def hash_records() -> str:
    """Hash of all records, from which a run takes rows."""
    found = [digest(path.with_suffix(".json")) for path in records.list_records(records.home())]
    return hashlib.sha256(" ".join(found).encode()).hexdigest()


def brought(run: Run) -> dict:
    """What a reader's own things that a run is given by their path contain: the data set, the
    model, and the picture.
    """
    found = {"data": dataset.content(run.parameters["data"])} if "data" in run.parameters else {}
    if run.named != run.model:
        weights = [
            path
            for path in sorted(Path(run.model).iterdir())
            if path.suffix in (".safetensors", ".json")
        ]
        found["model"] = {path.name: digest(path) for path in weights}
    if (image := Path(run.parameters.get("image") or "none").expanduser()).is_file():
        found["image"] = digest(image)
    return found


def stamp_of(run: Run, executed: Path) -> Path:
    return executed / run.named / f"{run.source.stem}.stamp.json"


def seen(run: Run, executed: Path) -> bytes:
    """The stamp of the published run as it is; nothing if there is none."""
    stamp = stamp_of(run, executed)
    return stamp.read_bytes() if stamp.exists() else b""


def told(stamp: bytes) -> dict:
    """What a stamp says; of one that is not whole nothing, so that its notebook is run again."""
    try:
        known = parse_json(stamp)
        return {"inputs": str(known["inputs"]), "files": dict(known["files"])}
    except (ValueError, LookupError, TypeError):
        return {"inputs": UNFINISHED, "files": {}}


def is_current(run: Run, executed: Path) -> bool:
    """Whether the published run has these inputs and its files are as they were published."""
    known, folder = told(seen(run, executed)), stamp_of(run, executed).parent
    return known["inputs"] == fingerprint(run) and all(
        (folder / name).is_file() and digest(folder / name) == content
        for name, content in known["files"].items()
    )


def finished(notebook) -> bool:
    """Whether papermill ran every cell to its end without an exception.

    papermill 2.7 sets the notebook's own `exception` to True on a failure and otherwise leaves it
    at None, also when the kernel died; so the cells are asked too: each one that started says
    False, each one that did not says None.
    """
    record = notebook.metadata.get("papermill", {})
    ran = (cell.metadata.get("papermill", {}).get("exception") is False for cell in notebook.cells)
    return not record.get("exception") and bool(record.get("end_time")) and all(ran)


def without_paths(notebook, run: Run, staging: Path):
    """The notebook without the folders of this machine: in papermill's metadata, and in all that
    was printed or shown as text.
    """
    notebook.metadata.papermill.input_path = f"notebooks/{run.source.name}"
    notebook.metadata.papermill.output_path = f"{run.named}/{run.source.name}"
    for cell in notebook.cells:
        for output in cell.get("outputs", []):
            if output.output_type == "stream":
                output.text = _without_folders(output.text, staging)
            for kind, shown in output.get("data", {}).items():
                if kind.startswith("text/"):
                    output.data[kind] = _without_folders(shown, staging)
    return notebook


def _without_folders(text: str, staging: Path) -> str:
    for folder, instead in (
        (f"{staging}/output/", ""),
        (f"{ROOT}/", ""),
        (f"{Path.home()}/", "~/"),
    ):
        text = text.replace(folder, instead)
    return text


@contextmanager
def staged(run: Run, executed: Path) -> Iterator[Path]:
    """A folder of its own for one run; those that killed runs have left are removed.

    Each folder holds a lock for as long as its run lives, so that the folder of a living run is
    told from one that was left.

    Raises
    ------
    atomic.Unwritable
        If the run cannot be written there.
    """
    rooms = executed / ".running"
    with atomic.tell_unwritable(executed):
        rooms.mkdir(parents=True, exist_ok=True)
        with FileLock(rooms / "rooms.lock"):
            for left in filter(Path.is_dir, list(rooms.iterdir())):
                try:
                    with FileLock(left / ALIVE, timeout=0):
                        shutil.rmtree(left, ignore_errors=True)
                except Timeout:
                    pass
            staging = Path(tempfile.mkdtemp(dir=rooms, prefix=f"{run.source.stem}-"))
            alive = FileLock(staging / ALIVE)
            alive.acquire()
        try:
            yield staging
        finally:
            shutil.rmtree(staging, ignore_errors=True)
            alive.release()


def publish_run(run: Run, staging: Path, executed: Path, inputs: str, before: bytes) -> bool:
    """Move a finished run's files into the book, one run at a time; the stamp says that this is
    going on, and comes last.

    Parameters
    ----------
    inputs : str
        `fingerprint` of what the run was made from, taken before it began.
    before : bytes
        The stamp (`seen`) when it began.

    Returns
    -------
    bool
        False if another run of the same inputs was published meanwhile: then this one is not
        needed.

    Raises
    ------
    RuntimeError
        When papermill's record in the staged notebook does not say that the run finished, if a run
        of other inputs was published meanwhile, or if somebody deletes the staging folder.
    """
    notebook = nbformat.read(staging / run.source.name, as_version=4)
    if not finished(notebook):
        why = f"{run.title} did not finish: nothing was published. Run it again."
        raise RuntimeError(why)
    produced = staging / "output" / run.named
    produced.mkdir(parents=True, exist_ok=True)
    nbformat.write(without_paths(notebook, run, staging), produced / run.source.name)
    files = {
        path.relative_to(produced).as_posix(): digest(path)
        for path in sorted(produced.rglob("*"))
        if path.is_file()
    }

    (executed / ".running").mkdir(parents=True, exist_ok=True)
    with FileLock(executed / ".running" / "publishing.lock"):
        now, stamp = seen(run, executed), stamp_of(run, executed)
        known = told(now)
        atomic.remove_partial(stamp)
        if now != before and known["inputs"] == inputs:
            return False
        if now != before and known["inputs"] != UNFINISHED:
            why = (
                f"{run.title}: another run, with other parameters, code or data, was "
                f"published while this one ran. The book keeps that one;"
                " nothing of this one was published. To have this one, run it again."
            )
            raise RuntimeError(why)
        atomic.write_whole(
            stamp, json.dumps({"inputs": UNFINISHED, "files": known["files"] | files}, indent=1)
        )
        for name in known["files"].keys() - files.keys():
            (stamp.parent / name).unlink(missing_ok=True)
        for name in files:
            target = stamp.parent / name
            target.parent.mkdir(parents=True, exist_ok=True)
            os.replace(produced / name, target)
        # Then the list above may lack what was deleted before it was made.
        if not (staging / run.source.name).is_file():
            why = (
                f"{run.title}: {executed} was deleted while it ran, and with it files of this run. "
                f"Run it again."
            )
            raise RuntimeError(why)
        atomic.write_whole(stamp, json.dumps({"inputs": inputs, "files": files}, indent=1))
    return True
