"""What a model's run says about a claim: each of its tests, the one that decides, and a sentence.

Plain functions of numbers; the directives give them those of an executed notebook.
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from directives.base import write_heading
from press.markdown import markdown
from reproduction.claims.predicted import Claim, Prediction
from reproduction.claims.rules import VERDICTS, judge_prediction, seen_from

NBSP = "\N{NO-BREAK SPACE}"
#: Of what all samples agree on: such an interval says nothing of other samples.
NO_WIDTH = "without width"


@dataclass(frozen=True)
class Tested:
    """One test of a claim on one model.

    Attributes
    ----------
    prediction : Prediction
    told : tuple
        Value, low and high; or the word alone, of a prediction on several numbers.
    n : tuple of float
        The numbers of samples behind it.
    word : str
        The verdict.
    missing : tuple of str
        Keys that the run does not have.
    """

    prediction: Prediction
    told: tuple = ()
    n: tuple[float, ...] = ()
    word: str = "not measured"
    missing: tuple[str, ...] = ()

    @property
    def count(self) -> str:
        """The numbers of samples in words."""
        return f"n{NBSP}={NBSP}" + " / ".join(f"{one:.0f}" for one in self.n)


def judge(prediction: Prediction, numbers: dict, rule: int = 2) -> Tested:
    """One test, with the numbers of a run."""
    missing = tuple(key for key in (*prediction.keys, *prediction.n) if key not in numbers)
    if missing:
        return Tested(prediction, missing=missing)
    told = tuple(numbers[key] for key in prediction.keys)
    n = tuple(numbers[key] for key in prediction.n)
    return Tested(prediction, told, n, judge_prediction(prediction, list(told), rule))


def judge_claim(claim: Claim, find_numbers: Callable[[str], dict]) -> list[Tested]:
    """All tests of a claim, with the numbers that each one's notebook has."""
    return [judge(one, find_numbers(one.notebook)) for one in claim.predictions]


def find_decisive(tests: Sequence[Tested]) -> Tested:
    """The test that gives a claim its verdict: the first of those with the worst one."""
    return min(tests, key=lambda one: VERDICTS.index(one.word))


def plain(number: float) -> str:
    """Three decimals, without a minus before zero."""
    return f"{round(number, 3) + 0.0:.3f}"


def tell_interval(tested: Tested) -> str:
    """Value and interval."""
    value, low, high = map(plain, tested.told)
    return f"{value} [{low},{NBSP}{high}]"


def expected(prediction: Prediction) -> str:
    """A prediction in words."""
    if prediction.several:
        return "one answer"
    unit = f" {prediction.unit}" if prediction.unit else ""
    if prediction.within:
        return "{:g} to {:g}".format(*prediction.within) + unit
    side, bound = (
        ("above", prediction.above) if prediction.above is not None else ("below", prediction.below)
    )
    paper = f" (paper: {prediction.paper:g})" if prediction.paper is not None else ""
    return f"{side} {bound:g}{unit}{paper}"


def tell_cell(tested: Tested) -> str:
    """What was measured, for a cell of a table; an en dash where nothing was."""
    if tested.word == "not measured":
        return "–"
    if tested.prediction.several:
        return tested.count
    seen = seen_from(*tested.told[1:])
    power = f"seen from {plain(seen)}" if seen else NO_WIDTH
    return f"{tell_interval(tested)}, {tested.count}, {power}"


def badge(word: str) -> str:
    """A verdict as MyST."""
    return f"{{verdict}}`{word}`"


def tabulate_tests(claim: Claim, found: Mapping[str, Sequence[Tested]]) -> list[str]:
    """A table of the tests that decide a claim, as lines of Markdown: a line for each, a column for
    each model.
    """
    rows = [["test", "predicted", *map(write_heading, found)]]
    for prediction, *cells in zip(claim.predictions, *found.values()):
        told = [f"{tell_cell(one)}: {badge(one.word)}" for one in cells]
        rows.append([prediction.what, expected(prediction), *told])
    return markdown(rows)


def tell_decisive(tests: Sequence[Tested]) -> str:
    """The sentence that stands under a claim: the test that decides, its number, what was
    predicted, and how many of the tests hold.
    """
    found = find_decisive(tests)
    what = found.prediction.what
    what = what[0].upper() + what[1:]
    if found.word == "not measured":
        said = f"{what}: not measured."
    elif found.prediction.several:
        said = f"{what}: {found.count}."
    else:
        unit = f"{NBSP}{found.prediction.unit}" if found.prediction.unit else ""
        said = (
            f"{what}: **{tell_interval(found)}{unit}**, {found.count}; "
            f"predicted: {expected(found.prediction)}."
        )
    if len(tests) == 1:
        return said
    holds = Counter(one.word for one in tests)["holds"]
    return f"{said} Of {len(tests)} tests, {holds} hold{'s' * (holds == 1)}."


def count_words(words: Sequence[str]) -> str:
    """How many tests of a question got which verdict, the best first."""
    found = Counter(words)
    told = [f"{found[word]} {word}" for word in reversed(VERDICTS) if found[word]]
    return f"{len(words)} tests: {', '.join(told)}"
