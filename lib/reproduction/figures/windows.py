"""Fig. 10: NSSD by layer with a pathway closed in narrower and wider windows."""

from matplotlib.ticker import MaxNLocator

from reproduction.figures.knockout import CURVES, draw_curves
from reproduction.figures.style import DIRECTIONS, below, count, draws, panels, zero


@draws(table=CURVES)
def fig10(table):
    """Fig. 10: signed divergence (Eq. 7) when a path is closed in windows of several widths, by the
    window's centre.

    Parameters
    ----------
    table : pandas.DataFrame
        One row per sample, following, pathway, control, width and layer (`knockout_sweep`); nssd in
        nats.
    """
    widths, pathways = sorted(table["width"].unique()), list(dict.fromkeys(table["pathway"]))
    figure, axes = panels(
        10,
        "attention knockout with narrower and wider windows",
        table,
        rows=len(widths),
        height=2.2,
        sharey="col",
    )
    for row, width in zip(axes, widths):
        for panel, following in zip(row, DIRECTIONS):
            here = table[(table["following"] == following) & (table["width"] == width)]
            zero(panel)
            count(panel, draw_curves(panel, here, pathways))
            panel.set(ylabel=f"{width} {'layer' if width == 1 else 'layers'}: NSSD (nats)")
            panel.xaxis.set_major_locator(MaxNLocator(integer=True))
    for panel in axes.flat:
        panel.set(xlabel="centre of the blocked window (layer, 0-based)")
    below(figure, axes, 4)
    return figure
