"""The benchmark of first answers counts rows and operations right, and both ways answer alike."""

import importlib.util
import json

import pytest

import tiny
from arbitration.engine import generation, recent
from arbitration.equations.hooks import hooks
from arbitration.files.folders import ROOT


@pytest.fixture(scope="module")
def benchmark():
    spec = importlib.util.spec_from_file_location(
        "benchmark_answers", ROOT / "benchmarks" / "answers.py"
    )
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_operations_of_one_answer_by_hand(benchmark):
    """Of a prompt of which all but seven rows are at hand, those and the guess go through five
    layers, and two rows through the unembedding; the third token needs one row more.
    """
    subject = tiny.subject("internvl")
    prompt = subject.encode(tiny.samples()[0], "text")
    d, hidden, heads, kv, width, n = 48, 64, 6, 2, 8, prompt.groups.length
    weights = d * width * (2 * heads + 2 * kv) + 3 * d * hidden
    unembedding = 2 * subject.unembedding.shape[0] * d

    def row(keys):
        return 5 * (2 * weights + 4 * heads * width * keys)

    found = benchmark.operations(subject, prompt, n - 7, 3, guessed=True)
    longer = benchmark.operations(subject, prompt, n - 6, 3, guessed=True)
    assert found["shared"] - longer["shared"] == pytest.approx(row(n - 6))
    assert (found["rows_plain"], found["rows_shared"]) == (n + 2, 7 + 1 + 1)
    picture = found["plain"] - sum(map(row, range(1, n + 3))) - 3 * unembedding
    by_hand = picture + sum(map(row, range(n - 6, n + 2))) + row(n + 2) + 3 * unembedding
    assert picture > 0 and found["shared"] == pytest.approx(by_hand)
    missed = benchmark.operations(subject, prompt, n - 7, 3, guessed=False)
    assert missed["shared"] - found["shared"] == pytest.approx(row(n + 1) + unembedding)


def test_the_rows_that_are_counted_are_those_that_are_computed(benchmark):
    subject = tiny.subject("llava")
    groups = benchmark.cases(subject, tiny.samples(2))
    assert list(map(len, groups["both instructions"])) == [2, 2]
    assert list(map(len, groups["4 mixes with the mirror image"])) == [4, 4]
    line = benchmark.measure(subject, groups["4 mixes with the mirror image"][:1], "tiny")
    assert line["largest_difference"] < 1e-12 and line["prompts"] == 4
    last = recent.Recent(checked=True)
    for name, given in (("rows_plain", None), ("rows_shared", last)):
        rows = []

        def count(module, args, rows=rows):
            rows.append(args[0].shape[1])

        with hooks([subject.norm.register_forward_pre_hook(count)]):
            for prompt in groups["4 mixes with the mirror image"][0]:
                generation.first_answer(subject, prompt, given)
        assert sum(rows) == line[name]
    assert line["rows_shared"] < 0.6 * line["rows_plain"] and line["allowed"] > 1


def test_the_book_shows_the_last_table(benchmark):
    folder = ROOT / "data" / "benchmarks"
    lines = json.loads((folder / "answers_cpu.json").read_text())["lines"]
    assert benchmark.table(lines) in (folder / "answers_cpu.md").read_text()
    assert "../data/benchmarks/answers_cpu.md" in (ROOT / "book" / "engine.md").read_text()
