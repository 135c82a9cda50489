"""The folder that only the project's own machines have: the paper, the authors' curves, cases."""

from pathlib import Path

SHARED = Path(__file__).resolve().parents[3] / "shared"
