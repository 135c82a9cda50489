"""The hub's models at true size: the published number of parameters, prompts of true length, and
the same code for real at toy size.
"""

import copy

import pytest
import torch

import arbitration as arb
import tiny
from arbitration.models import hub, memory, true_size
from arbitration.models import load as load_
from arbitration.models.subject import Subject, check_subject
from in_process import run as run_here

NAMES = ("internvl3", "llava-1.5", "qwen2.5-vl")
every_model = pytest.mark.parametrize("name", NAMES)


@pytest.fixture(scope="module", params=NAMES)
def large(request):
    """A model of true size that takes no memory, as a subject."""
    known = true_size.facts(request.param)
    processor = true_size.stand_in(known)
    model = true_size.empty(known, processor.tokenizer, torch.bfloat16)
    return known, check_subject(
        Subject(request.param, model, processor, "random-0", hub.picture_settings(model.config))
    )


def test_it_has_the_published_size(large):
    known, subject = large
    assert subject.model.num_parameters() == pytest.approx(
        known["parameters"], rel=1e-3 if subject.name == "internvl3" else 0
    )
    assert (subject.n_layers, subject.n_heads) == {"llava-1.5": (32, 32)}.get(
        subject.name, (28, 28)
    )
    assert {parameter.device.type for parameter in subject.model.parameters()} == {
        "meta"
    } and subject.model.dtype == torch.bfloat16


def test_its_prompts_have_true_length_and_known_tokens(large, tmp_path):
    from dataclasses import replace

    from PIL import Image

    _, subject = large
    picture = tmp_path / "photograph.png"
    Image.new("RGB", (640, 480), "grey").save(picture)
    prompt = subject.encode(replace(tiny.samples(1)[0], image=str(picture)), "vision")
    # LLaVA: 24 × 24 patches of 14 pixels. Qwen: 644 × 476 pixels, four patches a token. InternVL:
    # one tile, as the hub's entry asks.
    assert (
        len(prompt.groups.vision)
        == {"llava-1.5": 24 * 24, "qwen2.5-vl": 23 * 17, "internvl3": 256}[subject.name]
    )
    assert prompt.inputs["input_ids"].shape[1] == prompt.groups.length
    assert len(subject.tokenizer) <= subject.unembedding.shape[0]


def test_its_weights_take_less_than_half_of_two_cards_of_24_gb(large):
    _, subject = large
    places = memory.places(subject.model, torch.bfloat16, {0: "11GiB", 1: "11GiB"})
    assert set(places.values()) <= {0, 1}
    with pytest.raises(
        ValueError,
        match=(
            "do not hold a model of .* billion parameters, 1.* GiB in bfloat16: no room for .* "
            "parts, .* GiB"
        ),
    ):
        memory.places(subject.model, torch.bfloat16, {0: "4GiB", 1: "4GiB"})


@pytest.fixture
def small(monkeypatch):
    """The same facts with fewer and narrower layers; pictures and vocabulary keep their size."""
    facts = true_size.facts

    def shrunk(name):
        known = copy.deepcopy(facts(name))
        text = {
            "hidden_size": 64,
            "intermediate_size": 96,
            "num_hidden_layers": 3,
            "num_attention_heads": 4,
            "num_key_value_heads": 2,
            "max_window_layers": 3,
        }
        known["config"]["text_config"] |= text
        if "mrope_section" in known["config"]["text_config"].get("rope_parameters", {}):
            known["config"]["text_config"]["rope_parameters"]["mrope_section"] = [2, 3, 3]
        vision = {"hidden_size": 32, "intermediate_size": 48}
        vision |= (
            {"depth": 2, "num_heads": 2, "out_hidden_size": 64, "fullatt_block_indexes": [1]}
            if name == "qwen2.5-vl"
            else {"num_hidden_layers": 2, "num_attention_heads": 2}
        )
        known["config"]["vision_config"] |= vision
        return known

    monkeypatch.setattr(true_size, "facts", shrunk)
    monkeypatch.setattr(
        true_size.AutoProcessor,
        "from_pretrained",
        lambda *_, **__: (_ for _ in ()).throw(OSError("not on this machine")),
    )


@every_model
def test_the_same_code_makes_a_small_one_whole(name, small):
    one, same = (
        arb.load(name, weights="random", device="cpu", dtype=torch.float32) for _ in range(2)
    )
    assert one.revision == "random-0"
    assert all(
        torch.equal(a, b)
        for a, b in zip(
            one.model.state_dict().values(), same.model.state_dict().values(), strict=True
        )
    )
    known = true_size.facts(name)
    other = true_size.filled(
        true_size.empty(known, one.tokenizer, torch.float32), {"": "cpu"}, seed=1
    )
    assert not torch.equal(one.unembedding, other.lm_head.weight)
    assert all(value.isfinite().all() for value in one.model.state_dict().values())
    # Against the plain way, which makes the model on the processor at once: what is not drawn at
    # random must be the same, buffers above all.
    plain = type(one.model)(one.model.config)
    assert all(
        torch.equal(a, b)
        for (_, a), (_, b) in zip(one.model.named_buffers(), plain.named_buffers(), strict=True)
    )
    assert all(
        torch.equal(a, b)
        for (key, a), (_, b) in zip(
            one.model.named_parameters(), plain.named_parameters(), strict=True
        )
        if "norm" in key
    )
    assert 0.5 < one.unembedding.std() / plain.lm_head.weight.std() < 2


def test_parts_in_several_places_are_filled_too(small):
    """As `device="auto"` does it: accelerate's own plan for two cards, here with the processor in
    place of both.
    """
    known = true_size.facts("internvl3")
    tokenizer = true_size.stand_in(known).tokenizer
    one, two = (true_size.empty(known, tokenizer, torch.float32) for _ in range(2))
    size = sum(parameter.numel() * 4 for parameter in one.parameters())
    places = memory.places(one, torch.float32, {0: size, 1: 2 * size})
    assert set(places.values()) == {0, 1}
    split = true_size.filled(one, dict.fromkeys(places, "cpu"))
    whole = true_size.filled(two, {"": "cpu"})
    for a, b in (
        (split.named_parameters(), whole.named_parameters()),
        (split.named_buffers(), whole.named_buffers()),
    ):
        assert all(
            key == other and torch.equal(x, y) for (key, x), (other, y) in zip(a, b, strict=True)
        )


@pytest.mark.parametrize(
    "name",
    [
        "qwen2.5-vl",
        *(pytest.param(name, marks=pytest.mark.slow) for name in ("internvl3", "llava-1.5")),
    ],
)
def test_a_notebook_runs_on_a_small_one(name, small, tmp_path, monkeypatch):
    honest = load_.load

    def load(name, weights):
        return honest(name, weights, device="cpu")

    numbers = run_here(
        "sec3_beliefs",
        tmp_path,
        monkeypatch,
        load,
        model=name,
        weights="random",
        n=2,
        only_following=False,
    )
    assert numbers and (tmp_path / "out" / name / "tables" / "beliefs.parquet").is_file()


def test_an_unknown_size_is_refused():
    with pytest.raises(
        ValueError,
        match="the true size of 'gemma-3' is not recorded; known: internvl3, llava-1.5, qwen2.5-vl",
    ):
        arb.load("gemma-3", weights="random")
