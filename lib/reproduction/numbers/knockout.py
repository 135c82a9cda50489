"""The numbers of Section 3.1: extremes of NSSD by pathway, and what the paper contrasts."""

import itertools
import math

import numpy as np
import pandas as pd
import torch

from arbitration.dataset.sample import SOURCE
from arbitration.equations.metrics import nssd
from reproduction.measures.paths import lead_lost
from reproduction.numbers import authors
from reproduction.numbers.counting import counts, least_controls
from reproduction.numbers.estimates import (
    DIRECTIONS,
    MARGINAL,
    RATE,
    chosen,
    differences,
    estimate,
    extreme,
    per_sample,
    wide,
)

SURE = 0.99  # renormalised probability of y_p (Eq. 6) beyond which NSSD has no room
MUCH = 10.0  # nats of lead: what no path of the embedded models exceeds in the mean

#: What the paper contrasts, each with the direction: which path outweighs which, a path's control
#: being the same with ``_control``.
CONTRASTS = {
    "relay_vision": ("vision_text_vision", "vision_last_vision"),
    "relay_control_vision": ("vision_text_vision", "vision_text_vision_control"),
    "anchor_text": ("context_instruction_text", "context_last_text"),
    "anchor_vision": ("vision_instruction_vision", "vision_last_vision"),
    "context_vision": ("vision_instruction_vision", "vision_context_vision"),
    "textlast_text": ("text_last_text", "text_last_text_control"),
    "textlast_vision": ("text_last_vision", "text_last_vision_control"),
    "control_text": ("context_instruction_text", "context_instruction_text_control"),
    "control_vision": ("vision_instruction_vision", "vision_instruction_vision_control"),
}
#: Contrasts of which the authors' own curves show no 0.1 nats: any effect counts.
SMALL = ("textlast_text", "textlast_vision")
#: That closing vision→text helps a text instruction.
LOWEST = ("vision_text_text", "vision_text_text_control")


def summarise_knockout(table, seed=0):
    """Numbers of Section 3.1 (Figs. 3 and 4): extremes of the mean NSSD by pathway, what the paper
    contrasts, and the agreement with the authors' curves (`authors.compare_curves`).

    A contrast compares two pathways sample by sample, each at the layer of its own extreme; with a
    control, over the samples that have one (``n_controls`` per direction). Extremes and contrasts
    have the interval of a band over all layers, or all pairs of layers, from which they were chosen
    (`estimates.chosen`).

    Parameters
    ----------
    table : DataFrame
        From `knockout_sweep`, the eight standard pathways and their controls; nssd in nats.
    seed : int
        Of the bootstrap.

    Returns
    -------
    dict
        For each pathway, direction and control ``peak_…`` and ``trough_…`` of NSSD, with
        ``_layer`` and ``_median``, the median sample there; ``lead_…`` and ``lead_trough_…``, the
        same of the lead lost (`paths.lead_lost`, nats); ``keeps_…``, the share that still
        prefers y_p at the peak. For each contrast ``contrast_<name>`` in NSSD and
        ``contrast_lead_<name>`` in lead. For each direction ``sure_<d>``, the share of samples in
        which Eq. 6 gives y_p more than 0.99, and what NSSD would be if every sample lost 10 nats of
        lead (``most_<d>``) or gained as much (``least_<d>``).
    """
    table = table.assign(
        kept=(table["logp_p_blocked"] > table["logp_c_blocked"]).astype(float),
        lead=lead_lost(table),
    )
    found = counts(table) | {"layers": float(table["layer"].nunique())}
    found["n_controls"] = least_controls(table)
    for d in DIRECTIONS:
        found |= _tell_room(table[(table["following"] == d) & ~table["control"]], d, seed)
    extremes, curves, places = _find_extremes(table, "nssd", seed)
    found |= extremes | _contrast_paths("", curves, places, seed)
    extremes, curves, places = _find_extremes(table, "lead", seed)
    found |= extremes | _contrast_paths("lead_", curves, places, seed)
    return found | authors.summarise_authors(authors.compare_curves(table, seed))


def summarise_drawn(table):
    """What the random sources of each pathway are, as ``control_edges_<path>_<d>``,
    ``control_own_…`` and ``control_rival_…``.

    Parameters
    ----------
    table : DataFrame
        From `paths.describe_controls`; NaN in a direction that it lacks.
    """
    found = {}
    for pathway, d in itertools.product(sorted(table["pathway"].unique()), DIRECTIONS):
        rows = table[(table["pathway"] == pathway) & (table["following"] == d)]
        for name in ("edges", "own", "rival"):
            found[f"control_{name}_{pathway.replace('→', '_')}_{d}"] = float(rows[name].mean())
    return found


def _tell_room(rows, d, seed):
    """How sure the samples of one direction are, and what NSSD could show on them."""
    clean = rows.groupby(per_sample(rows))[["logp_p", "logp_c"]].first()
    logs = [torch.tensor(clean[name].to_numpy(float)) for name in ("logp_p", "logp_c")]
    share = torch.sigmoid(logs[0] - logs[1]).numpy()
    sure = pd.Series((share > SURE).astype(float), index=clean.index)
    found = estimate(f"sure_{d}", sure, seed, RATE)
    for name, change in (("most", -MUCH), ("least", MUCH)):
        moved = nssd(*logs, logs[0] + change, logs[1])
        found[f"{name}_{d}"] = float(moved.mean()) if len(moved) else math.nan
    return found


def _find_extremes(table, value, seed):
    """The numbers of each pathway's extremes in one value; the curves by pathway, direction and
    control, and the layers of their extremes.
    """
    found, curves, places = {}, {}, {}
    names = {"nssd": ("peak", "trough"), "lead": ("lead", "lead_trough")}[value]
    pathways = sorted(table["pathway"].unique())
    for pathway, d, control in itertools.product(pathways, DIRECTIONS, (False, True)):
        here = {"pathway": pathway, "following": d, "control": control}
        path = pathway.replace("→", "_") + f"_{d}" + ("_control" if control else "")
        curves[path] = curve = wide(table, value, **here)
        for name, by in zip(names, (None, np.negative)):
            layer = extreme(curve, by)
            found |= chosen(f"{name}_{path}", curve, layer, seed)
            found[f"{name}_{path}_layer"] = float(layer)
            middle = float(curve[layer].median()) if len(curve) else math.nan
            found[f"{name}_{path}_median"] = middle
            places[path, by is None] = layer
        if value == "nssd" and not control:
            values = wide(table, "kept", **here)[places[path, True]] if len(curve) else []
            found |= estimate(f"keeps_{path}", values, seed, RATE)
    return found, curves, places


def _contrast_paths(prefix, curves, places, seed):
    """The numbers of what the paper contrasts, in NSSD or in lead, which has no marginal size."""
    found, marginal = {}, 0.0 if prefix else MARGINAL
    for name, (more, less) in CONTRASTS.items():
        both, layers = (
            differences(curves[more], curves[less]),
            (places[more, True], places[less, True]),
        )
        rule = {"above": 0.0 if name in SMALL else marginal}
        found |= chosen(f"contrast_{prefix}{name}", both, layers, seed, **rule)
    both = differences(*(curves[path] for path in LOWEST))
    layers = tuple(places[path, False] for path in LOWEST)
    name = f"contrast_{prefix}compensation_text"
    found |= chosen(name, both, layers, seed, below=-marginal)
    if prefix:
        return found
    for d, own in SOURCE.items():
        direct = f"{own}_last_{d}"
        at = places[direct, True]
        found |= chosen(f"size_direct_{d}", curves[direct], at, seed, below=MARGINAL)
    low, own = places[LOWEST[0], False], curves[LOWEST[0]]
    return found | chosen("size_compensation_text", own, low, seed, below=-MARGINAL)
