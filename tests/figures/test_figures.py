"""Figures of the paper: from tables with the promised columns, with intervals, n, control, and the
same bytes every time.
"""

import json
import re
from types import SimpleNamespace
from xml.etree import ElementTree

import matplotlib
import numpy as np
import pandas as pd
import pytest
from matplotlib.patches import FancyArrowPatch
from PIL import Image

from arbitration import uncertainty
from reproduction import figures
from reproduction.cohorts import failures
from reproduction.figures import style
from reproduction.figures.knockout import PATHWAYS
from reproduction.figures.paths import PATHS, WIDEST, extremes

DIRECTIONS = ("text", "vision")
LAYERS, SAMPLES = 4, 5


def grid(**levels):
    """Every combination of the levels, as a table with model and sample."""
    index = pd.MultiIndex.from_product(
        [*levels.values(), [f"s{i}" for i in range(SAMPLES)]], names=[*levels, "sample"]
    )
    return index.to_frame(index=False).assign(model="smol")


@pytest.fixture(scope="module")
def tables():
    random = np.random.default_rng(0)
    knockout = grid(
        following=DIRECTIONS, pathway=list(PATHWAYS), control=[False, True], layer=range(LAYERS)
    )
    knockout = knockout.assign(width=3, nssd=random.normal(size=len(knockout)))
    beliefs = grid(
        following=DIRECTIONS,
        layer=range(-1, LAYERS),
        positions=["instruction", "last"],
        dictionary=["own", "shuffled"],
    )
    beliefs = beliefs.assign(phi_f=random.normal(size=len(beliefs)), phi_c=0.0)
    paths = pd.concat(
        [
            grid(
                following=[following],
                place=["own", "scaled"],
                blocked=["none", "instruction→last", f"{own}→last", "random→last"],
            )
            for following, own in zip(DIRECTIONS, ("context", "vision"))
        ]
    )
    paths = paths.assign(
        answer="",
        layers=paths["place"].map({"own": "1–2", "scaled": "2–3"}),
        outcome=random.choice(["follow", "competitor", "other"], len(paths)),
    )
    components = grid(following=DIRECTIONS, layer=range(LAYERS), dictionary=["own", "shuffled"])
    for name in (
        "attention_signal",
        "mlp_signal",
        "attention_margin",
        "mlp_margin",
        "signal_f",
        "signal_c",
    ):
        components[name] = random.normal(size=len(components))
    heads = grid(following=DIRECTIONS, layer=range(LAYERS), head=range(9))
    heads = heads.assign(margin=random.normal(size=len(heads)))
    parts = []
    for setting, share, factor in (
        ("blocking", (0.025, 0.05), (0.0,)),
        ("amplification", (0.05,), (2.0, 3.0)),
    ):
        parts += [
            grid(
                following=DIRECTIONS,
                setting=[setting],
                heads=["target", "random", "matched", "shared"],
                draw=[0, 1],
                share=share,
                factor=factor,
                positions=["instruction"],
            ),
            grid(
                following=DIRECTIONS,
                setting=[setting],
                heads=["original"],
                draw=[0],
                share=[0.0],
                factor=[1.0],
                positions=["instruction"],
            ),
        ]
    interventions = pd.concat(parts, ignore_index=True).assign(count=2, answer="", source="natural")
    interventions["outcome"] = random.choice(["follow", "competitor"], len(interventions))
    scores = grid(following=DIRECTIONS, half=["ranked"], layer=range(LAYERS), head=range(9))
    for name in ("eq12", "sensitivity_instruction"):
        scores[name] = random.normal(size=len(scores))
    effects = grid(
        following=DIRECTIONS, positions=["instruction", "last"], layer=range(LAYERS), head=range(9)
    )
    effects = effects.assign(effect=random.normal(size=len(effects)))
    controls = grid(
        following=DIRECTIONS,
        positions=["instruction", "last", "both"],
        heads=["random", "eq12 matched", "sensitivity matched"],
        ranked_on=[""],
        draw=[0, 1],
        share=[0.05, 0.1],
        factor=[2.0, 3.0],
        source=list(failures.SOURCES),
    )
    targets = grid(
        following=DIRECTIONS,
        positions=["instruction", "last", "both"],
        heads=["eq12", "sensitivity"],
        ranked_on=["other samples", "same samples", "other direction"],
        draw=[0],
        share=[0.05, 0.1],
        factor=[2.0, 3.0],
        source=list(failures.SOURCES),
    )
    plain = grid(
        following=DIRECTIONS,
        positions=["instruction", "last", "both"],
        heads=["original"],
        ranked_on=[""],
        draw=[0],
        share=[0.0],
        factor=[1.0],
        source=list(failures.SOURCES),
    )
    question = pd.concat([controls, targets, plain], ignore_index=True)
    question["outcome"] = random.choice(["follow", "competitor"], len(question))
    groups = pd.DataFrame(
        [
            {"following": following, "position": i, "token": token, "group": group, "model": "smol"}
            for following in DIRECTIONS
            for i, (token, group) in enumerate(
                [
                    ("USER:", "template"),
                    ("<img>", "vision"),
                    ("<img>", "vision"),
                    ("note", "context"),
                    ("look", "instruction"),
                    (":", "last"),
                ]
            )
        ]
    )
    windows = pd.concat(
        [
            knockout[knockout["pathway"].isin(["vision→text", "vision→last", "text→last"])].assign(
                width=width
            )
            for width in (1, 5)
        ]
    )
    readings = pd.concat(
        [
            beliefs[beliefs["positions"] == "instruction"].assign(reading=name)
            for name in ("default", "K = 2", "average")
        ]
    )
    ablated = pd.concat(
        [
            interventions[interventions["heads"] == "target"].assign(heads=name)
            for name in ("default", "K = 2", "average")
        ]
        + [interventions[interventions["heads"].isin(["original", "random"])]],
        ignore_index=True,
    )
    spans = pd.concat(
        [
            grid(
                following=[following],
                layout=["plain", "swapped", "distanced"],
                control=[False, True],
                layer=range(LAYERS),
                pathway=[
                    path
                    for span in ("modality", "question", "neutral")
                    for path in (f"{own}→{span}", f"{span}→last")
                ],
            )
            for following, own in zip(DIRECTIONS, ("context", "vision"))
        ],
        ignore_index=True,
    )
    spans["nssd"] = random.normal(size=len(spans))
    asked = grid(following=DIRECTIONS, layout=["plain", "swapped", "distanced"]).assign(
        outcome="follow"
    )
    kept = components[components["sample"] != "s0"]
    failed = components.assign(mix=np.where(components["sample"] == "s1", 0.4, 0.0))
    able = grid(
        following=DIRECTIONS,
        kind=["conflict", "alone"],
        heads=["target", "random", "shared"],
        draw=[0, 1],
        factor=[0.0, 2.0],
    )
    able = pd.concat(
        [
            able,
            grid(
                following=DIRECTIONS,
                kind=["conflict", "alone"],
                heads=["original"],
                draw=[0],
                factor=[1.0],
            ),
        ],
        ignore_index=True,
    )
    able["outcome"] = random.choice(["follow", "other"], len(able))
    reading = pd.concat(
        [
            grid(heads=["text", "vision", "random"], draw=[0], factor=[0.0, 2.0]),
            grid(heads=["original"], draw=[0], factor=[1.0]),
        ]
    )
    reading = reading.assign(nats=random.gamma(3, size=len(reading)))
    knockout["divergence"] = random.normal(size=len(knockout))
    return {
        "spans": (spans, asked),
        "failures": (kept, failed),
        "last": (components, components),
        "ability": (able, reading),
        "knockout": knockout,
        "beliefs": beliefs,
        "paths": paths,
        "components": components,
        "heads": heads,
        "interventions": interventions,
        "groups": groups,
        "windows": windows,
        "readings": readings,
        "ablated": ablated,
        "truth": (scores, effects),
        "question": question,
    }


CASES = [
    ("fig3", "knockout", "3"),
    ("fig4", "knockout", "4"),
    ("fig5a", "beliefs", "5a"),
    ("fig5b", "paths", "5b"),
    ("fig6a", "components", "6a"),
    ("fig6b", "components", "6b"),
    ("fig7", "components", "7"),
    ("fig8", "heads", "8"),
    ("fig9_blocking", "interventions", "9 left"),
    ("fig9_amplification", "interventions", "9 right"),
    ("fig10", "windows", "10"),
    ("fig14", "ablated", "14"),
    ("fig14_beliefs", "readings", "14"),
    ("fig_head_truth", "truth", "H1"),
    ("fig_head_blocking", "question", "H2"),
    ("fig_head_cases", "question", "H3"),
    ("fig_head_amplification", "question", "H4"),
    ("fig_spans_in", "spans", "R1"),
    ("fig_spans_out", "spans", "R2"),
    ("fig_stability", "knockout", "R3"),
    ("fig_whole", "knockout", "R4"),
    ("fig_last", "last", "R6"),
    ("fig_ability", "ability", "R7"),
]


@pytest.fixture(scope="module")
def drawn(tables):
    def given(table):
        return tables[table] if isinstance(tables[table], tuple) else (tables[table],)

    return {name: getattr(figures, name)(*given(table)) for name, table, _ in CASES}


@pytest.mark.parametrize(("name", "table", "number"), CASES)
def test_panels_carry_number_directions_n_labels_and_control(drawn, name, table, number):
    figure = drawn[name]
    assert f"Fig. {number} · smol" in figure.get_suptitle()
    left, right = figure.axes[:2]
    assert (left.get_title("left"), right.get_title("left")) == (
        "Text following",
        "Vision following",
    )
    labels = " ".join(text.get_text() for text in figure.legends[0].get_texts())
    assert "control" in labels
    for axes in (left, right):
        assert f"n = {SAMPLES}" in axes.get_title("right")
        assert axes.get_xlabel() and axes.get_ylabel()


def test_lines_are_means_over_samples_and_bands_cover_whole_curves(tables, drawn):
    rows = tables["knockout"].query(
        "following == 'vision' and pathway == 'vision→text' and not control"
    )
    axes = drawn["fig3"].axes[1]
    line = next(line for line in axes.get_lines() if line.get_label() == "vision→text blocked")
    assert np.allclose(line.get_ydata(), rows.groupby("layer")["nssd"].mean())
    color = line.get_color()
    band = next(
        patch
        for patch in axes.collections
        if style.matplotlib.colors.to_hex(patch.get_facecolor()[0]) == color
    )
    _, low, high = uncertainty.simultaneous(
        rows.pivot(index="sample", columns="layer", values="nssd").to_numpy()
    )
    height = band.get_paths()[0].vertices[:, 1]
    assert np.isclose(height.min(), low.min()) and np.isclose(height.max(), high.max())


def test_fig1_draws_each_path_as_wide_as_its_extreme(tables):
    """By hand: 2 nats at layer 1 for vision→instruction, −1 at layer 3 for context→instruction, 0.5
    for every control, else 0.
    """
    table = tables["knockout"][tables["knockout"]["pathway"].isin(list(PATHS))].copy()
    peak = (table["pathway"] == "vision→instruction") & (table["layer"] == 1)
    trough = (table["pathway"] == "context→instruction") & (table["layer"] == 3)
    table["nssd"] = np.where(table["control"], 0.5, 2.0 * peak - 1.0 * trough)
    found = extremes(table).set_index(["following", "pathway", "control"])
    assert found.loc[
        ("text", "vision→instruction", False), ["nssd", "low", "high", "layer", "n"]
    ].tolist() == pytest.approx([2, 2, 2, 1, SAMPLES])
    assert found.loc[
        ("vision", "context→instruction", False), ["nssd", "layer"]
    ].tolist() == pytest.approx([-1, 3])

    figure = figures.fig1(table)
    assert figure.get_suptitle().startswith("Fig. 1 · smol")
    left, right = figure.axes
    words = " ".join(text.get_text() for text in left.texts)
    assert (
        "+2.00 [2.00, 2.00]\nlayer 1; control +0.50" in words
        and "−1.00 [−1.00, −1.00]\nlayer 3" in words
    )
    assert {"vision", "context", "instruction", "last"} <= {text.get_text() for text in right.texts}
    widths = [
        arrow.get_arrowstyle().tail_width
        for arrow in left.patches
        if isinstance(arrow, FancyArrowPatch)
    ]
    assert len(widths) == 15, "five paths, each with its interval and its control"
    rims, paths, controls = widths[::3], widths[1::3], widths[2::3]
    assert rims == pytest.approx(paths, abs=1e-2), "an interval of no width"
    unit = WIDEST / 2
    assert paths == pytest.approx(
        [2 * unit, 1 * unit, 0.4, 0.4, 0.4], abs=1e-2
    ) and controls == pytest.approx([0.5 * unit] * 5, abs=1e-2)
    assert [arrow.get_hatch() for arrow in left.patches if isinstance(arrow, FancyArrowPatch)][
        4
    ] == "////", "it hinders"
    assert "n = 5" in left.get_title("right")
    assert {"closing it impairs following", "closing it helps"} < {
        text.get_text() for text in figure.legends[0].get_texts()
    }


def test_fig1_wants_every_path_and_draws_without_controls(tables):
    with pytest.raises(ValueError, match="lacks instruction→last"):
        figures.fig1(tables["knockout"].query("pathway != 'instruction→last'"))
    words = " ".join(
        text.get_text()
        for text in figures.fig1(tables["knockout"].query("not control")).axes[0].texts
    )
    assert "layer" in words and "control" not in words
    assert "control: not measured" in str(
        [
            text.get_text()
            for text in figures.fig1(tables["knockout"].query("not control")).legends[0].get_texts()
        ]
    )


def test_every_width_has_its_row_of_panels(tables):
    table = tables["windows"].assign(nssd=lambda rows: rows["nssd"] + 100.0 * rows["width"])
    axes = figures.fig10(table).axes
    assert len(axes) == 4 and [panel.get_ylabel() for panel in axes[::2]] == [
        "1 layer: NSSD (nats)",
        "5 layers: NSSD (nats)",
    ]
    for panel, width in zip(axes, (1, 1, 5, 5)):
        line = next(line for line in panel.get_lines() if line.get_label() == "text→last blocked")
        assert np.allclose(line.get_ydata(), 100 * width, atol=5)


def test_other_readings_are_told_apart(tables):
    table = tables["ablated"].assign(
        outcome=np.where(tables["ablated"]["heads"] == "average", "follow", "competitor")
    )
    for panel in figures.fig14(table).axes:
        curves = {line.get_label(): line.get_ydata() for line in panel.get_lines()}
        assert np.allclose(curves["average of the forms"], 1) and np.allclose(
            curves["strongest token, best form (default)"], 0
        )


def test_ldar_counts_strict_dominance(tables):
    beliefs = tables["beliefs"].assign(
        phi_f=1.0, phi_c=lambda t: (t["sample"] == "s0") * 1.0
    )  # a tie is not alignment
    line = next(
        line
        for line in figures.fig5a(beliefs).axes[0].get_lines()
        if line.get_label() == "text following"
    )
    assert np.allclose(line.get_ydata(), 4 / 5)


def test_random_draws_are_averaged_within_their_sample(tables):
    table = tables["interventions"].copy()
    table["outcome"] = np.where(
        (table["heads"] == "random") & (table["draw"] == 0), "follow", "competitor"
    )
    line = next(
        line
        for line in figures.fig9_blocking(table).axes[0].get_lines()
        if "random" in line.get_label()
    )
    assert np.allclose(line.get_ydata(), 0.5)


def test_a_panel_without_failures_says_so(tables):
    table = tables["interventions"].query(
        "not (setting == 'amplification' and following == 'vision')"
    )
    assert "n = 0" in figures.fig9_amplification(table).axes[1].get_title("right")


def test_head_truth_sets_scores_of_one_half_against_effects_of_the_other(tables):
    scores, effects = tables["truth"]
    forward = scores["layer"] * 9.0 + scores["head"]
    scores = scores.assign(eq12=forward, sensitivity_instruction=-forward)
    effects = effects.assign(
        effect=np.where(
            effects["positions"] == "instruction", effects["layer"] * 9.0 + effects["head"], 0.0
        )
    )
    figure = figures.fig_head_truth(scores, effects)
    words = [axes.texts[0].get_text() for axes in figure.axes]
    assert (
        words
        == ["rank correlation with a sample 1.00 [1.00, 1.00]"] * 2
        + ["rank correlation with a sample −1.00 [−1.00, −1.00]"] * 2
    )
    top = next(line for line in figure.axes[2].get_lines() if "top 5 %" in line.get_label())
    assert top.get_ydata().tolist() == [0.0], (
        "the first by a score that runs backwards is the last by its effect"
    )


def test_head_curves_leave_out_what_is_only_compared(tables):
    question = tables["question"]
    question = question.assign(
        outcome=np.where(question["ranked_on"] == "other samples", "follow", "competitor")
    )
    for figure in (figures.fig_head_blocking(question), figures.fig_head_amplification(question)):
        for axes in figure.axes:
            curves = {
                line.get_label(): set(line.get_ydata())
                for line in axes.get_lines()
                if "top heads" in line.get_label()
            }
            assert curves == {"top heads by Eq. 12": {1.0}, "top heads by sensitivity": {1.0}}


def test_head_cases_show_every_draw(tables):
    question = tables["question"]
    question = question.assign(outcome=np.where(question["draw"] == 1, "follow", "competitor"))
    axes = figures.fig_head_cases(question).axes[0]
    names = [label.get_text() for label in axes.get_yticklabels()]
    assert len(names) == 3 * (2 * 3 + 3) and len(set(names)) == len(names)
    dots = [line for line in axes.get_lines() if line.get_label() == "control: one random draw"]
    assert len(dots) == 9 and all(sorted(line.get_xdata()) == [0.0, 1.0] for line in dots)


def test_a_source_without_failures_says_so(tables):
    question = tables["question"].query("source != 'weak evidence' or following == 'text'")
    figure = figures.fig_head_amplification(question)
    titles = [axes.get_title("right") for axes in figure.axes]
    assert titles[4:] == ["n = 5 failures: weak evidence", "n = 0 failures: weak evidence"]


def test_sentences_are_drawn_apart_and_a_layout_that_is_not_followed_says_so(tables):
    spans, asked = tables["spans"]
    spans = spans.assign(
        nssd=np.where(spans["pathway"].str.contains("question") & ~spans["control"], 1.0, 0.0)
    )
    spans = spans[(spans["layout"] != "swapped") | (spans["following"] == "text")]
    asked = asked.assign(
        outcome=np.where(
            (asked["layout"] == "swapped") & (asked["sample"] != "s0"), "other", "follow"
        )
    )
    for draw in (figures.fig_spans_in, figures.fig_spans_out):
        axes = draw(spans, asked).axes
        curves = {
            line.get_label(): set(line.get_ydata())
            for line in axes[0].get_lines()
            if not line.get_label().startswith("_")
        }
        assert curves["question"] == {1.0} and curves["modality sentence"] == {0.0}
        assert (
            axes[0].get_title("right") == "n = 5 (5 of 5 follow)"
            and axes[3].get_title("right") == "n = 0 (1 of 5 follow)"
        )
        assert "not swept" in " ".join(text.get_text() for text in axes[3].texts)


def test_peaks_of_nested_and_disjoint_parts(tables):
    """Five samples with 1 to 5 nats at layer 2: the first two average 1.5, disjoint fifths are the
    samples themselves.
    """
    table = tables["knockout"].assign(
        nssd=lambda t: np.where(
            (t["layer"] == 2) & ~t["control"], 1.0 + t["sample"].str[1:].astype(int), 0.0
        )
    )
    axes = figures.fig_stability(table).axes[0]
    nested = next(
        line
        for line in axes.get_lines()
        if line.get_color() == style.RED and line.get_marker() == "o"
    )
    assert nested.get_ydata().tolist() == [1.0, 1.5, 2.0, 2.5, 3.0]
    apart = next(
        line
        for line in axes.get_lines()
        if line.get_color() == style.RED and line.get_marker() == "x"
    )
    assert apart.get_ydata().tolist() == [1, 2, 3, 4, 5, 2.0, 4.5]


def test_failures_are_told_from_what_follows(tables):
    kept, failed = tables["failures"]
    figure = figures.fig_failures(kept.assign(mlp_signal=2.0), failed.assign(mlp_signal=-1.0))
    assert "Fig. R5 · smol" in figure.get_suptitle() and "control" in " ".join(
        text.get_text() for text in figure.legends[0].get_texts()
    )
    curves = {line.get_label(): set(line.get_ydata()) for line in figure.axes[2].get_lines()}
    assert curves["prompts that follow"] == {2.0} and curves[
        "failures: the competitor's answer"
    ] == {-1.0}
    assert figure.axes[2].get_title("right") == "n = 4 follow, 5 fail (1 of them weakened)"
    assert "n = 4 follow, 0 fail" in figures.fig_failures(kept, failed[:0]).axes[0].get_title(
        "right"
    )


def test_ability_averages_draws_within_a_sample(tables):
    able, reading = tables["ability"]
    able = able.assign(
        outcome=np.where((able["heads"] == "random") & (able["draw"] == 0), "other", "follow")
    )
    upper, lower = figures.fig_ability(
        able, reading.assign(nats=np.where(reading["heads"] == "text", 4.0, 3.0))
    ).axes[::2]
    dots = {
        (line.get_color(), line.get_marker()): [] for line in upper.get_lines() + lower.get_lines()
    }
    for line in upper.get_lines() + lower.get_lines():
        dots[line.get_color(), line.get_marker()] += list(line.get_ydata())
    assert (
        dots[style.RED, "o"] == [1, 1, 1]
        and dots[style.GREY, "s"] == [1, 0.5, 0.5]
        and dots[style.GREEN, "D"] == [3, 4, 4]
    )


def test_fig2_shows_tokens_groups_and_forms(tables, tmp_path):
    from matplotlib.image import imsave

    imsave(tmp_path / "scene.png", np.zeros((4, 4, 3)))
    sample = SimpleNamespace(
        id="held-000",
        task="count",
        image=tmp_path / "scene.png",
        answer_vision="three",
        answer_text="five",
    )
    figure = figures.fig2(
        sample, tables["groups"], {"vision": ("three", "3"), "text": ("five", "5")}
    )
    words = " ".join(text.get_text() for axes in figure.axes for text in axes.texts)
    assert "[2 image tokens]" in words and "three, 3" in words and "right here: five" in words


def test_a_lacking_column_is_named(tables):
    with pytest.raises(ValueError, match="fig3 needs the columns model, .*; missing: nssd. The"):
        figures.fig3(tables["knockout"].drop(columns="nssd"))
    with pytest.raises(ValueError, match="fig3 .* missing: nssd"):
        figures.fig3(table=tables["knockout"].drop(columns="nssd"))
    short = {"trained": tables["components"].drop(columns="signal_c")}
    with pytest.raises(ValueError, match=r"fig_controls \(trained\) .* missing: signal_c"):
        figures.fig_controls({"trained": tables["knockout"]}, short)


def test_a_lacking_pathway_is_named(tables):
    with pytest.raises(ValueError, match="lacks vision→context"):
        figures.fig4(tables["knockout"].query("pathway != 'vision→context'"))


@pytest.mark.parametrize("name, table", [(name, table) for name, table, _ in CASES])
def test_a_direction_without_samples_says_so(tables, name, table):
    given = tables[table] if isinstance(tables[table], tuple) else (tables[table],)
    figure = getattr(figures, name)(
        *(one[one["following"] == "text"] if "following" in one else one for one in given)
    )
    for axes in figure.axes[1:2]:
        assert "n = 0" in axes.get_title("right")
        assert re.search(
            "not measured: no (samples|failures)|not swept",
            " ".join(text.get_text() for text in axes.texts),
        )


def test_one_sample_ranks_heads_and_none_is_left_to_show(tables):
    axes = figures.fig8(tables["heads"].query("following == 'text' or sample == 's0'")).axes
    assert axes[3].get_title("right") == "n = 1 ranking + 0 shown "
    assert "none is left to show" in axes[3].texts[0].get_text() and "n = 1" in axes[1].get_title(
        "right"
    )


def test_a_control_by_other_answers_says_how_many_samples_have_it(tables):
    def legend(table):
        return [text.get_text() for text in figures.fig5a(table).legends[0].get_texts()]

    beliefs = tables["beliefs"]
    shuffled = beliefs["dictionary"] == "shuffled"
    assert "control: another sample's answers" in legend(
        beliefs
    ) and style.NO_STRANGERS not in legend(beliefs)
    assert "control: another sample's answers (n = 3)" in legend(
        beliefs[~shuffled | (beliefs["sample"] < "s3")]
    )
    assert style.NO_STRANGERS in legend(beliefs[~shuffled]) and not any(
        "another" in text for text in legend(beliefs[~shuffled])
    )


def test_an_incomplete_run_is_refused(tables):
    with pytest.raises(ValueError, match="not complete"):
        figures.fig7(tables["components"].drop(index=0))


def test_publish_writes_both_themes_with_the_same_bytes_each_time(tables, tmp_path, monkeypatch):
    monkeypatch.setenv("ARBITRATION_OUTPUT", str(tmp_path))
    written = []
    for _ in range(2):
        figures.publish(figures.fig5b(tables["paths"]), "fig5b", "smol", "Bars.")
        folder = tmp_path / "smol" / "figures"
        written.append(
            [(folder / f"fig5b-{theme}.svg").read_bytes() for theme in ("light", "dark")]
        )
    assert written[0] == written[1]
    light, dark = (text.decode().lower() for text in written[0])
    assert (
        style.INK in light
        and style.INK not in dark
        and style.DARK[style.INK] in dark
        and style.PAPER not in dark
    )
    assert json.loads((folder / "fig5b.json").read_text(encoding="utf-8"))["alt"] == "Bars."


def test_the_data_of_a_figure_have_names_without_a_space(tables, tmp_path, monkeypatch):
    """A name with one is two for make, and for a reader's shell."""
    monkeypatch.setenv("ARBITRATION_OUTPUT", str(tmp_path))
    figure = figures.fig5b(tables["paths"])
    figure.tables = {"paths": tables["paths"], "paths_random weights": tables["paths"]}
    figures.publish(figure, "fig5b", "smol", "Bars.")
    folder = tmp_path / "smol" / "figures"
    data = json.loads((folder / "fig5b.json").read_text(encoding="utf-8"))["data"]
    assert data == ["fig5b", "fig5b_paths_random_weights"]
    assert {path.stem for path in folder.glob("*.csv")} == {*data}


def test_a_published_figure_is_a_picture_in_a_notebook(tables, tmp_path, monkeypatch):
    from IPython.core.formatters import DisplayFormatter

    monkeypatch.setenv("ARBITRATION_OUTPUT", str(tmp_path))
    shown, _ = DisplayFormatter().format(
        figures.publish(figures.fig5b(tables["paths"]), "fig5b", "smol", "Bars.")
    )
    assert shown["image/png"].startswith(b"\x89PNG") and len(shown["image/png"]) > 10_000


def test_publish_wants_alternative_text(tables):
    with pytest.raises(ValueError, match="alternative text"):
        figures.publish(figures.fig5b(tables["paths"]), "fig5b", "smol", "  ")


@pytest.mark.parametrize("name", ["/models/mine", "../mine"])
def test_no_figure_leaves_the_output_folder(tables, tmp_path, monkeypatch, name):
    monkeypatch.setenv("ARBITRATION_OUTPUT", str(tmp_path / "out"))
    with pytest.raises(ValueError, match="leads out of the folder"):
        figures.publish(figures.fig5b(tables["paths"]), "fig5b", name, "Bars.")
    assert not list(tmp_path.rglob("*"))


def test_both_themes_are_readable():
    """Contrast against the page of at least 3 for marks and 4.5 for text (the web's accessibility
    guidelines).
    """

    def luminance(color):
        channels = [int(part, 16) / 255 for part in re.findall("..", color[1:])]
        linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    def contrast(one, other):
        bright, dim = sorted((luminance(one), luminance(other)), reverse=True)
        return (bright + 0.05) / (dim + 0.05)

    for theme in ({name: name for name in style.DARK}, style.DARK):
        page = theme[style.PAPER]
        assert contrast(theme[style.INK], page) >= 7 and contrast(theme[style.GREY], page) >= 4.2
        for color in (style.BLUE, style.RED, style.GREEN):
            assert contrast(theme[color], page) >= 3


HOSTILE = "$ $$ \\frac{a} _{^ & < -- ]]> \x07 %"


def test_words_of_readers_are_drawn_as_they_are(tables, tmp_path):
    Image.new("RGB", (8, 8)).save(tmp_path / "p.png")
    groups = tables["groups"].assign(model=HOSTILE, token=HOSTILE)
    sample = SimpleNamespace(
        id=HOSTILE,
        task=HOSTILE,
        image=tmp_path / "p.png",
        answer_vision=HOSTILE,
        answer_text="dear ($$)",
    )
    figures_of = [
        getattr(figures, name)(tables[table].assign(model=HOSTILE))
        for name, table, _ in CASES
        if name in ("fig3", "fig8", "fig5b", "fig14")
    ]
    for figure in [
        *figures_of,
        figures.fig2(sample, groups, {"vision": [HOSTILE], "text": ["$x$"]}),
    ]:
        assert HOSTILE in figure.get_suptitle() and not figure._suptitle.get_parse_math()
        ElementTree.fromstring(style.svg(figure))
        assert style.png(figure)


def test_no_figure_needs_mathematics(drawn):
    for name, figure in drawn.items():
        texts = figure.findobj(matplotlib.text.Text)
        assert not [
            text.get_text() for text in texts if "$" in text.get_text() or text.get_parse_math()
        ], name


def test_a_readers_matplotlibrc_has_no_part_in_a_figure(tables):
    plain = style.svg(figures.fig3(tables["knockout"]))
    own = {
        "text.usetex": True,
        "text.parse_math": True,
        "axes.grid": True,
        "font.family": "serif",
        "lines.linestyle": ":",
        "savefig.dpi": 10,
        "axes.prop_cycle": "cycler('color', ['k'])",
    }
    with matplotlib.rc_context(own):
        figure = figures.fig3(tables["knockout"])
        assert style.svg(figure) == plain and matplotlib.rcParams["text.usetex"]
        assert style.png(figure)
