"""The notebooks measure: nothing in them is a committed answer.

Changing the seed on a small model, and swapping `smol`'s weights for random ones, must change every
number that goes into the book, except those that state the design (how many layers, heads and
samples there are).
"""

import json
import re

import pandas as pd
import pytest
from matplotlib.figure import Figure

import tiny
from in_process import NOTEBOOKS, run
from press import columns
from reproduction import tables
from reproduction.figures import style
from reproduction.results import parts

#: What states the design and not a measurement.
DESIGN = (
    "n_",
    "wordings_",
    "layers",
    "heads_total",
    "top_count",
    "overlap_ten_chance",
    "overlap_top_chance",
    "kept_",
    "failures_",
    "weakened_",
    "set_",
    "control_edges_",
    "control_own_",
    "control_rival_",
)
#: Of the data set alone, whatever the model.
DATA_ONLY = ("forms_mean", "ids_mean", "ids_min", "fallback_share")

#: What keeps a run short.
SMALL = {
    "sec4_heads": {"draws": 1, "elsewhere": 1},
    "sec4_sensitivity": {"singles": 1, "draws": 1, "tries": 4},
    "appC_windows": {"widths": [1, 5]},
    "appE_ablations": {"draws": 1},
    "appG_reviews": {"few": 2, "tries": 4},
    "steer": {"draws": 2},
}


#: A layer out of a few, told as its distance from another model's layer: two runs may have the
#: same.
PLACED = ("authors_shift_", "halves_shift_")


def is_share(value: float) -> bool:
    """A count divided by a few samples, layers or draws: two of them may be equal by chance."""
    return value == value and abs(value * 600 - round(value * 600)) < 1e-6


def unchanged(before: dict, after: dict) -> tuple[list, float]:
    """The quantities that came out the same, and which share of the counted ones changed."""
    assert set(before) == set(after)
    numbers = {
        k: (v, after[k])
        for k, v in before.items()
        if isinstance(v, float) and v == v and not k.startswith(DESIGN)
    }
    counted = {
        k: pair
        for k, pair in numbers.items()
        if k.startswith(PLACED) or all(is_share(v) for v in pair)
    }
    # The interval of a share, and what it could have shown, follow from the share and its clusters.
    of = {k: re.sub("_(low|high|seen)$", "", k) for k in numbers}
    same = [k for k, (a, b) in numbers.items() if a == b and of[k] not in counted]
    return same, sum(a != b for a, b in counted.values()) / max(1, len(counted))


def test_there_is_a_notebook_for_every_measured_section_and_appendix_and_for_one_prompt():
    assert NOTEBOOKS == [
        "appC_windows",
        "appE_ablations",
        "appF_meaning",
        "appG_reviews",
        "organisms",
        "sec2_dataset",
        "sec3_beliefs",
        "sec3_knockout",
        "sec3_routes",
        "sec4_components",
        "sec4_heads",
        "sec4_sensitivity",
        "steer",
    ]


def tiny_model(name, weights):
    """In place of `arb.load`: minutes become seconds. Each kind of weights is another draw."""
    return tiny.subject("internvl", seed={"trained": 0, "random": 1}[weights])


#: Plain text is the same whatever was drawn.
SEEDLESS = ("loss_original",)


def check_described(notebook: str, written: dict) -> None:
    """The tables that a notebook has written, and their columns, are those that the book describes
    of it: none more, and none less.
    """
    said = {
        name.replace("*", notebook): table.columns.split()
        for name, table in columns.read_tables().items()
        if table.saved_by in (notebook, "*")
    }
    assert {name: sorted(some) for name, some in written.items()} == {
        name: sorted(some) for name, some in said.items()
    }


@pytest.mark.parametrize("notebook", NOTEBOOKS)
def test_another_seed_and_other_weights_give_other_numbers(notebook, tmp_path, monkeypatch):
    options = SMALL.get(notebook, {}) | (
        {} if notebook == "sec2_dataset" else {"only_following": False}
    )
    found = run(notebook, tmp_path, monkeypatch, tiny_model, n=3, seed=0, **options)
    check_described(notebook, columns.read_written(tmp_path / "out"))
    # Once is enough to see that its figures can be drawn.
    monkeypatch.setattr(style, "svg", lambda figure: "<svg/>")
    monkeypatch.setattr(Figure, "draw_without_rendering", lambda figure: None)
    for key, change in (("seed", {"seed": 1}), ("weights", {"seed": 0, "weights": "random"})):
        other = run(notebook, tmp_path, monkeypatch, tiny_model, n=3, **options, **change)
        same, _ = unchanged(found, other)
        # The tiny model answers neither way, so the share of samples that follow has no chance to
        # change. Hand-made models have weights of their own.
        known = SEEDLESS if key == "seed" else DATA_ONLY
        same = [name for name in same if key == "seed" or not name.startswith("plants_")]
        assert not [
            name
            for name in same
            if not name.startswith(("follow", "compete", "other")) and name not in known
        ], key
    assert run(
        notebook, tmp_path, monkeypatch, tiny_model, n=3, seed=0, **options
    ) == pytest.approx(found, nan_ok=True)


def test_a_model_in_a_folder_keeps_its_tables_and_figures_out_of_it(tmp_path, monkeypatch):
    own, saved = tiny.subject("llava"), tmp_path / "mine"
    own.model.save_pretrained(saved)
    own.processor.save_pretrained(saved)
    before = sorted(saved.rglob("*"))
    run("sec3_beliefs", tmp_path, monkeypatch, model=str(saved), n=2, only_following=False)
    assert sorted(saved.rglob("*")) == before
    kept = tmp_path / "out" / "local" / "mine"
    assert {path.parent.name for path in kept.rglob("*.*")} == {"figures", "tables"}


def test_the_windows_of_three_layers_are_those_of_section_3(tmp_path, monkeypatch):
    """What either notebook has measured, the other reads: no prompt is swept twice at width 3."""
    swept, sweep = [], tables.knockout_tables

    def counted(subject, prompts, pathways, width):
        swept.append((width, len(prompts)))
        return sweep(subject, prompts, pathways, width)

    monkeypatch.setattr(tables, "knockout_tables", counted)
    options = {"n": 2, "only_following": False}
    for first, second, more in (
        ("sec3_knockout", "appC_windows", {"widths": [3, 5]}),
        ("appC_windows", "sec3_knockout", {}),
    ):
        folder = tmp_path / first
        run(first, folder, monkeypatch, tiny_model, **options)
        swept.clear()
        run(second, folder, monkeypatch, tiny_model, **options, **more)
        assert [case for case in swept if case[0] == 3] == []
        assert [case for case in swept if case[0] != 3] == (
            [(5, 4), (5, 4)] if "widths" in more else []
        )


@pytest.mark.parametrize("notebook", ["sec3_knockout", "sec3_beliefs", "sec4_components"])
def test_fewer_samples_after_more_measure_nothing(notebook, tmp_path, monkeypatch):
    """Their parts are at hand: neither `n` nor what others are measured is in a part's key."""
    kept, keep = [], parts.write_table

    def counted(table, path, first=False):
        kept.append(path) if first else None
        keep(table, path, first)

    monkeypatch.setattr(parts, "write_table", counted)
    run(notebook, tmp_path, monkeypatch, tiny_model, n=3, only_following=False)
    assert len(kept) > 6
    kept.clear()
    run(notebook, tmp_path, monkeypatch, tiny_model, n=2, only_following=False)
    # The place of Fig. 5b is found on the samples behind these, which are others for another n.
    others = ("way_out-", "answers-")
    assert [path for path in kept if not path.parent.name.startswith(others)] == []


@pytest.mark.parametrize(
    "notebook, scored, tried, name",
    [
        ("sec4_heads", "heads", "blocking", "rankings"),
        ("sec4_sensitivity", "head_scores", "head_blocking", "orders"),
    ],
)
def test_heads_are_ranked_on_other_samples_than_those_they_are_tried_on(
    notebook, scored, tried, name, tmp_path, monkeypatch
):
    options = SMALL[notebook] | {"n": 3, "only_following": False}
    run(notebook, tmp_path, monkeypatch, tiny_model, **options)
    folder = tmp_path / "out" / "tiny-internvl" / "tables"
    tested = set(pd.read_parquet(folder / f"{tried}.parquet")["sample"])
    scores = pd.read_parquet(folder / f"{scored}.parquet")
    ranking = scores[~scores["sample"].isin(tested)]
    assert ranking["sample"].nunique() == 3 == len(tested)
    told = json.loads((folder / f"{tried}.json").read_text(encoding="utf-8"))["parameters"][name]
    column = "margin" if name == "rankings" else "eq12"
    for way, rows in ranking.groupby("following"):
        mean = rows.groupby(["layer", "head"])[column].mean()
        best = sorted(mean.items(), key=lambda item: (-item[1], item[0]))
        key = way if name == "rankings" else str(("eq12", "instruction", way))
        used = [(head["layer"], head["index"]) for head in told[key]]
        assert used == [place for place, _ in best[: len(used)]] and used
