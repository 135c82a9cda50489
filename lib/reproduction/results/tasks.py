"""The unit of work, a measure on a model, some prompts and parameters, whose rows do not depend on
who measures them: how it is cut, measured, and made possible in another process.

Another process is told how to load the model (`Source`), sees whether what it has loaded is the
same, and keeps it for the tasks that follow.
"""

import hashlib
import json
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache, partial
from itertools import groupby
from pathlib import Path

import pandas as pd
import torch

from arbitration.engine.sweep import TOGETHER, knockout_tables
from arbitration.files import code
from arbitration.files.shipped import check_shipped
from arbitration.models import catalogue, hub, load
from arbitration.models.prompt import Prompt, Unusable
from reproduction.results.origin import code_version, provenance, sign

#: Passes of a sweep that are one task at most: a sweep checks itself once, whatever it measures.
PASSES = 4
#: GiB of models that a worker keeps beside the one in use: the embedded ones, and no large one.
KEPT = 4
#: Whole numbers as wide as a weight, whose sum is exact in any order.
WIDTHS = {1: torch.uint8, 2: torch.int16, 4: torch.int32, 8: torch.int64}


class CannotRebuild(ValueError):
    """A model that no other process can load as it is here."""


def measure_here(
    title: str, tables_of: partial, prompts: Sequence
) -> Iterator[tuple[int, pd.DataFrame | Unusable]]:
    """Measure some prompts in this process, in their order.

    Parameters
    ----------
    tables_of : partial
        Of the measure, with the subject as its one argument and what is given by name.

    Yields
    ------
    int, DataFrame or Unusable
        A prompt's place, and its rows, signed (`origin.sign`), or why its sample cannot be put to
        the model in the form that the rows need; the others are measured.

    Raises
    ------
    Exception
        What `tables_of` raises, with a note that names the prompt whose rows were to come.
    """
    left, [subject] = list(range(len(prompts))), tables_of.args
    while left:
        try:
            some, begun = [prompts[place] for place in left], time.perf_counter()
            for place, table in zip(tuple(left), tables_of(some), strict=True):
                left.pop(0)
                yield place, sign(table, subject, time.perf_counter() - begun)
                begun = time.perf_counter()
        except Exception as error:
            place = left[0] if left else len(prompts) - 1
            prompt = prompts[place]
            own = isinstance(prompt, Prompt) and isinstance(error, Unusable)
            if not (left and own and error.sample == prompt.sample.id):
                error.add_note(f"{title}: the first prompt that was not measured is {prompt.id}")
                raise
            yield left.pop(0), error


def cut(rows: Callable, prompts: Sequence, workers: int) -> list[list[int]]:
    """The places of some prompts, task by task, so that their tables are equal to the bit to those
    of all prompts at once.

    Prompts of one pass decide each other's rounding. A knockout sweep takes `TOGETHER` prompts a
    pass; `sweep.knockout_tables` itself counts them from the first prompt on, every other measure
    that sweeps from the first of each direction. So a task is whole passes: one, or up to `PASSES`
    where each worker has eight tasks and more.
    """
    places = range(len(prompts))
    runs = [list(places)]
    if rows is not knockout_tables:
        ways = groupby(places, key=lambda place: prompts[place].following)
        runs = [list(run) for _, run in ways]
    size = TOGETHER * min(max(len(prompts) // (8 * TOGETHER * max(workers, 1)), 1), PASSES)
    return [run[start : start + size] for run in runs for start in range(0, len(run), size)]


def complete_passes(rows: Callable, prompts: Sequence, missing: set[int]) -> list[int]:
    """The places of those prompts that are measured so that the missing ones have the rounding of a
    run that nobody has stopped.

    Of a measure of single prompts (`measures.each` says so in its attribute *alone*) these are the
    missing ones; of any other all of each pass in which one is missing; and of units that are no
    prompts, whose passes are not known here, all if any is.
    """
    if not missing or getattr(rows, "alone", False):
        return sorted(missing)
    if not all(isinstance(prompt, Prompt) for prompt in prompts):
        return list(range(len(prompts)))
    passes = cut(rows, prompts, len(prompts))
    return [place for some in passes if missing & {*some} for place in some]


@dataclass(frozen=True)
class Source:
    """How another process makes a subject, and what tells that it is the same.

    Attributes
    ----------
    name, weights, dtype, device, images
        Arguments of `load.load`; dtype by its name in torch.
    spelling : str
        As `Subject.spelling`.
    model, around : dict
        `describe_model` and `describe_around` where it was made.
    """

    name: str
    weights: str
    dtype: str
    device: str
    images: dict
    spelling: str
    model: dict
    around: dict

    @property
    def key(self) -> str:
        """All that a loaded model depends on."""
        arguments = [self.name, self.weights, self.dtype, self.device, self.images]
        return json.dumps([*arguments, self.model], sort_keys=True)


def tell_source(subject, rows: Callable) -> Source:
    """How another process can load a subject.

    Raises
    ------
    CannotRebuild
        If `load.load` did not make it: no name leads to it.
    """
    name, made = subject.name, subject.revision
    weights = "random" if made.startswith("random-0") else "trained"
    if name.startswith("local/"):
        name = str(Path(subject.model.name_or_path).resolve())
    try:
        entry = catalogue.entry_of(name)
        found = catalogue.named(name) == subject.name
    except ValueError:
        found = False
    if found and entry and weights == "trained" and not Path(entry.repository).is_dir():
        found = hub.pinned().get(entry.repository) == made
    if not found:
        why = f"no other process can load {subject.name!r}, which `load` has not made"
        raise CannotRebuild(why)
    parts = getattr(subject.model, "hf_device_map", None) or {}
    return Source(
        name=name,
        weights=weights,
        dtype=str(subject.model.dtype).removeprefix("torch."),
        device="auto" if len(set(parts.values())) > 1 else subject.device.type,
        images=subject.images,
        spelling=subject.spelling,
        model=describe_model(subject),
        around=describe_around(subject, rows),
    )


def describe_model(subject) -> dict:
    """What must be the same of two models whose rows go into one table, as JSON: its weights
    (`sum_weights`) and how it is put to use.
    """
    model = {name: getattr(subject, name) for name in ("name", "revision", "images", "chat")}
    model |= {"closed": subject.closed, "weights": sum_weights(subject.model)}
    return json.loads(json.dumps(model))


def describe_around(subject, rows: Callable) -> dict:
    """What must be the same of two processes: code, packages and kind of device."""
    # The source of a reader's own function is not at hand in another process.
    known = provenance(subject, rows if code.find_module(rows.__module__) else None)
    return {name: known[name] for name in ("code", "packages", "device")}


def sum_weights(model: torch.nn.Module) -> str:
    """Hash of every weight's sum, its bits read as whole numbers: exact on any device."""
    digest = hashlib.sha256()
    for name, weight in sorted(model.state_dict().items()):
        whole = weight.detach().contiguous().reshape(-1).view(WIDTHS[weight.element_size()])
        digest.update(
            f"{name} {tuple(weight.shape)} {int(whole.sum(dtype=torch.int64))}\n".encode()
        )
    return digest.hexdigest()[:12]


@dataclass(frozen=True)
class Task:
    """Some prompts of a table, as they travel.

    Attributes
    ----------
    title : str
        Of the table and its model, for people.
    rows : callable
        As `store.collect` takes it.
    source : Source
    prompts : list of Prompt
        Their tensors in main memory.
    given : dict
        What else `rows` takes.
    """

    title: str
    rows: Callable
    source: Source
    prompts: list
    given: dict


def make_task(title: str, source: Source, rows: Callable, prompts: list, given: Mapping) -> Task:
    """A task of its own prompts' share of what is given."""
    given = dict(given)
    if given.get("borrowed") is not None:
        given["borrowed"] = {one.sample.id: given["borrowed"][one.sample.id] for one in prompts}
    return Task(title, rows, source, [_move(one, "cpu") for one in prompts], given)


def _move(prompt, device):
    return replace(prompt, inputs={name: one.to(device) for name, one in prompt.inputs.items()})


_ALONE = threading.Lock()  # hooks change a model: no two threads may be in it
_loaded: dict = {}  # subjects and their `describe_model` by `Source.key`, the last used at the end


def measure_task(task: Task) -> tuple[list[tuple[int, pd.DataFrame | Unusable]], Exception | None]:
    """Measure a task in the process that it was sent to.

    Returns
    -------
    list, Exception or None
        As `measure_here` yields them; and what it raised behind the last of them, so that what was
        measured is not lost.
    """
    found: list = []
    _remember_code()
    with _ALONE:
        try:
            subject = _subject(task.source, task.rows)
            prompts = [_move(one, subject.device) for one in task.prompts]
            tables_of = partial(task.rows, subject, **task.given)
            for one in measure_here(task.title, tables_of, prompts):
                found.append(one)  # kept, should the next one raise
        except Exception as error:
            return found, error
    return found, None


@cache
def _remember_code() -> None:
    """Look at every file that can measure, before somebody edits it: what a worker says of its code
    is then what it has imported.
    """
    code_version()


def _subject(source: Source, rows: Callable):
    """The subject of a source, loaded once.

    Raises
    ------
    CannotRebuild
        If it is another than where the source was made, saying by what.
    RuntimeError
        If this process has other code or packages, or another kind of device.
    """
    kept = _loaded.pop(source.key, None)
    if kept is None:
        _make_room()
        dtype = getattr(torch, source.dtype)
        check_shipped("models", "text")  # on this machine, which may not be the notebook's
        subject = load.load(source.name, source.weights, dtype, source.device, source.images)
        kept = subject, describe_model(subject)
    _loaded[source.key] = subject, own = kept
    if what := _list_differences(own, source.model):
        why = f"a worker that loads {source.name!r} has {what}"
        raise CannotRebuild(why)
    if what := _list_differences(describe_around(subject, rows), source.around):
        why = (
            f"a worker would measure with {what}; start workers with the code and the packages "
            f"(constraints.txt) of the notebook, on the same kind of device"
        )
        raise RuntimeError(why)
    return replace(subject, spelling=source.spelling)


def _list_differences(own: dict, wanted: dict) -> str:
    names = [name for name in wanted if own[name] != wanted[name]]
    return ", ".join(f"{name} {own[name]}, not {wanted[name]}" for name in names)


def _make_room() -> None:
    """Forget the models used longest ago until the rest take at most `KEPT` GiB."""
    sizes = {key: _size(subject.model) for key, (subject, _) in _loaded.items()}
    for key in list(_loaded):
        if sum(sizes[one] for one in _loaded) > KEPT * 2**30:
            del _loaded[key]
    if torch.cuda.is_available():
        torch.cuda.empty_cache()


def _size(model: torch.nn.Module) -> int:
    return sum(weight.numel() * weight.element_size() for weight in model.state_dict().values())
