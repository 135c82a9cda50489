"""The conformance suite on a small model of every architecture, and on models that are wrong in one
way each.
"""

import dataclasses
import json
import sys

import pytest
import torch
from tokenizers.processors import TemplateProcessing
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS

import tiny
from arbitration import Pathway, head_attribution, head_sensitivity, knockout_sweep, trace
from arbitration.checks import conformance, suite
from arbitration.engine import plan
from arbitration.equations import heads, knockout
from arbitration.equations.hooks import hooks
from arbitration.models.subject import Subject

every_architecture = pytest.mark.parametrize("architecture", [*tiny.ARCHITECTURES, *tiny.FURTHER])
#: What an architecture does not allow, and the words that must name why.
REFUSED = {"gemma-3": {"engine": "sliding_attention", "head sums": "post_attention_layernorm"}}


def case(architecture, following="vision"):
    subject = tiny.subject(architecture)
    return subject, subject.encode(tiny.samples()[0], following)


@every_architecture
def test_every_architecture_conforms_or_names_what_it_does_not_allow(architecture):
    results = suite.check_model(tiny.subject(architecture), tiny.samples())
    assert [result for result in results if result.verdict == "failed"] == []
    refused = {result.name: result.why for result in results if result.verdict == "refused"}
    expected = REFUSED.get(architecture, {})
    assert refused.keys() == expected.keys() and all(
        expected[name] in why for name, why in refused.items()
    )
    assert len(results) == 2 * len(suite.CHECKS)


@pytest.mark.parametrize(
    "architecture, images, marks",
    [("llava-onevision", 36, 0), ("qwen3-vl", 9, 2), ("qwen3-vl-moe", 9, 2), ("gemma-3", 4, 2)],
)
def test_groups_survive_image_expansion(architecture, images, marks):
    """The tokens that mark the image's borders are the template's."""
    subject, prompt = case(architecture)
    ids = prompt.inputs["input_ids"][0]
    assert (
        len(prompt.groups.vision) == images
        and (ids[prompt.groups.vision] == subject.image_token_id).all()
    )
    names = {
        "<|vision_start|>",
        "<|vision_end|>",
        "<start_of_image>",
        "<end_of_image>",
    } & subject.tokenizer.get_vocab().keys()
    border = (
        torch.isin(
            ids,
            torch.tensor(subject.tokenizer.convert_tokens_to_ids(sorted(names)), dtype=torch.long),
        )
        .nonzero()
        .flatten()
    )
    assert len(border) == marks and torch.isin(border, prompt.groups.template).all()


def test_the_beginning_of_a_prompt_is_not_doubled():
    """Gemma's chat template writes the token that its tokenizer puts before everything."""
    subject = tiny.subject("gemma-3")
    tokenizer, template = subject.tokenizer, subject.processor.chat_template
    begins, other = tokenizer.bos_token, tokenizer.backend_tokenizer.post_processor
    tokenizer.backend_tokenizer.post_processor = TemplateProcessing(
        single=f"{begins} $A", special_tokens=[(begins, tokenizer.bos_token_id)]
    )
    try:
        for written in (template, begins + template):
            subject.processor.chat_template = written
            prompt = subject.encode(tiny.samples()[0], "text")
            assert prompt.inputs["input_ids"][0].tolist().count(tokenizer.bos_token_id) == 1
            assert (
                prompt.inputs["input_ids"][0, 0] == tokenizer.bos_token_id
                and prompt.groups.template[0] == 0
            )
    finally:
        tokenizer.backend_tokenizer.post_processor, subject.processor.chat_template = (
            other,
            template,
        )


# Each check can fail: a model, or the library, that is wrong in one way.


def failing(check, architecture="llava", prompt=None):
    subject, own = case(architecture)
    result = check(subject, prompt or own)
    assert result.verdict == "failed", result
    return result.why


def test_a_misdeclared_image_token_is_found(monkeypatch):
    subject, _ = case("llava")
    monkeypatch.setattr(subject.model.config, "image_token_index", 5)
    found = suite.check_model(subject, tiny.samples())
    assert (
        {result.verdict for result in found} == {"failed"}
        and "gave no token 5" in found[0].why
        and "image_token_id" in found[0].why
    )


def test_groups_that_hold_the_wrong_positions_are_found():
    subject, prompt = case("llava")
    first, *rest = prompt.groups.template.tolist()
    vision = prompt.groups.vision
    swapped = dataclasses.replace(  # still a partition, and every word is in its place
        prompt.groups,
        vision=torch.cat([torch.tensor([first]), vision[1:]]),
        template=torch.tensor([*rest, int(vision[0])]).sort().values,
    )
    assert "fills 16 positions" in failing(
        suite.token_groups, prompt=dataclasses.replace(prompt, groups=swapped)
    )
    short = dataclasses.replace(prompt.groups, template=prompt.groups.template[1:])
    assert "the groups hold" in failing(
        suite.token_groups, prompt=dataclasses.replace(prompt, groups=short)
    )
    context = dataclasses.replace(
        prompt.groups, context=prompt.groups.instruction, instruction=prompt.groups.context
    )
    assert "the group 'context' reads" in failing(
        suite.token_groups, prompt=dataclasses.replace(prompt, groups=context)
    )


def test_an_engine_that_closes_nothing_is_found(monkeypatch):
    monkeypatch.setattr(plan, "_closed", lambda causal, edges, first_row: causal)
    assert "under closed pathways" in failing(suite.engine)


def test_an_engine_that_scales_nothing_is_found(monkeypatch):
    honest = plan._factors
    monkeypatch.setattr(
        plan,
        "_factors",
        lambda *given: None if honest(*given) is None else torch.ones_like(honest(*given)),
    )
    assert "under scaled heads" in failing(suite.engine)


def test_an_engine_that_runs_where_it_is_not_exact_is_found(monkeypatch):
    monkeypatch.setattr(Subject, "resume_obstacle", None)
    assert failing(suite.engine, "gemma-3")


def test_an_engine_that_forgets_the_image_s_features_is_found(monkeypatch):
    assert tiny.subject("qwen3-vl").image_term
    monkeypatch.setattr(Subject, "image_term", None)
    assert "under closed pathways" in failing(suite.engine, "qwen3-vl")


def test_a_further_term_in_the_residual_stream_is_found(monkeypatch):
    subject, _ = case("llava")
    with hooks([subject.layers[2].register_forward_hook(lambda module, args, out: out + 0.01)]):
        assert "in layers [2]" in failing(suite.residual_sums)
    with hooks(
        [
            subject.layers[2].register_forward_pre_hook(
                lambda module, args: (args[0] + 0.01, *args[1:])
            )
        ]
    ):
        assert "after layers [1] something is added" in failing(suite.residual_sums)
    monkeypatch.setattr(Subject, "image_term", None)
    assert (
        "after layers [0, 1, 2] something is added to the residual stream before the next "
        "layer, at 9 of"
    ) in failing(suite.residual_sums, "qwen3-vl")


def test_a_term_at_other_positions_than_the_image_s_is_found():
    subject, prompt = case("qwen3-vl")

    def everywhere(module, args):
        return (args[0] + 0.01, *args[1:])

    with hooks([subject.layers[1].register_forward_pre_hook(everywhere)]):
        assert "belong to the image's positions alone" in failing(suite.residual_sums, "qwen3-vl")


def test_a_prediction_that_is_not_the_unembedding_is_found():
    subject, _ = case("llava")
    with hooks([subject.model.lm_head.register_forward_hook(lambda module, args, out: out / 2)]):
        assert "miss the prediction" in failing(suite.residual_sums)


def test_heads_that_do_not_sum_are_found(monkeypatch):
    subject, _ = case("llava")
    with hooks(
        [subject.output_projection(3).register_forward_hook(lambda module, args, out: out * 1.001)]
    ):
        assert "heads of layer 3" in failing(suite.head_sums)
    monkeypatch.setattr(Subject, "head_obstacle", None)
    assert "heads of layer 0" in failing(suite.head_sums, "gemma-3")


def test_a_mask_that_is_ignored_is_found(monkeypatch):
    def deaf(module, query, key, value, attention_mask, **kwargs):
        return sdpa_attention_forward(
            module, query, key, value, None, **{**kwargs, "is_causal": True}
        )

    monkeypatch.setitem(ALL_ATTENTION_FUNCTIONS._local_mapping, "sdpa", deaf)
    assert "ignores the attention mask" in failing(suite.knockout_canary)


def test_edges_that_are_not_wholly_closed_are_found(monkeypatch):
    module = sys.modules["arbitration.equations.knockout"]  # the face has a function of this name
    honest = module.close_edges
    halfway = lambda mask, rows, source, seen, shut=False: honest(
        mask, rows, source, seen, -3.0 if mask.is_floating_point() else shut
    )
    monkeypatch.setattr(module, "close_edges", halfway)
    assert "keep up to" in failing(suite.knockout_canary)


def test_a_cache_that_loses_something_is_found():
    subject, _ = case("llava")

    def forgets(module, args, kwargs, out):
        return (out[0] * 1.01, *out[1:]) if kwargs["hidden_states"].shape[1] == 1 else out

    with hooks([subject.attention(1).register_forward_hook(forgets, with_kwargs=True)]):
        assert "nothing changed: generating misses a pass over the whole" in failing(
            suite.generation
        )


def test_heads_that_are_let_be_in_the_answer_are_found(monkeypatch):
    honest = heads.scale_heads
    monkeypatch.setattr(suite, "scale_heads", lambda *given, generated: honest(*given))
    assert "heads blocked: generating misses" in failing(suite.generation)


# What the further architectures add.


@pytest.mark.parametrize("architecture", ["llava-onevision", "qwen3-vl", "qwen3-vl-moe"])
def test_resuming_is_exact_also_where_the_image_s_rows_change(architecture):
    subject, prompt = case(architecture)
    pathways = [
        Pathway("template", "vision"),
        Pathway("vision", "vision"),
        Pathway("vision", "text"),
        Pathway("instruction", "last"),
    ]
    resumed, plain = (
        knockout_sweep(subject, [prompt], pathways, engine=engine, progress=False)
        for engine in ("resume", "plain")
    )
    assert (resumed["logp_p_blocked"] - plain["logp_p_blocked"]).abs().max() < 1e-10
    moved = (plain["logp_p_blocked"] - plain["logp_p"]).abs().groupby(plain["pathway"]).max()
    assert (moved > 1e-3).all(), moved


def test_the_stream_that_goes_on_holds_the_image_s_features():
    subject, prompt = case("qwen3-vl")
    activations = trace(subject, prompt)
    added = (
        activations.residual[1:]
        - activations.residual[:-1]
        - activations.attention
        - activations.mlp
    )
    where = (added.abs() > 1e-9).any(-1)
    assert torch.equal(where.any(1).nonzero().flatten(), torch.tensor([0, 1, 2])) and torch.equal(
        where.any(0).nonzero().flatten(), prompt.groups.vision
    )


def test_norms_behind_the_sublayers_belong_to_what_is_added():
    subject, prompt = case("gemma-3")
    activations = trace(subject, prompt)
    layer = subject.layers[2]
    by_hand = layer.post_attention_layernorm(
        layer.self_attn.o_proj(activations.heads[2].flatten(1))
    )
    torch.testing.assert_close(activations.attention[2], by_hand, rtol=0, atol=1e-6)
    with pytest.raises(
        ValueError,
        match="post_attention_layernorm.*`head_sensitivity` ranks them, and scaling them works",
    ):
        head_attribution(subject, [prompt])
    assert head_sensitivity(subject, [prompt])["sensitivity"].abs().max() > 0


def test_pictures_that_see_both_ways_are_measured_the_plain_way():
    subject, _ = case("gemma-3")
    full = ["full_attention"] * subject.n_layers
    kinds, subject.decoder.config.layer_types = subject.decoder.config.layer_types, full
    try:
        assert "both directions" in subject.resume_obstacle
    finally:
        subject.decoder.config.layer_types = kinds


def test_a_layer_with_a_short_memory_has_its_remaining_edges_closed(monkeypatch):
    """While generating, layer 0 keeps the last 23 keys: the columns of a closed source move."""
    subject, prompt = case("gemma-3")
    pathway, seen = Pathway("instruction", "last"), []
    assert prompt.groups.length > subject.decoder.config.sliding_window == 24
    with knockout.knockout(subject, prompt, [pathway], [0]):
        keep = lambda module, args, kwargs: seen.append(kwargs["attention_mask"])
        with hooks([subject.attention(0).register_forward_pre_hook(keep, with_kwargs=True)]):
            subject.model.generate(
                **prompt.inputs, max_new_tokens=3, min_new_tokens=3, do_sample=False
            )
    for step, mask in enumerate(seen[1:], 1):
        keys = torch.arange(
            prompt.groups.length + step - mask.shape[-1], prompt.groups.length + step
        )
        assert mask.shape[-2:] == (1, 24) and torch.equal(
            keys[~mask[0, 0, 0]], prompt.groups.instruction[prompt.groups.instruction >= keys[0]]
        )


# The command.


def test_the_command_prints_a_table_and_tells_by_its_exit_status(tmp_path, capsys, monkeypatch):
    folder = tmp_path / "mine"
    subject = tiny.subject("llava")
    subject.model.save_pretrained(folder)
    subject.processor.save_pretrained(folder)
    assert conformance.main([str(folder), "--dtype", "float64", "--device", "cpu"]) == 0
    printed = capsys.readouterr().out.splitlines()
    assert printed[0].startswith("local/mine, revision ") and len(printed) == 1 + 2 * len(
        suite.CHECKS
    )
    assert all(line.startswith("passed") for line in printed[1:])
    monkeypatch.setattr(plan, "_closed", lambda causal, edges, first_row: causal)
    assert conformance.main([str(folder), "--dtype", "float64", "--device", "cpu"]) == 1
    assert "failed  engine" in capsys.readouterr().out
    assert conformance.main(["intervl3"]) == 2
    assert "did you mean 'internvl3'" in capsys.readouterr().err
    (folder / "config.json").write_text(json.dumps({"model_type": "bert"}))
    assert conformance.main([str(folder)]) == 2 and "of type 'bert'" in capsys.readouterr().err
