"""Measure the tables of `tests/stored` anew, when a table gains a column that a number needs.

`python tests/helpers/store_tables.py`, with `lib` and `tests/helpers` on the path: ten minutes.
"""

import tempfile
from pathlib import Path

import pandas as pd
import pytest

from arbitration.files.folders import ROOT
from in_process import run

TABLES = (
    "knockout knockout_controls windows beliefs paths components heads blocking amplification "
    "head_effects head_blocking ablations"
).split()
#: The notebooks that the claims rest on, with three samples a direction.
NOTEBOOKS = {
    "sec3_knockout": {"n_controls": 2},
    "appC_windows": {"n_controls": 2, "widths": [1, 3, 5]},
    "sec3_beliefs": {"n_place": 2},
    "sec4_components": {},
    "sec4_heads": {"draws": 2, "elsewhere": 1, "shares": [0.05], "factors": [1.25, 2.0, 5.0]},
    "sec4_sensitivity": {
        "singles": 2,
        "draws": 1,
        "elsewhere": 1,
        "shares": [0.05],
        "factors": [2.0],
        "tries": 3,
    },
    "appE_ablations": {"draws": 1},
}


def main() -> None:
    """Run the notebooks on `smol` and keep their tables."""
    kept = ROOT / "tests" / "stored" / "tables"
    kept.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        for name, given in NOTEBOOKS.items():
            with pytest.MonkeyPatch.context() as patch:
                run(name, Path(folder), patch, model="smol", n=3, **given)
        for name in TABLES:
            table = pd.read_parquet(Path(folder) / "out" / "smol" / "tables" / f"{name}.parquet")
            table.to_parquet(kept / f"{name}.parquet", compression="zstd", compression_level=19)


if __name__ == "__main__":
    main()
