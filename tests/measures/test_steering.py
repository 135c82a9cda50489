"""Steering any prompt: heads scaled in the prompt and at every generated token, against a plain way
that knows no cache; and what a reader is shown.
"""

import copy
from contextlib import nullcontext
from dataclasses import replace
from types import SimpleNamespace

import pandas as pd
import pytest
import torch

import tiny
from arbitration import Head, Pathway, TokenGroups, knockout, scale_heads
from arbitration.dataset import entities
from arbitration.dataset.own import own_conflict
from arbitration.engine.plain import next_token_logits
from arbitration.equations import heads
from arbitration.equations.hooks import hooks
from reproduction import figures, measures, numbers
from reproduction.cohorts import strangers
from reproduction.measures import steering
from reproduction.numbers import steer

CHOSEN = [Head(1, 2), Head(1, 4), Head(3, 0), Head(4, 5)]
STEPS = {"max_new_tokens": 6, "min_new_tokens": 6, "pad_token_id": 2}


def case(architecture="llava", number=0, following="vision"):
    subject = tiny.subject(architecture)
    return subject, subject.encode(tiny.samples()[number], following)


def by_hand(subject, factor):
    """Hooks of another make: the columns of W_O's input that are a chosen head's, times the factor,
    at every position that is given to it.
    """

    def scale(layer):
        def hook(module, args):
            value, width = args[0].clone(), args[0].shape[-1] // subject.n_heads
            for head in CHOSEN:
                if head.layer == layer:
                    value[..., head.index * width : (head.index + 1) * width] *= factor
            return (value,)

        return hook

    return hooks(
        [
            subject.output_projection(layer).register_forward_pre_hook(scale(layer))
            for layer in {head.layer for head in CHOSEN}
        ]
    )


@torch.no_grad()
def without_cache(subject, prompt, factor) -> list[int]:
    """Greedy tokens, the whole sequence computed anew for each."""
    inputs, found = dict(prompt.inputs), []
    for _ in range(STEPS["max_new_tokens"]):
        with by_hand(subject, factor):
            logits = subject.model(**inputs, use_cache=False).logits[0, -1]
        logits[2] = -torch.inf  # the end token, which may not come yet
        found.append(logits.argmax().item())
        length = inputs["input_ids"].shape[1]
        more = {"input_ids": found[-1], "attention_mask": 1}
        inputs = {
            key: torch.cat([value, value.new_tensor([[more.get(key, 0)]])], 1)
            if value.shape == (1, length)
            else value
            for key, value in inputs.items()
        }
    return found


@pytest.mark.parametrize("architecture", tiny.ARCHITECTURES)
def test_prompt_and_every_generated_token_are_scaled(architecture):
    subject, prompt = case(architecture)
    with scale_heads(subject, CHOSEN, 3.0, generated=True):
        steered = subject.model.generate(**prompt.inputs, do_sample=False, **STEPS)
    with scale_heads(subject, CHOSEN, 3.0):
        prompt_alone = subject.model.generate(**prompt.inputs, do_sample=False, **STEPS)
    assert steered[0, prompt.groups.length :].tolist() == without_cache(subject, prompt, 3.0)
    assert steered[0, prompt.groups.length :].tolist() != without_cache(subject, prompt, 1.0)
    assert not torch.equal(steered, prompt_alone), "the generated tokens matter here"


@pytest.mark.parametrize(
    "options",
    [
        {"num_beams": 3, "num_return_sequences": 2, "do_sample": False},
        {"do_sample": True, "num_return_sequences": 3},
        {"do_sample": True, "num_beams": 2},
    ],
    ids=["beams", "samples", "sampled beams"],
)
def test_beams_and_samples_are_scaled_too(options):
    subject, prompt = case()

    def generated(**more):
        torch.manual_seed(0)
        return subject.model.generate(**prompt.inputs, **options, **STEPS, **more)

    with scale_heads(subject, CHOSEN, 3.0, generated=True):
        steered = generated()
    with by_hand(subject, 3.0):
        assert torch.equal(steered, generated(use_cache=False))
    assert not torch.equal(steered, generated())


def test_a_batch_of_prompts_of_different_length_is_each_alone():
    subject, prompt = case(number=0)
    _, other = case(number=1, following="text")
    short, long = sorted((prompt, other), key=lambda one: one.groups.length)
    assert (missing := long.groups.length - short.groups.length) > 0
    padded = {
        "input_ids": torch.nn.functional.pad(short.inputs["input_ids"], (missing, 0), value=2),
        "attention_mask": torch.nn.functional.pad(short.inputs["attention_mask"], (missing, 0)),
        "pixel_values": short.inputs["pixel_values"],
    }
    both = {key: torch.cat([value, long.inputs[key]]) for key, value in padded.items()}
    with scale_heads(subject, CHOSEN, 3.0, generated=True):
        together = subject.model.generate(**both, do_sample=False, **STEPS)[
            :, long.groups.length :
        ].tolist()
        twice = subject.model.generate(**both, do_sample=False, **STEPS)[
            :, long.groups.length :
        ].tolist()
    assert together == twice == [without_cache(subject, one, 3.0) for one in (short, long)]


#: Ways of generating that give plain greedy decoding's text in other passes.
MODES = {
    "assistant": lambda: {"assistant_model": tiny.subject("llava", seed=1).model},
    "itself as assistant": lambda: {"assistant_model": copy.deepcopy(tiny.subject("llava").model)},
    "drafts from the prompt": lambda: {"prompt_lookup_num_tokens": 3, "max_matching_ngram_size": 1},
    "prompt in chunks": lambda: {"prefill_chunk_size": 7},
    "last chunk of one token": lambda: {"prefill_chunk_size": 13},
    "no cache": lambda: {"use_cache": False},
    "static cache": lambda: {"cache_implementation": "static"},
}


def repeating(subject, words=40):
    """Token ids alone (raw pictures cannot be cut into chunks) that say the same again and again,
    so that drafts are found in them.
    """
    torch.manual_seed(3)
    ids = torch.randint(10, 400, (1, 8)).repeat(1, words // 8)
    return SimpleNamespace(
        inputs={"input_ids": ids, "attention_mask": torch.ones_like(ids)}, length=ids.shape[1]
    )


def in_passes(subject, inputs, intervention, **options):
    """Tokens of `generate` under an intervention, and how many rows and earlier positions each pass
    has.
    """
    passes = []

    def count(module, args, kwargs):
        past = kwargs.get("past_key_values")
        passes.append(
            (
                kwargs["hidden_states"].shape[1],
                0 if past is None else int(past.get_seq_length(module.layer_idx)),
            )
        )

    with (
        intervention(),
        hooks([subject.attention(0).register_forward_pre_hook(count, with_kwargs=True)]),
    ):
        found = subject.model.generate(**inputs, do_sample=False, **STEPS, **options)
    return found[0].tolist(), passes


@pytest.mark.parametrize("generated", [False, True])
@pytest.mark.parametrize("where", ["everywhere", "some"])
@pytest.mark.parametrize("mode", MODES)
def test_another_way_of_generating_gives_the_same_text(mode, where, generated):
    subject = tiny.subject("llava")
    prompt = repeating(subject)
    positions = None if where == "everywhere" else torch.tensor([2, 9, 10, prompt.length - 1])
    change = lambda: scale_heads(subject, CHOSEN, 4.0, positions, generated)
    expected, plainly = in_passes(subject, prompt.inputs, change)
    found, passes = in_passes(subject, prompt.inputs, change, **MODES[mode]())
    assert found == expected
    assert expected != in_passes(subject, prompt.inputs, nullcontext)[0], (
        "the intervention says something else"
    )
    assert passes != plainly or mode == "static cache", "the mode cuts the sequence in other passes"
    assert "generate" not in vars(subject.model)


@pytest.mark.parametrize(
    "pathway", [Pathway("vision", "last"), Pathway("context", "instruction")], ids=str
)
@pytest.mark.parametrize("mode", [mode for mode in MODES if mode != "static cache"])
def test_knockout_under_another_way_of_generating_gives_the_same_text(mode, pathway):
    subject = tiny.subject("llava")
    ids = repeating(subject)
    spread = torch.arange(ids.length)
    groups = TokenGroups(
        vision=spread[3:6],
        context=spread[6:14],
        instruction=spread[16:-2],
        last=spread[-1:],
        template=torch.cat([spread[:3], spread[14:16], spread[-2:-1]]),
        modality=spread[16:18],
        question=spread[18:20],
        constraint=spread[20:-2],
    )
    prompt = SimpleNamespace(id="ids", groups=groups)
    change = lambda: knockout(subject, prompt, [pathway], range(1, 5))
    expected, plainly = in_passes(subject, ids.inputs, change)
    found, passes = in_passes(subject, ids.inputs, change, **MODES[mode]())
    assert found == expected and passes != plainly
    assert expected != in_passes(subject, ids.inputs, nullcontext)[0], (
        "the intervention says something else"
    )
    with pytest.raises(ValueError, match="without cache_implementation='static'"):
        in_passes(subject, ids.inputs, change, **MODES["static cache"]())


@pytest.mark.parametrize("architecture", tiny.ARCHITECTURES)
@pytest.mark.parametrize("generated", [False, True])
def test_drafts_behind_a_picture(architecture, generated):
    subject, prompt = case(architecture)
    for positions in (None, prompt.groups.instruction):
        change = lambda: scale_heads(subject, CHOSEN, 3.0, positions, generated)
        expected, _ = in_passes(subject, prompt.inputs, change)
        found, passes = in_passes(
            subject, prompt.inputs, change, prompt_lookup_num_tokens=3, max_matching_ngram_size=1
        )
        assert found == expected


def test_tokens_of_which_nobody_knows_whether_they_are_prompt_are_refused():
    subject = tiny.subject("llava")
    ids = repeating(subject).inputs["input_ids"]

    @torch.no_grad()
    def continued(positions, generated):
        with scale_heads(subject, CHOSEN, 3.0, positions, generated):
            begun = subject.model(input_ids=ids[:, :20], use_cache=True)
            return subject.model(
                input_ids=ids[:, 20:], past_key_values=begun.past_key_values
            ).logits[0, -1]

    some = torch.tensor([3, 30])
    for positions, generated in ((None, False), (some, True)):
        with pytest.raises(
            ValueError, match="20 tokens go on from 20 in the cache.*call the model's `generate`"
        ):
            continued(positions, generated)
    for positions, generated in ((None, True), (some, False)):
        with torch.no_grad(), scale_heads(subject, CHOSEN, 3.0, positions):
            whole = subject.model(input_ids=ids, use_cache=False).logits[0, -1]
        torch.testing.assert_close(continued(positions, generated), whole, rtol=0, atol=1e-10)


@pytest.mark.parametrize("positions", [[-1], [3, 40]])
def test_positions_outside_of_the_prompt_are_refused(positions):
    subject = tiny.subject("llava")
    inputs = repeating(subject).inputs
    with scale_heads(subject, CHOSEN, 3.0, torch.tensor(positions)):
        for run in (
            lambda: subject.model(**inputs, use_cache=False),
            lambda: subject.model.generate(**inputs, **STEPS),
        ):
            with pytest.raises(ValueError, match=r"are outside of the prompt's 0\.\.39"):
                run()
    assert "generate" not in vars(subject.model)


def test_rows_of_positions_belong_to_prompts_and_not_to_beams():
    subject, prompt = case()
    inputs = {key: torch.cat([value] * 2) for key, value in prompt.inputs.items()}
    places, seen = torch.tensor([[20], [40]]), []
    with scale_heads(subject, [Head(1, 1)], 0.0, places):
        with hooks(
            [
                subject.output_projection(1).register_forward_pre_hook(
                    lambda module, args: seen.append(args[0])
                )
            ]
        ):
            subject.model.generate(**inputs, num_beams=2, do_sample=False, **STEPS)
    zero = (seen[0].unflatten(-1, (subject.n_heads, -1))[:, :, 1] == 0).all(-1)
    assert zero.nonzero().tolist() == [[0, 20], [1, 20], [2, 40], [3, 40]]
    with (
        scale_heads(subject, [Head(1, 1)], 0.0, torch.tensor([[20], [30], [40]])),
        pytest.raises(ValueError, match="3 rows of positions for a batch of 2"),
    ):
        subject.model(**inputs, use_cache=False)


def steered(place, draws=2, architecture="llava"):
    subject, prompt = case(architecture)
    dictionary = entities.load("scenes")
    others = [
        subject.encode(sample, way) for sample in tiny.samples()[1:3] for way in ("text", "vision")
    ]
    orders = measures.heads.rank_heads(
        pd.concat([measures.heads.score_heads(subject, one, dictionary) for one in others])
    )
    sets = steering.list_steered_sets(subject, prompt, orders, 0.1, [0.0, 3.0], draws, 4, place)
    effects = steering.measure_effects(subject, sets, prompt, dictionary, place)
    return subject, prompt, orders, pd.concat(effects, ignore_index=True)


@pytest.mark.parametrize("place", steering.PLACES)
def test_effects_are_those_of_the_heads_scaled(place):
    subject, prompt, orders, table = steered(place)
    assert table["heads"].value_counts().to_dict() == {
        "none": 1,
        "eq12": 2,
        "sensitivity": 2,
        "eq12 matched": 4,
        "sensitivity matched": 4,
    }
    everywhere = place == "everywhere"
    at, count = "both" if everywhere else "instruction", heads.share_count(subject.total_heads, 0.1)
    ranked = orders["eq12", at, "vision"][:count]
    felt = orders["sensitivity", at, "vision"][:count]
    assert set(felt) != set(orders["sensitivity", "last", "vision"][:count])
    positions = None if everywhere else prompt.groups.instruction
    for chosen, factor, row in (
        (ranked, 3.0, ("eq12", 0)),
        (felt, 3.0, ("sensitivity", 0)),
        (heads.layer_matched_heads(subject, ranked, 5), 3.0, ("eq12 matched", 1)),
        ([], 1.0, ("none", 0)),
    ):
        with scale_heads(subject, chosen, factor, positions, generated=everywhere):
            logits = next_token_logits(subject, prompt)[0]
            [ids] = subject.model.generate(
                **prompt.inputs, max_new_tokens=prompt.room, do_sample=False
            )
        found = table[
            (table["heads"] == row[0]) & (table["draw"] == row[1]) & (table["factor"] == factor)
        ].iloc[0]
        assert found["lead"] == pytest.approx(
            (logits[prompt.y_p] - logits[prompt.y_c]).item(), abs=1e-5
        )
        assert found["answer"] == subject.tokenizer.decode(
            ids[prompt.groups.length :], skip_special_tokens=True
        )
        assert found["count"] == len(chosen)
    with pytest.raises(
        ValueError, match="unknown place 'context'; choose one of everywhere, instruction"
    ):
        steering.list_steered_sets(subject, prompt, orders, 0.1, [0.0], 1, 0, "context")


def test_the_control_of_the_signals_is_other_samples_answers():
    subject, prompt = case()
    dictionary, samples = entities.load("scenes"), list(tiny.samples(64))
    others = strangers.draw_strangers(dictionary, prompt.sample, samples, 3, seed=0)
    assert {other.task for other in others} == {prompt.sample.task} and len(
        {other.id for other in others}
    ) == 3
    words = {prompt.sample.answer_vision, prompt.sample.answer_text}
    assert not any({other.answer_vision, other.answer_text} & words for other in others)
    assert others != strangers.draw_strangers(dictionary, prompt.sample, samples, 3, seed=1)
    every = strangers.draw_strangers(dictionary, prompt.sample, samples, 64, seed=0)
    assert len({other.task for other in every}) > 1 and [
        other.task == prompt.sample.task for other in every
    ] == sorted((other.task == prompt.sample.task for other in every), reverse=True)
    assert strangers.draw_strangers(dictionary, prompt.sample, samples[:1], 3, seed=0) == []
    table = steering.trace_decision(subject, prompt, dictionary, others)
    kinds = table.groupby(["positions", "dictionary"])["draw"].nunique().to_dict()
    assert kinds == {
        (place, kind): number
        for place in ("instruction", "last")
        for kind, number in (("own", 1), ("shuffled", 3))
    }
    assert len(table) == (subject.n_layers + 1) * 2 * 4
    assert table[table["dictionary"] == "shuffled"].groupby("draw")["phi_f"].sum().nunique() == 3
    figure = figures.fig_steer(table, steered("instruction")[3])
    assert len(figure.axes) == 3 and "1 prompt, 2 random sets each" in figure.axes[2].get_title(
        "right"
    )
    name = "$$ \\frac{a} $x_{^$"
    assert (
        name
        in figures.fig_steer(table, steered("instruction")[3].assign(sample=name)).get_suptitle()
    ), "drawn as it is"


def test_a_reader_sees_each_set_beside_its_draws():
    rows = [
        ("none", 0, 1.0, 2.0, "red"),
        ("eq12", 0, 0.0, -1.0, "blue"),
        *(
            ("eq12 matched", draw, 0.0, lead, answer)
            for draw, (lead, answer) in enumerate(
                [(1.5, "red"), (5.5, "red"), (-1.0, "blue"), (2.0, "red")]
            )
        ),
    ]
    table = pd.DataFrame(rows, columns=["heads", "draw", "factor", "lead", "answer"]).assign(
        count=3, outcome="follow"
    )
    shown = steer.set_beside_draws(table).set_index("heads")
    assert shown.loc["eq12", ["draws", "lowest", "highest", "beyond", "answers"]].tolist() == [
        4,
        -1.0,
        5.5,
        2,
        "'red' 3, 'blue' 1",
    ]
    assert shown.loc["none", "draws"] == 0
    assert numbers.summarise_steer(table) == {
        "lead_none": 2.0,
        "answer_none": "red",
        "lead_eq12_blocked": -1.0,
        "answer_eq12_blocked": "blue",
        "beyond_eq12_blocked": 2.0,
        "n_draws": 4.0,
    }


def test_an_instruction_of_one_s_own_is_what_the_model_reads():
    subject = tiny.subject("llava")
    sample = own_conflict(tiny.samples(1)[0], instruction="Believe your eyes.")
    for following, answers in (
        ("vision", sample.answers("vision")),
        ("text", sample.answers("text")),
    ):
        prompt = subject.encode(sample, following)
        read = subject.tokenizer.decode(prompt.inputs["input_ids"][0, prompt.groups.modality])
        assert read.split() == ["Believe", "your", "eyes."], read
        assert prompt.sample.answers(prompt.following) == answers


def test_a_conflict_of_one_s_own(tmp_path):
    scene, other = tiny.samples(2)
    assert own_conflict(scene) is scene
    own = own_conflict(
        scene, image=other.image, question="Which?", answers=["zebra crossing", "dog"]
    )
    assert own == replace(
        scene,
        id="own",
        task="own",
        split="own",
        image=other.image,
        question="Which?",
        answer_vision="zebra crossing",
        answer_text="dog",
    )
    told = own_conflict(scene, instruction="Believe your eyes.")
    assert told == replace(
        scene,
        id="own",
        instruction_vision="Believe your eyes.",
        instruction_text="Believe your eyes.",
    )
    known = entities.knowing(entities.load("scenes"), own)
    assert known.forms("zebra crossing", "own") == ("zebra crossing",)
    assert known.forms("dog", "own")[:2] == ("dog", "domestic dog"), (
        "a word that the dictionary has keeps its forms"
    )
    with pytest.raises(ValueError, match=r"context given, and answers=\[\]; also say both answers"):
        own_conflict(scene, context="It is blue.")
    with pytest.raises(ValueError, match="'A pear' and 'pear' are the same"):
        own_conflict(scene, question="Which?", answers=["A pear", "pear"])
    with pytest.raises(FileNotFoundError, match="there is no picture 'none.png'"):
        own_conflict(scene, image="none.png", answers=["apple", "pear"])


def test_a_picture_that_cannot_be_read_is_refused(tmp_path):
    scene = tiny.samples()[0]
    (tmp_path / "page.png").write_text("<html>not found</html>", encoding="utf-8")
    with pytest.raises(
        ValueError,
        match="image '.*page.png': .*cannot be read as a picture .*; give another picture",
    ):
        own_conflict(scene, image=str(tmp_path / "page.png"), answers=["apple", "pear"])
    with pytest.raises(ValueError, match="answers: 'apple' and 'An apple' are the same answer"):
        own_conflict(scene, answers=["apple", "An apple"])
