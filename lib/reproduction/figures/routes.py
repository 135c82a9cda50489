"""Routes that stand in for each other: following with sets of them closed, and what pairs do beyond
the sum of each alone.
"""

from reproduction.figures.style import (
    BLUE,
    DIRECTIONS,
    GREY,
    ORANGE,
    PINK,
    below,
    count,
    draws,
    panels,
)
from reproduction.measures.routes import NONE, SIZE
from reproduction.numbers.estimates import MEAN, RATE, estimate, wide
from reproduction.numbers.routes import PLACES, interactions

#: Colour, marker, and place within a row.
LOOKS = {"all": (BLUE, "o", -0.2), "paper": (ORANGE, "s", 0.0), "found": (PINK, "D", 0.2)}
CONTROL = "control: as many random sources, all layers"
COLUMNS = ("model", "sample", "following", "place", "routes", "size", "control", "follows", "lead")


def _points(panel, values, at, label, color, marker, mark, kind=MEAN):
    """Means with their intervals (`estimates.estimate`), one row of the panel for each series."""
    some = [(row, estimate("x", one, kind=kind)) for row, one in values]
    some = [(row, one) for row, one in some if one["x"] == one["x"]]
    if not some:
        return
    means = [one["x"] for _, one in some]
    ends = [
        [one["x"] - one["x_low"] for _, one in some],
        [one["x_high"] - one["x"] for _, one in some],
    ]
    panel.errorbar(
        means,
        [row + at for row, _ in some],
        xerr=ends,
        fmt=marker,
        color=color,
        label=label,
        markersize=4,
        markerfacecolor=color if mark else "none",
        linestyle="none",
        linewidth=1.1,
        capsize=2,
    )


def _rows(panel, labels, n):
    panel.set_yticks(range(len(labels)), labels)
    panel.set_ylim(len(labels) - 0.4, -0.6)
    count(panel, n)


@draws(table=COLUMNS)
def fig_routes(table):
    """Share of samples that still follow with a set of routes closed, in three places.

    Parameters
    ----------
    table : pandas.DataFrame
        One row per sample, following, place, set of routes and control
        (`measures.routes.measure_routes`).
    """
    own = table[~table["control"]]
    sets = list(dict.fromkeys(own.sort_values("size", kind="stable")["routes"]))
    labels = ["nothing" if name == NONE else name for name in sets]
    last = own["size"].max()
    labels = [
        "all together" if (own.loc[own["routes"] == name, "size"] == last).any() else label
        for name, label in zip(sets, labels)
    ]
    figure, axes = panels(
        "P1",
        "following with routes closed alone, in pairs and together",
        table,
        height=1.2 + 0.3 * len(sets),
        sharey=True,
    )
    for panel, d in zip(axes[0], DIRECTIONS):
        here = table[table["following"] == d]
        for place, (color, marker, at) in LOOKS.items():
            values = wide(here[~here["control"]], "follows", "routes", place=place)
            some = [(row, values[name]) for row, name in enumerate(sets) if name in values]
            size = f" ({SIZE})" if place == "found" else ""
            _points(panel, some, at, PLACES[place] + size, color, marker, True, RATE)
        values = wide(here[here["control"]], "follows", "routes", place="all")
        some = [(row, values[name]) for row, name in enumerate(sets) if name in values]
        _points(panel, some, -0.4, CONTROL, GREY, "x", False, RATE)
        _rows(panel, labels, here["sample"].nunique())
        panel.axvline(0.5, color=GREY, linewidth=0.7, linestyle=":", zorder=0)
        panel.set(xlabel="share that still follows", xlim=(-0.04, 1.04))
    below(figure, axes, 2)
    return figure


@draws(table=COLUMNS)
def fig_interaction(table):
    """By how much lead a pair of routes costs more together than the sum of each alone.

    Parameters
    ----------
    table : pandas.DataFrame
        As of `fig_routes`; lead in nats.
    """
    own = table[~table["control"]]
    names = list(dict.fromkeys(own.loc[own["size"] == 1, "routes"]))
    labels = list(dict.fromkeys(own.loc[own["size"] == 2, "routes"]))
    figure, axes = panels(
        "P2",
        "lead that a pair costs beyond the sum of each alone",
        table,
        height=1.2 + 0.3 * len(labels),
        sharey=True,
    )
    for panel, d in zip(axes[0], DIRECTIONS):
        here = table[table["following"] == d]
        panel.axvline(0, color=GREY, linewidth=0.7, linestyle=":", zorder=0)
        looks = {place: (*LOOKS[place], PLACES[place], False) for place in LOOKS}
        looks["random"] = (GREY, "x", -0.4, CONTROL, True)
        for place, (color, marker, at, label, control) in looks.items():
            rows = here[here["place"] == ("all" if control else place)]
            if control:  # nothing closed is the same for both
                nothing = rows[(rows["routes"] == NONE) & ~rows["control"]]
                rows = rows[rows["control"] | rows.index.isin(nothing.index)]
            else:
                rows = rows[~rows["control"]]
            found = interactions(rows, names, "lead") if len(rows) else {}
            some = [(row, found[name]) for row, name in enumerate(labels) if name in found]
            _points(panel, some, at, label, color, marker, not control)
        _rows(panel, labels, here["sample"].nunique())
        panel.set(xlabel="interaction (nats of lead)")
    below(figure, axes, 2)
    return figure
