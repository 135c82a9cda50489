"""Figs. 5a and 5b: latent decision alignment, and answers with a path closed."""

from arbitration.dataset.sample import SOURCE
from arbitration.uncertainty import share
from reproduction.figures.style import (
    BLUE,
    DIRECTIONS,
    FAINT,
    GREY,
    INK,
    RED,
    band,
    below,
    count,
    draws,
    panels,
    strangers,
)
from reproduction.numbers.estimates import clusters, per_sample


@draws(
    beliefs=("model", "sample", "following", "layer", "positions", "dictionary", "phi_f", "phi_c")
)
def fig5a(beliefs):
    """Fig. 5a: share of samples whose instruction tokens favour the followed modality (LDAR, Eq.
    9), by layer.

    Parameters
    ----------
    beliefs : pandas.DataFrame
        One row per sample, following, layer (−1: embedding), positions and dictionary; phi_f, phi_c
        in logits.
    """
    table = beliefs.assign(aligned=(beliefs["phi_f"] > beliefs["phi_c"]).astype(float))
    figure, axes = panels(
        "5a", "latent decision alignment at the instruction tokens", table, sharey=True
    )
    at = table[table["positions"] == "instruction"]
    for panel, following, color in zip(axes[0], DIRECTIONS, (RED, BLUE)):
        here = at[at["following"] == following]
        draw_alignment(panel, here, label=f"{following} following", color=color, marker="o")
        panel.set_ylabel("LDAR (share of samples)")
    below(figure, axes, 4)
    return figure


def draw_alignment(axes, table, **looks):
    """Latent decision alignment (Eq. 9) by layer, of one panel's rows (with the column aligned),
    beside that of other samples' answers.
    """
    axes.axhline(0.5, color=INK, linestyle=(0, (6, 4)), linewidth=1, label="0.5: no preference")
    strangers(axes, table, "aligned")
    n = band(axes, table[table["dictionary"] == "own"], "aligned", **looks)
    axes.set(xlabel="layer (−1: embedding)", ylim=(-0.03, 1.03))
    count(axes, n)


#: The answers of Fig. 5b, from below: outcome, colour (the direction's own if None), hatch, label.
ANSWERS = (
    ("follow", None, "", "follows (control in grey)"),
    ("competitor", FAINT, "///", "the competitor's answer"),
    ("other", FAINT, "", "another answer"),
)


def _stack_answers(panel, x, rows, color, control):
    """One bar of shares of answers, with the interval of those that follow."""
    floor = 0.0
    for outcome, paint, hatch, label in ANSWERS:
        said = rows.assign(said=(rows["outcome"] == outcome).astype(float))
        values = said.groupby(per_sample(rows))["said"].mean()
        mean, low, high = share(values, clusters=clusters(values))
        panel.bar(
            x,
            mean,
            bottom=floor,
            width=0.62,
            color=paint or (GREY if control else color),
            hatch=hatch,
            edgecolor=GREY if control else INK,
            linewidth=0.8,
            linestyle="--" if control else "-",
            label=label if x == 0 else None,
        )
        floor += mean
        if outcome == "follow":
            error = [[mean - low], [high - mean]]
            panel.errorbar(x, mean, error, color=INK, capsize=4, linewidth=1.3, zorder=5)
            panel.text(x, 1.03, f"{mean:.2f}", ha="center", fontsize=8)


@draws(paths=("model", "sample", "following", "place", "layers", "blocked", "outcome"))
def fig5b(paths):
    """Fig. 5b: what is answered when a direct path to the answer is closed in a few layers; above
    in those found on other samples, below in those that the paper names.

    Parameters
    ----------
    paths : pandas.DataFrame
        One row per sample, following, place and blocked path; outcome is follow, competitor or
        other.

    Raises
    ------
    ValueError
        When a path is missing.
    """
    known = set(paths["place"])
    places = [(place, words) for place, words in PLACES.items() if place in known]
    figure, axes = panels(
        "5b",
        "answers with a direct path to the generated tokens closed",
        paths,
        rows=max(1, len(places)),
        height=2.7,
        sharey=True,
    )
    for row, (place, words) in zip(axes, places):
        for panel, following, color in zip(row, DIRECTIONS, (RED, BLUE)):
            here = paths[(paths["following"] == following) & (paths["place"] == place)]
            _draw_answers(panel, here, following, color)
            told = ", ".join(sorted(here["layers"].unique())) if len(here) else "none"
            panel.set_xlabel(f"hidden from the answer in layers {told}\n({words})")
    below(figure, axes, 3)
    return figure


#: The places of Fig. 5b, and what is said of them.
PLACES = {"own": "found on other samples", "scaled": "the paper's, scaled to the model"}


def _draw_answers(panel, here, following, color):
    """A bar for each path of one direction at one place."""
    own = SOURCE[following]
    blocked = [
        ("none", "nothing"),
        ("instruction→last", "instruction"),
        (f"{own}→last", own),
        ("random→last", "random\n(control)"),
    ]
    for x, (name, _) in enumerate(blocked if len(here) else ()):
        rows = here[here["blocked"] == name]
        if not len(rows):
            why = (
                f"fig5b has no {following}-following rows with blocked={name!r}; "
                f"it has {', '.join(sorted(here['blocked'].unique()))}."
            )
            raise ValueError(why)
        _stack_answers(panel, x, rows, color, control=name.startswith("random"))
    panel.set_xticks(range(4), [label for _, label in blocked])
    panel.set(ylabel="share of samples", ylim=(0, 1.12))
    count(panel, here["sample"].nunique())
