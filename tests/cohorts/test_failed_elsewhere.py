"""Small sets that failed elsewhere (the folder `cases`), from their file to what is measured: which
of their samples are dropped, why, and what a model is given of the others.
"""

import json

import pytest
from PIL import Image

import tiny
from arbitration import dataset
from arbitration.dataset import entities
from reproduction import figures
from reproduction.cohorts import answered
from reproduction.measures import tokens
from shared_folder import SHARED

ALIKE = ("grey cat", "grey dog")
PAIRS = [("red", "blue"), ("yes", "no"), ("twenty-two", "two"), ("hot dog", "dog"), ALIKE]


def load_cases(name: str) -> list:
    return dataset.load(SHARED / "cases" / name, "held")


def drop(samples, architecture: str = "llava"):
    """The names of samples that are put to a model, and of the others with the reason."""
    subject = tiny.subject(architecture)
    prompts, dropped = answered.encode_decidable(subject, samples)
    assert len(prompts) == 2 * (len(samples) - dropped["sample"].nunique())
    return {prompt.sample.id: prompt for prompt in prompts}, dict(
        zip(dropped["sample"], dropped["why"])
    )


def written(folder, pairs) -> list:
    """A reader's set with some pairs of answers."""
    Image.new("RGB", (28, 28), "red").save(folder / "a.png")
    fields = {"question": "What?", "context": "Text.", "image": "a.png"}
    records = [fields | {"answer_vision": one, "answer_text": other} for one, other in pairs]
    path = folder / "samples.jsonl"
    path.write_text("\n".join(map(json.dumps, records)), encoding="utf-8")
    return dataset.load(folder, "held")


@pytest.mark.parametrize("place", range(len(PAIRS)))
def test_answers_that_begin_alike_are_dropped_wherever_they_stand(place, tmp_path):
    others = [pair for pair in PAIRS if pair != ALIKE]
    kept, dropped = drop(written(tmp_path, [*others[:place], ALIKE, *others[place:]]))
    assert list(dropped) == [f"line-{place + 1:04d}"] and len(kept) == len(others)
    assert "both answers begin with the same token, 'grey'" in dropped[f"line-{place + 1:04d}"]


@pytest.mark.shared
@pytest.mark.parametrize("turn", [1, -1])
@pytest.mark.parametrize("architecture", tiny.ARCHITECTURES)
def test_the_answers_of_the_folder_are_dropped_with_a_reason_or_measured(architecture, turn):
    samples = load_cases("answers")[::turn]
    kept, dropped = drop(samples, architecture)
    assert {*kept} | {*dropped} == {sample.id for sample in samples} and "p10" in dropped
    assert all("begin with the same token" in why for why in dropped.values())
    for prompt in kept.values():
        assert prompt.y_p != prompt.y_c


@pytest.mark.shared
def test_an_answer_with_signs_of_money_is_drawn_as_it_is_written():
    (sample,) = [one for one in load_cases("answers") if one.answer_vision == "cheap ($)"]
    forms = entities.of(SHARED / "cases" / "answers", load_cases("answers")).sample_forms(sample)
    table = tokens.group_tokens(tiny.subject("llava"), sample)
    figure = figures.fig2(sample, table, dict(zip(("vision", "text"), forms)))
    texts = [text for axes in figure.axes for text in axes.texts]
    drawn = [text for text in texts if "cheap ($)" in text.get_text()]
    assert drawn and not any(text.get_parse_math() for text in drawn)
    assert all("dear ($$)" in text.get_text() for text in drawn)


@pytest.mark.shared
@pytest.mark.parametrize("architecture", tiny.ARCHITECTURES)
def test_the_pictures_of_the_folder_reach_the_model_or_are_dropped_by_name(architecture):
    kept, dropped = drop(load_cases("pictures"), architecture)
    refused = {"banner"} if architecture == "qwen2.5-vl" else set()
    assert {*dropped} == refused and all("'banner.png'" in why for why in dropped.values())
    seen = {name: prompt.inputs["pixel_values"].float() for name, prompt in kept.items()}
    spread = {name: float(pixels.std()) for name, pixels in seen.items()}
    assert all(spread[name] > 0.1 for name in ("cutout", "grey16", "sideways")), spread
    # Black on white is brighter on the whole than black on black.
    assert seen["cutout"].mean() > seen["grey8"].mean()
