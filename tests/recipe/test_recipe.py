"""The training recipe at toy size: what it shows, what it closes, and that it learns, saves and
resumes.
"""

import json
import math
from random import Random

import pytest
import torch
from safetensors.torch import load_file
from transformers import LlavaProcessor

import arbitration as arb
from arbitration.models import embedded
from recipe import align, build, evaluate, lowrank, train
from recipe.examples import IGNORED, Example, encode_examples, example, training_batch
from recipe.mask import closed
from recipe.render import SCENES, Item, Scene, icons, render

PLAIN = (0.5,) * 7


@pytest.fixture(scope="module")
def processor():
    return LlavaProcessor.from_pretrained(embedded.MODELS)


def encoded(processor, examples, **options):
    return encode_examples(examples, processor.tokenizer, processor.image_token, 36, **options)


def decoded(processor, ids, mask):
    return processor.tokenizer.decode(ids[mask]).replace(processor.image_token, "#")


def test_labels_cues_and_the_rest_are_where_they_should_be(processor):
    said = Example(
        "color",
        Scene((), PLAIN),
        "The hat is red.",
        "Use the image. What color is the hat?",
        "blue",
        "red",
    )
    longer = Example(
        "color",
        Scene((), PLAIN),
        "It is late. The hat is red.",
        "What color is the hat? Use the text.",
        "red",
        "blue",
    )
    inputs, cue, late = encoded(processor, [said, longer])
    labels = inputs["labels"]
    for each, ids, row_labels, row_cue, row_late in zip(
        (said, longer), inputs["input_ids"], labels, cue, late
    ):
        assert decoded(processor, ids, row_labels != IGNORED) == f" {each.answer}<|im_end|>"
        assert decoded(processor, ids, row_cue).replace("\n", "") == "#" * 36 + each.context
        assert decoded(processor, ids, row_late) == f"\nASSISTANT: {each.answer}<|im_end|>"
    assert inputs["attention_mask"].sum(1).tolist() == [
        (row != 2).sum() + 1 for row in inputs["input_ids"]
    ]


def test_prompts_are_those_of_the_book(processor):
    subject = arb.Subject("smol", build.toy(0)[0], processor, "toy", chat=False)
    sample = arb.dataset.load("scenes", split="held")[5]
    for side in ("vision", "text"):
        prompt = subject.encode(sample, side)
        same = Example(
            "",
            Scene((), PLAIN),
            sample.context,
            f"{sample.instruction(side)} {sample.question}",
            "",
        )
        inputs, _, _ = encoded(processor, [same], answers=False)
        assert torch.equal(inputs["input_ids"], prompt.inputs["input_ids"])


def test_pictures_are_the_processors_own(processor):
    """A drawn picture and the stored file, through transformers' processor, differ by the file's
    rounding alone.
    """
    sample = arb.dataset.load("scenes", split="held")[0]
    record = next(line for line in _records() if line["id"] == sample.id)
    inputs, _, _ = encoded(processor, [Example("", Scene.from_record(record), "", "", "")])
    stored = (
        arb.Subject("smol", build.toy(0)[0], processor, "toy", chat=False)
        .encode(sample, "text")
        .inputs["pixel_values"]
    )
    assert (inputs["pixel_values"] - stored).abs().max() <= 2 * (0.5 + 1e-3) / 255


def _records():
    return [
        json.loads(line)
        for line in (SCENES / "samples.jsonl").read_text(encoding="utf-8").splitlines()
    ]


def test_closed_edges_by_hand():
    """Four tokens and one of padding: cue, request, late, late."""
    flags = {"there": [1, 1, 1, 1, 0], "cue": [1, 0, 0, 0, 0], "late": [0, 0, 1, 1, 0]}
    mask = closed(*(torch.tensor([values], dtype=torch.bool) for values in flags.values()))
    assert mask[0, 0].int().tolist() == [
        [1, 0, 0, 0, 0],
        [1, 1, 0, 0, 0],
        [0, 1, 1, 0, 0],
        [0, 1, 1, 1, 0],
        [1, 1, 1, 1, 1],
    ]


def test_closed_edges_leave_only_the_request_as_a_way(processor):
    """With one layer nothing of the picture reaches what follows the request; with two it arrives
    through the request.
    """
    pictures = [Scene((Item(0, row, 0.5, 0.5, 0.6),), PLAIN) for row in (11, 59)]
    shown = [Example("", scene, "Hello.", "Which animal is this?", "cat") for scene in pictures]
    inputs, cue, late = encoded(processor, shown)
    del inputs["labels"]
    there = inputs["attention_mask"].bool()
    for layers in (1, 2):
        model, _ = build.toy(0)
        model.model.language_model.layers = model.model.language_model.layers[:layers]
        for masked in (True, False):
            mask = closed(there, cue, late if masked else late & False)
            with torch.no_grad():
                hidden = model.model(**inputs | {"attention_mask": mask}).last_hidden_state
            # Rows at different places of one product: equal but for rounding.
            moved = (hidden[0][late[0]] - hidden[1][late[1]]).abs().max()
            assert moved < 1e-5 if masked and layers == 1 else moved > 1e-4


def test_patches_are_told_what_lies_on_them():
    row = {
        word: rows for group in ("animal",) for word, rows in icons()["concepts"][group].items()
    }["zebra"][0][0]
    words, _ = align.icon_words()
    labels = align.patch_words([Scene((Item(0, row, 0.25, 0.25, 0.5),), PLAIN)], 6, Random(0)).view(
        6, 6
    )
    assert words[labels[0, 0]] == "zebra"
    assert (labels == labels[0, 0]).nonzero().tolist() == [
        [i, j] for i in range(3) for j in range(3)
    ]
    assert (labels == align.NOTHING).sum() == 27


def test_alignment_loss_by_hand():
    words = torch.eye(2)
    seen = torch.tensor([[[1.0, 0.0], [0.0, 3.0]]])
    loss = align.alignment_loss(seen, torch.tensor([[0, align.NOTHING]]), words)
    assert loss.item() == pytest.approx(math.log(1 + math.exp(-1)) + 0.05 * (0 + 4) / 2, abs=1e-6)


def test_a_vision_tower_can_learn_the_words():
    model, processor = build.toy(0)
    words = align.vocabulary_embeddings(model, processor.tokenizer)
    scenes = [each.scene for each in training_batch(Random(0), 12) if each.scene.items]
    labels = align.patch_words(scenes, 6, Random(0))
    pictures = render(scenes)
    optimizer = torch.optim.AdamW(
        [*model.model.vision_tower.parameters(), *model.model.multi_modal_projector.parameters()],
        lr=1e-2,
    )
    losses = []
    for _ in range(60):
        loss = align.alignment_loss(align.patch_outputs(model, pictures), labels, words)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.6 * losses[0]


def toy_recipe(**changes):
    return train.Recipe(**train.TOY | {"align_steps": 2, "save_every": 5, "steps": 12} | changes)


def weights(model):
    return {
        name: value.clone()
        for name, value in model.state_dict().items()
        if "lora_" in name or "vision" in name
    }


def test_training_learns_only_the_parts_it_ships(tmp_path):
    model, processor = build.toy(1)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    recipe = toy_recipe(steps=30)
    with torch.no_grad():
        untrained = train._answers(model, processor, recipe, 10**6, "cpu").item()
    log = train.train(model, processor, recipe, tmp_path)
    with torch.no_grad():
        trained = train._answers(model, processor, recipe, 10**6, "cpu").item()
    assert [stage for stage, _, _ in log] == ["align"] * 2 + ["answer"] * 30
    assert trained < 0.75 * untrained
    after = {
        name.replace("parametrizations.weight.original", "weight"): value
        for name, value in model.state_dict().items()
    }
    moved = {name for name, value in before.items() if not torch.equal(after[name], value)}
    assert all("vision_tower" in name or "projector" in name for name in moved) and moved
    assert all(
        value.abs().sum() > 0
        for name, value in lowrank.deltas(model).items()
        if name.endswith("lora_B")
    )


def test_what_is_saved_is_what_was_trained(tmp_path):
    model, processor = build.toy(1)
    base = {name: value.clone() for name, value in model.model.language_model.state_dict().items()}
    train.train(model, processor, toy_recipe(), tmp_path)
    build.save_parts(model, tmp_path)
    adapter, vision = (
        load_file(tmp_path / "adapter.safetensors"),
        load_file(tmp_path / "vision.safetensors"),
    )
    again = embedded.assemble(model.config, base, adapter, lowrank.SCALE, embedded.unpacked(vision))
    layer = "layers.1.self_attn.o_proj"
    own = model.model.language_model.get_submodule(layer).weight
    # float16 has 11 significant bits; the delta is a sum of rank products of two rounded numbers.
    a, b = (adapter[f"{layer}.lora_{x}"].float().abs() for x in "AB")
    assert (
        (own - again.model.language_model.get_submodule(layer).weight).abs()
        <= 2.0 * (b @ a) * 2**-10 + 1e-6
    ).all()
    patch = "vision_tower.embeddings.patch_embedding.weight"
    step = vision[f"{patch}.scale"].float().view(-1, 1, 1, 1)
    moved = (model.model.state_dict()[patch] - again.model.state_dict()[patch]).abs()
    assert (moved <= step * (0.5 + 1e-3)).all()


def test_an_interrupted_run_ends_where_an_uninterrupted_one_does(tmp_path, monkeypatch):
    model, processor = build.toy(1)
    train.train(model, processor, toy_recipe(), tmp_path / "whole")
    whole = weights(model)

    answers = train._answers

    def failing(model, processor, recipe, step, device):
        if step == 7:
            raise KeyboardInterrupt
        return answers(model, processor, recipe, step, device)

    monkeypatch.setattr(train, "_answers", failing)
    with pytest.raises(KeyboardInterrupt):
        train.train(build.toy(1)[0], processor, toy_recipe(), tmp_path / "halves")
    monkeypatch.undo()
    again, _ = build.toy(1)
    log = train.train(again, processor, toy_recipe(), tmp_path / "halves")
    assert [(stage, step) for stage, step, _ in log] == [("answer", step) for step in range(5, 12)]
    resumed = weights(again)
    assert all(torch.allclose(resumed[name], value, atol=1e-5) for name, value in whole.items())


def test_the_relay_trains_with_its_edges_closed(processor):
    """The picture reaches a one-layer model's answer in free training and not in the relay's: no
    gradient.
    """
    model, _ = build.toy(0)
    model.model.language_model.layers = model.model.language_model.layers[:1]
    projector = model.model.multi_modal_projector.linear_2.weight
    for relay in (False, True):
        model.zero_grad()
        train._answers(model, processor, toy_recipe(relay=relay, batch=4), 0, "cpu").backward()
        assert (projector.grad.abs().max() == 0) == relay


def test_the_mixture_is_the_promised_one():
    """Agreeing and conflicting texts state something, one in eight pictures is empty; counted in
    2,000 examples.
    """
    batch = training_batch(Random(0), 2000)
    share = sum(not each.scene.items for each in batch) / 2000
    assert abs(share - 0.13) < 3 * math.sqrt(0.13 * 0.87 / 2000)
    share = sum(bool(each.other) for each in batch) / 2000
    assert abs(share - 0.55) < 3 * math.sqrt(0.55 * 0.45 / 2000)


def test_first_tokens_do_not_depend_on_their_batch():
    model, processor = build.toy(3)
    for weight in model.model.language_model.layers.parameters():
        weight.data *= 20  # small random layers would say the same to everything
    asked = [example(Random(seed), "conflict") for seed in range(6)]
    alone = evaluate.first_tokens(model, processor, asked, batch=1)
    assert evaluate.first_tokens(model, processor, asked, batch=4) == alone
    assert len(set(alone)) > 1


def test_scores_count_right_and_competing_answers(monkeypatch, processor):
    said = [Example("color", Scene((), PLAIN), "", "", "red", "blue")] * 3 + [
        Example("color", Scene((), PLAIN), "", "", "red")
    ]
    red, blue, other = (
        processor.tokenizer(f" {word}")["input_ids"][0] for word in ("red", "blue", "seven")
    )
    monkeypatch.setattr(evaluate, "first_tokens", lambda *_: [red, blue, other, blue])
    table = evaluate.scored(None, processor, said)
    assert table.exact.tolist() == [True, False, False, False]
    assert table.competitor.tolist() == [False, True, False, False]


def test_the_toy_runs_as_a_command(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(
        "sys.argv", ["recipe.train", "--model", "smol-relay", "--out", str(tmp_path)]
    )
    monkeypatch.setattr(train, "TOY", train.TOY | {"align_steps": 1, "steps": 1})
    train.main()
    assert (
        tmp_path / "smol-relay-toy" / "adapter.safetensors"
    ).exists() and "trained parts in" in capsys.readouterr().out


@pytest.mark.skipif(torch.cuda.is_available(), reason="with a GPU the full size is allowed")
def test_full_size_without_a_gpu_is_refused_before_work_starts(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("sys.argv", ["recipe.train", "--full", "--out", str(tmp_path)])
    with pytest.raises(SystemExit):
        train.main()
    assert "--full needs a GPU" in capsys.readouterr().err and not list(tmp_path.iterdir())
