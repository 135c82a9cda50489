"""Kernels that are forks of one process: with the libraries in them, and nothing else."""

import json
import os
import signal
import subprocess
import sys

import pytest

from apart import wait_for, wait_for_end
from arbitration.files.folders import ROOT
from press import forked
from toy_notebook import write_toy

TOY = """# %% tags=["parameters"]
model = "smol"
n = 1

# %%
import sys
there = set(sys.modules)

# %%
import json
import os
from pathlib import Path
import torch
seen = {
    "process": os.getpid(),
    "group": os.getpgid(0),
    "parent": os.getppid(),
    "there": [name for name in ("torch", "transformers", "matplotlib") if name in there],
    "ours": [name for name in there if name.split(".")[0] in ("arbitration", "reproduction")],
    "marked": hasattr(torch, "marked"),
    "seed": torch.initial_seed(),
}
torch.marked = True
torch.manual_seed(n)
folder = Path(os.environ["ARBITRATION_OUTPUT"]) / model / "figures"
folder.mkdir(parents=True)
(folder / f"{n}.json").write_text(json.dumps(seen))
print("printed by", n)
"""

pytestmark = pytest.mark.skipif(not forked.POSSIBLE, reason="kernels are forked on Linux alone")


def environment():
    """That of a command which imports this project's libraries."""
    paths = os.pathsep.join([str(ROOT / "lib"), os.environ.get("PYTHONPATH", "")])
    return {**os.environ, "PYTHONPATH": paths}


@pytest.fixture(scope="module")
def seen(tmp_path_factory):
    """What the kernels of two runs of one command see, and what the command printed."""
    home = tmp_path_factory.mktemp("forked")
    sources = write_toy(home, TOY)
    program = (
        "import sys; from press import run\n"
        "for n in (1, 2):\n"
        f"    runs = run.plan(['toy'], ['smol'], {{'n': n}}, {str(sources)!r})\n"
        f"    run.run_all(runs * 2, run.Path({str(home)!r}) / str(n))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        env=environment(),
        capture_output=True,
        text=True,
        check=True,
    )
    files = [home / str(n) / "smol" / "figures" / f"{n}.json" for n in (1, 2)]
    return [json.loads(path.read_text()) for path in files], done.stdout


@pytest.mark.faults
@pytest.mark.parametrize("killed", ["the command", "the process that is forked"])
def test_a_kernel_ends_with_what_it_was_made_by(killed, tmp_path):
    """`kill -9` lets nobody tell it, and what it prints to would be read until it ends."""
    mark = tmp_path / "begun"
    begun = f"import os, time\nfrom pathlib import Path\nmark = Path({str(mark)!r})\n"
    begun += "mark.with_suffix('.free').write_text(f'{os.getpid()} {os.getppid()}')\n"
    begun += "mark.with_suffix('.free').rename(mark)\ntime.sleep(120)\n"
    sources = write_toy(tmp_path, TOY.partition("# %%\nimport sys")[0] + "# %%\n" + begun)
    program = (
        "from press import forked, run\n"
        "forked.IMPORTED[:] = ['ipykernel.kernelapp']\n"
        f"runs = run.plan(['toy'], ['smol'], {{}}, {str(sources)!r})\n"
        f"run.run_all(runs * 2, run.Path({str(tmp_path / 'out')!r}))"
    )
    going = subprocess.Popen(
        [sys.executable, "-c", program],
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    try:
        wait_for(mark)
        kernel, server = map(int, mark.read_text().split())
        os.kill(going.pid if killed == "the command" else server, signal.SIGKILL)
        said, _ = going.communicate(timeout=60)
    finally:
        going.kill()
    assert going.returncode != 0, said
    wait_for_end(kernel)


def test_libraries_are_there_and_nothing_of_this_project(seen):
    for one in seen[0]:
        assert one["there"] == ["torch", "transformers", "matplotlib"] and one["ours"] == []


def test_each_notebook_has_a_kernel_of_its_own(seen):
    first, second = seen[0]
    assert first["process"] != second["process"] and first["parent"] == second["parent"]
    assert [one["group"] for one in seen[0]] == [one["process"] for one in seen[0]]
    assert not first["marked"] and not second["marked"]
    assert first["seed"] == second["seed"], "what the first has drawn the second has not"


def test_what_a_kernel_prints_is_passed_on(seen):
    assert "printed by 1" in seen[1] and "printed by 2" in seen[1]


def test_a_single_kernel_is_started_as_ever():
    assert forked.share_imports(1) == {} and forked.share_imports(2)
