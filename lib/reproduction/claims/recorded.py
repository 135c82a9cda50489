"""What full runs found, as they were recorded."""

import json
from math import nan

from arbitration.files import folders
from arbitration.files.shipped import read_shipped
from reproduction.claims import reported
from reproduction.claims.rules import verdict

#: The words of runs that were recorded before there was one vocabulary.
FORMER = {"agrees": "holds", "undecided": "not seen", "disagrees": "contradicted"}


def read_records(model: str) -> dict[str, dict]:
    """The records of one model by notebook: provenance, and numbers (None: nothing to measure).
    Empty if none was kept.

    Verdicts are those of today's rule on the recorded numbers, whatever word a run wrote: where an
    interval ends exactly at its bound, the former *disagrees* is today's *not seen*. Verdicts
    without a rule of their own (`reported.Finer`) have their word translated. Those that no page
    shows are left out.
    """
    shown = [*reported.reported_claims(), *reported.questions()]
    found = {}
    for path in sorted((folders.DATA / "first_runs" / model).glob("*.json")):
        record = json.loads(read_shipped(path))
        rules = {
            finer.key: finer.rule
            for comparison in shown
            if comparison.notebook == path.stem
            for finer in comparison.verdicts
        }
        found[path.stem] = record | {"numbers": judge_numbers(record["numbers"], rules)}
    return found


def judge_numbers(numbers: dict, rules: dict[str, dict | None]) -> dict:
    """A run's numbers, with the verdicts that `rules` has: key of the verdict to its rule.

    Parameters
    ----------
    numbers : dict
        As a run glued them.
    rules : dict
        Keyword arguments of `rules.verdict`, or None: the word is translated.
    """
    judged = {key: one for key, one in numbers.items() if not key.endswith("_verdict")}
    for key in rules.keys() & numbers.keys():
        rule, name = rules[key], key.removesuffix("_verdict")
        if rule is None:
            judged[key] = FORMER.get(numbers[key], numbers[key])
        else:
            interval = (numbers.get(f"{name}{end}", nan) for end in ("", "_low", "_high"))
            judged[key] = verdict(*interval, **rule)
    return judged
