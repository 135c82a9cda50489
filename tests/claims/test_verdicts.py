"""The claims page: the rule, worked out by hand for every verdict, the claims, and the directive on
a toy book.
"""

import hashlib
import json
import math
import re

import pytest

from arbitration.files import folders
from directives.base import SHAPES
from reproduction.claims import predicted, reported, rules
from toy_book import build


@pytest.mark.parametrize(
    ("measured", "rule", "word"),
    [
        ((0.3, 0.1, 0.5), {"above": 0.0}, "holds"),
        ((0.1, 0.0, 0.2), {"above": 0.0}, "not seen"),
        ((0.1, -0.1, 0.3), {"above": 0.0}, "not seen"),
        ((0.0, 0.0, 0.0), {"above": 0.0}, "not seen"),
        ((-0.2, -0.4, -0.1), {"above": 0.0}, "contradicted"),
        ((-0.2, -0.4, 0.0), {"above": 0.0}, "not seen"),
        ((0.05, 0.02, 0.08), {"above": 0.1}, "contradicted"),
        ((0.2, 0.15, 0.3), {"above": 0.1}, "holds"),
        ((0.05, 0.0, 0.1), {"above": 0.1}, "not seen"),
        ((0.0, 0.0, 0.0), {"above": 0.1}, "contradicted"),
        # half of an effect of 0.6 beyond 0 is 0.3; the interval must stay short of it
        ((0.2, 0.1, 0.29), {"above": 0.0, "paper": 0.6}, "weaker"),
        ((0.2, 0.1, 0.3), {"above": 0.0, "paper": 0.6}, "holds"),
        ((0.2, 0.1, 0.5), {"above": 0.0, "paper": 0.6}, "holds"),
        ((0.9, 0.8, 1.0), {"above": 0.0, "paper": 0.6}, "holds"),
        ((0.1, -0.1, 0.2), {"above": 0.0, "paper": 0.6}, "not seen"),
        ((-0.2, -0.3, -0.1), {"above": 0.0, "paper": 0.6}, "contradicted"),
        # from 0.5 to 0.9 half of the way is 0.7
        ((0.65, 0.6, 0.69), {"above": 0.5, "paper": 0.9}, "weaker"),
        ((0.65, 0.6, 0.71), {"above": 0.5, "paper": 0.9}, "holds"),
        ((-0.3, -0.5, -0.1), {"below": 0.0}, "holds"),
        ((-0.3, -0.5, 0.1), {"below": 0.0}, "not seen"),
        ((0.3, 0.1, 0.5), {"below": 0.0}, "contradicted"),
        ((0.1, 0.0, 0.3), {"below": 0.0}, "not seen"),
        ((-0.05, -0.08, -0.02), {"below": -0.1}, "contradicted"),
        ((-0.1, -0.14, -0.05), {"below": 0.0, "paper": -0.3}, "weaker"),
        ((-0.1, -0.16, -0.05), {"below": 0.0, "paper": -0.3}, "holds"),
        ((0.0, -0.09, 0.09), {"within": (-0.1, 0.1)}, "holds"),
        ((0.0, -0.1, 0.05), {"within": (-0.1, 0.1)}, "not seen"),
        ((0.1, 0.05, 0.15), {"within": (-0.1, 0.1)}, "not seen"),
        ((0.0, -0.5, 0.5), {"within": (-0.1, 0.1)}, "not seen"),
        ((0.2, 0.11, 0.3), {"within": (-0.1, 0.1)}, "contradicted"),
        ((-0.2, -0.3, -0.11), {"within": (-0.1, 0.1)}, "contradicted"),
        ((0.6, 0.55, 0.6), {"within": (0.35, 0.65)}, "holds"),
        ((0.8, 0.65, 0.9), {"within": (0.35, 0.65)}, "not seen"),
        ((0.8, 0.7, 0.9), {"within": (0.35, 0.65)}, "contradicted"),
        ((0.2, 0.1, 0.3), {"within": [0.35, 0.65]}, "contradicted"),
        ((math.nan, math.nan, math.nan), {"above": 0.0}, "not measured"),
        ((None, None, None), {"below": 0.0}, "not measured"),
        ((0.3, math.nan, 0.5), {"above": 0.0}, "not measured"),
        ((0.0, -0.05, None), {"within": (-0.1, 0.1)}, "not measured"),
    ],
)
def test_the_first_rule_reads_the_whole_interval(measured, rule, word):
    assert rules.first_verdict(*measured, **rule) == word


@pytest.mark.parametrize(
    ("measured", "rule", "word"),
    [
        ((0.3, 0.1, 0.5), {"above": 0.0}, "holds"),
        ((0.1, -0.1, 0.3), {"above": 0.0}, "not seen"),
        ((-0.2, -0.4, -0.1), {"above": 0.0}, "contradicted"),
        # An interval without width says that the samples at hand agree, and nothing else.
        ((0.3, 0.3, 0.3), {"above": 0.0}, "not seen"),
        ((0.0, 0.0, 0.0), {"above": 0.1}, "not seen"),
        ((0.0, 0.0, 0.0), {"within": (-0.1, 0.1)}, "not seen"),
        ((0.2, 0.2, 0.2), {"above": 0.0, "paper": 0.6}, "not seen"),
        # Half of the paper's 0.6 is 0.3, which the number itself must reach.
        ((0.2, 0.1, 0.29), {"above": 0.0, "paper": 0.6}, "weaker"),
        ((0.2, 0.1, 0.5), {"above": 0.0, "paper": 0.6}, "weaker"),
        ((0.3, 0.1, 0.5), {"above": 0.0, "paper": 0.6}, "holds"),
        ((0.29, 0.1, 0.5), {"above": 0.0, "paper": 0.6}, "weaker"),
        ((0.9, 0.8, 1.0), {"above": 0.0, "paper": 0.6}, "holds"),
        ((0.69, 0.6, 0.78), {"above": 0.5, "paper": 0.9}, "weaker"),
        ((0.71, 0.6, 0.82), {"above": 0.5, "paper": 0.9}, "holds"),
        ((-0.14, -0.16, -0.05), {"below": 0.0, "paper": -0.3}, "weaker"),
        ((-0.16, -0.2, -0.05), {"below": 0.0, "paper": -0.3}, "holds"),
        ((-0.2, -0.3, -0.1), {"above": 0.0, "paper": 0.6}, "contradicted"),
        # 0.1 / 1.4294 = 0.06996: what reaches further could have missed an effect of 0.1.
        ((0.0, -0.0699, 0.0699), {"within": (-0.1, 0.1)}, "holds"),
        ((0.0, -0.0701, 0.0701), {"within": (-0.1, 0.1)}, "not seen"),
        ((0.02, -0.03, 0.07), {"within": (-0.1, 0.1)}, "holds"),
        ((0.6, 0.55, 0.64), {"within": (0.35, 0.65)}, "holds"),
        ((0.5, 0.39, 0.61), {"within": (0.35, 0.65)}, "not seen"),
        ((0.2, 0.11, 0.3), {"within": (-0.1, 0.1)}, "contradicted"),
        ((0.1, 0.05, 0.15), {"within": (-0.1, 0.1)}, "not seen"),
        ((math.nan, math.nan, math.nan), {"above": 0.0}, "not measured"),
        ((0.0, -0.05, None), {"within": (-0.1, 0.1)}, "not measured"),
    ],
)
def test_the_second_rule_takes_nothing_from_samples_that_cannot_tell(measured, rule, word):
    assert rules.verdict(*measured, **rule) == word


def test_a_prediction_is_judged_by_either_rule():
    claims = {claim.id: claim for claim in predicted.predicted_claims()}
    (test, *_) = claims["text-hub"].predictions
    assert rules.judge_prediction(test, (0.3, 0.3, 0.3)) == "not seen"
    assert rules.judge_prediction(test, (0.3, 0.3, 0.3), 1) == "holds"
    several = claims["windows"].predictions[0]
    assert several.several and several.keys == (f"{several.key}_verdict",)
    assert rules.judge_prediction(several, ["contradicted"]) == "contradicted"


def test_what_was_committed_before_the_numbers_is_as_it_was():
    """The file of rule 1, byte by byte."""
    content = (folders.DATA / "paper_claims.json").read_bytes()
    committed = "3a084602f3b936880ffa9d6dfea15e48081de2bf94c1d6938c6485eaf8e53c21"
    assert hashlib.sha256(content).hexdigest() == committed


def test_every_change_of_the_second_rule_has_a_reason_and_changes_what_there_is():
    first = {claim.id: claim for claim in predicted.predicted_claims(1)}
    second = {claim.id: claim for claim in predicted.predicted_claims()}
    changes = predicted.rule_changes()
    assert len({change.claim for change in changes}) == len(changes)
    assert list(first) == list(second), "no claim comes or goes, and the paper's order stays"
    for change in changes:
        assert change.why.strip().endswith(".") and len(change.why.split()) > 8, change.claim
        before = [test.key for test in first[change.claim].predictions]
        assert set(change.drop) <= set(before), change.claim
        assert change.drop or change.add
        after = [test.key for test in second[change.claim].predictions]
        kept = [key for key in before if key not in change.drop]
        assert after == kept + [test.key for test in change.add] != before, change.claim
        for test in change.add:
            old = [one for one in first[change.claim].predictions if one.key == test.key]
            assert all(one != test for one in old), (change.claim, test.key)
    untouched = set(first) - {change.claim for change in changes}
    assert untouched and all(first[name] == second[name] for name in untouched)


@pytest.mark.parametrize(
    ("record", "told"),
    [
        ({"claim": "relais", "why": "", "drop": [], "add": []}, "there are not: relais"),
        ({"claim": "relay", "why": "", "drop": ["peak"], "add": []}, "'relay' has not: .'peak'"),
    ],
)
def test_a_change_of_what_there_is_not_is_refused(record, told, monkeypatch):
    change = predicted.Change(**record)
    monkeypatch.setattr(predicted, "rule_changes", lambda: (change,))
    predicted.predicted_claims.cache_clear()
    try:
        with pytest.raises(ValueError, match=told):
            predicted.predicted_claims()
    finally:
        predicted.predicted_claims.cache_clear()


@pytest.mark.parametrize(
    ("rule", "told"),
    [
        ({}, "given: none"),
        ({"above": 0.0, "within": (-1, 1)}, "given: above, within"),
        ({"above": 0.5, "paper": 0.4}, "predicted side .*0.4"),
        ({"below": 0.0, "paper": 0.4}, "predicted side .*below.* 0.4"),
        ({"within": (-0.1, 0.1), "paper": 0.0}, "predicted side .*within"),
    ],
)
def test_a_rule_that_cannot_be_is_refused(rule, told):
    with pytest.raises(ValueError, match=told):
        rules.verdict(math.nan, math.nan, math.nan, **rule)


@pytest.mark.parametrize(
    ("several", "word"),
    [
        (["holds", "holds"], "holds"),
        (["holds", "weaker"], "weaker"),
        (["weaker", "not measured", "holds"], "not measured"),
        (["not measured", "not seen"], "not seen"),
        (["not seen", "contradicted", "holds"], "contradicted"),
        ([], "not measured"),
    ],
)
def test_a_claim_has_its_worst_verdict(several, word):
    assert rules.worst(several) == word


@pytest.mark.parametrize("rule", [1, 2])
def test_every_claim_can_be_decided_or_says_why_not(rule):
    claims = predicted.predicted_claims(rule)
    assert len({claim.id for claim in claims}) == len(claims) >= 20
    for claim in claims:
        assert bool(claim.predictions) != bool(claim.why), claim.id
        assert len({prediction.key for prediction in claim.predictions}) == len(
            claim.predictions
        ), claim.id
        for prediction in claim.predictions:
            word = ["not measured"] if prediction.several else [math.nan] * 3
            assert rules.judge_prediction(prediction, word) == "not measured", prediction.key
            assert prediction.paper is None or not prediction.unit, (
                f"{prediction.key}: {prediction.unit} of two models are not on one scale"
            )


def test_both_directions_are_asked_or_the_statement_names_the_one():
    """A claim tested in one direction only would be half a claim."""
    for claim in predicted.predicted_claims():
        keys = {prediction.key for prediction in claim.predictions}
        for d, other in (("text", "vision"), ("vision", "text")):
            alone = {
                key
                for key in keys
                if key.endswith(f"_{d}") and key.removesuffix(d) + other not in keys
            }
            assert (
                not alone or f"{d} instruction" in claim.statement or claim.id == f"anchor-{d}"
            ), (claim.id, alone)


# The directive, on a toy book of one model in which every test gives the same number.

KEYS = sorted(
    {
        (prediction.notebook, key)
        for rule in (1, 2)
        for claim in predicted.predicted_claims(rule)
        for prediction in claim.predictions
        for key in (*prediction.keys, *prediction.n)
    }
)
LABELS = sorted(
    {label for claim in predicted.predicted_claims() for label in claim.figures}
    | {f"{kind}-{one.id}" for one in reported.reported_claims() for kind in ("claim", "tests")}
)


def unless_given(key):
    if key.endswith("_verdict"):
        return "not measured"
    return {"_low": -0.5, "high": 0.5}.get(key[-4:], 0.0)


def executed(folder, without=None, **numbers):
    """Notebooks as papermill leaves them: every number 0 with an interval of ±0.5, every word *not
    measured*, or as given.
    """
    for notebook in {name for name, _ in KEYS}:
        outputs = [
            {
                "output_type": "display_data",
                "data": {
                    "application/papermill.record/text/plain": [
                        repr(numbers.get(key, unless_given(key)))
                    ]
                },
                "metadata": {
                    "scrapbook": {"name": key, "mime_prefix": "application/papermill.record/"}
                },
            }
            for name, key in [*KEYS, (notebook, "a_verdict")]
            if name == notebook and key != without
        ]
        cell = {
            "cell_type": "code",
            "source": "",
            "metadata": {},
            "execution_count": 1,
            "outputs": outputs,
        }
        (folder / f"{notebook}.ipynb").write_text(
            json.dumps({"cells": [cell], "metadata": {}, "nbformat": 4, "nbformat_minor": 5})
        )


@pytest.fixture
def book(tmp_path):
    anchors = "\n".join(f"({label})=\n## {label}\n" for label in LABELS)
    (tmp_path / "index.md").write_text(
        f"# Toy\n\n```{{verdicts}}\n:models: toy\n```\n\n{anchors}", encoding="utf-8"
    )
    (tmp_path / "_executed/toy").mkdir(parents=True)
    return tmp_path


def test_the_page_computes_every_verdict_from_the_notebooks(book):
    given = {
        "contrast_lead_compensation_text": (-0.3, -0.4, -0.2),
        "lead_trough_vision_text_text": (-0.3, -0.4, -0.2),
        "contrast_compensation_text": (-0.3, -0.4, -0.2),
        "contrast_spared_text_own": (math.nan,) * 3,
        "contrast_spared_vision_own": (0.01, -0.05, 0.06),
        "contrast_necessity_text": (0.1, 0.05, 0.2),
        "contrast_necessity_vision": (0.3, 0.2, 0.4),
        "drop_random_text": (0.01, -0.05, 0.06),
        "drop_random_vision": (0.01, -0.05, 0.06),
        "ldar_max_text": (0.8, 0.7, 0.9),
        "relay_w1": (0.0, 0.0, 0.0),
    }
    shown = {
        f"{key}{end}": number
        for key, numbers in given.items()
        for end, number in zip(("", "_low", "_high"), numbers)
    } | {"n_controls": 12.0, "a_verdict": "holds", "same_relay_verdict": "contradicted"}
    executed(book / "_executed/toy", **shown)
    done = build(book, exclude_patterns="_executed")
    assert done.returncode == 0, done.stderr
    page = re.sub(r"<[^>]+>", "", (book / "html/index.html").read_text(encoding="utf-8")).replace(
        "\N{NO-BREAK SPACE}", " "
    )
    # 0.1 to either side is seen from 1.429 · 0.1, and 0.5 from 0.715.
    assert "−0.300 [−0.400, −0.200], n = 12, seen from 0.143: ● holds" in page
    assert "0.000 [−0.500, 0.500], n = 0, seen from 0.715: ○ not seen" in page
    assert "–: – not measured" in page
    assert "n = 0: ✕ contradicted" in page, "a word alone"
    for change in predicted.rule_changes():
        assert "Why rule 2 differs. " + change.why.replace("'", "’") in page

    def judge(rule):
        for claim in predicted.predicted_claims(rule):
            yield [
                rules.judge_prediction(
                    test, [shown.get(key, unless_given(key)) for key in test.keys], rule
                )
                for test in claim.predictions
            ]

    words = [(rules.worst(each), each) for each in judge(2)]
    first = [rules.worst(each) for each in judge(1)]
    assert {word for word, _ in words} == set(rules.VERDICTS)
    for claim, (word, _), former in zip(predicted.predicted_claims(), words, first, strict=True):
        assert f"{word} (rule 1: {former})" in page, claim.id
    assert any(word != former for (word, _), former in zip(words, first))
    html = (book / "html/index.html").read_text(encoding="utf-8")
    for word in rules.VERDICTS:
        count = (
            f"{[one for one, _ in words].count(word)} "
            f"({[one for _, each in words for one in each].count(word)})"
        )
        cells = rf"{SHAPES[word]} {word}</span></p></td>\s*<td><p>{re.escape(count)}</p></td>"
        assert re.search(cells, html.replace("\N{NO-BREAK SPACE}", " ")), (word, count)
    links = re.findall(r'href="#(verdict-[\w-]+)"', html)
    assert sorted(set(links)) == sorted(
        f"verdict-{claim.id}" for claim in predicted.predicted_claims()
    ) and all(f'id="{link}"' in html for link in links)


def test_a_missing_number_or_notebook_breaks_the_build(book, exclude_patterns="_executed"):
    executed(book / "_executed/toy", without="sync_critical_text_low")
    done = build(book, exclude_patterns="_executed")
    assert (
        done.returncode != 0
        and "sec3_beliefs of model 'toy' glues no number sync_critical_text_low" in done.stderr
    )
    (book / "_executed/toy/sec4_heads.ipynb").unlink()
    executed_but_one = build(book, exclude_patterns="_executed")
    assert (
        executed_but_one.returncode != 0
        and executed_but_one.stderr.count("sec4_heads of model 'toy' is not there") == 1
    )
