"""The benchmark counts operations right, and its three ways give the same numbers."""

import importlib.util
import json

import pytest

import arbitration as arb
import tiny
from arbitration.files.folders import ROOT


@pytest.fixture(scope="module")
def benchmark():
    spec = importlib.util.spec_from_file_location(
        "benchmark_knockout", ROOT / "benchmarks" / "knockout.py"
    )
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_operations_of_one_variant_by_hand(benchmark):
    """Closing vision→last in the last layer alone: one row through one layer, and one row through
    the unembedding.
    """
    subject = tiny.subject("internvl")
    prompt = subject.encode(tiny.samples()[0], "text")
    count = benchmark.operations(subject, prompt, [arb.Pathway("vision", "last")], [range(4, 5)])
    d, hidden, heads, kv, width, n = 48, 64, 6, 2, 8, prompt.groups.length
    weights = d * width * (2 * heads + 2 * kv) + 3 * d * hidden
    one_row = 2 * weights + 4 * heads * width * n
    unembedding = 2 * subject.unembedding.shape[0] * d
    assert count["resumed"] - count["plain"] / 2 == pytest.approx(one_row + unembedding)
    more = benchmark.operations(subject, prompt, [arb.Pathway("vision", "last")], [range(3, 5)])
    assert more["resumed"] - count["resumed"] == pytest.approx(one_row)
    wide = benchmark.operations(
        subject, prompt, [arb.Pathway("context", "instruction")], [range(4, 5)]
    )
    others = n - int(prompt.groups.instruction.min()) - 1
    assert wide["resumed"] - count["resumed"] == pytest.approx(others * 2 * d * width * 2 * kv)
    clean = (
        5 * sum(2 * weights + 4 * heads * width * keys for keys in range(1, n + 1)) + unembedding
    )
    assert count["plain"] / 2 >= clean, "the vision tower comes on top"


def test_the_three_ways_agree(benchmark):
    subject = tiny.subject("llava")
    line = benchmark.measure(subject, subject.encode(tiny.samples()[0], "vision"), "tiny")
    assert line["largest_difference"] < 1e-12
    assert line["variants"] == 8 * subject.n_layers
    written = benchmark.table([line, line | {"batched_s": 6.0, "allowed": 8.0}]).splitlines()
    assert written[0] == "|  | tiny | tiny |" and f" | {line['tokens']}: 16, " in written[2]
    assert "| variants | 40 | 40 |" in written and written[9].endswith(" | 0.75 |"), (
        "eight times less work than took six seconds"
    )


def test_the_gpu_s_case_runs_at_toy_size(benchmark):
    """The same code as on a GPU, in bfloat16 and with 700 tokens, on a decoder of two layers."""
    toy = {
        "hidden_size": 32,
        "intermediate_size": 48,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "vocab_size": 30064,
    }
    for text in benchmark.REAL_SIZES.values():
        subject = benchmark.real_size(
            "toy",
            text | toy | {"num_key_value_heads": min(2, text["num_key_value_heads"])},
            device="cpu",
        )
        line = benchmark.measure(
            subject, benchmark.synthetic_prompt(subject, 700), "toy", plain_share=2, peak=1e12
        )
        assert (line["tokens"], line["dtype"], line["variants"]) == (700, "bfloat16", 16)
        assert line["floor_s"] > 0 and line["largest_difference"] < 0.25
        assert f"| floor, s | {line['floor_s']:.3g} |" in benchmark.table(
            [line]
        ) and "| share of the peak |" in benchmark.table([line])


def test_the_readme_and_the_book_show_the_last_table(benchmark):
    folder = ROOT / "data" / "benchmarks"
    lines = json.loads((folder / "knockout_cpu.json").read_text())["lines"]
    shown = (folder / "knockout_cpu.md").read_text()
    assert benchmark.table(lines) in shown
    assert shown.strip() in (ROOT / "README.md").read_text()
    assert "../data/benchmarks/knockout_cpu.md" in (ROOT / "book" / "engine.md").read_text()
