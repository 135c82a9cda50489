"""tmp"""

from collections.abc import Callable, Iterable
from functools import partial

from press.markdown import markdown
from reproduction.claims import predicted, rules
from reproduction.claims.recorded import NUMBERLESS


def lines(
    claims: Iterable, records: dict[str, dict], glued: Callable[[str, str, str], str]
) -> list[str]:
    """A table of verdicts: this machine's run beside the recorded full run.

    Parameters
    ----------
    claims : iterable of paper.Claim
        `reported.claims`, or `reported.questions`; those without a verdict are left out.
    records : dict
        From `recorded`.
    glued : callable
        (notebook, key, format) → how a page quotes this machine's number.

    Returns
    -------
    list of str
        Markdown: for each claim a line with its numbers of samples and one line for each verdict;
        "not recorded" where the notebook has no record, "–" where its record lacks the number.
    """
    rows = [["claim", "verdict on", "this machine's run", "recorded full run"]]
    for claim in claims:
        if not claim.verdicts:
            continue
        own = partial(glued, claim.notebook)
        record = records.get(claim.notebook)
        full = partial(_written, record["numbers"]) if record else None
        told = [("*samples, text / vision following*", partial(_samples, claim.samples))]
        told += [
            (rule, partial(_cell, key.removesuffix("_verdict"))) for rule, key in claim.verdicts
        ]
        for place, (rule, cell) in enumerate(told):
            rows.append(
                ["" if place else claim.id, rule, cell(own), cell(full) if full else "not recorded"]
            )
    return markdown(rows)


def judged(records: dict[str, dict[str, dict]]) -> list[str]:
    """A table of the verdicts on the paper's claims, by the rule of `verdicts`, from recorded full
    runs alone.

    Parameters
    ----------
    records : dict
        For each model what `recorded` gives.

    Returns
    -------
    list of str
        Markdown: one line for each claim of `predicted.predicted_claims`, linked to its tests; "not
        recorded" where the records of a model lack a number that the claim needs.
    """
    rows = [["claim", *records]]
    for claim in predicted.predicted_claims():
        rows.append(
            [
                f"[{claim.statement}](#verdict-{claim.id})",
                *(_word(claim, found) for found in records.values()),
            ]
        )
    return markdown(rows)


def _word(claim: predicted.Claim, records: dict[str, dict]) -> str:
    words = []
    for test in claim.predictions:
        numbers = records.get(test.notebook, {"numbers": {}})["numbers"]
        if not numbers.keys() >= set(test.keys):
            return "not recorded"
        words.append(rules.verdict(*(numbers[key] for key in test.keys), **test.rule))
    return f"**{rules.worst(words)}**"


def origins(records: dict[str, dict]) -> list[str]:
    """Where the recorded numbers come from, one line a notebook; nothing without records."""
    if not records:
        return []
    rows = [["notebook", "parameters", "ended", "versions", "inputs (hash)"]]
    for notebook, record in records.items():
        about = record["provenance"]
        parameters = ", ".join(
            f"{name} = {value}" for name, value in about["parameters"].items() if name != "model"
        )
        versions = ", ".join(
            f"{name} {version}"
            for name, version in {"python": about["python"], **about["packages"]}.items()
        )
        rows.append(
            [
                f"`{notebook}`",
                parameters,
                about["ended"][:10],
                versions,
                f"`{about['inputs'][:12]}`",
            ]
        )
    return markdown(rows)


def _samples(keys: tuple[str, ...], number: Callable[[str, str], str]) -> str:
    return " / ".join(number(key, ".0f") for key in keys)


def _cell(name: str, number: Callable[[str, str], str]) -> str:
    """A number with interval, size of its effect with n, and verdict, each written by `number`."""
    verdict = f"**{number(f'{name}_verdict', 's')}**"
    if name.startswith(NUMBERLESS):
        return verdict
    value, low, high = (number(f"{name}{end}", ".2f") for end in ("", "_low", "_high"))
    return f"{value} [{low}, {high}], {number(f'{name}_size', 's')}, {verdict}"


def _written(numbers: dict, key: str, form: str) -> str:
    if key not in numbers:
        return "–"
    return format(float("nan") if numbers[key] is None else numbers[key], form)
