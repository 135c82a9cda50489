"""One prompt steered: its decision by layer, and its lead with heads scaled, each beside random
draws.
"""

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from reproduction.figures.style import (
    BLUE,
    FAINT,
    GREY,
    INK,
    NO_RANKING,
    NO_STRANGERS,
    ORANGE,
    RED,
    below,
    count,
    draws,
    say,
)
from reproduction.measures.beliefs import OWN, SHUFFLED
from reproduction.measures.heads import METHODS

WORDS = {"eq12": "top heads by Eq. 12", "sensitivity": "top heads by sensitivity"}
LOOKS = {"eq12": (BLUE, "D"), "sensitivity": (RED, "o")}


@draws(
    decision=("layer", "positions", "dictionary", "phi_f", "phi_c", "draw"),
    effects=("model", "sample", "following", "heads", "draw", "factor", "lead"),
)
def fig_steer(decision, effects):
    """Above, both answers' signals by layer at the instruction tokens and at the last; below, the
    lead with heads scaled.

    No interval is drawn, for there is one prompt; grey is what other samples' answers, and heads
    drawn at random in the same layers, give.

    Parameters
    ----------
    decision : DataFrame
        From `steering.trace_decision`.
    effects : DataFrame
        From `steering.measure_effects`.
    """
    figure = Figure(figsize=(8.6, 6.4), layout="constrained")
    upper, lower = figure.subfigures(2, 1, height_ratios=[3.1, 2.9])
    model, sample, way = (effects[name].iloc[0] for name in ("model", "sample", "following"))
    figure.suptitle(
        f"Fig. S1 · {model} · one prompt steered: {sample}, {way} following",
        x=0.01,
        ha="left",
        fontsize=10.5,
        fontweight="bold",
    )
    axes = upper.subplots(1, 2, sharey=True)
    for panel, (place, words) in zip(
        axes, {"instruction": "at the instruction tokens", "last": "at the last token"}.items()
    ):
        _signals(panel, decision[decision["positions"] == place])
        panel.set_title(words.capitalize(), loc="left")
    axes[0].set_ylabel("signal Φ (logits)")
    below(upper, axes, 3)
    panel = lower.subplots()
    _leads(panel, effects)
    below(lower, panel, 3)
    return figure


def _signals(axes, table):
    for _, rows in table[table["dictionary"] == SHUFFLED].groupby("draw"):
        for name in ("phi_f", "phi_c"):
            label = "control: another sample's answers"
            axes.plot(
                rows["layer"],
                rows[name],
                color=GREY,
                linestyle="--",
                linewidth=0.7,
                alpha=0.6,
                label=label,
            )
    if not (table["dictionary"] == SHUFFLED).any():
        axes.plot([], [], color=GREY, linestyle="--", label=NO_STRANGERS)
    rows = table[table["dictionary"] == OWN]
    axes.plot(
        rows["layer"],
        rows["phi_f"],
        color=BLUE,
        marker="o",
        markersize=3,
        label="the instructed answer",
    )
    axes.plot(
        rows["layer"], rows["phi_c"], color=ORANGE, marker="s", markersize=3, label="its competitor"
    )
    axes.set_xlabel("layer (0-based, −1: embedding)")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    count(axes, 1, "prompt")


def _leads(axes, table):
    axes.axvline(0, color=FAINT, linewidth=0.9, zorder=0)
    start = table.loc[table["heads"] == "none", "lead"].item()
    axes.axvline(start, color=INK, linestyle=":", label="no head scaled")
    names = []
    for factor in sorted(table.loc[table["heads"] != "none", "factor"].unique()):
        for method in METHODS:
            color, marker = LOOKS[method]
            here = table[table["factor"] == factor]
            drawn = here[here["heads"] == f"{method} matched"]
            axes.plot(
                drawn["lead"],
                np.full(len(drawn), len(names)),
                "x",
                color=GREY,
                markersize=5,
                label="control: one random set in the same layers",
            )
            axes.plot(
                here.loc[here["heads"] == method, "lead"],
                [len(names)],
                marker,
                color=color,
                markersize=7,
                label=WORDS[method],
            )
            names.append(f"{WORDS[method]} × {factor:g}")
    axes.set_yticks(range(len(names)), names)
    axes.set_ylim((len(names) or 1) - 0.5, -0.5)
    axes.set(
        xlabel="the instructed answer's lead ln P(y_p) − ln P(y_c) at the first token (nats)",
        ylabel="heads and factor",
    )
    if not names:
        say(axes, NO_RANKING)
    draws = int(table.loc[table["heads"].str.endswith("matched"), "draw"].nunique())
    count(axes, f"1 prompt, {draws} random sets each", "")
