"""What decides each claim of the paper, by two rules.

Rule 1 (``data/paper_claims.json``, `rules.first_verdict`) was committed before any of the numbers
was looked at, and stays as it was. Rule 2 (``data/paper_claims_2.json``, `rules.verdict`) corrects
it, with the reason for each difference; it is the one that pages show.
"""

import json
import re
from dataclasses import dataclass, replace
from functools import cache

from arbitration.files import folders
from arbitration.files.shipped import read_shipped


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
        The prediction, one of the three: an effect beyond a null value, or next to nothing, which
        is to stay within a margin.
    paper : float, optional
        The paper's number for an effect, only where it is on the same scale in every model: nats
        and logits are not.
    several : bool
        The prediction is on several numbers at once, and what is glued is the word.
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
    several: bool = False

    @property
    def keys(self):
        """Where what decides it is glued: value, low and high; or the word alone."""
        if self.several:
            return (f"{self.key}_verdict",)
        return self.key, f"{self.key}_low", f"{self.key}_high"

    @property
    def rule(self):
        """The keyword arguments of `verdict`."""
        return {name: getattr(self, name) for name in ("above", "below", "within", "paper")}


@dataclass(frozen=True)
class Claim:
    """One claim of the paper, in our words, and the predictions that decide it.

    `where` is its place in the paper, `reported` the paper's numbers as it gives them. `shown` are
    labels in this book: of figures, and of tables as they were called when the claims were
    committed. Today a table has its claim's name (`reported.reported_claims`). A claim without
    predictions says in `why` what is missing.
    """

    id: str
    statement: str
    where: str
    reported: str
    shown: tuple[str, ...]
    predictions: tuple[Prediction, ...]
    why: str = ""

    @property
    def figures(self) -> tuple[str, ...]:
        """The labels of the figures in this book that show it."""
        return tuple(label for label in self.shown if label.startswith("fig"))

    @property
    def figure(self) -> str:
        """The numbers of the paper's figures that show it, or an en dash."""
        numbers = (re.match(r"fig(\d+[a-z]?)", label) for label in self.figures)
        return ", ".join(found[1] for found in numbers if found) or "–"


@dataclass(frozen=True)
class Change:
    """How rule 2 differs from rule 1 on one claim.

    Attributes
    ----------
    claim : str
        Its id.
    why : str
        The reason.
    drop : tuple of str
        Keys of the predictions that no longer decide it.
    add : tuple of Prediction
        Those that do beside the rest.
    """

    claim: str
    why: str
    drop: tuple[str, ...]
    add: tuple[Prediction, ...]


@cache
def rule_changes() -> tuple[Change, ...]:
    """The differences of rule 2, in the order of its file."""
    text = read_shipped(folders.DATA / "paper_claims_2.json")
    return tuple(
        Change(
            record["claim"],
            record["why"],
            tuple(record["drop"]),
            tuple(map(_prediction, record["add"])),
        )
        for record in json.loads(text)["changes"]
    )


@cache
def predicted_claims(rule: int = 2) -> tuple[Claim, ...]:
    """All claims, in the paper's order, with the predictions of one rule.

    Raises
    ------
    ValueError
        If a change of rule 2 names a claim or a key that rule 1 does not have.
    """
    claims = _first_claims()
    for change in rule_changes() if rule == 2 else ():
        claims = tuple(
            _changed(claim, change) if claim.id == change.claim else claim for claim in claims
        )
    unknown = {change.claim for change in rule_changes()} - {claim.id for claim in claims}
    if unknown:
        why = f"rule 2 changes claims that there are not: {', '.join(sorted(unknown))}"
        raise ValueError(why)
    return claims


def _changed(claim: Claim, change: Change) -> Claim:
    keys = {prediction.key for prediction in claim.predictions}
    if not set(change.drop) <= keys:
        why = f"rule 2 drops predictions that {claim.id!r} has not: {set(change.drop) - keys}"
        raise ValueError(why)
    kept = [one for one in claim.predictions if one.key not in change.drop]
    return replace(claim, predictions=(*kept, *change.add))


def _first_claims() -> tuple[Claim, ...]:
    records = json.loads(read_shipped(folders.DATA / "paper_claims.json"))["claims"]
    return tuple(
        Claim(
            **record
            | {
                "shown": tuple(record["shown"]),
                "predictions": tuple(map(_prediction, record["predictions"])),
            }
        )
        for record in records
    )


def _prediction(record):
    return Prediction(
        **{
            name: tuple(value) if isinstance(value, list) else value
            for name, value in record.items()
        }
    )
