"""One wrong bit, or a file cut short: found, named with what to do, and never used.

Parts are also in `test_results`, weights that were cut short in `test_snapshots`, fetched files in
`test_download` and `test_embedded`, published notebooks and stamps in `test_runner`.
"""

import io
import json
import re
import shutil
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from huggingface_hub import constants

import tiny
from arbitration import dataset
from arbitration.dataset import entities, pictures
from arbitration.files import checksums
from arbitration.models import embedded, load
from arbitration.models.prompt import Unusable
from press import run
from reproduction import results
from reproduction.results import attest, recorded, records
from toy_measure import encode, folders, measure, published
from toy_notebook import TOY, write_toy

pytestmark = pytest.mark.faults


def flipped(content: bytes, every: int = 1):
    """Copies with one wrong bit, another one in each byte."""
    for place in range(0, len(content), every):
        wrong = bytearray(content)
        wrong[place] ^= 1 << place % 8
        yield bytes(wrong)


def cut(content: bytes, every: int = 1):
    """Copies that end too early."""
    yield from (content[:length] for length in range(0, len(content), every))


def read_afresh(path):
    records._read.cache_clear()
    return records.read_record(path)


@pytest.fixture
def record(tmp_path, monkeypatch):
    """A record of two cases, the second added to the first."""
    for name, folder in folders(tmp_path).items():
        monkeypatch.setenv(name, folder)
    rows = pd.DataFrame({"sample": ["a", "b"], "layer": [0, 1], "nssd": [0.5, 0.1]})
    for case in ("one", "two"):
        part = records.Part("a", "c", rows, {"code": case, "when": "2026-01-02"}, 1.0)
        records.add_parts("toy", "rows", case, {"parameters": {"n": 1}}, [part])
    return records.record_path("toy", "rows")


@pytest.mark.parametrize("kind", ["parquet", "json"])
def test_a_record_is_refused_or_is_what_was_written(record, kind):
    """Of the .json that includes what a reader would see of it, such as the day."""
    true, path = read_afresh(record), record.with_suffix(f".{kind}")
    content, refused = path.read_bytes(), 0
    for wrong in (*flipped(content, 1 if kind == "json" else 2), *cut(content, 7)):
        path.write_bytes(wrong)
        try:
            found = read_afresh(record)
        except ValueError as error:
            assert f"the record {record} is damaged" in str(error)
            assert "git checkout), or delete both files" in str(error)
            refused += 1
            continue
        # White space between what the .json says can be any.
        assert found.rows.equals(true.rows) and found.rows.dtypes.equals(true.rows.dtypes)
        assert (found.cases, found.made) == (true.cases, true.made) and kind == "json"
    assert refused > 400
    path.write_bytes(content)
    assert read_afresh(record).rows.equals(true.rows)


def test_a_record_in_the_place_of_another_is_refused(record):
    """Both halves are whole, and do not belong together."""
    before = record.read_bytes()
    rows = pd.DataFrame({"sample": ["c"], "layer": [0], "nssd": [0.25]})
    part = records.Part("c", "c", rows, {"code": "three", "when": "2026-01-02"}, 1.0)
    records.add_parts("toy", "rows", "three", {}, [part])
    record.write_bytes(before)
    with pytest.raises(ValueError, match="its hash is another than that in the .json"):
        read_afresh(record)
    record.with_suffix(".json").unlink()
    with pytest.raises(ValueError, match="is damaged"):
        read_afresh(record)


def test_the_rows_of_a_damaged_record_are_measured(subject, tmp_path, monkeypatch):
    for name, folder in folders(tmp_path).items():
        monkeypatch.setenv(name, folder)
    monkeypatch.setattr(attest, "SEEN", [])
    monkeypatch.setenv("ARBITRATION_RECORD", "1")
    prompts = encode(subject, 2)
    measure(subject, prompts)
    first = published(tmp_path, subject)
    path = records.record_path(subject.name, "toy")
    monkeypatch.delenv("ARBITRATION_RECORD")
    path.write_bytes(next(flipped(path.read_bytes())))
    measure(subject, prompts)
    assert published(tmp_path, subject).equals(first)
    assert recorded.list_origins()["origin"].str.startswith("measured here").all()


@pytest.mark.parametrize("name", ["adapter", "vision"])
def test_a_weight_that_ships(tmp_path, monkeypatch, name):
    shutil.copytree(embedded.MODELS / "smol", tmp_path / "smol")
    monkeypatch.setattr(embedded, "MODELS", tmp_path)
    path = tmp_path / "smol" / f"{name}.safetensors"
    embedded._shipped("smol")
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    with pytest.raises(ValueError, match=f"{path} is not the file that ships; .*git checkout"):
        embedded._shipped("smol")


def test_a_weight_of_the_hub(tmp_path, monkeypatch):
    """As its cache lies: every large file is a link to one that is called by its SHA-256."""
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setenv("ARBITRATION_CACHE", str(tmp_path / "own"))
    home, own = tmp_path / "models--org--model", tiny.subject("llava")
    (folder := home / "snapshots" / ("c" * 40)).mkdir(parents=True)
    (home / "blobs").mkdir()
    for part in (own.model, own.processor):
        part.save_pretrained(tmp_path / "saved")
    for path in (tmp_path / "saved").iterdir():
        blob = home / "blobs" / checksums.digest(path)
        shutil.copy(path, blob)
        (folder / path.name).symlink_to(blob)
    assert load.load("org/model", device="cpu").revision == "c" * 40
    weights = folder / "model.safetensors"
    content = bytearray(weights.read_bytes())
    content[-1] ^= 1
    weights.resolve().write_bytes(content)
    again = f"hf download org/model model.safetensors --revision {'c' * 40} --force-download"
    with pytest.raises(FileNotFoundError, match=f"{weights} .SHA-256 .*, in the hub .*{again}"):
        load.load("org/model", device="cpu")


@pytest.mark.parametrize("kind", ["PNG", "JPEG"])
def test_a_picture(kind):
    """A PNG has checksums in it. A JPEG has none: there, what is cut short is found, and MC²'s are
    held against the checksum of their first download.
    """
    true = pictures.read_picture(tiny.samples(1)[0].image)
    file = io.BytesIO()
    true.save(file, kind)
    content, expected = file.getvalue(), np.asarray(pictures.read_picture(file))
    wrongs = (*flipped(content, 5), *cut(content, 50)) if kind == "PNG" else cut(content[:-2], 50)
    refused = 0
    for wrong in wrongs:
        try:
            assert np.array_equal(pictures.read_picture(io.BytesIO(wrong)), expected)
        except ValueError as error:
            assert str(error).startswith("cannot be read as a picture")
            refused += 1
    assert refused > 20


def own_set(folder):
    """A set of one sample with its dictionary."""
    sample = {
        "id": "one",
        "question": "What is it?",
        "context": "A dog.",
        "answer_vision": "cat",
        "answer_text": "dog",
        "image": "p.png",
    }
    pictures.read_picture(tiny.samples(1)[0].image).save(folder / "p.png")
    (folder / "samples.jsonl").write_text(json.dumps(sample))
    made = {"entries": {"any": {"cat": {"en": ["cat", "kitty"]}, "dog": {"en": ["dog", "hound"]}}}}
    (folder / "entities.json").write_text(json.dumps(made))
    return folder


def test_a_picture_of_a_set_is_named_before_anything_is_measured(tmp_path):
    folder = own_set(tmp_path)
    content = (folder / "p.png").read_bytes()
    (folder / "p.png").write_bytes(content[: len(content) // 2])
    with pytest.raises(ValueError, match=r"line 1: image 'p.png': .*p.png cannot be read"):
        dataset.load(folder)


def test_a_picture_of_the_scenes_is_dropped_and_named(subject, tmp_path):
    """One of those that ship is looked at when it is put to a model."""
    sample = tiny.samples(1)[0]
    (tmp_path / "p.png").write_bytes(next(flipped(open(sample.image, "rb").read()[:-1] + b"\0")))
    with pytest.raises(Unusable, match="does not take its picture 'p.png': cannot be read"):
        subject.encode(replace(sample, image=str(tmp_path / "p.png")), "text")


def test_a_dictionary(tmp_path):
    """What is no dictionary is named. What is still one is another: samples that were loaded with
    the true one are refused, and rows are kept under what they were looked up in.
    """
    folder = own_set(tmp_path)
    samples, content = dataset.load(folder), (folder / "entities.json").read_bytes()
    true, refused = entities.of(folder, samples), 0
    for wrong in (*flipped(content), *cut(content)):
        (folder / "entities.json").write_bytes(wrong)
        with pytest.raises(ValueError, match="is not what it was when the samples were loaded"):
            entities.of(folder, samples)
        try:
            found = entities.of(folder, dataset.load(folder))
        except ValueError as error:
            assert str(folder / "entities.json") in str(error)
            assert re.search("make it again|delete it", str(error))
            refused += 1
            continue
        same = found.entries == true.entries
        assert same or results.origin.describe(found) != results.origin.describe(true)
    assert refused > len(content)


def test_a_notebook_s_text_that_is_cut_short_is_refused_before_anything_runs(tmp_path, capsys):
    sources = write_toy(tmp_path, TOY)
    path = sources / "toy.ipynb"
    content = path.read_bytes()
    for wrong in cut(content[: content.rindex(b"}")], 40):
        path.write_bytes(wrong)
        with pytest.raises(ValueError):
            run.plan(["toy"], ["smol"], {}, sources)
