"""What the paper reports, claim by claim, and the rule by which a measurement agrees with it or
not.
"""

import json
from dataclasses import dataclass, field
from functools import cache

from arbitration.files import folders


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
class Claim:
    """One claim of the paper: where it stands, what it says in our words, and what measures it.

    `verdicts` are pairs of a rule in words and the key of the computed verdict; `samples` are the
    keys of the numbers of samples.
    """

    id: str
    section: str
    figure: str
    statement: str
    notebook: str
    quantities: tuple[Quantity, ...]
    verdicts: tuple[tuple[str, str], ...] = ()
    samples: tuple[str, ...] = field(default=("n_text", "n_vision"))


def claims():
    """All claims, in the paper's order, from ``data/paper_reported.json``."""
    return _read("paper_reported.json", "claims")


def questions():
    """What this project asks beside the paper's claims, in the same form, from
    ``data/questions.json``.
    """
    return _read("questions.json", "questions")


@cache
def _read(file, name):
    records = json.loads((folders.DATA / file).read_text(encoding="utf-8"))[name]
    return tuple(
        Claim(
            **record
            | {
                "quantities": tuple(Quantity(**quantity) for quantity in record["quantities"]),
                "verdicts": tuple(map(tuple, record.get("verdicts", ()))),
                "samples": tuple(record.get("samples", ("n_text", "n_vision"))),
            }
        )
        for record in records
    )


def of_section(section, known=claims):
    """Claims of one section, such as ``"3.1"`` with its subsections; or questions, with
    ``known=questions``.

    Raises
    ------
    ValueError
        When the section has none; the message lists those that have.
    """
    found = [
        claim
        for claim in known()
        if claim.section == section or claim.section.startswith(f"{section}.")
    ]
    if not found:
        why = (
            f"no claim of section {section!r}; sections with claims: "
            f"{', '.join(sorted({c.section for c in known()}))}"
        )
        raise ValueError(why)
    return found
