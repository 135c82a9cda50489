"""The claims page: the rule, worked out by hand for every verdict, the claims, and the directive on a toy book."""

import math

import pytest

from arbitration import verdicts


@pytest.mark.parametrize(("measured", "rule", "word"), [
    ((0.3, 0.1, 0.5), {"above": 0.0}, "holds"), ((0.1, 0.0, 0.2), {"above": 0.0}, "not seen"), ((0.1, -0.1, 0.3), {"above": 0.0}, "not seen"),
    ((0.0, 0.0, 0.0), {"above": 0.0}, "not seen"), ((-0.2, -0.4, -0.1), {"above": 0.0}, "contradicted"), ((-0.2, -0.4, 0.0), {"above": 0.0}, "not seen"),
    ((0.05, 0.02, 0.08), {"above": 0.1}, "contradicted"), ((0.2, 0.15, 0.3), {"above": 0.1}, "holds"),
    # half of an effect of 0.6 beyond 0 is 0.3; the interval must stay short of it
    ((0.2, 0.1, 0.29), {"above": 0.0, "paper": 0.6}, "weaker"), ((0.2, 0.1, 0.3), {"above": 0.0, "paper": 0.6}, "holds"),
    ((0.2, 0.1, 0.5), {"above": 0.0, "paper": 0.6}, "holds"), ((0.9, 0.8, 1.0), {"above": 0.0, "paper": 0.6}, "holds"),
    ((0.1, -0.1, 0.2), {"above": 0.0, "paper": 0.6}, "not seen"), ((-0.2, -0.3, -0.1), {"above": 0.0, "paper": 0.6}, "contradicted"),
    # from 0.5 to 0.9 half of the way is 0.7
    ((0.65, 0.6, 0.69), {"above": 0.5, "paper": 0.9}, "weaker"), ((0.65, 0.6, 0.71), {"above": 0.5, "paper": 0.9}, "holds"),
    ((-0.3, -0.5, -0.1), {"below": 0.0}, "holds"), ((-0.3, -0.5, 0.1), {"below": 0.0}, "not seen"), ((0.3, 0.1, 0.5), {"below": 0.0}, "contradicted"),
    ((-0.05, -0.08, -0.02), {"below": -0.1}, "contradicted"), ((-0.1, -0.14, -0.05), {"below": 0.0, "paper": -0.3}, "weaker"),
    ((-0.1, -0.16, -0.05), {"below": 0.0, "paper": -0.3}, "holds"),
    ((0.0, -0.09, 0.09), {"within": (-0.1, 0.1)}, "holds"), ((0.0, -0.1, 0.05), {"within": (-0.1, 0.1)}, "not seen"),
    ((0.1, 0.05, 0.15), {"within": (-0.1, 0.1)}, "not seen"), ((0.0, -0.5, 0.5), {"within": (-0.1, 0.1)}, "not seen"),
    ((0.2, 0.11, 0.3), {"within": (-0.1, 0.1)}, "contradicted"), ((-0.2, -0.3, -0.11), {"within": (-0.1, 0.1)}, "contradicted"),
    ((0.6, 0.55, 0.6), {"within": (0.35, 0.65)}, "holds"),
    ((math.nan, math.nan, math.nan), {"above": 0.0}, "not measured"), ((None, None, None), {"below": 0.0}, "not measured"),
    ((0.3, math.nan, 0.5), {"above": 0.0}, "not measured"), ((0.0, -0.05, None), {"within": (-0.1, 0.1)}, "not measured"),
])  # fmt: skip
def test_the_verdict_reads_the_whole_interval(measured, rule, word):
    assert verdicts.verdict(*measured, **rule) == word


@pytest.mark.parametrize(("rule", "told"), [
    ({}, "given: none"), ({"above": 0.0, "within": (-1, 1)}, "given: above, within"), ({"above": 0.5, "paper": 0.4}, "predicted side .*0.4"),
    ({"below": 0.0, "paper": 0.4}, "predicted side .*below.* 0.4"), ({"within": (-0.1, 0.1), "paper": 0.0}, "predicted side .*within"),
])  # fmt: skip
def test_a_rule_that_cannot_be_is_refused(rule, told):
    with pytest.raises(ValueError, match=told):
        verdicts.verdict(math.nan, math.nan, math.nan, **rule)


@pytest.mark.parametrize(("several", "word"), [
    (["holds", "holds"], "holds"), (["holds", "weaker"], "weaker"), (["weaker", "not measured", "holds"], "not measured"),
    (["not measured", "not seen"], "not seen"), (["not seen", "contradicted", "holds"], "contradicted"), ([], "not measured"),
])  # fmt: skip
def test_a_claim_has_its_worst_verdict(several, word):
    assert verdicts.worst(several) == word


def test_every_claim_can_be_decided_or_says_why_not():
    claims = verdicts.claims()
    assert len({claim.id for claim in claims}) == len(claims) >= 20
    for claim in claims:
        assert bool(claim.predictions) != bool(claim.why), claim.id
        assert len({prediction.key for prediction in claim.predictions}) == len(claim.predictions), claim.id
        for prediction in claim.predictions:
            assert verdicts.verdict(math.nan, math.nan, math.nan, **prediction.rule) == "not measured", prediction.key
            assert prediction.paper is None or not prediction.unit, f"{prediction.key}: {prediction.unit} of two models are not on one scale"


def test_both_directions_are_asked_or_the_statement_names_the_one():
    """A claim tested in one direction only would be half a claim."""
    for claim in verdicts.claims():
        keys = {prediction.key for prediction in claim.predictions}
        for d, other in (("text", "vision"), ("vision", "text")):
            alone = {key for key in keys if key.endswith(f"_{d}") and key.removesuffix(d) + other not in keys}
            assert not alone or f"{d} instruction" in claim.statement or claim.id == f"anchor-{d}", (claim.id, alone)
