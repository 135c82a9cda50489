"""The store: resumed where it stopped, recomputed when anything changed, published whole."""

import json
import shutil
from dataclasses import replace

import pandas as pd
import pytest

import arbitration as arb
import tiny
from arbitration import dataset
from arbitration.dataset import mc2
from arbitration.files import atomic
from arbitration.models import load
from arbitration.models.prompt import Unusable
from reproduction import results
from reproduction.measures.readings import widen
from reproduction.results import origin
from reproduction.results.parts import write_table


@pytest.fixture
def store(tmp_path, monkeypatch):
    monkeypatch.setenv("ARBITRATION_OUTPUT", str(tmp_path / "out"))
    monkeypatch.setattr(results.question, "cache", lambda: tmp_path / "cache")
    return tmp_path


@pytest.fixture
def subject():
    return tiny.subject("llava")


def each(rows):
    """`rows` of one prompt, as `collect` takes it."""

    def of_several(subject, prompts, **given):
        return map(rows, prompts)

    of_several.alone = True
    return of_several


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
        results.collect("toy", each(rows), subject, prompts(subject), seed=0)
    assert not (store / "out").exists()
    table = results.collect("toy", each(rows), subject, prompts(subject), seed=0)
    assert done == [prompts(subject)[0].id, prompts(subject)[1].id, "crash", prompts(subject)[2].id]
    assert table["sample"].tolist() == [s.id for s in tiny.samples(3)]
    published = store / "out" / subject.name / "tables"
    pd.testing.assert_frame_equal(pd.read_parquet(published / "toy.parquet"), table)
    origin = json.loads((published / "toy.json").read_text())
    assert origin["parts"] == origin["rows"] == 3 and origin["parameters"] == {"seed": 0}
    assert {"model", "revision", "code", "packages", "seconds", "dtype"} <= set(origin)


def test_a_part_knows_its_token_groups_its_spelling_and_its_lender(subject):
    """The same tokens under other groups, another spelling, and the answers of another sample are
    other measurements.
    """
    prompt = prompts(subject)[0]
    assert origin.content_of(widen(prompt)) != origin.content_of(prompt)
    assert origin.content_of(replace(prompt)) == origin.content_of(prompt)
    lent = [origin.content_of(prompt, lender) for lender in (None, *tiny.samples(3)[1:])]
    assert len(set(lent)) == 3
    other = replace(subject, spelling="capitalised")
    assert origin.provenance(other) != origin.provenance(subject)


@pytest.mark.parametrize("change", ["parameters", "code", "model"])
def test_whatever_a_number_depends_on_is_computed_anew(store, subject, monkeypatch, change):
    calls = []

    def rows(prompt):
        calls.append(prompt.id)
        return pd.DataFrame({"value": [1.0]})

    results.collect("toy", each(rows), subject, prompts(subject)[:1], width=3)
    results.collect("toy", each(rows), subject, prompts(subject)[:1], width=3)
    assert len(calls) == 1
    if change == "code":
        monkeypatch.setattr(origin, "code_version", lambda rows: "edited")
    other = tiny.subject("llava", seed=1) if change == "model" else subject
    results.collect(
        "toy", each(rows), other, prompts(subject)[:1], width=5 if change == "parameters" else 3
    )
    assert len(calls) == 2


@pytest.mark.parametrize(
    "change, anew",
    [
        ({"context": "It is a door."}, True),
        ({"answer_text": "gate"}, True),
        ({"image": "other"}, True),
        ({"image": "moved"}, False),
    ],
)
def test_another_sample_of_the_same_name_is_computed_anew(store, subject, change, anew):
    sample = tiny.samples(1)[0]
    pictures = {
        "other": tiny.samples(2)[1].image,
        "moved": shutil.copy(sample.image, store / "moved.png"),
    }
    changed = replace(
        sample, **{field: pictures.get(value, value) for field, value in change.items()}
    )
    calls = []
    counted = each(lambda prompt: calls.append(prompt) or pd.DataFrame({"value": [1.0]}))
    rows = results.remember("toy", counted, subject)
    for one in (sample, sample, changed, sample):
        rows(subject.encode(one, "text"))
    assert len(calls) == (2 if anew else 1)


def test_nothing_to_measure_is_said(store, subject):
    with pytest.raises(ValueError, match="no prompt for the table 'toy'.*raise n"):
        results.collect("toy", None, subject, [])


def test_a_damaged_part_is_named_and_measured_again(store, subject, capsys):
    asked = []

    def measure(prompt):
        asked.append(prompt.id)
        return pd.DataFrame({"value": [float(n) for n in range(500)]})

    def collected():
        return results.gather("toy", each(measure), subject, prompts(subject)[:1])

    first = collected()
    (part,) = (store / "cache" / "parts").glob("*/*.parquet")
    content = part.read_bytes()
    flipped = bytearray(content)
    flipped[200] ^= 1
    renamed = content.replace(b"value", b"valve")
    for number, damage in enumerate((b"", content[:-20], bytes(flipped), renamed), start=2):
        part.write_bytes(damage)
        pd.testing.assert_frame_equal(collected(), first)
        assert f"{part} is damaged" in (said := capsys.readouterr().out) and "again" in said
        assert len(asked) == number
        assert collected().equals(first) and len(asked) == number


def test_what_stops_a_write_leaves_the_file_as_it_was(store, monkeypatch):
    for name, write in (
        ("table.parquet", lambda path, n: write_table(pd.DataFrame({"value": [n]}), path)),
        ("text", lambda path, n: atomic.write_whole(path, str(n))),
    ):
        path = store / name
        write(path, 1)
        before = path.read_bytes()
        with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
            patch.setattr(atomic.os, "replace", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
            write(path, 2)
        assert path.read_bytes() == before
    assert sorted(path.name for path in store.iterdir()) == ["table.parquet", "text"]


def test_of_two_that_write_a_part_the_first_wins(tmp_path):
    path = tmp_path / "part.parquet"
    for value in (1.0, 2.0):
        write_table(pd.DataFrame({"value": [value]}), path, first=True)
    assert pd.read_parquet(path)["value"].item() == 1.0
    write_table(pd.DataFrame({"value": [3.0]}), path)
    assert pd.read_parquet(path)["value"].item() == 3.0
    assert [one.name for one in tmp_path.iterdir()] == ["part.parquet"]


@pytest.mark.parametrize("name", ["/models/mine", "../mine", "org/../../mine", "."])
def test_no_table_leaves_the_folder_of_tables(store, name):
    with pytest.raises(
        ValueError,
        match=(
            "leads out of the folder of tables and figures, .*give the model's own name, "
            "`subject.name`"
        ),
    ):
        results.save(
            pd.DataFrame({"value": [1.0]}), "toy", replace(tiny.subject("llava"), name=name)
        )
    assert list(store.rglob("*.parquet")) == []


@pytest.mark.parametrize("name", ["smol", "org/name.v2", "local/..name"])
def test_a_table_lies_in_the_folder_of_its_model(store, name):
    assert (
        results.save(
            pd.DataFrame({"value": [1.0]}), "toy", replace(tiny.subject("llava"), name=name)
        )
        == store / "out" / name / "tables" / "toy.parquet"
    )


def own_set(folder, context="a dog"):
    """A set of one sample."""
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copy(tiny.samples(1)[0].image, folder / "p.png")
    sample = {
        "question": "What is it?",
        "context": context,
        "answer_vision": "cat",
        "answer_text": "dog",
        "image": "p.png",
    }
    (folder / "samples.jsonl").write_text(json.dumps(sample), encoding="utf-8")


def test_a_set_is_told_by_what_it_contains(store, subject, monkeypatch):
    """However its path is spelled, and nothing of the path stays; an edit of a sample, a picture or
    the dictionary is another set.
    """
    monkeypatch.chdir(store)
    own_set(store / "scenes")
    own_set(store / "moved")

    def told(data):
        return results.provenance(subject, data=data, n=1)["parameters"]["data"]

    assert (told("scenes"), told("mc2")) == ("scenes", "mc2")
    first = told("./scenes")
    assert (
        first == told(str(store / "scenes")) == told(store / "moved" / "samples.jsonl")
        and len(first) == 12
    )
    assert str(store) not in json.dumps(results.provenance(subject, data=str(store / "moved")))
    shutil.copy(tiny.samples(2)[1].image, store / "moved" / "p.png")
    assert told("moved") != first
    own_set(store / "moved")
    assert told("moved") == first
    (store / "moved" / "entities.json").write_text("{}")
    assert told("moved") != first
    own_set(store / "scenes", context="a horse")
    assert told("./scenes") != first


def test_photographs_and_texts_of_mc2_count(store, subject):
    record = dict.fromkeys(mc2.FIELDS, "1") | {
        "image_id": "7",
        "answer_vision": "cat",
        "answer_text": "dog",
    }
    (store / "texts.json").write_text(json.dumps([record]))
    found = [dataset.content(store / "texts.json")]
    photograph = store / "train2014" / "COCO_train2014_000000000007.jpg"
    photograph.parent.mkdir()
    for content in (b"one", b"two"):
        photograph.write_bytes(content)
        found.append(dataset.content(store / "texts.json"))
    assert len(set(found)) == 3


@pytest.mark.parametrize("damage", ["", '{"org/name": ', "[]"])
def test_revisions_that_cannot_be_read_are_named(store, monkeypatch, damage):
    monkeypatch.setenv("ARBITRATION_CACHE", str(store))
    (store / "revisions.json").write_text(damage)
    with pytest.raises(
        ValueError, match=r"^\S*/revisions.json cannot be read .* restore it, or delete it"
    ):
        load.load("org/name")


def toy(prompt):
    return pd.DataFrame({"sample": [prompt.sample.id]})


def failing_at(place, error):
    """Rows of every prompt but one, at which an error of its sample is raised; how it is told
    which: by `map`, or by one generator for all.
    """

    def rows(prompt):
        if prompt.sample.id == tiny.samples(3)[place].id:
            raise error(prompt.sample)
        return toy(prompt)

    return {
        "map": each(rows),
        "generator": lambda subject, prompts: (rows(prompt) for prompt in prompts),
    }


@pytest.mark.parametrize("kind", ["map", "generator"])
@pytest.mark.parametrize("place", [0, 1, 2])
def test_an_error_names_the_prompt_whose_rows_were_to_come(store, subject, place, kind):
    tables_of = failing_at(place, lambda sample: ZeroDivisionError("by nothing"))[kind]
    with pytest.raises(ZeroDivisionError) as caught:
        results.collect("toy", tables_of, subject, prompts(subject))
    assert str(caught.value) == "by nothing" and caught.value.__notes__ == [
        f"toy, tiny-llava: the first prompt that was not measured is {prompts(subject)[place].id}"
    ]


def test_a_notebook_s_traceback_shows_the_note(store, subject):
    """Papermill and Jupyter print what IPython makes of an error."""
    from IPython.core.ultratb import VerboseTB

    try:
        rows = failing_at(1, lambda sample: ZeroDivisionError("by nothing"))["map"]
        results.collect("toy", rows, subject, prompts(subject))
    except ZeroDivisionError as error:
        told = VerboseTB(theme_name="nocolor").text(type(error), error, error.__traceback__)
    assert prompts(subject)[1].id in told.splitlines()[-1] and "by nothing" in told


@pytest.mark.parametrize("kind", ["map", "generator"])
@pytest.mark.parametrize("place", [0, 1, 2])
def test_a_sample_that_turns_out_unusable_is_dropped_counted_and_listed(
    store, subject, place, kind, capsys
):
    tables_of = failing_at(place, lambda sample: Unusable(sample, "too long"))[kind]
    for _ in range(2):  # measured, and read
        table = results.collect("toy", tables_of, subject, prompts(subject))
        kept = [prompt for number, prompt in enumerate(prompts(subject)) if number != place]
        assert table["sample"].tolist() == [prompt.sample.id for prompt in kept]
        lost = f"{prompts(subject)[place].id}: too long"
        assert f"dropped 1 of 3 prompts from the table 'toy': {lost}" in "".join(
            capsys.readouterr()
        )
        origin = json.loads((store / "out" / subject.name / "tables" / "toy.json").read_text())
        assert origin["parts"] == 2 and origin["dropped"] == [lost]


def test_a_table_of_unusable_samples_alone_is_refused(store, subject):
    first = prompts(subject)[:1]
    rows = failing_at(0, lambda sample: Unusable(sample, "too long"))["map"]
    with pytest.raises(
        ValueError,
        match=f"none of 1 prompts can be measured for the table 'toy'; {first[0].id}: too long",
    ):
        results.collect("toy", rows, subject, first)
    table = results.collect("toy", rows, subject, first, toy(first[0]))
    assert len(table) == 0 and list(table.columns) == ["sample"]


def test_an_error_of_another_sample_drops_none(store, subject):
    tables_of = failing_at(0, lambda sample: Unusable(tiny.samples(3)[2], "too long"))["map"]
    with pytest.raises(Unusable, match=tiny.samples(3)[2].id):
        results.collect("toy", tables_of, subject, prompts(subject))


def test_a_table_may_be_empty_where_its_columns_are_known(store, subject):
    empty = pd.DataFrame({"sample": ["a"], "value": [1.0]})
    table = results.collect("toy", None, subject, [], empty)
    assert len(table) == 0 and table.dtypes.to_dict() == empty.dtypes.to_dict()
    assert (
        json.loads((store / "out" / subject.name / "tables" / "toy.json").read_text())["parts"] == 0
    )


def looked_up(subject, prompts, dictionary, borrowed, asked):
    for prompt in prompts:
        asked.append(prompt.id)
        forms = dictionary.sample_forms(borrowed[prompt.sample.id])
        yield pd.DataFrame({"sample": [prompt.sample.id], "forms": [str(forms)]})


looked_up.alone = True


def test_rows_depend_on_their_own_prompt_and_what_it_borrows_alone(store, subject, monkeypatch):
    """Fewer samples after more, another order, and another sample's new entry or lender measure
    nothing.
    """
    monkeypatch.setattr(
        origin,
        "describe",
        lambda value, honest=origin.describe: honest([] if value is asked else value),
    )
    samples, asked = tiny.samples(4), []
    dictionary = arb.entities.load("scenes")
    lender = {one.id: other for one, other in zip(samples, samples[1:] + samples[:1])}

    def measured(chosen, lender=lender, dictionary=dictionary):
        asked.clear()
        encoded = [subject.encode(sample, "text") for sample in chosen]
        given = {"borrowed": lender, "dictionary": dictionary, "asked": asked}
        table = results.gather("toy", looked_up, subject, encoded, **given)
        assert table["sample"].tolist() == [sample.id for sample in chosen]
        return list(asked)

    assert len(measured(samples)) == 4
    assert measured(samples[:2]) == measured(samples[::-1]) == []
    other = arb.entities.knowing(
        dictionary, replace(samples[0], answer_vision="zzz", answer_text="yyy")
    )
    assert measured(samples, dictionary=other) == []
    first = samples[0]
    assert measured(samples, lender=lender | {first.id: samples[2]}) == [f"{first.id}-text"]
    entries = {kind: dict(group) for kind, group in dictionary.entries.items()}
    for group in entries.values():
        if lender[first.id].answer_text in group:
            group[lender[first.id].answer_text] = {
                "en": [lender[first.id].answer_text, "thing"],
                "zh": [],
            }
    concerned = [
        one
        for one in samples
        if lender[first.id].answer_text in {*one.answers("text"), *lender[one.id].answers("text")}
    ]
    assert measured(samples, dictionary=arb.entities.EntityDictionary(entries)) == [
        f"{one.id}-text" for one in concerned
    ]


def test_what_has_no_content_that_can_be_told_is_refused(store, subject):
    with pytest.raises(TypeError, match="a table cannot be kept under a function"):
        results.gather("toy", each(toy), subject, prompts(subject), by=lambda: 0)
