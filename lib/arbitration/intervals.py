"""Whether two measured shares can be the same."""

from math import sqrt
from statistics import NormalDist


def wilson(hits: int, n: int, confidence: float = 0.95) -> tuple[float, float]:
    """Wilson's score interval of a share (Wilson 1927, J. Am. Stat. Assoc. 22, 209)."""
    z = NormalDist().inv_cdf(0.5 + confidence / 2)
    share = hits / n
    middle = (share + z**2 / (2 * n)) / (1 + z**2 / n)
    reach = z / (1 + z**2 / n) * sqrt(share * (1 - share) / n + z**2 / (4 * n**2))
    return middle - reach, middle + reach


def difference(hits: int, n: int, other_hits: int, other_n: int, confidence: float = 0.95) -> tuple[float, float]:
    """Interval of the difference of two independent shares, the first minus the second.

    Newcombe's method 10, which puts the two score intervals together (Newcombe 1998, Statistics in Medicine 17, 873). It
    stays honest for shares near 0 and 1, where the familiar normal interval shrinks to nothing.

    Parameters
    ----------
    hits, n, other_hits, other_n : int
    confidence : float

    Returns
    -------
    low, high : float
    """
    low, high = wilson(hits, n, confidence)
    other_low, other_high = wilson(other_hits, other_n, confidence)
    share, other = hits / n, other_hits / other_n
    gap = share - other
    return gap - sqrt((share - low) ** 2 + (other_high - other) ** 2), gap + sqrt((high - share) ** 2 + (other - other_low) ** 2)
