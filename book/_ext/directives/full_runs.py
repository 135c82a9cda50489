"""The directive ``full_runs``: the verdicts of one model's recorded full runs beside this machine's
own.

    ```{full_runs} smol
    ```

Without a model: the verdicts on the paper's claims that the recorded runs of both embedded models
give.

The records are ``data/first_runs/<model>/<notebook>.json``; this machine's numbers come by
``glue:text`` from the executed notebooks, and a missing one is a warning like any other.
"""

from collections.abc import Callable, Iterable, Sequence
from functools import partial

from arbitration.files import folders
from arbitration.models import embedded
from directives.base import Directive, glued
from press.markdown import markdown
from reproduction.claims import predicted, recorded, reported, rules


def compare_runs(
    claims: Iterable, records: dict[str, dict], glued: Callable[[str, str, str], str]
) -> list[str]:
    """A table of verdicts: this machine's run beside the recorded full run.

    Parameters
    ----------
    claims : iterable of reported.Comparison
        `reported.reported_claims`, or `reported.questions`; those without a verdict are left out.
    records : dict
        From `read_records`.
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
            (finer.what, partial(_cell, finer.key.removesuffix("_verdict")))
            for finer in claim.verdicts
        ]
        for place, (rule, cell) in enumerate(told):
            rows.append(
                ["" if place else claim.id, rule, cell(own), cell(full) if full else "not recorded"]
            )
    return markdown(rows)


def judge_claims(records: dict[str, dict[str, dict]]) -> list[str]:
    """A table of the verdicts on the paper's claims from recorded full runs alone: by rule 2 and,
    in brackets, by rule 1 (`predicted`).

    Parameters
    ----------
    records : dict
        For each model what `read_records` gives.

    Returns
    -------
    list of str
        Markdown: one line for each claim of `predicted.predicted_claims`, linked to its tests; "not
        recorded" where the records of a model lack a number that the claim needs.
    """
    rows = [["claim", *records]]
    for claims in zip(predicted.predicted_claims(), predicted.predicted_claims(1), strict=True):
        cells = [_word(claims, found) for found in records.values()]
        rows.append([f"[{claims[0].statement}](#verdict-{claims[0].id})", *cells])
    return markdown(rows)


def _word(claims: Sequence[predicted.Claim], records: dict[str, dict]) -> str:
    """The verdict of rule 2 and, in brackets, that of rule 1."""
    second, first = (_worst(claim, records, rule) for claim, rule in zip(claims, (2, 1)))
    return f"**{second}** ({first})"


def _worst(claim: predicted.Claim, records: dict[str, dict], rule: int) -> str:
    words = []
    for test in claim.predictions:
        numbers = records.get(test.notebook, {"numbers": {}})["numbers"]
        if not numbers.keys() >= set(test.keys):
            return "not recorded"
        words.append(rules.judge_prediction(test, [numbers[key] for key in test.keys], rule))
    return rules.worst(words)


def list_origins(records: dict[str, dict]) -> list[str]:
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
    if name.startswith(reported.NUMBERLESS):
        return verdict
    value, low, high = (number(f"{name}{end}", ".2f") for end in ("", "_low", "_high"))
    return f"{value} [{low}, {high}], {number(f'{name}_size', 's')}, {verdict}"


def _written(numbers: dict, key: str, form: str) -> str:
    if key not in numbers:
        return "–"
    return format(float("nan") if numbers[key] is None else numbers[key], form)


class FullRuns(Directive):
    """Both runs of one model, and where the recorded one comes from; or what the recorded ones say
    of each claim.
    """

    optional_arguments = 1

    def run(self):
        written = (
            self.compared(self.arguments[0])
            if self.arguments
            else judge_claims({name: self.recorded(name) for name in embedded.TRAINED})
        )
        return [self.box(written, "claim", "conventions")]

    def recorded(self, model):
        """What is recorded of a model; the page is written again when a record changes."""
        records = recorded.read_records(model)
        for notebook in records:
            self.env.note_dependency(str(folders.DATA / "first_runs" / model / f"{notebook}.json"))
        return records

    def compared(self, model):
        """One model's table of claims, that of questions, and the recorded runs."""
        records, written = self.recorded(model), []
        for lead, known in (
            ("The paper's claims", reported.reported_claims),
            ("Asked here", reported.questions),
        ):
            table = compare_runs(known(), records, partial(glued, model))
            written += [f"**{lead}**", "", *table, ""]
        return [*written, "**The recorded runs**", "", *list_origins(records)]
