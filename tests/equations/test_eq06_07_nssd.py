"""Eqs. 6 and 7 against numbers worked out by hand."""

import math

import pytest
import torch

from arbitration.equations.metrics import binary_subspace, nssd, signed_divergence


def logs(*probabilities):
    return [torch.tensor(p, dtype=torch.float64).log() for p in probabilities]


@pytest.mark.parametrize(
    "clean, blocked, expected",
    [
        # 0.8 ln(0.8/0.5) + 0.2 ln(0.2/0.5) = 0.37600 − 0.18326
        ((0.8, 0.2), (0.5, 0.5), 0.192745),
        # 0.3 ln(0.3/0.6) + 0.7 ln(0.7/0.4) = −0.20794 + 0.39173; y_p gained, so the sign is
        # negative
        ((0.3, 0.7), (0.6, 0.4), -0.183787),
        # unnormalised probabilities give the same, Eq. 6
        ((0.08, 0.02), (0.5, 0.5), 0.192745),
        ((0.08, 0.02), (0.013, 0.013), 0.192745),
    ],
)
def test_by_hand(clean, blocked, expected):
    assert nssd(*logs(*clean), *logs(*blocked)).item() == pytest.approx(expected, abs=1e-6)


def test_no_change_is_zero_and_has_no_sign():
    assert nssd(*logs(0.8, 0.2), *logs(0.4, 0.1)).item() == pytest.approx(0.0, abs=1e-15)


def test_certain_decision_does_not_overflow():
    p, c = torch.tensor(0.0), torch.tensor(-800.0)
    assert nssd(p, c, c, p).item() == pytest.approx(800.0)


def test_renormalised_probabilities_sum_to_one():
    p, c = binary_subspace(*logs(0.03, 0.01))
    assert (p.exp().item(), c.exp().item()) == pytest.approx((0.75, 0.25))


def test_elementwise():
    table = nssd(*logs([0.8, 0.3], [0.2, 0.7]), *logs([0.5, 0.6], [0.5, 0.4]))
    assert table.tolist() == pytest.approx([0.192745, -0.183787], abs=1e-6)


def test_is_the_divergence_of_torch():
    p, q = torch.tensor([0.65, 0.35]).double(), torch.tensor([0.2, 0.8]).double()
    reference = torch.nn.functional.kl_div(q.log(), p, reduction="sum").item()
    assert nssd(*p.log(), *q.log()).item() == pytest.approx(reference)
    assert math.copysign(1, nssd(*q.log(), *p.log()).item()) == -1


@pytest.mark.parametrize(
    "clean, blocked, expected",
    [
        # 0.5 ln(0.5/0.25) + 0.25 ln(0.25/0.5) = 0.25 ln 2; y_p, the first, lost
        ((0.5, 0.25, 0.25), (0.25, 0.5, 0.25), 0.173287),
        # 0.25 ln(0.25/0.5) + 0.5 ln(0.5/0.25): the same the other way round, and y_p gained
        ((0.25, 0.5, 0.25), (0.5, 0.25, 0.25), -0.173287),
        # both answers lose to a third token alike: 2 · 0.4 ln(0.4/0.1) + 0.2 ln(0.2/0.8) = 1.10904
        # − 0.27726, where the NSSD is 0
        ((0.4, 0.4, 0.2), (0.1, 0.1, 0.8), 0.831777),
        ((0.2, 0.3, 0.5), (0.2, 0.5, 0.3), 0.0),  # y_p stays: no sign, whatever else moves
    ],
)
def test_the_whole_vocabulary_by_hand(clean, blocked, expected):
    [clean], [blocked] = logs(clean), logs([blocked])
    assert signed_divergence(clean, blocked, 0).tolist() == pytest.approx([expected], abs=1e-6)


def test_the_whole_vocabulary_is_the_nssd_where_there_are_two_tokens():
    clean, blocked = logs((0.8, 0.2)), logs([(0.5, 0.5), (0.9, 0.1)])
    expected = nssd(*logs(0.8, 0.2), *logs([0.5, 0.9], [0.5, 0.1]))
    torch.testing.assert_close(signed_divergence(clean[0], blocked[0], 0), expected)
