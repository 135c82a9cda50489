"""The rule that makes a word of a measured interval: the only vocabulary of verdicts."""

from math import isnan

VERDICTS = ("contradicted", "not seen", "not measured", "weaker", "holds")  # the worst first


def verdict(value, low, high, above=None, below=None, within=None, paper=None):
    """The verdict on one prediction.

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


def worst(verdicts):
    """The verdict on a claim that rests on several predictions: its worst, in the order of
    `VERDICTS`.

    What is measured and fails comes before what is missing, and what is missing before what is
    found: a claim of which a part was not measured may be contradicted, but it does not hold.
    Without predictions it is ``"not measured"``.
    """
    return min(verdicts, key=VERDICTS.index, default="not measured")
