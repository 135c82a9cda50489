"""What fits where: number formats, places of layers, and how many prompts go backward together."""

import torch
from accelerate.utils import get_balanced_memory, get_max_memory, infer_auto_device_map

from arbitration.files.given import quote_error

#: Of what is free, this share is planned with; a device's allocator needs the rest.
PLANNED = 0.85
#: How much more than what it keeps a backward pass takes at its highest.
PEAK = 2
GIB = 2**30


def check_place(dtype: torch.dtype | None, device: str) -> None:
    """Refuse a number format, or a device, before anything is read for it.

    Raises
    ------
    ValueError
        If it is none, or not here.
    """
    if dtype is not None and not (isinstance(dtype, torch.dtype) and dtype.is_floating_point):
        why = (
            f"dtype={dtype!r}; give torch's name of a format of floating-point numbers, such as "
            f"torch.float32"
        )
        raise ValueError(why)
    if device == "auto":
        return
    try:
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError, TypeError) as error:
        why = (
            f"device={device!r} cannot be used here ({quote_error(error)}); give 'cpu', one that "
            f"torch has, such as 'cuda:0', or leave it out"
        )
        raise ValueError(why) from error


def free(device: torch.device | str) -> int:
    """Bytes that a device has left, those that torch keeps in reserve on it included."""
    device = torch.device(device)
    if device.type != "cuda":
        known = get_max_memory()
        return known.get(device.type, known["cpu"])
    index = torch.cuda.current_device() if device.index is None else device.index
    reserve = torch.cuda.memory_reserved(index) - torch.cuda.memory_allocated(index)
    return torch.cuda.mem_get_info(index)[0] + reserve


def fitting_dtype(model, device: str) -> tuple[torch.dtype, str]:
    """float32 if a model's weights fit in it, otherwise bfloat16; and why, in a line.

    Parameters
    ----------
    model : PreTrainedModel
        Its shapes are what counts; it may be without memory.
    device : str
        ``"auto"`` counts all GPUs together.
    """
    if device == "auto":
        known = get_max_memory()
        have = sum(room for place, room in known.items() if place != "cpu") or known["cpu"]
    else:
        have = free(device)
    need = 4 * model.num_parameters()
    sizes = f"float32 takes {need / GIB:.1f} GiB of the {have / GIB:.1f} that are free"
    if need <= PLANNED * have:
        return torch.float32, sizes
    return torch.bfloat16, f"{sizes}; in bfloat16 rounding hides mistakes of some tenths of a nat"


def places(model, dtype: torch.dtype, memory: dict | None = None) -> dict[str, str | int]:
    """Where accelerate would put each part of a model, evenly over the GPUs; the CPU if that is all
    there is.

    Parameters
    ----------
    model : PreTrainedModel
    dtype : torch.dtype
        The number format that it will have.
    memory : dict, optional
        Room by device, as accelerate writes it; what is free unless given.

    Raises
    ------
    ValueError
        If the GPUs do not hold it: layers on the CPU or on disk would make each pass a matter of
        minutes.
    """
    whole = list(model._no_split_modules)
    if memory is None:
        memory = get_balanced_memory(model, no_split_module_classes=whole, dtype=dtype)
    if set(memory) <= {"cpu", "disk"}:
        return {"": "cpu"}
    options = {"no_split_module_classes": whole, "dtype": dtype}
    found = infer_auto_device_map(model, max_memory=memory, **options)
    left = [part for part, place in found.items() if place in ("cpu", "disk")]
    if left:
        raise ValueError(_no_room(model, dtype, left))
    return found


def _no_room(model, dtype: torch.dtype, left: list[str]) -> str:
    weights = dict(model.named_parameters())
    parts = tuple(f"{part}." for part in left)
    sizes = [weight.numel() for name, weight in weights.items() if f"{name}.".startswith(parts)]
    outside = sum(sizes) * dtype.itemsize / GIB
    need = model.num_parameters() * dtype.itemsize / GIB
    billions = model.num_parameters() / 1e9
    shown = ", ".join(left[:3]) + (" …" if len(left) > 3 else "")
    what = (
        f"the GPUs together do not hold a model of {billions:.2f} billion parameters, "
        f"{need:.1f} GiB in"
        f" {str(dtype).removeprefix('torch.')}: no room for {shown} ({len(left)} parts, "
        f"{outside:.1f} GiB)"
    )
    smaller = (
        f"dtype=torch.bfloat16 ({need * 2 / dtype.itemsize:.1f} GiB), "
        if dtype.itemsize > 2
        else ""
    )
    return f"{what}; give {smaller}more or larger GPUs, or a smaller model"


def bytes_for_gradients(subject, length: int) -> int:
    """About what a backward pass through the decoder keeps of one prompt of some length.

    Of each layer and token: the inputs of both norms, which work in float32; queries, keys, values
    and what the heads make of them; their outputs, scaled in float32; and three vectors inside the
    MLP. The products with weights keep nothing, because weights take no part in gradients.
    """
    config, itemsize = subject.decoder.config, subject.model.dtype.itemsize
    precise = max(4, itemsize)
    heads = subject.output_projection(0).in_features
    experts = getattr(config, "num_experts_per_tok", None) or 0
    expert = getattr(config, "moe_intermediate_size", None) or 0
    inner = max(config.intermediate_size, experts * expert)
    attention = heads * (4 * itemsize + precise)
    per_token = 2 * config.hidden_size * precise + attention + 3 * inner * itemsize
    return subject.n_layers * length * per_token


def prompts_at_once(subject, prompts, most: int) -> int:
    """How many prompts can go backward together in what is free: from one to `most`."""
    devices = {weight.device for weight in subject.decoder.parameters()}
    room = PLANNED * len(devices) * min(free(device) for device in devices)
    longest = max(prompt.groups.length for prompt in prompts)
    return max(1, min(most, int(room // (PEAK * bytes_for_gradients(subject, longest)))))
