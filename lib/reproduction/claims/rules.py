"""The rule that makes a word of a measured interval: the only vocabulary of verdicts."""

from math import isnan
from statistics import NormalDist

VERDICTS = ("contradicted", "not seen", "not measured", "weaker", "holds")  # the worst first


#: Next to nothing is found only where something as large as the margin would have been seen, by an
#: interval of 95 %, in this share of runs.
POWER = 0.8


def verdict(value, low, high, above=None, below=None, within=None, paper=None):
    """The verdict on one prediction (rule 2): that of `first_verdict`, unless the samples cannot
    tell.

    They cannot where the interval has no width, which says only that the samples at hand agree; and
    of next to nothing where an effect as large as the margin would have been missed too often
    (`can_tell`): then *holds* is *not seen*. And an effect that holds must itself, not only by the
    far end of its interval, reach half of the paper's: else it is *weaker*.

    Parameters, words and errors are those of `first_verdict`.
    """
    word = first_verdict(value, low, high, above, below, within, paper)
    if word == "not measured":
        return word
    if low == high or (within and word == "holds" and not can_tell(low, high, within)):
        return "not seen"
    if word == "holds" and paper is not None:
        null = above if below is None else below
        return word if abs(value - null) >= abs(paper - null) / 2 else "weaker"
    return word


def can_tell(low, high, within) -> bool:
    """Whether an interval is narrow enough that an effect as large as the margin would have been
    seen with a power of `POWER`.

    An interval reaches 1.96 standard errors to either side; an effect of 1.96 + 0.84 of them is
    seen in 80 %. So half of the margin's width must be 1.43 times half of the interval's.

    Examples
    --------
    >>> can_tell(-0.06, 0.06, (-0.1, 0.1)), can_tell(-0.08, 0.08, (-0.1, 0.1))
    (True, False)
    """
    return within[1] - within[0] >= 2 * seen_from(low, high)


def seen_from(low, high) -> float:
    """The size of an effect from which an interval of this width would have shown it with a power
    of `POWER`.
    """
    reach = NormalDist().inv_cdf(0.975)
    return (reach + NormalDist().inv_cdf(POWER)) / reach * (high - low) / 2


def first_verdict(value, low, high, above=None, below=None, within=None, paper=None):
    """The verdict on one prediction by the rule that was committed before any number (rule 1).

    Parameters
    ----------
    value, low, high : float or None
        What was measured and its interval.
    above, below : float, optional
        The prediction is an effect beyond this null value.
    within : (float, float), optional
        The prediction is next to nothing: inside this margin.
    paper : float, optional
        The paper's number on the same scale; it lies on the predicted side of the null value.

    Returns
    -------
    str
        ``"not measured"``
            Value or interval is absent or NaN.
        ``"contradicted"``
            The whole interval lies on the wrong side of the null value, or outside the margin.
        ``"not seen"``
            The interval contains the null value, or a border of the margin: the samples do not
            tell.
        ``"weaker"``
            The whole interval lies on the predicted side, and short of half of the paper's effect.
            Half, because with our samples, models and data set a fair repetition is not expected to
            give the paper's number to within an interval; what cannot be half of it is another size
            of effect. The whole interval, because less is said only where the samples say it: a
            wide interval that reaches half is left at ``holds``.
        ``"holds"``
            The whole interval lies on the predicted side, or within the margin.

    Raises
    ------
    ValueError
        Unless exactly one of `above`, `below`, `within` is given; or if `paper` is not on the
        predicted side, or comes with a margin.
    """
    given = [
        name
        for name, bound in (("above", above), ("below", below), ("within", within))
        if bound is not None
    ]
    if len(given) != 1:
        why = f"a prediction needs one of above, below, within; given: {', '.join(given) or 'none'}"
        raise ValueError(why)
    if below is not None:
        value, low, high = (None if number is None else -number for number in (value, high, low))
        above, paper = -below, None if paper is None else -paper
    if paper is not None and (within is not None or paper <= above):
        why = (
            f"the paper's number must lie beyond the null value, on the predicted side "
            f"({given[0]}); got {paper if below is None else -paper}"
        )
        raise ValueError(why)
    if any(number is None or isnan(number) for number in (value, low, high)):
        return "not measured"
    least, most = within or (above, above)
    if high < least or (within and low > most):
        return "contradicted"
    if within:
        return "holds" if least < low and high < most else "not seen"
    if low <= above:
        return "not seen"
    return "weaker" if paper is not None and high < above + (paper - above) / 2 else "holds"


def judge_prediction(test, numbers, rule: int = 2) -> str:
    """The verdict on one prediction by one of the two rules.

    Parameters
    ----------
    test : predicted.Prediction
    numbers : sequence
        What its `keys` name: value, low and high; or, of a prediction on several numbers, the word
        that was glued.
    rule : {1, 2}
    """
    if test.several:
        return numbers[0]
    return (verdict if rule == 2 else first_verdict)(*numbers, **test.rule)


def worst(verdicts):
    """The verdict on a claim that rests on several predictions: its worst, in the order of
    `VERDICTS`.

    What is measured and fails comes before what is missing, and what is missing before what is
    found: a claim of which a part was not measured may be contradicted, but it does not hold.
    Without predictions it is ``"not measured"``.
    """
    return min(verdicts, key=VERDICTS.index, default="not measured")
