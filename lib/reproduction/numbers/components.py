"""The numbers of Section 4.1: signals, and the increments summed over thirds of the layers."""

from reproduction.numbers.counting import counts
from reproduction.numbers.estimates import (
    DIRECTIONS,
    chosen,
    depth,
    estimate,
    extreme,
    paired,
    ratio,
    wide,
)

COMPONENT_RULES = {
    "divergence": {"above": 0.0},
    "signal_rise_f": {"above": 0.0},
    "signal_rise_c": {"above": 0.0},
    "arbiter": {"above": 0.0},
    "attention_signal_shallow": {"above": 0.0},
    "mlp_signal": {"above": 0.0},
    "mlp_margin_deep": {"below": 0.0},
}
OVER_CONTROL = {
    "signal_rise_f": {"above": 0.0},
    "signal_rise_c": {"above": 0.0},
    "divergence": {"above": 0.0},
    "attention_signal_shallow": {"above": 0.0},
    "mlp_signal": {"above": 0.0},
    "attention_margin_deep": {"above": 0.0},
    "mlp_margin_deep": {"below": 0.0},
}
SHALLOW = ("gap", "attention_margin")  # what the paper finds in deep layers and not in shallow ones


def summarise_components(table, seed=0):
    """Numbers of Section 4.1 (Figs. 6 and 7): signals, and the increments summed over thirds of the
    layers.

    Parameters
    ----------
    table : DataFrame
        One row per sample, following, layer and dictionary; signals and increments in logits.
    seed : int
        Of the bootstrap.
    """
    layers = int(table["layer"].max()) + 1
    found = counts(table) | {"layers": float(layers)}
    for d in DIRECTIONS:
        kinds = {}
        for kind, suffix in (("own", ""), ("shuffled", "_shuffled")):
            kinds[kind], attention = _component_values(table, layers, following=d, dictionary=kind)
            rules = {} if suffix else COMPONENT_RULES | _fifths(kinds[kind])
            for name, values in kinds[kind].items():
                found |= estimate(f"{name}_{d}{suffix}", values, seed, **rules.get(name, {}))
            best = extreme(attention)
            found |= chosen(f"attention_top_{d}{suffix}", attention, best, seed) | {
                f"attention_top_{d}{suffix}_layer": float(best)
            }
            for name in () if suffix else SHALLOW:
                found |= ratio(
                    f"share_{name}_shallow_{d}",
                    kinds[kind][f"{name}_shallow"],
                    kinds[kind][f"{name}_deep"],
                    seed,
                )
        for name, rule in OVER_CONTROL.items():
            found |= estimate(
                f"over_{name}_{d}",
                paired(kinds["own"][name], kinds["shuffled"][name]),
                seed,
                **rule,
            )
    return found


def _component_values(table, layers, **levels):
    """Per-sample values of everything that Section 4.1 quotes at some levels, and what each layer's
    attention adds to the margin.
    """
    part = {name: list(chosen) for name, chosen in depth(layers).items()}
    increments = ("attention_signal", "mlp_signal", "attention_margin", "mlp_margin")
    curve = {name: wide(table, name, **levels) for name in ("signal_f", "signal_c", *increments)}
    curve["gap"] = curve["signal_f"] - curve["signal_c"]
    mean = {
        (name, where): curve[name][part[where]].mean(axis=1)
        for name in ("signal_f", "signal_c", "gap")
        for where in ("shallow", "deep")
    }
    values = {
        "gap_shallow": mean["gap", "shallow"],
        "gap_deep": mean["gap", "deep"],
        "divergence": mean["gap", "deep"] - mean["gap", "shallow"],
    }
    values |= {
        f"signal_rise_{m}": mean[f"signal_{m}", "deep"] - mean[f"signal_{m}", "shallow"]
        for m in "fc"
    }
    values |= {
        f"{name}_{where}": curve[name][part[where]].sum(axis=1)
        for name in increments
        for where in ("shallow", "deep")
    }
    values["mlp_signal"] = curve["mlp_signal"].sum(axis=1)
    values["arbiter"] = values["attention_margin_deep"] - values["attention_margin_shallow"]
    return values, curve["attention_margin"]


def _fifths(values):
    """What is called close to zero in shallow layers: less than a fifth of what the deep layers
    show.
    """
    limits = {name: 0.2 * abs(float(values[f"{name}_deep"].mean())) for name in SHALLOW}
    return {f"{name}_shallow": {"within": (-limit, limit)} for name, limit in limits.items()}
