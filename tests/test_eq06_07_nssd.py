"""Eqs. 6 and 7 against numbers worked out by hand."""

import math

import pytest
import torch

from arbitration.metrics import binary_subspace, nssd


def logs(*probabilities):
    return [torch.tensor(p, dtype=torch.float64).log() for p in probabilities]


@pytest.mark.parametrize("clean, blocked, expected", [
    # 0.8 ln(0.8/0.5) + 0.2 ln(0.2/0.5) = 0.37600 − 0.18326
    ((0.8, 0.2), (0.5, 0.5), 0.192745),
    # 0.3 ln(0.3/0.6) + 0.7 ln(0.7/0.4) = −0.20794 + 0.39173; y_p gained, so the sign is negative
    ((0.3, 0.7), (0.6, 0.4), -0.183787),
    # unnormalised probabilities give the same, Eq. 6
    ((0.08, 0.02), (0.5, 0.5), 0.192745),
    ((0.08, 0.02), (0.013, 0.013), 0.192745),
])
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
