"""What stands under a figure: the cell that drew it, its data, the command that makes it again, and
what it was made with.
"""

import json
import shlex
from pathlib import Path

import pandas as pd

from press.markdown import escape_words, fence_for, markdown, quote_code

#: Tables behind a figure whose links stand under it; those of more are folded.
FEW = 2


def find_run(executed: Path, name: str) -> str:
    """The notebook of a model that published a figure; empty where none says so.

    Parameters
    ----------
    executed : Path
        The folder of the model's executed notebooks.
    """
    for stamp in sorted(executed.glob("*.stamp.json")):
        if f"figures/{name}.json" in json.loads(stamp.read_text(encoding="utf-8"))["files"]:
            return stamp.name.removesuffix(".stamp.json")
    return ""


def label_cell(model: str, name: str) -> str:
    """The link's target of the cell that drew a figure."""
    return f"cell-{model}-{name}".lower().replace("/", "-")


def write_command(notebook: dict, name: str) -> str:
    """The command that runs a notebook again as it was run, from the project's folder.

    Parameters
    ----------
    notebook : dict
        As `json` reads the executed one.
    name : str
        Its name without ending.
    """
    given = notebook["metadata"].get("papermill", {}).get("parameters", {})
    names = sorted(given, key=lambda key: (key != "model", key))
    words = [f"-p {key} {shlex.quote(spell(given[key]))}" for key in names]
    return " ".join([f".venv/bin/instruction-anchors run {name}", *words])


def spell(value) -> str:
    """A parameter's value as it is typed."""
    return value if isinstance(value, str) else json.dumps(value)


def spell_parameters(given: dict) -> str:
    """A run's parameters in words, each as code."""
    return ", ".join(quote_code(f"{key} = {spell(given[key])}") for key in sorted(given))


def list_provenance(executed: Path, notebook: str, metadata: dict) -> list[tuple[str, str]]:
    """(what, value) of all that a run's numbers depend on, and where its rows come from.

    Parameters
    ----------
    metadata : dict
        Of the executed notebook.
    """
    about = json.loads(
        (executed / "tables" / f"{notebook}_origins.json").read_text(encoding="utf-8")
    )
    origins = pd.read_parquet(executed / "tables" / f"{notebook}_origins.parquet")
    ran = metadata.get("papermill", {})
    packages = ", ".join(f"{name} {version}" for name, version in about["packages"].items())
    named = escape_words(about["model"])
    lines = [
        ("model", f"{named}, revision `{about['revision']}`, {about['dtype']}"),
        ("parameters", spell_parameters(ran.get("parameters", {}))),
        ("code", f"`{about['code']}`"),
        ("packages", packages),
        ("run", f"{ran.get('duration') or 0:.0f} s on {about['device']}"),
    ]
    lines += [
        (f"table *{table}*", escape_words(origin))
        for table, origin in origins[["table", "origin"]].itertuples(index=False)
    ]
    return lines


def write_sources(executed: Path, model: str, name: str) -> list[str]:
    """The lines of MyST under a model's figure; none where no run says that it published it."""
    folder = executed / model
    if not (run := find_run(folder, name)):
        return []
    known = json.loads((folder / "figures" / f"{name}.json").read_text(encoding="utf-8"))
    notebook = json.loads((folder / f"{run}.ipynb").read_text(encoding="utf-8"))
    told, data = [f"[source](#{label_cell(model, name)})"], known.get("data", ())
    links = [
        f"{{download}}`{table if len(data) > 1 else 'data'} ({kind}) "
        f"<_executed/{model}/figures/{table}.{kind}>`"
        for table in data
        for kind in ("csv", "parquet")
    ]
    folded = len(data) > FEW
    provenance = list_provenance(folder, run, notebook["metadata"])
    rows = [["", ""], *map(list, provenance)]
    command = write_command(notebook, run)
    fence = fence_for(command)
    return [
        " · ".join(told if folded else told + links),
        "",
        f"{fence}`{{dropdown}} {'Data, run again' if folded else 'Run again'}, and provenance",
        ":class-container: fold sources",
        "",
        *([" · ".join(links), ""] if folded else []),
        f"{fence}sh",
        *command.split("\n"),
        fence,
        "",
        *markdown(rows),
        "",
        f"{fence}`",
    ]
