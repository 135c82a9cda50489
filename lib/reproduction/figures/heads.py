"""Figures 8 and 9: single heads, what they contribute and what happens without them."""

import numpy as np
from matplotlib.ticker import LogFormatter

from arbitration.equations.heads import share_count
from arbitration.uncertainty import simultaneous
from reproduction.figures.style import (
    ALWAYS_DARK,
    BLUE,
    DIRECTIONS,
    GREEN,
    GREY,
    INK,
    NO_RANKING,
    ORANGE,
    RED,
    band,
    below,
    count,
    draws,
    panels,
    samples_by,
    say,
    zero,
)
from reproduction.numbers.estimates import clusters

# Drawn in this order; the rings of the top heads stay visible where curves coincide.
HEAD_SETS = {
    "random": ("control: as many random heads", GREY, "x", "--", 4),
    "matched": ("control: as many in the same layers", ORANGE, "v", "--", 4),
    "shared": ("heads in both directions' top", GREEN, "D", "-", 3.5),
    "target": ("top heads", RED, "o", "-", 8),
}

INTERVENTIONS = tuple(
    "model sample following setting heads share count factor positions outcome".split()
)


@draws(heads=("model", "sample", "following", "layer", "head", "margin"))
def fig8(heads):
    """Fig. 8: each head's contribution to the arbitration margin (Eq. 12, logits), as a map and
    sorted.

    The sorted panel ranks heads on every second sample and shows the means of the others, so that
    an order that chance made does not look like a slope.
    """
    figure, axes = panels(8, "heads that move the arbitration margin", heads, rows=2, height=2.9)
    for (top, bottom), following in zip(axes.T, DIRECTIONS):
        here = heads[heads["following"] == following]
        values = samples_by(here, ["layer", "head"], "margin")
        if not len(values):
            for panel in (top, bottom):
                count(panel, 0)
            continue
        shape = (here["layer"].nunique(), here["head"].nunique())
        mean = values.mean().to_numpy().reshape(shape)
        limit = float(np.abs(mean).max()) or 1.0
        mesh = top.pcolormesh(
            mean.T, cmap="PuOr_r", vmin=-limit, vmax=limit, edgecolors="face", linewidth=0.3
        )
        figure.colorbar(mesh, ax=top, label="margin (logits)", pad=0.01)
        best = np.argsort(-mean, axis=None)[: share_count(mean.size)]
        layers, indices = np.unravel_index(best, shape)
        top.scatter(
            layers + 0.5,
            indices + 0.5,
            s=26,
            facecolors="none",
            edgecolors=ALWAYS_DARK,
            linewidths=1,
        )
        top.plot(
            [], [], "o", markerfacecolor="none", color=INK, label=f"top 5 % ({best.size} heads)"
        )
        top.set(xlabel="layer (0-based)", ylabel="head")
        top.set_xticks(np.arange(0, shape[0], 5) + 0.5, np.arange(0, shape[0], 5))
        step = max(1, shape[1] // 7)
        top.set_yticks(np.arange(0, shape[1], step) + 0.5, np.arange(0, shape[1], step))
        count(top, len(values))
        _sorted_heads(bottom, values, best.size)
    below(figure, axes, 3)
    return figure


def _sorted_heads(axes, values, top):
    """Means of held-out samples in the order that the other samples give."""
    first, second = values.iloc[::2].to_numpy(), values.iloc[1::2]
    together, second = clusters(second), second.to_numpy()
    count(axes, f"{len(first)} ranking + {len(second)} shown", "")
    if not len(second):
        say(axes, "one sample ranks, none is left to show")
        return
    rank = 1 + np.arange(values.shape[1])
    zero(axes)
    mean, low, high = simultaneous(second.mean(axis=1), clusters=together)
    axes.axhspan(low, high, color=GREY, alpha=0.2, linewidth=0)
    axes.axhline(
        mean,
        color=GREY,
        linestyle="--",
        linewidth=1.2,
        label="control: a head drawn at random (expected)",
    )
    mean, low, high = simultaneous(second[:, np.argsort(-first.mean(axis=0))], clusters=together)
    axes.fill_between(rank, low, high, color=BLUE, alpha=0.25, linewidth=0)
    axes.plot(
        rank,
        mean,
        "o-",
        color=BLUE,
        markersize=2.4,
        linewidth=0.7,
        label="heads in the order of the other half",
    )
    axes.axvline(top + 0.5, color=INK, linewidth=0.8, linestyle=":")
    axes.set_xscale("log")
    axes.xaxis.set_major_formatter("{x:g}")  # matplotlib's own would write powers as mathematics
    axes.xaxis.set_minor_formatter(LogFormatter())
    axes.set(xlabel="rank of the head (dotted: top 5 %)", ylabel="margin (logits)")


WHERE = {
    "instruction": "the instruction tokens",
    "last": "the last token",
    "both": "instruction and last token",
}


@draws(interventions=INTERVENTIONS)
def fig9_blocking(interventions, positions="instruction"):
    """Fig. 9, left: modality-following ratio against the share of blocked heads.

    Parameters
    ----------
    interventions : pandas.DataFrame
        One row per sample, following, setting, heads, draw, share, factor and positions; outcome is
        follow, competitor or other.
    positions : str
        Where the heads were changed: "instruction", "last" or "both".
    """
    kept = _at(interventions, "blocking", positions)
    kept = kept.assign(at=100 * kept["share"])
    what = f"blocking heads at {WHERE.get(positions, positions)}"
    figure, axes = panels("9 left", what, interventions, height=3.0, sharey=True)
    for panel, following in zip(axes[0], DIRECTIONS):
        panel.set(xlabel="blocked heads (% of all)")
        _draw_sets(panel, kept[kept["following"] == following], "samples")
    below(figure, axes, 4)
    return figure


#: Kinds of failures, as the column source has them: a row of Fig. 9, right, for each.
SOURCES = {"natural": "natural failures", "weakened": "with a weakened instruction"}


@draws(interventions=INTERVENTIONS)
def fig9_amplification(interventions, positions="instruction"):
    """Fig. 9, right: modality-following ratio of failed samples against the factor on the heads'
    outputs; natural failures above, those with a weakened instruction below.

    Parameters
    ----------
    interventions : pandas.DataFrame
        One row per sample, following, setting, heads, draw, share, factor and positions; outcome is
        follow, competitor or other; source, if there, natural or weakened.
    positions : str
        Where the heads were changed: "instruction", "last" or "both".
    """
    kept = _at(interventions, "amplification", positions)
    kept = kept.assign(at=kept["factor"])
    told = [kind for kind in SOURCES if "source" in kept and (kept["source"] == kind).any()]
    what = f"amplifying heads at {WHERE.get(positions, positions)}"
    rows = max(1, len(told))
    figure, axes = panels("9 right", what, interventions, rows=rows, height=2.7, sharey=True)
    for row, kind in zip(axes, told or [None]):
        here = kept if kind is None else kept[kept["source"] == kind]
        for panel, following in zip(row, DIRECTIONS):
            label = f", {SOURCES[kind]}" if kind else ""
            panel.set(xlabel=f"factor on the heads' output{label}")
            _draw_sets(panel, here[here["following"] == following], "failures")
    below(figure, axes, 4)
    return figure


def _at(table, setting, positions):
    """The rows of one setting at some positions, and those without an intervention."""
    here = (table["positions"] == positions) | (table["heads"] == "original")
    return table[(table["setting"] == setting) & here]


def _draw_sets(panel, here, unit):
    """A line for each set of heads over the column at; the number of samples, and of the wordings
    that they share.
    """
    panel.set(ylabel="modality-following ratio", ylim=(-0.03, 1.05))
    if not len(here):
        count(panel, 0, unit)
        return
    here = here.assign(followed=(here["outcome"] == "follow").astype(float))
    if not (here["heads"] == "target").any():
        say(panel, NO_RANKING)
    start = here[here["heads"] == "original"].groupby("sample")["followed"].mean()
    for name, (text, color, marker, dashes, size) in HEAD_SETS.items():
        rows = here[here["heads"] == name]
        if len(rows):
            band(
                panel,
                rows,
                "followed",
                x="at",
                label=text,
                color=color,
                marker=marker,
                dashes=dashes,
                fill=0.2 if name == "random" else 0.13,
                markersize=size,
                markerfacecolor="none",
            )
    if len(start):
        panel.axhline(
            start.mean(), color=INK, linewidth=0.9, linestyle=":", label="no intervention"
        )
    wordings = here["wording"].nunique() if "wording" in here else 0
    shared = f" in {wordings} wording" + "s" * (wordings > 1) if wordings else ""
    count(panel, here["sample"].nunique(), unit + shared)
