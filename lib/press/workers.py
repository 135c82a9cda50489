"""Workers that a command starts on this machine, or finds at a scheduler, for its notebooks.

    python -m press.workers 4     what `press.run --cluster 4` starts: ends with its input

The notebooks' kernels find the scheduler in their environment (`results.cluster`).
"""

import argparse
import asyncio
import logging
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import AsyncExitStack, contextmanager, suppress

PROGRAM = ("-m", "press.workers")


def add_options(options: argparse.ArgumentParser) -> None:
    """The two ways to workers, of any command that runs notebooks."""
    ways = options.add_mutually_exclusive_group()
    ways.add_argument(
        "--cluster", type=_count, metavar="N", help="measure with N workers: one a GPU, or a CPU"
    )
    ways.add_argument(
        "--scheduler", metavar="ADDRESS", help="measure with those of a Dask scheduler, tcp://…"
    )


def _count(typed: str) -> int:
    if not typed.isdigit() or int(typed) < 1:
        why = f"{typed!r} is no number of workers; give 1 or more"
        raise argparse.ArgumentTypeError(why)
    return int(typed)


@contextmanager
def lend_workers(given: argparse.Namespace) -> Iterator[None]:
    """Let the kernels that are started meanwhile measure with the workers of a command line
    (`add_options`); without one, as the environment has it.

    Raises
    ------
    ValueError
        If there are no such workers: Dask is not installed, no scheduler answers, or there are
        fewer GPUs. Says what to do.
    """
    from reproduction.results import cluster  # only now, because it imports torch

    before = os.environ.get(cluster.VARIABLE)
    with _started(given.cluster) if given.cluster else _found(given.scheduler) as address:
        if address:
            os.environ[cluster.VARIABLE] = address
        try:
            yield
        finally:
            os.environ.pop(cluster.VARIABLE, None)
            os.environ.update({cluster.VARIABLE: before} if before else {})


@contextmanager
def _found(address: str | None) -> Iterator[str | None]:
    """An existing scheduler's address, after it has answered."""
    if address:
        from reproduction.results import cluster

        try:
            cluster.connect(address)
        except (ConnectionError, ModuleNotFoundError) as error:
            raise ValueError(str(error)) from error
    yield address


@contextmanager
def _started(workers: int) -> Iterator[str]:
    """The address of a scheduler with workers of our own. They end with this process, however it
    ends.
    """
    # In a group of its own: Ctrl-C ends them through their input, once nothing waits for them.
    process = subprocess.Popen(
        [sys.executable, *PROGRAM, str(workers)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        encoding="utf-8",
        process_group=0,
    )
    try:
        line = process.stdout.readline().strip()
        if not line.startswith("tcp://"):
            raise ValueError(line or "the workers did not start; what they printed is above")
        yield line
    finally:
        with suppress(OSError):
            process.stdin.close()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def list_environments(workers: int, gpus: int, visible: str = "") -> list[dict[str, str]]:
    """What each worker finds in its environment: a GPU of its own, or without GPUs one thread.

    Parameters
    ----------
    gpus : int
        How many this process sees.
    visible : str
        Their names, where ``CUDA_VISIBLE_DEVICES`` says which.

    Raises
    ------
    ValueError
        If there are fewer GPUs than workers.
    """
    if not gpus:
        return [{"OMP_NUM_THREADS": "1"}] * workers
    if workers > gpus:
        why = f"{workers} workers, one a GPU, need more than {gpus}; give --cluster {gpus} or less"
        raise ValueError(why)
    names = [name for name in visible.split(",") if name] or [str(one) for one in range(gpus)]
    return [{"CUDA_VISIBLE_DEVICES": name} for name in names[:workers]]


async def serve(environments: list[dict[str, str]], ready) -> None:
    """A scheduler on this machine and a worker for each environment, until the input ends."""
    from distributed import Nanny, Scheduler

    logging.getLogger("distributed").setLevel(logging.ERROR)
    async with AsyncExitStack() as stack:
        scheduler = await stack.enter_async_context(
            Scheduler(host="127.0.0.1", port=0, dashboard_address="127.0.0.1:0")
        )
        own = {"nthreads": 1, "memory_limit": 0, "silence_logs": logging.ERROR}
        nannies = [Nanny(scheduler.address, env=each, **own) for each in environments]
        await asyncio.gather(*map(stack.enter_async_context, nannies))
        print(scheduler.address, file=ready, flush=True)
        await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)


def main(arguments=None) -> int:
    options = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    options.add_argument("workers", type=_count)
    given = options.parse_args(arguments)
    # Only the address goes to the output; whatever the workers print joins the errors.
    ready = os.fdopen(os.dup(sys.stdout.fileno()), "w", encoding="utf-8")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    import torch

    from reproduction.results import cluster

    try:
        visible = os.environ.get("CUDA_VISIBLE_DEVICES", "")
        environments = list_environments(given.workers, torch.cuda.device_count(), visible)
        asyncio.run(serve(environments, ready))
    except ModuleNotFoundError:
        print(cluster.MISSING, file=ready, flush=True)
        return 2
    except ValueError as error:
        print(error, file=ready, flush=True)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
