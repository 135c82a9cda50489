"""From recorded rows to a published run: recorded at full size, taken where they are attested, and
measured at the default n where they are not.
"""

import json
from dataclasses import replace

import papermill
import pytest

import tiny
from in_process import run as run_here
from press import attest, pair, planned, record, run
from reproduction.measures import beliefs
from reproduction.results import NotAttested, NotRecorded, records
from toy_notebook import contents

TOY = """# %% tags=["parameters"]
model = "smol"
n = 1
measure = False

# %%
import os
from pathlib import Path
class NotRecorded(ValueError): pass
class NotAttested(ValueError): pass
store = Path(os.environ["ARBITRATION_RECORDS"])
kept = (store / "kept").read_text() if (store / "kept").exists() else ""
if kept == "false" and not measure:
    raise NotAttested("the record of toy says 3, here 4")
if not kept and os.environ.get("ARBITRATION_RECORDED") == "only":
    raise NotRecorded("no record of toy")
if os.environ.get("ARBITRATION_RECORD") == "1":
    (store / "kept").write_text(f"{n} {measure}")
folder = Path(os.environ["ARBITRATION_OUTPUT"]) / model / "tables"
folder.mkdir(parents=True)
import pandas as pd
pd.DataFrame({"table": ["toy"], "origin": ["recorded"]}).to_parquet(folder / "toy_origins.parquet")
(folder / "size.json").write_text(f"{n} {measure}")
"""


@pytest.fixture
def toy(tmp_path, monkeypatch):
    """A notebook of size 1 by default and 9 at full size; what its published run says."""
    sources, executed = tmp_path / "notebooks", tmp_path / "_executed"
    sources.mkdir()
    (tmp_path / "_toc.yml").write_text(contents("toy"))
    (sources / "toy.py").write_text(TOY)
    (sources / "toy.ipynb").write_text(pair.convert(sources / "toy.py"))
    (store := tmp_path / "records").mkdir()
    monkeypatch.setenv("ARBITRATION_RECORDS", str(store))
    full = {"toy": {"n": 9}}
    runs = run.plan([], ["smol"], {}, sources, full)

    def build(**asked):
        chosen = run.plan([], ["smol"], asked, sources, full)
        run.run_all(chosen, executed, recorded=True, asked=asked)
        return (executed / "smol" / "tables" / "size.json").read_text()

    build.store, build.runs = store, runs
    return build


def mark(store, number=0):
    """Another record than before, whichever."""
    rows = records.pd.DataFrame({"value": [number]})
    parts = [records.Part("one", "c", rows, {"code": "x", "when": "2026-01-02"})]
    records.add_parts("smol", "toy", "case", {}, parts)


def test_of_a_model_without_any_record_none_is_looked_for(toy, capfd):
    assert toy() == "1 False"
    said = capfd.readouterr().out
    assert "toy · smol: at its default n, because nothing of it is recorded" in said


def test_without_a_record_a_notebook_is_measured_at_its_default_size(toy, capfd):
    mark(toy.store)
    assert toy() == "1 False"
    said = capfd.readouterr().out
    assert "toy · smol: at its default n instead, because no record of toy" in said
    assert toy() == "1 False" and "unchanged" in capfd.readouterr().out


def test_a_record_gives_the_full_size_once_it_is_there(toy, capfd):
    toy()
    record.record_all(toy.runs)
    assert (toy.store / "kept").read_text() == "9 False"
    mark(toy.store, 1)
    capfd.readouterr()
    assert toy() == "9 False" and "running" in capfd.readouterr().out, "another record"
    assert toy() == "9 False" and "unchanged" in capfd.readouterr().out


def test_a_false_record_is_left_aside(toy, capfd):
    mark(toy.store)
    (toy.store / "kept").write_text("false")
    assert toy() == "1 True"
    assert "because the record of toy says 3, here 4" in capfd.readouterr().out
    assert toy() == "1 True" and "unchanged" in capfd.readouterr().out


@pytest.mark.parametrize("kept", ["", "false"])
def test_what_was_asked_for_holds_at_the_default_size_too(toy, kept):
    mark(toy.store)
    (toy.store / "kept").write_text(kept)
    assert toy(n="3") == f"3 {kept == 'false'}"


def test_an_error_of_a_notebook_is_no_want_of_a_record(toy):
    mark(toy.store)
    (toy.store / "kept").mkdir()
    with pytest.raises(papermill.PapermillExecutionError, match="IsADirectory"):
        toy()


def test_attesting_says_what_came_of_every_table(toy, capfd):
    assert attest.attest_all(toy.runs, "2") == 0
    assert "toy · smol: not recorded: no record of toy" in capfd.readouterr().out
    (toy.store / "kept").write_text("9")
    assert attest.attest_all(toy.runs, "2") == 0
    said = capfd.readouterr().out
    assert "toy · smol: attested" in said and "    toy: recorded" in said
    (toy.store / "kept").write_text("false")
    assert attest.attest_all(toy.runs, "2") == 1
    assert "disagrees: the record of toy says 3" in capfd.readouterr().out


@pytest.mark.parametrize("number", ["0", "1", "some"])
def test_too_few_prompts_to_attest_are_refused(number, capsys):
    assert attest.main(["--prompts", number]) == 2
    assert f"--prompts is '{number}'; it must be a whole number of at least 2" in (
        capsys.readouterr().err
    )


def test_a_misspelt_notebook_is_refused_before_anything_runs(capsys):
    for command in (record, attest):
        assert command.main(["--notebook", "sec3_belief"]) == 2
        assert "did you mean 'sec3_beliefs'?" in capsys.readouterr().err


def tiny_model(name, weights):
    return tiny.subject("internvl", seed={"trained": 0, "random": 1}[weights])


#: A notebook at the smallest size, on a model that is there at once.
SIZE = {"n": 3, "n_place": 2, "only_following": False}


@pytest.fixture
def beliefs_record(tmp_path, monkeypatch):
    """What Section 3.2 glues, recorded; and a machine on which nothing is at hand."""
    monkeypatch.setenv("ARBITRATION_RECORDS", str(tmp_path / "records"))
    monkeypatch.setenv("ARBITRATION_RECORD", "1")
    glued = run_here("sec3_beliefs", tmp_path / "first", monkeypatch, tiny_model, **SIZE)
    monkeypatch.delenv("ARBITRATION_RECORD")
    monkeypatch.setenv("ARBITRATION_RECORDED", "only")
    return glued


def again(tmp_path, monkeypatch, name="second", **more):
    return run_here("sec3_beliefs", tmp_path / name, monkeypatch, tiny_model, **SIZE, **more)


def test_a_section_from_its_record_is_the_section_as_measured(
    beliefs_record, tmp_path, monkeypatch
):
    found = again(tmp_path, monkeypatch)
    first, origin = beliefs_record.pop("origin"), found.pop("origin")
    assert found == pytest.approx(beliefs_record, abs=0, nan_ok=True)
    assert first.startswith("measured here, ") and origin.startswith("recorded on ")
    assert "prompts measured again here, largest difference 0" in origin
    names = {path.stem for path in records.list_records(records.home())}
    assert {"answers", "beliefs", "paths", "way_out"} <= names
    about = [path.with_suffix(".json") for path in records.list_records(records.home())]
    text = "".join(path.read_text() for path in about)
    assert str(tmp_path) not in text and json.dumps(str(tiny.samples(1)[0].image)) not in text


def plant(subject, table, alter):
    path = records.record_path(subject, table)
    old = records.read_record(path)
    records.write_record(path, replace(old, rows=alter(old.rows.copy())))


def test_a_false_table_breaks_the_full_run_and_is_measured_in_the_other(
    beliefs_record, tmp_path, monkeypatch
):
    """A run that may measure prints prompt, column and both values, and has the true numbers."""
    subject = tiny_model("", "trained").name
    plant(subject, "beliefs", lambda rows: rows.assign(phi_f=rows["phi_f"] + 1.0))
    with pytest.raises(NotAttested, match="the record of beliefs, .* phi_f: recorded"):
        again(tmp_path, monkeypatch)
    monkeypatch.delenv("ARBITRATION_RECORDED")
    found = again(tmp_path, monkeypatch, "third")
    assert "the record of beliefs disagrees" in found.pop("origin")
    del beliefs_record["origin"]
    assert found == pytest.approx(beliefs_record, abs=0, nan_ok=True)
    found = again(tmp_path, monkeypatch, "fourth", measure=True)
    assert found["origin"].startswith("measured here, ")


def test_a_larger_run_than_was_recorded_is_refused_before_it_measures(
    beliefs_record, tmp_path, monkeypatch
):
    size = SIZE | {"n": 4}
    with pytest.raises(NotRecorded, match="no record of .* such as .*; make record makes it"):
        run_here("sec3_beliefs", tmp_path / "more", monkeypatch, tiny_model, **size)
    measured = [path.parent.name for path in (tmp_path / "more").rglob("*.parquet")]
    assert {name.partition("-")[0] for name in measured} <= {"answers"}, "to attest these"


def test_another_equation_is_not_attested(beliefs_record, tmp_path, monkeypatch):
    """Φ of the competitor in place of Φ of the answer: what the record holds is no longer so."""
    true = beliefs.signals
    monkeypatch.setattr(beliefs, "signals", lambda *some, **more: true(*some, **more)[::-1])
    with pytest.raises(NotAttested, match="phi_f: recorded .*, here "):
        again(tmp_path, monkeypatch)


CONTRIBUTED = """# %% tags=["parameters"]
model = "smol"
n = 1
weights = "trained"
measure = False

# %%
import os
from pathlib import Path
class NotRecorded(ValueError): pass
if model == "llava-1.5":
    raise NotRecorded("no record of toy")
folder = Path(os.environ["ARBITRATION_OUTPUT"]) / model / "tables"
folder.mkdir(parents=True)
said = [model, weights, str(n), os.environ.get("ARBITRATION_RECORDED", "")]
(folder / "said.txt").write_text(" ".join(said))
"""


def test_a_contributed_record_adds_its_model_to_the_book(tmp_path, monkeypatch, capsys):
    """Without weights, at the record's size, from the record alone; a notebook that a record does
    not reach is left out, and the models of this book, and merges of them, are none of these.
    """
    sources, executed = tmp_path / "notebooks", tmp_path / "_executed"
    sources.mkdir()
    (tmp_path / "_toc.yml").write_text(contents("toy"))
    (sources / "full.json").write_text(json.dumps({"toy": {"n": 9}}))
    (sources / "toy.py").write_text(CONTRIBUTED)
    (sources / "toy.ipynb").write_text(pair.convert(sources / "toy.py"))
    for model in ("smol", "smol-merge-0.5", "internvl3", "llava-1.5", "org/name"):
        (tmp_path / "records" / model).mkdir(parents=True)
        for ending in ("parquet", "json"):
            (tmp_path / "records" / model / f"knockout.{ending}").touch()
    (tmp_path / "records" / "empty").mkdir()
    monkeypatch.setenv("ARBITRATION_RECORDS", str(tmp_path / "records"))
    runs = planned.contributed_runs(["toy"], sources)
    assert [(one.model, one.parameters["weights"]) for one in runs] == [
        ("internvl3", "absent"),
        ("llava-1.5", "absent"),
        ("org/name", "absent"),
    ]
    monkeypatch.setattr(run, "contributed_runs", lambda names: runs)
    run.run_contributed(executed)
    said = sorted(path.read_text() for path in executed.rglob("tables/said.txt"))
    assert said == ["internvl3 absent 9 only", "org/name absent 9 only"]
    assert "toy · llava-1.5: left out, because no record of toy" in capsys.readouterr().out
    monkeypatch.setenv("ARBITRATION_RECORDS", str(tmp_path / "nothing"))
    assert planned.contributed_runs(["toy"], sources) == []
