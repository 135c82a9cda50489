"""Several processes that fill one store together: which of them this is, and waiting for the
others.

Process r of W measures the prompts r, r + W, r + 2W, … of every table (`store.gather`). Nothing but
the store, a folder that all of them see, passes between them; so a table does not depend on how
many there were.
"""

import os
from datetime import timedelta

import torch
from accelerate import PartialState
from torch import distributed


def join() -> tuple[int, int]:
    """Join the processes that a launcher has started (`accelerate launch`, `torchrun`), each on a
    GPU of its own where there are GPUs.

    Returns
    -------
    int, int
        As `place`; (0, 1) if no launcher has started this process.
    """

    if int(os.environ.get("WORLD_SIZE", 1)) > 1:
        # They only wait for each other, which gloo does on any machine; and one may have much
        # longer to measure than another.
        PartialState(cpu=not torch.cuda.is_available(), backend="gloo", timeout=timedelta(days=30))
    return place()


def place() -> tuple[int, int]:
    """Which process this is, from 0, and how many there are."""
    if distributed.is_available() and distributed.is_initialized():
        return distributed.get_rank(), distributed.get_world_size()
    return 0, 1


def wait() -> None:
    """Wait until every process is here."""
    distributed.barrier()


def leave() -> None:
    """Wait for the others a last time and part."""
    if place()[1] > 1:
        wait()
        distributed.destroy_process_group()
