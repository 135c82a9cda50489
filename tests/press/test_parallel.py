"""Two processes that share out the prompts: the tables of one process; a crash ends both; a rerun
goes on.

Prompts that travel in one pass of the knockout are other ones when two processes share them out,
and company decides rounding (`test_determinism`): the tables are equal within 1e-10 in float64,
where the engine's own promise is 1e-12 for a log-probability. Which prompts there are, their order,
and everything that is no decimal number are the same exactly.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import nbformat
import pandas as pd
import pytest

import arbitration as arb
import tiny
from arbitration.engine import sweep
from press import parallel, processes, run
from reproduction import results

HELPERS = Path(__file__).resolve().parents[1] / "helpers"
#: A section in small: answers, a choice by what they were, a sweep of all prompts, one of some, and
#: head scores.
CELLS = [
    "n, only_following = 1, True",
    """import arbitration as arb
from reproduction import cohorts, results
subject = arb.load("tiny", "trained")
samples = arb.dataset.shuffled(arb.dataset.load("scenes"), 0)[: 2 * n]
dictionary = arb.entities.load("scenes")
answers = cohorts.answered.ask_samples(subject, samples, dictionary)
prompts = cohorts.answered.choose_prompts(subject, samples, answers, n, only_following)""",
    """pathways = [*arb.STANDARD_PATHWAYS, arb.Pathway("template", "last")]
results.collect("knockout", arb.knockout_tables, subject, prompts, pathways=pathways, width=3)""",
    """controls = [arb.Pathway(path.source, path.target, control=0) for path in pathways]
chosen = prompts[:2] + prompts[n : n + 2]
results.collect("controls", arb.knockout_tables, subject, chosen, pathways=controls, width=3)""",
    """from reproduction.measures.heads import attribute_heads
results.collect("heads", attribute_heads, subject, prompts, dictionary=dictionary)""",
]
PROGRAM = """
import json, os, sys
from pathlib import Path
import tiny
import arbitration as arb
from press import parallel
from reproduction.results import parts

folder, crash, parameters = sys.argv[1:]
arb.load = lambda name, weights: tiny.subject("internvl")
keep, rank = parts.write_table, os.environ["RANK"]

def counted(table, path, first=False):
    name, prompt = (part.rsplit("-", 1)[0] for part in (path.parent.name, path.stem))
    if first and name in ("knockout", "controls"):
        if (crash, name) == (rank, "controls"):
            raise RuntimeError("an unlucky process")
        with open(f"{folder}/log", "a") as lines:
            lines.write(f"{rank} {name} {prompt}\\n")
    keep(table, path, first)

parts.write_table = counted
parallel.together([parallel.Run(Path(f"{folder}/toy.ipynb"), "tiny", json.loads(parameters))])
"""
SMALL = {"n": 3, "only_following": False}


@pytest.fixture
def toy(tmp_path):
    cells = [nbformat.v4.new_code_cell(source) for source in CELLS]
    cells[0].metadata["tags"] = ["parameters"]
    nbformat.write(nbformat.v4.new_notebook(cells=cells), tmp_path / "toy.ipynb")
    (tmp_path / "program.py").write_text(PROGRAM)
    return tmp_path


def launched(folder: Path, crash: str = "none") -> subprocess.CompletedProcess:
    """Two processes, as `accelerate launch` starts them where there are GPUs."""
    paths = [HELPERS, *filter(None, [os.environ.get("PYTHONPATH")])]
    environment = {
        **os.environ,
        "ARBITRATION_CACHE": str(folder / "cache"),
        "ARBITRATION_OUTPUT": str(folder / "out"),
        "PYTHONPATH": os.pathsep.join(map(str, paths)),
        "OMP_NUM_THREADS": "1",
    }
    (folder / "log").unlink(missing_ok=True)
    command = [
        sys.executable,
        "-m",
        "torch.distributed.run",
        "--standalone",
        "--nproc_per_node=2",
        str(folder / "program.py"),
        str(folder),
        crash,
        json.dumps(SMALL),
    ]
    return subprocess.run(
        command,
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=300,
    )


def logged(folder: Path) -> list[list[str]]:
    """Process, table and prompt of everything that the last launch swept."""
    return [line.split() for line in (folder / "log").read_text().splitlines()]


def test_two_processes_measure_what_one_does_and_resume_after_a_crash(toy, monkeypatch):
    broken = launched(toy, crash="1")
    assert broken.returncode != 0
    assert "RuntimeError: an unlucky process" in broken.stderr
    assert "error: process 2 of 2 broke off in toy · tiny; the others are ended." in broken.stderr
    before = {path: path.read_bytes() for path in (toy / "cache" / "parts").glob("*/*.parquet")}
    shares = sorted(rank for rank, table, _ in logged(toy) if table == "knockout")
    assert shares == ["0"] * 3 + ["1"] * 3, "what came before the crash was shared out evenly"
    assert not (toy / "out").exists()

    done = launched(toy)
    assert done.returncode == 0, done.stderr
    kept = [(path.parent.name.rsplit("-", 1)[0], path.stem.rsplit("-", 1)[0]) for path in before]
    swept = [(table, prompt) for _, table, prompt in logged(toy)] + [
        part for part in kept if part[0] != "answers"
    ]
    assert len(swept) == len(set(swept)) == 6 + 4, "every prompt once over both runs"
    assert all(path.read_bytes() == content for path, content in before.items())

    monkeypatch.setattr(arb, "load", lambda name, weights: tiny.subject("internvl"))
    folders = {}
    for name in ("alone", "shared"):
        if name == "shared":
            monkeypatch.setattr(
                sweep,
                "check_bites",
                lambda *_: pytest.fail("a part that the two processes have not measured"),
            )
        monkeypatch.setenv("ARBITRATION_CACHE", str(toy / ("cache" if name == "shared" else name)))
        monkeypatch.setenv("ARBITRATION_OUTPUT", str(toy / f"{name}-out"))
        parallel.here(parallel.Run(toy / "toy.ipynb", "tiny", SMALL))
        folders[name] = toy / f"{name}-out" / "tiny-internvl" / "tables"
    for name in ("knockout", "controls", "heads"):
        one, two = (pd.read_parquet(folder / f"{name}.parquet") for folder in folders.values())
        pd.testing.assert_frame_equal(one, two, rtol=0, atol=1e-10)
        exact = [column for column in one if one[column].dtype.kind != "f"]
        pd.testing.assert_frame_equal(one[exact], two[exact], check_exact=True)
        assert len(one) >= 4 * 5 and {"sample", "following", "layer"} <= set(exact)


def test_a_misspelt_name_is_refused_before_anything_runs(capsys):
    assert parallel.main(["--model", "smol-rely"]) == 2
    assert "did you mean 'smol-relay'?" in capsys.readouterr().err


def test_ctrl_c_is_answered_once_without_a_traceback(tmp_path, monkeypatch, capsys):
    def interrupted(_):
        raise KeyboardInterrupt

    monkeypatch.setattr(parallel, "together", interrupted)
    for rank, said in (("0", f"stopped: {run.KEPT}\n"), ("1", "")):
        monkeypatch.setenv("RANK", rank)
        assert (
            parallel.main(
                ["--notebook", "sec3_beliefs", "--model", "smol", "--into", str(tmp_path)]
            )
            == 130
        )
        assert capsys.readouterr().err == said


def test_the_first_process_becomes_the_one_that_publishes(tmp_path, monkeypatch):
    became = []
    monkeypatch.setattr(
        parallel, "together", lambda runs: became.append([one.title for one in runs])
    )
    monkeypatch.setattr(os, "execve", lambda *arguments: became.append(arguments))
    monkeypatch.setenv("WORLD_SIZE", "2")
    arguments = ["--notebook", "sec3_beliefs", "--model", "smol", "--into", str(tmp_path)]
    for rank in ("1", "0"):
        monkeypatch.setenv("RANK", rank)
        assert parallel.main(arguments) == 0
    assert became[:2] == [["sec3_beliefs · smol"]] * 2 and len(became) == 3, "process 0 alone"
    program, command, environment = became[2]
    assert (program, command) == (sys.executable, [sys.executable, *processes.PROGRAM, *arguments])
    assert "WORLD_SIZE" not in environment and "RANK" not in environment and "PATH" in environment


def test_of_two_that_write_a_part_the_first_wins(tmp_path):
    path = tmp_path / "part.parquet"
    for value in (1.0, 2.0):
        results.parts.write_table(pd.DataFrame({"value": [value]}), path, first=True)
    assert pd.read_parquet(path)["value"].item() == 1.0
    results.parts.write_table(pd.DataFrame({"value": [3.0]}), path)
    assert pd.read_parquet(path)["value"].item() == 3.0 and [
        one.name for one in tmp_path.iterdir()
    ] == ["part.parquet"]
