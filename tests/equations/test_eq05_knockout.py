"""Attention knockout (Eq. 5): what it closes, what it leaves alone, and that the fast way gives the
same numbers.
"""

from dataclasses import replace

import pytest
import torch
from transformers.integrations.sdpa_attention import sdpa_attention_forward

import tiny
from arbitration import (
    STANDARD_PATHWAYS,
    LayerWindow,
    Pathway,
    dataset,
    knockout,
    knockout_sweep,
    knockout_tables,
    load,
)
from arbitration.engine import plan, resume
from arbitration.engine.plain import check_bites, next_token_logits
from arbitration.equations.hooks import hooks
from arbitration.equations.knockout import count_edges, draw_sources
from arbitration.models import catalogue

every_architecture = pytest.mark.parametrize("architecture", tiny.ARCHITECTURES)


def case(architecture, following="vision", which=0):
    subject = tiny.subject(architecture)
    return subject, subject.encode(tiny.samples()[which], following)


def attention_outputs(subject, prompt, layers):
    found = []
    with hooks(
        subject.attention(layer).register_forward_hook(lambda m, a, out: found.append(out[0][0]))
        for layer in layers
    ):
        subject.model(**prompt.inputs, use_cache=False)
    return torch.stack(found)


def weights_of(subject, prompt, pathways, layers):
    """Attention weights under knockout, from the eager implementation: (L, n_heads, N, N)."""
    subject.model.set_attn_implementation("eager")
    try:
        with knockout(subject, prompt, pathways, layers):
            return torch.stack(
                subject.model(**prompt.inputs, output_attentions=True, use_cache=False).attentions
            )[:, 0]
    finally:
        subject.model.set_attn_implementation("sdpa")


@every_architecture
@pytest.mark.parametrize("pathway", STANDARD_PATHWAYS, ids=str)
def test_blocked_edges_have_no_weight_and_the_rest_is_renormalised(architecture, pathway):
    subject, prompt = case(architecture)
    layers = [1, 2]
    weights = weights_of(subject, prompt, [pathway], layers)
    source, target = pathway.edges(prompt)
    edges = weights[:, :, target[:, None], source[None, :]]
    assert (edges[layers] == 0).all()
    assert (edges[[0, 3, 4]] > 0).any()
    # Eager softmax is float32 whatever the model's dtype.
    torch.testing.assert_close(weights.sum(-1), torch.ones_like(weights.sum(-1)), rtol=0, atol=1e-6)


@every_architecture
def test_first_blocked_layer_is_softmax_without_the_edges(architecture):
    """An independent reference: strike out the weights by hand and renormalise each row."""
    subject, prompt = case(architecture)
    pathway = Pathway("context", "instruction")
    source, target = pathway.edges(prompt)
    expected = weights_of(subject, prompt, [], [])[2].clone()
    expected[:, target[:, None], source[None, :]] = 0
    expected /= expected.sum(-1, keepdim=True)
    # Eager softmax is float32 whatever the model's dtype.
    torch.testing.assert_close(
        weights_of(subject, prompt, [pathway], [2])[2], expected, rtol=1e-5, atol=1e-6
    )


@every_architecture
def test_earlier_rows_and_earlier_layers_are_bitwise_unchanged(architecture):
    subject, prompt = case(architecture)
    layers = range(subject.n_layers)
    with knockout(subject, prompt, [], layers):  # explicit masks in both passes
        clean = attention_outputs(subject, prompt, layers)
    with (
        knockout(subject, prompt, [], layers),
        knockout(subject, prompt, [Pathway("vision", "instruction")], [2, 3]),
    ):
        blocked = attention_outputs(subject, prompt, layers)
    first = int(prompt.groups.instruction.min())
    assert torch.equal(clean[:2], blocked[:2])
    assert torch.equal(clean[:, :first], blocked[:, :first])
    assert not torch.equal(
        clean[2, prompt.groups.instruction], blocked[2, prompt.groups.instruction]
    )


def test_hooks_are_gone_after_an_exception():
    subject, prompt = case("llava")
    before = next_token_logits(subject, prompt)
    with pytest.raises(KeyError), knockout(subject, prompt, [Pathway("text", "last")], range(5)):
        raise KeyError
    assert torch.equal(before, next_token_logits(subject, prompt))


@every_architecture
def test_generated_tokens_are_blocked_too(architecture):
    """Generating under knockout is the same as a forward pass over prompt and answer with the edges
    of every new row closed.
    """
    subject, prompt = case(architecture)
    pathway, layers = Pathway("vision", "last"), range(1, 4)
    with knockout(subject, prompt, [pathway], layers):
        generated = subject.model.generate(
            **prompt.inputs,
            max_new_tokens=4,
            min_new_tokens=4,
            do_sample=False,
            return_dict_in_generate=True,
            output_logits=True,
        )
    extended = {
        key: value
        for key, value in prompt.inputs.items()
        if key not in ("input_ids", "attention_mask", "mm_token_type_ids")
    }
    extended["input_ids"] = generated.sequences[:, :-1]
    extended["attention_mask"] = torch.ones_like(extended["input_ids"])
    if "mm_token_type_ids" in prompt.inputs:
        extended["mm_token_type_ids"] = torch.nn.functional.pad(
            prompt.inputs["mm_token_type_ids"], (0, 3)
        )
    with knockout(subject, prompt, [pathway], layers):
        whole = subject.model(**extended, use_cache=False, logits_to_keep=4).logits[0]
    torch.testing.assert_close(
        torch.cat(generated.logits), whole.to(generated.logits[0].dtype), rtol=0, atol=2e-5
    )
    plain = subject.model(**extended, use_cache=False, logits_to_keep=4).logits[0]
    assert (plain[1:] - whole[1:]).abs().amin(0).max() > 1e-3


@every_architecture
def test_a_mask_that_does_not_bite_is_noticed(architecture, monkeypatch):
    subject, prompt = case(architecture)
    check_bites(subject, prompt, Pathway("text", "last"))

    def deaf(module, query, key, value, attention_mask, **kwargs):
        return sdpa_attention_forward(
            module, query, key, value, None, **{**kwargs, "is_causal": True}
        )

    from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS

    monkeypatch.setitem(ALL_ATTENTION_FUNCTIONS._local_mapping, "sdpa", deaf)
    with pytest.raises(RuntimeError, match="ignores the attention mask"):
        check_bites(subject, prompt, Pathway("text", "last"))


@pytest.mark.parametrize(
    "width, centre, layers",
    [(1, 2, [2]), (3, 0, [0, 1]), (3, 4, [3, 4]), (5, 2, [0, 1, 2, 3, 4]), (7, 1, [0, 1, 2, 3, 4])],
)
def test_windows_are_clipped(width, centre, layers):
    assert list(LayerWindow(centre, width).layers(5)) == layers


@pytest.mark.parametrize("width", [0, 2, -1])
def test_windows_are_centred(width):
    with pytest.raises(ValueError, match="odd"):
        LayerWindow(1, width)


def test_a_pathway_without_edges_is_refused_before_any_pass(monkeypatch):
    subject, prompt = case("llava")
    monkeypatch.setattr(subject.model, "forward", lambda *a, **k: pytest.fail("a pass was started"))
    with pytest.raises(ValueError, match="instruction→context has no edge"):
        knockout_sweep(subject, [prompt], [Pathway("instruction", "context")])
    with pytest.raises(ValueError, match="known groups"):
        knockout_sweep(subject, [prompt], [Pathway("picture", "last")])
    with pytest.raises(ValueError, match="unknown engine"):
        knockout_sweep(subject, [prompt], engine="fast")
    with (
        pytest.raises(ValueError, match="outside 0..4"),
        knockout(subject, prompt, [Pathway("text", "last")], [5]),
    ):
        pass


@every_architecture
def test_a_token_always_sees_itself(architecture):
    """Sources may be targets too; edges from a token to itself stay open. With all others closed
    each target sees itself alone.
    """
    subject, prompt = case(architecture)
    everything = [Pathway(name, "instruction") for name in ("vision", "text", "template")]
    both = prompt.groups.instruction
    weights = weights_of(subject, prompt, everything, [2])[2][:, both]
    assert len(both) > 1 and (weights[:, range(len(both)), both] == 1).all()
    assert (weights.sum(-1) == 1).all()


def test_a_control_s_sources_are_drawn_outside_the_path_as_far_as_the_prompt_reaches():
    """Six sources before two targets: twelve edges, as any six of the 13 other tokens close. With
    three others only, these and three of the path's own.
    """
    target = torch.tensor([20, 21])
    for source, free in ((range(1, 7), range(7, 20)), (range(1, 17), range(17, 20))):
        source, free = torch.tensor(source), set(free)
        drawn = draw_sources(source, target, [3, 4])
        assert len(drawn) == len(source) and torch.equal(drawn, drawn.unique())
        assert set(drawn.tolist()) & free == (set(drawn.tolist()) if len(free) > 6 else free)
        assert 0 not in drawn and abs(count_edges(drawn, target).sum() - 2 * len(source)) <= 1


def test_a_control_closes_as_many_edges_where_its_tokens_have_fewer():
    """The source precedes all four targets, and closes four edges; only 3 and 5 are left to draw,
    which close three and two: 3 alone is as near to four as both, and 5 alone is not.
    """
    source, target = torch.tensor([1]), torch.tensor([2, 4, 6, 7])
    assert count_edges(torch.tensor([1, 3, 5]), target).tolist() == [4, 3, 2]
    drawn = {tuple(draw_sources(source, target, [seed]).tolist()) for seed in range(20)}
    assert drawn == {(3,), (3, 5)}


def test_every_prompt_and_every_seed_has_a_draw_of_its_own():
    subject = tiny.subject("llava")
    prompts = [subject.encode(sample, "text") for sample in tiny.samples()[:2]]
    same = replace(prompts[0], sample=replace(prompts[0].sample, id="another"))
    controls = [Pathway("vision", "last", control=seed) for seed in (0, 1)]

    def sources(pathway, prompt):
        return pathway.edges(prompt)[0].tolist()

    assert sources(controls[0], prompts[0]) == sources(controls[0], prompts[0])
    assert sources(controls[0], prompts[0]) != sources(controls[1], prompts[0])
    assert sources(controls[0], prompts[0]) != sources(controls[0], same)
    source, target = controls[0].edges(prompts[0])
    assert torch.equal(target, prompts[0].groups.last)
    assert not torch.isin(source, prompts[0].groups.vision).any()


@every_architecture
@pytest.mark.parametrize("width", [1, 3, 7])
def test_resuming_gives_the_plain_way_s_numbers(architecture, width):
    subject = tiny.subject(architecture)
    prompts = [
        subject.encode(tiny.samples()[0], "vision"),
        subject.encode(tiny.samples()[1], "text"),
    ]
    pathways = [
        *STANDARD_PATHWAYS,
        Pathway("context", "instruction", control=3),
        Pathway("template", "text"),
    ]
    tables = [
        knockout_sweep(subject, prompts, pathways, width, engine, progress=False)
        for engine in ("resume", "plain")
    ]
    for column in ("logp_p_blocked", "logp_c_blocked", "logp_p", "nssd", "divergence"):
        assert (tables[0][column] - tables[1][column]).abs().max() < 1e-12
    assert tables[1]["nssd"].abs().max() > 0.1 and tables[1]["divergence"].abs().max() > 0.1
    assert prompts[0].groups.length != prompts[1].groups.length, (
        "so that packing pads the shorter one"
    )
    identity = ["sample", "following", "pathway", "control", "layer", "token", "token_blocked"]
    assert tables[0][identity].equals(tables[1][identity])
    assert len(tables[0]) == 2 * len(pathways) * subject.n_layers


@pytest.mark.exact
@pytest.mark.parametrize("name", catalogue.EMBEDDED)
def test_resuming_is_exact_on_the_embedded_models(name):
    """Three layers of one sample against the engine's own plain way; `test_exactness` has all of
    them against another program.
    """
    subject = load(name)
    [sample] = dataset.shuffled(dataset.load("scenes", "held"), seed=5)[:1]
    prompts = [subject.encode(sample, following) for following in dataset.MODALITIES]
    resumed, plain = (
        knockout_sweep(subject, prompts, engine=engine, layers=[0, 14, 26], progress=False)
        for engine in ("resume", "plain")
    )
    assert (
        max(
            (resumed[column] - plain[column]).abs().max()
            for column in ("nssd", "logp_p_blocked", "logp_c_blocked")
        )
        < 1e-4
    )
    assert (plain["logp_c_blocked"] - plain["logp_c"]).abs().max() > 0.1


@every_architecture
def test_float32_agrees_to_its_rounding(architecture):
    """At a sharpness where the plain way itself keeps to this: at 4 its own two implementations,
    sdpa and eager, part by 2.6e-4.
    """
    subject = tiny.subject(architecture, dtype=torch.float32, sharpness=2.0)
    prompts = [
        subject.encode(tiny.samples()[0], "vision"),
        subject.encode(tiny.samples()[1], "text"),
    ]
    tables = [
        knockout_sweep(subject, prompts, engine=engine, progress=False)
        for engine in ("resume", "plain")
    ]
    for column in ("logp_p_blocked", "logp_c_blocked"):
        assert (tables[0][column] - tables[1][column]).abs().max() < 2e-5
    assert tables[1]["nssd"].abs().max() > 1


def test_the_whole_vocabulary_is_compared_with_the_clean_pass():
    subject, prompt = case("llava")
    row = knockout_sweep(
        subject, [prompt], [Pathway("text", "last")], layers=[2], progress=False
    ).iloc[0]
    clean = next_token_logits(subject, prompt)[0].softmax(-1)
    with knockout(subject, prompt, [Pathway("text", "last")], [1, 2, 3]):
        blocked = next_token_logits(subject, prompt)[0].softmax(-1)
    expected = (clean * (clean / blocked).log()).sum().item()
    assert (
        row["divergence"]
        == pytest.approx(
            expected if blocked[prompt.y_p] < clean[prompt.y_p] else -expected, rel=1e-9
        )
        and expected > 0.1
    )


def test_the_sweep_is_ordered_and_complete():
    subject, prompt = case("llava")
    table = knockout_sweep(
        subject,
        [prompt],
        [Pathway("vision", "last"), Pathway("text", "last")],
        layers=[1, 3],
        progress=False,
    )
    assert list(zip(table["pathway"], table["layer"])) == [
        ("vision→last", 1),
        ("vision→last", 3),
        ("text→last", 1),
        ("text→last", 3),
    ]
    assert {
        "model",
        "sample",
        "following",
        "width",
        "engine",
        "p_p",
        "p_c",
        "p_p_blocked",
        "p_c_blocked",
    } <= set(table.columns)


def test_a_row_is_the_divergence_from_the_clean_decision_to_its_own_blocked_one():
    """NSSD from the two passes by plain arithmetic: Σ p ln(p/q), with the sign of p − q of y_p."""
    subject, prompt = case("llava", "text")
    pathways = [Pathway("context", "last"), Pathway("context", "last", control=3)]
    table = knockout_sweep(subject, [prompt], pathways, 1, layers=[0, 2], progress=False)
    assert table["control"].tolist() == [False, False, True, True]

    def decide():
        both = next_token_logits(subject, prompt)[0, [prompt.y_p, prompt.y_c]]
        return both.double().softmax(-1)

    clean = decide()
    cases = [(pathway, layer) for pathway in pathways for layer in (0, 2)]
    for (pathway, layer), nssd in zip(cases, table["nssd"], strict=True):
        with knockout(subject, prompt, [pathway], [layer]):
            blocked = decide()
        divergence = (clean * (clean / blocked).log()).sum()
        wanted = divergence * torch.sign(clean[0] - blocked[0])
        assert nssd == pytest.approx(wanted.item(), rel=1e-6)
        assert divergence > 1e-5 and (blocked * (blocked / clean).log()).sum() != divergence


def test_disagreement_between_engine_and_plain_way_stops_the_run(monkeypatch):
    subject, prompt = case("llava")
    monkeypatch.setattr(plan, "_closed", lambda causal, edges, first_row: causal)
    with pytest.raises(RuntimeError, match="disagree"):
        knockout_sweep(subject, [prompt], [Pathway("vision", "context")], progress=False)


def test_the_check_costs_one_variant_per_run(monkeypatch):
    """However many prompts there are: two passes that prove that the mask bites, and one plain
    variant.
    """
    subject = tiny.subject("llava")
    prompts = [subject.encode(sample, "text") for sample in tiny.samples(6)]
    passes, own = [], subject.model.forward
    monkeypatch.setattr(subject.model, "forward", lambda *a, **k: passes.append(1) or own(*a, **k))
    tables = list(knockout_tables(subject, prompts, [Pathway("vision", "last")]))
    assert [table["sample"].iloc[0] for table in tables] == [prompt.sample.id for prompt in prompts]
    assert len(passes) == len(prompts) + 3


def test_the_workspace_bounds_the_packs_and_not_the_numbers():
    subject, prompt = case("qwen2.5-vl")
    variants = plan.closing(
        prompt, [Pathway("vision", "text")], [range(layer, layer + 1) for layer in range(5)] * 4
    )
    one = (
        plan.bytes_per_variant(
            subject, prompt.groups.length - variants[0].first_row, prompt.groups.length
        )
        / 2**20
    )
    assert [len(pack.variants) for pack in plan.packs(subject, variants, 6.5 * one)] == [6, 6, 6, 2]
    whole, small = (
        knockout_sweep(subject, [prompt], workspace=workspace, progress=False)
        for workspace in (None, 2.5 * one)
    )
    assert (whole["workspace"].unique().tolist(), small["workspace"].unique().tolist()) == (
        [plan.default_workspace(subject)],
        [2.5 * one],
    )
    assert (whole["nssd"] - small["nssd"]).abs().max() < 1e-12


def test_rows_that_see_themselves_only_share_a_pass_within_the_workspace():
    subject = tiny.subject("llava")
    prompts = [subject.encode(sample, "vision") for sample in tiny.samples(3)]
    row = plan.bytes_per_variant(subject, 1, 1) / 2**20
    tiles = list(resume._tiles(subject, list(range(10)), prompts, 4.5 * row))
    assert sorted(
        (variant, prompt) for some, together in tiles for variant in some for prompt in together
    ) == [(v, p) for v in range(10) for p in range(3)]
    assert max(len(some) for some, _ in tiles) == 4
    assert list(resume._tiles(subject, list(range(10)), prompts, 384)) == [
        (list(range(10)), range(3))
    ]


def test_out_of_memory_halves_the_workspace_and_says_so(monkeypatch, capsys):
    subject, prompt = case("llava")
    expected = knockout_sweep(subject, [prompt], progress=False)["nssd"]
    honest = resume.suffix_pass

    def scarce(subject, clean, pack, keep=False):
        if len(pack.variants) > 3:
            raise torch.cuda.OutOfMemoryError
        return honest(subject, clean, pack, keep)

    monkeypatch.setattr(resume, "suffix_pass", scarce)
    one = (
        plan.bytes_per_variant(
            subject, prompt.groups.length - int(prompt.groups.context.min()), prompt.groups.length
        )
        / 2**20
    )
    table = knockout_sweep(subject, [prompt], workspace=8 * one + 1, progress=False)
    assert len(table["workspace"].unique()) == 1 and table["workspace"][0] < 4 * one
    assert (table["nssd"] - expected).abs().max() < 1e-12
    assert f"workspace of {table['workspace'][0]:g} MiB" in capsys.readouterr().out
