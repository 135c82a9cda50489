"""What makes the rows of a table: one prompt after the other, and tensors as columns."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import wraps

import numpy as np
import pandas as pd
import torch


def to_numbers(values: torch.Tensor) -> np.ndarray:
    return values.detach().double().cpu().numpy()


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

    rows.alone = True  # who else is measured decides no rounding
    return rows
