"""A model under study, and the only place that knows any architecture's module names."""

from dataclasses import dataclass, field
from inspect import signature

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel, PreTrainedTokenizerBase, ProcessorMixin

from arbitration.models.encode import encode


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
        How it writes the first letter of an answer to the set under study (`encode.SPELLINGS`,
        `answered.adopt_spelling`): y_p and y_c are tokens of that.
    chat : bool
        Whether it is prompted by its chat template; the embedded models have the short form that
        they were trained with.
    closed : tuple of (source, target)
        Names of token groups between which it has no attention in any layer (Eq. 5's edges, closed
        for good); with the target ``last``, no generated token has any either. Every pass of the
        library over a prompt keeps to it (`knockout.standing`).
    """

    name: str
    model: PreTrainedModel
    processor: ProcessorMixin
    revision: str
    images: dict = field(default_factory=dict, compare=False)
    spelling: str = "as given"
    chat: bool = True
    closed: tuple[tuple[str, str], ...] = ()

    @property
    def tokenizer(self) -> PreTrainedTokenizerBase:
        return self.processor.tokenizer

    @property
    def decoder(self) -> nn.Module:
        """The text decoder, a stack of layers between token embeddings and the final norm."""
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
    def total_heads(self) -> int:
        """Query heads of all layers."""
        return self.n_layers * self.n_heads

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
        """Where prompts are put; the processor's memory for a model without weights."""
        device = self.model.device
        return torch.device("cpu") if device.type == "meta" else device

    def attention(self, layer: int) -> nn.Module:
        return self.layers[layer].self_attn

    def output_projection(self, layer: int) -> nn.Linear:
        """W_O: its input is all heads' outputs side by side."""
        return self.layers[layer].self_attn.o_proj

    def mlp(self, layer: int) -> nn.Module:
        return self.layers[layer].mlp

    def writers(self, layer: int) -> tuple[nn.Module, nn.Module]:
        """The modules whose outputs a layer adds to the residual stream, A and F of Eq. 1:
        attention and MLP, or the norms after them.
        """
        own = self.layers[layer]
        if hasattr(own, "post_feedforward_layernorm"):
            return own.post_attention_layernorm, own.post_feedforward_layernorm
        return own.self_attn, own.mlp

    @property
    def head_obstacle(self) -> str | None:
        """Why a head has no contribution to the residual stream of its own, as Eq. 12 needs, in one
        line; None where it has.
        """
        if self.writers(0)[0] is self.attention(0):
            return None
        return (
            "its layers have a norm after the attention (post_attention_layernorm), so that "
            "what they add is not the sum of what their heads write"
        )

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
        return (
            "features of the vision tower (deepstack)"
            if getattr(vision, "deepstack_visual_indexes", None)
            else None
        )

    def encode(self, sample, following: str):
        """The `Prompt` of one sample under the instruction to follow ``"vision"`` or ``"text"``."""
        return encode(self, sample, following)


def check_subject(subject: Subject) -> Subject:
    """The subject itself if every part that the methods touch is where `Subject` looks for it.

    Raises
    ------
    ValueError
        Naming the part that is missing or that would make a method silently wrong.
    """

    def lacks(what: str) -> ValueError:
        return ValueError(
            f"model {subject.name!r} ({type(subject.model).__name__}): {what}. The "
            f"measures work on image-text models whose text decoder is a"
            " stack of layers of self-attention and MLP, like those that the README lists; "
            "where such a part only has another name, add that to `Subject`"
            " in lib/arbitration/models/subject.py"
        )

    decoder = subject.decoder
    for part in ("layers", "norm"):
        if not hasattr(decoder, part):
            why = f"its text decoder has no {part!r}"
            raise lacks(why)
    if not hasattr(decoder.config, "num_attention_heads"):
        why = "its text decoder's configuration has no 'num_attention_heads'"
        raise lacks(why)
    for index, layer in enumerate(decoder.layers):
        for path in ("self_attn.o_proj", "mlp"):
            try:
                found = layer.get_submodule(path)
            except AttributeError:
                why = f"layer {index} has no {path!r}"
                raise lacks(why) from None
            if path == "self_attn.o_proj" and found.in_features % subject.n_heads:
                why = (
                    f"the {found.in_features} inputs of layer {index}'s 'self_attn.o_proj' are "
                    f"not the outputs of {subject.n_heads} heads"
                )
                raise lacks(why)
    if subject.model.get_output_embeddings() is None:
        why = "it has no unembedding (get_output_embeddings)"
        raise lacks(why)
    return subject
