"""A second device for machines that have one: tensors of the CPU that refuse to meet those of an
imagined GPU.

Splitting a model over devices goes wrong where a tensor is not moved. Nothing of that shows on one
CPU, so this mode remembers for every tensor where it would lie, moves it where the code moves it,
and raises where a real second device would.
"""

import torch
from accelerate.hooks import ModelHook, add_hook_to_module, remove_hook_from_module
from accelerate.utils import send_to_device
from torch.overrides import TorchFunctionMode, resolve_name
from torch.utils._pytree import tree_leaves
from torch.utils.weak import WeakTensorKeyDictionary

HERE, THERE = torch.device("cpu"), torch.device("cuda", 1)


class TwoDevices(TorchFunctionMode):
    """While it is on, `place` decides where a tensor lies, and every result lies where its
    arguments do.
    """

    def __init__(self):
        super().__init__()
        self.away = WeakTensorKeyDictionary()

    def place(self, tensors) -> None:
        for tensor in tensors:
            self.away[tensor] = True

    def __torch_function__(self, func, types, args=(), kwargs=None):
        kwargs = dict(kwargs or {})
        name = resolve_name(func) or getattr(func, "__name__", "")
        if name == "torch.Tensor.device.__get__":
            return THERE if args[0] in self.away else HERE
        if name in ("torch.Tensor.cpu", "torch.Tensor.to"):
            return self._moved(func, name, args, kwargs)
        made = torch.device(kwargs["device"]) if kwargs.get("device") is not None else None
        if made is not None:
            kwargs["device"] = HERE
        tensors = [leaf for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, torch.Tensor)]
        away = [tensor in self.away for tensor in tensors]
        if name == "torch.Tensor.numpy" and any(away):
            why = "can't convert a cuda:1 tensor to numpy"
            raise RuntimeError(why)
        if name in ("torch.Tensor.__getitem__", "torch.Tensor.__setitem__"):
            self._check_index(tensors, away)
            lies = away[0]
        else:
            sized = [flag for tensor, flag in zip(tensors, away) if tensor.ndim]
            if len(set(sized)) > 1:
                why = f"{name}: tensors on cpu and cuda:1"
                raise RuntimeError(why)
            lies = any(away)
        result = func(*args, **kwargs)
        if made == THERE or made is None and lies:
            self.place(leaf for leaf in tree_leaves(result) if isinstance(leaf, torch.Tensor))
        return result

    def _moved(self, func, name, args, kwargs):
        """`to` and `cpu`: a copy that lies where it was sent."""
        sent = [HERE] if name.endswith("cpu") else []

        def taken(value):
            if isinstance(value, torch.Tensor):
                sent.append(THERE if value in self.away else HERE)
                return value.dtype
            if isinstance(value, (torch.device, str)):
                sent.append(torch.device(value))
                return HERE
            return value

        rest, named = (
            [taken(value) for value in args[1:]],
            {key: taken(value) for key, value in kwargs.items()},
        )
        lies = sent[0] == THERE if sent else args[0] in self.away
        result = func(args[0], *rest, **named)
        if lies != (args[0] in self.away):
            result = args[0].clone() if result is args[0] else result
        if lies:
            self.away[result] = True
        return result

    def _check_index(self, tensors, away):
        """An index may lie on the CPU or with what it indexes; a value that is written has to lie
        there, or be a number.
        """
        for tensor, flag in list(zip(tensors, away))[1:]:
            if flag != away[0] and (flag or tensor.is_floating_point() and tensor.ndim):
                why = "indices or values on another device than what they index"
                raise RuntimeError(why)


class Arrive(ModelHook):
    """What accelerate's own hook does before a module runs: what it is given goes where the module
    lies.
    """

    def __init__(self, device):
        self.device = device

    def pre_forward(self, module, *args, **kwargs):
        return send_to_device(args, self.device), send_to_device(kwargs, self.device)


def split(subject, first: int) -> TwoDevices:
    """Layers from `first` on, the norm and an unembedding that is not tied to the embedding lie on
    the second device.
    """
    mode, unembedding = TwoDevices(), subject.model.get_output_embeddings()
    tied = unembedding.weight is subject.model.get_input_embeddings().weight
    add_hook_to_module(unembedding, Arrive(HERE if tied else THERE))
    for module in [*subject.layers[first:], subject.norm]:
        mode.place([*module.parameters(), *module.buffers()])
        add_hook_to_module(module, Arrive(THERE))
    if not tied:
        mode.place(unembedding.parameters())
    return mode


def joined(subject) -> None:
    """Take `split` back."""
    remove_hook_from_module(subject.model, recurse=True)
