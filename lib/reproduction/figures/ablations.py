"""Figure 14: what changes when Φ is averaged over tokens or over an answer's forms."""

from matplotlib.ticker import MaxNLocator

from reproduction.figures.beliefs import draw_alignment
from reproduction.figures.style import (
    BLUE,
    DIRECTIONS,
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
    say,
)

# Drawn in this order; the rings of the default stay visible where curves coincide.
READINGS = {
    "average": ("average of the forms", ORANGE, "s", 4),
    "K = 2": ("two strongest tokens (K = 2)", BLUE, "D", 4),
    "default": ("strongest token, best form (default)", RED, "o", 8),
}


@draws(beliefs=("model", "sample", "following", "reading", "layer", "dictionary", "phi_f", "phi_c"))
def fig14_beliefs(beliefs):
    """Latent decision alignment (Eq. 9) by layer under the readings of Fig. 14.

    Parameters
    ----------
    beliefs : pandas.DataFrame
        From `readings.measure_readings`: one row per sample, following, reading, layer and
        dictionary (own, shuffled); phi_f, phi_c in logits.
    """
    table = beliefs.assign(aligned=(beliefs["phi_f"] > beliefs["phi_c"]).astype(float))
    figure, axes = panels(
        "14",
        "latent decision alignment with other poolings",
        table,
        rows=len(READINGS),
        height=2.1,
        sharey=True,
    )
    for row, (name, (label, color, marker, _)) in zip(axes, reversed(READINGS.items())):
        for panel, following in zip(row, DIRECTIONS):
            here = table[(table["following"] == following) & (table["reading"] == name)]
            draw_alignment(panel, here, label=label, color=color, marker=marker)
            panel.set_ylabel("LDAR (share)")
            panel.xaxis.set_major_locator(MaxNLocator(integer=True))
    below(figure, axes, 3)
    return figure


@draws(
    interventions=("model", "sample", "following", "setting", "heads", "share", "factor", "outcome")
)
def fig14(interventions):
    """Fig. 14: modality-following ratio with top heads blocked (above) or amplified (below), ranked
    under several readings of Φ.

    Parameters
    ----------
    interventions : pandas.DataFrame
        From `head_sets.scale_ranked`: one row per sample, following, setting, heads, draw, share
        and factor; outcome is follow, competitor or other.
    """
    table = interventions.assign(
        followed=(interventions["outcome"] == "follow").astype(float),
        percent=100 * interventions["share"],
    )
    figure, axes = panels(
        "14",
        "heads ranked under other readings, at the instruction tokens",
        table,
        rows=2,
        height=2.7,
        sharey=True,
    )
    settings = (
        ("blocking", "percent", "blocked heads (% of all)", "samples"),
        ("amplification", "factor", "factor on the heads' output (5 %)", "failures"),
    )
    for row, (setting, along, label, unit) in zip(axes, settings):
        for panel, following in zip(row, DIRECTIONS):
            here = table[(table["setting"] == setting) & (table["following"] == following)]
            panel.set(xlabel=label, ylabel="modality-following ratio", ylim=(-0.05, 1.05))
            count(panel, here["sample"].nunique(), unit)
            if not len(here):
                continue
            band(
                panel,
                here[here["heads"] == "random"],
                "followed",
                x=along,
                label="control: as many random heads",
                color=GREY,
                marker="x",
                dashes="--",
            )
            for name, (text, color, marker, size) in READINGS.items():
                rows = here[here["heads"] == name]
                band(
                    panel,
                    rows,
                    "followed",
                    x=along,
                    label=text,
                    color=color,
                    marker=marker,
                    fill=0.12,
                    markersize=size,
                    markerfacecolor="none",
                )
            if not here["heads"].isin(READINGS).any():
                say(panel, NO_RANKING)
            start = here[here["heads"] == "original"]["followed"].mean()
            panel.axhline(start, color=INK, linewidth=0.9, linestyle=":", label="no intervention")
    below(figure, axes, 3)
    return figure
