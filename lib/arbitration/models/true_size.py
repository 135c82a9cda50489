"""The hub's models at their true size with random weights: what a measurement costs, and that it
runs, without any weights at hand.

``data/architectures`` holds the sizes. Tokenizer and processor are the hub's own if they are on
this machine; otherwise stand-ins, the shipped vocabulary with the architecture's own picture
processor at its true sizes, so that prompts are as long as they will be, but read as other tokens.
"""

import json

import torch
from accelerate import dispatch_model
from accelerate.utils import set_module_tensor_to_device
from tokenizers import Tokenizer
from transformers import (
    CONFIG_MAPPING,
    AutoModelForImageTextToText,
    AutoProcessor,
    CLIPImageProcessor,
    GenerationConfig,
    GotOcr2ImageProcessor,
    InternVLProcessor,
    InternVLVideoProcessor,
    LlavaProcessor,
    PreTrainedTokenizerFast,
    Qwen2_5_VLProcessor,
    Qwen2VLImageProcessor,
    Qwen2VLVideoProcessor,
)

from arbitration.files.folders import DATA
from arbitration.models import memory, snapshots

FOLDER = DATA / "architectures"
# of the shipped vocabulary: special tokens and single bytes; each further token is made by one
# merge, in the same order
BYTES = 252


def facts(name: str) -> dict:
    """What is known of an architecture.

    Returns
    -------
    dict
        source; parameters (how many); config (as in a config.json); tokens (special ones, by the
        config's names of their ids); pictures (arguments of the picture processor); turn (what
        stands before the picture, for the picture, and after the user's words).

    Raises
    ------
    ValueError
        If nothing is recorded of it.
    """
    path = FOLDER / f"{name}.json"
    if not path.exists():
        known = ", ".join(sorted(found.stem for found in FOLDER.glob("*.json")))
        why = f"weights='random': the true size of {name!r} is not recorded; known: {known}"
        raise ValueError(why)
    return json.loads(path.read_text(encoding="utf-8"))


def build_true_size(name: str, repository: str, dtype: torch.dtype, device: str, seed: int = 0):
    """A model of true size with random weights, made where it will lie, and its processor.

    Parameters
    ----------
    name : str
    repository : str
        On the hub; asked for nothing but what is already on this machine.
    dtype : torch.dtype
    device : str
        ``"auto"`` spreads it over all GPUs, layer by layer.
    seed : int
    """
    known = facts(name)
    processor = _processor(known, repository)
    model = empty(known, processor.tokenizer, dtype)
    return filled(
        model, memory.places(model, dtype) if device == "auto" else {"": device}, seed
    ), processor


def empty(known: dict, tokenizer, dtype: torch.dtype):
    """The architecture without memory for its weights, on the device ``meta``."""
    config = dict(known["config"])
    ids = {
        field: tokenizer.convert_tokens_to_ids(token) for field, token in known["tokens"].items()
    }
    config = CONFIG_MAPPING[config.pop("model_type")](**config, **ids)
    with torch.device("meta"):
        model = AutoModelForImageTextToText.from_config(config, dtype=dtype)
    end = tokenizer.eos_token_id
    model.generation_config = GenerationConfig(
        bos_token_id=tokenizer.bos_token_id, eos_token_id=end, pad_token_id=end
    )
    return model.eval()


def filled(model, places: dict[str, str | int], seed: int = 0):
    """An empty model with memory for its parts at their places, and random weights drawn there by
    seed.
    """
    for name, tensor in [*model.named_parameters(), *model.named_buffers()]:
        place = next(
            place for part, place in places.items() if not part or f"{name}.".startswith(f"{part}.")
        )
        set_module_tensor_to_device(
            model, name, place, value=torch.empty_like(tensor, device=place), clear_cache=False
        )
    devices = range(torch.cuda.device_count())
    with torch.random.fork_rng(devices=devices):
        torch.manual_seed(seed)
        model.initialize_weights()
    return model if len(places) == 1 else dispatch_model(model, places)


def _processor(known: dict, repository: str):
    """The hub's, if it is on this machine, or a stand-in."""
    for folder in snapshots.folders(repository):
        try:
            return AutoProcessor.from_pretrained(str(folder), local_files_only=True)
        except (OSError, ValueError):
            continue
    return stand_in(known)


def stand_in(known: dict):
    """A processor of the right kind and at the true sizes over the shipped vocabulary."""
    config, pictures = known["config"], known["pictures"]
    before, picture, after = known["turn"]
    chat = (
        (
            "{% for m in messages %}BEFORE{% for c in m.content %}{% if c.type == 'image' "
            "%}PICTURE{% else %}{{ c.text }}{% endif %}{% endfor %}"
            "{% endfor %}AFTER"
        )
        .replace("BEFORE", before)
        .replace("PICTURE", picture)
        .replace("AFTER", after)
    )
    vision = config["vision_config"]
    kind = config["model_type"]
    if kind == "llava":
        side = vision["image_size"]
        reader = CLIPImageProcessor(
            size={"shortest_edge": side}, crop_size={"height": side, "width": side}, **pictures
        )
        return LlavaProcessor(
            reader,
            _tokenizer(known, image_token="<image>"),
            patch_size=vision["patch_size"],
            vision_feature_select_strategy=config["vision_feature_select_strategy"],
            num_additional_image_tokens=1,
            chat_template=chat,
        )
    if kind == "internvl":
        high, wide = vision["image_size"]
        names = {
            "context_image_token": "<IMG_CONTEXT>",
            "start_image_token": "<img>",
            "end_image_token": "</img>",
            "video_token": "<video>",
        }
        reader = GotOcr2ImageProcessor(size={"height": high, "width": wide}, **pictures)
        return InternVLProcessor(
            reader,
            _tokenizer(known, **names),
            InternVLVideoProcessor(),
            image_seq_length=config["image_seq_length"],
            chat_template=chat,
        )
    tokenizer = _tokenizer(known, image_token="<|image_pad|>", video_token="<|video_pad|>")
    reader = Qwen2VLImageProcessor(
        patch_size=vision["patch_size"], merge_size=vision["spatial_merge_size"], **pictures
    )
    return Qwen2_5_VLProcessor(
        reader,
        tokenizer,
        Qwen2VLVideoProcessor(patch_size=vision["patch_size"]),
        chat_template=chat,
    )


def _tokenizer(known: dict, **named: str) -> PreTrainedTokenizerFast:
    """The shipped vocabulary, cut to its most frequent tokens where the model's is smaller, and the
    special tokens after it.
    """
    data = json.loads((DATA / "models" / "tokenizer.json").read_text(encoding="utf-8"))
    special = list(dict.fromkeys([*known["tokens"].values(), *named.values()]))
    size = min(
        len(data["model"]["vocab"]), known["config"]["text_config"]["vocab_size"] - len(special)
    )
    data["model"]["vocab"] = {
        token: id for token, id in data["model"]["vocab"].items() if id < size
    }
    data["model"]["merges"] = data["model"]["merges"][: size - BYTES]
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=Tokenizer.from_str(json.dumps(data)),
        bos_token="<|im_start|>",
        eos_token="<|im_end|>",
        pad_token="<|im_end|>",
        unk_token="<|endoftext|>",
    )
    tokenizer.add_special_tokens({"additional_special_tokens": special})
    for name, token in named.items():
        setattr(tokenizer, name, token)
        setattr(tokenizer, f"{name}_id", tokenizer.convert_tokens_to_ids(token))
    return tokenizer
