"""Tables that several notebooks read, each under one name with one set of parameters: whoever comes
first measures, the others find every part at hand.

`collect` is `store.gather`, or `store.collect` where the table is published too.
"""

import pandas as pd

from arbitration.engine.sweep import knockout_tables
from arbitration.equations.knockout import STANDARD_PATHWAYS, Pathway
from reproduction.measures import heads, routes
from reproduction.measures.components import measure_components
from reproduction.measures.rows import each
from reproduction.results import store

#: Those of Figs. 3 and 4 and the way out of the instruction; and the template's words after the
#: question, which could relay to the last token too.
PATHWAYS = (*STANDARD_PATHWAYS, Pathway("template", "last"))
NO_WAY_OUT = pd.DataFrame(columns=["model", "sample", "following", "start", "lost"])
#: How Φ is taken unless a notebook says otherwise.
PHI = {"top_k": 1, "pooling": "max", "norm": False}


def gather_pathways(
    subject, prompts, compared, width: int, seed: int, pathways=PATHWAYS, collect=store.gather
) -> pd.DataFrame:
    """NSSD (Eq. 7) of pathways in every layer window, and of as many random sources.

    Parameters
    ----------
    prompts, compared : list of Prompt
        Whose pathways are closed; and those of them that have the control, which costs as much.
    seed : int
        Of the random sources.

    Returns
    -------
    DataFrame
        As `sweep.knockout_tables`, the rows of the control (column control) behind the others.
    """
    control = [Pathway(path.source, path.target, control=seed) for path in pathways]
    own = collect(
        "knockout", knockout_tables, subject, prompts, pathways=list(pathways), width=width
    )
    random = collect(
        "knockout_controls", knockout_tables, subject, compared, pathways=control, width=width
    )
    return pd.concat([own, random], ignore_index=True)


def gather_way_out(subject, prompts, collect=store.gather) -> pd.DataFrame:
    """Lead lost with instruction→last closed in every window of `routes.SIZE` layers; no row
    without prompts.
    """
    rows, given = each(routes.measure_windows), {"closed": "instruction→last", "size": routes.SIZE}
    return collect("way_out", rows, subject, prompts, NO_WAY_OUT, **given)


def gather_heads(subject, prompts, dictionary, collect=store.gather, **phi) -> pd.DataFrame:
    """Eq. 12 of every head (`heads.attribute_heads`); `phi` as in `lens.phi`."""
    phi = PHI | phi
    return collect("heads", heads.attribute_heads, subject, prompts, dictionary=dictionary, **phi)


def gather_scores(subject, prompts, dictionary, collect=store.gather, **phi) -> pd.DataFrame:
    """Eq. 12 and the sensitivity of every head (`heads.score_heads`); `phi` as in `lens.phi`."""
    rows, phi = each(heads.score_heads), PHI | phi
    return collect("head_scores", rows, subject, prompts, dictionary=dictionary, **phi)


def gather_components(
    subject, prompts, dictionary, borrowed, collect=store.gather, positions="instruction", **phi
) -> pd.DataFrame:
    """Increments by attention and MLP (`components.measure_components`); `phi` as in `lens.phi`."""
    given = {"dictionary": dictionary, "positions": positions, **PHI, **phi}
    rows = each(measure_components)
    return collect("components", rows, subject, prompts, borrowed=borrowed, **given)
