"""Known answers: from models whose mechanism was written down, every measure must name just that,
with the value that it must have.

What must be zero is held to ZERO, not to 0: the derivative of a norm sees every channel, and the
decoys' at some 1e-13 beside the loud one. The smallest value that a plant must show is above 1e-3.
"""

import copy
import functools
import math
import re

import pandas as pd
import pytest
import torch

from arbitration import Head, head_attribution, knockout_sweep, scale_heads, trace
from arbitration.checks import planted, planted_prompts
from arbitration.checks.planted import GATE, HABIT, HEADS, LAYERS, PLANTS, STRENGTH
from arbitration.dataset import MODALITIES
from arbitration.engine import generation
from arbitration.equations import heads, metrics
from arbitration.equations.attribution import head_writes
from arbitration.equations.sensitivity import gain_gradients
from arbitration.files import folders
from arbitration.models.subject import Subject
from reproduction import measures
from reproduction.cohorts import strangers
from reproduction.measures import answers, beliefs, components

ZERO = 1e-9
EVERY_HEAD = [Head(layer, index) for layer in range(LAYERS) for index in range(HEADS)]
DICTIONARY = planted_prompts.dictionary()
SAMPLES = planted_prompts.samples()[::3]
STRANGERS = strangers.borrow_answers(
    DICTIONARY, planted_prompts.samples(), planted_prompts.samples(), seed=0
)
PAGE = (folders.ROOT / "book" / "known_answers.md").read_text(encoding="utf-8")
OF = {"vision": "vision", "text": "context"}
every_plant = pytest.mark.parametrize("plant", PLANTS, ids=lambda plant: plant.name)
both_ways = pytest.mark.parametrize("way", MODALITIES)


def prompts(subject, way):
    return [planted_prompts.encode_planted(subject, sample, way) for sample in SAMPLES]


# What each plant must show: closed forms, from the plant's description alone.


def habit_of(plant, way):
    """What the habit adds to the lead of the right answer."""
    return 0.0 if plant.habit is None else HABIT if way == "text" else -HABIT


def routes(plant, way):
    """Edges by which cue, message and habit travel, each as (layer, source, target), and whether
    the decision needs them.
    """
    yield plant.fetcher(way).layer, OF[way], plant.place, True
    yield plant.messenger.layer, "instruction", "last", True
    if plant.habit:
        yield plant.habit.layer, "context", "last", False


def expected_nssd(plant, way, width):
    """Of every pathway and centre of a window that matters."""
    contains = lambda group, tokens: (
        group == tokens or (group == "text" and tokens in ("context", "instruction"))
    )
    clean, found = STRENGTH + habit_of(plant, way), {}
    for pathway in (
        "vision→text",
        "vision→last",
        "text→last",
        "context→instruction",
        "context→last",
        "vision→instruction",
        "vision→context",
        "instruction→last",
    ):
        for centre in range(LAYERS):
            shut = [
                needed
                for layer, source, target, needed in routes(plant, way)
                if abs(layer - centre) <= width // 2
                and all(map(contains, pathway.split("→"), (source, target)))
            ]
            if shut:
                lead = STRENGTH * (True not in shut) + habit_of(plant, way) * (False not in shut)
                p, q = (1 / (1 + math.exp(-value)) for value in (clean, lead))
                found[pathway, centre] = math.copysign(
                    p * math.log(p / q) + (1 - p) * math.log((1 - p) / (1 - q)), p - q
                )
    return found


def expected_attribution(plant, way):
    """Eq. 12 at the instruction tokens: the heads that write the answer there, read or not."""
    found = (
        {plant.fetcher(way): STRENGTH} if plant.place == "instruction" and plant.mlp is None else {}
    )
    return found | ({plant.echo: STRENGTH} if plant.echo else {})


def expected_sensitivity(plant, way, positions):
    """Derivative of the decision: of everything that carries it, except a messenger whose command
    opens a switch that saturates.
    """
    found = {plant.fetcher(way): STRENGTH} if plant.place == positions else {}
    if positions == "last":
        if plant.place == "instruction":
            found[plant.messenger] = STRENGTH
        elif plant.mlp is not None:  # d ln SiLU(GATE·g) / dg at g = 1
            found[plant.messenger] = STRENGTH * (1 + GATE / (1 + math.exp(GATE)))
        if plant.habit:
            found[plant.habit] = habit_of(plant, way)
    return found


def expected_silence(plant, way):
    """What the lead loses without one head: by place and head."""
    found = {(plant.place, plant.fetcher(way)): STRENGTH, ("last", plant.messenger): STRENGTH}
    return found | ({("last", plant.habit): habit_of(plant, way)} if plant.habit else {})


def expected_increments(plant, way, positions):
    """Eqs. 10 and 11: what attention and MLP of each layer add to the margin."""
    attention, mlp = [0.0] * LAYERS, [0.0] * LAYERS
    if positions == plant.place:
        (attention if plant.mlp is None else mlp)[plant.decided(way)] += STRENGTH
    elif positions == "last":
        attention[plant.messenger.layer] += STRENGTH
    if positions == "last" and plant.habit:
        attention[plant.habit.layer] += habit_of(plant, way)
    if positions == "instruction" and plant.echo:
        attention[plant.echo.layer] += STRENGTH
    return attention, mlp


# What the measures say.


def named(scores):
    """What stands out from zero in a table of samples (rows): the mean, after checking that all
    samples agree.
    """
    assert (scores.max() - scores.min()).max() < ZERO
    mean = scores.mean()
    return {key: value for key, value in mean.items() if abs(value) > ZERO}


@functools.lru_cache
def measured_nssd(plant, way, width):
    subject = planted.subject(plant)
    table = knockout_sweep(subject, prompts(subject, way), width=width, progress=False)
    assert len(table) == len(SAMPLES) * 8 * LAYERS
    return named(table.pivot(index="sample", columns=["pathway", "layer"], values="nssd"))


def measured_attribution(subject, way):
    table = head_attribution(subject, prompts(subject, way), DICTIONARY)
    found = named(table.pivot(index="sample", columns=["layer", "head"], values="margin"))
    return {Head(*key): value for key, value in found.items()}


def measured_sensitivity(subject, way, positions):
    scores = gain_gradients(subject, prompts(subject, way), positions=positions)
    return named(pd.DataFrame(scores.flatten(1).numpy(), columns=EVERY_HEAD))


def agree(found, expected):
    return found.keys() == expected.keys() and all(
        math.isclose(found[key], expected[key], rel_tol=1e-6) for key in expected
    )


@every_plant
@both_ways
def test_the_model_follows(plant, way):
    subject = planted.subject(plant)
    for sample in planted_prompts.samples():
        prompt = planted_prompts.encode_planted(subject, sample, way)
        assert generation.answers(subject, prompt) == [sample.answers(way)[0]]
        assert (
            metrics.binary_subspace(
                *trace(subject, prompt).log_probabilities[[prompt.y_p, prompt.y_c]]
            )[0].exp()
            > 0.98
        )


@every_plant
@both_ways
@pytest.mark.parametrize("width", [1, 3])
def test_knockout_names_the_paths(plant, way, width):
    assert agree(measured_nssd(plant, way, width), expected_nssd(plant, way, width))


@every_plant
@both_ways
def test_attribution_names_the_heads_that_write_the_answer(plant, way):
    assert agree(
        measured_attribution(planted.subject(plant), way), expected_attribution(plant, way)
    )


@every_plant
@both_ways
@pytest.mark.parametrize("positions", ["instruction", "last"])
def test_sensitivity_names_the_heads_that_the_decision_hangs_on(plant, way, positions):
    assert agree(
        measured_sensitivity(planted.subject(plant), way, positions),
        expected_sensitivity(plant, way, positions),
    )


@every_plant
@both_ways
@pytest.mark.parametrize("positions", ["instruction", "last"])
def test_increments_name_the_sublayer_that_arbitrates(plant, way, positions):
    subject = planted.subject(plant)
    for prompt in prompts(subject, way):
        table = components.measure_components(
            subject, prompt, DICTIONARY, STRANGERS[prompt.sample.id], positions
        )
        own, other = (table[table["dictionary"] == name] for name in ("own", "shuffled"))
        attention, mlp = expected_increments(plant, way, positions)
        assert own["attention_margin"].tolist() == pytest.approx(attention, abs=ZERO)
        assert own["mlp_margin"].tolist() == pytest.approx(mlp, abs=ZERO)
        assert other[["attention_margin", "mlp_margin"]].abs().to_numpy().max() < ZERO


@every_plant
@both_ways
def test_ldar_rises_where_the_decision_is_written(plant, way):
    """From none to all in the layer that writes it, at the place where it is written: a tie is not
    yet an alignment.
    """
    subject = planted.subject(plant)
    table = pd.concat(
        [
            beliefs.measure_beliefs(subject, prompt, DICTIONARY, STRANGERS[prompt.sample.id])
            for prompt in prompts(subject, way)
        ]
    )
    for positions in ("instruction", "last"):
        own = table[(table["dictionary"] == "own") & (table["positions"] == positions)].groupby(
            "layer"
        )
        rate = [metrics.ldar(rows["phi_f"], rows["phi_c"]) for _, rows in own]
        steps = [sum(pair) for pair in zip(*expected_increments(plant, way, positions))]
        assert rate == [0.0] + [float(sum(steps[: layer + 1]) > 0) for layer in range(LAYERS)]
    shuffled = table[table["dictionary"] == "shuffled"]
    assert shuffled[["phi_f", "phi_c"]].abs().to_numpy().max() < ZERO


@every_plant
@both_ways
def test_silencing_each_head_alone_names_what_the_decision_needs(plant, way):
    """Also the messenger that the derivative misses."""
    subject = planted.subject(plant)
    table = pd.concat(
        [measures.heads.silence_heads(subject, prompt) for prompt in prompts(subject, way)]
    )
    found = named(
        table.pivot(index="sample", columns=["positions", "layer", "head"], values="effect")
    )
    assert agree(
        {
            (positions, Head(layer, head)): value
            for (positions, layer, head), value in found.items()
        },
        expected_silence(plant, way),
    )


@every_plant
@both_ways
def test_blocking_undoes_the_plant_and_no_decoy(plant, way):
    """The strongest head by sensitivity, at the place of arbitration, against every decoy."""
    subject = planted.subject(plant)
    own = {
        direction: [
            planted_prompts.encode_planted(subject, sample, direction) for sample in SAMPLES
        ]
        for direction in MODALITIES
    }
    tables = {
        direction: pd.DataFrame(
            {
                "layer": [head.layer for head in EVERY_HEAD],
                "head": [head.index for head in EVERY_HEAD],
                "sensitivity": gain_gradients(subject, own[direction], positions=plant.place)
                .mean(0)
                .flatten()
                .numpy(),
            }
        )
        for direction in MODALITIES
    }
    rankings = {
        direction: heads.ranking(table, by="sensitivity") for direction, table in tables.items()
    }
    shared = heads.shared_heads(*(ranking[:1] for ranking in rankings.values()))
    strongest = {}
    for direction in MODALITIES:
        expected = expected_sensitivity(plant, direction, plant.place)
        strongest[direction] = max(expected, key=expected.get)
    assert {direction: ranking[0] for direction, ranking in rankings.items()} == strongest
    assert shared == sorted({strongest["vision"]} & {strongest["text"]})
    prompt = own[way][0]
    sets = measures.head_sets.list_paper_settings(
        subject, [measures.head_sets.Case(1 / len(EVERY_HEAD), 0.0, draws=0)], rankings, way
    )
    table = measures.head_sets.scale_sets(
        subject, prompt, DICTIONARY, {plant.place: sets}, "blocking"
    )
    outcomes = table.set_index("heads")["outcome"]
    undone = {0.0: "other", HABIT: "follow", -HABIT: "competitor"}[habit_of(plant, way)]
    assert outcomes["original"] == "follow" and outcomes["target"] == undone
    for head, positions in ((plant.fetcher(way), plant.place), (plant.messenger, "last")):
        answer = generation.answers(
            subject,
            prompt,
            heads.gain_table(subject, [head], 0.0)[None],
            prompt.groups.positions(positions),
        )[0]
        assert answers.outcome_of(answer, prompt, DICTIONARY) == undone
    busy = {*expected_sensitivity(plant, way, plant.place), plant.messenger}
    decoys = [head for head in EVERY_HEAD if head not in busy]
    gains = torch.stack(
        [heads.gain_table(subject, [head], factor) for head in decoys for factor in (0.0, 5.0)]
    )
    assert set(
        generation.answers(subject, prompt, gains, prompt.groups.positions(plant.place))
    ) == {prompt.sample.answers(way)[0]}


def test_blocking_finds_the_messenger_that_the_derivative_misses():
    """A command throws a switch as far as it goes: a little more of it changes nothing, and none of
    it everything.
    """
    plant = next(plant for plant in PLANTS if plant.name == "direct")
    subject = planted.subject(plant)
    prompt = prompts(subject, "vision")[0]
    assert plant.messenger not in measured_sensitivity(subject, "vision", "last")
    gains = heads.gain_table(subject, [plant.messenger], 0.0)[None]
    assert generation.answers(subject, prompt, gains, prompt.groups.last) == ["unsure"]


def test_amplification_wins_over_a_habit_where_arithmetic_says_so():
    """The arbiter's share of the lead is factor · STRENGTH, the habit's −HABIT: they balance at a
    factor of a third.
    """
    plant = next(plant for plant in PLANTS if plant.habit)
    subject = planted.subject(plant)
    prompt = prompts(subject, "vision")[0]
    for factor in (0.0, 0.25, 0.5, 1.0, 3.0):
        with scale_heads(subject, [plant.vision], factor, prompt.groups.instruction):
            log_p = trace(subject, prompt).log_probabilities
        lead = factor * STRENGTH - HABIT
        assert (log_p[prompt.y_p] - log_p[prompt.y_c]).item() == pytest.approx(
            lead, abs=1e-5
        )  # a trace is in float32
        gains = heads.gain_table(subject, [plant.vision], factor)[None]
        answer = generation.answers(subject, prompt, gains, prompt.groups.instruction)[0]
        assert answers.outcome_of(answer, prompt, DICTIONARY) == (
            "follow" if lead > 0 else "competitor"
        )


def report(subject, plant):
    """All that is named in a model, by every measure."""
    return [
        found
        for way in MODALITIES
        for found in (
            measured_nssd(plant, way, 1),
            measured_attribution(subject, way),
            *(
                measured_sensitivity(subject, way, positions)
                for positions in ("instruction", "last")
            ),
        )
    ]


def description(plant):
    return [
        found
        for way in MODALITIES
        for found in (
            expected_nssd(plant, way, 1),
            expected_attribution(plant, way),
            *(expected_sensitivity(plant, way, positions) for positions in ("instruction", "last")),
        )
    ]


def test_no_plant_passes_for_another():
    """The measures' answer for each model fits the description of that model and of no other."""
    descriptions = [description(plant) for plant in PLANTS]
    for plant in PLANTS:
        found = report(planted.subject(plant), plant)
        fits = [all(map(agree, found, expected)) for expected in descriptions]
        assert [other.name for other, fit in zip(PLANTS, fits) if fit] == [plant.name]


@pytest.mark.parametrize(
    "plant",
    [plant for plant in PLANTS if not (plant.habit or plant.echo)],
    ids=lambda plant: plant.name,
)
def test_what_is_pulled_out_is_no_longer_named(plant):
    """The fetching heads' output weights are set to zero: no measure may go on naming anything."""
    whole = planted.subject(plant)
    subject = Subject(whole.name, copy.deepcopy(whole.model), whole.processor, "pulled")
    with torch.no_grad():
        for head in {plant.vision, plant.text}:
            size = len(planted.ROLES)
            subject.output_projection(head.layer).weight[
                :, head.index * size : (head.index + 1) * size
            ] = 0
    for way in MODALITIES:
        several = prompts(subject, way)
        assert generation.answers(subject, several[0]) == ["unsure"]
        assert knockout_sweep(subject, several, width=1, progress=False)["nssd"].abs().max() < ZERO
        assert measured_attribution(subject, way) == {}
        assert (
            measured_sensitivity(subject, way, "instruction")
            == measured_sensitivity(subject, way, "last")
            == {}
        )


@every_plant
@both_ways
def test_decoys_are_busy(plant, way):
    """What scores zero is no dead weight: in every layer heads fetch the cue that decides, and
    write it, at the very same places.
    """
    subject = planted.subject(plant)
    prompt = prompts(subject, way)[0]
    activations, place = trace(subject, prompt), prompt.groups.positions(plant.place)
    busy = {
        head
        for table in (expected_attribution(plant, way), expected_sensitivity(plant, way, "last"))
        for head in table
    } | {plant.messenger}
    # The command, and with it the head that looks as an arbiter does, comes to the last position
    # with the messenger.
    start = 0 if plant.place == "instruction" else plant.messenger.layer + 1
    for layer in range(start, LAYERS):
        writes = (
            head_writes(activations.heads[layer], subject.output_projection(layer).weight.detach())[
                :, place
            ]
            .abs()
            .amax((1, 2))
        )
        loud = [
            index
            for index in range(HEADS)
            if writes[index] > 0.9 and Head(layer, index) not in busy
        ]
        assert len(loud) >= 3


def test_the_page_tells_what_is_planted():
    rows = [
        [cell.strip(" *`") for cell in line.strip("|").split("|")]
        for line in PAGE.splitlines()
        if re.match(r"\| \*\*", line)
    ]
    place = {"instruction": "instruction", "last": "last position"}
    assert [row[:6] for row in rows] == [
        [
            plant.name,
            place[plant.place],
            str(plant.vision),
            str(plant.text),
            "the heads" if plant.mlp is None else f"MLP {plant.mlp}",
            str(plant.messenger),
        ]
        for plant in PLANTS
    ]
    extras = {"habit": "a habit", "echo": "an echo"}
    for row, plant in zip(rows, PLANTS):
        assert row[6] == (
            "; ".join(
                f"{word} {getattr(plant, name)}"
                for name, word in extras.items()
                if getattr(plant, name)
            )
            or "–"
        )


def test_the_page_s_example_runs():
    names = {}
    exec(re.search(r"```python\n(.*?)```", PAGE, re.S)[1], names)
    assert agree(
        {key: value for key, value in names["found"].items() if value},
        expected_nssd(PLANTS[0], "vision", 1),
    )
