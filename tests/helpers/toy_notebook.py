"""A toy notebook, the book that lists it, and what is published of it."""

from pathlib import Path

import yaml

from press import pair

TOY = """# %% tags=["parameters"]
model = "smol"
n = 1

# %%
import os, sys
from pathlib import Path
folder = Path(os.environ["ARBITRATION_OUTPUT"]) / model / "figures"
folder.mkdir(parents=True)
(folder / f"fig{n}.json").write_text(model)
print(sys.executable, os.getcwd(), "→")

# %%
assert n != 13, "an unlucky number"
"""


def contents(*notebooks):
    """A table of contents that lists some notebooks."""
    return yaml.safe_dump({"root": "book/index", "meta": {"notebooks": list(notebooks)}})


def write_toy(folder: Path, text: str = TOY) -> Path:
    """Lay out a book of the one notebook `toy`; the folder of its notebooks."""
    sources = folder / "notebooks"
    sources.mkdir()
    (folder / "_toc.yml").write_text(contents("toy"))
    (sources / "toy.py").write_text(text)
    (sources / "toy.ipynb").write_text(pair.convert(sources / "toy.py"))
    return sources


def files_of(executed):
    """What is published, without the locks."""
    return {
        path.relative_to(executed).as_posix(): path.read_bytes()
        for path in executed.rglob("*")
        if path.is_file() and path.suffix != ".lock"
    }
