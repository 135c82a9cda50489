"""Storing trained parts in few bytes."""

import torch

from arbitration.models.embedded import SCALE


def packed(tensors, smallest=4096):
    """Store every large tensor as int8 rows with a float16 scale each.

    A row is divided by its largest magnitude over 127 and rounded, so that no value moves by more
    than half a step.

    Parameters
    ----------
    tensors : dict of str to Tensor
    smallest : int
        Tensors with fewer values, and vectors, stay float16: they cost little and steer much.

    Returns
    -------
    dict of str to Tensor
        What `arbitration.models.embedded.unpacked` reads.
    """
    small = {}
    for key, value in tensors.items():
        if value.dim() < 2 or value.numel() < smallest:
            small[key] = value.half()
            continue
        rows = value.float().flatten(1)
        # 126.9 rather than 127: rounding the scale to float16 may lower it, and the value must
        # still fit in int8.
        scale = (rows.abs().amax(1).clamp(min=1e-6) / 126.9).half()
        small[key] = (rows / scale.float()[:, None]).round().to(torch.int8).view(value.shape)
        small[key + SCALE] = scale
    return small
