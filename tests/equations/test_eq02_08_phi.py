"""The logit lens (Eq. 2) and the signal operator Φ (Eq. 8) on numbers worked out by hand."""

import pytest
import torch

from arbitration.equations.lens import logits, phi

# Three positions, two dimensions; two entity tokens whose unembedding rows are (1, 0) and (1, 1).
HIDDEN = torch.tensor([[1.0, 2.0], [0.0, -1.0], [3.0, -1.0]])
ROWS = torch.tensor([[1.0, 0.0], [1.0, 1.0]])
# Logits: position 0 (1, 3), position 1 (0, −1), position 2 (3, 2).


def test_logit_lens():
    assert logits(HIDDEN, ROWS).tolist() == [[1.0, 3.0], [0.0, -1.0], [3.0, 2.0]]


@pytest.mark.parametrize(
    "options, expected",
    [
        ({}, 3.0),  # largest of the maxima 3, 0, 3
        ({"top_k": 2}, 3.0),
        ({"top_k": 3}, 2.0),  # (3 + 0 + 3) / 3
        ({"pooling": "mean"}, 2.5),  # largest of the means 2, −0.5, 2.5
        ({"pooling": "mean", "top_k": 2}, 2.25),
        ({"norm": lambda hidden: 2 * hidden}, 6.0),
    ],
)
def test_phi_by_hand(options, expected):
    assert phi(HIDDEN, ROWS, **options).item() == pytest.approx(expected)


def test_leading_axes_are_kept():
    assert phi(torch.stack([HIDDEN, 2 * HIDDEN]), ROWS).tolist() == [3.0, 6.0]


@pytest.mark.parametrize(
    "arguments, word",
    [
        ({"top_k": 4}, "top_k=4"),
        ({"top_k": 0}, "top_k=0"),
        ({"pooling": "median"}, "median"),
    ],
)
def test_errors_restate_what_was_given(arguments, word):
    with pytest.raises(ValueError, match=word):
        phi(HIDDEN, ROWS, **arguments)


def test_an_empty_entity_set_is_refused():
    with pytest.raises(ValueError, match="at least one answer token"):
        phi(HIDDEN, ROWS[:0])
