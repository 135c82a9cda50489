"""What the rows of every table begin with, and tensors as columns."""

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
