"""Which notebooks are to run, on which models and with which parameters: all of this is checked
before anything starts.
"""

import ast
import difflib
import json
from pathlib import Path

import papermill

from arbitration.files.folders import ROOT
from arbitration.files.given import quote_error
from arbitration.models import catalogue
from press.publish import Run, listed
from reproduction.claims.predicted import predicted_claims
from reproduction.parameters import check_parameters
from reproduction.results import records

NOTEBOOKS = ROOT / "notebooks"


def pick(given: str, valid: list[str], what: str) -> str:
    """The name given, or a ValueError that restates it and tells the nearest valid one."""
    if given in valid:
        return given
    near = difflib.get_close_matches(given, valid, n=1, cutoff=0)
    hint = f"; did you mean {near[0]!r}?" if near else "."
    why = f"unknown {what} {given!r}{hint} Valid: {', '.join(valid) or 'none'}"
    raise ValueError(why)


#: The notebooks that measure several models by themselves, and run once.
SEVERAL = ("organisms",)
#: The notebooks that have their full size on `catalogue.MASKED` too: that the relay of this
#: positive control is seen beyond as many random sources takes as many samples as elsewhere.
CONTROL_FULL = ("sec3_knockout", "sec3_beliefs", "sec4_components")


def full_parameters(folder=NOTEBOOKS) -> dict[str, dict]:
    """The parameters of every notebook's full run, from ``full.json``."""
    return json.loads((Path(folder) / "full.json").read_text(encoding="utf-8"))


def book_runs(notebooks) -> list[tuple[str, str]]:
    """The (model, notebook) pairs that the book shows of some notebooks: all on the trained models;
    on `catalogue.MASKED` those that decide the paper's claims, and the routes. What measures
    several models by itself runs once.
    """
    deciding = {test.notebook for claim in predicted_claims() for test in claim.predictions}
    deciding.add("sec3_routes")
    first, *more = catalogue.TRAINED
    pairs = [(first, name) for name in notebooks]
    pairs += [(model, name) for model in more for name in notebooks if name not in SEVERAL]
    return pairs + [(catalogue.MASKED, name) for name in notebooks if name in deciding]


def contributed_runs(notebooks, folder=NOTEBOOKS) -> list[Run]:
    """The runs of models that others have recorded (``data/results``), without their weights, at
    the sizes of the records.
    """
    home = records.home()
    recorded = {path.parent.relative_to(home).as_posix() for path in records.list_records(home)}
    models = sorted(name for name in recorded if not catalogue.is_embedded(name))
    full = {name: given | {"weights": "absent"} for name, given in full_parameters(folder).items()}
    alone = (*SEVERAL, "controls")  # which build models of their own
    chosen = [name for name in notebooks if name not in alone]
    return plan(chosen, models, {}, folder, full) if models and chosen else []


def plan(notebooks, models, parameters, folder=NOTEBOOKS, full=None) -> list[Run]:
    """Every requested run, checked before any of them starts.

    Parameters
    ----------
    notebooks : list of str
        Names without ending; empty means all that the book lists.
    models : list of str
        As `arbitration.load` takes them; empty means those on which the book shows each notebook
        (`book_runs`).
    parameters : dict
        Values for names of the notebooks' parameters cells, also as typed text; `model` is set from
        `models`.
    full : dict of str to dict, optional
        For each notebook (`full_parameters`) what holds where `parameters` says nothing. On
        `catalogue.MASKED`, in which the answer is known, of `CONTROL_FULL` alone: elsewhere its
        full size is the notebooks' default.

    Raises
    ------
    ValueError
        On a notebook, model or parameter name that does not exist, and on a value that a parameter
        cannot have; the message names the nearest that is right. Also if `full` leaves a notebook
        out.
    """
    # In the book's order sections come before appendices and controls, which read what a section
    # has measured.
    sources = {name: Path(folder) / f"{name}.ipynb" for name in listed(Path(folder).parent)}
    chosen = [pick(name, list(sources), "notebook") for name in notebooks] or list(sources)
    for name in models:
        catalogue.entry_of(name)
    if "model" in parameters:
        why = f"the parameter model is set by --model {parameters['model']}"
        raise ValueError(why)
    for name in full or {}:
        pick(name, list(sources), "notebook of full.json")
    if lacking := [name for name in chosen if full is not None and name not in full]:
        why = (
            f"full.json says nothing about {', '.join(lacking)}; add its full parameters, {{}} "
            f"if the defaults are full"
        )
        raise ValueError(why)
    pairs = [(model, name) for model in models for name in chosen] or book_runs(chosen)
    runs = []
    for model, name in pairs:
        large = model != catalogue.MASKED or name in CONTROL_FULL
        sizes = full[name] if full and large else {}
        given = settled(sources[name], {**sizes, **parameters, "model": model})
        runs.append(Run(sources[name], model, given))
    return runs


def settled(source: Path, given: dict) -> dict:
    """A notebook's parameters as it will use them.

    Raises
    ------
    ValueError
        As `plan`.
    """
    try:
        found = papermill.inspect_notebook(source)
    except ValueError as error:
        why = f"{source} is no notebook ({quote_error(error)}); write it again: make pair"
        raise ValueError(why) from error
    declared = {name: ast.literal_eval(one["default"]) for name, one in found.items()}
    for name in ("model", *given):
        pick(name, list(declared), f"parameter of {source.stem}")
    try:
        found = check_parameters(declared | given)
    except ValueError as error:
        why = f"{source.stem}: {error}"
        raise ValueError(why) from error
    return {name: found[name] for name in given}
