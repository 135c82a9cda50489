"""Knockout curves, and Figure 10: the same curves under narrower and wider windows."""

from matplotlib.ticker import MaxNLocator

from arbitration.style import BLUE, DIRECTIONS, GREEN, GREY, ORANGE, PINK, RED, SKY, band, below, check_columns, count, panels, styled, zero

PATHWAYS = {
    "vision→text": (BLUE, "o"), "text→last": (PINK, "P"), "vision→last": (SKY, "^"),
    "context→instruction": (RED, "D"), "context→last": (ORANGE, "v"), "vision→instruction": (BLUE, "o"),
    "vision→context": (GREEN, "s"), "instruction→last": (PINK, "P"),
}


@styled
def fig10(table):
    """Fig. 10: signed divergence (Eq. 7) when a path is closed in windows of several widths, by the window's centre.

    Parameters
    ----------
    table : pandas.DataFrame
        One row per sample, following, pathway, control, width and layer (`knockout_sweep`); nssd in nats.

    Raises
    ------
    ValueError
        When columns are missing.
    """
    check_columns(table, ("model", "sample", "following", "pathway", "control", "layer", "width", "nssd"), "fig10")
    widths, pathways = sorted(table["width"].unique()), list(dict.fromkeys(table["pathway"]))
    figure, axes = panels(10, "attention knockout with narrower and wider windows", table, rows=len(widths), height=2.2, sharey="col")
    for row, width in zip(axes, widths):
        for panel, following in zip(row, DIRECTIONS):
            here = table[(table["following"] == following) & (table["width"] == width)]
            zero(panel)
            count(panel, curves(panel, here, pathways))
            panel.set(ylabel=f"{width} {'layer' if width == 1 else 'layers'}: NSSD (nats)")
            panel.xaxis.set_major_locator(MaxNLocator(integer=True))
    for panel in axes.flat:
        panel.set(xlabel="centre of the blocked window (layer, 0-based)")
    below(figure, axes, 4)
    return figure


def curves(panel, table, pathways):
    """One line for each pathway of one direction and width, its control in dashed grey; returns the number of samples."""
    n = 0
    for pathway in pathways:
        rows = table[table["pathway"] == pathway]
        control = rows[rows["control"]]
        if len(control):
            band(panel, control, "nssd", label=f"control: as many random sources (n = {control['sample'].nunique()})", color=GREY, dashes="--", fill=0.08)
        color, marker = PATHWAYS.get(pathway, (RED, "x"))
        n = band(panel, rows[~rows["control"]], "nssd", label=f"{pathway} blocked", color=color, marker=marker)
    return n
