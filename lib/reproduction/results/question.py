"""What a table asks of each prompt, and where the answer lies."""

import hashlib
import inspect
import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property, partial
from pathlib import Path

import pandas as pd

from arbitration.dataset.entities import EntityDictionary
from arbitration.files.folders import cache
from reproduction.results.origin import code_version, content_of, provenance

#: The column that says what a measure tried on a prompt, and by which keyword it is asked for a
#: part of that.
TRIED = {"layer": "layers", "draw": "kept_draws", "routes": "kept_routes"}


@dataclass(frozen=True)
class Question:
    """One measure of one model, whatever the prompt.

    What is not measured prompt by prompt has units of another kind, such as the sets of heads that
    are scaled in one text: frozen dataclasses that `origin.describe` knows, with an `id`, which
    names the part's file, and as `following` the kind of unit, of each of which some are attested.

    Attributes
    ----------
    name : str
        Of the table.
    rows : callable
        As `store.collect` takes it.
    subject : Subject
    given : mapping
        What else `rows` is given.
    borrowed : mapping, optional
        For each sample's name what its rows take from other samples.
    """

    name: str
    rows: Callable[..., Iterable[pd.DataFrame]]
    subject: object
    given: Mapping
    borrowed: Mapping | None = None

    @property
    def title(self) -> str:
        return f"{self.name}, {self.subject.name}"

    @cached_property
    def code(self) -> str:
        return code_version(self.rows)

    @property
    def dictionaries(self) -> dict[str, EntityDictionary]:
        """Of these a prompt's rows depend on the entries of its own answers alone."""
        return {key: one for key, one in self.given.items() if isinstance(one, EntityDictionary)}

    @cached_property
    def same(self) -> dict:
        """What is given to all prompts alike."""
        return {key: one for key, one in self.given.items() if key not in self.dictionaries}

    @cached_property
    def folder(self) -> Path:
        origin = json.dumps(
            [self.name, provenance(self.subject, self.rows, **self.same)], sort_keys=True
        )
        return cache() / "parts" / f"{self.name}-{hashlib.sha256(origin.encode()).hexdigest()[:16]}"

    def content(self, prompt) -> str:
        """Hash of all that a prompt's rows depend on and others' do not (`origin.content_of`)."""
        own = None if self.borrowed is None else self.borrowed[prompt.sample.id]
        return content_of(prompt, own, self.dictionaries)

    def part(self, prompt) -> Path:
        """The file of a prompt's rows."""
        return self.folder / f"{prompt.id}-{self.content(prompt)}.parquet"

    @cached_property
    def tried(self) -> str | None:
        """The column that tells apart what is tried on a prompt, if less of it can be asked for
        (`narrow`).
        """
        takes = inspect.signature(self.rows).parameters
        return next((column for column, keyword in TRIED.items() if keyword in takes), None)

    def narrow(self, some: list) -> "Question":
        """The same question, of a part of what is tried."""
        return replace(self, given={**self.given, TRIED[self.tried]: some})

    @property
    def tables_of(self) -> partial:
        """What measures some prompts: the rows of each."""
        borrowed = {} if self.borrowed is None else {"borrowed": self.borrowed}
        return partial(self.rows, self.subject, **self.given, **borrowed)
