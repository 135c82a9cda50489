"""Tables of a run in which every effect is known by hand."""

import numpy as np
import pandas as pd
import torch

from arbitration.equations import metrics


def paths(n=4, seed=0):
    """Two pathways in three layers, clean 0.8 : 0.2, with the second pathway closed in layer 1
    blocked 0.5 : 0.5.
    """
    rows = []
    for d in ("text", "vision"):
        for i in range(n):
            for pathway in ("vision→text", "context→instruction"):
                for layer in range(3):
                    p = 0.5 if (pathway, layer) == ("context→instruction", 1) else 0.8
                    rows.append((f"s{i}", d, pathway, layer, *np.log([0.8, 1 - 0.8, p, 1 - p])))
    names = ["logp_p", "logp_c", "logp_p_blocked", "logp_c_blocked"]
    table = pd.DataFrame(rows, columns=["sample", "following", "pathway", "layer", *names]).assign(
        model="toy", control=False, width=3
    )
    logs = [torch.tensor(table[name].to_numpy()) for name in names]
    return table.assign(
        nssd=metrics.nssd(*logs).numpy(),
        **{name.removeprefix("log"): np.exp(table[name]) for name in names},
    )


def components(n=4):
    rows = [
        (f"s{i}", d, layer, 3.0, 1.0, 0.5, 0.25, 2.0, -1.0)
        for d in ("text", "vision")
        for i in range(n)
        for layer in range(3)
    ]
    names = [
        "sample",
        "following",
        "layer",
        "signal_f",
        "signal_c",
        "attention_signal",
        "mlp_signal",
        "attention_margin",
        "mlp_margin",
    ]
    return pd.DataFrame(rows, columns=names).assign(model="toy")


def heads(n=4):
    rows = [
        (f"s{i}", d, layer, head, 4.0 * (layer == 2))
        for d in ("text", "vision")
        for i in range(n)
        for layer in range(3)
        for head in range(2)
    ]
    return pd.DataFrame(rows, columns=["sample", "following", "layer", "head", "margin"]).assign(
        model="toy"
    )


#: Lead with nothing, each route, each pair, and all closed: the second and third stand in for
#: each other.
ROUTE_LEADS = {
    "none": 10.0,
    "own→instruction": 9.0,
    "instruction→last": 8.0,
    "own→last": 8.0,
    "own→instruction + instruction→last": 7.0,
    "own→instruction + own→last": 7.0,
    "instruction→last + own→last": -2.0,
    "own→instruction + instruction→last + own→last": -3.0,
}


def routes(n=4, leads=ROUTE_LEADS):
    """Three routes, the second and third of which stand in for each other, in three places; every
    sample alike. Random sources, in all layers, cost nothing, and one nat in pairs.
    """
    rows = []
    for d in ("text", "vision"):
        for place in ("all", "paper", "found"):
            for sample in range(n):
                for name, lead in leads.items():
                    size = 0 if name == "none" else name.count("+") + 1
                    own = ("toy", f"s{sample}", d, place, name, size)
                    rows.append((*own, False, lead, 10.0 - lead, float(lead > 0)))
                    if place == "all" and size:
                        lost = 1.0 * (size == 2)
                        rows.append((*own, True, 10.0 - lost, lost, 1.0))
    names = "model sample following place routes size control lead lost follows".split()
    table = pd.DataFrame(rows, columns=names)
    return table.assign(nssd=table["lost"] / 10)
