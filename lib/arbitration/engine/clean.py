"""One clean pass, and what it leaves for the passes that resume from it: every layer's input, keys
and values.
"""

from dataclasses import dataclass, field

import torch
from torch import Tensor

from arbitration.equations.hooks import hooks
from arbitration.equations.knockout import standing


@dataclass(frozen=True)
class Clean:
    """What one clean pass leaves for its variants: per layer the input, keys, values and rotary
    positions.

    `added` is what the model adds to the image's rows before some layers (`Subject.image_term`); it
    comes from the picture alone.
    """

    inputs: list[Tensor]
    keys: list[Tensor]
    values: list[Tensor]
    rotary: list[tuple[Tensor, Tensor]]
    added: dict[int, Tensor]
    logits: Tensor

    @property
    def length(self) -> int:
        return self.inputs[0].shape[1]


@dataclass
class Branches:
    """Stands in for transformers' cache: given keys and values of earlier positions, then each
    variant's own.

    Attributes
    ----------
    keys, values : list of Tensor, (1 or n_variants, n_heads, P, d_head)
        Per layer, of the positions before the recomputed ones.
    keep : bool
        Whether the variants' own are kept, for tokens to come.
    """

    keys: list[Tensor]
    values: list[Tensor]
    keep: bool = False
    own: dict[int, tuple[Tensor, Tensor]] = field(default_factory=dict)

    def get_seq_length(self, layer: int = 0) -> int:
        return self.keys[layer].shape[2] + (self.own[layer][0].shape[2] if layer in self.own else 0)

    def update(
        self, keys: Tensor, values: Tensor, layer: int, *args, **kwargs
    ) -> tuple[Tensor, Tensor]:
        if layer in self.own:
            keys, values = (torch.cat(pair, dim=2) for pair in zip(self.own[layer], (keys, values)))
        if self.keep:
            self.own[layer] = keys, values
        earlier = self.keys[layer], self.values[layer]
        return tuple(
            torch.cat([rows.expand(len(new), -1, -1, -1), new], dim=2)
            for rows, new in zip(earlier, (keys, values))
        )

    def complete(self, layer: int, clean: Clean, first_row: int, variants: int) -> None:
        """Give the variants that have not begun by this layer the clean rows for their own."""
        rows = (clean.keys[layer][:, :, first_row:], clean.values[layer][:, :, first_row:])
        have = self.own.get(layer, tuple(row[:0] for row in rows))
        self.own[layer] = tuple(
            torch.cat([own, row.expand(variants - len(own), -1, -1, -1)])
            for own, row in zip(have, rows)
        )


@torch.no_grad()
def clean_pass(subject, prompt, new_tokens: int = 0) -> Clean:
    """Run the prompt once and keep what variants start from.

    With `new_tokens`, the rotary positions of as many tokens after the prompt are kept too: the
    model is asked for them, so that no architecture's way of numbering positions is repeated here.
    """
    inputs: list[Tensor] = []
    outputs: list[Tensor] = []
    rotary: list[tuple[Tensor, Tensor]] = []

    def keep(module, args, kwargs):
        inputs.append(args[0] if args else kwargs["hidden_states"])
        rotary.append(kwargs["position_embeddings"])

    def keep_output(module, args, out):
        outputs.append(out[0] if isinstance(out, tuple) else out)

    with (
        standing(subject, prompt),
        hooks(layer.register_forward_pre_hook(keep, with_kwargs=True) for layer in subject.layers),
        hooks(
            layer.register_forward_hook(keep_output)
            for layer in subject.layers
            if subject.image_term
        ),
    ):
        out = subject.model(**prompt.inputs, use_cache=True, logits_to_keep=1)
        cached = list(out.past_key_values.layers)
        keys = [layer.keys for layer in cached]
        values = [layer.values for layer in cached]
        if new_tokens:
            ids = torch.zeros(1, new_tokens, dtype=torch.long, device=subject.device)
            subject.model(input_ids=ids, past_key_values=out.past_key_values, logits_to_keep=1)
    layers = subject.n_layers
    if new_tokens:
        rotary = [_joined(*both) for both in zip(rotary[:layers], rotary[layers:])]
    between = {
        number: inputs[number] - before for number, before in enumerate(outputs[: layers - 1], 1)
    }
    added = {number: term for number, term in between.items() if term.any()}
    return Clean(inputs[:layers], keys, values, rotary, added, out.logits[0, -1:])


def _joined(one: tuple[Tensor, Tensor], more: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
    """Rotary positions, and those of the tokens behind."""
    return tuple(torch.cat(pair, dim=-2) for pair in zip(one, more))
