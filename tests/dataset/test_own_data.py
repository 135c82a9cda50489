"""A reader's own conflict samples: read as written, refused with every mistake at once."""

import json
import re
import shutil
from dataclasses import replace

import pandas as pd
import pytest
from PIL import Image

import tiny
from arbitration import dataset
from arbitration.dataset import entities, own
from arbitration.dataset.own import FIELDS, REQUIRED
from arbitration.dataset.sample import PAPER_INSTRUCTION
from arbitration.files.folders import ROOT
from in_process import run
from reproduction.cohorts import answered, failures
from reproduction.results import question

GOOD = {
    "question": "What is on the table?",
    "context": "There is a pear on the table.",
    "answer_vision": "apple",
    "answer_text": "pear",
    "image": "pictures/one.png",
}
NAMED = {
    "id": "fruit-1",
    "task": "object_recognition",
    "split": "test",
    "instruction_vision": "Trust your eyes.",
    "instruction_text": "Trust the note.",
}


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "pictures").mkdir()
    Image.new("RGB", (8, 8), "red").save(tmp_path / "pictures" / "one.png")
    return tmp_path


def write(folder, *records):
    """Each record a line; text is written as it is."""
    lines = [record if isinstance(record, str) else json.dumps(record) for record in records]
    (folder / "samples.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return folder


def refused(folder, *records):
    """What each line of a file is told, without the file's name: a list of "line n: …"."""
    with pytest.raises(ValueError) as caught:
        dataset.load(write(folder, *records), "held")
    head, *lines = str(caught.value).splitlines()
    assert str(folder / "samples.jsonl") in head and "nothing was measured" in head
    assert all(line.startswith("samples.jsonl, line") for line in lines)
    return [line.removeprefix("samples.jsonl, ") for line in lines]


def test_samples_are_what_is_written(folder):
    plain, named = dataset.load(write(folder, GOOD, "", GOOD | {"id": "b"}), "held")
    assert (plain.id, named.id) == ("line-0001", "b")
    assert plain == dataset.Sample(
        id="line-0001",
        split="all",
        task="",
        image=str(folder / "pictures/one.png"),
        question=GOOD["question"],
        context=GOOD["context"],
        answer_vision="apple",
        answer_text="pear",
        instruction_vision=PAPER_INSTRUCTION["vision"],
        instruction_text=PAPER_INSTRUCTION["text"],
    )


def test_all_fields_are_read_and_white_space_is_dropped(folder):
    spaced = {name: f" {value}\n" for name, value in (GOOD | NAMED).items()}
    (sample,) = dataset.load(write(folder, spaced), "test")
    assert sample == dataset.Sample(**GOOD | NAMED | {"image": str(folder / "pictures/one.png")})


def test_a_file_of_any_name_is_read_and_a_mark_at_its_start_does_no_harm(folder, monkeypatch):
    path = folder / "fruit.jsonl"
    path.write_text("\ufeff" + json.dumps(GOOD) + "\r\n", encoding="utf-8")
    assert len(dataset.load(path, "held")) == 1
    monkeypatch.chdir(folder)
    assert dataset.load("fruit.jsonl", "held") == dataset.load(str(path), "held")


def test_parquet_is_the_same(folder):
    pd.DataFrame([GOOD, GOOD | {"id": "b"}]).to_parquet(folder / "fruit.parquet")
    rows, lines = (
        dataset.load(folder / "fruit.parquet", "held"),
        dataset.load(write(folder, GOOD, GOOD | {"id": "b"}), "held"),
    )
    assert [replace(rows[0], id="line-0001"), rows[1]] == lines and rows[0].id == "row-0001"


def test_rows_of_parquet_are_numbered_too(folder):
    pd.DataFrame([GOOD, GOOD | {"context": ""}, GOOD | {"question": None}]).to_parquet(
        folder / "samples.parquet"
    )
    with pytest.raises(ValueError) as caught:
        dataset.load(folder, "held")
    assert re.findall(r"^samples\.parquet, row \d: \w+ is \w+", str(caught.value), re.M) == [
        "samples.parquet, row 2: context is empty",
        "samples.parquet, row 3: question is missing",
    ]


@pytest.mark.parametrize(
    "record, expected",
    [
        ({**GOOD, "answer_text": None}, ["answer_text is missing; write what the text answers"]),
        ({**GOOD, "answer_text": " "}, ["answer_text is empty; write what the text answers"]),
        (
            {**GOOD, "split": ""},
            ["split is empty; write the part of the set, or leave the field out"],
        ),
        (
            {**GOOD, "answer_text": 3},
            ["answer_text is 3, which is no text; write what the text answers, as text in quotes"],
        ),
        (
            {**GOOD, "context": ["a", "b"]},
            [
                (
                    "context is ['a', 'b'], which is no text; write the text that contradicts "
                    "the picture, as text in quotes"
                )
            ],
        ),
        ({**GOOD, "tsak": "color"}, ["unknown field 'tsak'; did you mean 'task'?"]),
        (
            {**GOOD, "xyz": 1},
            [
                (
                    "unknown field 'xyz'; known fields: question, context, answer_vision, "
                    "answer_text, image, id, task, split, instruction_vision, instruction_text"
                )
            ],
        ),
        (
            {**GOOD, "answer_text": "An Apple."},
            [
                (
                    "answer_vision and answer_text: 'apple' and 'An Apple.' are the same "
                    "answer; a conflict needs two"
                )
            ],
        ),
        (
            {**GOOD, "answer_vision": "2 pears", "answer_text": "two pears"},
            [
                (
                    "answer_vision and answer_text: '2 pears' and 'two pears' are the same "
                    "answer; a conflict needs two"
                )
            ],
        ),
        (
            {**GOOD, "answer_text": "?!"},
            ["answer_vision and answer_text: '?!' has no word to recognise in an answer"],
        ),
        (
            {**GOOD, "context": "Nice \ud83d"},
            [
                (
                    "context holds half a character (U+D83D), as a cut emoji leaves it; write "
                    "the whole one, or delete it"
                )
            ],
        ),
        (
            {**GOOD, "id": "a/b"},
            [
                (
                    "id 'a/b' cannot be part of a file name; use up to 50 letters, digits, "
                    "'.', '_' and '-', a letter or digit first"
                )
            ],
        ),
        ("[1, 2]", ["[1, 2] is no sample; write one {…} object on each line"]),
    ],
)
def test_a_mistake_is_named_with_what_would_be_right(folder, record, expected):
    assert refused(folder, GOOD, record if isinstance(record, str) else GOOD | record) == [
        f"line 2: {fault}" for fault in expected
    ]


def test_a_misspelt_field_is_not_missed_as_well(folder):
    record = {
        ("anser_text" if name == "answer_text" else name): value for name, value in GOOD.items()
    }
    assert refused(folder, record) == [
        "line 1: unknown field 'anser_text'; did you mean 'answer_text'?"
    ]


def test_a_mistake_of_many_lines_is_told_once(folder):
    good, wrong = GOOD, GOOD | {"note": "mine"}
    (fault,) = refused(folder, wrong, wrong, wrong, good, wrong)
    assert fault.startswith("lines 1–3, 5: unknown field 'note'")
    with pytest.raises(ValueError, match="^4 things are wrong"):
        dataset.load(folder, "held")


def test_broken_lines_do_not_hide_later_ones(folder):
    faults = refused(folder, '{"question": "Why', GOOD | {"context": ""}, GOOD)
    assert [fault.split(" (")[0] for fault in faults] == [
        "line 1: not valid JSON",
        "line 2: context is empty; write the text that contradicts the picture",
    ]
    (folder / "samples.jsonl").write_bytes(b'{"question": "caf\xe9"}\n')
    with pytest.raises(ValueError, match="line 1: not written in UTF-8"):
        dataset.load(folder, "held")


def test_pictures_are_opened_before_anything_is_measured(folder):
    whole = (folder / "pictures/one.png").read_bytes()
    (folder / "pictures/half.png").write_bytes(whole[: len(whole) // 2])
    (folder / "pictures/page.png").write_text("<html>not found</html>")
    pictures = [
        "pictures/none.png",
        "pictures",
        "pictures/half.png",
        "pictures/page.png",
        str(folder / "pictures/one.png"),
    ]
    faults = refused(folder, GOOD, *(GOOD | {"image": picture} for picture in pictures))
    assert [fault.split(":")[0] for fault in faults] == [f"line {n}" for n in range(2, 7)]
    said = [
        "there is no file",
        "there is no file",
        "cannot be read as a picture",
        "cannot be read as a picture",
        "absolute path",
    ]
    for fault, expected in zip(faults, said):
        assert expected in fault and "relative to the folder of this file" in fault


def test_names_are_given_once(folder):
    faults = refused(
        folder, GOOD | {"id": "Line-0003"}, GOOD | {"id": "b"}, GOOD, GOOD | {"id": "b"}
    )
    assert [fault.split(" (")[0] for fault in faults] == [
        "line 3: id 'line-0003' is also that of line 1",
        "line 4: id 'b' is also that of line 2",
    ]


def test_splits_are_in_every_sample_or_in_none(folder):
    assert refused(folder, GOOD, GOOD | {"split": "test"}, GOOD) == [
        "lines 1, 3: split is missing, although line 2 has one; give it to every sample or to none"
    ]
    write(folder, *(GOOD | {"split": split} for split in ("train", "test", "train")))
    assert [sample.id for sample in dataset.load(folder, "train")] == ["line-0001", "line-0003"]
    with pytest.raises(ValueError, match=r"split 'held'; .*'train' \(2\), 'test' \(1\)"):
        dataset.load(folder, "held")


def test_files_that_are_not_there_are_named(folder):
    with pytest.raises(FileNotFoundError, match="neither samples.jsonl nor samples.parquet"):
        dataset.load(folder, "held")
    with pytest.raises(ValueError, match="'scenes', 'mc2', or the path.*there is no .*/nowhere"):
        dataset.load("nowhere", "held")
    (folder / "samples.jsonl").write_text("\n")
    with pytest.raises(ValueError, match="holds no sample; write one line for each"):
        dataset.load(folder, "held")
    (folder / "samples.parquet").write_text("PAR")
    with pytest.raises(ValueError, match="cannot be read as parquet"):
        dataset.load(folder / "samples.parquet", "held")
    with pytest.raises(ValueError, match="both"):
        dataset.load(folder, "held")
    (folder / "samples.csv").write_text("question\n")
    with pytest.raises(ValueError, match="give a .jsonl or .parquet file"):
        dataset.load(folder / "samples.csv", "held")


def test_loaded_samples_are_asked_and_filtered_like_the_scenes(folder, monkeypatch):
    monkeypatch.setattr(question, "cache", lambda: folder / "cache")
    scenes, subject, dictionary = tiny.samples(3), tiny.subject("llava"), entities.load("scenes")
    for sample in scenes:
        shutil.copy(sample.image, folder / f"{sample.id}.png")
    fields = (
        "id",
        "task",
        "question",
        "context",
        "answer_vision",
        "answer_text",
        "instruction_vision",
        "instruction_text",
    )
    write(
        folder,
        *(
            {field: getattr(sample, field) for field in fields} | {"image": f"{sample.id}.png"}
            for sample in scenes
        ),
    )
    own = dataset.shuffled(dataset.load(folder, "held"), seed=0)
    answers = answered.ask_samples(subject, own, dictionary)
    theirs = answered.ask_samples(subject, list(scenes), dictionary)
    compared = [
        table.sort_values(["sample", "following"])["answer"].tolist() for table in (answers, theirs)
    ]
    assert compared[0] == compared[1] and len(compared[0]) == 6
    assert len(answered.choose_prompts(subject, own, answers, 2, only_following=False)) == 4
    assert all(share >= 0 for _, share in failures.find_failures(subject, own, 1, dictionary))


@pytest.mark.parametrize("notebook", ["sec2_dataset", "sec3_beliefs"])
def test_a_sample_without_a_decision_stops_no_notebook(folder, monkeypatch, notebook):
    """Its answers cannot be told apart, and no other sample may borrow them."""
    for place, sample in enumerate(tiny.samples(4)):
        shutil.copy(sample.image, folder / f"{place}.png")
    pairs = [("cat", "dog"), ("grey cat", "grey dog"), ("red", "blue"), ("two", "three")]
    write(
        folder,
        *(
            GOOD | {"image": f"{place}.png", "answer_vision": vision, "answer_text": text}
            for place, (vision, text) in enumerate(pairs)
        ),
    )
    options = {} if notebook == "sec2_dataset" else {"only_following": False}
    glued = run(
        notebook,
        folder / "run",
        monkeypatch,
        lambda name, weights: tiny.subject("internvl"),
        n=4,
        data=str(folder),
        **options,
    )
    assert glued["n_text"] == 3


def test_the_page_explains_every_field():
    page = (ROOT / "book" / "own_data.md").read_text(encoding="utf-8")
    rows = dict(re.findall(r"^\| `(\w+)` \| (yes|no) \|", page, re.M))
    assert rows == {name: "yes" if name in REQUIRED else "no" for name in FIELDS}
    assert set(re.findall(r"^(\w+) +(?:yes|no) ", own.__doc__, re.M)) == set(FIELDS)
