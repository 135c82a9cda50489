"""Controls that take something away: labels drawn at random by hand, and every measure under every
control.
"""

import pandas as pd
import pytest

import tiny
from directives.tables import write_controls
from in_process import run
from reproduction import figures, numbers
from reproduction.numbers import controls
from toy_tables import components, heads, paths


def test_a_turned_label_swaps_the_answers_by_hand():
    """Eq. 7: 0.8 ln(0.8/0.5) + 0.2 ln(0.2/0.5) = 0.192745. With the answers swapped, 0.2 rises to
    0.5: the same divergence, negative.
    """
    found = controls.shuffle_labels(paths())
    turned = found["label"] != found["following"]
    blocked = (found["pathway"] == "context→instruction") & (found["layer"] == 1)
    assert found.loc[blocked & turned, "nssd"].tolist() == pytest.approx([-0.192745] * 4, abs=1e-6)
    assert found.loc[blocked & ~turned, "nssd"].tolist() == pytest.approx([0.192745] * 4, abs=1e-6)
    assert (found.loc[~blocked, "nssd"] == 0).all()
    row = found[blocked & turned].iloc[0]
    assert (row["p_p"], row["p_c"], row["p_p_blocked"]) == (
        pytest.approx(0.2),
        pytest.approx(0.8),
        pytest.approx(0.5),
    )


def test_half_of_each_direction_turns_whole_prompts_and_the_seed_says_which():
    found = controls.shuffle_labels(paths(7), seed=1)
    labels = found.groupby(["following", "sample"])["label"].agg(["nunique", "first"])
    assert (labels["nunique"] == 1).all(), "a prompt turns in all its rows or in none"
    assert {d: int((labels.loc[d, "first"] != d).sum()) for d in ("text", "vision")} == {
        "text": 3,
        "vision": 3,
    }
    again, other = (controls.shuffle_labels(paths(7), seed=seed) for seed in (1, 2))
    pd.testing.assert_frame_equal(found, again)
    assert (found["label"] != other["label"]).any()


def test_signals_change_places_and_margins_their_sign():
    found = controls.shuffle_labels(components())
    turned = found["label"] != found["following"]
    assert set(found.loc[turned, "signal_f"]) == {1.0} and set(found.loc[turned, "signal_c"]) == {
        3.0
    }
    assert set(found.loc[turned, "attention_margin"]) == {-2.0} and set(
        found.loc[~turned, "attention_margin"]
    ) == {2.0}
    assert set(found.loc[turned, "mlp_margin"]) == {1.0} and "attention_signal" not in found
    assert controls.shuffle_labels(heads())["margin"].sum() == 0


def test_a_measure_without_its_sign_would_not_pass():
    """What the control is for: the mean of the signed divergence vanishes, that of the unsigned one
    does not.
    """
    found = controls.shuffle_labels(paths())
    assert found["nssd"].mean() == pytest.approx(0, abs=1e-12) and found["nssd"].abs().mean() > 0.03


@pytest.fixture(scope="module")
def table():
    both = {
        controls.TRAINED: paths(24),
        controls.INSTRUCTION: controls.shuffle_labels(paths(24)),
        controls.SOURCES: paths(12),
    }
    parts = {
        controls.TRAINED: components(24),
        controls.INSTRUCTION: controls.shuffle_labels(components(24)),
        controls.DICTIONARY: components(24),
    }
    return controls.compare_controls(
        both,
        parts,
        {controls.TRAINED: heads(24), controls.INSTRUCTION: controls.shuffle_labels(heads(24))},
    )


def test_each_measure_has_its_number_n_and_interval(table):
    found = numbers.summarise_controls(table)
    assert found["nssd_context_instruction_text_trained"] == pytest.approx(0.192745, abs=1e-6)
    assert found["nssd_context_instruction_vision_shuffled_instruction"] == pytest.approx(
        0, abs=1e-12
    )
    assert (
        found["nssd_context_instruction_text_random_sources_n"] == 12.0
        and found["ldar_text_trained_n"] == 24.0
    )
    assert (found["ldar_text_trained"], found["ldar_text_shuffled_instruction"]) == (1.0, 0.5)
    assert (found["attention_vision_trained"], found["attention_vision_shuffled_instruction"]) == (
        2.0,
        0.0,
    )
    assert (
        found["mlp_text_trained"],
        found["head_text_trained"],
        found["head_text_shuffled_instruction"],
    ) == (-1.0, 4.0, 0.0)
    assert (
        found["attention_vision_shuffled_instruction_low"]
        < 0
        < found["attention_vision_shuffled_instruction_high"]
    )
    assert found["around_shuffled_instruction"] == "12 of 12"
    assert found["around_shuffled_dictionary"] == "0 of 6", "this toy's foreign answers do lead"
    assert found["around_random_weights"] == "0 of 0"
    assert all(type(value) in (float, str) for value in found.values())


def test_the_page_shows_kinds_side_by_side(table):
    written = write_controls(table)
    assert written[0] == (
        "| following | measure | trained | shuffled instruction | shuffled dictionary | "
        "random sources |"
    )
    assert len(written) == 2 + 2 * 6
    (line,) = [line for line in written if line.startswith("| text |")]
    assert line == (
        "| text | NSSD vision→text (nats) | 0.00 [0.00, 0.00], n = 24 | 0.00 [0.00, 0.00], "
        "n = 24 | – | 0.00 [0.00, 0.00], n = 12 |"
    )
    (line,) = [line for line in written if "strongest" in line][:1]
    assert line.startswith(
        "|  | strongest head (logits) | 4.00 [4.00, 4.00], n = 24 | 0.00 ["
    ) and line.endswith(" – | – |")


def test_the_figure_draws_every_kind_with_its_own_curve():
    both = {controls.TRAINED: paths(6), controls.INSTRUCTION: controls.shuffle_labels(paths(6))}
    both = {
        kind: pd.concat(
            [
                rows,
                rows.assign(pathway="vision→instruction")[rows["pathway"] == "context→instruction"],
            ]
        )
        for kind, rows in both.items()
    }
    parts = {
        controls.TRAINED: components(6),
        controls.INSTRUCTION: controls.shuffle_labels(components(6)),
    }
    figure = figures.fig_controls(both, parts)
    assert figure.get_suptitle().startswith("Fig. C1 · toy")
    for axes, height in zip(figure.axes, (0.192745, 0.192745, 1.0, 1.0)):
        curves = {
            line.get_label(): max(line.get_ydata())
            for line in axes.get_lines()
            if "_" not in line.get_label()
        }
        assert curves == pytest.approx(
            {"trained": height, "control: a label drawn at random": 0.5 if height == 1 else 0.0},
            abs=1e-6,
        )
        assert "n = 6" in axes.get_title("right") and axes.get_xlabel() and axes.get_ylabel()


def test_the_notebook_measures_every_control(tmp_path, monkeypatch):
    """On a tiny model whose 'random weights' are another tiny model: all kinds are there, and each
    has numbers of its own.
    """

    def load(name, weights):
        return tiny.subject("internvl", seed=0 if weights == "trained" else 1)

    found, other = (
        run("controls", tmp_path, monkeypatch, load, n=4, seed=seed, only_following=False)
        for seed in (0, 1)
    )
    kinds = [kind.replace(" ", "_") for kind in controls.KINDS]
    deep = [
        found[f"nssd_vision_instruction_vision_{kind}"]
        for kind in kinds
        if kind != "shuffled_dictionary"
    ]
    assert (
        len(set(deep)) == 4
        and len({found[f"attention_text_{kind}"] for kind in kinds if kind != "random_sources"})
        == 4
    )
    assert set(found) == set(other) and found["around_random_weights"].endswith(" of 24")
    assert (
        found["nssd_vision_text_text_shuffled_instruction"]
        != other["nssd_vision_text_text_shuffled_instruction"]
    )
