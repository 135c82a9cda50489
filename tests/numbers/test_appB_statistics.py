"""Statistics of a conflict set (Appendix B): counted by hand on two samples, and consistent with
the shipped files.
"""

from dataclasses import replace

import pytest

from arbitration.dataset import SPLITS, Sample, entities
from arbitration.dataset.entities import EntityDictionary
from reproduction import figures, numbers
from reproduction.numbers import dataset

ONE = Sample(
    "a",
    "iid",
    "color",
    "a.png",
    "What color is it?",
    "It is a red hat.",
    "blue",
    "red",
    "Trust the image.",
    "Trust the text now.",
)
TWO = Sample(
    "b",
    "held",
    "counting",
    "b.png",
    "How many?",
    "There are two.",
    "three",
    "two",
    "Look.",
    "Read.",
)
DICTIONARY = EntityDictionary(
    {
        "colour": {"blue": {"en": ["blue", "azure"]}, "red": {"en": ["red"]}},
        "number": {"three": {"en": ["three", "3", "trio"]}, "two": {"en": ["two"]}},
    }
)


def test_lengths_forms_and_sizes_by_hand():
    texts, answers = dataset.measure_texts([ONE, TWO]), dataset.list_entries([ONE, TWO], DICTIONARY)
    assert texts.groupby("part")["words"].apply(list).to_dict() == {
        "question": [4, 2],
        "context": [5, 3],
        "instruction": [3, 4, 1, 1],
        "answer": [1, 1, 1, 1],
    }
    assert answers[["modality", "answer", "forms"]].to_numpy().tolist() == [
        ["vision", "blue", 2],
        ["text", "red", 1],
        ["vision", "three", 3],
        ["text", "two", 1],
    ]
    found = numbers.summarise_set(texts, answers)
    expected = {
        "set_samples": 2,
        "set_tasks": 2,
        "set_answers": 4,
        "set_alone": 0.5,
        "set_samples_iid": 1,
        "set_samples_held": 1,
        "set_context_words": 4,
        "set_context_words_min": 3,
        "set_context_words_max": 5,
        "set_instruction_words": 2.25,
        "set_forms": 1.75,
        "set_forms_min": 1,
        "set_forms_max": 3,
    }
    assert {key: found[key] for key in expected} == expected and all(
        type(value) is float for value in found.values()
    )
    table = dataset.by_task(texts, answers)
    assert list(table.index) == ["color", "counting", "all tasks"]
    assert table.loc[
        "counting",
        ["samples, iid", "samples, held", "words, context", "different answers", "forms an answer"],
    ].tolist() == [0, 1, 3, 2, 2]
    assert (
        table.loc["all tasks", "samples, iid"] == 1
        and table.loc["all tasks", "forms an answer"] == 1.75
    )


def test_the_scenes_are_counted_in_every_split():
    everything = dataset.whole_set("scenes", "held")
    assert {split: sum(sample.split == split for sample in everything) for split in SPLITS} == {
        "iid": 120,
        "held": 400,
        "held_style": 120,
    }
    texts = dataset.measure_texts(everything)
    assert texts.groupby("task")["sample"].nunique().eq(80).all() and len(texts) == 6 * 640
    answers = dataset.list_entries(everything, entities.load("scenes"))
    assert (answers["forms"] >= 1).all() and answers["answer"].nunique() > 100


def test_icons_of_the_held_out_style_are_in_its_split_alone():
    icons = dataset.list_pictures()
    assert icons["sample"].nunique() == 640
    assert icons.groupby("split")["style"].unique().apply(sorted).to_dict() == {
        split: ["emojione"]
        if split == "held_style"
        else ["fluent-emoji-flat", "noto", "noto-v1", "twemoji"]
        for split in SPLITS
    }


def test_the_figure_shows_every_sample_part_and_answer():
    texts, answers = dataset.measure_texts([ONE, TWO]), dataset.list_entries([ONE, TWO], DICTIONARY)
    figure = figures.fig_set(texts, answers)
    sizes, lengths, forms = figure.axes
    assert sum(
        bar.get_width() for bar in sizes.patches
    ) == 2 and "n = 2 samples" in sizes.get_title("right")
    assert [label.get_text() for label in lengths.get_xticklabels()] == [
        "Question",
        "Context",
        "Instruction",
        "Answer",
    ]
    assert {round(bar.get_x() + 0.4): bar.get_height() for bar in forms.patches} == {
        1: 2,
        2: 1,
        3: 1,
    }
    assert {text.get_text() for text in figure.legends[0].get_texts()} == {
        "split iid",
        "split held",
    }


def test_names_of_a_readers_tasks_and_splits_are_drawn_as_they_are():
    name = "$$ \\frac{a} $x_{^$"
    samples = [replace(one, task=name, split=name) for one in (ONE, TWO)]
    figure = figures.fig_set(
        dataset.measure_texts(samples), dataset.list_entries(samples, DICTIONARY)
    )
    assert [text.get_text() for text in figure.legends[0].get_texts()] == [f"split {name}"]


def test_the_figure_refuses_an_empty_set():
    with pytest.raises(ValueError, match="without rows"):
        figures.fig_set(dataset.measure_texts([]), dataset.list_entries([], DICTIONARY))
