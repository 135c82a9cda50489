"""Full runs: their parameters in one place, checked before anything runs; and the numbers of the
first ones, shown with what they were made with.
"""

import ast
import json

import nbformat
import papermill
import pytest

from arbitration.models import embedded
from directives.full_runs import compare_runs, judge_claims, list_origins
from press import pair, planned, run
from reproduction.claims import predicted, reported
from reproduction.claims.recorded import FORMER, judge_numbers, read_records
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
    assert {"sec3_routes", "sec4_heads"} <= set(few) < set(all_of_them)
    assert "organisms" in all_of_them and "organisms" not in models[0]["smol-relay"]


def test_the_page_sets_both_runs_side_by_side():
    name = "contrast_relay_vision"
    numbers = {
        name: 0.512,
        f"{name}_low": 0.25,
        f"{name}_high": 0.75,
        f"{name}_verdict": "holds",
        f"{name}_size": "d = 0.40, n = 200",
        "n_text": 180.0,
        "n_vision": 200.0,
        "size_compensation_text": None,
    }
    records = {
        "sec3_knockout": {
            "numbers": numbers,
            "provenance": {
                "parameters": {"model": "smol", "n": 200},
                "ended": "2026-01-02T03:04:05",
                "python": "3.12.1",
                "packages": {"torch": "2.14"},
                "inputs": "0123456789abcdef",
            },
        }
    }
    written = compare_runs(
        reported.reported_claims(),
        records,
        lambda notebook, key, form: f"<{notebook}:{key}:{form}>",
    )
    judged = [claim for claim in reported.reported_claims() if claim.verdicts]
    assert len(written) == 2 + len(judged) + sum(len(claim.verdicts) for claim in judged)
    at = next(place for place, line in enumerate(written) if line.startswith("| relay |"))
    assert written[at].endswith(
        "| <sec3_knockout:n_text:.0f> / <sec3_knockout:n_vision:.0f> | 180 / 200 |"
    )
    own = "<{0}:.2f> [<{0}_low:.2f>, <{0}_high:.2f>], <{0}_size:s>, **<{0}_verdict:s>**".format(
        f"sec3_knockout:{name}"
    )
    assert written[at + 1].startswith("|  |") and written[at + 1].endswith(
        f"| {own} | 0.51 [0.25, 0.75], d = 0.40, n = 200, **holds** |"
    )
    at = next(place for place, line in enumerate(written) if line.startswith("| compensation |"))
    assert written[at + 1].endswith("| nan [–, –], –, **–** |"), (
        "nothing to measure, and keys that an older record lacks"
    )
    assert all(line.endswith("| not recorded |") for line in written[2:] if "sec4_heads" in line)
    assert list_origins(records)[2:] == [
        "| `sec3_knockout` | n = 200 | 2026-01-02 | python 3.12.1, torch 2.14 | `0123456789ab` |"
    ]
    assert list_origins({}) == []
    for known in (reported.reported_claims, reported.questions):
        assert all(
            line.endswith("| not recorded |")
            for line in compare_runs(known(), {}, lambda *a: "x")[2:]
        )


def test_the_claims_are_judged_by_their_own_rule_from_the_records():
    """A claim of several tests: the worst word of all, by either rule; a model without the notebook
    has no verdict.
    """
    claim = next(
        claim
        for claim in predicted.predicted_claims()
        if claim.id in {change.claim for change in predicted.rule_changes() if change.add}
        and all(test.above is not None and test.paper is None for test in claim.predictions)
    )
    (first,) = [one for one in predicted.predicted_claims(1) if one.id == claim.id]
    numbers = {}
    for test in (*first.predictions, *claim.predictions):
        numbers |= {
            test.key: test.above + 2,
            f"{test.key}_low": test.above + 1,
            f"{test.key}_high": test.above + 3,
        }
    records = {test.notebook: {"numbers": numbers} for test in claim.predictions}
    (last, *_) = [test for test in claim.predictions if test not in first.predictions]
    worse = {name: {"numbers": numbers | {f"{last.key}_low": last.above - 1}} for name in records}
    (line,) = [
        line
        for line in judge_claims({"one": records, "other": worse, "none": {}})
        if f"(#verdict-{claim.id})" in line
    ]
    cells = "| **holds** (holds) | **not seen** (holds) | **not recorded** (not recorded) |"
    assert line.endswith(cells), "what rule 2 asks beside the first rule is not seen"


def test_recorded_numbers_are_judged_by_today_s_rule():
    """An interval that ends at its bound was *disagrees*; only a word without a rule is
    translated.
    """
    numbers = {
        "even": 0.0,
        "even_low": 0.0,
        "even_high": 0.0,
        "even_verdict": "disagrees",
        "less_verdict": "disagrees",
        "less": -0.2,
        "less_low": -0.3,
        "less_high": -0.1,
        "none": None,
        "none_verdict": "not measured",
        "same_verdict": "undecided",
        "place_verdict": "holds",
        "unshown_verdict": "agrees",
    }
    above = {"above": 0.0}
    shown = {"even_verdict": above, "less_verdict": above, "none_verdict": above}
    judged = judge_numbers(numbers, shown | {"same_verdict": None, "place_verdict": None})
    assert {key: word for key, word in judged.items() if key.endswith("_verdict")} == {
        "even_verdict": "not seen",
        "less_verdict": "contradicted",
        "none_verdict": "not measured",
        "same_verdict": "not seen",
        "place_verdict": "holds",
    }
    assert judged["less_low"] == -0.3 and judged["none"] is None


@pytest.mark.parametrize("model", embedded.TRAINED)
def test_every_verdict_has_its_recorded_full_run(model):
    """The records that are kept were made at today's full size or more, and hold all that rule 1
    asks of them; what came with rule 2 stands as *not recorded* until they are made again.
    """
    records = read_records(model)
    full = planned.full_parameters()
    for notebook, kept in records.items():
        made = kept["provenance"]["parameters"]
        assert made["model"] == model
        assert all(made[name] >= size for name, size in full[notebook].items()), notebook
    for known in (reported.reported_claims, reported.questions):
        for line in compare_runs(known(), records, lambda *a: "x"):
            assert not any(f"**{word}**" in line for word in FORMER), line
    told = judge_claims({model: records})
    assert "(not recorded)" not in "".join(told), "rule 1 has all its numbers"
