"""What the rows of every table begin with, and tensors as columns."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import wraps

import numpy as np
import pandas as pd
import torch


def identified(table: pd.DataFrame, subject, prompt) -> pd.DataFrame:
    names = {"model": subject.name, "sample": prompt.sample.id, "following": prompt.following}
    return pd.concat([pd.DataFrame(names, index=table.index), table], axis=1)


def to_numbers(values: torch.Tensor) -> np.ndarray:
    return values.detach().double().cpu().numpy()


def identity(subject, prompt) -> dict[str, str]:
    return {"model": subject.name, "sample": prompt.sample.id, "following": prompt.following}


def each(measure: Callable[..., pd.DataFrame]) -> Callable[..., Iterator[pd.DataFrame]]:
    """A function of one prompt for several: ``rows(subject, prompts, borrowed=None, **given)``
    yields one table each.

    With `borrowed`, a mapping from each sample's name, `measure` is given its own prompt's share as
    ``borrowed``.
    """

    @wraps(measure)
    def rows(subject, prompts: Iterable, borrowed: Mapping | None = None, **given):
        for prompt in prompts:
            own = {} if borrowed is None else {"borrowed": borrowed[prompt.sample.id]}
            yield measure(subject, prompt, **given, **own)

    return rows
