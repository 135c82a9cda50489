"""How figures look: colours, panels, intervals, and publishing in a light and a dark theme."""

import functools
import inspect
import io
import json
import re

import matplotlib.style
import numpy as np
from matplotlib.figure import Figure

from arbitration.files import atomic, folders
from arbitration.uncertainty import share, simultaneous
from reproduction.numbers.estimates import clusters, wide
from reproduction.results.parts import write_table

DIRECTIONS = ("text", "vision")
# Okabe and Ito's palette, told apart by colour-blind readers; on a dark page each colour is
# replaced by a lighter sister.
BLUE, SKY, GREEN = "#0072b2", "#3aa0dc", "#009e73"
ORANGE, RED, PINK = "#e69f00", "#d55e00", "#cc79a7"
INK, GREY, FAINT, PAPER = "#1f2328", "#767b81", "#d4d7db", "#ffffff"
#: A picture with one of these, which a model may answer, is not shown by browsers.
NO_XML = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]")
#: A panel in which only random heads are scaled.
NO_RANKING = "no top heads: no other sample follows here"
#: A legend where no sample has other answers than all others, as among yes/no questions.
NO_STRANGERS = "no control: all samples have one of these answers"
ALWAYS_DARK = "#000001"  # for marks on the heat map, whose cells stay light in both themes
DARK = {
    BLUE: "#4fb0ec",
    SKY: "#9ad4f7",
    GREEN: "#2fc79a",
    ORANGE: "#f0b429",
    RED: "#ff8a4c",
    PINK: "#e59ac4",
    INK: "#e6e8eb",
    GREY: "#a3a9b0",
    FAINT: "#4a4f57",
    PAPER: "#14181e",
}
RC = {
    "font.family": "DejaVu Sans",
    "font.size": 9,
    "axes.titlesize": 9.5,
    "axes.labelsize": 9,
    "legend.fontsize": 8,
    "xtick.labelsize": 8,
    "ytick.labelsize": 8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": INK,
    "axes.labelcolor": INK,
    "text.color": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "axes.facecolor": PAPER,
    "figure.facecolor": PAPER,
    "legend.frameon": False,
    "lines.linewidth": 1.6,
    "svg.fonttype": "path",
    "svg.hashsalt": "arbitration",
    "hatch.linewidth": 0.6,
    # readers' words stand in figures as they are: answers, names of models and samples
    "text.parse_math": False,
}


def settings():
    """A context with matplotlib's defaults and, over them, this module's settings: a reader's
    matplotlibrc has no part in it.
    """
    return matplotlib.style.context(RC, after_reset=True)


def draws(**needed):
    """Make a function draw a figure: under this module's settings, whatever the caller's are, and
    of tables that can carry it.

    A table without rows can: its panels say that nothing was measured (`count`).

    Parameters
    ----------
    **needed
        For each table that the function takes, by the argument's name, the columns that it draws.
        Where the argument is a dict of tables, each needs them.

    Raises
    ------
    ValueError
        By the function, when a table lacks columns; the message names them and the figure.
    """

    def make(draw):
        parts = inspect.signature(draw)

        @functools.wraps(draw)
        def run(*arguments, **options):
            given, drawn = parts.bind(*arguments, **options).arguments, {}
            for name, columns in needed.items():
                tables = given[name] if isinstance(given[name], dict) else {"": given[name]}
                for kind, table in tables.items():
                    what = f"{draw.__name__} ({kind})" if kind else draw.__name__
                    _check_columns(table, columns, what)
                    drawn[f"{name}_{kind}" if kind else name] = _drawn_columns(table, columns)
            with settings():
                figure = draw(*arguments, **options)
                figure.draw_without_rendering()
            # The panels have their places; each saving would look for them anew.
            figure.set_layout_engine("none")
            figure.tables = drawn  # what `publish` writes beside the picture
            return figure

        return run

    return make


#: Columns that name samples drawn together (`estimates.clusters`).
TOGETHER = ("image", "wording")


def _drawn_columns(table, needed):
    """The columns that a figure draws, and those that its intervals read."""
    return table[[name for name in table.columns if name in (*needed, *TOGETHER)]]


def _check_columns(table, needed, what):
    missing = [name for name in needed if name not in table.columns]
    if missing:
        why = (
            f"{what} needs the columns {', '.join(needed)}; missing: {', '.join(missing)}. "
            f"The table given has: {', '.join(map(str, table.columns))}."
        )
        raise ValueError(why)


def check_pathways(table, needed, what):
    """Refuse a table that lacks pathways.

    Raises
    ------
    ValueError
        When it does; the message names them and the figure.
    """
    lacking = sorted(set(needed) - set(table["pathway"]))
    if lacking:
        why = (
            f"{what} needs the pathways {', '.join(needed)}; the table lacks "
            f"{', '.join(lacking)}: sweep them too."
        )
        raise ValueError(why)


def panels(number, what, table, rows=1, height=3.1, sharey=False):
    """A figure with one column per direction, text following left and vision following right,
    titled by the paper's number.
    """
    figure = Figure(figsize=(8.6, 0.9 + height * rows), layout="constrained")
    axes = figure.subplots(rows, 2, sharey=sharey, squeeze=False)
    model = ", ".join(map(str, table["model"].unique())) if "model" in table else ""
    figure.suptitle(
        " · ".join(part for part in (f"Fig. {number}", model, what) if part),
        x=0.01,
        ha="left",
        fontsize=10.5,
        fontweight="bold",
    )
    for column, following in enumerate(DIRECTIONS):
        axes[0, column].set_title(f"{following.capitalize()} following", loc="left")
    return figure, axes


def samples_by(table, columns, value):
    """Values as one row per sample and one column per level of `columns`; rows with gaps raise."""
    values = wide(table, value, columns)
    if values.isna().to_numpy().any():
        why = (
            f"some samples lack a value of {value!r} at some {columns}: the run is not "
            f"complete; resume it."
        )
        raise ValueError(why)
    return values


#: Columns whose values are shares of answers or of samples.
RATES = ("aligned", "followed", "right")


def band(
    axes, table, column, x="layer", label=None, color=INK, marker="", dashes="-", fill=0.18, **line
):
    """Mean over samples along `x`, with the band that covers the whole curve in 95 %
    (`uncertainty.simultaneous`, or `uncertainty.share` of `RATES`); returns the number of samples.

    Nothing is drawn of a table without rows.
    """
    values = samples_by(table, x, column)
    if not len(values):
        return 0
    kind = share if column in RATES else simultaneous
    mean, low, high = kind(values, clusters=clusters(values))
    axes.fill_between(values.columns, low, high, color=color, alpha=fill, linewidth=0)
    axes.plot(
        values.columns,
        mean,
        color=color,
        marker=marker,
        linestyle=dashes,
        label=label,
        **{"markersize": 3.6} | line,
    )
    return len(values)


def strangers(axes, table, column, what="another sample's answers", dashes="--", fill=0.12):
    """The control by another sample's answers (`strangers.borrow_answers`), in grey; the legend
    says if no sample has it, or how many if not all have it.

    Parameters
    ----------
    table : DataFrame
        Of one panel, with the column dictionary ("own", "shuffled").
    """
    every, n = (
        table.loc[table["dictionary"] == kind, "sample"].nunique() for kind in ("own", "shuffled")
    )
    if every and not n:
        axes.plot([], [], color=GREY, linestyle=dashes, label=NO_STRANGERS)
    label = f"control: {what}" + (f" (n = {n})" if n < every else "")
    band(
        axes,
        table[table["dictionary"] == "shuffled"],
        column,
        label=label,
        color=GREY,
        dashes=dashes,
        fill=fill,
    )


def count(axes, n, unit="samples", corner="right", none=""):
    """Print n inside the panel's title line, and where it is 0 in the panel's middle that nothing
    was measured, or what `none` says.
    """
    axes.set_title(f"n = {n} {unit}", loc=corner, fontsize=8, color=GREY)
    if n == 0:
        what = re.match(r"\w*", unit)[0] or "samples"
        say(axes, none or f"not measured: no {what}")


def say(axes, words):
    """Words in a panel's middle, over its lines, where something that it would show was not
    measured.
    """
    box = {"facecolor": PAPER, "edgecolor": "none", "pad": 3}
    axes.text(
        0.5,
        0.5,
        words,
        transform=axes.transAxes,
        ha="center",
        va="center",
        color=GREY,
        bbox=box,
        zorder=5,
    )


def zero(axes, at=0.0):
    axes.axhline(at, color=FAINT, linewidth=0.9, zorder=0)


def below(figure, axes, columns):
    """One legend for the whole figure, under the panels; labels met twice are named once."""
    found = {}
    for one in np.ravel(axes):
        for handle, label in zip(*one.get_legend_handles_labels()):
            found.setdefault(label, handle)
    figure.legend(found.values(), found.keys(), loc="outside lower center", ncols=columns)


def svg(figure):
    """The figure as SVG text, the same bytes for the same figure."""
    with settings():
        out = io.StringIO()
        figure.savefig(out, format="svg", metadata={"Date": None, "Creator": None})
    return NO_XML.sub("", out.getvalue())


def darken(text):
    """An SVG with every colour swapped for its sister of the dark theme."""
    for light, sister in DARK.items():
        text = text.replace(light, sister)
    return text


def png(figure):
    """The figure as PNG bytes on a white page, which reads in both themes."""
    with settings():
        out = io.BytesIO()
        figure.savefig(out, format="png", dpi=130, metadata={"Software": None})
    return out.getvalue()


def publish(figure, name, model, alt):
    """Write a figure for the book in both themes, with its alternative text and the tables that it
    draws, as CSV and parquet: ``<name>`` is the first of these, ``<name>_<table>`` each further,
    with ``_`` for a space.

    Parameters
    ----------
    figure : matplotlib.figure.Figure
        One that `draws` has made has its tables; any other has none.
    name : str
        File name without ending, such as ``"fig3"``.
    model : str
        The subject's name, which is that of its folder under `folders.output()`; the book's runner
        publishes it.
    alt : str
        What the figure shows, in words, for readers who do not see it.

    Returns
    -------
    matplotlib.figure.Figure
        The same figure, which a notebook shows as a picture when it is a cell's last value.

    Raises
    ------
    ValueError
        When the alternative text is empty, or the name leads out of the output folder.
    """
    if not alt.strip():
        why = f"figure {name!r} has no alternative text: say in a sentence what it shows."
        raise ValueError(why)
    target = folders.of_model(model) / "figures"
    drawn = svg(figure)
    atomic.write_whole(target / f"{name}-light.svg", drawn)
    atomic.write_whole(target / f"{name}-dark.svg", darken(drawn))
    data = []
    for number, (kind, table) in enumerate(getattr(figure, "tables", {}).items()):
        data.append(f"{name}_{kind}".replace(" ", "_") if number else name)
        write_table(table, target / f"{data[-1]}.parquet")
        written = table.to_csv(index=False, float_format="%.6g", lineterminator="\n")
        atomic.write_whole(target / f"{data[-1]}.csv", written)
    about = {"alt": alt, "model": model, "data": data}
    atomic.write_whole(target / f"{name}.json", json.dumps(about, ensure_ascii=False))
    figure._repr_png_ = lambda: png(figure)  # Jupyter by itself draws only figures made with pyplot
    return figure
