"""What counts as the same answer, and which of two is given: the check of a set and the judge of an
answer are one.
"""

import json
import random
import unicodedata

import pytest

from arbitration.dataset import Sample, entities, outcomes, own, words
from shared_folder import SHARED

#: Letters and marks of six scripts, and what stands inside or beside an answer.
ALPHABETS = {
    "Latin": "aAbcdeéêñöøßTt",
    "Cyrillic": "абвгдЯяйёжШ",
    "Greek": "αβγδεΣσςώΩ",
    "Devanagari": "कखगपनमायीाेिंं्",
    "Arabic": "ابتجحدرسمنو",
    "Chinese": "红色蓝黄苹果梨的一二",
    "Thai": "กขคงมาีเแน้",
    "Korean": "빨강파랑사과배",
}
EXTRAS = (
    " ",
    " ",
    " ",
    "-",
    "2",
    "5",
    "٥",
    "0",
    "%",
    "$",
    "€",
    "+",
    "#",
    ".",
    "!",
    "( ",
    "😀",
    " the ",
    "a ",
    "-5",
    "2.5",
    "C++",
)


@pytest.mark.parametrize(
    "answer, expected",
    [
        (" three", "follow"),
        ("Three.", "follow"),
        (" the three\n", "follow"),
        (" two", "competitor"),
        (" two or three", "other"),
        (" threefold", "other"),
        ("", "other"),
        (" 3", "follow"),
        (" couple", "competitor"),
        (" thirty-three", "other"),
        (" a two.", "competitor"),
    ],
)
def test_outcome(answer, expected):
    assert outcomes.outcome(answer, ("three", "3"), ("two", "couple")) == expected


@pytest.mark.parametrize(
    "text, form, expected",
    [
        ("The Cat's sofa, an old one", "sofa", True),
        ("The sofas", "sofa", False),
        ("An ice cream van", "ice cream", True),
        ("a ice-cream", "Ice cream", True),
        ("ice and cream", "ice cream", False),
        ("twenty-two", "two", False),
        ("22", "twenty-two", True),
        ("tiger-shaped kites", "tiger", False),
        ("red\N{EN DASH}brown", "red", False),
        ("cafe\N{COMBINING ACUTE ACCENT}", "café", True),
        ("पाना", "पीना", False),
        ("−5", "5", False),
        ("-5", "−5", True),
        ("+5", "5", True),
        ("50 %", "50%", True),
        ("It is $5.", "5", True),
        ("C++", "C", False),
        ("C#", "C", False),
        ("A+", "A", False),
        ("C++.", "C++", True),
        ("红色的", "红色", True),
        ("红的", "红色", False),
        ("ﾊﾟﾝ", "パン", True),
        ("２つ", "2", True),
        ("٥", "5", True),
        ("2.5", "2", False),
        ("10:30", "10", False),
        ("red🚗", "red", True),
        ("👍🏽", "👍🏽", True),
        ("👍🏽", "👍🏿", False),
        ("STRASSE", "Straße", True),
        ("ΟΔΟΣ", "οδός", False),
        ("ΦΩΣ", "φως", True),
        ("", "?!", False),
        ("soft\N{SOFT HYPHEN}ware", "software", True),
        ("An A.", "A", True),
        ("cheap ($)", "cheap $", True),
        ("สีแดง", "แดง", True),
    ],
)
def test_a_form_is_named_in_whole_words(text, form, expected):
    assert words.names(text, form) == expected


def test_two_answers_with_the_same_words_are_one():
    assert words.normalised("  The  T-shirt! ") == "t shirt" == words.normalised("t shirt")
    assert words.normalised("A") == "a" and words.normalised("a dog") == words.normalised("Dog.")


@pytest.mark.parametrize(
    "digits, spelt",
    [
        ("2 dogs", "two dogs"),
        ("12", "twelve"),
        ("20", "twenty"),
        ("99", "ninety-nine"),
        ("0", "zero"),
        ("2.5", "2.5"),
        ("100", "100"),
        ("07", "07"),
        ("U-2", "U-2"),
        ("2nd", "2nd"),
    ],
)
def test_number_words(digits, spelt):
    assert words.number_words(digits) == spelt


@pytest.mark.parametrize(
    "pair, said",
    [
        (
            ("apple", "An Apple."),
            "'apple' and 'An Apple.' are the same answer; a conflict needs two",
        ),
        (("2 pears", "two pears"), "same answer"),
        (("café", "cafe\N{COMBINING ACUTE ACCENT}"), "same answer"),
        (("t-shirt", "T shirt"), "same answer"),
        (("+5", "5"), "same answer"),
        (("apple", "?!"), "'?!' has no word to recognise in an answer"),
        (("", "apple"), "'' has no word"),
    ],
)
def test_what_no_judge_could_tell_apart_is_refused(pair, said):
    assert said in outcomes.find_pair_fault(*pair) and said


def drawn_answers(draw: random.Random, script: str) -> tuple[str, str]:
    """Two answers of a script; often one inside the other, or different in one character."""

    def answer():
        return "".join(
            draw.choice(EXTRAS) if draw.random() < 0.25 else draw.choice(ALPHABETS[script])
            for _ in range(draw.randint(1, 7))
        )

    one = answer()
    other = draw.choice(
        [
            answer(),
            f"{one} {answer()}",
            f"{answer()}{one}",
            one[:-1] + answer()[:1],
            f"{one}{draw.choice(EXTRAS)}",
        ]
    )
    return draw.choice([(one, other), (other, one)])


@pytest.mark.parametrize("script", ALPHABETS)
def test_what_the_check_accepts_the_judge_recognises(script):
    """As given, in other composition, case, with a point, and with the forms of a dictionary as
    `sample_forms` leaves them.
    """
    draw, accepted = random.Random(script), 0
    for _ in range(3000):
        vision, text = drawn_answers(draw, script)
        fault = outcomes.find_pair_fault(vision, text)
        record = {
            "question": "q",
            "context": "c",
            "answer_vision": vision.strip(),
            "answer_text": text.strip(),
        }
        if vision.strip() and text.strip():
            assert (fault is None) == (not list(own._own_faults(record, None, {}))), (
                "the file's check asks the same"
            )
        if fault:
            continue
        accepted += 1
        extra = draw.choice([vision, text, *drawn_answers(draw, script)])
        entries = {
            entities.AS_WRITTEN: {
                vision: {"en": [vision, extra]},
                text: {"en": [text, extra, *drawn_answers(draw, script)]},
            }
        }
        sample = Sample("s", "all", "", "", "q", "c", vision, text, "v", "t")
        for forms in (
            ((vision,), (text,)),
            entities.EntityDictionary(entries).sample_forms(sample),
        ):
            for written in (
                vision,
                unicodedata.normalize("NFD", vision),
                f" {vision}.",
                f"{vision}\n",
            ):
                assert outcomes.outcome(written, *forms) == "follow", (written, forms)
            assert outcomes.outcome(text, *forms) == "competitor", (text, forms)
            assert outcomes.outcome(f"{text}!", *forms[::-1]) == "follow", (text, forms)
            assert outcomes.outcome("", *forms) == outcomes.outcome(" ?", *forms) == "other"
    assert accepted > 1500, "a check that refused everything would pass"


@pytest.mark.shared
def test_the_answers_that_failed_elsewhere():
    lines = (
        (SHARED / "cases" / "answers" / "samples.jsonl").read_text(encoding="utf-8").splitlines()
    )
    for record in map(json.loads, lines):
        pair = record["answer_vision"], record["answer_text"]
        assert outcomes.find_pair_fault(*pair) is None
        assert [outcomes.outcome(given, pair[:1], pair[1:]) for given in (*pair, "")] == [
            "follow",
            "competitor",
            "other",
        ], pair
