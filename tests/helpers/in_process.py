"""A notebook's cells in this process, with `glue` caught and parts kept in a fresh folder."""

from pathlib import Path

import jupytext

import arbitration as arb
from arbitration.checks import planted
from arbitration.files.folders import ROOT
from arbitration.models import load as loading
from press.publish import listed
from reproduction.cohorts import answered
from reproduction.results import attest, question

NOTEBOOKS = sorted(set(listed()) - {"controls"})


def run(notebook: str, folder: Path, monkeypatch, load=arb.load, **parameters) -> dict:
    """Execute a notebook's code with other parameters; returns what it glued."""
    glued = {}
    monkeypatch.setenv("ARBITRATION_OUTPUT", str(folder / "out"))
    monkeypatch.setattr(question, "cache", lambda: folder / "cache")
    monkeypatch.setattr("myst_nb.glue", lambda key, value, display: glued.__setitem__(key, value))
    monkeypatch.setattr(attest, "SEEN", [])
    monkeypatch.setattr(loading, "load", load)
    monkeypatch.setattr(answered, "PROBED", 2)
    # Larger hand-made models differ in nothing that a notebook's code decides.
    monkeypatch.setattr(planted, "SIZES", {"small": planted.SIZES["small"]})
    scope: dict = {}
    for cell in jupytext.read(ROOT / "notebooks" / f"{notebook}.py").cells:
        if cell.cell_type == "code":
            exec(compile(cell.source, f"{notebook}", "exec"), scope)
            if "parameters" in cell.metadata.get("tags", []):
                unknown = set(parameters) - set(scope)
                assert not unknown, f"{notebook} has no parameter {unknown}"
                scope.update(parameters)
    written = [
        path.relative_to(folder / "out") for path in (folder / "out").rglob("*") if path.is_file()
    ]
    assert written and all(path.is_relative_to(scope["subject"].name) for path in written), (
        "tables and figures are kept by the subject's name"
    )
    return glued
