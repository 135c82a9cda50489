"""What is done with activations after a pass is done in float32 at least, also where the model
computes in bfloat16.

The reference is the same arithmetic in float64 on the same activations and weights, written out
here.
"""

import copy
from types import SimpleNamespace

import pytest
import torch
from torch import nn

import tiny
from arbitration import Pathway, dataset, head_attribution, knockout_sweep, load, trace
from arbitration.checks import suite
from arbitration.dataset import entities
from arbitration.engine import exactness, plan, resume
from arbitration.engine.plain import blocked_plain, next_token_logits
from arbitration.equations import lens
from arbitration.equations.heads import times
from arbitration.equations.sensitivity import gain_gradients
from arbitration.equations.trace import precision, widened
from reproduction.cohorts import strangers
from reproduction.measures import components
from reproduction.measures.beliefs import measure_beliefs

NARROW = torch.bfloat16
every_architecture = pytest.mark.parametrize("architecture", tiny.ARCHITECTURES)


def tiny_case(architecture, following="vision"):
    subject = tiny.subject(architecture, dtype=NARROW, sharpness=2.0)
    return subject, subject.encode(tiny.samples()[0], following)


def normed(subject, hidden):
    """An RMS norm in float64."""
    exact = hidden * torch.rsqrt(
        hidden.pow(2).mean(-1, keepdim=True) + subject.norm.variance_epsilon
    )
    return exact * subject.norm.weight.detach().double()


def signal(subject, sample, modality, hidden, norm=False):
    """Φ_m with its defaults in float64: the largest logit of an entity at any of the positions."""
    ids = dict(
        zip(("vision", "text"), entities.load("scenes").sample_ids(sample, subject.tokenizer))
    )[modality]
    rows = subject.unembedding.detach()[ids].double()
    return ((normed(subject, hidden) if norm else hidden) @ rows.T).amax((-1, -2))


def margins(subject, prompt, norm=False):
    """Eq. 12 in float64 on the model's own activations, (L, n_heads)."""
    t, place = trace(subject, prompt), prompt.groups.instruction
    other = {"vision": "text", "text": "vision"}[prompt.following]

    def gap(hidden):
        return signal(subject, prompt.sample, prompt.following, hidden, norm) - signal(
            subject, prompt.sample, other, hidden, norm
        )

    found = torch.empty(subject.n_layers, subject.n_heads, dtype=torch.float64)
    for layer in range(subject.n_layers):
        before, weight = (
            t.residual[layer, place].double(),
            subject.output_projection(layer).weight.detach().double(),
        )
        width = weight.shape[1] // subject.n_heads
        for head in range(subject.n_heads):
            written = (
                t.heads[layer, place, head].double()
                @ weight[:, head * width : (head + 1) * width].T
            )
            found[layer, head] = gap(before + written) - gap(before)
    return found.flatten()


def assert_near(found, exact, share=1e-4, rounding=0.0):
    """Equal up to a ten-thousandth of what is measured, small values included; and up to the
    rounding of what it is a difference of.
    """
    exact = torch.as_tensor(exact)
    off = (torch.tensor(found).double() - exact).abs()
    assert (off <= share * (exact.abs() + exact.abs().median()) + rounding).all(), off.max()


def round_gap(subject, prompt):
    """By how much Eq. 12 may be off in float32: a step of it for each of the four signals that it
    adds and subtracts, at the largest signal, of some hundred logits. Which of them round which way
    depends on the processor.
    """
    t, place = trace(subject, prompt), prompt.groups.instruction
    residual = t.residual[:, place].double()
    largest = max(
        signal(subject, prompt.sample, way, residual, False).abs().max()
        for way in dataset.MODALITIES
    )
    return 4 * torch.finfo(torch.float32).eps * largest


@pytest.mark.parametrize(
    "dtype, wide",
    [
        (torch.bfloat16, torch.float32),
        (torch.float16, torch.float32),
        (torch.float32, torch.float32),
        (torch.float64, torch.float64),
    ],
)
def test_the_dtype_of_the_arithmetic(dtype, wide):
    values = torch.ones(2, dtype=dtype)
    assert precision(dtype) == widened(values).dtype == wide
    assert (widened(values) is values) == (dtype == wide), (
        "nothing is changed where nothing is to be"
    )


@every_architecture
@pytest.mark.parametrize("norm", [False, True])
def test_head_attribution(architecture, norm):
    subject, prompt = tiny_case(architecture)
    assert_near(
        head_attribution(subject, [prompt], norm=norm)["margin"].to_numpy(),
        margins(subject, prompt, norm),
    )


def test_no_head_of_a_trained_model_in_bfloat16_is_lost_to_rounding():
    subject = load("smol-relay", dtype=NARROW)
    for direction in dataset.MODALITIES:
        prompt = subject.encode(tiny.samples(1)[0], direction)
        found = head_attribution(subject, [prompt])["margin"].to_numpy()
        assert_near(found, margins(subject, prompt), rounding=round_gap(subject, prompt))
        assert (found == 0).sum() == 0


@every_architecture
@pytest.mark.parametrize("norm", [False, True])
def test_signals_and_increments(architecture, norm):
    subject, prompt = tiny_case(architecture, "text")
    samples, dictionary = dataset.load("scenes", "held")[:16], entities.load("scenes")
    stranger = strangers.borrow_answers(dictionary, samples, samples, 0)[prompt.sample.id]
    beliefs = measure_beliefs(subject, prompt, dictionary, stranger, norm=norm)
    parts = components.measure_components(subject, prompt, dictionary, stranger, norm=norm)
    t, place = trace(subject, prompt), prompt.groups.instruction
    residual, attention, mlp = (
        part[:, place].double() for part in (t.residual, t.attention, t.mlp)
    )
    for kind, sample in (("own", prompt.sample), ("shuffled", stranger)):

        def phi(hidden, modality):
            return signal(subject, sample, modality, hidden, norm)

        at = beliefs[(beliefs["dictionary"] == kind) & (beliefs["positions"] == "instruction")]
        assert_near(at["phi_f"].to_numpy(), phi(residual, "text"))
        assert_near(at["phi_c"].to_numpy(), phi(residual, "vision"))
        own, steps = parts[parts["dictionary"] == kind], {}
        for modality in dataset.MODALITIES:
            middle = phi(residual[:-1] + attention, modality)
            steps[modality] = (
                middle - phi(residual[:-1], modality),
                phi(residual[:-1] + attention + mlp, modality) - middle,
            )
        for number, part in enumerate(("attention", "mlp")):
            assert_near(own[f"{part}_signal"].to_numpy(), steps["text"][number])
            assert_near(
                own[f"{part}_margin"].to_numpy(), steps["text"][number] - steps["vision"][number]
            )


@every_architecture
@pytest.mark.parametrize("dtype", [NARROW, torch.float32, torch.float64])
def test_the_prediction_s_logarithms(architecture, dtype):
    subject = tiny.subject(architecture, dtype=dtype)
    prompt = subject.encode(tiny.samples()[0], "vision")
    with torch.no_grad():
        logits = subject.model(**prompt.inputs, use_cache=False, logits_to_keep=1).logits[0, -1]
    found = trace(subject, prompt).log_probabilities
    assert found.dtype == precision(dtype)
    torch.testing.assert_close(found, logits.to(found.dtype).log_softmax(-1), rtol=0, atol=0)


def test_any_final_norm_reads_a_wider_stream():
    """Some norms take their own dtype only."""
    for norm in (nn.LayerNorm(8), nn.RMSNorm(8)):
        norm = norm.to(NARROW)
        nn.init.normal_(norm.weight)
        hidden = torch.randn(3, 8)
        expected = copy.deepcopy(norm).float()(hidden)
        torch.testing.assert_close(
            lens.final_norm(SimpleNamespace(norm=norm))(hidden), expected, rtol=0, atol=0
        )
        assert norm.weight.dtype == NARROW


def test_a_factor_is_what_was_asked_for():
    """1.1 is no number of bfloat16, which has 1.1015625 in its place."""
    heads = torch.randn(2, 3, 4 * 8).to(NARROW)
    factors = torch.full((2, 3, 4), 1.1)
    expected = (heads.double() * factors[0, 0, 0].double()).to(NARROW)
    assert torch.equal(times(heads, factors), expected)
    assert not torch.equal(expected, heads * factors[0, 0, 0].to(NARROW))


class Adder(nn.Module):
    """Two heads of width 32 speak at three positions; the logits are what W_O makes of them, summed
    over positions.
    """

    dtype, device = NARROW, torch.device("cpu")

    def __init__(self):
        super().__init__()
        self.o_proj = nn.Linear(64, 2, bias=False, dtype=self.dtype)

    def forward(self, heads, **options):
        return SimpleNamespace(logits=self.o_proj(heads).sum(1, keepdim=True))


def test_sensitivity_sums_products_that_are_not_rounded():
    torch.manual_seed(0)
    model, spoken = Adder(), torch.randn(1, 3, 64).to(NARROW)
    subject = SimpleNamespace(
        name="adder",
        model=model,
        device=model.device,
        n_layers=1,
        n_heads=2,
        output_projection=lambda layer: model.o_proj,
        closed=(),
    )
    groups = SimpleNamespace(length=3, positions={"instruction": torch.tensor([0, 2])}.__getitem__)
    prompt = SimpleNamespace(inputs={"heads": spoken}, groups=groups, y_p=0, y_c=1)
    # What backward passes hand on is rounded, so the difference of W_O's rows is; the products with
    # the heads' outputs are not.
    difference = model.o_proj.weight.detach().double().diff(dim=0).neg().to(NARROW).double()
    expected = (spoken[0, [0, 2]].double() * difference).unflatten(-1, (2, 32)).sum((0, 2))
    torch.testing.assert_close(
        gain_gradients(subject, [prompt], batch=1)[0, 0], expected, rtol=1e-5, atol=0
    )


# What is rounding between the engine and the plain way.

INTO_LAST = [Pathway("instruction", "last")]


def sweep(monkeypatch, planted, allowed=None):
    """A sweep in bfloat16 by an engine that closes nothing if `planted`, and what plain passes are
    said to allow.
    """
    subject, prompt = tiny_case("llava")
    if planted:
        honest = plan.last_rows
        monkeypatch.setattr(
            resume,
            "last_rows",
            lambda subject, prompts, pathways, numbered: honest(
                subject, prompts, pathways, [(n, range(w.start, w.start)) for n, w in numbered]
            ),
        )
    if allowed is not None:
        monkeypatch.setattr(exactness, "_allowed", lambda ways, step: allowed)
    return knockout_sweep(subject, [prompt], INTO_LAST, engine="resume", progress=False)


def test_what_plain_passes_differ_by_is_no_reason_to_stop(monkeypatch, capsys):
    sweep(monkeypatch, planted=False)
    assert "nats" not in capsys.readouterr().out
    subject, prompt = tiny_case("llava")
    windows = [range(layer, layer + 1) for layer in range(5)]
    plain = blocked_plain(subject, prompt, *INTO_LAST, windows).log_probabilities
    monkeypatch.setattr(
        exactness, "_allowed", lambda ways, step: 0.0
    )  # as if plain passes agreed to the bit
    exactness.check_against_plain(subject, prompt, *INTO_LAST, windows, plain)
    assert capsys.readouterr().out == ""
    exactness.check_against_plain(subject, prompt, *INTO_LAST, windows, plain + 0.02)
    said = capsys.readouterr().out
    assert "by 0.02 nats" in said and "from the same layers in a finer dtype the engine is" in said
    with pytest.raises(RuntimeError, match="they disagree"):
        exactness.check_against_plain(subject, prompt, *INTO_LAST, windows, plain + 5)


@pytest.mark.parametrize("allowed", [None, -1.0])
def test_a_mistake_in_bfloat16_stops_the_run(monkeypatch, allowed):
    with pytest.raises(RuntimeError, match="finer dtype the engine is .* they disagree"):
        sweep(monkeypatch, planted=True, allowed=allowed)


def test_a_mistake_stops_the_run_where_there_is_no_room_for_a_finer_dtype(monkeypatch):
    def scarce(subject):
        raise torch.cuda.OutOfMemoryError

    monkeypatch.setattr(exactness, "in_finer_dtype", scarce)
    with pytest.raises(RuntimeError, match=r"is rounding in torch.bfloat16\): they disagree"):
        sweep(monkeypatch, planted=True)


@pytest.mark.parametrize("dtype, finer", [(NARROW, torch.float32), (torch.float32, torch.float64)])
@pytest.mark.parametrize("architecture", [*tiny.ARCHITECTURES, "qwen3-vl"])
def test_the_same_layers_in_a_finer_dtype(architecture, dtype, finer):
    subject = tiny.subject(architecture, dtype=dtype, sharpness=2.0)
    prompt = subject.encode(tiny.samples()[0], "text")
    before = {
        name: (weight.dtype, weight.data_ptr()) for name, weight in subject.model.named_parameters()
    }
    plain = next_token_logits(subject, prompt)
    with exactness.in_finer_dtype(subject):
        found = next_token_logits(subject, prompt)
    assert (
        found.dtype == finer
        and 0 < (found - plain).abs().max() < 100 * torch.finfo(dtype).eps * plain.abs().max()
    )
    # Rotary positions are computed in float32 anyway: without a picture, all is as in a float64
    # model.
    if dtype == torch.float32:
        words = SimpleNamespace(inputs={"input_ids": torch.arange(10, 40)[None]})
        with exactness.in_finer_dtype(subject):
            found = next_token_logits(subject, words)
        exact = next_token_logits(tiny.subject(architecture, sharpness=2.0), words)
        torch.testing.assert_close(found, exact, rtol=0, atol=1e-10)
        assert (next_token_logits(subject, words) - exact).abs().max() > 1e-7
    with pytest.raises(KeyError), exactness.in_finer_dtype(subject):
        subject.norm._forward_pre_hooks[next(iter(subject.norm._forward_pre_hooks))](
            subject.norm, (), {}
        )
        raise KeyError
    assert {
        name: (weight.dtype, weight.data_ptr()) for name, weight in subject.model.named_parameters()
    } == before
    assert torch.equal(next_token_logits(subject, prompt), plain)


@every_architecture
def test_rounding_is_measured_on_the_prompt(architecture):
    subject, prompt = tiny_case(architecture)
    bound, whole = (
        exactness.rounding(subject, prompt),
        exactness.rounding(subject, prompt, whole=True),
    )
    logits = next_token_logits(subject, prompt)
    assert torch.finfo(NARROW).eps * logits.abs().max() / 2 < bound <= whole
    assert subject.decoder.config._attn_implementation == "sdpa"
    assert exactness.rounding(tiny.subject(architecture), None) == 1e-10


@pytest.mark.exact
def test_a_trained_model_conforms_in_bfloat16(monkeypatch):
    subject = load("smol-relay", dtype=NARROW)
    prompt = subject.encode(tiny.samples()[0], "vision")
    assert [
        found for check in suite.CHECKS if (found := check(subject, prompt)).verdict != "passed"
    ] == []
    monkeypatch.setattr(plan, "_closed", lambda causal, edges, first_row: causal)
    assert "under closed pathways" in suite.engine(subject, prompt).why
