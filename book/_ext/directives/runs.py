"""The directive ``run``: what was run on a model, on the model's own page."""

import json
from pathlib import Path

import pandas as pd

from directives.base import Directive
from directives.sources import spell_parameters
from press.markdown import markdown
from press.publish import listed


class Run(Directive):
    """The notebooks of one model: their parameters, seconds, and where their rows come from."""

    required_arguments = 1

    def run(self):
        folder = Path(self.env.doc2path(self.env.docname)).parent
        names = listed(Path(self.env.srcdir))
        found = [name for name in names if (folder / f"{name}.ipynb").is_file()]
        rows = [["notebook", "parameters", "seconds", "where its rows come from"]]
        for name in found:
            rows.append([f"[{name}]({name}.ipynb)", *tell_run(folder, name)])
        return [self.box(markdown(rows), "claim")]


def tell_run(folder: Path, name: str) -> list[str]:
    """Parameters, seconds and origin of an executed notebook."""
    metadata = json.loads((folder / f"{name}.ipynb").read_text(encoding="utf-8"))["metadata"]
    ran = metadata.get("papermill", {})
    given = {key: one for key, one in ran.get("parameters", {}).items() if key != "model"}
    path = folder / "tables" / f"{name}_origins.parquet"
    origins = pd.read_parquet(path) if path.is_file() else pd.DataFrame(columns=["taken", "here"])
    taken, here = int(origins["taken"].sum()), int(origins["here"].sum())
    told = (
        f"{taken:,} prompts recorded, {here:,} measured here"
        if taken
        else f"{here:,} measured here"
    )
    return [spell_parameters(given) or "defaults", f"{ran.get('duration') or 0:.0f}", told]
