"""Figure 1, redrawn from measurements: how much each path among vision, context, instruction and
last token carries.
"""

import numpy as np
import pandas as pd
from matplotlib.patches import FancyArrowPatch

from reproduction.figures.dataset import GROUPS
from reproduction.figures.style import (
    BLUE,
    DIRECTIONS,
    GREY,
    INK,
    PAPER,
    RED,
    below,
    check_pathways,
    count,
    draws,
    panels,
)
from reproduction.numbers.estimates import chosen, extreme, wide

PLACES = {
    "vision": (0.09, 0.84),
    "context": (0.09, 0.16),
    "instruction": (0.53, 0.5),
    "last": (0.93, 0.5),
}
#: Path: bend of its arrow, and where its label stands.
PATHS = {
    "vision→instruction": (0.0, (0.0, 0.585)),
    "context→instruction": (0.0, (0.0, 0.415)),
    "instruction→last": (0.0, (0.5, 0.345)),
    "vision→last": (-0.42, (0.4, 1.12)),
    "context→last": (0.42, (0.4, -0.12)),
}
WIDEST = 20  # points, the arrow of the largest effect
#: Points that an arrow's head keeps from its target's centre.
HEADS = {"instruction": 34, "last": 20}


def extremes(table):
    """The largest effect of each path of Fig. 1 and of its control: the mean NSSD farthest from
    zero.

    Parameters
    ----------
    table : pandas.DataFrame
        One row per sample, following, pathway, control and layer (`knockout_sweep`); nssd in nats.

    Returns
    -------
    pandas.DataFrame
        One row per following × pathway × control: nssd, low, high (mean in nats, and its interval
        from the 95 % band over all layers, since the layer was chosen), layer, n.
    """
    rows = []
    here = table[table["pathway"].isin(list(PATHS))]
    for (following, pathway, control), group in here.groupby(
        ["following", "pathway", "control"], observed=True
    ):
        values = wide(group, "nssd")
        layer = extreme(values, np.abs)
        found = chosen("nssd", values, layer)
        rows.append(
            {
                "following": following,
                "pathway": pathway,
                "control": control,
                "nssd": found["nssd"],
                "low": found["nssd_low"],
                "high": found["nssd_high"],
                "layer": int(layer),
                "n": len(values),
            }
        )
    return pd.DataFrame(rows)


@draws(table=("model", "sample", "following", "pathway", "control", "layer", "nssd"))
def fig1(table):
    """Fig. 1: the paths of the cues, each arrow as wide as its largest effect (Eq. 7) over the
    layers.

    Blue arrows help the model to follow, hatched ones hinder it; what cannot be told from zero is
    grey. The pale rim reaches to the interval's outer end; the dashed outline is the control, as
    many random sources.

    Parameters
    ----------
    table : pandas.DataFrame
        One row per sample, following, pathway, control and layer (`knockout_sweep`); nssd in nats.

    Raises
    ------
    ValueError
        When a pathway is missing.
    """
    check_pathways(table, PATHS, "fig1")
    found = extremes(table)
    unit = WIDEST / float(found[["nssd", "low", "high"]].abs().to_numpy().max() or 1.0)
    figure, axes = panels(
        1, "what each path carries at its strongest layer (NSSD, nats)", table, height=3.2
    )
    for panel, following in zip(axes[0], DIRECTIONS):
        rows = found[found["following"] == following].set_index(["pathway", "control"])
        for pathway in PATHS if len(rows) else ():
            control = rows.loc[(pathway, True)] if (pathway, True) in rows.index else None
            _path(panel, pathway, rows.loc[(pathway, False)], control, unit)
        for group, place in PLACES.items():
            panel.text(
                *place,
                group,
                ha="center",
                va="center",
                fontsize=8.5,
                zorder=5,
                bbox={
                    "boxstyle": "round,pad=0.45",
                    "facecolor": PAPER,
                    "edgecolor": GROUPS[group],
                    "linewidth": 1.6,
                },
            )
        panel.set(xlim=(-0.02, 1.02), ylim=(-0.2, 1.2))
        panel.axis("off")
        count(panel, int(rows.xs(False, level="control")["n"].min()) if len(rows) else 0)
    controls = found.loc[found["control"], "n"]
    words = (
        f"control: as many random sources (n = {controls.min()})"
        if len(controls)
        else "control: not measured"
    )
    for label, style in (
        ("closing it impairs following", {"facecolor": BLUE}),
        ("closing it helps", {"facecolor": PAPER, "edgecolor": RED, "hatch": "////"}),
        ("interval reaches zero", {"facecolor": GREY}),
        (words, {"facecolor": "none", "edgecolor": INK, "linestyle": "--"}),
    ):
        # Out of sight: a legend takes its patches from the panel.
        axes[0, 0].bar(-9, 0, label=label, **style)
    below(figure, axes, 4)
    return figure


def _path(axes, pathway, effect, control, unit):
    """The arrow of one path, with its interval, its control and its label."""
    bend, place = PATHS[pathway]
    color = BLUE if effect["low"] > 0 else RED if effect["high"] < 0 else GREY
    _arrow(
        axes,
        pathway,
        bend,
        unit * max(abs(effect["low"]), abs(effect["high"])),
        facecolor=color,
        alpha=0.22,
        linewidth=0,
        zorder=1,
    )
    looks = {"facecolor": PAPER, "hatch": "////"} if color == RED else {"facecolor": color}
    _arrow(
        axes,
        pathway,
        bend,
        unit * abs(effect["nssd"]),
        edgecolor=color,
        linewidth=0.8,
        zorder=2,
        **looks,
    )
    # No minus before zero.
    size, low, high = (round(effect[name], 2) + 0.0 for name in ("nssd", "low", "high"))
    words = f"{size:+.2f} [{low:.2f}, {high:.2f}]\nlayer {effect['layer']:.0f}"
    if control is not None:
        _arrow(
            axes,
            pathway,
            bend,
            unit * abs(control["nssd"]),
            facecolor="none",
            edgecolor=INK,
            linewidth=0.9,
            linestyle=(0, (3, 2)),
            zorder=3,
        )
        words += f"; control {round(control['nssd'], 2) + 0.0:+.2f}"
    axes.text(*place, words.replace("-", "−"), fontsize=7.2, va="center", zorder=6)


def _arrow(axes, pathway, bend, width, **looks):
    """An arrow `width` points wide from one group's box to the other's."""
    source, target = pathway.split("→")
    tail = max(width, 0.4)
    style = f"simple,tail_width={tail:.3f},head_width={tail + 7:.3f},head_length=9"
    axes.add_patch(
        FancyArrowPatch(
            PLACES[source],
            PLACES[target],
            arrowstyle=style,
            mutation_scale=1,
            connectionstyle=f"arc3,rad={bend}",
            shrinkA=0,
            shrinkB=HEADS[target],
            clip_on=False,
            **looks,
        )
    )
