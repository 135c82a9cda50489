"""Workers for the notebooks of a command: started on this machine or found, and gone with it."""

import argparse
import os
import subprocess
import sys

import nbformat
import pytest

from press import run, workers
from reproduction.results import cluster

distributed = pytest.importorskip("distributed", reason=cluster.MISSING)


def given(*arguments):
    options = argparse.ArgumentParser()
    workers.add_options(options)
    return options.parse_args(arguments)


@pytest.fixture(autouse=True)
def alone(monkeypatch):
    monkeypatch.delenv(cluster.VARIABLE, raising=False)


def test_without_workers_asked_for_kernels_find_what_is_there(monkeypatch):
    with workers.lend_workers(given()):
        assert cluster.address() is None
    monkeypatch.setenv(cluster.VARIABLE, "tcp://there:1")
    with workers.lend_workers(given()):
        assert cluster.address() == "tcp://there:1"
    assert cluster.address() == "tcp://there:1"


def test_a_notebook_s_kernel_is_the_client_of_workers_that_end_with_the_command(
    tmp_path, monkeypatch, capfd
):
    """Of a notebook that asks two workers who they are."""
    cell = """import os
from distributed import Client
client = Client(os.environ["ARBITRATION_SCHEDULER"])
client.wait_for_workers(2)
for pid in client.run(os.getpid).values():
    print("worker", pid)
print("threads", *client.nthreads().values(), *client.run(os.getenv, "OMP_NUM_THREADS").values())
"""
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell)])
    nbformat.write(notebook, tmp_path / "toy.ipynb")
    monkeypatch.setattr(run, "requested_runs", lambda _: [run.Run(tmp_path / "toy.ipynb", "smol")])
    assert run.main(["--cluster", "2", "--into", str(tmp_path / "into")]) == 0
    printed = capfd.readouterr()
    pids = [int(line.split()[1]) for line in printed.out.splitlines() if line.startswith("worker")]
    assert len(set(pids)) == 2 and "threads 1 1 1 1" in printed.out
    assert "Traceback" not in printed.err, printed.err
    for pid in pids:
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)
    assert cluster.VARIABLE not in os.environ


def test_of_workers_that_do_not_start_is_said_why(monkeypatch, capsys, tmp_path):
    monkeypatch.setattr(run, "requested_runs", lambda _: [])
    program = tmp_path / "program.py"
    program.write_text("print('4 workers, one a GPU, need more than 2')\nraise SystemExit(2)\n")
    monkeypatch.setattr(workers, "PROGRAM", (str(program),))
    assert run.main(["--cluster", "4"]) == 2
    assert capsys.readouterr().err == "error: 4 workers, one a GPU, need more than 2\n"
    program.write_text("")
    assert run.main(["--cluster", "4"]) == 2
    assert "the workers did not start" in capsys.readouterr().err


def test_a_missing_extra_is_said_with_how_to_install_it(tmp_path):
    (tmp_path / "distributed.py").write_text("raise ModuleNotFoundError('distributed')\n")
    paths = [tmp_path, *filter(None, [os.environ.get("PYTHONPATH")])]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, paths))}
    command = [sys.executable, *workers.PROGRAM, "1"]
    done = subprocess.run(
        command, env=environment, stdin=subprocess.DEVNULL, capture_output=True, encoding="utf-8"
    )
    assert (done.returncode, done.stdout) == (2, f"{cluster.MISSING}\n"), done.stderr


def test_a_scheduler_that_does_not_answer_is_refused_before_anything_runs(monkeypatch, capsys):
    monkeypatch.setattr(run, "requested_runs", lambda _: [])
    assert run.main(["--scheduler", "nowhere"]) == 2
    assert "error: no scheduler answers at 'nowhere'" in capsys.readouterr().err


@pytest.mark.parametrize("typed", ["0", "-1", "two", "1.5"])
def test_a_number_of_workers_is_one_or_more(typed, capsys):
    with pytest.raises(SystemExit):
        given(f"--cluster={typed}")
    assert f"{typed!r} is no number of workers; give 1 or more" in capsys.readouterr().err


def test_workers_are_started_or_found_but_not_both():
    with pytest.raises(SystemExit):
        given("--cluster", "2", "--scheduler", "tcp://there:1")


def test_each_worker_has_a_gpu_of_its_own_or_a_thread():
    assert workers.list_environments(2, 0) == [{"OMP_NUM_THREADS": "1"}] * 2
    gpu = "CUDA_VISIBLE_DEVICES"
    assert workers.list_environments(2, 3) == [{gpu: "0"}, {gpu: "1"}]
    assert workers.list_environments(2, 2, "4,GPU-7") == [{gpu: "4"}, {gpu: "GPU-7"}]
    with pytest.raises(ValueError, match="3 workers, one a GPU, need more than 2; .*--cluster 2"):
        workers.list_environments(3, 2)
