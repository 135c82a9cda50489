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
