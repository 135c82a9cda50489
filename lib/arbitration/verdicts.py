"""What decides each claim of the paper, and the rule that makes a verdict of a measured interval.

Rule and claims (``data/paper_claims.json``) were committed before any of the numbers was looked at; a verdict is computed, never typed.
"""

import json
from dataclasses import dataclass
from functools import cache
from math import isnan

from arbitration import folders

VERDICTS = ("contradicted", "not seen", "not measured", "weaker", "holds")  # the worst first


@dataclass(frozen=True)
class Prediction:
    """Where a claim says that one measured number lies.

    Parameters
    ----------
    what : str
        What is measured, with the contrast that makes it a test.
    notebook, key : str
        Where the number is glued; its interval is ``key_low`` and ``key_high``.
    n : tuple of str
        Keys of the numbers of samples behind it.
    unit : str
        Empty for shares and counts.
    above, below, within : float, float, (float, float)
        The prediction, one of the three: an effect beyond a null value, or next to nothing, which is to stay within a margin.
    paper : float, optional
        The paper's number for an effect, only where it is on the same scale in every model: nats and logits are not.
    """

    what: str
    notebook: str
    key: str
    n: tuple[str, ...]
    unit: str = ""
    above: float | None = None
    below: float | None = None
    within: tuple[float, float] | None = None
    paper: float | None = None

    @property
    def keys(self):
        """Where the number and its interval are glued: value, low, high."""
        return self.key, f"{self.key}_low", f"{self.key}_high"

    @property
    def rule(self):
        """The keyword arguments of `verdict`."""
        return {name: getattr(self, name) for name in ("above", "below", "within", "paper")}


@dataclass(frozen=True)
class Claim:
    """One claim of the paper, in our words, and the predictions that decide it.

    `where` is its place in the paper, `reported` the paper's numbers as it gives them, `shown` are labels of figures and boxes in this book.
    A claim without predictions says in `why` what is missing.
    """

    id: str
    statement: str
    where: str
    reported: str
    shown: tuple[str, ...]
    predictions: tuple[Prediction, ...]
    why: str = ""


@cache
def claims():
    """All claims, in the paper's order, from ``data/paper_claims.json``."""
    records = json.loads((folders.DATA / "paper_claims.json").read_text(encoding="utf-8"))["claims"]
    return tuple(Claim(**record | {"shown": tuple(record["shown"]), "predictions": tuple(map(_prediction, record["predictions"]))}) for record in records)


def _prediction(record):
    return Prediction(**{name: tuple(value) if isinstance(value, list) else value for name, value in record.items()})


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
            The interval contains the null value, or a border of the margin: the samples do not tell.
        ``"weaker"``
            The whole interval lies on the predicted side, and short of half of the paper's effect. Half, because with our samples, models and
            data set a fair repetition is not expected to give the paper's number to within an interval; what cannot be half of it is another size
            of effect. The whole interval, because less is said only where the samples say it: a wide interval that reaches half is left at ``holds``.
        ``"holds"``
            The whole interval lies on the predicted side, or within the margin.

    Raises
    ------
    ValueError
        Unless exactly one of `above`, `below`, `within` is given; or if `paper` is not on the predicted side, or comes with a margin.
    """
    given = [name for name, bound in (("above", above), ("below", below), ("within", within)) if bound is not None]
    if len(given) != 1:
        raise ValueError(f"a prediction needs one of above, below, within; given: {', '.join(given) or 'none'}")
    if below is not None:
        value, low, high = (None if number is None else -number for number in (value, high, low))
        above, paper = -below, None if paper is None else -paper
    if paper is not None and (within is not None or paper <= above):
        raise ValueError(f"the paper's number must lie beyond the null value, on the predicted side ({given[0]}); got {paper if below is None else -paper}")
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
    """The verdict on a claim that rests on several predictions: its worst, in the order of `VERDICTS`.

    What is measured and fails comes before what is missing, and what is missing before what is found: a claim of which a part was not
    measured may be contradicted, but it does not hold. Without predictions it is ``"not measured"``.
    """
    return min(verdicts, key=VERDICTS.index, default="not measured")
