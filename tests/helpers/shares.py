"""Whether two shares differ by more than chance."""

from math import sqrt

from arbitration.uncertainty import wilson


def difference(
    hits: int, n: int, other_hits: int, other_n: int, confidence: float = 0.95
) -> tuple[float, float]:
    """Interval of the difference of two independent shares, the first minus the second.

    Newcombe's method 10, which puts the two score intervals together (Newcombe 1998, Statistics in
    Medicine 17, 873). It stays honest for shares near 0 and 1, where the familiar normal interval
    shrinks to nothing.
    """
    low, high = wilson(hits, n, confidence)
    other_low, other_high = wilson(other_hits, other_n, confidence)
    share, other = hits / n, other_hits / other_n
    below = sqrt((share - low) ** 2 + (other_high - other) ** 2)
    above = sqrt((high - share) ** 2 + (other - other_low) ** 2)
    return share - other - below, share - other + above
