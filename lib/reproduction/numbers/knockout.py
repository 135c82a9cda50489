"""The numbers of Section 3.1: extremes of NSSD by pathway, and what the paper contrasts."""

import itertools

import numpy as np

from arbitration.dataset.sample import SOURCE
from reproduction.numbers import authors
from reproduction.numbers.estimates import (
    DIRECTIONS,
    MARGINAL,
    chosen,
    counts,
    differences,
    estimate,
    extreme,
    least_controls,
    wide,
)


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
    """
    found = counts(table) | {"layers": float(table["layer"].nunique())}
    found["n_controls"] = least_controls(table)
    extremes, curves, places = _find_extremes(table, seed)
    found |= extremes | _contrast_paths(curves, places, seed)
    return found | authors.summarise_authors(authors.compare_curves(table, seed))


def _find_extremes(table, seed):
    """The numbers of each pathway's peak and trough; the curves by pathway, direction and control,
    and the layers of their extremes.
    """
    found, curves, places = {}, {}, {}
    kept = (table["logp_p_blocked"] > table["logp_c_blocked"]).astype(float)
    table = table.assign(kept=kept)
    pathways = sorted(table["pathway"].unique())
    for pathway, d, control in itertools.product(pathways, DIRECTIONS, (False, True)):
        here = {"pathway": pathway, "following": d, "control": control}
        path = pathway.replace("→", "_") + f"_{d}" + ("_control" if control else "")
        curves[path] = curve = wide(table, "nssd", **here)
        for name, layer in (("peak", extreme(curve)), ("trough", extreme(curve, np.negative))):
            found |= chosen(f"{name}_{path}", curve, layer, seed)
            found[f"{name}_{path}_layer"] = float(layer)
            places[path, name] = layer
        if not control:
            values = wide(table, "kept", **here)[places[path, "peak"]] if len(curve) else []
            found |= estimate(f"keeps_{path}", values, seed)
    return found, curves, places


def _contrast_paths(curves, places, seed):
    """The numbers of what the paper contrasts."""
    found = {}

    def at(path, kind="peak"):
        return places[path, kind]

    def contrast(name, more, less):
        both, layers = differences(curves[more], curves[less]), (at(more), at(less))
        return chosen(f"contrast_{name}", both, layers, seed, above=MARGINAL)

    found |= contrast("relay_vision", "vision_text_vision", "vision_last_vision")
    found |= contrast("relay_control_vision", "vision_text_vision", "vision_text_vision_control")
    found |= contrast("anchor_text", "context_instruction_text", "context_last_text")
    found |= contrast("anchor_vision", "vision_instruction_vision", "vision_last_vision")
    found |= contrast("context_vision", "vision_instruction_vision", "vision_context_vision")
    for d, own in SOURCE.items():
        found |= contrast(f"textlast_{d}", f"text_last_{d}", f"text_last_{d}_control")
        into = f"{own}_instruction_{d}"
        found |= contrast(f"control_{d}", into, f"{into}_control")
        direct = f"{own}_last_{d}"
        found |= chosen(f"size_direct_{d}", curves[direct], at(direct), seed, below=MARGINAL)
    lowest, control = "vision_text_text", "vision_text_text_control"
    low, name = at(lowest, "trough"), "compensation_text"
    found |= chosen(f"size_{name}", curves[lowest], low, seed, below=-MARGINAL)
    both, layers = differences(curves[lowest], curves[control]), (low, at(control, "trough"))
    return found | chosen(f"contrast_{name}", both, layers, seed, below=-MARGINAL)
