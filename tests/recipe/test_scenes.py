"""The conflict scenes: the shipped set is what the generator draws, and what is held out is held
out.
"""

import json
import re
from collections import Counter
from random import Random

import numpy as np
import pytest
import torch
from PIL import Image

from arbitration.files.folders import DATA
from recipe import wording
from recipe.draft import list_words
from recipe.examples import example
from recipe.render import SCENES, Item, Scene, icons, render
from recipe.scenes import TASKS, draw_scene

RECORDS = [
    json.loads(line) for line in (SCENES / "samples.jsonl").read_text(encoding="utf-8").splitlines()
]
HELD_STYLE = icons()["styles"].index(icons()["held_out_style"])


def drawn(task, n=40, **options):
    return [draw_scene(Random(f"{task} {seed}"), task, **options) for seed in range(n)]


def test_shipped_pictures_are_what_the_records_draw():
    """Files hold whole steps of 1/255: a picture lies within half a step, plus float32's own error
    (a few 2⁻²⁴).
    """
    pictures = 255 * render([Scene.from_record(record) for record in RECORDS])
    for picture, record in zip(pictures, RECORDS):
        with Image.open(SCENES / record["image"]) as image:
            stored = torch.from_numpy(np.array(image.convert("RGB"))).permute(2, 0, 1)
        assert (picture - stored).abs().max() <= 0.5 + 1e-4, record["id"]


def test_a_scene_outlives_its_record():
    assert Scene.from_record(RECORDS[3]).record() == {
        key: RECORDS[3][key] for key in ("scene", "background")
    }


def test_background_by_hand():
    b = (0.1, 0.5, 1.0, 0.5, 1.0, 0.5, 0.25)
    picture = render([Scene((), b)])[0]
    x, y = 10.5 / 96, 80.5 / 96
    along = 0.25 * x + 0.75 * y
    assert picture[:, 80, 10].tolist() == pytest.approx([0.5, 0.7 + 0.15 * along, 0.95], abs=1e-6)


def test_an_item_lies_where_its_record_says():
    plain = (0.0,) * 7
    changed = (
        render([Scene((Item(0, 0, 0.25, 0.75, 0.25),), plain)]) - render([Scene((), plain)])
    )[0].abs().sum(0) > 1e-3
    rows, columns = changed.nonzero().T
    assert columns.min() >= 12 and columns.max() < 36 and rows.min() >= 60 and rows.max() < 84
    assert changed.float().mean() > 0.01


def test_a_mirrored_item_is_the_mirror_image():
    plain = (0.5,) * 6 + (0.0,)
    one, other = render(
        [Scene((Item(0, 11, 0.5, 0.5, 0.5, flip=flip),), plain) for flip in (False, True)]
    )
    assert torch.allclose(one, other.flip(-1), atol=1e-5) and not torch.allclose(
        one, other, atol=1e-2
    )


def test_the_shipped_set_is_whole():
    assert Counter(record["split"] for record in RECORDS) == {
        "iid": 120,
        "held": 400,
        "held_style": 120,
    }
    assert len({record["id"] for record in RECORDS}) == len(RECORDS)
    for split in ("iid", "held", "held_style"):
        tasks = Counter(record["task"] for record in RECORDS if record["split"] == split)
        assert set(tasks) == set(TASKS) and len(set(tasks.values())) == 1
    for record in RECORDS:
        assert (
            record["answer_vision"] != record["answer_text"] and (SCENES / record["image"]).exists()
        )


def sentences_of(record):
    """The list of context sentences that suits a record's question."""
    if record["task"] == "positional_reasoning":
        return "side" if record["answer_vision"] in wording.templates()["sides"] else "pos"
    if record["task"] == "attribute":
        return "shape" if "shape" in record["question"] else "size"
    return {
        "object_recognition": "object",
        "color": "color",
        "counting": "count",
        "activity_recognition": "act",
        "sport_recognition": "sport",
        "sentiment_understanding": "sent",
    }[record["task"]]


def is_held(text, sentences, last):
    """Whether a sentence is one of the last, held-out ones of a list; it must be in the list."""
    patterns = [re.sub(r"\\{\w+\\}", ".+", re.escape(sentence)) for sentence in sentences]
    found = [
        place >= len(sentences) - last
        for place, pattern in enumerate(patterns)
        if re.fullmatch(pattern, text, re.I)
    ]
    assert len(set(found)) == 1, text
    return found[0]


def is_held_instruction(text):
    known = wording.templates()["instruction"]
    return is_held(text, known["train"] + known["held_out"], len(known["held_out"]))


@pytest.mark.parametrize("split", ["iid", "held", "held_style"])
def test_shipped_wordings_and_styles_are_kept_apart(split):
    texts = wording.templates()
    for record in (record for record in RECORDS if record["split"] == split):
        for side in ("vision", "text"):
            assert is_held_instruction(record[f"instruction_{side}"]) == (split == "held")
        fillers = [
            sentence
            for sentence in re.split(r"(?<=\.) ", record["context"])
            if sentence in texts["filler"]
        ]
        stated = [
            sentence
            for sentence in re.split(r"(?<=\.) ", record["context"])
            if sentence not in fillers
        ]
        assert {
            is_held(one, texts["filler"], texts["filler_held_out_last"]) for one in fillers
        } <= {split == "held"}
        suiting = texts["context"][sentences_of(record)]
        assert [is_held(one, suiting, texts["context_held_out_last"]) for one in stated] == [
            split == "held"
        ]
        assert {item["style"] == HELD_STYLE for item in record["scene"]} == {split == "held_style"}


@pytest.mark.parametrize("held", [False, True])
def test_fresh_wordings_are_kept_apart(held):
    known = wording.templates()["instruction"]
    unseen = known["image_nouns_held_out"] + known["text_nouns_held_out"]
    said = [
        wording.instruction(Random(seed), side, held)
        for seed in range(150)
        for side in ("vision", "text")
    ]
    assert {is_held_instruction(sentence) for sentence in said} == {held}
    assert any(word in sentence for sentence in said for word in unseen) == held
    assert (known["paper_vision"] in said) == (not held)


@pytest.mark.parametrize("side, names", [("vision", "image_nouns"), ("text", "text_nouns")])
def test_instructions_name_the_modality_to_follow(side, names):
    known = wording.templates()["instruction"]
    cue = (
        r"(?:Prefer|come from|follow|stick to|Let|unlike|believe|go by) the ([a-z ]+?)"
        r"(?: over| rather| decide| but|\.)"
    )
    for seed in range(60):
        wanted = re.search(cue, wording.instruction(Random(seed), side, held=True))
        assert wanted[1] in known[names] + known[f"{names}_held_out"]


@pytest.mark.parametrize("task", TASKS)
def test_drawn_scenes_keep_their_promises(task):
    for held_style in (False, True):
        for draft, scene in drawn(task, held_style=held_style):
            assert draft.answer_vision != draft.answer_text
            assert {item.style == HELD_STYLE for item in scene.items} == {held_style}
            assert len({item.style for item in scene.items}) == 1
            text = draft.stated(Random(0), draft.answer_text, held=False)
            assert draft.answer_text in text.lower() and "{" not in text + draft.question
    assert draw_scene(Random(7), task) == draw_scene(Random(7), task) != draw_scene(Random(8), task)


@pytest.mark.parametrize("task", TASKS)
def test_the_other_answer_is_of_the_same_kind_and_not_in_the_picture(task):
    concepts = icons()["concepts"]
    for draft, scene in drawn(task):
        shown = {
            word
            for item in scene.items
            for group in concepts.values()
            for word, rows in group.items()
            if item.row in rows[item.style]
        }
        if task in (
            "object_recognition",
            "activity_recognition",
            "sport_recognition",
            "sentiment_understanding",
        ):
            kinds = [
                kind
                for kind, group in concepts.items()
                if draft.answer_vision in group and draft.answer_text in group
            ]
            assert kinds and draft.answer_vision in shown and draft.answer_text not in shown


def test_colours_numbers_sides_and_sizes_are_as_asked():
    colours, numbers = list(icons()["colours"]), icons()["numbers"]
    for draft, scene in drawn("color"):
        assert colours[scene.items[0].tint] == draft.answer_vision
    for draft, scene in drawn("counting"):
        assert numbers[len(scene.items)] == draft.answer_vision
        for i, one in enumerate(scene.items):
            assert all(max(abs(one.x - b.x), abs(one.y - b.y)) >= 0.27 for b in scene.items[:i])
    places = wording.templates()["sides"] | wording.templates()["relations"]
    for draft, scene in drawn("positional_reasoning"):
        x, y = places[draft.relation or draft.answer_vision]
        item, anchor = (
            scene.items[-1],
            scene.items[0] if draft.relation else Item(0, 0, 0.5, 0.5, 1),
        )
        assert (item.x - anchor.x) * x + (item.y - anchor.y) * y > 0.2
    for draft, scene in drawn("attribute"):
        if draft.sentences == "size":
            assert scene.items[0].size > 1.9 * scene.items[1].size


def test_plurals_are_spelt_as_in_the_shipped_questions():
    every = {
        word
        for kind in icons()["concepts"]
        for style in range(4)
        for word in list_words(kind, style)
    }
    known = {wording.plural(word) for word in every}
    asked = {
        re.search(r"(?:How many|number of) (\w+)", record["question"])[1]
        for record in RECORDS
        if record["task"] == "counting"
    }
    assert asked <= known


def test_examples_say_what_their_kind_promises():
    for seed in range(40):
        conflict = example(Random(seed), "conflict", following="text")
        assert conflict.answer in conflict.context.lower() and conflict.other
        agreeing = example(Random(seed), "agreeing", following="text")
        assert agreeing.answer == example(Random(seed), "agreeing", following="vision").answer
        assert example(Random(seed), "text only").scene.items == ()
        silent = re.split(r"(?<=\.) ", example(Random(seed), "vision only").context)
        assert all(sentence in ["", *wording.templates()["filler"]] for sentence in silent)


def test_every_icon_set_has_its_licence_recorded():
    recorded = (DATA / "scenes" / "LICENSES.md").read_text(encoding="utf-8")
    rows = {
        line.split("`")[1]: line for line in recorded.splitlines() if line.startswith("| `icons/")
    }
    assert set(rows) == {f"icons/{style}.png" for style in icons()["styles"]}
    for line in rows.values():
        assert re.search(r"Apache License 2.0|CC BY 4.0|MIT License", line) and "https://" in line
