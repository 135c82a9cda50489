"""Two runs on one machine give the same tables to the last bit.

Whole, identical runs are compared: the same prompts in the same order. That single prompts give the
same bits in other company is *not* promised and not true, for which variants and prompts travel in
one pass decides how a matrix product is cut, and so its rounding (`arbitration.engine.plan`; the
workspace is a column of the table). A run that was interrupted and resumed may therefore differ in
the last digits.
"""

import os
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

HELPERS = Path(__file__).resolve().parents[1] / "helpers"
PROGRAM = """
import sys
import torch, tiny
import arbitration as arb
from reproduction import cohorts, measures, results

seed = int(sys.argv[1])
subject = tiny.subject("internvl", dtype=torch.float32)
samples = arb.dataset.shuffled(arb.dataset.load("scenes", "held"), seed)[:8]
dictionary = arb.entities.load("scenes")
strangers = cohorts.strangers.borrow_answers(dictionary, samples, samples, seed)
prompts = [subject.encode(sample, way) for way in ("text", "vision") for sample in samples[:3]]

pathways = [*arb.STANDARD_PATHWAYS, arb.Pathway("vision", "last", control=seed)]
given = {"dictionary": dictionary}
results.collect("sweep", arb.knockout_tables, subject, prompts, pathways=pathways)
read = measures.each(measures.beliefs.measure_beliefs)
results.collect("beliefs", read, subject, prompts, borrowed=strangers, **given)
score = measures.each(measures.heads.score_heads)
scores = results.collect("heads", score, subject, prompts, **given)
ways = {way: scores[scores["following"] == way] for way in ("text", "vision")}
rankings = {way: arb.heads.ranking(rows, by="eq12") for way, rows in ways.items()}
cases = [measures.head_sets.Case(0.1, 0.0, 3), measures.head_sets.Case(0.1, 3.0, 1)]
given |= {"rankings": rankings, "places": {"both": cases}, "setting": "blocking", "seed": seed}
scale = measures.each(measures.head_sets.scale_paper_sets)
results.collect("interventions", scale, subject, prompts, **given)
"""
TABLES = ["beliefs", "heads", "interventions", "sweep"]


def tables(folder: Path, seed: int) -> dict[str, Path]:
    """The tables of one run from nothing: its own process, cache and output."""
    paths = [HELPERS, *filter(None, [os.environ.get("PYTHONPATH")])]
    environment = {
        **os.environ,
        "ARBITRATION_CACHE": str(folder / "cache"),
        "ARBITRATION_OUTPUT": str(folder / "out"),
        "PYTHONPATH": os.pathsep.join(map(str, paths)),
    }
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(seed)],
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert len(list((folder / "cache" / "parts").glob("*/*.parquet"))) == 6 * len(TABLES), (
        "nothing was read from another run"
    )
    return {
        path.stem: path
        for path in sorted((folder / "out" / "tiny-internvl" / "tables").glob("*.parquet"))
    }


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    return [
        tables(tmp_path_factory.mktemp(name), seed)
        for name, seed in (("first", 3), ("again", 3), ("other", 4))
    ]


@pytest.mark.parametrize("name", TABLES)
def test_two_runs_write_the_same_bytes(runs, name):
    first, again, other = (run[name] for run in runs)
    assert [*runs[0]] == TABLES and len(pd.read_parquet(first)) > 6
    pd.testing.assert_frame_equal(pd.read_parquet(first), pd.read_parquet(again), check_exact=True)
    assert first.read_bytes() == again.read_bytes()
    assert first.read_bytes() != other.read_bytes(), "another seed asks other samples"
