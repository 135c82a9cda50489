"""What code means and reaches: pairs of programs that are the same or are not, and the modules
behind a measure.
"""

import ast

import pytest

from arbitration.files import code
from arbitration.files.folders import DATA, ROOT

PROGRAM = '''"""What it does."""
import math

#: half
HALF = 0.5

def area(radius, whole=True):
    """Of a disc."""
    return math.pi * radius**2 * (1 if whole else HALF)
'''


def meaning(source):
    return code.hash_meaning(ast.parse(source))


@pytest.mark.parametrize(
    "old, new",
    [
        ("What it does.", "What it really does."),
        ('    """Of a disc."""\n', ""),
        ("#: half\n", "# one half, as a number\n"),
        ("(radius, whole=True)", "(\n    radius,\n    whole=True,\n)"),
        ("math.pi * radius**2", "(math.pi * radius ** 2)"),
    ],
)
def test_words_and_layout_are_no_meaning(old, new):
    assert old in PROGRAM
    assert meaning(PROGRAM.replace(old, new)) == meaning(PROGRAM)


@pytest.mark.parametrize(
    "old, new",
    [
        ("0.5", "0.25"),
        ("* radius**2", "+ radius**2"),
        ("1 if whole else HALF", "HALF if whole else 1"),
        ("whole=True", "whole=False"),
        ("import math", "import cmath as math"),
    ],
)
def test_a_constant_an_operator_and_an_order_are(old, new):
    assert old in PROGRAM
    assert meaning(PROGRAM.replace(old, new)) != meaning(PROGRAM)


def test_a_module_reaches_what_its_imports_lead_to_and_no_more():
    beliefs = code.reach("reproduction.measures.beliefs")
    assert {"arbitration.equations.lens", "arbitration.equations.trace"} <= beliefs.keys()
    assert all(path == code.find_module(name) for name, path in beliefs.items())
    others = (
        "arbitration.engine",
        "reproduction.results",
        "reproduction.figures",
        "reproduction.numbers",
    )
    assert not [name for name in beliefs if name.startswith(others)]
    assert "arbitration.engine.resume" in code.reach("reproduction.measures.paths")
    assert "reproduction.measures.ability" not in code.reach("reproduction.measures.paths")


def test_what_makes_dictionaries_reads_tables_or_judges_reaches_no_measure():
    """An edit there throws no measurement away."""
    measured, made = {}, code.reach("reproduction.measures.organisms")
    for path in sorted((ROOT / "lib" / "reproduction" / "measures").glob("*.py")):
        if path.stem not in ("organisms", "__init__"):  # the face names all
            measured |= code.reach(f"reproduction.measures.{path.stem}")
    bystanders = ("arbitration.dictionary", "arbitration.checks", "press", "recipe")
    readers = ("results", "cohorts", "claims", "numbers", "figures")
    bystanders += tuple(f"reproduction.{room}" for room in readers)
    assert len(measured) > 30
    assert [name for name in measured if name.startswith(bystanders)] == []
    planted = "arbitration.checks.planted"
    assert planted in made, "what is measured on hand-made models depends on them"
    others = [name for name in made if name.startswith(bystanders)]
    assert all(name.startswith(planted) or name == "arbitration.checks" for name in others)


def test_a_notebook_s_face_leads_to_all_that_it_names():
    assert code.find_imports(ast.parse("import arbitration as arb\nimport numpy")) == [
        "arbitration"
    ]
    assert "arbitration.engine.sweep" in code.reach("arbitration")


def test_data_is_named_where_paths_are_built():
    """Other ways to come to a file below data/ would stay unseen."""
    assert code.find_data(
        ast.parse('x = folders.DATA / "scenes" / "a.json"; y = DATA / "text"')
    ) == {
        "scenes",
        "text",
    }
    unseen = []
    for path in sorted((ROOT / "lib").rglob("*.py")):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        uses = [
            node
            for node in ast.walk(tree)
            if getattr(node, "id", getattr(node, "attr", "")) == "DATA"
        ]
        named = [
            node.left
            for node in ast.walk(tree)
            if isinstance(node, ast.BinOp) and isinstance(node.right, ast.Constant)
        ]
        unseen += [
            path.name for node in uses if node not in named and isinstance(node.ctx, ast.Load)
        ]
    # `shipped` compares what others name, and no number depends on its list.
    known = ("code.py", "reported.py", "shipped.py")
    assert [name for name in unseen if name not in known] == []
    assert DATA / "scenes" / "samples.jsonl" in code.data_files(["arbitration.dataset.sets"])


def test_what_was_edited_counts_when_it_is_looked_at_again(tmp_path, monkeypatch):
    monkeypatch.setattr(code, "LIBRARIES", tmp_path)
    monkeypatch.setattr(code, "PACKAGES", ("one", "two"))
    (tmp_path / "one.py").write_text("import two\n")
    (tmp_path / "two.py").write_text("HALF = 0.5\n")
    before = code.hash_modules(code.reach("one"))
    (tmp_path / "two.py").write_text("HALF = 0.25\n")
    assert code.hash_modules(code.reach("one")) == before, (
        "a process that measures holds what it began with"
    )
    code.look_again()
    assert code.hash_modules(code.reach("one")) != before
    code.look_again()
