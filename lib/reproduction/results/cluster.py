"""Workers: the tasks of a table go to a Dask scheduler, and their rows come back to be written.

No file need be seen by both sides. This process is the scheduler's client; a worker loads a model
once. A task whose worker dies is done again elsewhere, and only that one is measured twice. No
other file of this room knows Dask, which is an extra.
"""

import os
import traceback
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress

import numpy as np
import pandas as pd
from tqdm.auto import tqdm

from arbitration.models.prompt import Unusable
from reproduction.results import tasks

#: Where `press.run` writes the address of the scheduler that the notebooks' kernels use.
VARIABLE = "ARBITRATION_SCHEDULER"
MISSING = (
    "sharing the work out needs Dask, an extra that is not installed: pip install "
    "'instruction-anchors[cluster]'; in a checkout, .venv/bin/python -m pip install -c "
    "constraints.txt -e '.[cluster]'"
)
GONE = (
    "the scheduler is gone, or somebody has taken its tasks back; what has come is kept: start it, "
    "or give another, and the same command goes on from there"
)
#: Tasks under way for each worker's thread: one that is measured, and one that lies ready.
AHEAD = 2


def address() -> str | None:
    """Of the scheduler whose workers measure; None where this process measures by itself."""
    return os.environ.get(VARIABLE) or None


_clients: dict = {}  # by the address of their scheduler


def connect(address: str):
    """The client of a scheduler, the same one each time.

    Raises
    ------
    ModuleNotFoundError
        If Dask is not installed; says how to install it.
    ConnectionError
        If no scheduler answers there.
    """
    if address in _clients and _clients[address].status == "running":
        return _clients[address]
    try:
        import dask
        from distributed import Client
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(MISSING) from error
    # A prompt of a large model has megabytes of pixels, which must travel.
    dask.config.set({"distributed.admin.large-graph-warning-threshold": "1 GB"})
    try:
        _clients[address] = Client(address, set_as_default=False)
    except (OSError, ValueError) as error:
        why = (
            f"no scheduler answers at {address!r} ({error}); give the address that `dask "
            f"scheduler` has printed, as tcp://host:8786, and see that it is still running"
        )
        raise ConnectionError(why) from error
    return _clients[address]


def count_threads(client) -> int:
    """Tasks that the workers can be in at the same time.

    Raises
    ------
    ConnectionError
        If the scheduler is gone.
    """
    try:
        return sum(client.nthreads().values())
    except OSError as error:
        raise ConnectionError(GONE) from error


def measure_elsewhere(
    title: str, tables_of: Callable, prompts: Sequence
) -> Iterator[tuple[int, pd.DataFrame | Unusable]]:
    """As `tasks.measure_here`, by the workers of the scheduler at `address`, in any order.

    What they cannot load, as a model that was made by hand, is measured here, and that is said.

    Parameters
    ----------
    tables_of : partial
        Of the measure, with the subject as its one argument and what is given by name.
    """
    left = dict.fromkeys(range(len(prompts)))
    try:
        source = tasks.tell_source(*tables_of.args, tables_of.func)
        for place, found in _share_out(title, source, tables_of, prompts):
            yield place, found
            del left[place]
    except tasks.CannotRebuild as error:
        tqdm.write(f"{title}: measured here, not by workers: {error}")
        places = list(left)
        some = [prompts[place] for place in places]
        for number, found in tasks.measure_here(title, tables_of, some):
            yield places[number], found


def _share_out(title, source, tables_of, prompts) -> Iterator[tuple[int, pd.DataFrame | Unusable]]:
    """What the workers find; on the way out, whatever it is, tasks not yet done are taken back.

    One that was sent a moment before may run all the same: Dask takes tasks in beside other
    messages, and forgets to take back what it does not know yet. Its rows are not used.
    """
    import cloudpickle
    from distributed import as_completed

    client = connect(address())
    threads = count_threads(client)
    if not threads:
        tqdm.write(f"{title}: no worker yet at {address()}; waiting for one")
    rows, given = tables_of.func, tables_of.keywords
    waiting = deque(tasks.cut(rows, prompts, threads))
    running, done = {}, as_completed(loop=client.loop, with_results=True, raise_errors=False)
    broken = None
    try:
        # After an error only what has come is still taken.
        while done.has_ready() if broken else waiting or running:
            room = AHEAD * max(count_threads(client), 1)
            while waiting and len(running) < room and not broken:
                places = waiting.popleft()
                some = [prompts[place] for place in places]
                task = cloudpickle.dumps(tasks.make_task(title, source, rows, some, given))
                # Dask copies an array's bytes fewer times than plain ones: twice as fast.
                future = client.submit(perform, np.frombuffer(task, np.uint8), pure=False)
                running[future] = places
                done.add(future)
            future, result = next(done)
            places = running.pop(future)
            found, error = _received(future, result, [prompts[place] for place in places])
            for number, one in found:
                yield places[number], one
            broken = broken or error
        if broken:
            raise broken
    finally:
        with suppress(OSError):
            client.cancel(list(running))


def perform(content: np.ndarray) -> bytes:
    """A task in a worker: what `tasks.measure_task` returns, as it travels.

    Errors travel taken apart, since not all can be put together again from what they say.
    """
    import cloudpickle

    found, error = tasks.measure_task(cloudpickle.loads(memoryview(content)))
    plain = [
        (place, one.why if isinstance(one, Unusable) else one)  # its sample is known there
        for place, one in found
    ]
    if error is None:
        return cloudpickle.dumps((plain, None))
    notes = [*getattr(error, "__notes__", [])]
    error.__notes__ = ["".join(["in a worker:\n", *traceback.format_exception(error)]), *notes]
    try:
        return cloudpickle.dumps((plain, (type(error), error.args, vars(error))))
    except Exception:  # it holds what cannot travel
        told = f"{type(error).__name__}: {error}"
        return cloudpickle.dumps((plain, (RuntimeError, (told,), {"__notes__": error.__notes__})))


def _received(future, result, prompts) -> tuple[list, BaseException | None]:
    """What `perform` has sent, put together again; or why nothing has come."""
    import cloudpickle

    if isinstance(result, BaseException):
        return [], ConnectionError(GONE)
    if future.status == "error":
        error = result[1]
        ids = ", ".join(prompt.id for prompt in prompts)
        error.add_note(
            f"the task of the prompts {ids}; workers that die one after the other in one task "
            f"mostly lack memory for its model"
        )
        return [], error
    plain, raised = cloudpickle.loads(result)
    found = [
        (place, Unusable(prompts[place].sample, one) if isinstance(one, str) else one)
        for place, one in plain
    ]
    if raised is None:
        return found, None
    kind, arguments, state = raised
    error = kind.__new__(kind, *arguments)
    vars(error).update(state)
    return found, error
