"""Loading a subject, and the only place that knows any architecture's module names."""

import hashlib
from dataclasses import dataclass, field
from inspect import signature
from pathlib import Path

import torch
from torch import Tensor, nn
from transformers import (
    MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING, AutoConfig, AutoModelForImageTextToText, AutoProcessor, PreTrainedModel, PreTrainedTokenizerBase, ProcessorMixin,
)

from arbitration import embedded, hub, memory, snapshots, true_size
from arbitration.hub import NAMES as NAMES


@dataclass(frozen=True)
class Subject:
    """A model under study.

    Attributes
    ----------
    name : str
    model : transformers.PreTrainedModel
        In evaluation mode, with attention by ``sdpa`` (or ``eager``).
    processor : transformers.ProcessorMixin
    revision : str
        Which weights these are: a hub revision, a content hash, or ``random-<seed>``.
    images : dict
        What the processor is told about pictures (`hub.picture_settings`).
    spelling : str
        How it writes the first letter of an answer to the set under study (`prompts.SPELLINGS`, `measure.adopt_spelling`): y_p and y_c are tokens of that.
    chat : bool
        Whether it is prompted by its chat template; the embedded models have the short form that they were trained with.
    """

    name: str
    model: PreTrainedModel
    processor: ProcessorMixin
    revision: str
    images: dict = field(default_factory=dict, compare=False)
    spelling: str = "as given"
    chat: bool = True

    @property
    def tokenizer(self) -> PreTrainedTokenizerBase:
        return self.processor.tokenizer

    @property
    def decoder(self) -> nn.Module:
        """The text decoder: a stack of layers between token embeddings and the final norm."""
        return self.model.get_decoder()

    @property
    def layers(self) -> nn.ModuleList:
        return self.decoder.layers

    @property
    def n_layers(self) -> int:
        return len(self.layers)

    @property
    def n_heads(self) -> int:
        """Query heads per layer."""
        return self.decoder.config.num_attention_heads

    @property
    def norm(self) -> nn.Module:
        """The final norm, between the last residual stream and the unembedding."""
        return self.decoder.norm

    @property
    def unembedding(self) -> Tensor:
        """E_u, (vocabulary, d)."""
        return self.model.get_output_embeddings().weight

    @property
    def image_token_id(self) -> int:
        """The token whose rows the model fills with what it sees."""
        return self.model.config.image_token_id

    @property
    def device(self) -> torch.device:
        return self.model.device

    def attention(self, layer: int) -> nn.Module:
        return self.layers[layer].self_attn

    def output_projection(self, layer: int) -> nn.Linear:
        """W_O: its input is all heads' outputs side by side."""
        return self.layers[layer].self_attn.o_proj

    def mlp(self, layer: int) -> nn.Module:
        return self.layers[layer].mlp

    def writers(self, layer: int) -> tuple[nn.Module, nn.Module]:
        """The modules whose outputs a layer adds to the residual stream, A and F of Eq. 1: attention and MLP, or the norms after them."""
        own = self.layers[layer]
        if hasattr(own, "post_feedforward_layernorm"):
            return own.post_attention_layernorm, own.post_feedforward_layernorm
        return own.self_attn, own.mlp

    @property
    def head_obstacle(self) -> str | None:
        """Why a head's contribution to the residual stream (Eq. 12) is not defined, in one line; None where it is."""
        if self.writers(0)[0] is self.attention(0):
            return None
        return "its layers have a norm after the attention (post_attention_layernorm), so that what they add is not the sum of what their heads write"

    @property
    def resume_obstacle(self) -> str | None:
        """Why resuming from a clean pass would not be exact, in one line; None where it is."""
        config = self.decoder.config
        kinds = set(getattr(config, "layer_types", None) or ["full_attention"])
        if kinds != {"full_attention"}:
            return f"it has layers other than full attention ({', '.join(sorted(kinds))})"
        if config._attn_implementation != "sdpa":
            return f"it attends by {config._attn_implementation!r}, not 'sdpa'"
        if "token_type_ids" in signature(self.model.forward).parameters:
            return "its image tokens see each other in both directions"
        return None

    @property
    def image_term(self) -> str | None:
        """What is added to the image's rows between layers, in one line; None in most models."""
        vision = getattr(self.model.config, "vision_config", None)
        return "features of the vision tower (deepstack)" if getattr(vision, "deepstack_visual_indexes", None) else None

    def encode(self, sample, following: str):
        """The `Prompt` of one sample under the instruction to follow ``"vision"`` or ``"text"``."""
        from arbitration.prompts import encode

        return encode(self, sample, following)


def load(
    name: str,
    weights: str = "trained",
    dtype: torch.dtype | None = None,
    device: str | None = None,
    images: dict | None = None,
) -> Subject:
    """Load a model by its name.

    Parameters
    ----------
    name : str
        One of `NAMES` (``smol`` and ``smol-relay`` ship with the project, the others come from the hub), any other repository of
        the hub (``"org/name"``) with an image-text model that transformers knows, or a folder with such a model and its processor.
    weights : {"trained", "random"}
        ``random`` is the same architecture with seeded random weights: a control, and for the models from the hub, at their true
        size, a way to try what they cost without their weights (`true_size`).
    dtype : torch.dtype, optional
        float32 for the embedded models and bfloat16 for the others unless given.
    device : str, optional
        The first GPU if there is one. ``"auto"`` spreads a model from the hub over all GPUs, layer by layer.
    images : dict, optional
        What the processor is told about pictures, in place of what goes by architecture (`hub.picture_settings`); ``{}`` leaves
        the checkpoint's own settings.

    Raises
    ------
    ValueError
        For an unknown name or kind of weights, an embedded model on ``"auto"``, GPUs that together do not hold it, a checkpoint
        that does not fill the model, or a model that the measures cannot work on: that is found out from its configuration,
        before its weights are downloaded.
    FileNotFoundError
        If the weights are neither at hand nor to be had, or not whole; says how to get them.
    """
    entry = hub.entry_of(name)
    if weights not in ("trained", "random"):
        raise ValueError(f"weights={weights!r}; choose 'trained' or 'random'")
    device = device or ("cuda" if torch.cuda.is_available() else "cpu")
    if entry is None:
        if device == "auto":
            raise ValueError(f"device='auto' spreads models from the hub; {name!r} is small enough for one device: leave it out, or name one")
        model, processor = embedded.build(name, weights=weights, dtype=dtype or torch.float32)
        revision = _content_hash(embedded.MODELS / name) if weights == "trained" else "random-0"
        return checked(Subject(name, model.to(device).eval(), processor, revision, images or {}, chat=False))
    dtype = dtype or torch.bfloat16
    if weights == "random":
        model, processor = true_size.build(name, entry.repository, dtype, device)
        images = hub.picture_settings(model.config) if images is None else images
        return checked(Subject(name, model, processor, "random-0", images))
    return _pretrained(hub.named(name), entry, dtype, device, images)


def outline(name: str) -> PreTrainedModel | None:
    """The model of the hub or of a folder that a name stands for, without weights; None for an embedded one.

    Raises
    ------
    ValueError, FileNotFoundError
        As `load` does.
    """
    entry = hub.entry_of(name)
    return None if entry is None else _found(hub.named(name), entry)[0]


def checked(subject: Subject) -> Subject:
    """The subject itself if every part that the methods touch is where `Subject` looks for it.

    Raises
    ------
    ValueError
        Naming the part that is missing or that would make a method silently wrong.
    """
    def lacks(what: str) -> ValueError:
        return ValueError(
            f"model {subject.name!r} ({type(subject.model).__name__}): {what}. The measures work on image-text models whose text decoder is a"
            " stack of layers of self-attention and MLP, like those that the README lists; where such a part only has another name, add that to `Subject`"
            " in lib/arbitration/models.py"
        )

    decoder = subject.decoder
    for part in ("layers", "norm"):
        if not hasattr(decoder, part):
            raise lacks(f"its text decoder has no {part!r}")
    if not hasattr(decoder.config, "num_attention_heads"):
        raise lacks("its text decoder's configuration has no 'num_attention_heads'")
    for index, layer in enumerate(decoder.layers):
        for path in ("self_attn.o_proj", "mlp"):
            try:
                found = layer.get_submodule(path)
            except AttributeError:
                raise lacks(f"layer {index} has no {path!r}") from None
            if path == "self_attn.o_proj" and found.in_features % subject.n_heads:
                raise lacks(f"the {found.in_features} inputs of layer {index}'s 'self_attn.o_proj' are not the outputs of {subject.n_heads} heads")
    if subject.model.get_output_embeddings() is None:
        raise lacks("it has no unembedding (get_output_embeddings)")
    return subject


def _content_hash(folder: Path, *patterns: str) -> str:
    """Hash of a folder's weights; the base that an embedded model adapts is fixed by its own checksum."""
    digest = hashlib.sha256()
    for path in sorted(path for pattern in ("*.safetensors", *patterns) for path in folder.glob(pattern)):
        with path.open("rb") as file:
            while part := file.read(2**24):
                digest.update(part)
    return digest.hexdigest()[:12]


def _found(name: str, entry: hub.Entry) -> tuple[PreTrainedModel, str, str, dict]:
    """A checked model without weights; the revision of its weights, and where and how transformers finds them.

    What is on this machine is looked at first: whatever is complete here needs no network.
    """
    options = {"trust_remote_code": False}
    pin = hub.pinned().get(entry.repository)
    with hub.reported(name, entry):
        local = Path(entry.repository).is_dir()
        folder = Path(entry.repository) if local else snapshots.complete(entry.repository, pin)
        if folder:
            source, revision = str(folder), folder.name
        else:
            source, revision = entry.repository, pin or hub.newest_revision(entry.repository)
            options["revision"] = revision
        config = AutoConfig.from_pretrained(source, **options)
    if folder:
        hub.check_whole(folder, None if local else entry.repository)
    empty = _outline(name, config)
    checked(Subject(name, empty, None, "none"))
    return empty, revision, source, options


def _pretrained(
    name: str, entry: hub.Entry, dtype: torch.dtype, device: str, images: dict | None
) -> Subject:
    """Download (once) and load; the revision of the first download is written down and used from then."""
    empty, revision, source, options = _found(name, entry)
    place = memory.places(empty, dtype) if device == "auto" else device
    with hub.reported(name, entry):
        processor = AutoProcessor.from_pretrained(source, **options)
        model, report = AutoModelForImageTextToText.from_pretrained(
            source, dtype=dtype, device_map=place, use_safetensors=True, output_loading_info=True,
            ignore_mismatched_sizes=True, **options,  # they are reported, and refused here
        )
    _check_filled(name, model, report)
    local = Path(entry.repository).is_dir()
    revision = _content_hash(Path(source), "*.json") if local else revision
    images = hub.picture_settings(model.config) if images is None else images
    subject = checked(Subject(name, model.eval(), processor, revision, images))
    if not local:
        hub.pin(entry.repository, revision)
    return subject


def _check_filled(name: str, model: PreTrainedModel, report: dict) -> None:
    """Whether a checkpoint gave every weight of a model, in its shape, and none more that a pass would miss.

    Weights that are tied to others that came, as an unembedding to the embeddings, are not in the file. Whole modules that the file
    has and the model lacks, as heads for other tasks or a vision tower's pooling, take part in no pass; in the text decoder
    they would, as layers beyond those that the configuration counts.

    Raises
    ------
    ValueError
        Saying how many weights are wrong in which way, and the first of them.
    """
    shapes = {key for key, *_ in report["mismatched_keys"]}
    absent = set(report["missing_keys"]) - shapes
    tied = getattr(model, "all_tied_weights_keys", None) or {}
    absent -= {weight for weight, source in tied.items() if source not in absent | shapes}
    modules = dict(model.named_modules())
    decoder = next(module for module, own in modules.items() if own is model.get_decoder())
    more = {key for key in report["unexpected_keys"] if key.rpartition(".")[0] in modules or key.startswith(f"{decoder}.")}
    if absent:  # then they tell what the checkpoint has in their place
        more = set(report["unexpected_keys"])
    wrong = {"missing": absent, "of another shape": shapes, "in no part of the model": more}
    said = [f"{len(keys)} {what} ({hub.few(sorted(keys))})" for what, keys in wrong.items() if keys]
    if not said:
        return
    kind = f"a {type(model).__name__} of {len(model.state_dict())} weights"
    what = f"the checkpoint of {name!r} does not fill {kind}: {', '.join(said)}"
    why = "what does not arrive is left random, and a measure would be of that"
    todo = "Give a checkpoint that `save_pretrained` wrote for this class, or whose configuration describes it"
    raise ValueError(f"{what}; {why}. {todo}")


def _outline(name: str, config) -> PreTrainedModel:
    """The model that a configuration describes, without weights."""
    if type(config) not in MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING:
        raise ValueError(
            f"model {name!r} is of type {config.model_type!r}, which transformers does not know as an image-text model; give one that it does"
            " (AutoModelForImageTextToText)"
        )
    if getattr(config, "image_token_id", None) is None:
        raise ValueError(f"the configuration of model {name!r} ({config.model_type!r}) names no 'image_token_id', the token that stands for the picture")
    with torch.device("meta"):
        return AutoModelForImageTextToText.from_config(config)
