"""Figs. 3 and 4: NSSD by layer with a pathway closed."""

from reproduction.figures.style import (
    BLUE,
    DIRECTIONS,
    GREEN,
    GREY,
    ORANGE,
    PINK,
    RED,
    SKY,
    band,
    below,
    check_pathways,
    count,
    draws,
    panels,
    zero,
)

PATHWAYS = {
    "vision→text": (BLUE, "o"),
    "text→last": (PINK, "P"),
    "vision→last": (SKY, "^"),
    "context→instruction": (RED, "D"),
    "context→last": (ORANGE, "v"),
    "vision→instruction": (BLUE, "o"),
    "vision→context": (GREEN, "s"),
    "instruction→last": (PINK, "P"),
}

#: What each figure shows.
DRAWN = {
    3: ["vision→text", "vision→last", "text→last"],
    4: [
        "context→instruction",
        "context→last",
        "vision→instruction",
        "vision→context",
        "vision→last",
        "instruction→last",
    ],
}

CURVES = ("model", "sample", "following", "pathway", "control", "layer", "width", "nssd")


def draw_curves(panel, table, pathways):
    """One line for each pathway of one direction and width, its control in dashed grey; returns the
    number of samples.
    """
    n = 0
    for pathway in pathways:
        rows = table[table["pathway"] == pathway]
        control = rows[rows["control"]]
        if len(control):
            band(
                panel,
                control,
                "nssd",
                label=f"control: as many random sources (n = {control['sample'].nunique()})",
                color=GREY,
                dashes="--",
                fill=0.08,
            )
        color, marker = PATHWAYS.get(pathway, (RED, "x"))
        n = band(
            panel,
            rows[~rows["control"]],
            "nssd",
            label=f"{pathway} blocked",
            color=color,
            marker=marker,
        )
    return n


@draws(table=CURVES)
def fig3(table):
    """Fig. 3: signed divergence (Eq. 7) when a path among vision, text and the last token is
    closed, by layer.

    Parameters
    ----------
    table : pandas.DataFrame
        One row per sample, following, pathway, control and layer (`knockout_sweep`); nssd in nats.

    Raises
    ------
    ValueError
        When a pathway is missing.
    """
    return _knockout(table, 3, "attention knockout: vision, text and the last token")


@draws(table=CURVES)
def fig4(table):
    """Fig. 4: signed divergence (Eq. 7) with the text split into context and instruction, by layer.

    Parameters
    ----------
    table : pandas.DataFrame
        One row per sample, following, pathway, control and layer (`knockout_sweep`); nssd in nats.

    Raises
    ------
    ValueError
        When a pathway is missing.
    """
    return _knockout(table, 4, "attention knockout: what reaches the instruction")


def _knockout(table, number, what):
    pathways = DRAWN[number]
    check_pathways(table, pathways, f"fig{number}")
    widths = ", ".join(str(width) for width in sorted(table["width"].unique()))
    figure, axes = panels(number, f"{what} (window of {widths} layers)", table, height=3.3)
    for panel, following in zip(axes[0], DIRECTIONS):
        here = table[table["following"] == following]
        zero(panel)
        n = draw_curves(panel, here, pathways)
        label_panel(panel, n)
    below(figure, axes, 4)
    return figure


def label_panel(panel, n):
    """What the axes of curves by layer are, and how many samples stand behind them."""
    panel.set(
        xlabel="centre of the blocked window (layer, 0-based)",
        ylabel="NSSD (nats; positive: the path helped)",
    )
    count(panel, n)
