"""The pages of functions: every public name is described, and equations and functions lead to each
other.
"""

import ast
import inspect
import re
import shutil
from importlib import import_module

import pytest
import yaml
from bs4 import BeautifulSoup

import arbitration
from arbitration.files.folders import ROOT
from directives import reference
from toy_book import build

PAGES = sorted((ROOT / "book").glob("functions*.md"))
CONFIG = yaml.safe_load((ROOT / "_config.yml").read_text(encoding="utf-8"))["sphinx"]
#: An equation with its label, as the pages have it.
EQUATION = re.compile(r"^\(eq-(\d+)\)=\n\$\$\n.*?\n\$\$\n", re.M | re.S)
#: Where each equation is written, by the table of the face, and not by what is tested.
WRITTEN = {
    1: "equations.trace.trace",
    2: "equations.lens.logits",
    3: "equations.trace.trace",
    4: "equations.trace.trace",
    5: "equations.knockout.knockout",
    6: "equations.metrics.binary_subspace",
    7: "equations.metrics.nssd",
    8: "equations.lens.phi",
    9: "equations.metrics.ldar",
    10: "equations.attribution.sublayer_increments",
    11: "equations.attribution.sublayer_increments",
    12: "equations.attribution.head_increments",
}


def write_equations():
    """The equations of the book's pages, without what stands around them."""
    pages = [path.read_text(encoding="utf-8") for path in sorted((ROOT / "book").glob("*.md"))]
    return [found for page in pages for found in EQUATION.finditer(page)]


@pytest.fixture(scope="module")
def html(tmp_path_factory):
    """The folder of the pages of functions, and one of the book's equations, as HTML."""
    folder = tmp_path_factory.mktemp("reference")
    for path in PAGES:
        text = path.read_text(encoding="utf-8")
        others = r"\[\]\((?!functions)\w+\.md\)|\((?!functions)\w+\.md\)"
        (folder / path.name).write_text(re.sub(others, "", text), encoding="utf-8")
    text = "# Toy\n\n" + "\n".join(found[0] for found in write_equations())
    names = "\n".join(path.stem for path in PAGES)
    (folder / "index.md").write_text(f"{text}\n```{{toctree}}\n{names}\n```\n", encoding="utf-8")
    shutil.copytree(ROOT / "book" / "_static", folder / "_static")
    config = CONFIG["config"]
    settings = {
        name: config[name]
        for name in config
        if name.startswith(("napoleon", "autodoc", "autosummary", "nitpick"))
    }
    lines = [f"{name} = {value!r}" for name, value in settings.items()]
    extensions = [name for name in CONFIG["extra_extensions"] if name.startswith("sphinx.ext")]
    lines += [f"extensions = {['myst_nb', 'directives', *extensions]!r}", "root_doc = 'index'"]
    lines += ["myst_enable_extensions = ['dollarmath', 'colon_fence']", "nitpicky = True"]
    (folder / "conf.py").write_text("\n".join(lines), encoding="utf-8")
    done = build(folder)
    assert done.returncode == 0, done.stderr
    return folder / "html"


def read(path):
    return BeautifulSoup(path.read_text(encoding="utf-8"), "html.parser")


def test_each_equation_of_the_pages_leads_to_its_function_and_back(html):
    """And the page that lists them, to both."""
    index, functions = read(html / "index.html"), read(html / "functions_equations.html")
    face = {a["href"] for a in read(html / "functions.html").select(".face a")}
    assert len(write_equations()) == 12 == len(index.select(".in-code"))
    for number, name in WRITTEN.items():
        place = f"functions_equations.html#arbitration.{name}"
        block = index.find(id=f"eq-{number}")
        assert block.find_next(class_="in-code").a["href"] == place
        described = functions.find(id=f"arbitration.{name}").find_parent("dl")
        back = f"index.html#eq-{number}"
        assert back in {a["href"] for a in described.select("dd > p:first-child a")}
        assert {back, place} <= face


def test_every_public_function_and_class_of_the_library_is_described(html):
    found = set()
    for page in html.glob("functions*.html"):
        found |= {sign["id"] for sign in read(page).select("dt.sig[id]")}
    missing = []
    for path in sorted((ROOT / "lib" / "arbitration").rglob("*.py")):
        module = path.relative_to(ROOT / "lib").with_suffix("").as_posix().replace("/", ".")
        if path.stem.startswith("__"):
            continue
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            public = isinstance(node, (ast.FunctionDef, ast.ClassDef)) and node.name[0] != "_"
            missing += [f"{module}.{node.name}"] if public else []
    assert len(missing) > 250
    assert [name for name in missing if name not in found] == []
    for name, module in arbitration.FACE.items():
        value = getattr(arbitration, name)
        if inspect.isfunction(value) or inspect.isclass(value):
            assert f"arbitration.{module}.{name}" in found


def test_pages_are_light_and_say_nothing_of_this_machine(html):
    for page in html.glob("functions*.html"):
        text = page.read_text(encoding="utf-8")
        assert len(text) < 1_500_000 and str(ROOT) not in text
        assert " at 0x" not in text, "a default value's address changes from build to build"
        assert "~transformers" not in text, "a signature that could not be read is plain text"


@pytest.mark.parametrize(
    "text, links",
    [
        ("As in Eq. 7.", ["Eq. 7"]),
        ("(Eqs. 10 and 11), and Eq. 2's", ["Eqs. 10", "11", "Eq. 2"]),
        ("Eqs. 1, 3 and 4 of 12 layers", ["Eqs. 1", "3", "4"]),
        ("no Eq. here, 7", []),
    ],
)
def test_mentions_of_equations_become_links(text, links):
    parts = reference.split_mentions(text)
    assert "".join(part.astext() for part in parts) == text
    assert [part.astext() for part in parts if part.tagname == "pending_xref"] == links


def test_a_name_means_what_its_own_file_calls_so_or_what_is_called_so_once():
    meant = reference.resolve_name
    assert meant("load", "arbitration.models.load") == "arbitration.models.load.load"
    assert meant("load", "arbitration.equations.lens") == "arbitration.models.load.load"
    assert meant("read_table", "arbitration") is None
    assert meant("subject", "arbitration.dataset.sets") is None, "a module and a function"
    assert meant("metrics.nssd", "arbitration") == "arbitration.equations.metrics.nssd"
    assert meant("Subject", "arbitration") == "arbitration.models.subject.Subject"
    assert meant("y_p", "arbitration.equations.metrics") is None
    for room in reference.list_rooms():
        for module in reference.list_modules(room):
            import_module(module)
    with pytest.raises(ValueError, match="no room 'arbitration.cellar'"):
        reference.list_modules("arbitration.cellar")
