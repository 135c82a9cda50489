"""The measured relay against the dose of the planted one."""

from matplotlib.patches import Rectangle

from arbitration.models.catalogue import MASKED
from reproduction.claims.rules import VERDICTS
from reproduction.figures.style import (
    BLUE,
    DIRECTIONS,
    FAINT,
    GREY,
    INK,
    ORANGE,
    RED,
    below,
    count,
    draws,
    panels,
    zero,
)
from reproduction.measures.organisms import DOSES

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


#: Of each verdict the colour, the hatch and the sign in its cell.
CELLS = {
    "holds": (BLUE, "", "+"),
    "weaker": (BLUE, "..", "·"),
    "not seen": (FAINT, "", "o"),
    "not measured": (FAINT, "xx", ""),
    "contradicted": (RED, "///", "−"),
}


@draws(verdicts=("claim", "following", "organism", "verdict", "n"))
def fig_organism_claims(verdicts):
    """Which claim holds in which organism, and in how many of those in which it was measured.

    Parameters
    ----------
    verdicts : pandas.DataFrame
        From `numbers.organisms.judge_organisms`.
    """
    claims, names = (list(dict.fromkeys(verdicts[one])) for one in ("claim", "organism"))
    figure, axes = panels("O2", "model × claim", verdicts[[]], height=0.5 * len(claims) + 0.9)
    for panel, d in zip(axes[0], DIRECTIONS):
        here = verdicts[verdicts["following"] == d]
        words = here.pivot(index="claim", columns="organism", values="verdict")
        for y, claim in enumerate(claims):
            row = words.loc[claim, names] if len(words) else []
            for x, word in enumerate(row):
                color, hatch, sign = CELLS[word]
                box = Rectangle(
                    (x, y), 1, 1, facecolor=color, hatch=hatch, edgecolor=INK, alpha=0.8
                )
                panel.add_patch(box)
                panel.text(x + 0.5, y + 0.5, sign, ha="center", va="center", color=INK)
            measured = sum(word != "not measured" for word in row)
            told = f"{sum(word == 'holds' for word in row)} of {measured}"
            panel.text(len(names) + 0.15, y + 0.5, told, va="center", color=INK, fontsize=8)
        panel.set(xlim=(0, len(names) + 1.4), ylim=(len(claims), 0))
        short = [name.replace("smol-merge-", "dose ").replace("smol-", "") for name in names]
        panel.set_xticks([x + 0.5 for x in range(len(names))], short, rotation=45, ha="right")
        lines = [claim.replace(" costs", "\ncosts") for claim in claims]
        panel.set_yticks([y + 0.5 for y in range(len(claims))], lines if d == "text" else [])
        panel.tick_params(length=0)
        panel.spines[:].set_visible(False)
        panel.set_xlabel("holds in k of m at the right")
    for word in reversed(VERDICTS):
        color, hatch, sign = CELLS[word]
        looks = {"facecolor": color, "hatch": hatch, "edgecolor": INK, "alpha": 0.8}
        axes[0, 0].bar(0, 0, label=f"{word} ({sign})" if sign else word, **looks)
    below(figure, axes, 5)
    return figure
