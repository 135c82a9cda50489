"""The glossary of symbols: what it links is there, and it has the symbols that the pages use."""

import re
from importlib import import_module

import pytest

from arbitration.files.folders import ROOT
from press import columns

PAGE = (ROOT / "book" / "glossary.md").read_text(encoding="utf-8")
ENTRIES = [
    entry
    for block in re.findall(r"```\{glossary\}\n(.*?)```", PAGE, re.S)
    for entry in re.split(r"\n\n(?=\S)", block.strip())
]
TERMS = [line for entry in ENTRIES for line in entry.splitlines() if line.strip() == line != ""]
#: Each with what its entry must name: its equation, function and column.
KNOWN = {
    "signal": ("#eq-8", "equations.lens.phi", "phi_f"),
    "NSSD": ("#eq-7", "equations.metrics.nssd", "nssd"),
    "LDAR": ("#eq-9", "equations.metrics.ldar", "phi_c"),
    "MAM": ("#eq-10", "equations.attribution.margin", "phi_f"),
    "MFR": ("", "equations.metrics.mfr", "outcome"),
    "first answer tokens": ("#eq-6", "models.prompt.Prompt", "y_c"),
    "renormalised probability": ("#eq-6", "equations.metrics.binary_subspace", "logp_p"),
    "attention knockout": ("#eq-5", "equations.knockout.knockout", "pathway"),
    "logit lens": ("#eq-2", "equations.lens.logits", ""),
    "increments of a sublayer": ("#eq-11", "sublayer_increments", "mlp_margin"),
    "head attribution": ("#eq-12", "equations.attribution.head_increments", "eq12"),
    "residual stream": ("#eq-1", "equations.trace.trace", ""),
    "head output": ("#eq-4", "equations.trace.trace", ""),
}


def test_no_term_is_explained_twice():
    assert len(ENTRIES) > 35 and len(TERMS) == len(set(TERMS))


@pytest.mark.parametrize("term", KNOWN)
def test_the_measures_of_the_paper_are_explained_with_unit_range_and_places(term):
    (entry,) = [one for one in ENTRIES if term in one.splitlines()]
    assert all(named in entry for named in KNOWN[term])
    assert "*Unit:*" in entry and "*Range:*" in entry


@pytest.mark.parametrize("term", ["NSSD", "lead", "lead lost", "MAM", "head attribution"])
def test_what_has_a_sign_says_what_it_means(term):
    (entry,) = [one for one in ENTRIES if term in one.splitlines()]
    assert "*Sign:* positive:" in entry


def test_every_column_and_every_function_that_is_named_exists():
    labels = {one.label for one in columns.read_columns()}
    assert set(re.findall(r"\(#(column-[\w-]+)\)", PAGE)) <= labels
    named = re.findall(r"`~(arbitration\.[\w.]+)`|`(reproduction\.[\w.]+)`", PAGE)
    assert len(named) > 30
    for name in map("".join, named):
        module, _, last = name.rpartition(".")
        assert callable(getattr(import_module(module), last)), name


def test_every_symbol_of_the_numbered_equations_is_there():
    """By the letters that are no index and no ordinary function."""
    pages = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "book").glob("*.md"))
    equations = re.findall(r"^\(eq-\d+\)=\n\$\$\n(.*?)\n\$\$", pages, re.M | re.S)
    assert len(equations) == 12
    body = " ".join(equations)
    bold = set(re.findall(r"\\math(?:bf|cal|rm)\{(\w+)\}", body))
    # Queries, keys and values stand in Eq. 4 alone; S and M are the sample and a metric.
    ordinary = {"q", "K", "V", "sgn", "Logit", "Softmax", "I", "D", "M", "LDAR", "Head"}
    symbols = " ".join(TERMS)
    assert [name for name in sorted(bold - ordinary) if f"{{{name}}}" not in symbols] == []
