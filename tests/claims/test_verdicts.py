"""The claims page: the rule, worked out by hand for every verdict, the claims, and the directive on
a toy book.
"""

import json
import math
import re

import pytest

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
def test_the_verdict_reads_the_whole_interval(measured, rule, word):
    assert rules.verdict(*measured, **rule) == word


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


def test_every_claim_can_be_decided_or_says_why_not():
    claims = predicted.predicted_claims()
    assert len({claim.id for claim in claims}) == len(claims) >= 20
    for claim in claims:
        assert bool(claim.predictions) != bool(claim.why), claim.id
        assert len({prediction.key for prediction in claim.predictions}) == len(
            claim.predictions
        ), claim.id
        for prediction in claim.predictions:
            assert (
                rules.verdict(math.nan, math.nan, math.nan, **prediction.rule) == "not measured"
            ), prediction.key
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
        for claim in predicted.predicted_claims()
        for prediction in claim.predictions
        for key in (
            prediction.key,
            f"{prediction.key}_low",
            f"{prediction.key}_high",
            *prediction.n,
        )
    }
)
LABELS = sorted(
    {label for claim in predicted.predicted_claims() for label in claim.figures}
    | {f"claim-{claim.id}" for claim in reported.reported_claims()}
)


def executed(folder, without=None, **numbers):
    """Notebooks as papermill leaves them: every number 0 with an interval of 0, or as given."""
    for notebook in {name for name, _ in KEYS}:
        outputs = [
            {
                "output_type": "display_data",
                "data": {"application/papermill.record/text/plain": [repr(numbers.get(key, 0.0))]},
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
        "contrast_compensation_text": (-0.3, -0.4, -0.2),
        "contrast_spared_text": (math.nan,) * 3,
        "contrast_necessity_text": (0.1, 0.05, 0.2),
        "contrast_necessity_vision": (0.3, 0.2, 0.4),
    }
    shown = {
        f"{key}{end}": number
        for key, numbers in given.items()
        for end, number in zip(("", "_low", "_high"), numbers)
    } | {"n_controls": 12.0, "a_verdict": "holds"}
    executed(book / "_executed/toy", **shown)
    done = build(book, exclude_patterns="_executed")
    assert done.returncode == 0, done.stderr
    page = re.sub(r"<[^>]+>", "", (book / "html/index.html").read_text(encoding="utf-8")).replace(
        "\N{NO-BREAK SPACE}", " "
    )
    assert "-0.300 [-0.400, -0.200], n = 12: holds" in page
    assert "0.000 [0.000, 0.000], n = 0: not seen" in page and "–: not measured" in page

    words = []
    for claim in predicted.predicted_claims():
        each = [
            rules.verdict(
                *(shown.get(f"{prediction.key}{end}", 0.0) for end in ("", "_low", "_high")),
                **prediction.rule,
            )
            for prediction in claim.predictions
        ]
        words.append((rules.worst(each), each))
    assert {word for word, _ in words} == set(rules.VERDICTS)
    html = (book / "html/index.html").read_text(encoding="utf-8")
    for word in rules.VERDICTS:
        count = (
            f"{[one for one, _ in words].count(word)} "
            f"({[one for _, each in words for one in each].count(word)})"
        )
        assert re.search(rf"<em>{word}</em></p></td>\s*<td><p>{re.escape(count)}</p></td>", html), (
            word,
            count,
        )
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
