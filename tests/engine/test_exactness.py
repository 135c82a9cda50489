"""The engine against full passes on the embedded models: every NSSD of samples drawn by seed.

The reference is written for this test: the decoder's inputs are captured once, and the whole
decoder runs over them for every variant, ten at a time, each with its own masks. It shares no code
with the engine but the edges to close.
"""

import pytest
import torch

from arbitration import STANDARD_PATHWAYS, LayerWindow, dataset, knockout_sweep, load
from arbitration.equations.hooks import hooks
from arbitration.equations.metrics import nssd
from arbitration.models import catalogue


def decoder_inputs(subject, prompt) -> dict:
    seen = {}
    with hooks(
        [
            subject.decoder.register_forward_pre_hook(
                lambda module, args, kwargs: seen.update(kwargs), with_kwargs=True
            )
        ]
    ):
        subject.model(**prompt.inputs, use_cache=False, logits_to_keep=1)
    return {"inputs_embeds": seen["inputs_embeds"], "position_ids": seen["position_ids"]}


def full_passes(subject, prompt, inputs, closed) -> torch.Tensor:
    """Log-probabilities of y_p and y_c, (n, 2), with each (pathway, layers) of `closed`."""
    length = prompt.groups.length
    causal = torch.ones(length, length, dtype=torch.bool).tril()
    if subject.name == "smol-masked":
        asked = prompt.groups.instruction.max() + 1
        for cue in (prompt.groups.vision, prompt.groups.context):
            causal[asked:, cue] = False
    masks = []
    for pathway, _ in closed:
        source, target = pathway.edges(prompt)
        mask = causal.clone()
        mask[target[:, None], source[None, :]] = False
        masks.append(mask)

    def close(module, args, kwargs):
        chosen = [
            mask if module.layer_idx in layers else causal
            for mask, (_, layers) in zip(masks, closed)
        ]
        return args, {**kwargs, "attention_mask": torch.stack(chosen)[:, None]}

    embeddings = inputs["inputs_embeds"].expand(len(closed), -1, -1)
    with (
        torch.no_grad(),
        hooks(
            subject.attention(layer).register_forward_pre_hook(close, with_kwargs=True)
            for layer in range(subject.n_layers)
        ),
    ):
        hidden = subject.decoder(
            **inputs | {"inputs_embeds": embeddings}, use_cache=False
        ).last_hidden_state[:, -1]
    return (hidden @ subject.unembedding.T).log_softmax(-1)[:, [prompt.y_p, prompt.y_c]]


def largest_difference(name: str, n: int) -> tuple[float, float]:
    """Of NSSD and log-probabilities, over all layers, standard pathways and both instructions of
    `n` samples; and the largest NSSD.
    """
    subject = load(name)
    samples = dataset.shuffled(dataset.load("scenes", "held"), seed=5)[:n]
    prompts = [
        subject.encode(sample, following) for following in dataset.MODALITIES for sample in samples
    ]
    table = knockout_sweep(subject, prompts, progress=False)
    closed = [
        (pathway, LayerWindow(layer).layers(subject.n_layers))
        for pathway in STANDARD_PATHWAYS
        for layer in range(subject.n_layers)
    ]
    off, size = 0.0, 0.0
    for number, prompt in enumerate(prompts):
        own = table.iloc[number * len(closed) : (number + 1) * len(closed)]
        inputs = decoder_inputs(subject, prompt)
        [clean] = full_passes(subject, prompt, inputs, [(STANDARD_PATHWAYS[0], range(0))])
        blocked = torch.cat(
            [
                full_passes(subject, prompt, inputs, closed[start : start + 10])
                for start in range(0, len(closed), 10)
            ]
        )
        expected = nssd(clean[0], clean[1], blocked[:, 0], blocked[:, 1])
        size = max(size, expected.abs().max().item())
        for column, values in (
            ("nssd", expected),
            ("logp_p_blocked", blocked[:, 0]),
            ("logp_c_blocked", blocked[:, 1]),
        ):
            off = max(off, (torch.tensor(own[column].to_numpy()) - values).abs().max().item())
    return off, size


#: Samples of each direction; the mask alone is new in the last, whose weights are the second's.
FEW = {"smol": 2, "smol-relay": 2, "smol-masked": 1}


@pytest.mark.parametrize(
    "name, n",
    [pytest.param(name, FEW[name], marks=pytest.mark.exact) for name in catalogue.EMBEDDED]
    + [pytest.param(name, 64, marks=pytest.mark.slow) for name in catalogue.EMBEDDED],
)
def test_every_nssd_of_n_samples_per_direction(name, n):
    off, size = largest_difference(name, n)
    assert off < 1e-4
    assert size > 1
