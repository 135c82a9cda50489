"""Figures R1 and R2: the instruction's sentences apart, in another order, and at a distance from
the context.
"""

from matplotlib.ticker import MaxNLocator

from arbitration.dataset.sample import SOURCE
from arbitration.models.encode import LAYOUTS
from reproduction.figures.style import (
    BLUE,
    DIRECTIONS,
    GREEN,
    GREY,
    ORANGE,
    RED,
    band,
    below,
    count,
    draws,
    panels,
    zero,
)
from reproduction.measures.paths import SPANS

COLOURS = {
    "modality": (RED, "o"),
    "question": (BLUE, "s"),
    "constraint": (ORANGE, "D"),
    "neutral": (GREEN, "^"),
}
WORDS = {
    "modality": "modality sentence",
    "question": "question",
    "constraint": "answer format",
    "neutral": "neutral words",
}
ORDER = {
    "plain": "modality, question",
    "swapped": "question, modality",
    "distanced": "neutral, modality, question",
}

CURVES = ("model", "sample", "following", "layout", "pathway", "control", "layer", "nssd")


@draws(table=CURVES)
def fig_spans_in(table, answers):
    """NSSD (Eq. 7) of the paths from the instructed modality into each sentence of the instruction,
    a row for each layout.

    Parameters
    ----------
    table : pandas.DataFrame
        From `paths.sweep_spans`, with the column layout: sample, following, pathway, control,
        layer, nssd in nats.
    answers : pandas.DataFrame
        From `layouts.ask_layouts`: how many follow under each layout.
    """
    return _spans(
        table,
        answers,
        "R1",
        "from the instructed modality into each sentence",
        lambda way, span: f"{SOURCE[way]}→{span}",
    )


@draws(table=CURVES)
def fig_spans_out(table, answers):
    """NSSD (Eq. 7) of the paths from each sentence of the instruction to the last token, a row for
    each layout; as `fig_spans_in`.
    """
    return _spans(
        table,
        answers,
        "R2",
        "from each sentence to the last token",
        lambda way, span: f"{span}→last",
    )


def _spans(table, answers, number, what, path):
    figure, axes = panels(number, what, table, rows=len(LAYOUTS), height=2.3, sharey="col")
    for row, layout in zip(axes, LAYOUTS):
        for panel, way in zip(row, DIRECTIONS):
            here = table[(table["following"] == way) & (table["layout"] == layout)]
            asked = answers[(answers["following"] == way) & (answers["layout"] == layout)]
            zero(panel)
            panel.set(
                xlabel="centre of the blocked window (layer, 0-based)",
                ylabel=f"{ORDER[layout]}\nNSSD (nats)",
            )
            panel.xaxis.set_major_locator(MaxNLocator(integer=True))
            follow = (asked["outcome"] == "follow").sum()
            count(
                panel,
                here["sample"].nunique(),
                f"({follow} of {len(asked)} follow)",
                none="too few follow: not swept",
            )
            for span in SPANS:
                rows = here[here["pathway"] == path(way, span)]
                if len(rows):
                    band(
                        panel,
                        rows[rows["control"]],
                        "nssd",
                        label="control: as many random sources, for each sentence",
                        color=GREY,
                        dashes="--",
                        fill=0.06,
                    )
                    color, marker = COLOURS[span]
                    band(
                        panel,
                        rows[~rows["control"]],
                        "nssd",
                        label=WORDS[span],
                        color=color,
                        marker=marker,
                    )
    for panel in axes[0]:  # where nothing relays, noise must not fill the panel
        low, high = panel.get_ylim()
        panel.set_ylim(min(low, -0.02), max(high, 0.12))
    below(figure, axes, 3)
    return figure
