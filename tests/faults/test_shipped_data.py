"""One wrong bit in what ships: found before work begins, named with what to do, and never used.

The trained weights are in `test_damaged`.
"""

import json
import re
import shutil

import pytest
from PIL import Image

import tiny
from arbitration import dataset
from arbitration.dataset import entities, sets
from arbitration.files import folders, shipped
from arbitration.files.checksums import Damaged
from arbitration.models import load
from press import columns
from reproduction.claims import authors, predicted, reported
from reproduction.cohorts import studies
from reproduction.numbers import dataset as counts

pytestmark = pytest.mark.faults


@pytest.fixture
def data(tmp_path, monkeypatch):
    """A copy of what ships, which is read in its place."""
    copy, apart = tmp_path / "data", ("results", "benchmarks", "*.safetensors")
    shutil.copytree(folders.DATA, copy, ignore=shutil.ignore_patterns(*apart))
    for module in (folders, sets, counts):
        monkeypatch.setattr(module, "DATA", copy)
    monkeypatch.setattr(entities, "SHIPPED", {"scenes": copy / "scenes" / entities.FILE})
    forget()
    yield copy
    forget()


def forget():
    """As a new process, which has compared and read nothing."""
    shipped._check.cache_clear()
    for known in (
        authors.published_curves,
        predicted.rule_changes,
        predicted.predicted_claims,
        reported.reported_claims,
        reported.questions,
        columns.read_tables,
    ):
        known.cache_clear()


def flip(path, count):
    """Write copies with one wrong bit, `count` in all over the file's length, and the true one."""
    content = path.read_bytes()
    for number in range(count):
        wrong = bytearray(content)
        place = number * len(content) // count
        wrong[place] ^= 1 << number % 5  # the low bits: other letters and digits, still text
        path.write_bytes(wrong)
        forget()
        yield
    path.write_bytes(content)
    forget()


def refusal(path):
    """What is said of a file, to the end."""
    return f"{re.escape(str(path))} is not the file that ships, .* and is not used; take it back"


@pytest.mark.parametrize("name", ["samples.jsonl", entities.FILE])
def test_the_scenes_and_their_dictionary(data, name):
    """Most wrong bits leave a file that reads well: without the checksum they would be used."""
    path, used = data / "scenes" / name, 0
    true = sets.load("scenes", "held"), entities.load("scenes").entries
    for _ in flip(path, 60):
        with pytest.raises(Damaged, match=refusal(path)) as caught:
            dataset.load("scenes")
        said = str(caught.value)
        assert f"git checkout -- data/scenes/{name} data/SHA256SUMS" in said
        assert "`-p data FOLDER`" in said and "make checksums" in said and "\n" not in said
        try:
            used += (sets.load("scenes", "held"), entities.load("scenes").entries) != true
        except (ValueError, LookupError):
            continue
    assert used > 10
    assert (dataset.load("scenes"), entities.of("scenes", true[0]).entries) == true


def test_a_picture_that_is_another_and_reads_well(data):
    """A PNG's own checksums are of what was written last."""
    path = data / "scenes/images/held-003.png"
    with Image.open(path) as opened:
        picture = opened.convert("RGB")
    picture.putpixel((5, 5), tuple(255 - value for value in picture.getpixel((5, 5))))
    picture.save(path)
    with pytest.raises(Damaged, match=refusal(path)):
        dataset.load("scenes", "iid")
    for other in ("held-004", "held-005"):
        (data / f"scenes/images/{other}.png").unlink()
    forget()
    with pytest.raises(Damaged, match="held-003.png .*, nor are 2 other files that ship"):
        dataset.load("scenes")


def begin(monkeypatch, given):
    """Begin a notebook's work; whether it came to load the model."""
    loaded = []

    def load_model(name, weights):
        loaded.append(name)
        raise InterruptedError

    monkeypatch.setattr(load, "load", load_model)
    names = {"model": "smol", "split": "held", "seed": 0, "n": 2, "data": "scenes"} | given
    try:
        studies.study(names)
    except InterruptedError:
        assert loaded == ["smol"]
    else:
        raise AssertionError
    return True


@pytest.mark.parametrize(
    "name",
    [
        "scenes/samples.jsonl",
        "scenes/entities.json",
        "scenes/icons.json",
        "scenes/images/iid-007.png",
        "models/tokenizer.json",
        "models/config.json",
        "models/processor_config.json",
        "architectures/internvl3.json",
        "text/plain.txt",
    ],
)
def test_no_notebook_begins_with_it(data, monkeypatch, name):
    for _ in flip(data / name, 3):
        with pytest.raises(Damaged, match=refusal(data / name)):
            begin(monkeypatch, {})
    assert begin(monkeypatch, {})


def test_a_set_of_one_s_own_does_not_need_the_scenes(data, tmp_path, monkeypatch):
    """What the message says to do helps."""
    (own := tmp_path / "own").mkdir()
    shutil.copy(tiny.samples(1)[0].image, own / "p.png")
    words = {"question": "What?", "context": "A dog.", "answer_vision": "cat", "image": "p.png"}
    (own / "samples.jsonl").write_text(json.dumps({**words, "answer_text": "dog"}))
    (data / "scenes" / "entities.json").write_text('{"entries": {}}')
    forget()
    assert begin(monkeypatch, {"data": str(own)}) and len(dataset.load(own)) == 1


READERS = {
    "paper_claims.json": predicted.predicted_claims,
    "paper_claims_2.json": predicted.predicted_claims,
    "paper_reported.json": reported.reported_claims,
    "questions.json": reported.questions,
    "authors_curves.json": authors.published_curves,
    "columns.json": columns.read_tables,
    "scenes/icons.json": counts.list_pictures,
    "scenes/samples.jsonl": counts.list_pictures,
}


@pytest.mark.parametrize("name", READERS)
def test_claims_bounds_and_what_is_reported(data, name):
    path, read = data / name, READERS[name]
    for _ in flip(path, 100):
        with pytest.raises(Damaged, match=refusal(path)) as caught:
            read()
        assert f"git checkout -- data/{name} data/SHA256SUMS" in str(caught.value)
    assert len(read())


def test_the_checksums_themselves(data):
    """Whatever is wrong in them, nothing passes for another; and what is said helps."""
    path = data / shipped.SUMS
    refused, content = 0, path.read_bytes()
    for _ in flip(path, 100):
        try:
            dataset.load("scenes", "held")
            predicted.predicted_claims()
            authors.published_curves()
        except Damaged as error:
            assert "is not the file that ships" in str(error) or str(path) in str(error)
            assert "data/SHA256SUMS" in str(error)
            refused += 1
    assert refused > 75 and path.read_bytes() == content
    path.unlink()
    forget()
    with pytest.raises(Damaged, match=f"{path} is no list of checksums; .*git checkout -- data/SH"):
        dataset.load("scenes")
