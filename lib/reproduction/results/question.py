"""What a table asks of each prompt, and where the answer lies."""

import hashlib
import json
import platform
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path

import pandas as pd
import torch

from arbitration.dataset.entities import EntityDictionary
from arbitration.files.folders import cache
from reproduction.results.origin import code_version, content_of, provenance


@dataclass(frozen=True)
class Question:
    """One measure of one model, whatever the prompt.

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

    def measure(self, prompts: list) -> Iterable[pd.DataFrame]:
        """The rows of each of some prompts."""
        borrowed = {} if self.borrowed is None else {"borrowed": self.borrowed}
        return self.rows(self.subject, prompts, **self.given, **borrowed)


def sign(table: pd.DataFrame, subject, seconds: float) -> pd.DataFrame:
    """A part with what measured it in its `attrs`: device, processor, day (UTC) and seconds."""
    device = subject.device.type
    table.attrs = {
        "device": device,
        "processor": name_processor(device),
        "when": datetime.now(UTC).date().isoformat(),
        "seconds": round(seconds, 3),
    }
    return table


def name_processor(device: str) -> str:
    """The maker's name of what computes: of the GPU, or of this machine's processor."""
    if device == "cuda":
        return torch.cuda.get_device_name()
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:  # not on this system
        lines = []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()
