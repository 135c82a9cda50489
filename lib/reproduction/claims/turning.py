"""What would turn a verdict: how far a number would have to lie elsewhere, and whether more samples
alone could do it.

More samples make an interval narrower around what was measured: its width falls as one over the
square root of their number, if they are drawn as these were, in new wordings and pictures. Where
the verdict would then become another, `times_needed` says from how many times as many on; where it
would stay, no number of samples turns it, and only another measured value does.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from reproduction.claims.predicted import Prediction
from reproduction.claims.rules import seen_from, verdict, worst

#: An interval of as good as no width: to what more and more samples lead.
NARROW = 1e-6
#: Halvings of the search for the width at which a verdict becomes another.
STEPS = 50


@dataclass(frozen=True)
class Measured:
    """One prediction with its measured value and interval."""

    test: Prediction
    value: float
    low: float
    high: float

    def word(self, width: float = 1.0, move: float = 0.0) -> str:
        """The verdict if the interval were `width` times as wide around its value, and all of it
        had moved.
        """
        value = self.value + move
        low = value - width * (self.value - self.low)
        high = value + width * (self.high - self.value)
        return verdict(value, low, high, **self.test.rule)


def find_limit(tests: Sequence[Measured]) -> str:
    """The verdict on several tests together that more and more samples lead to, if every value
    stays what it is.

    An interval without width stays as it is: it says that the samples agree, and not how far others
    may be from them.
    """
    return worst(one.word(NARROW) for one in tests)


def times_needed(tests: Sequence[Measured]) -> float | None:
    """How many times as many samples it takes until the verdict on several tests together is the
    one of `find_limit`, if every value stays what it is; None where it is that already.

    Examples
    --------
    Ends 0.1 away from a value that is 0.05 above the bound must come to within 0.05 of it, half as
    far, which takes four times as many samples:

    >>> test = Prediction("", "", "", (), above=0.1)
    >>> round(times_needed([Measured(test, 0.15, 0.05, 0.25)]), 6)
    4.0
    """
    limit = find_limit(tests)
    if worst(one.word() for one in tests) == limit:
        return None
    narrow, wide = NARROW, 1.0
    for _ in range(STEPS):
        middle = (narrow + wide) / 2
        reached = worst(one.word(middle) for one in tests) == limit
        narrow, wide = (middle, wide) if reached else (narrow, middle)
    return 1 / narrow**2


def times_to_see(low: float, high: float, effect: float) -> float:
    """How many times as many samples show an effect of a size with a power of `rules.POWER`; below
    1 where fewer would.

    Examples
    --------
    An interval of ±0.07 shows what is 1.43 times as large, 0.1; half of that takes four times as
    many samples:

    >>> round(times_to_see(-0.07, 0.07, 0.05), 1)
    4.0
    """
    return (seen_from(low, high) / effect) ** 2


def find_move(one: Measured) -> float | None:
    """How far the whole interval would have to move, as wide as it is, until its verdict becomes
    *holds*; or, where it holds, until it no longer does. None where no move suffices: it has no
    width, or is too wide for its margin.

    Examples
    --------
    An interval from −0.2 to 0.1 holds of an effect above 0 once its low end is there; one from 0.1
    to 0.3 no longer does once it has fallen by as much as its low end lies above:

    >>> test = Prediction("", "", "", (), above=0.0)
    >>> find_move(Measured(test, -0.05, -0.2, 0.1)), find_move(Measured(test, 0.2, 0.1, 0.3))
    (0.2, -0.1)
    """
    test, holds = one.test, one.word() == "holds"
    if one.low == one.high:
        return None
    if test.within:
        return _find_move_within(one, holds)
    sign = 1 if test.below is None else -1
    null = test.above if test.below is None else test.below
    near = one.low if sign > 0 else one.high
    lacking = [sign * (null - near)]
    if test.paper is not None:
        lacking.append(sign * (null + (test.paper - null) / 2 - one.value))
    return sign * max(lacking)


def _find_move_within(one: Measured, holds: bool) -> float | None:
    least, most = one.test.within
    up, down = least - one.low, most - one.high
    if holds:
        return up if -up < down else down
    if most - least < 2 * seen_from(one.low, one.high):
        return None
    return up if up > 0 else min(down, 0.0)
