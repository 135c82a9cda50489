"""What a check of a model finds: passed, refused with a reason, or failed."""

from dataclasses import dataclass
from functools import wraps

import torch


@dataclass(frozen=True)
class Result:
    """What one check found.

    Attributes
    ----------
    name : str
    verdict : {"passed", "refused", "failed"}
    why : str
    """

    name: str
    verdict: str
    why: str


class Refused(Exception):
    """The measure says itself that this architecture does not allow it, and names what stands in
    the way.
    """


def check(body):
    """A check from a function that returns what it found, or raises `Refused`, or anything else
    where something is wrong.
    """

    @wraps(body)
    def judged(subject, prompt) -> Result:
        name = body.__name__.replace("_", " ")
        try:
            with torch.no_grad():
                return Result(name, "passed", body(subject, prompt))
        except Refused as refusal:
            return Result(name, "refused", str(refusal))
        except Exception as error:
            return Result(name, "failed", f"{type(error).__name__}: {error}")

    return judged


def require(holds, otherwise: str) -> None:
    if not bool(holds):
        raise AssertionError(otherwise)
