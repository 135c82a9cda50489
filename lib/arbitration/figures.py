"""One function per figure of the paper's Sections 3 and 4.1: a tidy table in, a matplotlib Figure out.

Every figure has text following on the left and vision following on the right, bootstrap 95 % intervals over samples (a band along
a curve covers all its points together), the number of samples in each panel, and its control in dashed grey. Fig. 1 is in
`figures_paths`, Fig. 2 in `figures_sample`, Figs. 8 and 9 in `figures_heads`, Fig. 10 in `figures_windows`, Fig. 14 in
`figures_ablations`, those of the head question in `figures_sensitivity`, R1 to R7 in `figures_meaning` and `figures_reviews`;
`figures_authors` lays the authors' curves over Figs. 3 and 4, `figures_set` describes the data set, `figures_controls` sets controls
side by side, `figures_steering` shows one prompt.
"""

from matplotlib.ticker import MaxNLocator

from arbitration.estimates import images, per_sample
from arbitration.figures_ablations import fig14, fig14_beliefs
from arbitration.figures_authors import fig_authors
from arbitration.figures_controls import fig_controls
from arbitration.figures_heads import fig8, fig9_amplification, fig9_blocking
from arbitration.figures_meaning import fig_spans_in, fig_spans_out
from arbitration.figures_paths import fig1
from arbitration.figures_reviews import fig_ability, fig_failures, fig_last, fig_stability, fig_whole
from arbitration.figures_sample import fig2
from arbitration.figures_sensitivity import fig_head_amplification, fig_head_blocking, fig_head_cases, fig_head_truth
from arbitration.figures_set import fig_set
from arbitration.figures_steering import fig_steer
from arbitration.figures_windows import PATHWAYS, curves, fig10
from arbitration.metrics import bootstrap
from arbitration.style import (
    BLUE, DIRECTIONS, FAINT, GREEN, GREY, INK, ORANGE, PINK, RED, band, below, check_columns, count, panels,
    publish, strangers, styled, zero,
)

__all__ = ["fig1", "fig2", "fig3", "fig4", "fig5a", "fig5b", "fig6a", "fig6b", "fig7", "fig8", "fig9_blocking", "fig9_amplification",
           "fig10", "fig14", "fig14_beliefs", "fig_authors", "fig_controls", "fig_head_truth", "fig_head_blocking", "fig_head_cases",
           "fig_head_amplification", "fig_set", "fig_spans_in", "fig_spans_out", "fig_stability", "fig_whole", "fig_failures", "fig_last",
           "fig_ability", "fig_steer", "publish", "PATHWAYS"]


@styled
def fig3(table):
    """Fig. 3: signed divergence (Eq. 7) when a path among vision, text and the last token is closed, by layer.

    Parameters
    ----------
    table : pandas.DataFrame
        One row per sample, following, pathway, control and layer (`knockout_sweep`); nssd in nats.

    Raises
    ------
    ValueError
        When columns are missing, or a pathway is.
    """
    return _knockout(table, 3, "attention knockout: vision, text and the last token", ["vision→text", "vision→last", "text→last"])


@styled
def fig4(table):
    """Fig. 4: signed divergence (Eq. 7) with the text split into context and instruction, by layer.

    Parameters
    ----------
    table : pandas.DataFrame
        One row per sample, following, pathway, control and layer (`knockout_sweep`); nssd in nats.

    Raises
    ------
    ValueError
        When columns are missing, or a pathway is.
    """
    return _knockout(table, 4, "attention knockout: what reaches the instruction",
                     ["context→instruction", "context→last", "vision→instruction", "vision→context", "vision→last",
                      "instruction→last"])


def _knockout(table, number, what, pathways):
    check_columns(table, ("model", "sample", "following", "pathway", "control", "layer", "width", "nssd"), f"fig{number}")
    absent = sorted(set(pathways) - set(table["pathway"]))
    if absent:
        raise ValueError(f"fig{number} needs the pathways {', '.join(pathways)}; the table lacks {', '.join(absent)}: "
                         "sweep them too.")
    widths = ", ".join(str(width) for width in sorted(table["width"].unique()))
    figure, axes = panels(number, f"{what} (window of {widths} layers)", table, height=3.3)
    for panel, following in zip(axes[0], DIRECTIONS):
        here = table[table["following"] == following]
        zero(panel)
        n = curves(panel, here, pathways)
        panel.set(xlabel="centre of the blocked window (layer, 0-based)", ylabel="NSSD (nats; positive: the path helped)")
        count(panel, n)
    below(figure, axes, 4)
    return figure


@styled
def fig5a(beliefs):
    """Fig. 5a: share of samples whose instruction tokens favour the followed modality (LDAR, Eq. 9), by layer.

    Parameters
    ----------
    beliefs : pandas.DataFrame
        One row per sample, following, layer (−1: embedding), positions and dictionary; phi_f, phi_c in logits.

    Raises
    ------
    ValueError
        When columns are missing.
    """
    check_columns(beliefs, ("model", "sample", "following", "layer", "positions", "dictionary", "phi_f", "phi_c"), "fig5a")
    table = beliefs.assign(aligned=(beliefs["phi_f"] > beliefs["phi_c"]).astype(float))
    figure, axes = panels("5a", "latent decision alignment at the instruction tokens", table, sharey=True)
    at = table[table["positions"] == "instruction"]
    for panel, following, color in zip(axes[0], DIRECTIONS, (RED, BLUE)):
        here = at[at["following"] == following]
        panel.axhline(0.5, color=INK, linestyle=(0, (6, 4)), linewidth=1, label="0.5: no preference")
        strangers(panel, here, "aligned")
        n = band(panel, here[here["dictionary"] == "own"], "aligned", label=f"{following} following", color=color, marker="o")
        panel.set(xlabel="layer (−1: embedding)", ylabel="LDAR (share of samples)", ylim=(-0.03, 1.03))
        count(panel, n)
    below(figure, axes, 4)
    return figure


@styled
def fig5b(paths):
    """Fig. 5b: what is answered when a direct path to the answer is closed in the critical layers.

    Parameters
    ----------
    paths : pandas.DataFrame
        One row per sample, following and blocked path; outcome is follow, competitor or other.

    Raises
    ------
    ValueError
        When columns are missing, or a path is.
    """
    check_columns(paths, ("model", "sample", "following", "blocked", "outcome"), "fig5b")
    figure, axes = panels("5b", "answers with a direct path to the generated tokens closed", paths, height=2.9, sharey=True)
    parts = [("follow", None, ""), ("competitor", FAINT, "///"), ("other", FAINT, "")]
    for panel, following, color in zip(axes[0], DIRECTIONS, (RED, BLUE)):
        here = paths[paths["following"] == following]
        own = {"text": "context", "vision": "vision"}[following]
        blocked = [("none", "nothing"), ("instruction→last", "instruction"), (f"{own}→last", own), ("random→last", "random\n(control)")]
        for x, (name, _) in enumerate(blocked if len(here) else ()):
            rows = here[here["blocked"] == name]
            if not len(rows):
                raise ValueError(f"fig5b has no {following}-following rows with blocked={name!r}; "
                                 f"it has {', '.join(sorted(here['blocked'].unique()))}.")
            floor = 0.0
            for outcome, paint, hatch in parts:
                values = rows.assign(said=(rows["outcome"] == outcome).astype(float)).groupby(per_sample(rows))["said"].mean()
                mean, low, high = bootstrap(values, clusters=images(values))
                control = name.startswith("random")
                panel.bar(x, mean, bottom=floor, width=0.62, color=paint or (GREY if control else color), hatch=hatch,
                          edgecolor=GREY if control else INK, linewidth=0.8, linestyle="--" if control else "-",
                          label={"follow": "follows (control in grey)", "competitor": "the competitor's answer",
                                 "other": "another answer"}[outcome] if x == 0 else None)
                floor += mean
                if outcome == "follow":
                    panel.errorbar(x, mean, [[mean - low], [high - mean]], color=INK, capsize=4, linewidth=1.3, zorder=5)
                    panel.text(x, 1.03, f"{mean:.2f}", ha="center", fontsize=8)
        panel.set_xticks(range(4), [label for _, label in blocked])
        panel.set(xlabel="tokens hidden from the answer", ylabel="share of samples", ylim=(0, 1.12))
        count(panel, here["sample"].nunique())
    below(figure, axes, 3)
    return figure


@styled
def fig6a(components):
    """Fig. 6a: signal (Eq. 8) of the followed modality and of its competitor at the instruction tokens, by layer.

    Parameters
    ----------
    components : pandas.DataFrame
        One row per sample, following, layer and dictionary (own, shuffled); signals and increments in logits.

    Raises
    ------
    ValueError
        When columns are missing.
    """
    return _components(components, "6a", "signal of both modalities at the instruction tokens", "signal Φ (logits)",
                       [("signal_f", "followed modality", GREEN, "o"), ("signal_c", "competitor", PINK, "^")], ["signal_f"])


@styled
def fig6b(components):
    """Fig. 6b: what attention and MLP of each layer add to the followed modality's signal (Eqs. 10 and 11).

    Parameters
    ----------
    components : pandas.DataFrame
        One row per sample, following, layer and dictionary (own, shuffled); signals and increments in logits.

    Raises
    ------
    ValueError
        When columns are missing.
    """
    return _components(components, "6b", "what each sublayer adds to the followed modality's signal", "increment of Φ (logits)",
                       [("attention_signal", "attention", BLUE, "o"), ("mlp_signal", "MLP", ORANGE, "s")],
                       ["attention_signal", "mlp_signal"])


@styled
def fig7(components):
    """Fig. 7: what attention and MLP of each layer add to the arbitration margin (Eqs. 10 and 11).

    Parameters
    ----------
    components : pandas.DataFrame
        One row per sample, following, layer and dictionary (own, shuffled); signals and increments in logits.

    Raises
    ------
    ValueError
        When columns are missing.
    """
    return _components(components, 7, "what each sublayer adds to the arbitration margin",
                       "increment of ΔS (logits)",
                       [("attention_margin", "attention", BLUE, "o"), ("mlp_margin", "MLP", ORANGE, "s")],
                       ["attention_margin", "mlp_margin"])


def _components(table, number, what, unit, lines, controls):
    check_columns(table, ("model", "sample", "following", "layer", "dictionary", *(name for name, *_ in lines)), f"fig{number}")
    figure, axes = panels(number, what, table)
    for panel, following in zip(axes[0], DIRECTIONS):
        here = table[table["following"] == following]
        own = here[here["dictionary"] == "own"]
        zero(panel)
        for name, dashes in zip(controls, ("--", ":")):
            word = f" ({dict((key, label) for key, label, *_ in lines)[name]})" if len(controls) > 1 else ""
            strangers(panel, here, name, f"another sample's answers{word}", dashes, fill=0.1)
        for name, label, color, marker in lines:
            n = band(panel, own, name, label=label, color=color, marker=marker)
        panel.set(xlabel="layer (0-based)", ylabel=unit)
        panel.xaxis.set_major_locator(MaxNLocator(integer=True))
        count(panel, n)
    below(figure, axes, 2 + len(controls))
    return figure
