"""The notebooks measure: nothing in them is a committed answer.

Each notebook's cells run here in one process, with `glue` caught and parts kept in a fresh folder. Changing the seed on a small
model, and swapping `smol`'s weights for random ones, must change every number that goes into the book, except those that
state the design (how many layers, heads and samples there are).
"""

from pathlib import Path

import jupytext
import pytest
import tiny

import arbitration as arb
from arbitration import results
from arbitration.folders import ROOT

NOTEBOOKS = sorted(path.stem for path in (ROOT / "notebooks").glob("sec*.py"))


def run(notebook: str, folder: Path, monkeypatch, load=arb.load, **parameters) -> dict:
    """Execute a notebook's code with other parameters; returns what it glued."""
    glued = {}
    monkeypatch.setenv("ARBITRATION_OUTPUT", str(folder / "out"))
    monkeypatch.setattr(results, "cache", lambda: folder / "cache")
    monkeypatch.setattr("myst_nb.glue", lambda key, value, display: glued.__setitem__(key, value))
    monkeypatch.setattr(arb, "load", load)
    scope: dict = {}
    for cell in jupytext.read(ROOT / "notebooks" / f"{notebook}.py").cells:
        if cell.cell_type == "code":
            exec(compile(cell.source, f"{notebook}", "exec"), scope)
            if "parameters" in cell.metadata.get("tags", []):
                unknown = set(parameters) - set(scope)
                assert not unknown, f"{notebook} has no parameter {unknown}"
                scope.update(parameters)
    return glued


#: What states the design and not a measurement.
DESIGN = ("n_", "layers", "heads_total", "top_count", "overlap_ten_chance", "overlap_top_chance", "kept_", "failures_", "weakened_")
#: Of the data set alone, whatever the model.
DATA_ONLY = ("forms_mean", "ids_mean", "ids_min", "fallback_share")


def is_share(value: float) -> bool:
    """A count divided by a few samples, layers or draws: two of them may be equal by chance."""
    return value == value and abs(value * 600 - round(value * 600)) < 1e-6


def unchanged(before: dict, after: dict) -> tuple[list, float]:
    """The measured quantities that came out the same, and which share of the counted ones changed."""
    assert set(before) == set(after)
    numbers = {k: (v, after[k]) for k, v in before.items() if isinstance(v, float) and v == v and not k.startswith(DESIGN)}
    counted = {k: pair for k, pair in numbers.items() if all(is_share(v) for v in pair)}
    same = [k for k, (a, b) in numbers.items() if a == b and k not in counted]
    return same, sum(a != b for a, b in counted.values()) / max(1, len(counted))


def test_there_is_a_notebook_for_every_measured_section():
    assert NOTEBOOKS == ["sec2_dataset", "sec3_beliefs", "sec3_knockout", "sec4_components", "sec4_heads"]


@pytest.mark.parametrize("notebook", NOTEBOOKS)
def test_another_seed_gives_other_numbers(notebook, tmp_path, monkeypatch):
    def tiny_model(name, weights):
        return tiny.subject("internvl")

    options = {} if notebook == "sec2_dataset" else {"only_following": False}
    found = [run(notebook, tmp_path, monkeypatch, tiny_model, n=3, seed=seed, **options) for seed in (0, 1)]
    same, _ = unchanged(*found)
    # The tiny model answers neither way, so only the share of samples that follow has no chance to change.
    assert not [key for key in same if not key.startswith(("follow", "compete", "other"))]
    assert run(notebook, tmp_path / "again", monkeypatch, tiny_model, n=3, seed=0, **options) == pytest.approx(found[0], nan_ok=True)


@pytest.mark.parametrize("notebook", NOTEBOOKS)
def test_random_weights_give_other_numbers(notebook, tmp_path, monkeypatch):
    small = {"n": 2, "draws": 1} if notebook == "sec4_heads" else {"n": 2} if notebook == "sec2_dataset" else {"n": 1}
    options = {} if notebook == "sec2_dataset" else {"only_following": False}
    trained = run(notebook, tmp_path, monkeypatch, **small)
    random = run(notebook, tmp_path, monkeypatch, weights="random", **small, **options)
    same, moved = unchanged(trained, random)
    assert not [key for key in same if key not in DATA_ONLY]
    # Shares saturate: heads whose blocking changes no answer, trained or not, give 0 both times.
    assert moved > 0
