"""Where training starts, and what it leaves."""

import os
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from transformers import LlavaConfig, LlavaForConditionalGeneration, LlavaProcessor

from arbitration.files.atomic import partial
from arbitration.models import embedded
from recipe import lowrank


def build_fresh(seed: int):
    """The pretrained language model with a vision half that has seen nothing.

    Returns
    -------
    model : LlavaForConditionalGeneration
    processor : LlavaProcessor
    """
    model, processor = embedded.build_embedded("smol", weights="random", seed=seed)
    base = {
        key.removeprefix("model."): value
        for key, value in load_file(embedded.dequantised()).items()
    }
    model.model.language_model.load_state_dict(base)
    return model, processor


def toy(seed: int):
    """A tiny model of the same make, from random numbers: two layers, 32 wide, pictures as large,
    words as many.
    """
    config = LlavaConfig.from_pretrained(embedded.MODELS).to_dict()
    config["text_config"] |= {
        "hidden_size": 32,
        "intermediate_size": 64,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "num_key_value_heads": 1,
        "head_dim": 16,
    }
    config["vision_config"] |= {
        "hidden_size": 32,
        "intermediate_size": 64,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
    }
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = LlavaForConditionalGeneration(LlavaConfig.from_dict(config))
        # As far apart as pretrained embeddings are: otherwise no word is easier to say than
        # another.
        torch.nn.init.normal_(model.get_input_embeddings().weight, std=0.3)
    return model.eval(), LlavaProcessor.from_pretrained(embedded.MODELS)


def save_parts(model, folder: Path) -> None:
    """Write the trained parts as `arbitration.models.embedded` reads them: deltas in float16,
    vision half in int8 rows.
    """
    adapter = {
        name: value.half().contiguous()
        for name, value in lowrank.deltas(model.model.language_model).items()
    }
    rank = next(value.shape[0] for name, value in adapter.items() if name.endswith("lora_A"))
    about = {"rank": str(rank), "scale": str(lowrank.SCALE), "merge": "W + scale * lora_B @ lora_A"}
    vision = {
        f"{part}.{name}": value.detach().cpu()
        for part in ("vision_tower", "multi_modal_projector")
        for name, value in getattr(model.model, part).state_dict().items()
    }
    for tensors, name, told in (
        (adapter, "adapter.safetensors", about),
        (packed(vision), "vision.safetensors", None),
    ):
        with partial(folder / name) as free:
            save_file(tensors, free, metadata=told)
            os.replace(free, folder / name)


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
        small[key + embedded.SCALE] = scale
    return small
