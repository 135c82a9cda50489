"""Controls side by side: the same measures where there is nothing to find.

Each control takes one thing away. A label that the prompt does not carry takes the instruction,
another sample's answers take the evidence, random sources take the path, random weights take the
training.
"""

import numpy as np
import pandas as pd
import torch

from arbitration.dataset.sample import opposite
from arbitration.equations.metrics import nssd
from reproduction.numbers.estimates import DIRECTIONS, RATE, chosen, depth, estimate, extreme, wide

#: Columns that change places when y_p and y_c do, and those that change their sign.
SWAPPED = (
    ("p_p", "p_c"),
    ("logp_p", "logp_c"),
    ("p_p_blocked", "p_c_blocked"),
    ("logp_p_blocked", "logp_c_blocked"),
    ("phi_f", "phi_c"),
    ("signal_f", "signal_c"),
)
TURNED = ("attention_margin", "mlp_margin", "margin")
#: Increments of the followed signal alone: those of the competitor's are not in the tables.
LOST = ("attention_signal", "mlp_signal")
TRAINED, INSTRUCTION, DICTIONARY, SOURCES, WEIGHTS = KINDS = (
    "trained",
    "shuffled instruction",
    "shuffled dictionary",
    "random sources",
    "random weights",
)
#: Where each measure must lie, around what, if there is nothing to find. Random sources do cost
#: something.
EMPTY = (INSTRUCTION, DICTIONARY, WEIGHTS)
LDAR, ATTENTION, MLP, HEAD = (
    "LDAR, deep third",
    "margin by attention, deep third (logits)",
    "margin by MLP, deep third (logits)",
    "strongest head (logits)",
)


def shuffle_labels(table: pd.DataFrame, seed: int = 0) -> pd.DataFrame:
    """The same measurements under a label that the prompt need not carry: half of the prompts of
    each direction, drawn by seed, change it.

    Where the label says the other modality, y_p and y_c change places, so that Eq. 7 turns its
    sign, Eq. 9 compares the other way round, and a margin turns. No pass of the model is needed.
    Means over prompts that carry the same instruction must then be near 0 (LDAR near 0.5): a
    measure that is positive by its making, whatever is followed, would stay so. Means over prompts
    that *bear the same label* need not: closing context→instruction can lower the text's answer
    under either instruction.

    Parameters
    ----------
    table : DataFrame
        One row per sample, following and whatever else: from `knockout_sweep`,
        `beliefs.measure_beliefs`, `components.measure_components` or `head_attribution`.
    seed : int

    Returns
    -------
    DataFrame
        With the column label, "text" or "vision"; following stays the instruction that the prompt
        carries. Increments of the followed signal are left out, for those of its competitor were
        not recorded.
    """
    random = np.random.default_rng(seed)
    turned = set()
    for direction, rows in table.groupby("following"):
        samples = np.sort(rows["sample"].unique())
        turned |= {
            (sample, direction) for sample in random.permutation(samples)[: len(samples) // 2]
        }
    flip = np.array(
        [pair in turned for pair in zip(table["sample"], table["following"])], dtype=bool
    )
    found = table.drop(columns=[name for name in LOST if name in table])
    for one, other in SWAPPED:
        if one in found:
            found[one], found[other] = (
                np.where(flip, table[other], table[one]),
                np.where(flip, table[one], table[other]),
            )
    for name in TURNED:
        if name in found:
            found[name] = np.where(flip, -table[name], table[name])
    if "nssd" in found:
        logs = [
            torch.tensor(found[name].to_numpy(float))
            for name in ("logp_p", "logp_c", "logp_p_blocked", "logp_c_blocked")
        ]
        found["nssd"] = nssd(*logs).numpy()
    return found.assign(label=np.where(flip, found["following"].map(opposite), found["following"]))


def compare_controls(
    paths: dict[str, pd.DataFrame],
    components: dict[str, pd.DataFrame],
    heads: dict[str, pd.DataFrame],
    seed: int = 0,
) -> pd.DataFrame:
    """What each measure gives where there is something to find, and under each control.

    Parameters
    ----------
    paths, components, heads : dict of kind to DataFrame
        For some of `KINDS` a table like those of `knockout_sweep`, of
        `components.measure_components` with one dictionary, and of `head_attribution`.
    seed : int
        Of the bootstrap.

    Returns
    -------
    DataFrame
        One row per following × measure × kind: n, value, value_low, value_high, and expected, what
        there is if there is nothing to find (0, or 0.5 for the LDAR). A path's NSSD is that at the
        layer where its mean is largest in size, the strongest head's margin that of the largest
        mean; their intervals allow for the choice.
    """
    rows = []
    for direction in DIRECTIONS:
        for kind in KINDS:
            for measure, expected, n, found in _measured(
                direction, *(tables.get(kind) for tables in (paths, components, heads)), seed
            ):
                rows.append(
                    {
                        "following": direction,
                        "measure": measure,
                        "kind": kind,
                        "n": n,
                        **found,
                        "expected": expected,
                    }
                )
    table = pd.DataFrame(rows)
    return (
        table.assign(place=pd.factorize(table["measure"])[0])
        .sort_values(["following", "place"], kind="stable", ignore_index=True)
        .drop(columns="place")
    )


def _measured(direction, paths, components, heads, seed):
    if paths is not None:
        for pathway in paths["pathway"].unique():
            yield (
                f"NSSD {pathway} (nats)",
                0.0,
                *_largest(wide(paths, "nssd", following=direction, pathway=pathway), seed),
            )
    if components is not None:
        rows = components[components["following"] == direction]
        aligned = _deep(
            rows.assign(aligned=(rows["signal_f"] > rows["signal_c"]).astype(float)), "aligned"
        ).mean(axis=1)
        yield LDAR, 0.5, len(aligned), estimate("value", aligned, seed, RATE)
        for measure, name in ((ATTENTION, "attention_margin"), (MLP, "mlp_margin")):
            values = _deep(rows, name).sum(axis=1)
            yield measure, 0.0, len(values), estimate("value", values, seed)
    if heads is not None:
        yield (
            HEAD,
            0.0,
            *_largest(wide(heads, "margin", ["layer", "head"], following=direction), seed),
        )


def _deep(rows, name):
    """Values in the last third of the layers; none where nothing was measured."""
    return (
        wide(rows, name)[list(depth(int(rows["layer"].max()) + 1)["deep"])]
        if len(rows)
        else rows[[]]
    )


def _largest(values, seed):
    return len(values), chosen("value", values, extreme(values, np.abs), seed)


def summarise_controls(table: pd.DataFrame) -> dict[str, float | str]:
    """A comparison as named numbers.

    Returns
    -------
    dict
        ``<measure>_<following>_<kind>`` with ``_low``, ``_high`` and ``_n``, measures written
        ``ldar``, ``attention``, ``mlp``, ``head`` and ``nssd_context_instruction``; for each kind
        of `EMPTY`, ``around_<kind>``: of how many lines the interval holds what is there if there
        is nothing to find, of how many that have one.
    """
    words = {LDAR: "ldar", ATTENTION: "attention", MLP: "mlp", HEAD: "head"}
    found = {}
    for row in table.to_dict("records"):
        measure = words.get(row["measure"]) or "nssd_" + row["measure"].split()[1].replace("→", "_")
        name = f"{measure}_{row['following']}_{row['kind'].replace(' ', '_')}"
        found |= {f"{name}{end}": float(row[f"value{end}"]) for end in ("", "_low", "_high")} | {
            f"{name}_n": float(row["n"])
        }
    for kind in EMPTY:
        rows = table[table["kind"] == kind]
        rows = rows[rows["value_low"].notna()]
        around = (rows["value_low"] <= rows["expected"]) & (rows["expected"] <= rows["value_high"])
        found[f"around_{kind.replace(' ', '_')}"] = f"{int(around.sum())} of {len(rows)}"
    return found
