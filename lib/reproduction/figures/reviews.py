"""Figures R3 to R7: what the authors added for their reviewers, and what their design could not
show.
"""

import numpy as np
from matplotlib.ticker import MaxNLocator

from arbitration.uncertainty import share, simultaneous
from reproduction.figures.style import (
    BLUE,
    DIRECTIONS,
    GREEN,
    GREY,
    INK,
    ORANGE,
    PINK,
    RATES,
    RED,
    band,
    below,
    count,
    draws,
    panels,
    strangers,
    zero,
)
from reproduction.measures.ability import FACTORS
from reproduction.numbers.estimates import clusters, per_sample
from reproduction.numbers.stability import main_pathways, stability

ROLES = (
    ("into the instruction", RED, "o"),
    ("out of the instruction", PINK, "P"),
    ("past the instruction", BLUE, "^"),
)
INCREMENTS = {
    "attention_signal": "attention: signal",
    "mlp_signal": "MLP: signal",
    "attention_margin": "attention: margin",
    "mlp_margin": "MLP: margin",
}


@draws(table=("model", "sample", "following", "pathway", "control", "layer", "nssd"))
def fig_stability(table):
    """Peak of the NSSD (Eq. 7) on nested parts of the samples, and on parts that share none.

    Parameters
    ----------
    table : pandas.DataFrame
        From `knockout_sweep`, with its controls; nssd in nats.
    """
    peaks = stability(table)
    figure, axes = panels("R3", "peaks on parts of the samples", table)
    for panel, way in zip(axes[0], DIRECTIONS):
        zero(panel)
        for (label, color, marker), pathway, shift in zip(ROLES, main_pathways(way), (-1, 0, 1)):
            here = peaks[(peaks["following"] == way) & (peaks["pathway"] == pathway)]
            own = here[(here["part"] == "nested") & ~here["control"]]
            # Where all samples are equal, rounding may be below zero.
            error = np.maximum(0, [own["nssd"] - own["low"], own["high"] - own["nssd"]])
            panel.errorbar(
                100 * own["share"] + shift,
                own["nssd"],
                error,
                color=color,
                marker=marker,
                markersize=4,
                capsize=3,
                label=label,
            )
            apart = here[here["part"] == "disjoint"]
            panel.plot(
                100 * apart["share"] + shift,
                apart["nssd"],
                "x",
                color=color,
                markersize=5,
                alpha=0.8,
            )
            drawn = here[here["control"]]
            panel.plot(100 * drawn["share"], drawn["nssd"], "--", color=GREY, linewidth=1)
            panel.fill_between(
                100 * drawn["share"],
                drawn["low"],
                drawn["high"],
                color=GREY,
                alpha=0.1,
                linewidth=0,
            )
        panel.plot([], [], "x", color=INK, label="disjoint fifths and halves")
        if len(drawn):
            panel.plot(
                [],
                [],
                "--",
                color=GREY,
                label=f"control: as many random sources (of n = {int(drawn['n'].max())})",
            )
        panel.set(
            xlabel="part of the samples (%)", ylabel="largest mean NSSD (nats)", xlim=(10, 108)
        )
        count(panel, table.loc[table["following"] == way, "sample"].nunique())
    below(figure, axes, 3)
    return figure


@draws(table=("model", "sample", "following", "pathway", "control", "layer", "nssd", "divergence"))
def fig_whole(table):
    """Divergence of the whole next-token distribution beside the NSSD, a row for each main pathway.

    Parameters
    ----------
    table : pandas.DataFrame
        From `knockout_sweep`, with its controls: nssd and divergence in nats.
    """
    figure, axes = panels(
        "R4", "the whole vocabulary instead of two answers", table, rows=3, height=2.1
    )
    for column, way in zip(axes.T, DIRECTIONS):
        for panel, pathway in zip(column, main_pathways(way)):
            here = table[(table["following"] == way) & (table["pathway"] == pathway)]
            zero(panel)
            control = here[here["control"]]
            if len(control):
                band(
                    panel,
                    control,
                    "divergence",
                    label="control: as many random sources, all tokens",
                    color=GREY,
                    dashes="--",
                    fill=0.1,
                )
            band(
                panel,
                here[~here["control"]],
                "nssd",
                label="two answers (NSSD)",
                color=BLUE,
                marker="o",
            )
            n = band(
                panel,
                here[~here["control"]],
                "divergence",
                label="all tokens (signed divergence)",
                color=ORANGE,
                marker="s",
            )
            panel.set(
                xlabel="centre of the blocked window (layer, 0-based)", ylabel=f"{pathway}\n(nats)"
            )
            panel.xaxis.set_major_locator(MaxNLocator(integer=True))
            count(panel, n)
    below(figure, axes, 3)
    return figure


@draws(components=("model", "sample", "following", "layer", "dictionary", *INCREMENTS))
def fig_failures(components, failed):
    """What attention and MLP add to signal and margin on prompts that fail, against prompts that
    follow.

    Parameters
    ----------
    components, failed : pandas.DataFrame
        From `components.measure_components`: prompts that follow, and failures (with the column
        mix); increments in logits.
    """
    figure, axes = panels(
        "R5",
        "where failures fail, at the instruction tokens",
        components,
        rows=len(INCREMENTS),
        height=2.0,
    )
    for line, (name, label) in zip(axes, INCREMENTS.items()):
        for panel, way in zip(line, DIRECTIONS):
            fails, good = (table[table["following"] == way] for table in (failed, components))
            zero(panel)
            panel.set(xlabel="layer (0-based)", ylabel=f"{label}\n(logits)")
            panel.xaxis.set_major_locator(MaxNLocator(integer=True))
            strangers(panel, fails if len(fails) else good, name, fill=0.1)
            n = band(
                panel,
                good[good["dictionary"] == "own"],
                name,
                label="prompts that follow",
                color=GREEN,
                marker="o",
            )
            if len(fails):
                band(
                    panel,
                    fails[fails["dictionary"] == "own"],
                    name,
                    label="failures: the competitor's answer",
                    color=RED,
                    marker="x",
                )
            weakened = fails.loc[fails["mix"] > 0, "sample"].nunique()
            unit = f"follow, {fails['sample'].nunique()} fail ({weakened} of them weakened)"
            count(panel, n, unit, none="not measured: no samples")
    below(figure, axes, 3)
    return figure


@draws(
    last=("model", "sample", "following", "layer", "dictionary", "attention_margin", "mlp_margin")
)
def fig_last(components, last):
    """What attention and MLP add to the margin at the last position and, on the same prompts, at
    the instruction tokens.

    Parameters
    ----------
    components, last : pandas.DataFrame
        From `components.measure_components`, at the instruction tokens and at the last position;
        increments in logits.
    """
    figure, axes = panels(
        "R6", "increments of the margin at the last position", last, rows=2, height=2.4
    )
    for line, (name, label) in zip(
        axes, (("attention_margin", "attention"), ("mlp_margin", "MLP"))
    ):
        for panel, way in zip(line, DIRECTIONS):
            here = last[last["following"] == way]
            anchors = components[
                (components["following"] == way)
                & components["sample"].isin(here["sample"])
                & (components["dictionary"] == "own")
            ]
            zero(panel)
            strangers(panel, here, name, "last position, another sample's answers", fill=0.1)
            band(panel, anchors, name, label="instruction tokens", color=GREEN, marker="o")
            n = band(
                panel,
                here[here["dictionary"] == "own"],
                name,
                label="last position",
                color=PINK,
                marker="P",
            )
            panel.set(xlabel="layer (0-based)", ylabel=f"{label}: increment of ΔS\n(logits)")
            panel.xaxis.set_major_locator(MaxNLocator(integer=True))
            count(panel, n)
    below(figure, axes, 3)
    return figure


@draws(answers=("model", "sample", "following", "kind", "heads", "factor", "outcome"))
def fig_ability(answers, reading):
    """What is answered and read while the top 5 % of the heads are blocked or doubled: conflicts,
    one modality alone, plain English.

    Parameters
    ----------
    answers, reading : pandas.DataFrame
        From `ability.measure_ability` and `ability.measure_reading`.
    """
    figure, axes = panels(
        "R7",
        "general ability with 5 % of the heads scaled",
        answers,
        rows=2,
        height=2.5,
        sharey="row",
    )
    table, cases = (
        answers.assign(right=(answers["outcome"] == "follow").astype(float)),
        {1.0: 0, **{factor: at for at, factor in enumerate(FACTORS, 1)}},
    )
    for column, way in zip(axes.T, DIRECTIONS):
        here = table[table["following"] == way]
        for kind, label, color, marker in (
            ("conflict", "conflict", RED, "o"),
            ("alone", "one modality alone", BLUE, "s"),
        ):
            shift = -0.15 if kind == "conflict" else 0.05
            for name, words, paint, style in (
                ("target", f"{label}, top heads", color, "-"),
                ("random", f"{label}, control: random heads", GREY, "--"),
            ):
                rows = here[(here["kind"] == kind) & here["heads"].isin([name, "original"])]
                _points(
                    column[0],
                    rows,
                    "right",
                    cases,
                    shift + 0.1 * (name == "random"),
                    words,
                    paint,
                    marker,
                    style,
                )
        count(column[0], here["sample"].nunique())
        column[0].set(ylabel="share of right answers", ylim=(-0.05, 1.08))
        for name, words, paint, style in (
            (way, "plain text, top heads", GREEN, "-"),
            ("random", "plain text, control: random heads", GREY, "--"),
        ):
            rows = reading[reading["heads"].isin([name, "original"])]
            _points(
                column[1],
                rows,
                "nats",
                cases,
                -0.05 + 0.1 * (name == "random"),
                words,
                paint,
                "D",
                style,
            )
        count(column[1], rows["sample"].nunique(), "sentences")
        column[1].set(ylabel="nats per token")
        for panel in column:
            panel.set_xticks(list(cases.values()), ["unchanged", "blocked (× 0)", "doubled (× 2)"])
            panel.set(xlabel="output of the heads")
    below(figure, axes, 3)
    return figure


def _points(panel, rows, value, cases, shift, label, color, marker, dashes):
    """Means over samples with intervals, one for each factor; random draws averaged within their
    sample.
    """
    for factor, at in cases.items():
        here = rows.loc[np.isclose(rows["factor"].astype(float), factor)]
        values = here.groupby(per_sample(here))[value].mean()
        if not len(values):
            continue
        kind = share if value in RATES else simultaneous
        mean, low, high = kind(values, clusters=clusters(values))
        error = np.maximum(0, [[mean - low], [high - mean]])
        bars = panel.errorbar(
            at + shift,
            mean,
            error,
            color=color,
            marker=marker,
            markersize=5,
            capsize=3,
            markerfacecolor="none",
            linestyle="none",
            label=label,
        )
        bars[2][0].set_linestyle(dashes)
