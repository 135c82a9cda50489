"""Claims, their tests and figures in tabs, one a model: also of one that the book does not know."""

import json
import re
import shlex
from urllib.parse import unquote

import nbformat
import pandas as pd
import pytest
from bs4 import BeautifulSoup
from docutils import nodes

from directives import claims, findings
from directives.base import SHAPES
from directives.contents import write_index
from directives.judged import (
    Tested,
    count_words,
    expected,
    find_decisive,
    judge,
    tell_cell,
    tell_decisive,
)
from directives.sources import find_run, write_command
from reproduction.claims import predicted, reported, rules
from toy_book import build, glue

#: The most that a folder's name may have, and what its run may be given: words that would be the
#: page's own if they were not shown as they are.
ODD = "local/_épreuve_-1.5+x=2_"
HOSTILE = (
    """<script>throw new Error("pwned")</script> "><img src=x onerror="throw Error('pwned')"> """
    "[pwned](javascript:alert(1)) {{ pwned }} {verdict}`pwned` | a $x$ \\frac{a &lt; # *pwned*\n"
    "`````\n# pwned\n```\n"
)
MODELS = ("smol", "smol-relay", ODD, "org/name")
PAGE = """# Toy

```{claim} anchor-text
```

```{measured} fig4
What it shows.
```

```{tests} anchor-text
```

```{finding} Nothing is found
:figure: fig4
:verdicts: anchor-text, sec3_knockout.contrast_anchor_text_verdict
:if: smol anchor-text holds; smol-relay anchor-text not seen
:page: claims
In {glue:text}`_executed/smol/sec3_knockout.ipynb::n_text:.0f` samples.
```

```{toctree}
_executed/smol/sec3_knockout
_executed/smol-relay/sec3_knockout
_executed/org/name/sec3_knockout
_executed/local/_épreuve_-1.5+x=2_/sec3_knockout
_executed/local/_épreuve_-1.5+x=2_/index
claims
```
"""
CLAIMS = """# Claims

```{verdicts}
:only: anchor-text
```

```{records}
```

(verdict-anchor-text)=
## Decided
"""


@pytest.fixture(scope="module")
def claim():
    return next(one for one in predicted.predicted_claims() if one.id == "anchor-text")


def keys_of(claim):
    """Every number that the directives ask a run for."""
    (shown,) = [one for one in reported.reported_claims() if one.id == claim.id]
    asked = [claims.cell(one, "m", "sec3_knockout") for one in shown.quantities]
    asked += [claims.room_cell("m", "sec3_knockout"), claims.samples_cell(shown, "m")]
    keys = set(re.findall(r"ipynb::(\w+):", "".join(asked)))
    for test in claim.predictions:
        keys |= {*test.keys, *test.n}
    return keys, [finer.key.removesuffix("_verdict") for finer in shown.verdicts]


def write_run(folder, model, claim, above):
    """A run in which every number is `above`, and its interval half a unit to either side."""
    figures, tables = folder / "figures", folder / "tables"
    figures.mkdir(parents=True)
    tables.mkdir()
    for theme in ("light", "dark"):
        (figures / f"fig4-{theme}.svg").write_text(
            '<svg xmlns="http://www.w3.org/2000/svg" width="1" height="1"/>'
        )
    about = {"alt": f"A line at {above}.", "data": ["fig4"]}
    (figures / "fig4.json").write_text(json.dumps(about))
    pd.DataFrame({"layer": [0], "nssd": [above]}).to_parquet(figures / "fig4.parquet")
    (figures / "fig4.csv").write_text(f"layer,nssd\n0,{above}\n")
    keys, finer = keys_of(claim)
    numbers = {
        key: above + 0.5 * key.endswith("_high") - 0.5 * key.endswith("_low") for key in keys
    }
    for name in finer:
        numbers |= {f"{name}_verdict": "holds", f"{name}_size": "d = 1, n = 3", f"{name}_seen": 0.1}
    cell = nbformat.v4.new_code_cell('figures.publish(figure, "fig4", model, alt=words)')
    cell.outputs = [glue(*one) for one in numbers.items()]
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_markdown_cell("# Run"), cell])
    notebook.metadata["language_info"] = {"name": "python", "pygments_lexer": "ipython3"}
    given = {"model": model, "n": 3, "data": "my set"}
    given |= {"instruction": HOSTILE} if model == ODD else {}
    notebook.metadata["papermill"] = {"parameters": given, "duration": 61.4}
    nbformat.write(notebook, folder / "sec3_knockout.ipynb")
    files = {"inputs": "x", "files": {"figures/fig4.json": "y"}}
    (folder / "sec3_knockout.stamp.json").write_text(json.dumps(files))
    about = {"model": model, "revision": "r1", "dtype": "float32", "code": "c0de"}
    about |= {"device": "cpu", "packages": {"torch": "2.9"}}
    (tables / "sec3_knockout_origins.json").write_text(json.dumps(about))
    said = {"origin": f"measured here, 3 prompts{f' {HOSTILE}' * (model == ODD)}"}
    counted = {"taken": 0, "here": 3, "checked": 0, "faults": 0, "largest": 0.0}
    origins = pd.DataFrame([{"model": model, "table": "knockout", **said, **counted}])
    origins.to_parquet(tables / "sec3_knockout_origins.parquet")


@pytest.fixture(scope="module")
def toy(tmp_path_factory, claim):
    """A book with four models: one that holds, one that contradicts, two that cannot tell, of which
    one has an odd name.
    """
    folder = tmp_path_factory.mktemp("toy")
    for model, above in zip(MODELS, (1.0, -1.0, 0.3, 0.3)):
        write_run(folder / "_executed" / model, model, claim, above)
    (folder / "_toc.yml").write_text("meta:\n  notebooks: [sec3_knockout]\n")
    (folder / "_executed" / ODD / "index.md").write_text(write_index(ODD))
    (folder / "index.md").write_text(PAGE)
    (folder / "claims.md").write_text(CLAIMS)
    done = build(folder, nb_execution_mode="off")
    assert done.returncode == 0, done.stderr
    return folder / "html"


def cell_of(model):
    return nodes.make_id(f"cell-{model}-fig4".replace("/", "-"))


def read(path):
    return BeautifulSoup(path.read_text(encoding="utf-8"), "html.parser")


def test_every_model_has_a_tab_with_its_verdict_and_the_test_that_decides(toy):
    page = read(toy / "index.html")
    labels = page.select("#claim-anchor-text label")
    assert [label.get_text(" ", strip=True) for label in labels] == [
        "smol ●\N{NO-BREAK SPACE}holds",
        "smol-relay (planted) ✕\N{NO-BREAK SPACE}contradicted",
        f"{ODD} ○\N{NO-BREAK SPACE}not\N{NO-BREAK SPACE}seen",
        "org/name ○\N{NO-BREAK SPACE}not\N{NO-BREAK SPACE}seen",
    ]
    assert [label["data-sync-id"] for label in labels] == list(MODELS)
    assert {label["data-sync-group"] for label in page.select("label")} == {"model"}
    told = [one.get_text() for one in page.select("#claim-anchor-text .decisive")]
    assert "1.000 [0.500,\N{NO-BREAK SPACE}1.500]" in told[0] and "Of 3 tests, 3 hold." in told[0]
    assert (
        "−1.000 [−1.500,\N{NO-BREAK SPACE}−0.500]" in told[1] and "Of 3 tests, 0 hold." in told[1]
    )
    link = page.select_one("#claim-anchor-text .decisive a")
    assert link["href"] == "claims.html#verdict-anchor-text"


def test_the_tests_of_a_claim_are_folded_with_a_column_a_model(toy, claim):
    page = read(toy / "index.html")
    fold = page.select_one("details#tests-anchor-text, #tests-anchor-text details")
    assert fold is not None and not fold.has_attr("open")
    deciding, measured = fold.select("table")
    assert fold.select(".deciding table") == [deciding], "which print leaves to the claims page"
    for table in (deciding, measured):
        heads = [cell.get_text() for cell in table.select("th")]
        assert heads[2:] == ["smol", "smol-relay (planted)", ODD, "org/name"]
    rows = [[cell.get_text() for cell in row.select("td")] for row in deciding.select("tbody tr")]
    assert [row[0].replace("’", "'") for row in rows] == [one.what for one in claim.predictions]
    words = [cell.replace("\N{NO-BREAK SPACE}", " ").split(": ")[-1] for cell in rows[0][2:]]
    assert words == ["● holds", "✕ contradicted", "○ not seen", "○ not seen"]
    rows = [row.get_text() for row in measured.select("tbody tr")]
    assert sum("holds" in row for row in rows) >= 1 and any("1.00 [0.50" in row for row in rows)


def test_under_each_figure_stand_its_cell_data_command_and_provenance(toy):
    page = read(toy / "index.html")
    (figure,) = page.select("#fig4")
    assert [img["alt"] for img in figure.select("img.only-light")] == [
        "A line at 1.0.", "A line at -1.0.", "A line at 0.3.", "A line at 0.3."
    ]  # fmt: skip
    for model, sources in zip(MODELS, figure.select(".figure-sources"), strict=True):
        links = {link.get_text(): link["href"] for link in sources.select("a")}
        page, _, place = links["source"].partition("#")
        assert (unquote(page), place) == (f"_executed/{model}/sec3_knockout.html", cell_of(model))
        links = {name: unquote(link) for name, link in links.items()}
        csv = (toy / links["data (csv)"]).read_text()
        assert csv.startswith("layer,nssd\n0,")
        assert len(pd.read_parquet(toy / links["data (parquet)"])) == 1
        command = sources.select_one("pre").get_text().strip()
        more = f"-p instruction {shlex.quote(HOSTILE)} " * (model == ODD)
        assert command == (
            f".venv/bin/instruction-anchors run sec3_knockout -p model {shlex.quote(model)} "
            f"-p data 'my set' {more}-p n 3"
        )
        said = sources.get_text(" ")
        for word in ("r1", "float32", "c0de", "torch 2.9", "61 s on cpu", "measured here, 3"):
            assert word in said
        target = read(toy / "_executed" / model / "sec3_knockout.html")
        assert target.select_one(f"#{cell_of(model)}") is not None


def test_a_further_model_has_a_column_on_the_page_of_claims(toy):
    heads = [cell.get_text() for cell in read(toy / "claims.html").select("th")]
    assert {"org/name (rule 1)", f"{ODD} (rule 1)"} <= set(heads)


def test_words_of_others_are_shown_and_never_run(toy):
    """Of a model's name, and of what its run was given and says."""
    shown = 0
    for path in toy.rglob("*.html"):
        page = read(path)
        shown += page.get_text().count("[pwned](javascript:alert(1)) {{ pwned }}")
        assert not page.select("main img[onerror], main a[href^=javascript]"), path
        marked = page.find_all(["b", "i", "em", "h1", "h2", "script"], string=re.compile("pwned"))
        assert marked == [] and not page.select("main .verdict-pwned, main h1 em"), path
    assert shown >= 4
    lines = read(toy / "claims.html").select("tr")
    (told,) = [row for row in lines if row.td and row.td.get_text() == ODD and "3 prom" in str(row)]
    assert len(told.select("td")) == 4 and HOSTILE.split()[0] in told.get_text()
    assert read(toy / "_executed" / ODD / "index.html").h1.get_text().startswith(ODD)


def test_a_model_of_a_repository_or_a_folder_is_in_the_table_of_records(toy):
    models = [row.td.get_text() for row in read(toy / "claims.html").select("tr") if row.td]
    assert {*MODELS} <= set(models)


def test_a_finding_has_its_sentence_its_verdicts_and_its_picture(toy, claim):
    (finding,) = read(toy / "index.html").select(".finding")
    assert finding.select_one(".finding-title a")["href"] == "claims.html"
    assert "In 1 samples." in finding.select_one(".finding-told").get_text()
    lines = [one.get_text() for one in finding.select(".finding-verdict")]
    told = [line.replace("\N{NO-BREAK SPACE}", " ") for line in lines]
    said = f"The paper: {claim.statement}".replace("'", "’")
    words = "smol ● holds; smol-relay (planted) ✕ contradicted"
    assert told[0] == f"{said} {words}; {ODD} ○ not seen; org/name ○ not seen"
    tested = told[1].split(": ")
    (shown,) = [one for one in reported.reported_claims() if one.id == "anchor-text"]
    key = "contrast_anchor_text_verdict"
    (what,) = [finer.what for finer in shown.verdicts if finer.key == key]
    assert tested[0].lower() == what.lower()
    held = ["smol", "smol-relay (planted)", ODD, "org/name"]
    assert tested[-1] == "; ".join(f"{model} ● holds" for model in held)
    assert len(finding.select("img.only-light")) == len(MODELS)


def test_a_heading_says_where_the_run_has_another_verdict_than_it_supposes(toy, claim):
    (finding,) = read(toy / "index.html").select(".finding")
    title = finding.select_one(".finding-title").get_text().replace("\N{NO-BREAK SPACE}", " ")
    said = claim.statement.replace("'", "’")
    unmet = f"Not in this run: smol-relay (planted), The paper: {said} ✕ contradicted"
    assert title == f"Nothing is found {unmet}"


@pytest.mark.parametrize("text", ["smol anchor-text", "smol", "smol anchor-text agrees", "a b, c"])
def test_what_a_heading_supposes_wrongly_is_named(text):
    with pytest.raises(ValueError, match="write a model, a claim .* contradicted, not seen") as why:
        findings.read_supposed(f"smol alignment holds; {text};")
    assert repr(text) in str(why.value)
    two = findings.read_supposed("smol alignment not seen; org/name steer.way_verdict holds;")
    assert two == [("smol", "alignment", "not seen"), ("org/name", "steer.way_verdict", "holds")]


def test_the_words_of_a_test_are_those_of_its_numbers(claim):
    """By hand: 0.3 with 0.1 to 0.5 ends at the bound 0.1, so it is not seen."""
    first = claim.predictions[0]
    numbers = dict.fromkeys(first.n, 64.0)
    numbers |= {first.key: 0.3, f"{first.key}_low": 0.1, f"{first.key}_high": 0.5}
    tested = judge(first, numbers)
    assert (first.above, tested.word, tested.n) == (0.1, "not seen", (64.0,))
    assert tell_cell(tested).startswith("0.300 [0.100,\N{NO-BREAK SPACE}0.500], n")
    assert expected(first) == "above 0.1 nats"
    flat = Tested(first, (0.3, 0.3, 0.3), (3.0,), "not seen")
    assert tell_cell(flat).endswith("without width"), "not *seen from 0.000*"
    lacking = judge(first, {})
    assert lacking.word == "not measured" and set(lacking.missing) == {*first.keys, *first.n}
    assert tell_cell(lacking) == "–"


def test_the_test_that_decides_is_the_first_of_the_worst(claim):
    first, second = (Tested(one, (1.0, 0.5, 1.5), (3.0,)) for one in claim.predictions[:2])
    words = ["holds", "not seen"]
    tests = [
        Tested(one.prediction, one.told, one.n, word) for one, word in zip((first, second), words)
    ]
    assert find_decisive(tests) is tests[1]
    assert tell_decisive(tests).endswith("Of 2 tests, 1 holds.")
    assert find_decisive([tests[0], tests[0]]) is tests[0]
    assert set(SHAPES) == set(rules.VERDICTS) and len(set(SHAPES.values())) == len(SHAPES)
    assert count_words(["not seen", "holds", "holds"]) == "3 tests: 2 holds, 1 not seen"


def test_what_no_run_has_published_has_no_sources(tmp_path):
    assert find_run(tmp_path, "fig4") == ""
    given = {"metadata": {"papermill": {"parameters": {"shares": [0.05], "measure": True}}}}
    parameters = "-p measure true -p shares '[0.05]'"
    command = f".venv/bin/instruction-anchors run sec4_heads {parameters}"
    assert write_command(given, "sec4_heads") == command
