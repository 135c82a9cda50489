"""Sublayer increments (Eqs. 10 and 11): by hand, and telescoping on real activations."""

import pytest
import torch

import tiny
from arbitration import dataset, trace
from arbitration.dataset import entities
from arbitration.equations.attribution import margin, signals, sublayer_increments
from arbitration.equations.lens import phi
from reproduction.cohorts import strangers
from reproduction.measures import beliefs, components

ROWS = torch.tensor([[1.0, 0.0]])


def test_by_hand():
    before = torch.tensor([[1.0, 0.0], [2.0, 0.0]])
    attention = torch.tensor([[4.0, 0.0], [0.0, 0.0]])
    mlp = torch.tensor([[-3.0, 0.0], [1.0, 0.0]])
    # Φ goes 2 → 5 (first position) → 3 (second position): the maximum moves between positions.
    delta_attention, delta_mlp = sublayer_increments(
        before, attention, mlp, lambda hidden: phi(hidden, ROWS)
    )
    assert (delta_attention.item(), delta_mlp.item()) == (3.0, -2.0)


@pytest.mark.parametrize("architecture", tiny.ARCHITECTURES)
@pytest.mark.parametrize(
    "options", [{}, {"top_k": 3}, {"pooling": "mean"}, {"norm": True}], ids=str
)
def test_increments_telescope(architecture, options):
    subject = tiny.subject(architecture)
    prompt = subject.encode(tiny.samples()[0], "text")
    t = trace(subject, prompt)
    place = prompt.groups.instruction
    for metric in (
        margin(subject, prompt, entities.load("scenes"), **options),
        signals(subject, prompt, entities.load("scenes"), **options)[0],
    ):
        parts = sublayer_increments(
            t.residual[:-1, place], t.attention[:, place], t.mlp[:, place], metric
        )
        total = metric(t.residual[-1, place]) - metric(t.residual[0, place])
        torch.testing.assert_close(sum(parts).sum(), total, rtol=0, atol=1e-10)


def test_table_holds_the_equations():
    subject = tiny.subject("internvl")
    samples = dataset.load("scenes", "held")[:16]
    dictionary = entities.load("scenes")
    prompt = subject.encode(samples[3], "vision")
    stranger = strangers.borrow_answers(dictionary, samples, samples, 0)[samples[3].id]
    table = components.measure_components(subject, prompt, dictionary, stranger)
    own = table[table["dictionary"] == "own"].set_index("layer")
    steps = own["attention_signal"] + own["mlp_signal"]
    assert (own["signal_f"].diff() - steps).iloc[1:].abs().max() < 1e-10
    gap = own["signal_f"] - own["signal_c"]
    assert (gap.diff() - own["attention_margin"] - own["mlp_margin"]).iloc[1:].abs().max() < 1e-10
    other = table[table["dictionary"] == "shuffled"].set_index("layer")
    assert not (other["signal_f"] == own["signal_f"]).any()


def test_beliefs_table_is_phi_of_the_residual_stream():
    subject = tiny.subject("llava")
    samples = dataset.load("scenes", "held")[:16]
    dictionary = entities.load("scenes")
    prompt = subject.encode(samples[0], "text")
    table = beliefs.measure_beliefs(
        subject,
        prompt,
        dictionary,
        strangers.borrow_answers(dictionary, samples, samples, 0)[samples[0].id],
    )
    vision, text = dictionary.sample_ids(samples[0], subject.tokenizer)
    stream = subject.model(**prompt.inputs, output_hidden_states=True).hidden_states[3][0]
    for name, place in (("instruction", prompt.groups.instruction), ("last", [-1])):
        (row,) = table[
            (table["layer"] == 2) & (table["positions"] == name) & (table["dictionary"] == "own")
        ].to_dict("records")
        scores = stream[place] @ subject.unembedding.T
        assert row["phi_f"] == pytest.approx(scores[:, text].max().item()), name
        assert row["phi_c"] == pytest.approx(scores[:, vision].max().item()), name


def test_borrowed_answers_are_foreign():
    samples = dataset.load("scenes", "held")[:40]
    dictionary = entities.load("scenes")
    for sample in samples:
        stranger = strangers.borrow_answers(dictionary, samples, samples, 5)[sample.id]
        assert not {*sample.answers("text")} & {*stranger.answers("text")}
