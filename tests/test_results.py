"""The store: resumed where it stopped, recomputed when anything changed, published whole."""

import json
import shutil
from dataclasses import replace

import pandas as pd
import pytest
import tiny

from arbitration import results
from arbitration.prompts import Unusable


@pytest.fixture
def store(tmp_path, monkeypatch):
    monkeypatch.setenv("ARBITRATION_OUTPUT", str(tmp_path / "out"))
    monkeypatch.setattr(results, "cache", lambda: tmp_path / "cache")
    return tmp_path


@pytest.fixture
def subject():
    return tiny.subject("llava")


def each(rows):
    return lambda missing: map(rows, missing)


def prompts(subject):
    return [subject.encode(sample, "text") for sample in tiny.samples(3)]


def test_an_interrupted_run_goes_on_where_it_stopped(store, subject):
    done = []

    def rows(prompt):
        if len(done) == 2:
            done.append("crash")
            raise KeyboardInterrupt
        done.append(prompt.id)
        return pd.DataFrame({"sample": [prompt.sample.id], "value": [len(done)]})

    with pytest.raises(KeyboardInterrupt):
        results.collect("toy", subject, prompts(subject), each(rows), seed=0)
    assert not (store / "out").exists()
    table = results.collect("toy", subject, prompts(subject), each(rows), seed=0)
    assert done == [prompts(subject)[0].id, prompts(subject)[1].id, "crash", prompts(subject)[2].id]
    assert table["sample"].tolist() == [s.id for s in tiny.samples(3)]
    published = store / "out" / subject.name / "tables"
    pd.testing.assert_frame_equal(pd.read_parquet(published / "toy.parquet"), table)
    origin = json.loads((published / "toy.json").read_text())
    assert origin["parts"] == origin["rows"] == 3 and origin["parameters"] == {"seed": 0}
    assert {"model", "revision", "code", "packages", "seconds", "dtype"} <= set(origin)


@pytest.mark.parametrize("change", ["parameters", "code", "model"])
def test_whatever_a_number_depends_on_is_computed_anew(store, subject, monkeypatch, change):
    calls = []

    def rows(prompt):
        calls.append(prompt.id)
        return pd.DataFrame({"value": [1.0]})

    results.collect("toy", subject, prompts(subject)[:1], each(rows), width=3)
    results.collect("toy", subject, prompts(subject)[:1], each(rows), width=3)
    assert len(calls) == 1
    if change == "code":
        monkeypatch.setattr(results, "code_version", lambda: "edited")
    other = tiny.subject("llava", seed=1) if change == "model" else subject
    results.collect("toy", other, prompts(subject)[:1], each(rows), width=5 if change == "parameters" else 3)
    assert len(calls) == 2


@pytest.mark.parametrize("change, anew", [
    ({"context": "It is a door."}, True), ({"answer_text": "gate"}, True), ({"image": "other"}, True), ({"image": "moved"}, False),
])
def test_another_sample_of_the_same_name_is_computed_anew(store, subject, change, anew):
    sample = tiny.samples(1)[0]
    pictures = {"other": tiny.samples(2)[1].image, "moved": shutil.copy(sample.image, store / "moved.png")}
    changed = replace(sample, **{field: pictures.get(value, value) for field, value in change.items()})
    calls = []
    rows = results.remembered("toy", subject, lambda prompt: calls.append(prompt) or pd.DataFrame({"value": [1.0]}))
    for one in (sample, sample, changed, sample):
        rows(subject.encode(one, "text"))
    assert len(calls) == (2 if anew else 1)


def test_nothing_to_measure_is_said(store, subject):
    with pytest.raises(ValueError, match="no prompt for the table 'toy'.*raise n"):
        results.collect("toy", subject, [], None)


def toy(prompt):
    return pd.DataFrame({"sample": [prompt.sample.id]})


def failing_at(place, error):
    """Rows of every prompt but one, at which an error of its sample is raised; how it is told which: by `map`, or by one generator for all."""
    def rows(prompt):
        if prompt.sample.id == tiny.samples(3)[place].id:
            raise error(prompt.sample)
        return toy(prompt)

    return {"map": each(rows), "generator": lambda missing: (rows(prompt) for prompt in missing)}


@pytest.mark.parametrize("kind", ["map", "generator"])
@pytest.mark.parametrize("place", [0, 1, 2])
def test_an_error_names_the_prompt_whose_rows_were_to_come(store, subject, place, kind):
    tables_of = failing_at(place, lambda sample: ZeroDivisionError("by nothing"))[kind]
    with pytest.raises(ZeroDivisionError) as caught:
        results.collect("toy", subject, prompts(subject), tables_of)
    assert str(caught.value) == "by nothing" and caught.value.__notes__ == [f"toy, tiny-llava: the first prompt that was not measured is {prompts(subject)[place].id}"]


def test_a_notebook_s_traceback_shows_the_note(store, subject):
    """Papermill and Jupyter print what IPython makes of an error."""
    from IPython.core.ultratb import VerboseTB
    try:
        results.collect("toy", subject, prompts(subject), failing_at(1, lambda sample: ZeroDivisionError("by nothing"))["map"])
    except ZeroDivisionError as error:
        told = VerboseTB(theme_name="nocolor").text(type(error), error, error.__traceback__)
    assert prompts(subject)[1].id in told.splitlines()[-1] and "by nothing" in told


@pytest.mark.parametrize("kind", ["map", "generator"])
@pytest.mark.parametrize("place", [0, 1, 2])
def test_a_sample_that_turns_out_unusable_is_dropped_counted_and_listed(store, subject, place, kind, capsys):
    tables_of = failing_at(place, lambda sample: Unusable(sample, "too long"))[kind]
    for _ in range(2):  # measured, and read
        table = results.collect("toy", subject, prompts(subject), tables_of)
        kept = [prompt for number, prompt in enumerate(prompts(subject)) if number != place]
        assert table["sample"].tolist() == [prompt.sample.id for prompt in kept]
        lost = f"{prompts(subject)[place].id}: too long"
        assert f"dropped 1 of 3 prompts from the table 'toy': {lost}" in "".join(capsys.readouterr())
        origin = json.loads((store / "out" / subject.name / "tables" / "toy.json").read_text())
        assert origin["parts"] == 2 and origin["dropped"] == [lost]


def test_a_table_of_unusable_samples_alone_is_refused(store, subject):
    first = prompts(subject)[:1]
    with pytest.raises(ValueError, match=f"none of 1 prompts can be measured for the table 'toy'; {first[0].id}: too long"):
        results.collect("toy", subject, first, failing_at(0, lambda sample: Unusable(sample, "too long"))["map"])
    table = results.collect("toy", subject, first, failing_at(0, lambda sample: Unusable(sample, "too long"))["map"], toy(first[0]))
    assert len(table) == 0 and list(table.columns) == ["sample"]


def test_an_error_of_another_sample_drops_none(store, subject):
    tables_of = failing_at(0, lambda sample: Unusable(tiny.samples(3)[2], "too long"))["map"]
    with pytest.raises(Unusable, match=tiny.samples(3)[2].id):
        results.collect("toy", subject, prompts(subject), tables_of)


def test_a_table_may_be_empty_where_its_columns_are_known(store, subject):
    empty = pd.DataFrame({"sample": ["a"], "value": [1.0]})
    table = results.collect("toy", subject, [], None, empty)
    assert len(table) == 0 and table.dtypes.to_dict() == empty.dtypes.to_dict()
    assert json.loads((store / "out" / subject.name / "tables" / "toy.json").read_text())["parts"] == 0
