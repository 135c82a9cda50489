"""The numbers about the instruction's sentences, apart and in other orders (`meaning`); see
`estimates` for how keys are named.
"""

import pandas as pd

from arbitration.dataset.sample import SOURCE
from arbitration.models.encode import LAYOUTS
from reproduction.measures.paths import SPANS
from reproduction.numbers.estimates import (
    DIRECTIONS,
    MARGINAL,
    RATE,
    estimate,
    extreme,
    followed,
    paired,
    tell_beside,
    wide,
)

WAYS = ("into", "out")


def summarise_meaning(table, answers, seed=0):
    """Numbers for each layout l (`encode.LAYOUTS`) and direction d.

    Every path is taken at the layer where its mean is largest, its control at its own.

    Parameters
    ----------
    table : DataFrame
        From `paths.sweep_spans`, with the column layout; nssd in nats.
    answers : DataFrame
        From `layouts.ask_layouts`.
    seed : int
        Of the bootstrap.

    Returns
    -------
    dict
        ``follow_<l>_<d>`` of ``n_asked_<l>_<d>`` samples, of which ``n_<l>_<d>`` were swept. For
        each span s: ``into_<s>_<l>_<d>``, from the instructed modality into it, and
        ``out_<s>_<l>_<d>``, from it to the last token, with ``_layer``, ``_median`` and ``_lead``
        (`estimates.tell_beside`), ``_control`` and ``_over`` (more than the control).
        ``position_<d>``: by how much the later of modality sentence and question carries more,
        whichever it is; ``meaning_<d>``: by how much the modality sentence
        does, wherever it stands (halves of the sum and the difference of both orders; ``_out`` for
        the way out). ``neutral_<d>``: by how much the stronger of both outdoes the neutral words
        before them.
    """
    found, peaks = {}, {}
    for d in DIRECTIONS:
        for layout in LAYOUTS:
            own = answers[(answers["following"] == d) & (answers["layout"] == layout)]
            found |= {f"n_asked_{layout}_{d}": float(len(own))} | estimate(
                f"follow_{layout}_{d}", followed(own), seed, RATE
            )
            rows = table[(table["following"] == d) & (table["layout"] == layout)]
            found[f"n_{layout}_{d}"] = float(rows["sample"].nunique())
            for span in SPANS:
                for way, path in zip(WAYS, (f"{SOURCE[d]}→{span}", f"{span}→last")):
                    swept = rows[rows["pathway"] == path]
                    random = swept["control"].astype(bool)
                    values, control = _peak(swept[~random]), _peak(swept[random])
                    name = f"{way}_{span}_{layout}_{d}"
                    found |= estimate(name, values, seed) | {
                        f"{name}_layer": float("nan") if values.name is None else float(values.name)
                    }
                    found |= tell_beside(name, swept[~random], values.name)
                    found |= estimate(f"{name}_control", control, seed)
                    found |= estimate(f"{name}_over", paired(values, control), seed, above=MARGINAL)
                    peaks[way, span, layout, d] = values
        found |= _contrasts(peaks, d, seed)
    return found


def _peak(rows):
    """Per-sample values at the layer where their mean is largest, which is the Series' name; none
    for a path that was not swept.
    """
    if not len(rows):
        return pd.Series(dtype=float)
    curve = wide(rows, "nssd")
    return curve[extreme(curve)]


def _contrasts(peaks, d, seed):
    found = {}
    for way, suffix in zip(WAYS, ("", "_out")):
        plain = peaks[way, "question", "plain", d] - peaks[way, "modality", "plain", d]
        swapped = peaks[way, "question", "swapped", d] - peaks[way, "modality", "swapped", d]
        found |= estimate(
            f"position_{d}{suffix}", ((plain - swapped) / 2).dropna(), seed, above=MARGINAL
        )
        found |= estimate(
            f"meaning_{d}{suffix}", (-(plain + swapped) / 2).dropna(), seed, above=MARGINAL
        )
        stronger = max(
            (peaks[way, span, "distanced", d] for span in ("modality", "question")),
            key=lambda values: values.mean() if len(values) else 0.0,
        )
        gap = (stronger - peaks[way, "neutral", "distanced", d]).dropna()
        found |= estimate(f"neutral_{d}{suffix}", gap, seed, above=MARGINAL)
    return found
