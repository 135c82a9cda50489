"""The book's directive for measured figures: what it shows, and that what is missing breaks the
build.
"""

import json
from pathlib import Path

import nbformat
import pytest
from bs4 import BeautifulSoup

from toy_book import build

PIXEL = (
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5E"
    "rkJggg=="
)
PAGE = """# Toy

```{measured} fig5b
:models: smol

What it *shows*.
```

See {ref}`fig5b`.
"""


@pytest.fixture
def toy(tmp_path):
    """A book of one page and one notebook, whose figure and picture are described."""
    figures = tmp_path / "_executed" / "smol" / "figures"
    figures.mkdir(parents=True)
    for theme in ("light", "dark"):
        (figures / f"fig5b-{theme}.svg").write_text(
            '<svg xmlns="http://www.w3.org/2000/svg" width="1" height="1"/>'
        )
    (figures / "fig5b.json").write_text(json.dumps({"alt": "A flat line."}))
    cell = nbformat.v4.new_code_cell('figures.publish(figure, "fig5b", model, alt=words)')
    cell.outputs = [nbformat.v4.new_output("display_data", data={"image/png": PIXEL})]
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_markdown_cell("# Run"), cell])
    notebook.metadata["language_info"] = {"name": "python", "pygments_lexer": "ipython3"}
    nbformat.write(notebook, tmp_path / "_executed" / "smol" / "run.ipynb")
    (tmp_path / "index.md").write_text(PAGE + "\n```{toctree}\n_executed/smol/run\n```\n")
    return tmp_path


def test_a_figure_appears_in_both_themes_with_its_number_and_description(toy):
    done = build(toy, nb_execution_mode="off")
    assert done.returncode == 0, done.stderr
    page = BeautifulSoup((toy / "html/index.html").read_text(), "html.parser")
    pictures = {picture["class"][0]: picture for picture in page.select(".measured img")}
    assert {theme: Path(picture["src"]).name for theme, picture in pictures.items()} == {
        "only-light": "fig5b-light.svg",
        "only-dark": "fig5b-dark.svg",
    }
    assert {picture["alt"] for picture in pictures.values()} == {"A flat line."}
    assert page.select_one(".measured-caption").text == "Figure 5b. What it shows."
    assert page.select_one('a.internal[href="#fig5b"]').text == "Figure 5b"
    run = BeautifulSoup((toy / "html/_executed/smol/run.html").read_text(), "html.parser")
    assert [picture["alt"] for picture in run.select(".cell_output img")] == ["A flat line."]


def test_a_missing_figure_and_an_undescribed_picture_break_the_build(toy, nb_execution_mode="off"):
    (toy / "_executed/smol/figures/fig5b-dark.svg").unlink()
    (toy / "_executed/smol/figures/fig5b.json").unlink()
    done = build(toy, nb_execution_mode="off")
    assert done.returncode != 0
    assert (
        "figure 'fig5b' of model 'smol' is not there (fig5b-dark.svg, fig5b.json with alt)"
        in done.stderr
    )
    assert "a picture without alternative text" in done.stderr
