"""What decides each claim of the paper; claims and rule were committed before any of the numbers
was looked at.
"""

import json
import re
from dataclasses import dataclass
from functools import cache

from arbitration.files import folders


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


@cache
def predicted_claims():
    """All claims, in the paper's order, from ``data/paper_claims.json``."""
    records = json.loads((folders.DATA / "paper_claims.json").read_text(encoding="utf-8"))["claims"]
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
