"""Parameters of the notebooks: what a shell line says is what is meant, and what cannot be is
refused before anything is loaded.
"""

import ast
from dataclasses import fields

import jupytext
import papermill
import pytest
from papermill.cli import _resolve_type

from arbitration.equations import lens
from arbitration.models.prompt import TokenGroups
from press import planned, publish
from reproduction import parameters
from reproduction.measures import steering
from reproduction.parameters import check_parameters

NOTEBOOKS = publish.listed()


def declared(name):
    """A notebook's parameters with their defaults."""
    return {
        key: ast.literal_eval(one["default"])
        for key, one in papermill.inspect_notebook(
            publish.ROOT / "notebooks" / f"{name}.ipynb"
        ).items()
    }


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_every_parameter_has_a_rule_and_its_default_keeps_it(name):
    defaults = declared(name)
    assert defaults.keys() <= parameters.RULES.keys()
    assert check_parameters(defaults) == defaults


def test_the_words_of_a_rule_are_those_that_the_library_takes():
    words = {name: rule.names for name, rule in parameters.RULES.items() if hasattr(rule, "names")}
    assert words["pooling"] == lens.POOLINGS and words["place"] == steering.PLACES
    groups = {one.name for one in fields(TokenGroups)} | {"text", "after"}
    assert set(words["positions"]) == groups


@pytest.mark.parametrize(
    "typed, name, meant",
    [
        ("false", "norm", False),
        ("False", "norm", False),
        ("TRUE", "only_following", True),
        ("12", "n", 12),
        ("1e3", "n", 1000),
        ("4.0", "n", 4),
        ("[0.1, 0.2]", "shares", [0.1, 0.2]),
        ("0.1, 0.2", "shares", [0.1, 0.2]),
        ("[1, 3]", "widths", [1, 3]),
        ("2", "factor", 2),
        ("1", "share", 1),
        ('["apple", "pear"]', "answers", ["apple", "pear"]),
        ("['2', '3']", "answers", ["2", "3"]),
        ("[2, 3]", "answers", ["2", "3"]),
        ("[]", "answers", []),
        ("['vision→last']", "pathways", ["vision→last"]),
        ("mean", "pooling", "mean"),
        ("last", "positions", "last"),
        ("What is $x$?", "question", "What is $x$?"),
        ("", "context", ""),
        (str(2**60 + 1), "seed", 2**60 + 1),
    ],
)
def test_a_typed_value_means_the_same_by_papermill_and_by_the_runner(typed, name, meant):
    for value in (typed, _resolve_type(typed), meant):
        found = check_parameters({name: value})[name]
        assert found == meant and type(found) is type(meant)


@pytest.mark.parametrize(
    "name, value, said",
    [
        ("n", 0, "n is 0; it must be a whole number from 1 to 1000000; nearest: 1"),
        ("n", -1, "nearest: 1"),
        ("n", "ten", "n is 'ten'; it must be a whole number from 1 to 1000000"),
        ("n", 2.6, "nearest: 3"),
        ("n", True, "a whole number"),
        ("n", None, "a whole number"),
        ("n", "nan", "a whole number"),
        ("draws", 0, "nearest: 1"),
        ("seed", -1, "at least 0; nearest: 0"),
        ("width", 4, "an odd number from 1 to 999; nearest: 5"),
        ("widths", [1, 4], "each of its values an odd number from 1 to 999; nearest: 5"),
        ("widths", 3, "a list, such as [1, 3, 5]"),
        ("shares", [], "not empty"),
        ("shares", [0.0], "a number above 0 and at most 1"),
        ("share", 1.5, "nearest: 1"),
        ("factors", [-1], "nearest: 0"),
        ("factor", "inf", "a number from 0 to 1000"),
        ("norm", "no", "true or false; nearest: false"),
        ("norm", 1, "true or false; nearest: true"),
        ("norm", 2, "true or false"),
        ("pooling", "Mean", "one of max, mean; nearest: mean"),
        ("weights", "rand", "nearest: random"),
        ("following", "picture", "one of vision, text"),
        ("place", "every", "nearest: everywhere"),
        ("pathways", ["vision-last"], "nearest: vision→last"),
        ("question", 42, "-r NAME VALUE"),
        ("split", "", "a name that is not empty"),
        ("data", "scense", "unknown data set 'scense'"),
        ("image", "none.png", "there is no picture 'none.png'; relative paths start from"),
    ],
)
def test_what_a_parameter_cannot_be_is_refused_with_what_it_could(name, value, said):
    with pytest.raises(ValueError) as error:
        check_parameters({name: value})
    assert said in str(error.value)


def test_all_that_is_wrong_is_said_at_once():
    with pytest.raises(
        ValueError,
        match=r"n is 0; .*\. norm is 'off'; .*\. split is 'hold'; "
        r"it must be one of iid, held, held_style; nearest: held",
    ):
        check_parameters({"n": 0, "norm": "off", "data": "scenes", "split": "hold", "seed": 1})


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_a_notebook_refuses_before_it_loads_a_model_and_reads_typed_values(name, monkeypatch):
    class Loaded(Exception):
        pass

    def load(*_):
        raise Loaded

    monkeypatch.setattr("arbitration.models.load.load", load)
    cells = [
        cell
        for cell in jupytext.read(publish.ROOT / "notebooks" / f"{name}.py").cells
        if cell.cell_type == "code"
    ][:2]
    for change, expected in (
        ({"n": 0}, ValueError),
        ({"n": "7", "only_following": "false"}, Loaded),
    ):
        scope: dict = {}
        exec(cells[0].source, scope)
        scope.update({key: value for key, value in change.items() if key in scope})
        scope["elsewhere_rebound"] = object()
        with pytest.raises(expected):
            exec(cells[1].source, scope)
    assert scope["n"] == 7 and scope.get("only_following", False) is False


def test_a_cell_that_is_run_again_leaves_what_the_notebook_has_bound_meanwhile():
    table = object()
    names = {"n": "3", "answers": table, "pathways": [table]}
    parameters.settle(names)
    assert names == {"n": 3, "answers": table, "pathways": [table]}


ODD = ("_épreuve_-1.5+x=2_", "epoch=3-step=100", "Qwen2.5-VL-7B-Instruct", "模型", "a" * 80)
HOSTILE = (
    '<img src=x onerror="pwned">',
    "`pwned`",
    "{{ pwned }}",
    "a b",
    "a#b",
    "a?b",
    "a%20b",
    "$x$",
    "*x*",
    "[x](y)",
    "a|b",
    "a'b",
    "a&b",
    "a:b",
    "a,b",
    "a--b",
    "a..b",
    ".a",
    "-a",
    "a.",
    "a\nb",
    "a\n",
    "a\\b",
    "a" * 81,
)


@pytest.mark.parametrize("name", ODD)
def test_a_model_s_folder_may_be_called_by_letters_digits_and_single_marks(name, tmp_path):
    (tmp_path / name).mkdir()
    given = {"model": str(tmp_path / name)}
    assert check_parameters(given) == given


@pytest.mark.parametrize("name", HOSTILE)
def test_a_folder_whose_name_would_mean_something_in_a_page_is_refused_before_it_is_loaded(
    name, tmp_path, monkeypatch
):
    """Whether it is typed, led to by a link, or the folder that the command stands in."""
    (folder := tmp_path / "in" / name).mkdir(parents=True)
    (tmp_path / "plain").symlink_to(folder)
    (folder / "config.json").write_text("{}")
    monkeypatch.chdir(folder)
    for given in (str(folder), str(tmp_path / "plain"), "."):
        with pytest.raises(ValueError, match="a folder with another name .* rename the folder"):
            check_parameters({"model": given})
        with pytest.raises(ValueError, match="sec2_dataset: model is .* rename the folder"):
            planned.plan(["sec2_dataset"], [given], {})


def test_a_model_that_is_no_folder_is_left_to_whoever_loads_it():
    for name in ("smol", "smol-merge-0.25", "org/name", "<img>", "a" * 5000, "a\0b"):
        assert check_parameters({"model": name}) == {"model": name}
