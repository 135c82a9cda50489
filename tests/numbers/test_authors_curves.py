"""The authors' curves: the numbers as digitised, their sign as in Eq. 7, and what agreement with
them means, by hand.
"""

import json
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from arbitration.files import folders
from directives.authors import compare_authors
from reproduction import figures
from reproduction.claims import reported
from reproduction.claims.authors import MAIN, nearest, published, published_curves
from reproduction.numbers.authors import (
    MEASURES,
    among_authors,
    compare_curve,
    compare_curves,
    depths,
    likeness,
    list_published,
    summarise_authors,
)
from shared_folder import SHARED

CURVES = published_curves()


@pytest.mark.shared
def test_the_numbers_are_those_that_were_digitised():
    digitised = json.loads(
        (Path(SHARED) / "anchors" / "authors_curves.json").read_text(encoding="utf-8")
    )["curves"]
    stored = json.loads((folders.DATA / "authors_curves.json").read_text(encoding="utf-8"))[
        "curves"
    ]
    groups = {
        "Text Context": "context",
        "Last Generated": "last",
        "Modality Inst": "modality",
        "Constraint Inst": "constraint",
    }
    for ours, theirs in zip(stored, digitised, strict=True):
        path = "→".join(groups.get(end, end.lower()) for end in theirs["pathway"].split(" -> "))
        assert (ours["figure"], ours["model"], ours["following"], ours["pathway"]) == (
            theirs["figure"],
            theirs["model"],
            theirs["following"],
            path,
        )
        assert ours["nssd_as_plotted"] == theirs["nssd_as_plotted"]


def test_the_file_states_its_source_licence_and_sign():
    head = json.loads((folders.DATA / "authors_curves.json").read_text(encoding="utf-8"))
    assert (
        "commit 4e0ca462" in head["source"]
        and "CC BY 4.0" in head["licence"]
        and "opposite of Eq. 7" in head["sign"]
    )


def test_curves_have_the_sign_of_eq_7():
    """A path that the authors found needed is plotted downwards by them, and positive here; the
    compensation is negative here.
    """
    found = published()
    anchor, compensation = (
        found["text", "context→instruction"].nssd,
        found["text", "vision→text"].nssd,
    )
    assert (max(anchor), int(np.argmax(anchor))) == (0.8111, 15) and len(anchor) == 28
    assert (min(compensation), int(np.argmin(compensation))) == (-0.3866, 14)


def test_every_model_has_one_length_and_the_parts_of_the_sample_are_runs_of_the_main_one():
    lengths = {(curve.model, len(curve.nssd)) for curve in CURVES}
    assert lengths == {("qwen2.5-vl-7b", 28), ("internvl3-14b", 48), ("deepseek-vl2-tiny", 12)}
    for share in (0.2, 0.4, 0.6, 0.8):
        assert published(share=share).keys() == published().keys()
    assert {curve.model for curve in CURVES if curve.share < 1} == {MAIN}


def test_numbers_with_an_asterisk_are_the_curves():
    """What the claims quote from the authors' curves: an extreme at a layer, or a bound."""
    found, checked = published(), 0
    for claim in reported.reported_claims():
        for quantity in claim.quantities:
            if not quantity.reported.endswith("*"):
                continue
            _, source, target, following = quantity.key.split("_")
            nssd = np.array(found[following, f"{source}→{target}"].nssd)
            if bound := re.fullmatch(r"< ([\d.]+)\*", quantity.reported):
                assert nssd.max() < float(bound[1]), quantity.label
            else:
                value, layer = re.fullmatch(
                    r"(−?[\d.]+) at layer (\d+)\*", quantity.reported
                ).groups()
                at = nssd.argmin() if quantity.key.startswith("trough") else nssd.argmax()
                assert (f"{nssd[at]:.2f}".replace("-", "−"), str(at)) == (value, layer), (
                    quantity.label
                )
            checked += 1
    assert checked >= 8


def test_a_curve_agrees_with_itself_and_its_double():
    theirs = np.array([0.0, 0.1, 0.8, 0.3])
    found = likeness([theirs, 2 * theirs, -theirs], theirs)
    assert found["correlation"] == pytest.approx([1, 1, -1]) and found["ratio"] == pytest.approx(
        [1, 2, -1]
    )
    assert found["extreme"] == pytest.approx([0.8, 1.6, -0.8]) and found["shift"] == pytest.approx(
        [0, 0, 0]
    )


def test_models_of_other_depth_meet_at_relative_depth():
    """Two layers lie at ¼ and ¾. Of four layers, at ⅛, ⅜, ⅝ and ⅞, the middle two lie a quarter and
    three quarters of the way between them.
    """
    theirs = [0.0, 1.0]
    ours = [[0.0, 0.25, 0.75, 1.0], [0.0, 0.25, 1.0, 0.75]]
    found = likeness(ours, theirs)
    assert found["correlation"][0] == pytest.approx(1) and found["correlation"][1] < 1
    assert found["shift"] == pytest.approx([7 / 8 - 3 / 4, 5 / 8 - 3 / 4])


def test_correlation_by_hand():
    found = likeness([[1.0, 2.0, 6.0]], [1.0, 3.0, 2.0])
    # Deviations (−2, −1, 3) and (−1, 1, 0): product 1, lengths √14 and √2.
    assert found["correlation"][0] == pytest.approx(1 / np.sqrt(28))


def test_where_the_authors_curve_is_flat_only_our_extreme_is_told():
    found = likeness([[0.0, -2.0, 1.0]], [0.0, 0.0049, 0.0])
    assert found["extreme"][0] == -2 and all(
        np.isnan(found[name][0]) for name in ("correlation", "shift", "ratio")
    )
    assert np.isnan(likeness([[1.0, 1.0, 1.0]], [0.0, 1.0, 0.0])["correlation"][0]), (
        "a constant curve correlates with nothing"
    )


def test_intervals_resample_samples_and_choose_the_layer_anew():
    """Half of the samples peak at layer 0, half at layer 2: which layer leads a resample is a
    matter of chance.
    """
    values = np.array([[1.0, 0.0, 0.0]] * 10 + [[0.0, 0.0, 1.01]] * 10)
    found = compare_curve(values, [0.0, 0.0, 1.0])
    assert (
        found["shift"] == 0
        and found["shift_low"] == pytest.approx(-2 / 3)
        and found["shift_high"] == 0
    )
    assert found["extreme_low"] > 0.49, (
        "the extreme of a resample is that of its own strongest layer"
    )
    noisy = np.random.default_rng(0).normal(size=(20, 3))
    one, again, other = (compare_curve(noisy, [0.0, 0.0, 1.0], seed) for seed in (0, 0, 1))
    assert (
        one == again and one["ratio"] == other["ratio"] and one["ratio_low"] != other["ratio_low"]
    )
    same = compare_curve(values[:1].repeat(5, axis=0), [1.0, 0.0, 0.0])
    assert same["correlation_low"] == pytest.approx(1) and same["ratio_high"] == pytest.approx(1)


def run(model, layers, scale=1.0, samples=4):
    """A run whose curves are the authors' times `scale`, read off at `layers` relative depths;
    controls are nonsense.
    """
    rows = []
    for (following, pathway), curve in published(nearest(model)[0]).items():
        mean = scale * np.interp(
            depths(layers),
            depths(len(curve.nssd)),
            curve.nssd,
        )
        for sample in range(samples):
            for control in (False, True):
                noise = 9.0 if control else 0.002 * (sample - (samples - 1) / 2)
                rows += [
                    {
                        "model": model,
                        "sample": f"s{sample}",
                        "following": following,
                        "pathway": pathway,
                        "control": control,
                        "layer": layer,
                        "nssd": value + noise,
                    }
                    for layer, value in enumerate(mean)
                ]
    return pd.DataFrame(rows)


def test_a_run_is_compared_path_by_path_and_controls_are_left_out():
    table = compare_curves(run("qwen2.5-vl", 28, scale=1.5)).set_index(["following", "pathway"])
    assert len(table) == 10 and set(table["n"]) == {4} and set(table["theirs"]) == {"qwen2.5-vl-7b"}
    row = table.loc[("text", "context→instruction")]
    assert (
        row["ratio"] == pytest.approx(1.5)
        and row["correlation"] == pytest.approx(1)
        and row["shift"] == 0
    )
    assert (row["figure"], row["their_layer"], row["their_extreme"]) == ("4", 15, 0.8111)
    assert row["ratio_low"] < 1.5 < row["ratio_high"]
    assert np.isnan(table.loc[("vision", "vision→last"), "ratio"])
    keys = summarise_authors(table.reset_index())
    assert (
        keys["authors_ratio_context_instruction_text"] == row["ratio"] and len(keys) == 10 * 4 * 3
    )


def test_internvl_is_laid_beside_the_larger_of_its_kind_and_called_another_model():
    assert nearest("internvl3") == ("internvl3-14b", False)
    assert nearest("qwen2.5-vl") == ("qwen2.5-vl-7b", True) and nearest("smol") == (
        "qwen2.5-vl-7b",
        False,
    )
    assert set(compare_curves(run("internvl3", 28))["theirs"]) == {"internvl3-14b"}


def test_the_authors_own_runs_are_a_yardstick():
    table = among_authors()
    assert set(table["run"]) == {
        "20 %",
        "40 %",
        "60 %",
        "80 %",
        "deepseek-vl2-tiny",
        "internvl3-14b",
    }
    row = table[(table["run"] == "20 %") & (table["pathway"] == "context→instruction")].iloc[0]
    assert (
        row["ratio"] == pytest.approx(0.7044 / 0.8111, abs=1e-4) and 0.9 < row["correlation"] <= 1
    )


@pytest.mark.parametrize(
    ("model", "layers", "words", "axis"),
    [
        ("qwen2.5-vl", 28, "the same model, qwen2.5-vl-7b", "layer"),
        ("smol", 30, "another model, qwen2.5-vl-7b", "relative depth"),
    ],
)
def test_the_figure_says_whose_curves_it_shows_and_draws_both(model, layers, words, axis):
    figure = figures.fig_authors(run(model, layers))
    assert words in figure.get_suptitle() and len(figure.axes) == 10
    assert all(axis in panel.get_xlabel() for panel in figure.axes[-2:])
    panel = next(
        panel
        for panel in figure.axes
        if panel.get_title("left") == "Text following: context→instruction"
    )
    lines = {line.get_label(): line for line in panel.get_lines()}
    theirs = lines["the authors' curve (qwen2.5-vl-7b)"].get_ydata()
    assert tuple(theirs) == published()["text", "context→instruction"].nssd, (
        "as published, neither scaled nor shifted"
    )
    assert len(lines["measured here, 95 % interval"].get_ydata()) == layers
    assert sum("20, 40, 60" in line.get_label() for line in panel.get_lines()) == 4
    assert panel.get_title("right") == "n = 4; r = 1.00"
    assert min(lines["control: as many random sources (n = 4)"].get_ydata()) > 8, (
        "the run's own control, nonsense here"
    )
    assert all(
        low <= -0.1 and high >= 0.1 for low, high in (panel.get_ylim() for panel in figure.axes)
    )


def test_a_run_that_lacks_a_path_is_refused():
    table = run("smol", 30)
    with pytest.raises(ValueError, match="lacks vision→context"):
        figures.fig_authors(table[table["pathway"] != "vision→context"])


def test_the_page_asks_for_numbers_that_are_computed():
    lines = compare_authors(["smol", "smol-relay"])
    assert len(lines) == 2 + 8 * len(MEASURES) + 2, "eight paths with a shape, and two flat ones"
    asked = set(re.findall(r"sec3_knockout\.ipynb::(\w+):", "".join(lines)))
    assert asked and asked <= summarise_authors(compare_curves(run("smol", 30))).keys()
    first = next(line for line in lines if line.startswith("| context→instruction, text"))
    assert "| 0.81 at layer 15 |" in first


@pytest.mark.parametrize("number, first", [(3, "vision→text"), (4, "context→instruction")])
def test_the_authors_curves_are_drawn_as_they_stand_in_the_data(number, first):
    """Each line is a record of the data, its sign turned; nothing of ours is in the figure."""
    figure = figures.fig_published(list_published(), number)
    records = json.loads((folders.DATA / "authors_curves.json").read_text(encoding="utf-8"))
    plotted = {
        tuple(0.0 - value for value in one["nssd_as_plotted"]): one
        for one in records["curves"]
        if one["model"] == MAIN and one["share"] == 1
    }
    for panel, following in zip(figure.axes, ("text", "vision"), strict=True):
        drawn = {one.get_label(): tuple(one.get_ydata()) for one in panel.lines[1:]}
        assert len(drawn) >= 3
        for label, nssd in drawn.items():
            record = plotted[nssd]
            assert (record["following"], f"{record['pathway']} blocked") == (following, label)
        assert "n = 842 samples" in panel.get_title(loc="right")
    assert f"{first} blocked" in [one.get_label() for one in figure.axes[number == 3].lines]
