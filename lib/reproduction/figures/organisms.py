"""The measured relay against the dose of the planted one."""

from reproduction.figures.style import (
    BLUE,
    DIRECTIONS,
    GREY,
    INK,
    ORANGE,
    below,
    count,
    draws,
    panels,
    zero,
)
from reproduction.measures.organisms import DOSES, MASKED

#: Colour, marker, label.
LOOKS = {
    "into": (BLUE, "o", "own→instruction closed"),
    "direct": (ORANGE, "s", "own→last closed"),
    "random": (GREY, "x", "control: as many random sources as of own→instruction"),
}
#: Where `smol-masked` stands beside the doses.
ASIDE = 1.3


@draws(organisms=("organism", "kind", "dose", "key", "value", "low", "high", "n"))
def fig_organisms(organisms):
    """Largest loss of lead over layers when either way is closed, by dose of the planted relay.

    Parameters
    ----------
    organisms : pandas.DataFrame
        From `numbers.organisms.list_organisms`; nats of lead.
    """
    figure, axes = panels(
        "O1",
        "the relay in models between the free and the planted one",
        organisms.drop(columns="model", errors="ignore"),
        height=3.2,
        sharey=True,
    )
    places = {**DOSES, MASKED: ASIDE}
    for panel, d in zip(axes[0], DIRECTIONS):
        zero(panel)
        for shift, (way, (color, marker, label)) in zip((-0.02, 0, 0.02), LOOKS.items()):
            rows = organisms[organisms["key"] == f"lost_{way}_{d}"].dropna(subset="value")
            rows = rows[rows["organism"].isin(places)]
            x = rows["organism"].map(places).astype(float) + shift
            ends = [rows["value"] - rows["low"], rows["high"] - rows["value"]]
            panel.errorbar(
                x,
                rows["value"],
                yerr=ends,
                fmt=marker,
                color=color,
                label=label,
                markersize=4.5,
                linewidth=1.2,
                capsize=2.5,
            )
            line = rows[rows["organism"].isin(DOSES)]
            dashes = "--" if way == "random" else "-"
            panel.plot(
                line["dose"] + shift, line["value"], color=color, linestyle=dashes, alpha=0.6
            )
        ns = organisms[organisms["key"] == f"lost_into_{d}"]
        ns = ns[ns["organism"].isin(places)].set_index("organism")["n"]
        count(panel, int(ns.max()), "samples of a model at most")
        for name, at in places.items():
            panel.annotate(
                f"n={ns.get(name, 0):.0f}",
                (at, 0.0),
                xycoords=("data", "axes fraction"),
                xytext=(0, 3),
                textcoords="offset points",
                ha="center",
                fontsize=7,
                color=INK,
            )
        ticks = [*DOSES.values(), ASIDE]
        panel.set_xticks(ticks, ["0\nsmol", "0.25", "0.5", "0.75", "1\nsmol-relay", "mask\non"])
        panel.set(xlabel="dose of the planted relay", ylabel="lead lost at most (nats)")
    below(figure, axes, 3)
    return figure
