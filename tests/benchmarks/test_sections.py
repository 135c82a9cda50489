"""The benchmark of the sections: the notebooks run on a model that is at hand, and memory is judged
right.
"""

import importlib.util
import json

import pytest

import arbitration as arb
import tiny
from arbitration.files.folders import ROOT
from press import planned
from reproduction.results import parts


@pytest.fixture(scope="module")
def benchmark():
    spec = importlib.util.spec_from_file_location(
        "benchmark_sections", ROOT / "benchmarks" / "sections.py"
    )
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_notebooks_run_at_toy_size(benchmark, monkeypatch, tmp_path):
    monkeypatch.setenv("ARBITRATION_CACHE", str(tmp_path / "mine"))
    load, fill = arb.load, parts.fill
    found = benchmark.all_sections(
        tiny.subject("llava"), ["sec2_dataset", "sec3_beliefs"], samples=2
    )
    assert (arb.load, parts.fill) == (load, fill) and not (tmp_path / "mine").exists(), (
        "nothing is left behind"
    )
    assert found["tokens"] == sum(found["groups"].values()) and found["groups"]["vision"] == 16
    assert found["weights_gib"] * 2**30 == 8 * found["parameters"], "float64"
    for line in found["sections"]:
        assert (
            line["seconds"] > 0
            and line["peak_gib"] is None
            and set(line["fits"].values()) == {None}
        )
        assert 0 < line["seconds_per_sample"] < line["seconds"] / 2
    written = benchmark.table([found])
    assert (
        "| everything fits one 80 GB card | not known |" in written
        and f"tiny-llava: {found['tokens']} tokens, 16 of them picture" in written
    )


def test_photographs_are_of_photographs_size(benchmark, tmp_path):
    from PIL import Image

    folder = benchmark.enlarged(tmp_path / "set", 3)
    samples = arb.dataset.load(folder)
    assert len(samples) == 3 and {Image.open(sample.image).size for sample in samples} == {
        (640, 480)
    }


@pytest.mark.parametrize(
    "peak, one, two",
    [
        ([30.0], True, True),
        ([31.0], True, False),
        ([80.0], False, False),
        ([10.0, 21.9], True, True),
        ([10.0, 22.1], True, False),
    ],
)
def test_what_fits(benchmark, peak, one, two):
    """16 GiB of weights. On one card 30 GiB are 8 of them and 14 of the rest on the fuller of two:
    22, and 1.5 of CUDA itself.
    """
    assert list(benchmark.fits({"peak_gib": peak}, 16.0).values()) == [one, two]


def test_every_notebook_is_run_without_filter(benchmark, tmp_path):
    for name in planned.listed():
        given = benchmark.parameters(name, tmp_path, 4)
        assert given["n"] == 4 and given["data"] == str(tmp_path)
        assert given.get("only_following", False) is False


def test_the_book_says_whether_it_was_measured(benchmark):
    shown = (benchmark.RESULTS / "sections_gpu.md").read_text()
    measured = benchmark.RESULTS / "sections_gpu.json"
    if measured.exists():
        assert benchmark.table(json.loads(measured.read_text())["models"]) in shown
    else:
        assert shown.startswith("Not measured here")
    assert "../data/benchmarks/sections_gpu.md" in (ROOT / "book" / "scale.md").read_text()
