"""Head attribution (Eq. 12), head sets, blocking and amplification (§4.2.2)."""

import pytest
import torch

import tiny
from arbitration import Head, Pathway, head_attribution, knockout, scale_heads, trace
from arbitration.dataset import entities
from arbitration.engine import generation, plan, resume
from arbitration.engine.clean import clean_pass
from arbitration.engine.plain import next_token_logits
from arbitration.equations import attribution, heads
from arbitration.equations.attribution import head_increments
from arbitration.equations.hooks import hooks
from arbitration.equations.lens import phi
from reproduction import measures
from reproduction.measures.head_sets import Case

every_architecture = pytest.mark.parametrize("architecture", tiny.ARCHITECTURES)


def case(architecture, following="vision"):
    subject = tiny.subject(architecture)
    return subject, subject.encode(tiny.samples()[0], following)


def test_by_hand():
    """One position, two heads of width one; W_O sends head 0 to the first dimension ×2 and head 1
    to the second ×−1.
    """
    before = torch.tensor([[1.0, 1.0]])
    outputs = torch.tensor([[[3.0], [4.0]]])
    output_weight = torch.tensor([[2.0, 0.0], [0.0, -1.0]])
    rows = torch.eye(2)
    gap = lambda hidden: phi(hidden, rows[:1]) - phi(hidden, rows[1:])
    # ΔS before: 0. With head 0: 7 − 1 = 6. With head 1: 1 − (−3) = 4.
    assert head_increments(before, outputs, output_weight, gap).tolist() == [6.0, 4.0]


@every_architecture
@pytest.mark.parametrize("options", [{}, {"top_k": 2, "pooling": "mean"}, {"norm": True}], ids=str)
def test_attribution_is_each_head_alone(architecture, options):
    """Against a plain loop: zero every other head before W_O, and read the metric off the input
    plus the output.
    """
    subject, prompt = case(architecture)
    dictionary = entities.load("scenes")
    scores = head_attribution(subject, [prompt], dictionary, **options).set_index(
        ["layer", "head"]
    )["margin"]
    metric, t, place = (
        attribution.margin(subject, prompt, dictionary, **options),
        trace(subject, prompt),
        prompt.groups.instruction,
    )
    for layer, head in [(0, 0), (2, 5), (4, 3)]:
        projection = subject.output_projection(layer)
        alone = torch.zeros_like(t.heads[layer])
        alone[:, head] = t.heads[layer][:, head]
        written = torch.nn.functional.linear(alone.flatten(1), projection.weight)
        expected = metric((t.residual[layer] + written)[place]) - metric(t.residual[layer][place])
        assert scores[layer, head] == pytest.approx(expected.item(), abs=1e-10)
    assert len(scores) == subject.n_layers * subject.n_heads


@every_architecture
def test_blocking_is_zeroing_by_hand(architecture):
    subject, prompt = case(architecture)
    chosen, place = [Head(1, 2), Head(1, 4), Head(3, 0)], prompt.groups.instruction
    with scale_heads(subject, chosen, 0.0, place):
        blocked = next_token_logits(subject, prompt)

    def zero(layer):
        def hook(module, args):
            value = args[0].clone()
            width = value.shape[-1] // subject.n_heads
            for head in chosen:
                if head.layer == layer:
                    value[:, place, head.index * width : (head.index + 1) * width] = 0
            return (value,)

        return hook

    with hooks(
        subject.output_projection(layer).register_forward_pre_hook(zero(layer))
        for layer in range(5)
    ):
        reference = next_token_logits(subject, prompt)
    assert torch.equal(blocked, reference)
    assert not torch.allclose(blocked, next_token_logits(subject, prompt))


@every_architecture
def test_factor_one_is_the_identity_and_nothing_is_left_behind(architecture):
    subject, prompt = case(architecture)
    clean = next_token_logits(subject, prompt)
    with scale_heads(subject, [Head(0, 0)], 1.0):
        assert torch.equal(clean, next_token_logits(subject, prompt))
    with pytest.raises(KeyError), scale_heads(subject, [Head(0, 0)], 0.0):
        raise KeyError
    assert torch.equal(clean, next_token_logits(subject, prompt))


@every_architecture
def test_answers_of_many_settings_are_each_setting_alone(architecture):
    """Resumed side by side, generated side by side with hooks, and generated one by one."""
    subject, prompt = case(architecture)
    settings = [
        ([], 1.0),
        ([Head(2, 1)], 0.0),
        ([Head(0, 3), Head(4, 4)], 3.0),
        ([Head(4, 0)], -2.0),
        ([Head(layer, index) for layer in range(5) for index in range(6)], 0.0),
    ]
    gains = torch.stack([heads.gain_table(subject, chosen, factor) for chosen, factor in settings])
    for positions in (
        prompt.groups.instruction,
        prompt.groups.last,
        torch.cat([prompt.groups.instruction, prompt.groups.last]),
    ):
        resumed = generation.answers(subject, prompt, gains, positions)
        batched = generation.answers(subject, prompt, gains, positions, engine="plain")
        alone = [
            generation.answers(subject, prompt, one[None], positions, engine="plain")[0]
            for one in gains
        ]
        assert resumed == batched == alone
        assert resumed[0] == generation.answers(subject, prompt)[0]
        assert len(set(resumed)) > 2


@torch.no_grad()
def resumed(subject, variant):
    [pack] = plan.packs(subject, [variant], plan.default_workspace(subject))
    logits, _ = resume.suffix_pass(subject, clean_pass(subject, variant.prompt), pack)
    return logits[0].log_softmax(-1)


@every_architecture
def test_resumed_heads_give_the_plain_way_s_probabilities(architecture):
    subject, prompt = case(architecture)
    chosen, place = [Head(1, 2), Head(3, 5)], prompt.groups.instruction
    for factor in (0.0, 2.5):
        with scale_heads(subject, chosen, factor, place):
            plain = next_token_logits(subject, prompt)[0].log_softmax(-1)
        variant = plan.Variant(
            prompt, gains=heads.gain_table(subject, chosen, factor), positions=place
        )
        assert (resumed(subject, variant) - plain).abs().max() < 1e-12


@every_architecture
def test_knockout_and_heads_together_resume_exactly(architecture):
    subject, prompt = case(architecture)
    chosen, place, pathway = (
        [Head(1, 2), Head(3, 5)],
        prompt.groups.instruction,
        Pathway("context", "instruction"),
    )
    with (
        scale_heads(subject, chosen, 0.0, place),
        knockout(subject, prompt, [pathway], range(2, 4)),
    ):
        plain = next_token_logits(subject, prompt)[0].log_softmax(-1)
    edges = ((*pathway.edges(prompt), False),)
    variant = plan.Variant(
        prompt, edges, range(2, 4), heads.gain_table(subject, chosen, 0.0), place
    )
    assert (resumed(subject, variant) - plain).abs().max() < 1e-12


@every_architecture
def test_greedy_under_knockout_is_generate_under_knockout(architecture):
    subject, prompt = case(architecture)
    pathway = Pathway("text", "last")
    variants = plan.closing(prompt, [pathway], [range(start, start + 2) for start in range(4)])
    expected = []
    for variant in variants:
        with knockout(subject, prompt, [pathway], variant.layers):
            expected.append(generation.answers(subject, prompt)[0])
    resumed = resume.greedy(subject, prompt, variants, prompt.room)
    assert subject.tokenizer.batch_decode(resumed, skip_special_tokens=True) == expected
    assert len(set(expected)) > 1


@every_architecture
def test_answers_without_paths_are_the_plain_way_s(architecture):
    subject, prompt = case(architecture)
    cases = [
        [],
        [Pathway("text", "last")],
        [Pathway("vision", "last"), Pathway("template", "last")],
        [Pathway("vision", "text")],
    ]
    both = [
        generation.answers_without(subject, prompt, cases, range(1, 4), engine=engine)
        for engine in ("auto", "plain")
    ]
    assert both[0] == both[1]
    assert both[0][0] == generation.answers(subject, prompt)[0] and len(set(both[0])) > 1


@every_architecture
def test_generated_tokens_are_scaled_only_when_asked(architecture):
    subject, prompt = case(architecture)
    calls = []

    def record(module, args):
        calls.append(args[0].clone())

    outputs = {}
    for generated in (False, True):
        calls.clear()
        with scale_heads(
            subject, [Head(2, 0)], 0.0, prompt.groups.instruction, generated=generated
        ):
            with hooks([subject.output_projection(2).register_forward_pre_hook(record)]):
                subject.model.generate(
                    **prompt.inputs, max_new_tokens=3, min_new_tokens=3, do_sample=False
                )
        width = calls[0].shape[-1] // subject.n_heads
        outputs[generated] = [call[..., :width] for call in calls]
    place = prompt.groups.instruction
    for prefill, *steps in outputs.values():
        assert (prefill[:, place] == 0).all() and (prefill[:, prompt.groups.vision] != 0).all()
        assert len(steps) == 2
    assert all((step != 0).all() for step in outputs[False][1:])
    assert all((step == 0).all() for step in outputs[True][1:])


def test_positions_may_differ_within_a_batch():
    subject, prompt = case("llava")
    inputs = {key: torch.cat([value] * 2) for key, value in prompt.inputs.items()}
    places = torch.tensor([[20], [40]])
    seen = []
    with scale_heads(subject, [Head(1, 1)], 0.0, places):
        with hooks(
            [
                subject.output_projection(1).register_forward_pre_hook(
                    lambda m, args: seen.append(args[0])
                )
            ]
        ):
            subject.model(**inputs, use_cache=False)
    zero = (seen[0].reshape(2, -1, subject.n_heads, 8)[:, :, 1] == 0).all(-1)
    assert zero.nonzero().tolist() == [[0, 20], [1, 40]]


def test_head_sets():
    subject = tiny.subject("llava")
    assert heads.share_count(subject.total_heads) == 1 and heads.share_count(270) == 13
    assert heads.share_count(subject.total_heads, 0.1) == 3
    assert (
        heads.random_heads(subject, 3, seed=0)
        == heads.random_heads(subject, 3, seed=0)
        != heads.random_heads(subject, 3, seed=1)
    )
    assert heads.shared_heads([Head(1, 2), Head(0, 1)], [Head(0, 1), Head(3, 3)]) == [Head(0, 1)]
    with pytest.raises(ValueError, match="9.0 does not exist"):
        heads.gain_table(subject, [Head(9, 0)], 0.0)
    with pytest.raises(ValueError, match="share"):
        heads.share_count(subject.total_heads, 1.5)


def test_ranking_is_by_the_mean_over_samples():
    import pandas as pd

    scores = pd.DataFrame(
        {"layer": [0, 0, 1, 1], "head": [0, 0, 2, 2], "margin": [1.0, 2.0, 5.0, -1.0]}
    )
    assert heads.ranking(scores) == [Head(1, 2), Head(0, 0)]


def test_ranking_keeps_the_sign_and_settles_ties_by_place():
    """A head that writes against the margin comes last, however much it writes."""
    import pandas as pd

    scores = pd.DataFrame(
        {"layer": [0, 0, 1, 1], "head": [0, 1, 0, 1], "margin": [-9.0, 1.0, 2.0, 1.0]}
    )
    assert heads.ranking(scores) == [Head(1, 0), Head(0, 1), Head(1, 1), Head(0, 0)]


def test_the_sets_of_fig_9_have_controls_from_the_same_layers_and_from_the_whole_model():
    subject = tiny.subject("llava")
    order = [Head(layer, index) for layer in (4, 1, 0, 2, 3) for index in range(6)]
    rankings = {"vision": order, "text": [*order[1:], order[0]]}
    found = list(
        measures.head_sets.list_paper_settings(
            subject, [Case(0.1, 0.0, 3), Case(0.2, 2.0, 0)], rankings, "vision", seed=4
        )
    )
    assert [(one.heads, one.draw) for one in found] == [
        ("target", 0),
        ("shared", 0),
        *((name, draw) for draw in range(3) for name in ("matched", "random")),
        ("target", 0),
        ("shared", 0),
    ]
    assert found[0].chosen == (Head(4, 0), Head(4, 1), Head(4, 2)) and found[1].chosen == (
        Head(4, 1),
        Head(4, 2),
    )
    assert found[8].chosen == tuple(order[:6]) and found[8].case.factor == 2.0
    matched = [one for one in found if one.heads == "matched"]
    assert all(
        set(one.chosen) == {Head(4, 3), Head(4, 4), Head(4, 5)} and one.own == 0 for one in matched
    ), "the layer's other heads"
    random = [one.chosen for one in found if one.heads == "random"]
    assert [list(chosen) for chosen in random] == [
        heads.random_heads(subject, 3, 4 + draw) for draw in range(3)
    ]
