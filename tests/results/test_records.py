"""Records: what was measured once is taken as data, if what is measured again here agrees."""

import copy
import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch

import tiny
from arbitration.equations.heads import Head
from reproduction import results
from reproduction.measures.head_sets import Scaling
from reproduction.results import attest, recorded, records
from reproduction.results.__main__ import main
from reproduction.results.attest import compare_rows, draw_prompts
from reproduction.results.recorded import list_origins


@pytest.fixture
def folders(tmp_path, monkeypatch):
    """An empty cache, output and store of records."""
    monkeypatch.setenv("ARBITRATION_OUTPUT", str(tmp_path / "out"))
    monkeypatch.setenv("ARBITRATION_RECORDS", str(tmp_path / "records"))
    monkeypatch.setattr(results.question, "cache", lambda: tmp_path / "cache")
    monkeypatch.setattr(attest, "SEEN", [])
    monkeypatch.setattr(recorded, "_WAITING", {})
    monkeypatch.setattr(recorded, "_USED", [True])
    return tmp_path


@pytest.fixture(scope="module")
def subject():
    return tiny.subject("llava")


@pytest.fixture(scope="module")
def prompts(subject):
    """Five of each direction."""
    return [subject.encode(one, way) for way in ("text", "vision") for one in tiny.samples(5)]


class Measure:
    """A measure that counts whom it is asked for; `nats` from a prompt's number."""

    def __init__(self, nats=lambda number: number / 8):
        self.asked, self.nats = [], nats
        self.alone = True
        self.__qualname__ = "Measure"

    def __call__(self, subject, prompts, scale=1.0):
        for prompt in prompts:
            self.asked.append(prompt.id)
            number = int(prompt.sample.id[-1]) * scale
            yield pd.DataFrame(
                {
                    "sample": prompt.sample.id,
                    "following": prompt.following,
                    "layer": [0, 1],
                    "nssd": [self.nats(number), 0.1],
                    "outcome": ["follow", "other"],
                }
            )


# Every measure is the same code for a record, so that a test can change what it measures.
Measure.__module__ = "reproduction.measures"


def forget(folders):
    """A machine that has measured nothing yet."""
    attest.SEEN.clear()
    for path in (folders / "cache").rglob("*.parquet"):
        path.unlink()


@pytest.fixture
def record(folders, subject, prompts, monkeypatch):
    """The table that all prompts give, recorded; nothing of it is at hand."""
    monkeypatch.setenv("ARBITRATION_RECORD", "1")
    table = results.gather("toy", Measure(), subject, prompts)
    monkeypatch.delenv("ARBITRATION_RECORD")
    forget(folders)
    return table


def place(subject):
    return records.record_path(subject.name, "toy")


def change(subject, alter):
    """Plant something in the record, as somebody would who knows how it is written."""
    old = records.read_record(place(subject))
    records.write_record(place(subject), replace(old, rows=alter(old.rows.copy())))


def test_a_recorded_table_is_what_was_measured(record, subject, prompts):
    found = results.gather("toy", Measure(), subject, prompts)
    pd.testing.assert_frame_equal(found, record, check_exact=True)
    about = json.loads(place(subject).with_suffix(".json").read_text())
    assert (about["rows"], about["parts"]) == (20, 10)
    [made] = about["made"].values()
    assert set(made) == {"measure", "code", "packages", "device", "processor", "when"}
    assert made["measure"] == "reproduction.measures.Measure"
    assert "parameters" in next(iter(about["cases"].values()))
    assert str(tiny.samples(1)[0].image) not in json.dumps(about), "no path of this machine"


def test_a_few_of_each_direction_are_measured_again_and_no_other(record, subject, prompts):
    measure = Measure()
    results.gather("toy", measure, subject, prompts)
    ways = [name.rsplit("-", 1)[1] for name in measure.asked]
    assert sorted(ways) == ["text", "text", "vision", "vision"]
    [line] = list_origins().itertuples()
    assert (line.taken, line.checked, line.here, line.largest) == (10, 4, 0, 0.0)
    assert "4 of 10 prompts measured again here, largest difference 0" in line.origin


def test_sets_of_heads_are_recorded_and_attested_as_prompts_are(
    folders, subject, prompts, monkeypatch
):
    """What is not measured prompt by prompt: of each kind two are measured again."""

    def measure(subject, scalings, prompt):
        for one in scalings:
            asked.append(one.id)
            yield pd.DataFrame([{**one.columns, "sample": prompt.sample.id, "nats": one.draw / 3}])

    measure.__module__ = "reproduction.measures"
    kinds = [("original", 1), ("random", 5), ("eq12 matched", 3)]
    sets = [
        Scaling(kind, draw, 2.0, (Head(draw, 0),)) for kind, count in kinds for draw in range(count)
    ]
    asked, given = [], {"prompt": prompts[0]}
    monkeypatch.setenv("ARBITRATION_RECORD", "1")
    first = results.collect("sets", measure, subject, sets, **given)
    monkeypatch.delenv("ARBITRATION_RECORD")
    forget(folders)
    asked.clear()
    again = results.collect("sets", measure, subject, sets, **given)
    pd.testing.assert_frame_equal(again, first, check_exact=True)
    assert list(first) == ["heads", "draw", "factor", "sample", "nats"]
    assert sorted(name.rsplit("-", 2)[0] for name in asked) == [
        "eq12-matched",
        "eq12-matched",
        "original",
        "random",
        "random",
    ]
    asked.clear()
    results.collect("sets", measure, subject, sets, prompt=prompts[1])
    assert len(asked) == 9, "of another prompt nothing is recorded"
    asked.clear()
    others = [replace(one, chosen=(Head(one.draw, 1),)) for one in sets]
    results.collect("sets", measure, subject, others, **given)
    assert len(asked) == 9, "of other heads neither"


def test_what_a_stopped_command_has_measured_is_recorded_before_the_rest(
    folders, subject, prompts, monkeypatch
):
    class Stopped(Measure):
        def __call__(self, subject, prompts):
            for table in super().__call__(subject, prompts):
                if len(self.asked) > 3:
                    raise KeyboardInterrupt
                yield table

    Stopped.__module__ = Measure.__module__
    monkeypatch.setenv("ARBITRATION_RECORD", "1")
    for _ in range(2):
        with pytest.raises(KeyboardInterrupt):
            results.gather("toy", Stopped(), subject, prompts)
    assert records.read_record(place(subject)).rows["prompt"].nunique() == 3


class Layered(Measure):
    """Tries one thing in each layer, and notes in which it is asked to."""

    def __init__(self):
        super().__init__()
        self.layers = []

    def __call__(self, subject, prompts, layers=None):
        for prompt in prompts:
            self.asked.append(prompt.id)
            self.layers.append(list(range(subject.n_layers) if layers is None else layers))
            yield pd.DataFrame(
                {
                    "sample": prompt.sample.id,
                    "path": [path for path in "ab" for _ in self.layers[-1]],
                    "layer": 2 * self.layers[-1],
                    "nssd": [layer / 8 for layer in 2 * self.layers[-1]],
                }
            )


Layered.__module__ = Measure.__module__


def test_of_what_is_tried_layer_by_layer_a_part_is_measured_again(
    folders, subject, prompts, monkeypatch
):
    """One of every thirty-two and the first; a false value there is found, and with all prompts
    everywhere. Layers that nobody asked for are no reason to look away.
    """
    name = "layered"
    monkeypatch.setattr(type(subject), "n_layers", 80)
    monkeypatch.setenv("ARBITRATION_RECORD", "1")
    first = results.gather(name, Layered(), subject, prompts)
    monkeypatch.delenv("ARBITRATION_RECORD")
    forget(folders)
    measure = Layered()
    found = results.gather(name, measure, subject, prompts)
    pd.testing.assert_frame_equal(found, first, check_exact=True)
    [some] = {tuple(layers) for layers in measure.layers}
    assert len(measure.layers) == 4 and some[0] == 0 and 3 <= len(some) <= 4
    assert [sum(start <= one < start + 32 for one in some[1:]) for start in (32, 64)] == [1, 1]
    [line] = list_origins().itertuples()
    assert "4 of 10 prompts measured again here, one in 32 layers of each, largest" in line.origin

    path = records.record_path(subject.name, name)
    true = records.read_record(path)

    def plant(layer):
        rows = true.rows.copy()
        rows.loc[rows["layer"] == layer, "nssd"] += 1
        records.write_record(path, replace(true, rows=rows))
        forget(folders)
        return results.gather(name, Layered(), subject, prompts)

    unseen = next(layer for layer in range(80) if layer not in some)
    pd.testing.assert_frame_equal(plant(some[-1]), first)
    assert not plant(unseen).equals(first), "taken for true"
    monkeypatch.setenv("ARBITRATION_ATTEST", "all")
    pd.testing.assert_frame_equal(plant(unseen), first)
    monkeypatch.delenv("ARBITRATION_ATTEST")

    more = true.rows[true.rows["layer"] == unseen].assign(layer=777)
    records.write_record(path, replace(true, rows=pd.concat([true.rows, more])))
    forget(folders)
    pd.testing.assert_frame_equal(results.gather(name, Layered(), subject, prompts), first)


def test_whoever_records_cannot_choose_who_is_measured_again(prompts):
    drawn = {tuple(one.id for one in draw_prompts(prompts, f"code {i}")) for i in range(20)}
    assert len(drawn) > 5, "another version of the code, other prompts"
    assert all(len(names) == 4 for names in drawn)


def test_one_false_row_in_twenty_is_found_when_it_is_drawn_or_all_are(
    record, folders, subject, prompts, monkeypatch
):
    """The part of a prompt that is not drawn passes; `ALL=1` leaves none out."""
    measure = Measure()
    drawn = draw_prompts(prompts, results.question.code_version(measure))
    hidden = next(one for one in prompts if one not in drawn)

    def plant(rows, prompt):
        rows.loc[(rows["prompt"] == prompt.id) & (rows["layer"] == 1), "nssd"] = 0.7
        return rows

    change(subject, lambda rows: plant(rows, hidden))
    found = results.gather("toy", measure, subject, prompts)
    assert (found["nssd"] == 0.7).sum() == 1, "taken for true"
    forget(folders)
    monkeypatch.setenv("ARBITRATION_ATTEST", "all")
    found = results.gather("toy", Measure(), subject, prompts)
    pd.testing.assert_frame_equal(found, record)
    [line] = list_origins().itertuples()
    assert f"{hidden.id}, nssd: recorded 0.7, here 0.1" in line.origin

    forget(folders)
    monkeypatch.delenv("ARBITRATION_ATTEST")
    change(subject, lambda rows: plant(rows, drawn[0]))
    found = results.gather("toy", Measure(), subject, prompts)
    pd.testing.assert_frame_equal(found, record)


def test_a_false_table_is_measured_here(record, subject, prompts, capsys):
    change(subject, lambda rows: rows.assign(outcome="follow", nssd=rows["nssd"] + 0.001))
    measure = Measure()
    found = results.gather("toy", measure, subject, prompts)
    pd.testing.assert_frame_equal(found, record)
    assert sorted(measure.asked) == sorted(one.id for one in prompts), "none of it is used"
    [line] = list_origins().itertuples()
    assert line.taken == 0 and line.here == 10 and line.faults == 12, "eight nats, four words"
    assert "measured here: the record disagrees" in line.origin
    said = capsys.readouterr()
    assert "outcome: recorded follow, here other" in said.out + said.err


def test_a_changed_equation_is_not_attested(record, folders, subject, prompts):
    """And a change that changes no number is: the record outlives the code that made it."""
    changed = Measure(lambda number: number / 8 + 2e-4)
    found = results.gather("toy", changed, subject, prompts)
    assert len(changed.asked) == 10 and list_origins()["faults"].sum() > 0
    assert np.allclose(found["nssd"][::2], record["nssd"][::2] + 2e-4)
    rounded = Measure(lambda number: number / 8 + 5e-5)
    forget(folders)
    found = results.gather("toy", rounded, subject, prompts[:1])
    assert found["nssd"][0] == record["nssd"][0], "the record's own, not what was measured again"


def test_a_damaged_record_is_named_and_nothing_of_it_is_used(
    record, subject, prompts, monkeypatch, capsys
):
    path, measure = place(subject), Measure()
    path.write_bytes(path.read_bytes()[:-9] + b"untrue!!!")
    found = results.gather("toy", measure, subject, prompts)
    pd.testing.assert_frame_equal(found, record)
    assert len(measure.asked) == 10
    said = capsys.readouterr().out
    assert "toy.parquet is damaged" in said and "until then its rows are measured here" in said
    assert list_origins()["origin"].tolist() == ["measured here, 10 prompts"]
    monkeypatch.setenv("ARBITRATION_RECORDED", "only")
    with pytest.raises(results.NotRecorded, match="toy.parquet is damaged .*git checkout"):
        results.gather("toy", measure, subject, prompts)
    with pytest.raises(ValueError, match="toy.parquet is damaged .*git checkout"):
        change(subject, lambda rows: rows)


def test_what_a_record_lacks_is_measured_here_unless_nothing_is_to_be(
    record, folders, subject, prompts, monkeypatch
):
    some = {one.id for one in prompts[:3]}
    change(subject, lambda rows: rows[~rows["prompt"].isin(some)])
    found = results.gather("toy", Measure(), subject, prompts)
    pd.testing.assert_frame_equal(found, record)
    [line] = list_origins().itertuples()
    assert (line.taken, line.here) == (7, 3)
    forget(folders)
    monkeypatch.setenv("ARBITRATION_RECORDED", "only")
    with pytest.raises(results.NotRecorded, match="toy, tiny-llava for 3 prompts, such as"):
        results.gather("toy", Measure(), subject, prompts)
    forget(folders)
    change(subject, lambda rows: rows.assign(outcome="follow"))
    with pytest.raises(results.NotAttested, match="is not what is measured here: .*outcome"):
        results.gather("toy", Measure(), subject, prompts[5:])


def test_other_parameters_are_another_measurement(record, subject, prompts):
    measure = Measure()
    found = results.gather("toy", measure, subject, prompts, scale=2.0)
    assert len(measure.asked) == 10 and found["nssd"].max() == 2 * record["nssd"].max()


def test_records_can_be_left_aside(record, subject, prompts):
    results.use_records(False)
    measure = Measure()
    results.gather("toy", measure, subject, prompts)
    assert len(measure.asked) == 10
    [line] = list_origins().itertuples()
    assert line.origin == "measured here, 10 prompts"


def test_what_is_asked_one_by_one_comes_from_the_record_too(
    record, folders, subject, prompts, monkeypatch
):
    measure = Measure()
    recall = results.remember("toy", measure, subject)
    for number, prompt in enumerate(prompts):
        assert recall(prompt)["nssd"][0] == record["nssd"][2 * number]
    assert len(measure.asked) < 10
    results.remember("toy", measure, subject, scale=2.0)(prompts[0])
    [line] = list_origins().itertuples()
    assert (line.taken, line.here) == (10, 1), "what was not recorded is counted too"
    change(subject, lambda rows: rows.assign(nssd=5.0))
    forget(folders)
    monkeypatch.setattr(attest, "ASKED_AGAIN", 0.5)
    with pytest.raises(results.NotAttested, match="nssd: recorded 5.0, here .*measure = True"):
        [recall(prompt) for prompt in prompts]


def test_without_weights_a_record_is_used_and_said_not_to_be_attested(
    record, folders, subject, prompts
):
    empty = replace(subject, model=copy.deepcopy(subject.model).to("meta"))
    measure = Measure()
    with pytest.raises(results.NotRecorded, match="10 prompts, .* and no weights are here"):
        results.gather("toy", measure, empty, prompts, scale=2.0)
    with pytest.raises(results.NotRecorded, match="no weights are here"):
        results.remember("other", measure, empty)(prompts[0])
    forget(folders)
    found = results.gather("toy", measure, empty, prompts)
    pd.testing.assert_frame_equal(found, record)
    assert measure.asked == []
    assert list_origins()["origin"].str.contains("10 prompts, not attested here").all()


def test_numbers_may_differ_by_what_their_unit_allows():
    """Nats by 1e-4; logits by 1e-3 of their range, here 0.02 of 20; words not at all."""
    rows = pd.DataFrame(
        {"nssd": [0.0, 0.5], "phi_f": [-10.0, 10.0], "answer": ["red", None], "own": [np.nan, 1.0]}
    )
    near = rows.assign(nssd=[0.0, 0.50009], phi_f=[-10.0, 10.019])
    largest, faults = compare_rows("a", rows, near)
    assert faults == [] and largest == pytest.approx(0.019 / 20)
    far = rows.assign(nssd=[0.0, 0.50011], phi_f=[-10.0, 10.021])
    assert [one.column for one in compare_rows("a", rows, far)[1]] == ["nssd", "phi_f"]
    none = rows.assign(nssd=[0.0, np.nan], answer=["red", "blue"], own=[0.0, 1.0])
    assert [one.column for one in compare_rows("a", rows, none)[1]] == ["nssd", "answer", "own"]
    [fault] = compare_rows("a", rows, rows[:1])[1]
    assert str(fault).startswith("a, the table's form: recorded 2 rows of nssd, phi_f")
    means = rows.assign(engine="plain"), rows.assign(engine="resume")
    assert compare_rows("a", *means) == (0.0, []), "how it was measured, not what"


@pytest.mark.parametrize(
    "off, dtype, measured_here",
    [(9e-4, "float32", False), (1.1e-3, "float32", True), (9e-5, "float64", False),
     (2e-4, "float64", True)],
)  # fmt: skip
def test_nats_may_differ_by_the_rounding_of_the_model_s_dtype(
    folders, subject, prompts, monkeypatch, off, dtype, measured_here
):
    subject = replace(subject, model=copy.deepcopy(subject.model).to(getattr(torch, dtype)))
    monkeypatch.setenv("ARBITRATION_RECORD", "1")
    results.gather("toy", Measure(), subject, prompts)
    monkeypatch.delenv("ARBITRATION_RECORD")
    forget(folders)
    measure = Measure(lambda number: number / 8 + off)
    results.gather("toy", measure, subject, prompts)
    assert (len(measure.asked) == len(prompts)) == measured_here
    assert (list_origins()["faults"].item() > 0) == measured_here


def test_in_a_narrow_dtype_the_rounding_is_that_of_the_prompt(subject, prompts, monkeypatch):
    """Nothing but the model's own passes says how coarse bfloat16 is."""
    narrow = replace(subject, model=copy.deepcopy(subject.model).to(torch.bfloat16))
    monkeypatch.setattr(recorded.exactness, "rounding", lambda subject, prompt: 0.05)
    ask = results.question.Question("toy", Measure(), narrow, {}, None)
    rows = pd.DataFrame({"nssd": [0.5]})
    assert recorded._compare(ask, prompts[0], rows, rows + 0.04)[1] == []
    assert len(recorded._compare(ask, prompts[0], rows, rows + 0.06)[1]) == 1


def test_values_are_kept_to_the_bit_in_narrow_types(folders, subject):
    """A tenth has no narrow form, a quarter has; so has no whole number beyond its type."""
    rows = pd.DataFrame(
        {
            "tenth": [0.1, 0.2],
            "quarter": [0.25, np.nan],
            "huge": [1e300, 1.0],
            "layer": [-1, 29],
            "token": [5, 151_000],
            "word": ["a", None],
            "flag": [True, False],
        }
    )
    assert records.narrow_types(rows).dtypes.astype(str).tolist()[:5] == [
        "float64",
        "float32",
        "float64",
        "int8",
        "int32",
    ]
    part = records.Part("one", "c", rows, {"code": "x", "when": "2026-01-02"}, 1.5)
    assert records.add_parts("toy", "rows", "case", {}, [part]) == 1
    found = records.read_record(records.record_path("toy", "rows")).parts("case")["one", "c"]
    pd.testing.assert_frame_equal(found, rows, check_exact=True)
    assert records.add_parts("toy", "rows", "case", {}, [part]) == 0, "known already"
    other = replace(part, rows=rows.assign(layer=[3, 4]))
    assert records.add_parts("toy", "rows", "case", {}, [other]) == 1
    found = records.read_record(records.record_path("toy", "rows"))
    assert found.rows["layer"].tolist() == [3, 4], "in the place of the old one"


def test_a_part_is_found_whole_wherever_its_rows_lie():
    rows = pd.DataFrame(
        {
            "layer": [0, 5, 1, 6, 7],
            "case": "one",
            "prompt": ["a", "b", "a", "b", "b"],
            "content": "c",
            "made": ["x", "y", "x", "y", "y"],
            "seconds": [2.0, 3.0, 2.0, 3.0, 3.0],
        }
    )
    made = {"x": {"code": "old"}, "y": {"code": "new"}}
    apart = records.Record(rows, {"one": {}}, made)
    together = records.Record(rows.sort_values(records.KEY, kind="stable"), {"one": {}}, made)
    for record in (apart, together):
        parts = record.parts("one")
        assert parts["a", "c"].to_dict("list") == {"layer": [0, 1]}
        assert parts["b", "c"].to_dict("list") == {"layer": [5, 6, 7]}
        assert parts["b", "c"].index.tolist() == [0, 1, 2]
        assert parts.origin(("a", "c")) == ("x", 2.0)
        part = record.read_part("one", ("b", "c"))
        assert (part.made, part.seconds) == ({"code": "new"}, 3.0)


def store_of(folder, monkeypatch, **parts):
    """A store with one record of toy, a part a prompt: its nats."""
    monkeypatch.setenv("ARBITRATION_RECORDS", str(folder))
    made = {"code": "abc", "when": "2026-01-02"}
    some = [
        records.Part(name, "c", pd.DataFrame({"layer": [0, 1, 2], "nssd": nats}), made, 30.0)
        for name, nats in parts.items()
    ]
    records.add_parts("toy", "rows", "case", {"dtype": "float32", "parameters": {}}, some)
    return folder


def test_two_stores_are_united_and_what_differs_is_told_value_by_value(
    tmp_path, monkeypatch, capsys
):
    other = store_of(tmp_path / "other", monkeypatch, b=[0.0, 0.2, 0.3], c=[7.0, 8.0, 9.0])
    here = store_of(tmp_path / "here", monkeypatch, a=[1.0, 1.0, 1.0], b=[0.0, 0.1, 0.1])
    assert main(["merge", str(other)]) == 1
    said = capsys.readouterr().out
    assert "toy, rows: b, nssd: recorded 0.1, here 0.3" in said
    assert "toy, rows: b, nssd: recorded 0.1, here 0.2" in said and "2 values differ" in said
    found = records.read_record(here / "toy" / "rows.parquet").parts("case")
    assert {name for name, _ in found} == {"a", "b", "c"}
    assert found["b", "c"]["nssd"].tolist() == [0.0, 0.1, 0.1], "what was here is kept"
    again = store_of(tmp_path / "again", monkeypatch, a=[1.0, 1.0, 1.00001])
    monkeypatch.setenv("ARBITRATION_RECORDS", str(here))
    assert main(["merge", str(again)]) == 0 and "both stores agree" in capsys.readouterr().out
    assert main(["merge", str(tmp_path / "nothing")]) == 2


def test_records_are_listed_and_their_hashes_verified(tmp_path, monkeypatch, capsys):
    here = store_of(tmp_path, monkeypatch, a=[1.0, 2.0, 3.0], b=[4.0, 5.0, 6.0])
    assert main(["list"]) == 0
    cells = capsys.readouterr().out.split("\n")[1].split()
    assert cells[:4] == ["toy", "rows", "2", "6"] and cells[5:] == ["1.0", "2026-01-02", "abc"]
    assert main(["verify", "--hashes"]) == 0
    path = here / "toy" / "rows.parquet"
    path.write_bytes(path.read_bytes() + b" ")
    assert main(["verify", "--hashes"]) == 1
    said = capsys.readouterr()
    assert "0 of 1 records are whole" in said.out and "is damaged" in said.err
