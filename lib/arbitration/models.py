"""Loading a subject, and the only place that knows any architecture's module names."""

import difflib
import hashlib
import json
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn
from transformers import AutoModelForImageTextToText, AutoProcessor, PreTrainedModel, PreTrainedTokenizerBase, ProcessorMixin

from arbitration import embedded, true_size
from arbitration.folders import cache

#: The paper's models: weights from the hub, revision recorded at the first download and kept from then on.
HUB = {
    "qwen2.5-vl": "Qwen/Qwen2.5-VL-7B-Instruct",
    "internvl3": "OpenGVLab/InternVL3-8B-hf",
    "llava-1.5": "llava-hf/llava-1.5-7b-hf",
}
NAMES = (*embedded.NAMES, *HUB)


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
    """

    name: str
    model: PreTrainedModel
    processor: ProcessorMixin
    revision: str

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
    def device(self) -> torch.device:
        return self.model.device

    def attention(self, layer: int) -> nn.Module:
        return self.layers[layer].self_attn

    def output_projection(self, layer: int) -> nn.Linear:
        """W_O: its input is all heads' outputs side by side."""
        return self.layers[layer].self_attn.o_proj

    def mlp(self, layer: int) -> nn.Module:
        return self.layers[layer].mlp

    def encode(self, sample, following: str):
        """The `Prompt` of one sample under the instruction to follow ``"vision"`` or ``"text"``."""
        from arbitration.prompts import encode

        return encode(self, sample, following)


def load(name: str, weights: str = "trained", dtype: torch.dtype | None = None, device: str | None = None) -> Subject:
    """Load a model by its name.

    Parameters
    ----------
    name : str
        One of `NAMES`: ``smol`` and ``smol-relay`` ship with the project; the others come from the hub.
    weights : {"trained", "random"}
        ``random`` is the same architecture with seeded random weights: a control, and for the models from the hub, at their true
        size, a way to try what they cost without their weights (`true_size`).
    dtype : torch.dtype, optional
        float32 for the embedded models and bfloat16 for the others unless given.
    device : str, optional
        The first GPU if there is one. ``"auto"`` spreads a model from the hub over all GPUs, layer by layer.

    Raises
    ------
    ValueError
        For an unknown name or kind of weights, or an embedded model on ``"auto"``.
    FileNotFoundError
        If the weights are neither at hand nor to be had; says how to get them.
    """
    if name not in NAMES:
        near = difflib.get_close_matches(name, NAMES, n=1)
        hint = f"did you mean {near[0]!r}? " if near else ""
        raise ValueError(f"unknown model {name!r}; {hint}known models: {', '.join(NAMES)}")
    if weights not in ("trained", "random"):
        raise ValueError(f"weights={weights!r}; choose 'trained' or 'random'")
    device = device or ("cuda" if torch.cuda.is_available() else "cpu")
    if name in embedded.NAMES:
        if device == "auto":
            raise ValueError(f"device='auto' spreads models from the hub; {name!r} is small enough for one device: leave it out, or name one")
        model, processor = embedded.build(name, weights=weights, dtype=dtype or torch.float32)
        model = model.to(device)
        revision = _content_hash(name) if weights == "trained" else "random-0"
    else:
        dtype = dtype or torch.bfloat16
        if weights == "random":
            (model, processor), revision = true_size.build(name, HUB[name], dtype, device), "random-0"
        else:
            model, processor, revision = _from_hub(name, dtype, device)
    return checked(Subject(name, model.eval(), processor, revision))


def checked(subject: Subject) -> Subject:
    """The subject itself if every part that the methods touch is where `Subject` looks for it.

    Raises
    ------
    ValueError
        Naming the part that is missing or that would make a method silently wrong.
    """
    for part in ("layers", "norm"):
        if not hasattr(subject.decoder, part):
            raise ValueError(f"model {subject.name!r}: its text decoder has no {part!r}")
    for index, layer in enumerate(subject.layers):
        for path in ("self_attn.o_proj", "mlp"):
            try:
                layer.get_submodule(path)
            except AttributeError:
                raise ValueError(f"model {subject.name!r}: layer {index} has no {path!r}") from None
    return subject


def _content_hash(name: str) -> str:
    """Hash of an embedded model's own weights; the base that they adapt is fixed by its own checksum."""
    digest = hashlib.sha256()
    for path in sorted((embedded.MODELS / name).glob("*.safetensors")):
        digest.update(path.read_bytes())
    return digest.hexdigest()[:12]


def _from_hub(name: str, dtype: torch.dtype, device: str):
    """Download (once) and load; the revision of the first download is written down and used from then on."""
    repository = HUB[name]
    pins = cache() / "revisions.json"
    pinned = json.loads(pins.read_text()) if pins.exists() else {}
    try:
        revision = pinned.get(repository) or _newest_revision(repository)
        options = {"revision": revision, "trust_remote_code": False}
        processor = AutoProcessor.from_pretrained(repository, **options)
        model = AutoModelForImageTextToText.from_pretrained(repository, dtype=dtype, device_map=device, use_safetensors=True, **options)
    except Exception as error:
        raise FileNotFoundError(
            f"the weights of {name!r} ({repository}) are not on this machine and could not be downloaded"
            f" ({type(error).__name__}). With network access, run `hf download {repository}` (about 16 GB) and try again;"
            f" the embedded models run now: {', '.join(embedded.NAMES)}"
        ) from error
    if repository not in pinned:
        pins.parent.mkdir(parents=True, exist_ok=True)
        pins.write_text(json.dumps({**pinned, repository: revision}, indent=1))
    return model, processor, revision


def _newest_revision(repository: str) -> str:
    """The commit that the hub (or, without network, its local cache) has as `main`."""
    from huggingface_hub import model_info, snapshot_download
    from huggingface_hub.errors import LocalEntryNotFoundError

    try:
        return Path(snapshot_download(repository, local_files_only=True)).name
    except LocalEntryNotFoundError:
        return model_info(repository).sha
