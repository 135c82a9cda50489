"""The measures where there is something to find, and under controls that leave nothing to find."""

from matplotlib.ticker import MaxNLocator

from arbitration.dataset.sample import SOURCE
from reproduction.figures.style import (
    BLUE,
    DIRECTIONS,
    FAINT,
    GREY,
    ORANGE,
    band,
    below,
    count,
    draws,
    panels,
    zero,
)
from reproduction.numbers.controls import INSTRUCTION, TRAINED, WEIGHTS

#: Label, colour, marker, dashes.
LOOKS = {
    TRAINED: ("trained", BLUE, "o", "-"),
    INSTRUCTION: ("control: a label drawn at random", GREY, "x", "--"),
    WEIGHTS: ("control: random weights", ORANGE, "v", ":"),
}


@draws(
    paths=("model", "sample", "following", "pathway", "layer", "nssd"),
    components=("model", "sample", "following", "layer", "signal_f", "signal_c"),
)
def fig_controls(paths, components):
    """NSSD of the path into the anchors, and LDAR, by layer: trained, with shuffled labels, with
    random weights.

    Parameters
    ----------
    paths : dict of kind to pandas.DataFrame
        For the kinds of `LOOKS` tables like those of `knockout_sweep`; nssd in nats.
    components : dict of kind to pandas.DataFrame
        The same like those of `components.measure_components`, of one dictionary; signals in
        logits.
    """
    figure, axes = panels(
        "C1", "the same measures where there is nothing to find", paths[TRAINED], rows=2, height=2.6
    )
    for (above, under), following in zip(axes.T, DIRECTIONS):
        own = f"{SOURCE[following]}→instruction"
        zero(above)
        under.axhline(0.5, color=FAINT, linewidth=0.9, zorder=0)
        for kind in (kind for kind in LOOKS if kind in paths):
            rows = paths[kind][paths[kind]["following"] == following]
            signals = components[kind][components[kind]["following"] == following]
            label, color, marker, dashes = LOOKS[kind]
            fewer = rows["sample"].nunique() if kind == WEIGHTS else None
            looks = {
                "label": f"{label} (n = {fewer} above)" if fewer else label,
                "color": color,
                "marker": marker,
                "dashes": dashes,
                "fill": 0.13,
            }
            band(above, rows[rows["pathway"] == own], "nssd", **looks)
            n = band(
                under,
                signals.assign(aligned=(signals["signal_f"] > signals["signal_c"]).astype(float)),
                "aligned",
                **looks,
            )
        above.set(
            xlabel="centre of the blocked window (layer, 0-based)",
            ylabel=f"NSSD {own} (nats)",
        )
        under.set(xlabel="layer (0-based)", ylabel="LDAR (share of samples)", ylim=(-0.03, 1.03))
        for panel in (above, under):  # every other curve has as many samples as the LDARs
            panel.xaxis.set_major_locator(MaxNLocator(integer=True))
            count(panel, n)
    below(figure, axes, 3)
    return figure
