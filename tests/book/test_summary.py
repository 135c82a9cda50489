"""The lines at a page's top: what it finds, and how many of its claims got which verdict."""

import pytest
from bs4 import BeautifulSoup

from arbitration.files.folders import ROOT
from directives.summary import list_asked
from reproduction.claims import reported
from toy_book import build, write_glued

PAGE = """# Toy

```{summary}
:models: toy, other
The gap is {glue:text}`_executed/toy/sec4_components.ipynb::gap:.1f` logits.
```

```{claim} buffer
:models: toy, other
```

```{claim} divergence
:models: toy, other
```

```{question} neutral-words
:models: toy, other
```

```{toctree}
_executed/toy/sec3_beliefs
_executed/toy/sec4_components
_executed/toy/appF_meaning
_executed/other/sec3_beliefs
_executed/other/sec4_components
_executed/other/appF_meaning
```

(verdict-buffer)=
(verdict-divergence)=
## Decided
"""
#: Of the pages with figures: the front page, whose findings these are, and the questions.
WITHOUT = {"index", "sec1_introduction"}


def with_interval(key, low, high):
    return {key: (low + high) / 2, f"{key}_low": low, f"{key}_high": high}


def write_runs(folder, model, shallow, words):
    """Runs in which shallow alignment lies around a value, and signals diverge only in deep layers,
    in either direction.
    """
    (folder / "_executed" / model).mkdir(parents=True)
    beliefs, components = {}, {"gap": -2.5}
    for way in ("text", "vision"):
        n = {f"n_{way}": 64.0}
        beliefs |= n | with_interval(f"ldar_shallow_{way}", shallow - 0.02, shallow + 0.02)
        components |= n | with_interval(f"over_divergence_{way}", 1.0, 2.0)
        components |= with_interval(f"share_gap_shallow_{way}", -0.01, 0.01)
    for name, numbers in (
        ("sec3_beliefs", beliefs),
        ("sec4_components", components),
        ("appF_meaning", words),
    ):
        write_glued(folder / "_executed" / model / f"{name}.ipynb", numbers)


def test_it_says_the_finding_and_counts_the_verdicts_of_each_model(tmp_path):
    (asked,) = [one for one in reported.questions() if one.id == "neutral-words"]
    keys = [finer.key for finer in asked.verdicts]
    assert len(keys) > 1
    write_runs(tmp_path, "toy", 0.5, dict.fromkeys(keys, "holds"))
    write_runs(tmp_path, "other", 0.8, dict.fromkeys(keys, "not seen") | {keys[0]: "weaker"})
    (tmp_path / "index.md").write_text(PAGE, encoding="utf-8")
    done = build(tmp_path, nb_execution_mode="off")
    assert done.returncode == 0, done.stderr
    page = BeautifulSoup((tmp_path / "html/index.html").read_text(), "html.parser")
    said = [one.get_text().replace("\N{NO-BREAK SPACE}", " ") for one in page.select(".summary p")]
    other = f"other 1 ◐ weaker, {len(keys) - 1} ○ not seen"
    assert said == [
        "Finding. The gap is −2.5 logits.",
        "Verdicts on its 2 claims: toy 2 ● holds; other 1 ● holds, 1 ✕ contradicted",
        f"Verdicts on the tests of its questions: toy {len(keys)} ● holds; {other}",
    ]


@pytest.mark.parametrize(
    "page",
    [
        path.stem
        for path in sorted((ROOT / "book").glob("*.md"))
        if "```{measured}" in path.read_text(encoding="utf-8") and path.stem not in WITHOUT
    ],
)
def test_every_page_that_measures_says_at_its_top_what_it_finds(page):
    text = (ROOT / "book" / f"{page}.md").read_text(encoding="utf-8")
    top, summary, _ = text.partition("```{summary}\n")
    assert summary, f"book/{page}.md has no summary"
    assert top.count("\n\n") == 2, "a summary stands after the title and one paragraph"
    assert "\n## " not in top


def test_a_page_can_name_the_claims_that_it_counts(tmp_path):
    write_runs(tmp_path, "toy", 0.5, {})
    top = PAGE.split("```{claim}")[0].replace("toy, other", "toy\n:claims: buffer, divergence")
    runs = [f"_executed/toy/{name}" for name in ("sec3_beliefs", "sec4_components", "appF_meaning")]
    text = "\n".join([top, "```{toctree}", *runs, "```\n"])
    (tmp_path / "index.md").write_text(text, encoding="utf-8")
    done = build(tmp_path, nb_execution_mode="off")
    assert done.returncode == 0, done.stderr
    page = (tmp_path / "html/index.html").read_text(encoding="utf-8")
    lines = [line.get_text() for line in BeautifulSoup(page, "html.parser").select(".summary p")]
    assert lines[1].replace("\N{NO-BREAK SPACE}", " ") == "Verdicts on its 2 claims: toy 2 ● holds"


def test_claims_and_questions_are_those_of_the_page():
    text = (ROOT / "book/appE_ablations.md").read_text(encoding="utf-8")
    assert list_asked(text, "claim") == ["pooling", "top-k"]
    assert list_asked(text, "question") == []
