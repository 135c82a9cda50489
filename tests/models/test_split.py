"""A model whose layers lie on two devices gives the numbers of one that lies on one (`split` stands
in for the second device).
"""

from contextlib import contextmanager

import pytest
import torch

import split
import tiny
from arbitration import Pathway, head_attribution, head_sensitivity, knockout_sweep, trace
from arbitration.engine import generation
from arbitration.equations import heads
from arbitration.models import memory

every_architecture = pytest.mark.parametrize(
    "architecture", [*tiny.ARCHITECTURES, "qwen3-vl"]
)  # the last adds to the stream on both devices
PATHWAYS = [
    Pathway("vision", "instruction"),
    Pathway("context", "last"),
    Pathway("instruction", "last"),
]


@pytest.fixture(autouse=True)
def imagined_memory(monkeypatch):
    """The imagined GPU can be asked for none."""
    monkeypatch.setattr(memory, "free", lambda device: 2**34)


@contextmanager
def spread(subject):
    """The last three of five layers elsewhere."""
    try:
        with split.split(subject, 2) as mode:
            yield mode
    finally:
        split.joined(subject)


def both(architecture, measure):
    """What is measured on one device and on two."""
    subject = tiny.subject(architecture)
    prompts = [
        subject.encode(tiny.samples()[0], "vision"),
        subject.encode(tiny.samples()[1], "text"),
    ]
    one = measure(subject, prompts)
    with spread(subject):
        return one, measure(subject, prompts)


@every_architecture
@pytest.mark.parametrize("engine", ["resume", "plain"])
def test_knockout(architecture, engine):
    one, two = both(
        architecture,
        lambda subject, prompts: knockout_sweep(
            subject, prompts, PATHWAYS, engine=engine, progress=False
        ),
    )
    assert (one["nssd"] - two["nssd"]).abs().max() < 1e-12 and one["nssd"].abs().max() > 0.1
    assert one["token_blocked"].equals(two["token_blocked"])


@every_architecture
def test_activations_come_to_the_first_device(architecture):
    one, two = both(
        architecture,
        lambda subject, prompts: [
            getattr(trace(subject, prompts[0]), part).numpy()
            for part in ("residual", "attention", "mlp", "heads", "log_probabilities")
        ],
    )
    assert max(abs(a - b).max() for a, b in zip(one, two)) < 1e-12


@every_architecture
def test_heads(architecture):
    def measure(subject, prompts):
        gains = torch.stack(
            [
                heads.gain_table(subject, [heads.Head(layer, 1) for layer in (0, 3)], factor)
                for factor in (0.0, 3.0)
            ]
        )
        place = prompts[0].groups.instruction
        return (
            head_attribution(subject, prompts, norm=True)["margin"],
            head_sensitivity(subject, prompts)["sensitivity"],
            generation.answers(subject, prompts[0], gains, place),
            generation.answers(subject, prompts[0], gains, place, engine="plain"),
        )

    one, two = both(architecture, measure)
    assert max((a - b).abs().max() for a, b in zip(one[:2], two[:2])) < 1e-12
    assert one[2:] == two[2:] and one[2] == one[3]


def test_the_second_device_refuses_what_was_not_moved():
    subject = tiny.subject("llava")
    prompt = subject.encode(tiny.samples()[0], "text")
    with spread(subject) as mode:
        logits = subject.model(**prompt.inputs, use_cache=False).logits
        assert (
            logits in mode.away
            and logits.device == split.THERE
            and logits.cpu().device == split.HERE
        )
        assert subject.device == split.HERE and subject.unembedding.device == split.THERE
        here = torch.ones(logits.shape[-1])
        for mistake in (
            lambda: logits + here,
            lambda: here[logits[0, 0] > 0],
            lambda: logits.detach().numpy(),
            lambda: torch.cat([logits[0, 0], here]),
        ):
            with pytest.raises(RuntimeError):
                mistake()
        assert (logits + here.to(logits.device)) in mode.away and logits[
            0, 0, torch.tensor([1])
        ] in mode.away
