"""What the notebooks' parameters may be: every one is checked by its name before anything is
loaded.

Values come as Python has them, or as text that was typed on a shell line: papermill reads numbers,
``True`` and ``False`` there by itself and leaves ``true``, ``false`` and lists as text; the runner
leaves everything as text. Both mean what they say.
"""

import ast
import difflib
import json
import math
import re
from collections.abc import Mapping, MutableMapping
from dataclasses import dataclass
from pathlib import Path

from arbitration.dataset import sample, sets
from arbitration.files.given import find_path, quote
from arbitration.models import catalogue
from arbitration.models.groups import TOKEN_GROUPS

#: Names that a message lists; of more it says how many there are.
LISTED = 20
#: Names of models that mean nothing else in a file's name, an address, a shell or MyST.
LONGEST = 80
PLAIN = re.compile(rf"(?=.{{1,{LONGEST}}}$)\w(?:[.+=-]?\w)*")


@dataclass(frozen=True)
class Text:
    """Words, a name or a path, as they were typed."""

    empty: bool = False
    wants: str = "text"

    def read(self, value) -> str:
        """The value as the notebooks use it; ValueError with what would be right."""
        if not isinstance(value, str):
            why = (
                "text; what looks like a number or a truth value is given to papermill as -r "
                "NAME VALUE"
            )
            raise ValueError(why)
        if not value.strip() and not self.empty:
            why = f"{self.wants} that is not empty"
            raise ValueError(why)
        return value


@dataclass(frozen=True)
class Model:
    """A model, as `load` takes it. The own name of a folder becomes that of files, pages, links and
    words of the book, and must be plain for all of them.
    """

    def read(self, value) -> str:
        value = Text(wants="a name").read(value)
        try:
            own = catalogue.named(value).removeprefix("local/")
        except (OSError, ValueError):  # no file can be called so: `load` says it
            return value
        if Path(value).is_dir() and not PLAIN.fullmatch(own):
            why = (
                f"a folder with another name than {quote(own)}, which becomes that of tables, "
                f"pages and links: up to {LONGEST} letters, digits and underscores, with single "
                f"'.', '-', '+' or '=' between them; rename the folder"
            )
            raise ValueError(why)
        return value


@dataclass(frozen=True)
class Choice:
    """One of some words."""

    names: tuple[str, ...]

    def read(self, value) -> str:
        if value in self.names:
            return value
        near = difflib.get_close_matches(str(value)[:100].lower(), self.names, n=1, cutoff=0.0)
        few = len(self.names) <= LISTED
        known = ", ".join(self.names) if few else f"{len(self.names)} names"
        why = f"one of {known}; nearest: {near[0] if near else self.names[0]}"
        raise ValueError(why)


@dataclass(frozen=True)
class Switch:
    """True or false."""

    def read(self, value) -> bool:
        if isinstance(value, bool):
            return value
        words = {"true": True, "false": False}
        if isinstance(value, str) and value.strip().lower() in words:
            return words[value.strip().lower()]
        said = str(value).strip().lower()
        guess = ": true" if said in ("1", "yes", "on") else ""
        guess = ": false" if said in ("0", "no", "off") else guess
        why = f"true or false{f'; nearest{guess}' if guess else ''}"
        raise ValueError(why)


@dataclass(frozen=True)
class Number:
    """A number between bounds; with `step`, a whole one: `least`, and so on by steps.

    Attributes
    ----------
    least, most : float
    step : int
        0 for any number.
    open : bool
        Whether `least` itself is too small.
    """

    least: float = 0
    most: float = math.inf
    step: int = 0
    open: bool = False

    def __str__(self) -> str:
        kind = {0: "a number", 1: "a whole number"}.get(self.step, "an odd number")
        if self.most < math.inf and not self.open:
            return f"{kind} from {self.least} to {self.most}"
        low = f"above {self.least}" if self.open else f"of at least {self.least}"
        return f"{kind} {low}" + (f" and at most {self.most}" if self.most < math.inf else "")

    def read(self, value) -> int | float:
        number = _literal(value) if isinstance(value, str) else value
        if (
            isinstance(number, bool)
            or not isinstance(number, (int, float))
            or not math.isfinite(number)
        ):
            raise ValueError(str(self))
        nearest = self.nearest(number)
        if nearest != number:
            raise ValueError(f"{self}; nearest: {nearest}" if nearest is not None else str(self))
        return int(number) if self.step else number

    def nearest(self, number: float) -> float | None:
        """The value that is allowed and next to a number; None if there is no next one."""
        if number < self.least or (self.open and number == self.least):
            return None if self.open else self.least
        if number > self.most:
            return self.most
        return (
            self.least + (round(number) - self.least + self.step // 2) // self.step * self.step
            if self.step
            else number
        )


@dataclass(frozen=True)
class Several:
    """A list of values that all follow one rule; with `length`, of as many or none."""

    rule: Text | Number | Choice
    example: str
    empty: bool = False
    length: int = 0

    def read(self, value) -> list:
        listed = _literal(value) if isinstance(value, str) else value
        if not isinstance(listed, (list, tuple)):
            why = f"a list, such as {self.example}"
            raise ValueError(why)
        if not listed and not self.empty:
            why = f"a list that is not empty, such as {self.example}"
            raise ValueError(why)
        if self.length and len(listed) not in (0, self.length):
            why = f"a list of {self.length}, such as {self.example}, and has {len(listed)}"
            raise ValueError(why)
        if isinstance(self.rule, Text):
            listed = [
                str(one) if isinstance(one, (int, float)) and not isinstance(one, bool) else one
                for one in listed
            ]
        try:
            return [self.rule.read(one) for one in listed]
        except ValueError as error:
            why = f"a list such as {self.example}, each of its values {error}"
            raise ValueError(why) from None


#: More than any set or machine here has: what is larger is a slip of the finger.
_COUNT = Number(least=1, most=1_000_000, step=1)
_WIDTH = Number(least=1, most=999, step=2)
_FACTOR = Number(most=1000)
_SHARE = Number(least=0, most=1, open=True)
_PATHS = tuple(f"{source}→{target}" for source in TOKEN_GROUPS for target in TOKEN_GROUPS)
#: What each parameter of the notebooks may be, whichever notebook it belongs to.
RULES = {
    **dict.fromkeys(
        "n n_controls n_place n_weights few tries singles draws elsewhere stride top_k".split(),
        _COUNT,
    ),
    "model": Model(),
    **dict.fromkeys(("data", "split"), Text(wants="a name")),
    **dict.fromkeys(("image", "question", "context", "instruction"), Text(empty=True)),
    **dict.fromkeys(("norm", "only_following", "measure"), Switch()),
    "seed": Number(step=1),
    "width": _WIDTH,
    "widths": Several(_WIDTH, "[1, 3, 5]"),
    "share": _SHARE,
    "shares": Several(_SHARE, "[0.05, 0.1]"),
    "factor": _FACTOR,
    "factors": Several(_FACTOR, "[1.5, 2.0]"),
    "pathways": Several(Choice(_PATHS), "['vision→text', 'text→last']"),
    "answers": Several(Text(), "['apple', 'pear']", empty=True, length=2),
    "weights": Choice(("trained", "random", "absent")),
    "positions": Choice(TOKEN_GROUPS),
    # As `lens.POOLINGS` and `steering.PLACES` have them: their modules import torch, for which
    # whoever only plans a run would wait.
    "pooling": Choice(("max", "mean")),
    "place": Choice(("everywhere", "instruction")),
    "following": Choice(sample.MODALITIES),
}


def check_parameters(given: Mapping) -> dict:
    """Parameters as the notebooks use them: typed text read as what it says, and each within its
    range.

    Parameters
    ----------
    given : mapping
        Names to values. A name without a rule is passed on as it is.

    Raises
    ------
    ValueError
        With every parameter that is not what it may be, and the nearest that would be; also for a
        data set, a split of the scenes or a picture that does not exist. Whether a model does is
        `load`'s to say, at once.
    """
    found, faults = {}, []
    rules = RULES | ({"split": Choice(sets.SPLITS)} if given.get("data") == "scenes" else {})
    for name, value in given.items():
        try:
            found[name] = rules[name].read(value) if name in rules else value
        except ValueError as error:
            faults.append(f"{name} is {quote(value)}; it must be {error}")
    faults += _absent(found)
    if faults:
        raise ValueError(". ".join(faults))
    return found


def settle(names: MutableMapping) -> None:
    """`check_parameters` for a notebook's own names, ``globals()``: each parameter among them is as
    it should be from here on, or nothing more is run.

    What cannot be typed, such as a table under the name of another notebook's parameter, is none of
    them.
    """
    names.update(
        check_parameters(
            {name: value for name, value in names.items() if name in RULES and _typed(value)}
        )
    )


def _absent(given: Mapping) -> list[str]:
    """What is said about names of things that do not exist."""
    faults = []
    try:
        sets.source(given.get("data", "scenes"))
    except (ValueError, FileNotFoundError) as error:
        faults.append(f"data: {error}")
    try:
        if given.get("image", "").strip() and not find_path(given["image"]).is_file():
            faults.append(
                f"image: there is no picture {quote(given['image'])}; relative paths start from "
                f"{Path.cwd()}"
            )
    except ValueError as error:
        faults.append(f"image: {error}")
    return faults


def _typed(value) -> bool:
    """Whether a value is one that can be typed on a shell line."""
    if isinstance(value, (list, tuple)):
        return all(map(_typed, value))
    return value is None or isinstance(value, (bool, int, float, str, dict))


def _literal(text: str):
    """What a text says as Python or JSON writes it; the text itself if it is neither."""
    for read in (ast.literal_eval, json.loads):
        try:
            return read(text.strip())
        except (ValueError, SyntaxError, MemoryError, RecursionError):
            continue
    return text
