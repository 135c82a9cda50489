"""Full runs: their parameters in one place, checked before anything runs."""

import ast
import json
import subprocess
import sys

import nbformat
import papermill
import pytest

from arbitration.models import catalogue
from press import pair, planned, run
from toy_notebook import contents

FULL = {"toy": {"n": 9, "shares": [0.1, 0.2]}}


@pytest.fixture
def toy(tmp_path):
    """A folder with the notebook `toy` and its full parameters; a folder of published runs."""
    notebook = nbformat.v4.new_notebook(
        cells=[
            nbformat.v4.new_code_cell(
                'model = "smol"\nn = 1\nshares = [0.1]', metadata={"tags": ["parameters"]}
            )
        ]
    )
    notebook.metadata["kernelspec"] = pair.KERNEL
    sources = tmp_path / "notebooks"
    sources.mkdir()
    nbformat.write(notebook, sources / "toy.ipynb")
    (tmp_path / "_toc.yml").write_text(contents("toy"))
    (sources / "full.json").write_text(json.dumps(FULL))
    return sources, tmp_path / "_executed"


PLANS = """
import sys
from press import planned, publish, run

runs = planned.plan([], [], {}, full=planned.full_parameters())
assert {one.title for one in runs} and run.group_small(runs)
assert publish.fingerprint(runs[0]) and planned.contributed_runs(publish.listed()) is not None
print(sorted({"torch", "transformers"} & {*sys.modules}))
"""


def test_a_plan_waits_for_no_torch():
    found = subprocess.run(
        [sys.executable, "-c", PLANS], capture_output=True, encoding="utf-8", check=True
    )
    assert found.stdout == "[]\n"


def test_every_notebook_has_full_parameters_that_it_knows():
    full = planned.full_parameters()
    known = run.plan([], ["smol"], {}, full=full)
    assert {one.source.stem for one in known} == set(full)
    for one in known:
        defaults = papermill.inspect_notebook(one.source)
        for name, value in full[one.source.stem].items():
            default = ast.literal_eval(defaults[name]["default"])
            assert type(value) is type(default), f"{one.source.stem}: {name}"
            assert name == "stride" or value > default or len(value) > len(default), (
                "a full run is the larger one"
            )
    assert all(
        full[name]["draws"] >= 100 and full[name]["elsewhere"] >= 10 and full[name]["n"] == 60
        for name in ("sec4_heads", "sec4_sensitivity")
    )


def test_a_given_parameter_goes_before_the_full_one(toy):
    (one,) = run.plan(["toy"], ["smol"], {"n": 2}, toy[0], FULL)
    assert one.parameters == {"n": 2, "shares": [0.1, 0.2], "model": "smol"}


def test_the_positive_control_is_run_at_the_default_size(toy, monkeypatch):
    large, small = run.plan(["toy"], ["smol", catalogue.MASKED], {}, toy[0], FULL)
    assert large.parameters == {"n": 9, "shares": [0.1, 0.2], "model": "smol"}
    assert small.parameters == {"model": "smol-masked"}
    monkeypatch.setattr(planned, "CONTROL_FULL", ("toy",))
    (large,) = run.plan(["toy"], [catalogue.MASKED], {}, toy[0], FULL)
    assert large.parameters == {"n": 9, "shares": [0.1, 0.2], "model": "smol-masked"}


def test_what_closes_paths_in_the_positive_control_has_its_full_size():
    sizes = {
        one.source.stem: one.parameters
        for one in run.plan([], [catalogue.MASKED], {}, full=planned.full_parameters())
    }
    assert sizes["sec3_knockout"] == {"n": 128, "n_controls": 64, "model": "smol-masked"}
    assert sizes["sec4_heads"] == {"model": "smol-masked"}


@pytest.mark.parametrize(
    "full, message",
    [
        ({"toy": {"nn": 3}}, "unknown parameter of toy 'nn'; did you mean 'n'?"),
        ({"toy": {}, "tyo": {}}, "unknown notebook of full.json 'tyo'; did you mean 'toy'?"),
        ({}, "full.json says nothing about toy"),
    ],
)
def test_wrong_full_parameters_are_refused_before_anything_runs(toy, full, message):
    with pytest.raises(ValueError) as error:
        run.plan([], ["smol"], {}, toy[0], full)
    assert message in str(error.value)


def test_the_command_hands_full_on_to_each_model(monkeypatch, tmp_path):
    handed, models = [], []

    def side_by_side(named, options):
        models.append(named)
        handed.append(options)
        return 0

    monkeypatch.setattr(run, "side_by_side", side_by_side)
    assert run.main(["--full", "--into", str(tmp_path)]) == 0 == run.main(["--into", str(tmp_path)])
    assert ["--full" in options for options in handed] == [True, False]
    few, all_of_them = models[0]["smol-masked"], models[0]["smol"]
    assert few[:2] == ["--model", "smol-masked"]
    assert {"--notebook=sec3_routes", "--notebook=sec4_heads"} <= set(few[2:]) < set(all_of_them)
    assert models[0]["organisms"] == ["--model", "smol", "--notebook=organisms"]
    assert all_of_them[2:] == models[0]["smol-relay"][2:], "they end at the same time"
