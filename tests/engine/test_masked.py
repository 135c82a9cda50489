"""A model that never has some paths (`Subject.closed`): every pass keeps to it, and the resumed way
says what full passes say.

The references make their own masks: by the recipe's encoding of the prompt for `smol-masked`, and
by comparing positions for the tiny models.
"""

from dataclasses import replace

import pytest
import torch

import tiny
from arbitration import STANDARD_PATHWAYS, Pathway, dataset, knockout_sweep, load, trace
from arbitration.checks import suite
from arbitration.engine import resume
from arbitration.engine.clean import clean_pass
from arbitration.engine.generation import answers, answers_without, first_answer, leads
from arbitration.engine.plain import check_bites, next_token_logits
from arbitration.engine.plan import closing
from arbitration.equations.heads import Head, gain_table
from arbitration.equations.hooks import hooks
from arbitration.equations.knockout import standing_edges
from arbitration.equations.sensitivity import decision_margin, gain_gradients
from arbitration.models import embedded
from recipe import mask
from recipe.examples import Example, encode_examples
from recipe.render import Scene

every_architecture = pytest.mark.parametrize("architecture", tiny.ARCHITECTURES)
CLOSED = embedded.CLOSED["smol-masked"]


def case(architecture, following="vision", which=0):
    subject = replace(tiny.subject(architecture), closed=CLOSED)
    return subject, subject.encode(tiny.samples()[which], following)


def full_pass(subject, prompt, closed=(), layers=(), after=()):
    """Logits of a pass over prompt and `after`, (N, vocabulary): masks by comparing positions, the
    pathways `closed` besides in some layers.
    """
    length = prompt.groups.length + len(after)
    rows, columns = torch.arange(length)[:, None], torch.arange(length)[None]
    cue = torch.isin(columns, torch.cat([prompt.groups.vision, prompt.groups.context]))
    usual = (columns <= rows) & ~(cue & (rows > prompt.groups.instruction.max()))
    blocked = usual.clone()
    for source, target in closed:
        late = rows >= prompt.groups.length - 1 if target == "last" else False
        into = torch.isin(rows, prompt.groups.positions(target)) | late
        blocked &= ~(into & torch.isin(columns, prompt.groups.positions(source))) | rows.eq(columns)

    def close(module, args, kwargs):
        own = blocked if module.layer_idx in layers else usual
        return args, {**kwargs, "attention_mask": own[None, None]}

    inputs = dict(prompt.inputs)
    if len(after):
        more = torch.tensor([after])
        inputs["input_ids"] = torch.cat([inputs["input_ids"], more], dim=1)
        inputs["attention_mask"] = torch.ones_like(inputs["input_ids"])
        if "mm_token_type_ids" in inputs:
            inputs["mm_token_type_ids"] = torch.cat(
                [inputs["mm_token_type_ids"], torch.zeros_like(more)], dim=1
            )
    with (
        torch.no_grad(),
        hooks(
            subject.attention(layer).register_forward_pre_hook(close, with_kwargs=True)
            for layer in range(subject.n_layers)
        ),
    ):
        return subject.model(**inputs, use_cache=False).logits[0]


def test_what_stands_behind_the_instruction_is_its_own_group():
    subject, prompt = case("llava")
    groups = prompt.groups
    assert groups.after.tolist() == list(range(groups.instruction.max() + 1, groups.length - 1))
    assert len(groups.after) > 0 and set(groups.after.tolist()) < set(groups.template.tolist())
    distanced = replace(groups, neutral=groups.template[:1])
    assert torch.equal(distanced.positions("after"), groups.after)


def test_what_is_closed_by_hand():
    subject, prompt = case("llava")
    groups = prompt.groups
    expected = [
        (groups.vision, groups.after, False),
        (groups.context, groups.after, False),
        (groups.vision, groups.last, True),
        (groups.context, groups.last, True),
    ]
    found = standing_edges(subject, prompt)
    assert len(found) == 4
    for (source, target, new), (one, other, later) in zip(found, expected):
        assert torch.equal(source, one) and torch.equal(target, other) and new == later
    assert standing_edges(replace(subject, closed=()), prompt) == []


@every_architecture
def test_every_pass_over_the_prompt_keeps_to_it(architecture):
    subject, prompt = case(architecture)
    expected = full_pass(subject, prompt)[-1]
    log = expected.log_softmax(-1)
    open_edges = next_token_logits(replace(subject, closed=()), prompt)[0]
    assert (expected - open_edges).abs().max() > 0.1
    for found in (
        next_token_logits(subject, prompt)[0].log_softmax(-1),
        clean_pass(subject, prompt).logits[0].log_softmax(-1),
        clean_pass(subject, prompt, new_tokens=3).logits[0].log_softmax(-1),
        trace(subject, prompt).log_probabilities,
    ):
        assert (found - log).abs().max() < 1e-12


@every_architecture
def test_closed_pathways_the_resumed_and_the_plain_way(architecture):
    subject, prompt = case(architecture)
    prompts = [prompt, subject.encode(tiny.samples()[1], "text")]
    assert prompts[0].groups.length != prompts[1].groups.length
    pathways = [*STANDARD_PATHWAYS, Pathway("context", "after"), Pathway("text", "last", control=3)]
    resumed, plain = (
        knockout_sweep(subject, prompts, pathways, 3, engine, progress=False)
        for engine in ("resume", "plain")
    )
    for column in ("logp_p", "logp_p_blocked", "logp_c_blocked", "nssd"):
        assert (resumed[column] - plain[column]).abs().max() < 1e-12
    never = plain.pathway.isin(["vision→last", "context→last", "context→after"]) & ~plain.control
    assert never.sum() == 2 * 3 * subject.n_layers
    assert (plain[never].nssd == 0).all()
    assert (plain[never].logp_p_blocked == plain[never].logp_p).all()
    assert plain[plain.pathway == "instruction→last"].nssd.abs().max() > 0.01
    # and the plain way is that of masks made here
    expected = full_pass(subject, prompt, [("context", "instruction")], [1, 2, 3])[-1]
    row = plain[(plain.pathway == "context→instruction") & (plain.layer == 2)].iloc[0]
    assert row.logp_p_blocked == pytest.approx(
        expected.log_softmax(-1)[prompt.y_p].item(), abs=1e-12
    )


@every_architecture
def test_scaled_heads_the_resumed_and_the_plain_way(architecture):
    subject, prompt = case(architecture)
    gains = torch.stack(
        [gain_table(subject, [Head(layer, 0), Head(layer, 3)], 0.0) for layer in (0, 2, 4)]
    )
    found = [
        leads(subject, prompt, gains, prompt.groups.instruction, engine)
        for engine in ("auto", "plain")
    ]
    assert found[0][0] == pytest.approx(found[1][0], abs=1e-12)
    assert (found[0][1] - found[1][1]).abs().max() < 1e-12
    assert (found[0][1] - found[0][0]).abs().max() > 1e-3


@every_architecture
def test_new_tokens_never_see_the_cues_either(architecture):
    """Greedy tokens, each the most likely one of a pass over the whole with masks made here."""
    subject, prompt = case(architecture)
    layers, cases = range(1, 4), [[], [Pathway("instruction", "last")]]
    variants = [one for paths in cases for one in closing(prompt, paths, [layers])]
    resumed = resume.greedy(subject, prompt, variants, 6)
    for ids, closed in zip(resumed, ([], [("instruction", "last")])):
        logits = full_pass(subject, prompt, closed, layers, ids)[prompt.groups.length - 1 :]
        assert ids == logits.argmax(-1)[: len(ids)].tolist() and len(ids) > 1
    open_edges = replace(subject, closed=())
    assert resume.greedy(open_edges, prompt, variants, 6) != resumed
    words = subject.tokenizer.batch_decode(resumed, skip_special_tokens=True)
    for engine in ("auto", "plain"):
        assert answers_without(subject, prompt, cases, layers, 6, engine) == words
    assert answers(subject, prompt, max_new_tokens=6) == words[:1]
    assert first_answer(subject, prompt)[1] == resumed[0][0]


@every_architecture
def test_sensitivity_of_prompts_of_different_lengths(architecture, monkeypatch):
    subject, prompt = case(architecture)

    def exact(self, hidden):  # transformers' own goes through float32
        scale = torch.rsqrt(hidden.pow(2).mean(-1, keepdim=True) + self.variance_epsilon)
        return self.weight * hidden * scale

    monkeypatch.setattr(type(subject.norm), "forward", exact)
    prompts = [prompt, subject.encode(tiny.samples()[1], "text")]
    found = gain_gradients(subject, prompts)
    for own, one in zip(found, prompts):
        assert torch.equal(own, gain_gradients(subject, [one])[0])
    step, head = 2.0**-16, Head(2, 1)  # factors of heads are float32 numbers
    gains = torch.stack([gain_table(subject, [head], 1 + way) for way in (step, -step)])
    up, down = leads(subject, prompt, gains, prompt.groups.instruction, "plain")[1]
    assert found[0][head.layer, head.index].item() == pytest.approx(
        ((up - down) / (2 * step)).item(), rel=1e-5
    )
    margin = decision_margin(full_pass(subject, prompt)[-1], prompt).item()
    assert leads(subject, prompt, gains, prompt.groups.last)[0] == pytest.approx(margin, abs=1e-10)


def test_a_path_that_a_model_never_has_cannot_bite():
    subject, prompt = case("llava")
    for pathway in (Pathway("vision", "last"), Pathway("text", "last"), Pathway("vision", "after")):
        check_bites(subject, prompt, pathway)


@every_architecture
def test_the_suite_passes(architecture):
    subject, _ = case(architecture)
    for result in suite.check_model(subject, tiny.samples()):
        assert result.verdict == "passed", result


def test_smol_masked_is_the_recipes_mask_in_use():
    """Logits of the first answer token, and the answer, against transformers' model under the mask
    of the training of `smol-relay`, which the recipe's own encoding makes.
    """
    subject, planted = load("smol-masked"), load("smol-relay")
    assert subject.revision == f"{planted.revision}-masked"
    assert subject.closed and not planted.closed
    samples = dataset.shuffled(dataset.load("scenes", "held"), seed=3)[:3]
    moved = []
    for following in dataset.MODALITIES:
        for sample in samples:
            prompt = subject.encode(sample, following)
            request = f"{sample.instruction(following)} {sample.question}"
            example = Example("", Scene((), (0.5,) * 7), sample.context, request, "")
            inputs, cue, late = encode_examples(
                [example], subject.tokenizer, subject.processor.image_token, 36, answers=False
            )
            assert torch.equal(inputs["input_ids"], prompt.inputs["input_ids"])
            closed = mask.closed(inputs["attention_mask"].bool(), cue, late)
            given = {
                "input_ids": inputs["input_ids"],
                "pixel_values": prompt.inputs["pixel_values"],
            }
            with torch.no_grad():
                hidden = planted.model.model(**given, attention_mask=closed).last_hidden_state
                logits = planted.model.lm_head(hidden[:, -1])
                usual = planted.model(**prompt.inputs).logits[:, -1]
            for found in (
                next_token_logits(subject, prompt),
                clean_pass(subject, prompt).logits,
            ):
                assert (found - logits).abs().max() < 1e-3
            moved.append((usual - logits).abs().max().item())
            assert first_answer(subject, prompt)[1] == logits.argmax().item()
    assert min(moved) > 0.1


def test_smol_masked_the_resumed_and_the_plain_way():
    """One sample in three layers; `test_exactness` has all of them (make exact-test)."""
    subject = load("smol-masked")
    [sample] = dataset.shuffled(dataset.load("scenes", "held"), seed=5)[:1]
    prompt = subject.encode(sample, "text")
    layers = range(subject.n_layers)
    pathways = [Pathway("context", "instruction"), Pathway("context", "last")]
    resumed, plain = (
        knockout_sweep(subject, [prompt], pathways, 5, engine, layers=[9, 20], progress=False)
        for engine in ("resume", "plain")
    )
    assert (resumed.logp_c_blocked - plain.logp_c_blocked).abs().max() < 1e-4
    assert (plain[plain.pathway == "context→last"].nssd == 0).all()
    cases = [[], [Pathway("context", "instruction")], [Pathway("context", "last")]]
    quick, slow = (
        answers_without(subject, prompt, cases, layers, engine=engine)
        for engine in ("auto", "plain")
    )
    assert quick == slow and slow[0] == slow[2]
