"""Where things are: found from the package, never from the working directory."""

import os
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
DATA = ROOT / "data"
EXECUTED = ROOT / "book" / "_executed"


def cache() -> Path:
    """Folder of fetched and derived files; ``ARBITRATION_CACHE`` moves it."""
    folder = os.environ.get("ARBITRATION_CACHE") or Path.home() / ".cache" / "instruction-anchors"
    return Path(folder).expanduser()


def output() -> Path:
    """Folder of a notebook's tables and figures; ``ARBITRATION_OUTPUT`` moves it (the book's runner does)."""
    return Path(os.environ.get("ARBITRATION_OUTPUT") or ROOT / "results").expanduser()
