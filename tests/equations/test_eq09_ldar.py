"""LDAR (Eq. 9), decision synchronisation (§3.2.3) and the band of a mean by hand."""

import numpy as np
import pytest

from arbitration.equations.metrics import beyond_chance, ldar, synchronisation
from arbitration.uncertainty import simultaneous


def test_ldar_counts_strictly_larger_signals():
    assert ldar([3.0, 1.0, 2.0, 5.0], [1.0, 2.0, 2.0, 4.0]) == 0.5


def test_synchronisation_compares_signs():
    assert synchronisation([1.0, -2.0, 3.0, -0.5], [9.0, -0.1, -1.0, 0.2]) == 0.5


@pytest.mark.parametrize(
    ("anchor", "last", "expected"),
    [
        (
            [[1], [1], [-1], [-1]],
            [[2], [3], [-1], [-5]],
            [2 / 3] * 4,
        ),  # each agrees with its own, and with one of three others
        (
            [[1], [1], [-1], [-1]],
            [[-1], [-1], [1], [1]],
            [-2 / 3] * 4,
        ),  # with none of its own, and with two of three others
        ([[1], [1], [1]], [[1], [1], [1]], [0.0] * 3),  # all are right, so all agree
        ([[1], [-1]], [[1], [1]], [0.0, 0.0]),  # the last position does not change with the sample
        (
            [[1, 1], [1, 1], [-1, 1], [-1, 1]],
            [[1, 1], [1, 1], [-1, 1], [-1, 1]],
            [1 / 3] * 4,
        ),  # the mean of two layers
        ([[0], [1]], [[0], [1]], [1.0, 1.0]),
        ([[1]], [[1]], []),
    ],
)
def test_agreement_counts_only_beyond_that_with_other_samples(anchor, last, expected):
    assert beyond_chance(np.array(anchor), np.array(last)).tolist() == pytest.approx(expected)


def test_a_band_of_a_constant_has_no_width():
    mean, low, high = simultaneous(np.full((7, 2), 3.0))
    assert mean.tolist() == low.tolist() == high.tolist() == [3.0, 3.0]


def test_a_band_interval_has_the_standard_error_of_the_mean():
    values = np.random.default_rng(1).normal(size=400)
    mean, low, high = simultaneous(values, seed=0)
    assert mean == pytest.approx(values.mean())
    assert (high - low) / 2 == pytest.approx(1.96 * values.std() / 20, rel=0.08)


def test_a_band_is_seeded_and_keeps_rows_whole():
    values = np.random.default_rng(2).normal(size=(20, 1)) * np.ones((1, 3))
    first, again, other = (simultaneous(values, seed=s)[1] for s in (0, 0, 1))
    assert first.tolist() == again.tolist() and first.tolist() != other.tolist()
    assert np.ptp(first) == 0.0


def test_a_band_of_nothing_is_refused():
    with pytest.raises(ValueError, match="at least one sample"):
        simultaneous(np.empty((0, 3)))
