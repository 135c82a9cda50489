"""MC²: read from disk or brought once, cleaned, its dirt counted. No record of it is in this
repository; those here are invented.
"""

import io
import json
import re
from pathlib import Path

import pytest
from PIL import Image

from arbitration import dataset
from arbitration.dataset import mc2
from arbitration.dataset.sample import PAPER_INSTRUCTION
from arbitration.files.folders import ROOT
from arbitration.files.web import Absent
from shared_folder import SHARED


def record(
    number="7",
    question="What is the cat on?",
    vision="sofa",
    text="carpet",
    context="The cat sleeps on a carpet.",
    task="object_recognition",
):
    return {
        "image_id": str(number).zfill(12),
        "task": task,
        "question": question,
        "answer_vision": vision,
        "answer_text": text,
        "context": context,
    }


RECORDS = [
    record(),
    record(
        8,
        question="How many cups are there ?",
        vision="two",
        text=" 3 ",
        context=" Three cups were washed.\n",
        task="counting",
    ),
    record(9, vision="sofa", text="Persian rug", context="Not on the sofa, on the floor."),
    record(
        7,
        question=" Where is it?",
        vision="running",
        text="not running",
        context="It is not running.",
    ),
]


def picture(colour="red"):
    file = io.BytesIO()
    Image.new("RGB", (8, 8), colour).save(file, "JPEG")
    return file.getvalue()


@pytest.fixture
def cached(tmp_path, monkeypatch):
    monkeypatch.setenv("ARBITRATION_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "mc2"


class Web:
    """A web of a few addresses that remembers what it was asked for; `stops` is how many answers it
    gives before it is gone.
    """

    def __init__(self, pages, stops=10**6):
        self.pages, self.stops, self.asked = pages, stops, []

    def __call__(self, url):
        self.asked.append(url)
        if len(self.asked) > self.stops:
            why = f"{url}: unreachable"
            raise ConnectionError(why)
        if url not in self.pages:
            why = f"{url}: the server answered 404"
            raise Absent(why)
        return self.pages[url]


def photograph(part, number):
    return f"{mc2.COCO}/{part}/COCO_{part}_{str(number).zfill(12)}.jpg"


def pages(revision="abc", records=RECORDS):
    return {
        mc2.NEWEST: json.dumps({"sha": revision}).encode(),
        f"{mc2.RAW}/{revision}/{mc2.FILE}": json.dumps(records).encode(),
        photograph("train2014", 7): picture("red"),
        photograph("val2014", 8): picture("green"),
        photograph("train2014", 9): picture("blue"),
    }


@pytest.fixture
def disk(tmp_path):
    """A folder with the file of texts and COCO's two folders beside it."""
    (tmp_path / "mc2.json").write_text(json.dumps(RECORDS))
    for part, number in (("train2014", 7), ("val2014", 8), ("train2014", 9)):
        (tmp_path / part).mkdir(exist_ok=True)
        (tmp_path / part / f"COCO_{part}_{str(number).zfill(12)}.jpg").write_bytes(picture())
    return tmp_path


def test_samples_are_cleaned(disk):
    samples = dataset.load(disk / "mc2.json", "held")
    assert [sample.id for sample in samples] == ["mc2-0000", "mc2-0001", "mc2-0002", "mc2-0003"]
    assert samples[1] == dataset.Sample(
        id="mc2-0001",
        split="all",
        task="counting",
        image=str(disk / "val2014/COCO_val2014_000000000008.jpg"),
        question="How many cups are there?",
        context="Three cups were washed.",
        answer_vision="two",
        answer_text="three",
        instruction_vision=PAPER_INSTRUCTION["vision"],
        instruction_text=PAPER_INSTRUCTION["text"],
    )
    assert samples[2].answer_text == "persian rug" and samples[3].question == "Where is it?"
    assert (
        samples[0].image
        == samples[3].image
        == str(disk / "train2014/COCO_train2014_000000000007.jpg")
    )
    assert dataset.load(disk / "mc2.json", "iid") == samples


def test_loading_says_what_was_cleaned_and_flagged(disk, capsys):
    mc2.load_mc2(disk / "mc2.json")
    assert (
        "MC²: 4 samples, 3 of them cleaned; kept and flagged: repeated 1, leaks 2, absent "
        "1, nested 1"
    ) in capsys.readouterr().out


def test_a_clean_record_stays_as_it_is():
    assert mc2.cleaned(RECORDS[0]) == RECORDS[0]
    assert not mc2.flags(RECORDS[:1])[list(mc2.DIRT)].any(axis=None)


def test_dirt_is_found_where_it_is():
    flagged = mc2.flags(RECORDS)
    found = {kind: flagged.index[flagged[kind]].tolist() for kind in mc2.DIRT}
    assert found == {
        "answer_vision_edges": [],
        "answer_text_edges": [1],
        "context_edges": [1],
        "question_edges": [3],
        "question_space": [1],
        "capitals": [2],
        "digits": [1],
        "repeated": [3],
        "leaks": [2, 3],
        "absent": [2],
        "nested": [3],
    }
    assert flagged["sample"].tolist() == ["mc2-0000", "mc2-0001", "mc2-0002", "mc2-0003"]


def test_the_report_counts_it():
    report = mc2.report(mc2.flags(RECORDS))
    assert report.loc["leaks", ["samples", "share"]].tolist() == [2, 0.5]
    assert report["samples"].to_dict() == {
        kind: {"answer_vision_edges": 0, "leaks": 2}.get(kind, 1) for kind in mc2.DIRT
    }
    assert report.loc["capitals", "done"].startswith("lower case")


def test_every_bad_record_is_named(tmp_path):
    bad = [
        RECORDS[0],
        record(number="x1"),
        RECORDS[1] | {"context": " ", "task": None},
        {**RECORDS[2], "image_id": 12},
    ]
    (tmp_path / "mc2.json").write_text(json.dumps(bad))
    with pytest.raises(ValueError) as caught:
        mc2.read(tmp_path / "mc2.json")
    assert [line.split(";")[0] for line in str(caught.value).splitlines()[1:]] == [
        "mc2.json, record 1: image_id is '0000000000x1'",
        "mc2.json, record 2: task is missing",
        "mc2.json, record 2: context is empty",
        "mc2.json, record 3: image_id is 12, which is no text",
    ]


@pytest.mark.parametrize(
    "content, said",
    [
        ("{", "not valid JSON.*Own samples, one object a line, go into a .jsonl file"),
        ("{}", "no list of objects"),
        ("[]", "no list of objects"),
        ('["a"]', "no list of objects with the fields image_id"),
    ],
)
def test_other_files_are_refused(tmp_path, content, said):
    (tmp_path / "mc2.json").write_text(content)
    with pytest.raises(ValueError, match=said):
        mc2.read(tmp_path / "mc2.json")
    with pytest.raises(
        FileNotFoundError, match="there is no file .*none.json; relative paths start from"
    ):
        mc2.read(tmp_path / "none.json")


def test_photographs_that_a_folder_lacks_are_named(disk):
    (disk / "val2014/COCO_val2014_000000000008.jpg").unlink()
    with pytest.raises(
        FileNotFoundError,
        match=(
            "1 of 3 photographs .*: 000000000008. Looked for "
            "train2014/COCO_train2014_000000000008.jpg and val2014/"
        ),
    ):
        mc2.load_mc2(disk / "mc2.json")
    (disk / "val2014/COCO_val2014_000000000008.jpg").write_bytes(picture()[:-300])
    with pytest.raises(
        ValueError,
        match="photograph 8: .*/COCO_val2014_000000000008.jpg cannot be read as a picture",
    ):
        mc2.load_mc2(disk / "mc2.json")


def test_pictures_may_lie_elsewhere(disk, tmp_path_factory):
    elsewhere = tmp_path_factory.mktemp("texts") / "any.json"
    elsewhere.write_text(json.dumps(RECORDS))
    assert mc2.load_mc2(elsewhere, pictures=disk) == mc2.load_mc2(disk / "mc2.json")


def test_everything_is_brought_once(cached):
    web = Web(pages())
    samples = mc2.load_mc2(get=web)
    for sample, page in zip(
        samples, ["train2014/7", "val2014/8", "train2014/9", "train2014/7"], strict=True
    ):
        assert Path(sample.image).read_bytes() == web.pages[photograph(*page.split("/"))]
    assert web.asked == [
        mc2.NEWEST,
        f"{mc2.RAW}/abc/{mc2.FILE}",
        photograph("train2014", 7),
        photograph("train2014", 8),
        photograph("val2014", 8),
        photograph("train2014", 9),
    ]
    assert (cached / "revision").read_text() == "abc"
    assert mc2.load_mc2(get=Web({}, stops=0)) == samples


def test_a_stopped_download_goes_on(cached):
    with pytest.raises(
        ConnectionError, match=r"1 of 3 photographs .*unreachable\. Run this again to go on"
    ):
        mc2.load_mc2(get=Web(pages(), stops=4))
    web = Web(pages(revision="newer"))
    assert len(mc2.load_mc2(get=web)) == 4
    assert web.asked == [
        photograph("train2014", 8),
        photograph("val2014", 8),
        photograph("train2014", 9),
    ]


def test_the_revision_of_the_first_use_is_kept(cached):
    with pytest.raises(ConnectionError):
        mc2.fetch_texts(Web(pages(), stops=1))
    both = pages() | pages(revision="newer", records=RECORDS[:1])
    assert len(mc2.read(get=Web(both))) == 4


def test_a_changed_photograph_is_refused(cached):
    samples = mc2.load_mc2(get=Web(pages()))
    with open(samples[1].image, "ab") as file:
        file.write(b"x")
    with pytest.raises(
        ValueError, match=r"COCO_val2014_000000000008\.jpg is not the file that it was"
    ):
        mc2.load_mc2(get=Web(pages() | {photograph("val2014", 8): picture("black")}))
    assert mc2.load_mc2(get=Web(pages())) == samples


def test_a_log_in_page_is_no_photograph(cached):
    with pytest.raises(
        ValueError,
        match=r"COCO_train2014_000000000007\.jpg is not what it should be: "
        r"cannot be read as a picture",
    ):
        mc2.load_mc2(get=Web(pages() | {photograph("train2014", 7): b"<html>Log in</html>"}))
    assert not list(cached.rglob("*.jpg"))


def test_without_a_network_it_is_said_what_to_do(cached, monkeypatch):
    def unreachable(url, timeout):
        why = "network is unreachable"
        raise OSError(why)

    monkeypatch.setattr("arbitration.files.web.urlopen", unreachable)
    with pytest.raises(
        ConnectionError,
        match="(?s)evaluate_final.json of the GitHub repository .* not in the cache folder "
        ".*network is unreachable.*"
        "give the path of the file.* 'scenes' needs no download",
    ):
        dataset.load("mc2", "held")
    with pytest.raises(ConnectionError, match="names no revision"):
        mc2.fetch_texts(Web({mc2.NEWEST: b"<html>Log in</html>"}))
    assert not list(cached.parent.rglob("evaluate_final.json"))


def test_the_page_explains_every_kind_of_dirt():
    page = (ROOT / "book" / "mc2.md").read_text(encoding="utf-8").split("## What is cleaned")[1]
    assert set(
        re.findall(
            r"`(\w+)`",
            "".join(line.split("|")[1] for line in page.splitlines() if line.startswith("| `")),
        )
    ) == set(mc2.DIRT)


@pytest.mark.shared
def test_the_real_texts_have_the_known_dirt():
    records = mc2.read(SHARED / "data" / "mc2.json")
    counts = mc2.report(mc2.flags(records))["samples"]
    known = {
        "answer_text_edges": 174,
        "context_edges": 279,
        "question_space": 118,
        "capitals": 8,
        "repeated": 60,
        "leaks": 211,
    }
    assert counts[list(known)].to_dict() == known
    # As bare runs of letters two more leak, and nine fewer are absent: all of these stand in a
    # compound, such as square in square-shaped.
    assert counts["absent"] == 621 and counts["digits"] == 1
    assert len({sample["task"] for sample in records}) == 8 and len(records) == 2000
