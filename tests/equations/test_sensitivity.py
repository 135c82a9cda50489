"""The derivative of the decision with respect to every head's gain, against differences, by hand,
and what it leaves behind.
"""

from types import SimpleNamespace

import pytest
import torch
from torch import nn

import tiny
from arbitration import Head, head_sensitivity, scale_heads, trace
from arbitration.equations.attribution import head_writes
from arbitration.equations.heads import ranking, share_count, shared_heads
from arbitration.equations.hooks import hooks
from arbitration.equations.sensitivity import frozen, gain_gradients
from arbitration.models import altered

#: A power of two: factors of heads are float32 numbers, and 1 ± this is one.
STEP = 2.0**-16
every_architecture = pytest.mark.parametrize("architecture", tiny.ARCHITECTURES)


@pytest.fixture
def exact_norms(monkeypatch):
    """RMS norms that stay in float64: transformers' own go through float32, whose rounding drowns a
    small difference.
    """

    def forward(self, hidden):
        return (
            self.weight
            * hidden
            * torch.rsqrt(hidden.pow(2).mean(-1, keepdim=True) + self.variance_epsilon)
        )

    for architecture in tiny.ARCHITECTURES:
        monkeypatch.setattr(type(tiny.subject(architecture).norm), "forward", forward)


def case(architecture, following="vision", index=0):
    subject = tiny.subject(architecture)
    return subject, subject.encode(tiny.samples()[index], following)


def gap(subject, prompt):
    """ln P(y_p) − ln P(y_c), written again."""
    with torch.no_grad():
        log = subject.model(**prompt.inputs, use_cache=False).logits[0, -1].log_softmax(-1)
    return (log[prompt.y_p] - log[prompt.y_c]).item()


@every_architecture
@pytest.mark.parametrize("group", ["instruction", "last"])
def test_it_is_what_a_small_change_of_gain_does(architecture, group, exact_norms):
    subject, prompt = case(architecture)
    scores = gain_gradients(subject, [prompt], positions=group)[0]
    assert scores.shape == (subject.n_layers, subject.n_heads) and scores.dtype == torch.float64
    for layer in range(subject.n_layers):
        for index in (0, 2, 5):
            sides = []
            for factor in (1 + STEP, 1 - STEP):
                with scale_heads(
                    subject, [Head(layer, index)], factor, prompt.groups.positions(group)
                ):
                    sides.append(gap(subject, prompt))
            assert (sides[0] - sides[1]) / (2 * STEP) == pytest.approx(
                scores[layer, index].item(), rel=1e-5, abs=1e-7
            )
    assert scores.abs().max() > 0.1


@every_architecture
def test_any_metric_at_any_positions(architecture, exact_norms):
    subject, prompt = case(architecture, "text")
    places = lambda prompt: torch.cat([prompt.groups.context[:3], prompt.groups.last])
    entropy = lambda logits, prompt: -(logits.softmax(-1) * logits.log_softmax(-1)).sum()
    scores = gain_gradients(subject, [prompt], entropy, places)[0]
    for layer, index in [(0, 1), (3, 4), (4, 0)]:
        sides = []
        for factor in (1 + STEP, 1 - STEP):
            with (
                torch.no_grad(),
                scale_heads(subject, [Head(layer, index)], factor, places(prompt)),
            ):
                sides.append(entropy(subject.model(**prompt.inputs).logits[0, -1], prompt).item())
        assert (sides[0] - sides[1]) / (2 * STEP) == pytest.approx(
            scores[layer, index].item(), rel=1e-5, abs=1e-7
        )
    assert not torch.allclose(scores, gain_gradients(subject, [prompt])[0])


@every_architecture
def test_a_batch_is_each_prompt_alone(architecture, exact_norms):
    subject = tiny.subject(architecture)
    several = [
        subject.encode(sample, way) for sample in tiny.samples() for way in ("text", "vision")
    ]
    assert len({prompt.groups.length for prompt in several}) > 1, (
        "shorter prompts must be lengthened"
    )
    together = gain_gradients(subject, several, batch=5)
    alone = torch.cat([gain_gradients(subject, [prompt]) for prompt in several])
    torch.testing.assert_close(together, alone, rtol=1e-8, atol=1e-9)


def test_mixed_embeddings_go_beside_token_ids():
    subject, sample = tiny.subject("llava"), tiny.samples()[0]
    several = [altered.weaken(subject, sample, "text", 0.5), subject.encode(sample, "text")]
    together = gain_gradients(subject, several)
    alone = [gain_gradients(subject, [prompt])[0] for prompt in several]
    torch.testing.assert_close(together, torch.stack(alone), rtol=0, atol=0)
    assert not torch.allclose(*alone)


@every_architecture
def test_at_the_end_it_is_what_the_heads_write(architecture, exact_norms):
    """With neither MLP nor norm after it, the last layer is linear in its heads: each counts (E_p −
    E_c) · what it writes.
    """
    subject, prompt = case(architecture)
    final, last = subject.n_layers - 1, prompt.groups.last
    silent = [
        subject.mlp(final).register_forward_hook(lambda module, args, out: torch.zeros_like(out)),
        subject.norm.register_forward_hook(lambda module, args, out: args[0]),
    ]
    with hooks(silent):
        scores = gain_gradients(subject, [prompt], positions="last")[0, final]
        activations = trace(subject, prompt)
    difference = (subject.unembedding[prompt.y_p] - subject.unembedding[prompt.y_c]).detach()
    writes = head_writes(
        activations.heads[final, last], subject.output_projection(final).weight.detach()
    )
    torch.testing.assert_close(scores, writes[:, 0] @ difference, rtol=1e-9, atol=1e-9)
    bias = subject.output_projection(final).bias
    written = activations.attention[final, last[0]] - (0 if bias is None else bias.detach())
    assert scores.sum().item() == pytest.approx((written @ difference).item(), rel=1e-9)


class Adder(nn.Module):
    """Two heads of width one speak at three positions; the logits are what W_O makes of them,
    summed over positions.
    """

    dtype, device = torch.float64, torch.device("cpu")

    def __init__(self):
        super().__init__()
        self.o_proj = nn.Linear(2, 2, bias=False, dtype=self.dtype)
        self.o_proj.weight.data = torch.tensor([[2.0, 0.0], [0.0, -1.0]], dtype=self.dtype)

    def forward(self, heads, **options):
        return SimpleNamespace(logits=self.o_proj(heads).sum(1, keepdim=True))


def test_by_hand():
    model = Adder()
    subject = SimpleNamespace(
        name="adder",
        model=model,
        device=model.device,
        n_layers=1,
        n_heads=2,
        output_projection=lambda layer: model.o_proj,
        closed=(),
    )
    spoken = torch.tensor([[[3.0, 4.0], [5.0, 6.0], [7.0, 8.0]]], dtype=model.dtype)
    groups = SimpleNamespace(length=3, positions={"instruction": torch.tensor([0, 2])}.__getitem__)
    prompt = SimpleNamespace(inputs={"heads": spoken}, groups=groups, y_p=0, y_c=1)
    # Logit 0 is twice head 0, logit 1 minus head 1: each unit of head 0 counts 2, of head 1 one, at
    # positions 0 and 2.
    assert gain_gradients(subject, [prompt], batch=1).tolist() == [[[2.0 * (3 + 7), 1.0 * (4 + 8)]]]


@every_architecture
def test_nothing_is_left_behind(architecture):
    subject, prompt = case(architecture)
    parameters = list(subject.model.parameters())
    before = [parameter.requires_grad for parameter in parameters]
    parameters[0].requires_grad_(False)
    clean = gap(subject, prompt)

    def breaks(logits, prompt):
        assert not any(parameter.requires_grad for parameter in parameters), (
            "the derivative needs no parameter"
        )
        raise KeyError

    try:
        with pytest.raises(KeyError):
            gain_gradients(subject, [prompt], breaks)
        with torch.no_grad():
            gain_gradients(subject, [prompt])
        assert [parameter.requires_grad for parameter in parameters] == [False, *before[1:]]
        assert all(parameter.grad is None for parameter in parameters)
        assert not any(
            subject.output_projection(layer)._forward_pre_hooks for layer in range(subject.n_layers)
        )
        assert gap(subject, prompt) == clean
    finally:
        parameters[0].requires_grad_(before[0])


def test_frozen_restores_each_flag():
    model = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2))
    model[0].bias.requires_grad_(False)
    with pytest.raises(KeyError), frozen(model):
        assert not any(parameter.requires_grad for parameter in model.parameters())
        raise KeyError
    assert [parameter.requires_grad for parameter in model.parameters()] == [
        True,
        False,
        True,
        True,
    ]


def test_head_sets_take_the_table():
    subject = tiny.subject("qwen2.5-vl")
    several = [subject.encode(sample, "text") for sample in tiny.samples()]
    table = head_sensitivity(subject, several)
    assert len(table) == len(several) * subject.n_layers * subject.n_heads
    mean = gain_gradients(subject, several).mean(0)
    ranked = ranking(table, by="sensitivity")
    assert len(ranked) == mean.numel() and sorted(ranked) == [
        Head(*divmod(i, subject.n_heads)) for i in range(mean.numel())
    ]
    assert [mean[head.layer, head.index].item() for head in ranked] == sorted(
        mean.flatten().tolist(), reverse=True
    )
    top = ranked[: share_count(subject.total_heads, 0.1)]
    assert shared_heads(top, ranked) == sorted(top)
