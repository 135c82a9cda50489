"""Out of memory on the GPU, simulated: what has been measured is kept, and the same command goes
on from there.

That less travels together where it helps is in `test_eq05_knockout`, `test_memory` and
`test_precision`.
"""

import math
import os
from itertools import count

import pytest
import torch

import tiny
from apart import run_apart
from arbitration.engine import resume
from arbitration.engine.sweep import knockout_tables
from toy_measure import folders, measure, published

pytestmark = pytest.mark.faults


@pytest.mark.parametrize("measured", [0, 4])
def test_what_never_fits_names_its_prompt_and_loses_nothing(prompts, tmp_path, measured):
    """The device is full from some pass on, as when another program has come to it."""
    subject = tiny.subject("llava")

    def work(room, full=math.inf):
        os.environ.update(folders(room))
        honest, number = resume.suffix_pass, count()

        def scarce(*given, **more):
            if next(number) >= full:
                raise torch.cuda.OutOfMemoryError
            return honest(*given, **more)

        resume.suffix_pass = scarce
        measure(subject, prompts, knockout_tables, "knockout")
        print("passes:", next(number))

    whole, again = tmp_path / "whole", tmp_path / "again"
    status, said = run_apart(lambda: work(whole))
    assert status == 0, said
    passes = int(said.rpartition("passes: ")[2])
    status, said = run_apart(lambda: work(again, passes - 1 if measured else 1))
    assert status == 99 and "out of GPU memory; going on with a workspace of" in said, said
    kept = {path: path.read_bytes() for path in again.rglob("*.parquet")}
    assert len(kept) == measured
    first = prompts[measured].id
    assert f"the first prompt that was not measured is {first}" in said
    assert said.rstrip().splitlines()[-1].endswith(first) and not list(again.rglob("*.partial"))
    status, said = run_apart(lambda: work(again))
    assert status == 0, said
    assert {path: path.read_bytes() for path in kept} == kept
    both = [published(room, subject, "knockout") for room in (whole, again)]
    assert both[0].equals(both[1])
