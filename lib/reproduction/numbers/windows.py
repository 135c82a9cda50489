"""The numbers of Appendix C (Fig. 10): the same paths closed in narrower and wider windows; see
`estimates` for how keys are named.

A quantity of one width ends in ``_w<width>``. The paper's default, 3, is what the other widths are
compared with.
"""

import numpy as np

from arbitration.uncertainty import resamples
from reproduction.numbers.counting import counts, least_controls
from reproduction.numbers.estimates import (
    DIRECTIONS,
    MARGINAL,
    chosen,
    clusters,
    count_groups,
    differences,
    drawn,
    estimate,
    extreme,
    tell_beside,
    wide,
)

#: Of Section 3.1, on the pathways of Fig. 3.
CONCLUSIONS = ("relay", "direct", "compensation", "hub_text", "hub_vision")
SLIGHTLY = (0.5, 2.0)  # what we call a slight change of size: less than a factor of two either way
DRAWS = 500


def summarise_windows(table, seed=0):
    """Numbers of Appendix C.1: extreme, its layer and its plateau for each width, and whether the
    conclusions stay.

    Parameters
    ----------
    table : DataFrame
        From `knockout_sweep` at several widths, one below the other: sample, following, pathway,
        control, layer, width, nssd (nats).
    seed : int
        Of the bootstrap.

    Returns
    -------
    dict
        For each pathway, direction d and width w: ``extreme_<path>_<d>_w<w>``, the mean NSSD where
        it is largest in size, with ``_layer``, ``_plateau`` (see `plateau`), ``_median`` and
        ``_lead`` (`estimates.tell_beside`). Over the widths:
        ``sign_…_verdict``, ``shift_…`` (layers from the default's extreme), ``place_…_verdict``,
        ``ratio_…`` (size at the widest window against the narrowest), and for each of `CONCLUSIONS`
        its contrast at each width and ``same_<conclusion>_verdict``.
    """
    curves = {
        (path.replace("→", "_"), d, bool(control), int(width)): wide(
            table, "nssd", pathway=path, following=d, control=control, width=width
        )
        for path, control, width in table.groupby(
            ["pathway", "control", "width"], observed=True
        ).groups
        for d in DIRECTIONS
    }
    widths = sorted({width for *_, width in curves})
    found = counts(table) | {
        "layers": float(table["layer"].nunique()),
        "widths": ", ".join(map(str, widths)),
    }
    found["n_controls"] = least_controls(table)
    for path, d in sorted({(path, d) for path, d, control, _ in curves if not control}):
        own = {width: curves[path, d, False, width] for width in widths}
        here = table[(table["pathway"] == path.replace("_", "→")) & (table["following"] == d)]
        here = here[~here["control"].astype(bool)]
        for width, curve in own.items():
            name = f"extreme_{path}_{d}_w{width}"
            found |= _extreme(name, curve, seed)
            rows = here[here["width"] == width]
            found |= tell_beside(name, rows, found[f"{name}_layer"])
        found[f"sign_{path}_{d}_verdict"] = same(
            [found[f"extreme_{path}_{d}_w{width}_verdict"] for width in widths]
        )
        found |= _stability(f"{path}_{d}", own, seed)
    for width in widths:
        found |= _conclusions(curves, width, seed)
    for name in CONCLUSIONS:
        verdicts = [found[f"{name}_w{width}_verdict"] for width in widths]
        found[f"same_{name}_verdict"] = same(verdicts)
    return found


def plateau(mean, layer):
    """How many neighbouring layers around `layer` keep at least half of its mean; NaN where that is
    zero or nothing was measured.

    Parameters
    ----------
    mean : Series
        By layer, in their order.
    """
    if layer != layer or mean[layer] == 0:
        return float("nan")
    high, at = (mean / mean[layer] >= 0.5).tolist(), mean.index.get_loc(layer)
    left, right = high[at::-1], high[at:]
    return float((left + [False]).index(False) + (right + [False]).index(False) - 1)


def same(verdicts):
    """Whether a question has the same answer at every width.

    Returns
    -------
    str
        ``"holds"`` if all verdicts are the same decided one, ``"contradicted"`` if one holds where
        another is contradicted, ``"not measured"`` if one is missing, else ``"not seen"``.
    """
    words = set(verdicts)
    if not words or "not measured" in words:
        return "not measured"
    if {"holds", "contradicted"} <= words:
        return "contradicted"
    return "not seen" if "not seen" in words else "holds"


def throughout(verdicts):
    """One answer for many: ``"holds"`` if all hold, ``"contradicted"`` if one is, else as in
    `same`.
    """
    words = set(verdicts)
    return "contradicted" if "contradicted" in words else same(words)


def _extreme(name, curve, seed):
    layer = extreme(curve, np.abs)
    return chosen(name, curve, layer, seed, above=0.0) | {
        f"{name}_layer": float(layer),
        f"{name}_plateau": plateau(curve.mean(), layer),
    }


def _stability(name, curves, seed):
    """How far the extreme moves and grows with the window; the same resamples at every width."""
    widths, base = list(curves), 3 if 3 in curves else min(curves)
    n, layers = len(curves[base]), curves[base].columns.to_numpy(float)
    counts, groups = (
        resamples(n, seed, DRAWS, clusters(curves[base])),
        count_groups(curves[base]),
    )
    weights = np.vstack([np.ones(n) / n, counts / counts.sum(axis=1, keepdims=True)])
    measured = 1.0 if n else np.nan
    size = {width: np.abs(weights @ curve.to_numpy()) * measured for width, curve in curves.items()}
    at = {width: layers[values.argmax(axis=1)] * measured for width, values in size.items()}
    reach = (max(widths) - 1) / 2 + 0.5  # half of the widest window
    found = {}
    for width in widths:
        if width != base:
            moved = at[width] - at[base]
            found |= drawn(f"shift_{name}_w{width}", moved, groups, within=(-reach, reach))
    found[f"place_{name}_verdict"] = throughout(
        [word for key, word in found.items() if key.endswith("_verdict")]
    )
    with np.errstate(invalid="ignore", divide="ignore"):
        ratio = size[max(widths)].max(axis=1) / size[min(widths)].max(axis=1)
    return found | drawn(
        f"ratio_{name}", np.where(np.isfinite(ratio), ratio, np.nan), groups, within=SLIGHTLY
    )


def _conclusions(curves, width, seed):
    """Section 3.1's contrasts at one width, each path at the layer of its own extreme; by the rules
    used there.
    """

    def largest(name, path, d, lowest=False, **rule):
        curve = curves.get((path, d, False, width))
        if curve is None:
            return estimate(f"{name}_w{width}", [], seed, **rule)
        return chosen(
            f"{name}_w{width}", curve, extreme(curve, np.negative if lowest else None), seed, **rule
        )

    def contrast(name, more, less, lowest=False, **rule):
        pair = [curves.get((path, d, control, width)) for path, d, control in (more, less)]
        if any(curve is None for curve in pair):
            return estimate(f"{name}_w{width}", [], seed, **rule)
        at = tuple(extreme(curve, np.negative if lowest else None) for curve in pair)
        return chosen(f"{name}_w{width}", differences(*pair), at, seed, **rule)

    paths = ("vision_text", "vision", False), ("vision_last", "vision", False)
    found = contrast("relay", *paths, above=MARGINAL)
    found |= largest("direct", "vision_last", "vision", below=MARGINAL)
    found |= largest("compensation", "vision_text", "text", lowest=True, below=-MARGINAL)
    found |= contrast(
        "contrast_compensation",
        ("vision_text", "text", False),
        ("vision_text", "text", True),
        lowest=True,
    )
    for d in DIRECTIONS:
        # The authors' own curves show no 0.1 nats here: any effect counts.
        found |= contrast(f"hub_{d}", ("text_last", d, False), ("text_last", d, True), above=0.0)
    return found
