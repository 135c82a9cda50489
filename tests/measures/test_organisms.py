"""Merges between the two trained models, hand-made models in three sizes with noise, and what is
said of all of them.
"""

from functools import cache

import numpy as np
import pandas as pd
import pytest
import torch
from safetensors.torch import load_file

from arbitration import Pathway, knockout_sweep
from arbitration.checks import planted, planted_prompts
from arbitration.dataset import MODALITIES
from arbitration.engine.generation import first_answer
from arbitration.equations.sensitivity import gain_gradients
from arbitration.models import catalogue, embedded, load
from reproduction import figures
from reproduction.measures import organisms
from reproduction.numbers import summarise_organisms
from reproduction.numbers.organisms import (
    CLAIMS,
    COLUMNS,
    judge_organisms,
    list_organisms,
    summarise_ways,
)

WEIGHT = "layers.7.self_attn.q_proj"


def product(name):
    """2·B·A of one layer, by hand from the shipped file."""
    parts = load_file(embedded.MODELS / name / "adapter.safetensors")
    return 2.0 * parts[f"{WEIGHT}.lora_B"].float() @ parts[f"{WEIGHT}.lora_A"].float()


@cache
def state(name):
    model, _ = embedded.build_embedded(name)
    return {key: value.clone() for key, value in model.state_dict().items()}


def test_a_merge_of_dose_0_or_1_is_the_trained_model_itself():
    for dose, name in ((0.0, "smol"), (1.0, "smol-relay")):
        merged = embedded.build_merged(dose)[0].state_dict()
        assert all(torch.equal(value, merged[key]) for key, value in state(name).items())


def test_deltas_are_merged_and_not_their_factors():
    merged = embedded.build_embedded("smol-merge-0.25")[0].state_dict()
    key = f"model.language_model.{WEIGHT}.weight"
    base = load_file(embedded.dequantised())[f"model.{WEIGHT}.weight"].float()
    expected = base + 0.75 * product("smol") + 0.25 * product("smol-relay")
    assert (merged[key] - expected).abs().max() < 1e-6
    vision = next(key for key in merged if "multi_modal_projector.linear_1.weight" in key)
    expected = 0.75 * state("smol")[vision] + 0.25 * state("smol-relay")[vision]
    assert (merged[vision] - expected).abs().max() < 1e-6


def test_merges_are_loaded_by_name_and_stored_apart():
    assert not set(organisms.DOSES) - {"smol", "smol-relay"} & set(catalogue.EMBEDDED)
    subject = load.load("smol-merge-0.5")
    hashes = [load.load(name).revision for name in catalogue.TRAINED]
    assert subject.name == "smol-merge-0.5" and subject.revision == "-".join(hashes)
    assert subject.closed == ()


@pytest.mark.parametrize("name", ["smol-merge-1.5", "smol-merge-", "smol-merge-0.25b"])
def test_a_name_that_is_no_merge_is_refused(name):
    with pytest.raises(ValueError, match="unknown model"):
        catalogue.entry_of(name)
    with pytest.raises(ValueError, match="between smol"):
        embedded.build_merged(1.5)


every_size = pytest.mark.parametrize("size", planted.SIZES)
every_plant = pytest.mark.parametrize("plant", planted.PLANTS, ids=lambda plant: plant.name)


@every_size
@every_plant
def test_a_plant_of_any_size_answers_as_written(plant, size):
    grown = planted.grown(plant, size)
    subject = planted.subject(grown, size)
    layers, heads, _ = planted.SIZES[size]
    assert (subject.n_layers, subject.n_heads) == (layers, heads)
    assert grown.messenger.layer == plant.messenger.layer * layers // 5
    for way in MODALITIES:
        prompt = planted_prompts.encode_planted(subject, planted_prompts.samples()[1], way)
        assert first_answer(subject, prompt)[0].strip() == prompt.sample.answers(way)[0]
    if plant.mlp is None:
        scores = gain_gradients(subject, [prompt], positions=plant.place)[0]
        assert divmod(int(scores.argmax()), heads) == (
            grown.fetcher(way).layer,
            grown.fetcher(way).index,
        )


def test_a_larger_plant_has_the_path_in_its_layer_and_nowhere_else():
    plant = planted.grown(planted.PLANTS[0], "large")
    subject = planted.subject(plant, "large")
    prompt = planted_prompts.encode_planted(subject, planted_prompts.samples()[0], "text")
    table = knockout_sweep(
        subject, [prompt], [Pathway("context", "instruction")], 1, progress=False
    )
    lead = (table["logp_p_blocked"] - table["logp_c_blocked"]).to_numpy()
    assert lead[4] == pytest.approx(0, abs=1e-9)
    assert np.delete(lead, 4) == pytest.approx(planted.STRENGTH, abs=1e-9)


def test_noise_is_of_the_stated_size_and_drawn_by_seed():
    clean = planted.subject(planted.PLANTS[0]).model.state_dict()
    noisy = planted.subject(planted.PLANTS[0], noise=0.02, seed=3).model.state_dict()
    again = planted.subject.__wrapped__(planted.PLANTS[0], noise=0.02, seed=3).model.state_dict()
    other = planted.subject(planted.PLANTS[0], noise=0.02, seed=4).model.state_dict()
    loud = planted.CHANNEL["loud"]
    for key, value in clean.items():
        off = noisy[key] - value
        assert torch.equal(noisy[key], again[key]) and not torch.equal(noisy[key], other[key])
        if "norm" in key:
            assert (off / value).std().item() == pytest.approx(0.02, rel=0.4)
            continue
        reads = not key.endswith(("o_proj.weight", "down_proj.weight"))
        shut = off[:, loud] if reads else off[loud]
        assert (shut == 0).all()
        written = value.abs()[(value != 0) & (value.abs() < planted.LOUD)].median().item()
        assert off.std().item() == pytest.approx(0.02 * written, rel=0.2)


def test_hand_made_models_are_found_without_noise():
    plants = organisms.list_plants(("small", "middle"), (0.0,))
    table = pd.concat(organisms.measure_plants(None, plants, n=2, seed=0))
    assert len(table) == 4 * 2 * 2
    assert (table["follows"] == 1).all() and (table["path"] == 1).all()
    assert (table["head"].dropna() == 1).all()
    assert table["head"].isna().sum() == 4, "an MLP arbitrates there"
    relay = table[table["organism"] == "relay"]
    assert relay["lost_into"].tolist() == pytest.approx([6.0] * 4)
    assert relay["lost_direct"].tolist() == pytest.approx([0.0] * 4, abs=1e-9)
    direct = table[table["organism"] == "direct"]
    assert direct["lost_direct"].tolist() == pytest.approx([6.0] * 4)


def ways(into, direct, n=4):
    """Three layers; in the second a path into the instruction costs `into`, in the third the direct
    one `direct`, and 1 % more with every sample, which is 1.5 % of four in the mean.
    """
    rows = []
    for d in MODALITIES:
        for sample in range(n):
            for way, layer, cost in (("into", 1, into), ("direct", 2, direct), ("random", 0, 0.5)):
                for at in range(3):
                    lost = cost * (1 + 0.01 * sample) * (at == layer)
                    rows.append((f"s{sample}", d, way, at, lost, lost / 10))
    return pd.DataFrame(rows, columns="sample following way layer lost nssd".split())


SWEPT = {name: ways(10 * dose, 4 - 2 * dose) for name, dose in organisms.DOSES.items()} | {
    catalogue.MASKED: ways(12.0, 0.0)
}
PLANTS = pd.DataFrame(
    [
        ("relay", "small", noise, d, follows, 1.0, head, 6.0, 0.0, 1.0, 4)
        for noise, follows, head in ((0.0, 1.0, 1.0), (0.01, 0.5, 0.0))
        for d in MODALITIES
    ],
    columns=(
        "organism size noise following follows path head lost_into lost_direct lost_random n"
    ).split(),
)


def test_numbers_by_hand():
    found = summarise_ways(ways(10.0, 4.0))
    assert found["lost_into_text"] == pytest.approx(10.15)
    assert found["lost_relay_vision"] == pytest.approx(6.09)
    assert found["lost_over_text"] == pytest.approx(9.6425)
    assert found["nssd_relay_text"] == pytest.approx(0.609)
    assert found["lost_relay_text_verdict"] == "holds"
    rows = [("a", "text", True), ("b", "text", False), ("a", "vision", True)]
    asked = pd.DataFrame(rows, columns=["sample", "following", "kept"])
    whole = summarise_organisms(SWEPT, PLANTS, dict.fromkeys(SWEPT, asked))
    assert whole["smol_merge_0_5_lost_relay_text"] == pytest.approx(2.03)
    assert whole["smol_masked_lost_relay_text"] == pytest.approx(12.18)
    assert whole["slope_lost_text"] == pytest.approx(12.18)
    assert (
        whole["rises_lost_text"] == pytest.approx(1.0)
        and whole["slope_nssd_vision_verdict"] == "holds"
    )
    assert whole["follow_smol_text"] == 0.5 and whole["tried_smol_text"] == 2.0
    assert whole["n_smol_masked_vision"] == 4.0
    assert whole["plants_follow_0_01"] == 0.5 and whole["plants_head_0_01"] == 0.0
    assert whole["plants_path_0"] == 1.0 and whole["plants_count_0"] == 2.0


def test_a_relay_that_falls_with_the_dose_does_not_rise():
    swept = {name: ways(10 - 10 * dose, 4.0) for name, dose in organisms.DOSES.items()}
    asked = pd.DataFrame({"sample": ["a"], "following": ["text"], "kept": [True]})
    whole = summarise_organisms(swept, PLANTS, dict.fromkeys(swept, asked))
    assert whole["rises_lost_text"] == pytest.approx(-1.0)
    assert whole["slope_lost_text"] == pytest.approx(-10.15)
    assert whole["slope_lost_text_verdict"] == "contradicted"


def test_the_table_of_organisms_and_its_figure():
    table = list_organisms(SWEPT, PLANTS)
    assert list(table) == COLUMNS
    one = table[(table["organism"] == "smol-merge-0.25") & (table["key"] == "lost_into_text")]
    assert one[["kind", "dose", "n"]].values.tolist() == [["merged", 0.25, 4.0]]
    assert one["value"].item() == pytest.approx(2.5375)
    assert one["low"].item() <= one["value"].item() <= one["high"].item()
    made = table[(table["kind"] == "hand-made") & (table["key"] == "follows_text")]
    assert made["value"].tolist() == [1.0, 0.5] and made["noise"].tolist() == [0.0, 0.01]
    figure = figures.fig_organisms(table)
    for panel in figure.axes:
        into = panel.containers[0].lines[0].get_ydata()
        assert into == pytest.approx([0, 2.5375, 5.075, 7.6125, 10.15, 12.18])
        assert [text.get_text() for text in panel.texts] == ["n=4"] * 6


def test_in_how_many_organisms_a_claim_holds():
    """The relay exceeds the direct way by 12 · dose − 4 nats in the merges: not at 0 and 0.25, at
    0.5 and above, and with the mask on.
    """
    table = judge_organisms(SWEPT)
    here = table[(table["claim"] == CLAIMS["lost_relay"]) & (table["following"] == "text")]
    words = dict(zip(here["organism"], here["verdict"]))
    assert [words[name] for name in SWEPT] == ["contradicted"] * 2 + ["holds"] * 4
    figure = figures.fig_organism_claims(table)
    told = [text.get_text() for text in figure.axes[0].texts]
    assert told.count("4 of 6") >= 1 and len(figure.axes[0].patches) >= 6 * len(CLAIMS)
