"""The residual decomposition (Eqs. 1, 3 and 4) on the three architectures."""

import pytest
import torch

import tiny
from arbitration import trace
from arbitration.equations.attribution import head_writes


@pytest.fixture(params=tiny.ARCHITECTURES)
def traced(request):
    subject = tiny.subject(request.param)
    prompt = subject.encode(tiny.samples()[0], "vision")
    return subject, prompt, trace(subject, prompt)


def test_residual_stream_is_the_sum_of_its_parts(traced):
    _, _, t = traced
    torch.testing.assert_close(
        t.residual[-1], t.residual[0] + t.attention.sum(0) + t.mlp.sum(0), rtol=0, atol=1e-11
    )


def test_residual_stream_is_transformers_own(traced):
    subject, prompt, t = traced
    states = subject.model(**prompt.inputs, output_hidden_states=True).hidden_states
    for layer in range(subject.n_layers):  # transformers' last entry is normed, so it is left out
        torch.testing.assert_close(t.residual[layer], states[layer][0], rtol=0, atol=0)
    torch.testing.assert_close(subject.norm(t.residual[-1]), states[-1][0], rtol=0, atol=0)


def test_heads_sum_to_the_attention_output(traced):
    subject, _, t = traced
    for layer in range(subject.n_layers):
        projection = subject.output_projection(layer)
        total = head_writes(t.heads[layer], projection.weight).sum(0)
        total = total if projection.bias is None else total + projection.bias
        torch.testing.assert_close(total, t.attention[layer], rtol=0, atol=1e-12)


def test_prediction_is_the_unembedding_of_the_normed_stream(traced):
    subject, _, t = traced
    logits = subject.norm(t.residual[-1, -1]) @ subject.unembedding.T
    torch.testing.assert_close(t.log_probabilities, logits.log_softmax(-1), rtol=0, atol=1e-12)


def test_an_architecture_with_a_further_term_is_refused():
    subject = tiny.subject("llava")
    prompt = subject.encode(tiny.samples()[0], "vision")

    def doubled(module, args, output):
        return output * 1.01

    handle = subject.layers[2].register_forward_hook(doubled)
    try:
        with pytest.raises(ValueError, match=r"layers \[2\]"):
            trace(subject, prompt)
    finally:
        handle.remove()


def test_trace_leaves_no_hook():
    subject = tiny.subject("llava")

    def count():  # transformers keeps hooks of its own
        return sum(
            len(m._forward_hooks) + len(m._forward_pre_hooks) for m in subject.model.modules()
        )

    before = count()
    trace(subject, subject.encode(tiny.samples()[0], "vision"))
    assert count() == before
