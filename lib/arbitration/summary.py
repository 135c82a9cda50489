"""The numbers that the book's pages quote, computed from the tables: one function per notebook, a dictionary out.

A quantity ``name`` comes with ``name_low`` and ``name_high``, its bootstrap 95 % interval over samples. Pathways are written
``context_instruction``. Shallow and deep are the first and the last third of the layers; the critical layers are the paper's
20 to 25 of 28, scaled to the model. A ``…_verdict`` is `paper.verdict` of an interval. What a run did not measure is NaN.
"""

import itertools

import numpy as np

from arbitration import paper_curves
from arbitration.estimates import (
    DIRECTIONS, MARGINAL, chosen, counts, depth, differences, estimate, extreme, least_controls, paired, per_sample, ratio, wide,
)
from arbitration.metrics import beyond_chance
from arbitration.summary_ablations import ablations
from arbitration.summary_heads import heads
from arbitration.summary_conventions import conventions
from arbitration.summary_meaning import meaning
from arbitration.summary_reviews import reviews
from arbitration.summary_sensitivity import head_question
from arbitration.summary_windows import windows

__all__ = ["ablations", "beliefs", "components", "conventions", "dataset", "head_question", "heads", "knockout", "meaning", "reviews", "windows"]

OWN = {"text": "context", "vision": "vision"}  # the token group of the modality that the instruction names
COMPONENT_RULES = {"divergence": {"above": 0.0}, "signal_rise_f": {"above": 0.0}, "signal_rise_c": {"above": 0.0}, "arbiter": {"above": 0.0},
                   "attention_signal_shallow": {"above": 0.0}, "mlp_signal": {"above": 0.0}, "mlp_margin_deep": {"below": 0.0}}
OVER_CONTROL = {"signal_rise_f": {"above": 0.0}, "signal_rise_c": {"above": 0.0}, "divergence": {"above": 0.0},
                "attention_signal_shallow": {"above": 0.0}, "mlp_signal": {"above": 0.0}, "attention_margin_deep": {"above": 0.0},
                "mlp_margin_deep": {"below": 0.0}}
SHALLOW = ("gap", "attention_margin")  # what the paper finds in deep layers and not in shallow ones


def dataset(answers, coverage, seed=0):
    """Numbers of Section 2: how often each answer is given, before any sample is dropped.

    Parameters
    ----------
    answers : DataFrame
        One row per prompt: sample, following, outcome (``follow``, ``competitor``, ``other``), and first, the same of the first token alone:
        ``first_<d>`` is the share in which the most likely first token is y_p or y_c.
    coverage : DataFrame
        From `EntityDictionary.coverage`: one row per sample and answer.
    """
    found = counts(answers) | {"forms_mean": float(coverage["forms"].mean()), "ids_mean": float(coverage["ids"].mean()),
                               "ids_min": float(coverage["ids"].min()), "fallback_share": float(coverage["fallback"].mean())}
    for d in DIRECTIONS:
        rows = answers[answers["following"] == d]
        for name, outcome in (("follow", "follow"), ("compete", "competitor"), ("other", "other")):
            found |= estimate(f"{name}_{d}", rows.set_index(per_sample(rows))["outcome"] == outcome, seed)
        found |= estimate(f"first_{d}", rows.set_index(per_sample(rows))["first"] != "other", seed)
        found[f"kept_{d}"] = float((rows["outcome"] == "follow").sum())
    return found


def knockout(table, seed=0):
    """Numbers of Section 3.1 (Figs. 3 and 4): extremes of the mean NSSD by pathway, what the paper contrasts, and the agreement
    with the authors' curves (`paper_curves.compare`).

    A contrast compares two pathways sample by sample, each at the layer of its own extreme; with a control, over the samples
    that have one (``n_controls`` per direction). Extremes and contrasts have the interval of a band over all layers, or all pairs of
    layers, from which they were chosen (`estimates.chosen`).

    Parameters
    ----------
    table : DataFrame
        From `knockout_sweep`, the eight standard pathways and their controls; nssd in nats.
    seed : int
        Of the bootstrap.
    """
    found, curves = counts(table) | {"layers": float(table["layer"].nunique())}, {}
    found["n_controls"] = least_controls(table)
    table, places = table.assign(kept=(table["logp_p_blocked"] > table["logp_c_blocked"]).astype(float)), {}
    for pathway, d, control in itertools.product(sorted(table["pathway"].unique()), DIRECTIONS, (False, True)):
        here = {"pathway": pathway, "following": d, "control": control}
        path = pathway.replace("→", "_") + f"_{d}" + ("_control" if control else "")
        curves[path] = curve = wide(table, "nssd", **here)
        for name, layer in (("peak", extreme(curve)), ("trough", extreme(curve, np.negative))):
            found |= chosen(f"{name}_{path}", curve, layer, seed) | {f"{name}_{path}_layer": float(layer)}
            places[path, name] = layer
        if not control:
            found |= estimate(f"keeps_{path}", wide(table, "kept", **here)[places[path, "peak"]] if len(curve) else [], seed)

    def at(path, kind="peak"):
        return places[path, kind]

    def contrast(name, more, less):
        return chosen(f"contrast_{name}", differences(curves[more], curves[less]), (at(more), at(less)), seed, above=MARGINAL)

    found |= contrast("relay_vision", "vision_text_vision", "vision_last_vision")
    found |= contrast("relay_control_vision", "vision_text_vision", "vision_text_vision_control")
    found |= contrast("anchor_text", "context_instruction_text", "context_last_text")
    found |= contrast("anchor_vision", "vision_instruction_vision", "vision_last_vision")
    found |= contrast("context_vision", "vision_instruction_vision", "vision_context_vision")
    for d, own in OWN.items():
        found |= contrast(f"textlast_{d}", f"text_last_{d}", f"text_last_{d}_control")
        found |= contrast(f"control_{d}", f"{own}_instruction_{d}", f"{own}_instruction_{d}_control")
        direct = f"{own}_last_{d}"
        found |= chosen(f"size_direct_{d}", curves[direct], at(direct), seed, below=MARGINAL)
    lowest, control = "vision_text_text", "vision_text_text_control"
    found |= chosen("size_compensation_text", curves[lowest], at(lowest, "trough"), seed, below=-MARGINAL)
    pair = at(lowest, "trough"), at(control, "trough")
    found |= chosen("contrast_compensation_text", differences(curves[lowest], curves[control]), pair, seed, below=-MARGINAL)
    return found | paper_curves.numbers(paper_curves.compare(table, seed))


def beliefs(beliefs, paths, seed=0, critical=None):
    """Numbers of Section 3.2 (Figs. 5a and 5b): alignment, synchronisation, and following with a path closed.

    Parameters
    ----------
    beliefs, paths : DataFrame
        The tables of Figs. 5a and 5b.
    critical : iterable of int, optional
        Layers of the synchronisation; the paper's 20 to 25 of 28, scaled, unless given.
    """
    layers = int(beliefs["layer"].max()) + 1
    part = depth(layers) | ({"critical": critical} if critical is not None else {})
    found = counts(beliefs) | {"layers": float(layers)}
    table = beliefs.assign(margin=beliefs["phi_f"] - beliefs["phi_c"])
    for d in DIRECTIONS:
        highest = {}
        for kind, suffix in (("own", ""), ("shuffled", "_shuffled")):
            aligned = (wide(table, "margin", following=d, positions="instruction", dictionary=kind) > 0).astype(float)
            best = extreme(aligned.drop(columns=-1))
            pieces = {name: aligned[list(chosen)].mean(axis=1) for name, chosen in part.items()}
            pieces |= {"final": aligned[layers - 1], "rise": pieces["deep"] - pieces["shallow"]}
            rules = {} if suffix else {"shallow": {"within": (0.35, 0.65)}, "rise": {"above": 0.0}}
            for name, values in pieces.items():
                found |= estimate(f"ldar_{name}_{d}{suffix}", values, seed, **rules.get(name, {}))
            found |= chosen(f"ldar_max_{d}{suffix}", aligned.drop(columns=-1), best, seed, **({} if suffix else {"above": 0.95}))
            found[f"ldar_max_{d}{suffix}_layer"], highest[kind] = float(best), aligned.drop(columns=-1)
            if kind == "own":
                found |= _transition(aligned, d) | _synchronisation(table, aligned, list(part["critical"]), d, seed)
        pair = tuple(extreme(highest[kind]) for kind in ("own", "shuffled"))
        found |= chosen(f"over_ldar_max_{d}", differences(highest["own"], highest["shuffled"]), pair, seed)
        found |= _closed_paths(paths[paths["following"] == d], d, seed)
    return found


def _transition(aligned, d):
    if not len(aligned):
        return {f"ldar_transition_{d}": "not measured"}
    decided = aligned.mean() >= 0.9
    lasting = decided[::-1].cummin()[::-1]
    return {f"ldar_transition_{d}": f"layer {lasting.idxmax()}" if lasting.any() else "never"}


def _synchronisation(table, aligned, critical, d, seed):
    own = {"following": d, "dictionary": "own"}
    signs = {where: np.sign(wide(table, "margin", positions=where, **own)) for where in ("instruction", "last")}
    same = (signs["instruction"] == signs["last"]).astype(float)[critical]
    more = beyond_chance(signs["instruction"][critical].to_numpy(), signs["last"][critical].to_numpy())
    weak = [layer for layer in critical if aligned[layer].mean() < 0.7]
    said = f"{same[weak].to_numpy().mean():.2f} in {len(weak)} layers" if weak else "no such layer" if len(aligned) else "not measured"
    return estimate(f"sync_critical_{d}", same.mean(axis=1), seed, above=0.9) | estimate(f"over_sync_{d}", more, seed) | {f"sync_weak_{d}": said}


def _closed_paths(rows, d, seed):
    found, follows = {}, {}
    for name, blocked in (("none", "none"), ("instruction_last", "instruction→last"), ("modality_last", f"{OWN[d]}→last"),
                          ("random_last", "random→last")):
        here = rows[rows["blocked"] == blocked]
        for outcome, word in (("follow", "follow"), ("competitor", "compete"), ("other", "other")):
            values = here.assign(said=(here["outcome"] == outcome).astype(float)).groupby(per_sample(here))["said"].mean()
            found |= estimate(f"{word}_{name}_{d}", values, seed)
            follows[word, name] = values
    kept = {name: values for (word, name), values in follows.items() if word == "follow"}
    found |= estimate(f"contrast_collapse_{d}", kept["modality_last"] - kept["instruction_last"], seed, above=0.0)
    found |= estimate(f"contrast_random_{d}", kept["random_last"] - kept["instruction_last"], seed, above=0.0)
    return found | estimate(f"contrast_spared_{d}", kept["none"] - kept["modality_last"], seed, below=0.1)


def components(table, seed=0):
    """Numbers of Section 4.1 (Figs. 6 and 7): signals, and the increments summed over thirds of the layers.

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
            found |= chosen(f"attention_top_{d}{suffix}", attention, best, seed) | {f"attention_top_{d}{suffix}_layer": float(best)}
            for name in () if suffix else SHALLOW:
                found |= ratio(f"share_{name}_shallow_{d}", kinds[kind][f"{name}_shallow"], kinds[kind][f"{name}_deep"], seed)
        for name, rule in OVER_CONTROL.items():
            found |= estimate(f"over_{name}_{d}", paired(kinds["own"][name], kinds["shuffled"][name]), seed, **rule)
    return found


def _component_values(table, layers, **levels):
    """Per-sample values of everything that Section 4.1 quotes at some levels, and what each layer's attention adds to the margin."""
    part = {name: list(chosen) for name, chosen in depth(layers).items()}
    increments = ("attention_signal", "mlp_signal", "attention_margin", "mlp_margin")
    curve = {name: wide(table, name, **levels) for name in ("signal_f", "signal_c", *increments)}
    curve["gap"] = curve["signal_f"] - curve["signal_c"]
    mean = {(name, where): curve[name][part[where]].mean(axis=1) for name in ("signal_f", "signal_c", "gap") for where in ("shallow", "deep")}
    values = {"gap_shallow": mean["gap", "shallow"], "gap_deep": mean["gap", "deep"], "divergence": mean["gap", "deep"] - mean["gap", "shallow"]}
    values |= {f"signal_rise_{m}": mean[f"signal_{m}", "deep"] - mean[f"signal_{m}", "shallow"] for m in "fc"}
    values |= {f"{name}_{where}": curve[name][part[where]].sum(axis=1) for name in increments for where in ("shallow", "deep")}
    values["mlp_signal"] = curve["mlp_signal"].sum(axis=1)
    values["arbiter"] = values["attention_margin_deep"] - values["attention_margin_shallow"]
    return values, curve["attention_margin"]


def _fifths(values):
    """What is called close to zero in shallow layers: less than a fifth of what the deep layers show."""
    limits = {name: 0.2 * abs(float(values[f"{name}_deep"].mean())) for name in SHALLOW}
    return {f"{name}_shallow": {"within": (-limit, limit)} for name, limit in limits.items()}
