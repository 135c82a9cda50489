"""The directive ``minds``: for each claim's verdict on each model, what would turn it.

    ```{minds}
    ```

Tests, numbers and verdicts are those of the directive ``verdicts``; how far a number would have to
lie elsewhere, and how many samples it would take, is `reproduction.claims.turning`. What is missing
is a warning there.
"""

from collections import Counter
from collections.abc import Sequence
from math import ceil, floor, log10

from arbitration.files import folders
from directives.base import MODELS, Directive, read_numbers, write_heading
from directives.judged import plain
from press.markdown import markdown
from reproduction.claims.predicted import Claim, Prediction, predicted_claims
from reproduction.claims.rules import judge_prediction, worst
from reproduction.claims.turning import (
    Measured,
    find_limit,
    find_move,
    times_needed,
    times_to_see,
)

#: What more samples do to a verdict, unless they turn it.
STAYS, UNMEASURED, SEVERAL = SAMPLES = (
    "more samples leave it so",
    "first to be measured",
    "a word on several numbers, whose n is not computed",
)
NOTHING = "nothing to measure, as there is no such prompt, or no such path in this model"
#: The lines of the first table.
SORTS = (
    "*holds*, and more samples leave it so",
    "more samples would turn it, if the values stay",
    "no number of samples turns it, if the values stay",
    "not computed: a word on several numbers",
    "not measured",
)
#: More than so many times the samples at hand are no plan.
TOO_MANY = 1000


def round_up(number: float) -> int:
    """A number of samples with two digits that say something, never fewer than needed.

    Examples
    --------
    >>> round_up(256.1), round_up(12), round_up(7.2)
    (260, 12, 8)
    """
    step = 10 ** max(0, floor(log10(number)) - 1)
    return ceil(number / step - 1e-9) * step


def tell_number(times: float, n: Sequence[float]) -> str:
    """How many samples so many times as many are.

    Examples
    --------
    >>> tell_number(4.0, [64]), tell_number(4.0, [64, 32]), tell_number(2e6, [64])
    ('n ≈ 260', 'n ≈ 260 / 130', 'more than 1000 times as many samples')
    """
    if times > TOO_MANY:
        return f"more than {TOO_MANY} times as many samples"
    return "n ≈ " + " / ".join(f"{round_up(times * one)}" for one in n)


def tell_condition(test: Prediction, holds: bool) -> str:
    """When a prediction holds, or would."""
    unit = f" {test.unit}" if test.unit else ""
    lies, is_, reaches = ("lies", "is", "reaches") if holds else ("lay", "were", "reached")
    start = f"It {'holds while' if holds else 'would hold if'} the whole interval {lies}"
    if test.within:
        least, most = test.within
        return (
            f"{start} between {least:g} and {most:g}{unit}, and {is_} narrow enough to show an "
            "effect of that size"
        )
    side, null = ("above", test.above) if test.below is None else ("below", test.below)
    text = f"{start} {side} {null:g}{unit}"
    if test.paper is None:
        return text
    half = null + (test.paper - null) / 2
    return f"{text}, and the value {reaches} {half:g}, half of the paper's effect"


def tell_move(one: Measured) -> str:
    """How far the interval is from the other verdict."""
    move, unit = find_move(one), f" {one.test.unit}" if one.test.unit else ""
    if one.low == one.high:
        return "it has no width, as all these samples agree: others would have to be asked"
    if move is None:
        return "as wide as it is, it holds nowhere"
    way = "higher" if move > 0 else "lower"
    until = "no longer does once it lies" if one.word() == "holds" else "would have to lie"
    return f"as wide as it is, it {until} {plain(abs(move))}{unit} {way}"


def tell_samples(one: Measured, n: Sequence[float]) -> str:
    """What more samples do to one test, if its value stays; and what shows an effect of the paper's
    size.
    """
    if one.low == one.high:
        return ""
    times, word = times_needed([one]), one.word()
    if times is None:
        text = f"At this value more samples leave it *{word}*."
    else:
        text = f"At this value it is *{find_limit([one])}* from {tell_number(times, n)} on."
    if one.test.paper is None:
        return text
    null = one.test.above if one.test.below is None else one.test.below
    seen = times_to_see(one.low, one.high, abs(one.test.paper - null))
    size = f"an effect of the paper's size, {one.test.paper:g},"
    if seen <= 1:
        return f"{text} These samples would show {size} in four runs of five."
    return f"{text} To see {size} in four runs of five takes {tell_number(seen, n)}."


def tell_test(test: Prediction, numbers: dict) -> str:
    """One test that decides a verdict, with what would turn it, as a sentence or two of MyST."""
    if any(key not in numbers for key in (*test.keys, *test.n)):
        return f"{test.what}: has not been measured."
    found = [numbers[key] for key in test.keys]
    if judge_prediction(test, found) == "not measured":
        return f"{test.what}: {NOTHING}."
    n = [numbers[key] for key in test.n]
    counted = " / ".join(f"{one:.0f}" for one in n)
    if test.several:
        return f"{test.what}: {found[0]}, n = {counted}. The word is on several numbers at once."
    one = Measured(test, *found)
    unit = f" {test.unit}" if test.unit else ""
    interval = f"{plain(one.value)} [{plain(one.low)}, {plain(one.high)}]{unit}, n = {counted}"
    condition = tell_condition(test, one.word() == "holds")
    parts = [f"{test.what}: {interval}.", f"{condition}; {tell_move(one)}."]
    return " ".join([*parts, tell_samples(one, n)]).strip()


def tell_claim(claim: Claim, numbers: dict[str, dict]) -> tuple[str, str, list[str]]:
    """What would turn a claim's verdict on one model.

    Parameters
    ----------
    claim : Claim
    numbers : dict
        For each notebook what it glued.

    Returns
    -------
    str
        The verdict.
    str
        What more samples do to it: one of `SAMPLES`, or the verdict that they lead to, and from how
        many on.
    list of str
        The tests that decide it, each with what would turn it: those with the verdict's own word,
        or, where all hold, the one that is nearest to not holding.
    """
    words, measured = {}, {}
    for test in claim.predictions:
        own = numbers.get(test.notebook, {})
        there = all(key in own for key in (*test.keys, *test.n))
        found = [own.get(key) for key in test.keys]
        words[test] = judge_prediction(test, found) if there else "not measured"
        if words[test] != "not measured" and not test.several:
            measured[test] = Measured(test, *found)
    word = worst(words.values())
    binding = [test for test in claim.predictions if words[test] == word]
    if word == "holds" and measured:
        binding = [min(measured, key=lambda test: _nearness(measured[test]))]
    told = [tell_test(test, numbers.get(test.notebook, {})) for test in binding]
    return word, _tell_all(words, measured, word, numbers), told


def _nearness(one: Measured) -> float:
    """Of an interval that holds: how far it may move, in shares of its width."""
    return abs(find_move(one)) / (one.high - one.low)


def _tell_all(words, measured, word, numbers) -> str:
    if word == "not measured":
        return UNMEASURED
    fixed = [words[test] for test in words if test not in measured]
    if word in fixed:
        return SEVERAL
    tests = list(measured.values())
    ahead = worst([*fixed, find_limit(tests)])
    if ahead == word:
        return STAYS
    times = times_needed(tests)
    sizes = {tuple(numbers[test.notebook][key] for key in test.n) for test in measured}
    [n, *others] = sizes
    told = f"{times:.2g} times as many samples" if others else tell_number(times, n)
    return f"*{ahead}* from {told} on"


def sort_samples(word: str, samples: str) -> str:
    """In which line of the first table a verdict counts."""
    if samples == STAYS:
        return SORTS[0] if word == "holds" else SORTS[2]
    return {UNMEASURED: SORTS[4], SEVERAL: SORTS[3]}.get(samples, SORTS[1])


class Minds(Directive):
    """A table of all claims, and each claim with what would turn its verdicts."""

    option_spec = MODELS

    def run(self):
        for file in ("paper_claims.json", "paper_claims_2.json"):
            self.env.note_dependency(str(folders.DATA / file))
        models, claims = self.models(), predicted_claims()
        numbers = {model: self.gather(model, claims) for model in models}
        told = {
            (claim.id, model): tell_claim(claim, numbers[model])
            for claim in claims
            for model in models
        }
        lines = [*self.count(models, told), "", *self.list_claims(claims, models, told)]
        return [self.box(lines, "claim"), *(self.claim(one, models, told) for one in claims)]

    def gather(self, model, claims):
        """What each notebook of a model glued."""
        names = {test.notebook for claim in claims for test in claim.predictions}
        return {name: read_numbers(self.executed(model) / f"{name}.ipynb") for name in names}

    def count(self, models, told):
        """How many verdicts more samples would turn, on each model."""
        rows = [["of all verdicts", *map(write_heading, models)]]
        found = {
            model: Counter(sort_samples(*told[key][:2]) for key in told if key[1] == model)
            for model in models
        }
        for kind in SORTS:
            rows.append([kind, *(str(found[model][kind]) for model in models)])
        return markdown(rows)

    def list_claims(self, claims, models, told):
        """One line a claim: each verdict, and what more samples do to it."""
        rows = [["claim", *map(write_heading, models)]]
        for claim in claims:
            cells = ["{{verdict}}`{}` {}".format(*told[claim.id, model][:2]) for model in models]
            rows.append([f"[{claim.statement}](#minds-{claim.id})", *cells])
        return markdown(rows)

    def claim(self, claim, models, told):
        """One claim's box: for each model the verdict and the tests that decide it."""
        lines = [f"**{claim.statement}** ([the tests](#verdict-{claim.id}))", ""]
        lines += [claim.why, ""] if claim.why else []
        for model in models:
            word, samples, tests = told[claim.id, model]
            lines += [f"{write_heading(model)}: {{verdict}}`{word}`; {samples}.", ""]
            lines += [f"- {one}" for one in tests] + [""]
        title = f"what would turn the verdict on {claim.id}"
        return self.box(lines, "claim", label=f"minds-{claim.id}", title=title)
