"""Figures of the head question: two rankings of heads against what each head does, and what their
top heads do together.
"""

import numpy as np

from arbitration.equations.heads import SHARE, share_count
from arbitration.uncertainty import rank_correlation, share, simultaneous
from reproduction.cohorts.failures import SOURCES
from reproduction.figures.style import (
    BLUE,
    DIRECTIONS,
    FAINT,
    GREY,
    INK,
    NO_RANKING,
    ORANGE,
    RED,
    SKY,
    band,
    below,
    count,
    draws,
    panels,
    samples_by,
    say,
    zero,
)
from reproduction.measures.heads import METHODS, PLACES
from reproduction.numbers.estimates import clusters, per_sample

INTERVENTIONS = tuple(
    "model sample following positions heads ranked_on draw share factor outcome".split()
)
SCORES = {
    "eq12": ("eq12", "Eq. 12 (logits)"),
    "sensitivity": ("sensitivity_instruction", "head sensitivity (nats)"),
}
#: Label, colour, marker, dashes of each set of heads; drawn in this order.
HEAD_SETS = {
    "random": ("control: random heads", GREY, "x", "--"),
    "eq12 matched": ("control: random heads in the layers of the Eq. 12 set", SKY, "^", "--"),
    "sensitivity matched": (
        "control: random heads in the layers of the sensitivity set",
        ORANGE,
        "v",
        "--",
    ),
    "eq12": ("top heads by Eq. 12", BLUE, "D", "-"),
    "sensitivity": ("top heads by sensitivity", RED, "o", "-"),
}
WHERE = {"instruction": "at the instruction tokens", "last": "at the last token", "both": "at both"}


@draws(
    scores=("model", "sample", "following", "layer", "head", "eq12", "sensitivity_instruction"),
    effects=("sample", "following", "positions", "layer", "head", "effect"),
)
def fig_head_truth(scores, effects):
    """Each head's score on one half of the samples against what silencing it alone does on the
    other half.

    Parameters
    ----------
    scores : DataFrame
        From `heads.score_heads`, of the ranking half.
    effects : DataFrame
        From `heads.silence_heads`; its rows at the instruction tokens are drawn.
    """
    figure, axes = panels(
        "H1", "does a ranking foretell what a head does alone?", scores, rows=2, height=2.7
    )
    for column, direction in enumerate(DIRECTIONS):
        here = effects[
            (effects["following"] == direction) & (effects["positions"] == "instruction")
        ]
        truth = samples_by(here, ["layer", "head"], "effect")
        ranked = scores[scores["following"] == direction]
        for panel, (name, label) in zip(axes[:, column], SCORES.values()):
            if not (len(truth) and len(ranked)):
                count(panel, 0, f"({ranked['sample'].nunique()} ranking + {len(truth)} tested)")
                continue
            mean = samples_by(ranked, ["layer", "head"], name).mean().loc[truth.columns]
            _scatter(panel, mean.to_numpy(), truth, label)
            count(panel, f"{ranked['sample'].nunique()} ranking + {len(truth)} tested", "")
    below(figure, axes, 3)
    return figure


def _scatter(axes, score, truth, label):
    top = np.argsort(-score, kind="stable")[: share_count(len(score))]
    mean = truth.mean().to_numpy()
    zero(axes)
    axes.plot(score, mean, ".", color=GREY, markersize=4, label="heads")
    axes.plot(
        score[top],
        mean[top],
        "o",
        color=RED,
        markersize=4.5,
        label=f"top 5 % of the ranking ({len(top)})",
    )
    axes.axhline(
        mean.mean(),
        color=INK,
        linewidth=0.8,
        linestyle="--",
        label="control: a head drawn at random (expected)",
    )
    each = truth.apply(lambda row: rank_correlation(score, row), axis=1).dropna()
    words = "no rank correlation: all equal"
    if len(each):
        middle, low, high = simultaneous(each, clusters=clusters(each))
        words = f"rank correlation with a sample {middle:.2f} [{low:.2f}, {high:.2f}]".replace(
            "-", "−"
        )
    bottom, height = axes.get_ylim()[0], np.ptp(axes.get_ylim())
    axes.set_ylim(bottom, bottom + 1.14 * height)  # room for the words above all heads
    axes.text(0.02, 0.97, words, transform=axes.transAxes, va="top", fontsize=8)
    axes.set(xlabel=label, ylabel="lead lost without it (nats)")


@draws(interventions=INTERVENTIONS)
def fig_head_blocking(interventions):
    """Modality-following ratio against the share of heads blocked at the instruction tokens, for
    both rankings and their controls.
    """
    figure, axes = panels(
        "H2", "blocking heads at the instruction tokens", interventions, height=3.0, sharey=True
    )
    for panel, direction in zip(axes[0], DIRECTIONS):
        here = interventions[
            (interventions["following"] == direction)
            & (interventions["positions"] == "instruction")
        ]
        _curves(panel, here, "share", 100, "samples")
        panel.set(
            xlabel="blocked heads (% of all)", ylabel="modality-following ratio", ylim=(-0.03, 1.05)
        )
    below(figure, axes, 2)
    return figure


@draws(interventions=(*INTERVENTIONS, "source"))
def fig_head_amplification(interventions):
    """Modality-following ratio of failures against the factor on 5 % of the heads, a row for each
    source of failures.
    """
    figure, axes = panels(
        "H4",
        "amplifying heads at the instruction tokens",
        interventions,
        rows=len(SOURCES),
        height=2.4,
        sharey=True,
    )
    for row, source in zip(axes, SOURCES):
        for panel, direction in zip(row, DIRECTIONS):
            here = interventions[
                (interventions["following"] == direction) & (interventions["source"] == source)
            ]
            _curves(
                panel, here[here["positions"] == "instruction"], "factor", 1, f"failures: {source}"
            )
            panel.set(
                xlabel="factor on the heads' output",
                ylabel="modality-following ratio",
                ylim=(-0.03, 1.05),
            )
    below(figure, axes, 2)
    return figure


def _curves(axes, table, along, scale, unit):
    count(axes, table["sample"].nunique(), unit)
    if not len(table):
        return
    table = table.assign(
        followed=(table["outcome"] == "follow").astype(float), at=table[along].astype(float) * scale
    )
    for name, (label, color, marker, dashes) in HEAD_SETS.items():
        rows = table[(table["heads"] == name) & table["ranked_on"].isin(["", "other samples"])]
        if len(rows):
            band(
                axes,
                rows,
                "followed",
                x="at",
                label=label,
                color=color,
                marker=marker,
                dashes=dashes,
                fill=0.12,
                markerfacecolor="none",
                markersize=5,
            )
    if not table["heads"].isin(METHODS).any():
        say(axes, NO_RANKING)
    start = table[table["heads"] == "original"].groupby("sample")["followed"].mean()
    axes.axhline(start.mean(), color=INK, linewidth=0.9, linestyle=":", label="no intervention")


@draws(interventions=INTERVENTIONS)
def fig_head_cases(interventions):
    """Modality-following ratio with 5 % of the heads blocked, by where and by how the heads were
    chosen; every random draw a dot.
    """
    blocked = interventions[np.isclose(interventions["share"].astype(float), SHARE)]
    figure, axes = panels("H3", "5 % of the heads blocked", interventions, height=5.2, sharey=True)
    for panel, direction in zip(axes[0], DIRECTIONS):
        here = blocked[blocked["following"] == direction]
        panel.set(
            xlabel="modality-following ratio",
            ylabel="which heads, blocked where",
            xlim=(-0.03, 1.05),
        )
        count(panel, here["sample"].nunique())
        if len(here):
            _cases(panel, here.assign(followed=(here["outcome"] == "follow").astype(float)))
    below(figure, axes, 3)
    return figure


def _cases(axes, table):
    names, line = [], 0
    for positions in PLACES:
        for name, (_, color, marker, dashes) in reversed(HEAD_SETS.items()):
            for ranked_on in ("other samples", "same samples", "other direction", ""):
                rows = table[
                    (table["positions"] == positions)
                    & (table["heads"] == name)
                    & (table["ranked_on"] == ranked_on)
                ]
                if not len(rows):
                    continue
                _case(axes, rows, line, color, marker, dashes == "--")
                names.append(f"{_words(name, ranked_on)} {WHERE[positions]}")
                line += 1
        axes.axhline(line - 0.5, color=FAINT, linewidth=0.8)
    axes.set_yticks(range(line), names, fontsize=7)
    axes.set_ylim(line - 0.5, -0.5)


def _words(name, ranked_on):
    short = name.replace("eq12", "Eq. 12").replace(" matched", ", same layers")
    return short + {"same samples": ", same samples", "other direction": ", other direction"}.get(
        ranked_on, ""
    )


def _case(axes, rows, line, color, marker, control):
    if control:
        draws = rows.groupby("draw")["followed"].mean()
        axes.plot(
            draws,
            np.full(len(draws), line),
            ".",
            color=color,
            alpha=0.5,
            markersize=4,
            label="control: one random draw",
        )
    followed = rows.groupby(per_sample(rows))["followed"].mean()
    middle, low, high = share(followed, clusters=clusters(followed))
    axes.plot(
        [low, high], [line, line], color=color, linewidth=1.4, linestyle="--" if control else "-"
    )
    axes.plot(
        [middle],
        [line],
        marker,
        color=color,
        markersize=6,
        markerfacecolor="none",
        label="mean of all draws" if control else "top heads",
    )
