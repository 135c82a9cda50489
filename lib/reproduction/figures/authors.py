"""A run's layer-wise curves with those that the authors published laid over them."""

from reproduction.claims.authors import MAIN, SAMPLES, nearest, published
from reproduction.figures.knockout import DRAWN, PATHWAYS, label_panel
from reproduction.figures.style import (
    BLUE,
    DIRECTIONS,
    GREY,
    ORANGE,
    band,
    below,
    check_pathways,
    count,
    draws,
    panels,
    zero,
)
from reproduction.numbers import authors

ROOM = 0.1  # nats: no axis shows less, so that rounding does not look like an effect


@draws(table=("model", "sample", "following", "pathway", "control", "layer", "nssd"))
def fig_authors(table):
    """The curves of Figs. 3 and 4 that the authors published too, one panel a path: this run's and
    theirs, in nats.

    Theirs have the sign of Eq. 7 here. Thin lines are the authors' runs on 20 to 80 % of their
    samples, each a part of the next: they show how stable a curve is, not how far it may err. The
    control is this run's; the authors published none. Models with different numbers of layers share
    an axis of relative depth.

    Parameters
    ----------
    table : pandas.DataFrame
        One row per sample, following, pathway, control and layer (`knockout_sweep`); nssd in nats.

    Raises
    ------
    ValueError
        When a pathway is missing.
    """
    theirs, same = nearest(table["model"].iloc[0])
    curves = published(theirs)
    check_pathways(table, sorted({pathway for _, pathway in curves}), "fig_authors")
    comparison = authors.compare_curves(table).set_index(["following", "pathway"])
    paths = {way: [] for way in DIRECTIONS}
    for following, pathway in curves:
        paths[following].append(pathway)
    what = f"with the authors' curves of {'the same model' if same else 'another model'}, {theirs}"
    aligned = table["layer"].nunique() == len(next(iter(curves.values())).nssd)
    figure, axes = panels("3, 4", what, table, rows=max(map(len, paths.values())), height=1.65)
    for column, following in enumerate(DIRECTIONS):
        for panel, pathway in zip(axes[:, column], paths[following]):
            rows = table[(table["following"] == following) & (table["pathway"] == pathway)]
            n = _overlay(panel, rows, theirs, (following, pathway), aligned)
            panel.set_title(
                f"{following.capitalize()} following: {pathway}", loc="left", fontsize=9
            )
            r = comparison.loc[(following, pathway), "correlation"]
            shape = (
                f"r = {r:.2f}".replace("-", "−")
                if r == r
                else "theirs is flat"
                if n
                else "nothing measured"
            )
            count(panel, n)
            panel.set_title(f"n = {n}; {shape}", loc="right", fontsize=8, color=GREY)
        axes[-1, column].set_xlabel(
            "centre of the blocked window (layer, 0-based)"
            if aligned
            else "relative depth (0: input, 1: output)"
        )
    below(figure, axes, 2)
    return figure


@draws(curves=("following", "pathway", "layer", "nssd"))
def fig_published(curves, number):
    """Fig. 3 or 4 as the authors published it for their reviewers, with the sign of Eq. 7.

    They published no interval and no control.

    Parameters
    ----------
    curves : pandas.DataFrame
        One row per following, pathway and layer (`numbers.authors.list_published`); nssd in nats.
    number : {3, 4}
    """
    what = f"as the authors published it ({MAIN}), without interval or control"
    figure, axes = panels(number, what, curves, height=3.3)
    for panel, following in zip(axes[0], DIRECTIONS):
        zero(panel)
        here = curves[curves["following"] == following].set_index("pathway")
        for pathway in (one for one in DRAWN[number] if one in here.index):
            color, marker = PATHWAYS[pathway]
            line = here.loc[pathway]
            style = {"color": color, "marker": marker, "markersize": 3.6}
            panel.plot(line["layer"], line["nssd"], label=f"{pathway} blocked", **style)
        label_panel(panel, SAMPLES)
    below(figure, axes, 4)
    return figure


def _overlay(axes, rows, theirs, path, aligned):
    """Both curves of one path; returns the number of our samples."""
    whole = published(theirs)[path].nssd
    layers = rows["layer"].nunique() or 1
    depths, their_depths = (
        (range(layers), range(len(whole)))
        if aligned
        else (authors.depths(layers), authors.depths(len(whole)))
    )
    zero(axes)
    for share in (0.2, 0.4, 0.6, 0.8):
        if part := published(theirs, share).get(path):
            axes.plot(
                their_depths,
                part.nssd,
                color=ORANGE,
                linewidth=0.8,
                alpha=0.55,
                label="theirs, on 20, 40, 60 and 80 % of their samples",
            )
    axes.plot(
        their_depths,
        whole,
        color=ORANGE,
        marker="v",
        markersize=3.2,
        linestyle="--",
        label=f"the authors' curve ({theirs})",
    )
    placed = rows.assign(depth=[depths[layer] for layer in rows["layer"]])
    own, control = placed[~placed["control"]], placed[placed["control"]]
    if len(control):
        band(
            axes,
            control,
            "nssd",
            x="depth",
            label=f"control: as many random sources (n = {control['sample'].nunique()})",
            color=GREY,
            dashes="--",
            fill=0.1,
        )
    n = band(
        axes, own, "nssd", x="depth", label="measured here, 95 % interval", color=BLUE, marker="o"
    )
    low, high = axes.get_ylim()
    axes.set(ylim=(min(low, -ROOM), max(high, ROOM)), ylabel="NSSD (nats)")
    return n
