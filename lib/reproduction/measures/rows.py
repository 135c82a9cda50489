"""Tensors as columns of a table's rows."""

import numpy as np
import torch


def to_numbers(values: torch.Tensor) -> np.ndarray:
    return values.detach().double().cpu().numpy()
