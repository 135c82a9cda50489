"""Figs. 6 and 7: signals and increments by layer."""

from matplotlib.ticker import MaxNLocator

from reproduction.figures.style import (
    BLUE,
    DIRECTIONS,
    GREEN,
    ORANGE,
    PINK,
    band,
    below,
    count,
    draws,
    panels,
    strangers,
    zero,
)

KEYS = ("model", "sample", "following", "layer", "dictionary")


@draws(components=(*KEYS, "signal_f", "signal_c"))
def fig6a(components):
    """Fig. 6a: signal (Eq. 8) of the followed modality and of its competitor at the instruction
    tokens, by layer.

    Parameters
    ----------
    components : pandas.DataFrame
        One row per sample, following, layer and dictionary (own, shuffled); signals and increments
        in logits.
    """
    return _components(
        components,
        "6a",
        "signal of both modalities at the instruction tokens",
        "signal Φ (logits)",
        [("signal_f", "followed modality", GREEN, "o"), ("signal_c", "competitor", PINK, "^")],
        ["signal_f"],
    )


@draws(components=(*KEYS, "attention_signal", "mlp_signal"))
def fig6b(components):
    """Fig. 6b: what attention and MLP of each layer add to the followed modality's signal (Eqs. 10
    and 11).

    Parameters
    ----------
    components : pandas.DataFrame
        One row per sample, following, layer and dictionary (own, shuffled); signals and increments
        in logits.
    """
    return _components(
        components,
        "6b",
        "what each sublayer adds to the followed modality's signal",
        "increment of Φ (logits)",
        [("attention_signal", "attention", BLUE, "o"), ("mlp_signal", "MLP", ORANGE, "s")],
        ["attention_signal", "mlp_signal"],
    )


@draws(components=(*KEYS, "attention_margin", "mlp_margin"))
def fig7(components):
    """Fig. 7: what attention and MLP of each layer add to the arbitration margin (Eqs. 10 and 11).

    Parameters
    ----------
    components : pandas.DataFrame
        One row per sample, following, layer and dictionary (own, shuffled); signals and increments
        in logits.
    """
    return _components(
        components,
        7,
        "what each sublayer adds to the arbitration margin",
        "increment of ΔS (logits)",
        [("attention_margin", "attention", BLUE, "o"), ("mlp_margin", "MLP", ORANGE, "s")],
        ["attention_margin", "mlp_margin"],
    )


def _components(table, number, what, unit, lines, controls):
    figure, axes = panels(number, what, table)
    for panel, following in zip(axes[0], DIRECTIONS):
        here = table[table["following"] == following]
        own = here[here["dictionary"] == "own"]
        zero(panel)
        for name, dashes in zip(controls, ("--", ":")):
            labels = {key: label for key, label, *_ in lines}
            word = f" ({labels[name]})" if len(controls) > 1 else ""
            strangers(panel, here, name, f"another sample's answers{word}", dashes, fill=0.1)
        for name, label, color, marker in lines:
            n = band(panel, own, name, label=label, color=color, marker=marker)
        panel.set(xlabel="layer (0-based)", ylabel=unit)
        panel.xaxis.set_major_locator(MaxNLocator(integer=True))
        count(panel, n)
    below(figure, axes, 2 + len(controls))
    return figure
