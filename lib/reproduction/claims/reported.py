"""What is measured of each claim beside what the paper reports, and of each question of this book.

A claim is one of `predicted.predicted_claims`; here stand the numbers of its table on a section's
page, and the finer tests below them.
"""

import json
from dataclasses import dataclass
from functools import cache

from arbitration.files import folders
from arbitration.files.shipped import read_shipped
from reproduction.claims.predicted import predicted_claims

#: Verdicts on several numbers at once, by the beginnings of their keys: they have neither size nor
#: interval.
NUMBERLESS = ("same_", "sign_", "place_")


@dataclass(frozen=True)
class Quantity:
    """One measured number beside the paper's.

    Parameters
    ----------
    label : str
        What is measured, with its unit.
    key : str
        Name in the notebook's glued numbers; its interval is ``key_low`` and ``key_high``.
    reported : str
        The paper's number, or an en dash where it gives none.
    format : str
        Python format of the number.
    interval, layer : bool
        Whether an interval, and a layer ``key_layer``, go with it.
    """

    label: str
    key: str
    reported: str = "–"
    format: str = ".2f"
    interval: bool = True
    layer: bool = False


@dataclass(frozen=True)
class Finer:
    """A finer test than those that decide a claim.

    Parameters
    ----------
    what : str
        The rule in words.
    key : str
        Of the glued verdict.
    rule : dict
        The keyword arguments of `rules.verdict`; None where the verdict is on several numbers, or
        the bound is itself measured.
    """

    what: str
    key: str
    rule: dict | None = None


@dataclass(frozen=True)
class Comparison:
    """What is measured of one claim of the paper, or of one question of this book.

    `section` is the one whose page shows it; statement and figure are the claim's, or the
    question's own. `samples` are the keys of the numbers of samples.
    """

    id: str
    section: str
    figure: str
    statement: str
    notebook: str
    quantities: tuple[Quantity, ...]
    verdicts: tuple[Finer, ...] = ()
    samples: tuple[str, ...] = ("n_text", "n_vision")


@cache
def reported_claims() -> tuple[Comparison, ...]:
    """What is measured of the paper's claims, in the paper's order, from
    ``data/paper_reported.json``.
    """
    known = {claim.id: claim for claim in predicted_claims()}
    return tuple(
        _comparison(
            record,
            statement=known[record["id"]].statement,
            figure=known[record["id"]].figure,
        )
        for record in _records("paper_reported.json", "claims")
    )


@cache
def questions() -> tuple[Comparison, ...]:
    """What this project asks beside the paper's claims, from ``data/questions.json``."""
    return tuple(map(_comparison, _records("questions.json", "questions")))


def _records(file, name):
    return json.loads(read_shipped(folders.DATA / file))[name]


def _comparison(record, **claimed):
    quantities = tuple(Quantity(**quantity) for quantity in record["quantities"])
    verdicts = tuple(Finer(*finer) for finer in record.get("verdicts", ()))
    lists = {"quantities": quantities, "verdicts": verdicts}
    if "samples" in record:
        lists["samples"] = tuple(record["samples"])
    return Comparison(**record | lists, **claimed)
