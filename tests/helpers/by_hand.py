"""Every number of the claims page, by either rule, once more: from a run's tables, by plain pandas
and without the library.

The library's summaries are many small functions that share their selections; a slip in one would
show in a notebook, on its page and in the claim alike. Here each number is written down a second
time, from what the claim's line says. Where no sample has what a number needs, it is NaN; a
difference is that of the samples that have both.
"""

from pathlib import Path

import numpy as np
import pandas as pd

SHALLOW, DEEP, CRITICAL, ALL = (
    range(10),
    range(20, 30),
    range(21, 27),
    range(30),
)  # of the embedded models' 30 layers
TOP, PER_LAYER = 13, 9  # 5 % of 270 heads


def numbers(folder: Path) -> dict[str, float]:
    """Key → number, for one model's folder of published runs."""
    tables = {
        path.stem: pd.read_parquet(path) for path in (Path(folder) / "tables").glob("*.parquet")
    }
    return (
        knockouts(tables)
        | windows(tables["windows"])
        | beliefs(tables)
        | components(tables["components"])
        | heads(tables)
    )


def curve(table, following, pathway, control=False, value="nssd"):
    rows = table[
        (table["following"] == following)
        & (table["pathway"] == pathway)
        & (table["control"] == control)
    ]
    return rows.pivot_table(index="sample", columns="layer", values=value)


def peak(table, following, pathway, value="nssd"):
    return curve(table, following, pathway, value=value).mean().max()


def over_control(table, following, pathway, extreme="max", value="nssd"):
    """A path at the layer of its extreme minus random sources at theirs, on the samples that have
    such a control.
    """
    own, random = (curve(table, following, pathway, control, value) for control in (False, True))
    if random.empty:
        return np.nan
    own, random = (
        values.loc[random.index, getattr(values.mean(), f"idx{extreme}")()]
        for values in (own, random)
    )
    return own.mean() - random.mean()


def knockouts(tables):
    table = pd.concat([tables["knockout"], tables["knockout_controls"]])
    table["lead"] = table["logp_p"] + table["logp_c_blocked"]
    table["lead"] -= table["logp_c"] + table["logp_p_blocked"]
    return (
        contrast_paths(table, "nssd", "contrast_")
        | contrast_paths(table, "lead", "contrast_lead_")
        | extremes(table, "nssd", "peak_", "trough_")
        | extremes(table, "lead", "lead_", "lead_trough_")
        | {"size_direct_vision": peak(table, "vision", "vision→last")}
    )


def contrast_paths(table, value, prefix):
    def more(way, one, other):
        return peak(table, way, one, value) - peak(table, way, other, value)

    def over(way, path, extreme="max"):
        return over_control(table, way, path, extreme, value)

    found = {
        "relay_vision": more("vision", "vision→text", "vision→last"),
        "relay_control_vision": over("vision", "vision→text"),
        "compensation_text": over("text", "vision→text", "min"),
        "anchor_text": more("text", "context→instruction", "context→last"),
        "control_text": over("text", "context→instruction"),
        "anchor_vision": more("vision", "vision→instruction", "vision→last"),
        "context_vision": more("vision", "vision→instruction", "vision→context"),
        "control_vision": over("vision", "vision→instruction"),
        "textlast_text": over("text", "text→last"),
        "textlast_vision": over("vision", "text→last"),
    }
    return {prefix + name: number for name, number in found.items()}


def extremes(table, value, highest, lowest):
    """Both extremes of each path, and the median sample there."""
    found = {}
    for way in ("text", "vision"):
        for path in table["pathway"].unique():
            values = curve(table, way, path, value=value)
            for name, extreme in ((highest, "idxmax"), (lowest, "idxmin")):
                key = f"{name}{path.replace('→', '_')}_{way}"
                layer = None if values.empty else getattr(values.mean(), extreme)()
                own = [] if layer is None else values[layer].to_list()
                found[key] = sum(own) / len(own) if own else np.nan
                found[f"{key}_median"] = np.median(own) if own else np.nan
    return found


def windows(table):
    found = {}
    for width in (1, 5):
        here = table[table["width"] == width]
        found |= {
            f"relay_w{width}": peak(here, "vision", "vision→text")
            - peak(here, "vision", "vision→last"),
            f"direct_w{width}": peak(here, "vision", "vision→last"),
            f"contrast_compensation_w{width}": over_control(here, "text", "vision→text", "min"),
            f"hub_text_w{width}": over_control(here, "text", "text→last"),
            f"hub_vision_w{width}": over_control(here, "vision", "text→last"),
        }
    return found


def follows(rows):
    """Modality following ratio of each sample."""
    return (rows["outcome"] == "follow").groupby(rows["sample"]).mean()


def beliefs(tables):
    found = {}
    for way, own_path in (("text", "context→last"), ("vision", "vision→last")):
        table = tables["beliefs"]
        table = table[table["following"] == way].assign(
            lead=lambda rows: rows["phi_f"] - rows["phi_c"]
        )
        lead = {
            (place, words): table[(table["positions"] == place) & (table["dictionary"] == words)]
            .pivot_table(index="sample", columns="layer", values="lead")
            .reindex(columns=range(-1, 30))
            for place in ("instruction", "last")
            for words in ("own", "shuffled")
        }
        sides = [(lead["instruction", words] > 0).loc[:, ALL] for words in ("own", "shuffled")]
        aligned = sides[0].mean()
        found[f"ldar_shallow_{way}"] = aligned[SHALLOW].mean()
        found[f"ldar_rise_{way}"] = aligned[DEEP].mean() - aligned[SHALLOW].mean()
        both = sides[0].index.intersection(sides[1].index)
        highest = [
            side.loc[both, side.mean().idxmax()].mean() if len(both) else np.nan for side in sides
        ]
        found[f"over_ldar_max_{way}"] = highest[0] - highest[1]
        found[f"ldar_max_{way}"] = aligned.max()

        for place, end in (("scaled", ""), ("own", "_own")):
            closed = tables["paths"]
            closed = closed[(closed["following"] == way) & (closed["place"] == place)]
            none, shut, direct, random = (
                follows(closed[closed["blocked"] == name]).mean()
                for name in ("none", "instruction→last", own_path, "random→last")
            )
            found[f"collapse_{way}{end}"] = shut
            found[f"contrast_random_{way}{end}"] = random - shut
            found[f"contrast_collapse_{way}{end}"] = direct - shut
            found[f"contrast_spared_{way}{end}"] = none - direct

        anchor, last = (
            np.sign(lead[place, "own"][CRITICAL]).to_numpy() for place in ("instruction", "last")
        )
        pairs = np.array(
            [[(one == other).mean() for other in last] for one in anchor]
        )  # each sample's anchors with every sample's last position
        own = np.eye(len(pairs), dtype=bool)
        found[f"sync_critical_{way}"] = pairs[own].mean() if len(pairs) else np.nan
        found[f"over_sync_{way}"] = pairs[own].mean() - pairs[~own].mean() if len(pairs) else np.nan
        few = [aligned[layer] < 0.7 for layer in CRITICAL]
        same = (anchor == last)[:, few]
        found[f"sync_below_{way}"] = same.mean() if same.size else np.nan
    return found


def components(table):
    found = {}
    for way in ("text", "vision"):
        rows = table[table["following"] == way]

        def each(column, words, layers, how, rows=rows):
            here = rows[(rows["dictionary"] == words) & rows["layer"].isin(layers)]
            return here.groupby("sample")[column].agg(how)

        def of(*choice, each=each):
            return each(*choice).mean()

        def over(*column_and_layers, each=each):
            column, layers = column_and_layers
            return (
                each(column, "own", layers, "sum") - each(column, "shuffled", layers, "sum")
            ).mean()

        for side in "fc":
            rise = [
                each(f"signal_{side}", words, DEEP, "mean")
                - each(f"signal_{side}", words, SHALLOW, "mean")
                for words in ("own", "shuffled")
            ]
            found[f"over_signal_rise_{side}_{way}"] = (rise[0] - rise[1]).mean()
        gap = [
            of("signal_f", "own", layers, "mean") - of("signal_c", "own", layers, "mean")
            for layers in (SHALLOW, DEEP)
        ]
        shallow, deep = (of("attention_margin", "own", layers, "sum") for layers in (SHALLOW, DEEP))
        found |= {
            f"over_divergence_{way}": found[f"over_signal_rise_f_{way}"]
            - found[f"over_signal_rise_c_{way}"],
            f"share_gap_shallow_{way}": gap[0] / gap[1],
            f"attention_signal_shallow_{way}": of("attention_signal", "own", SHALLOW, "sum"),
            f"over_attention_signal_shallow_{way}": over("attention_signal", SHALLOW),
            f"share_attention_margin_shallow_{way}": shallow / deep,
            f"arbiter_{way}": deep - shallow,
            f"over_attention_margin_deep_{way}": over("attention_margin", DEEP),
            f"mlp_signal_{way}": of("mlp_signal", "own", ALL, "sum"),
            f"over_mlp_signal_{way}": over("mlp_signal", ALL),
            f"mlp_margin_deep_{way}": of("mlp_margin", "own", DEEP, "sum"),
            f"over_mlp_margin_deep_{way}": over("mlp_margin", DEEP),
        }
    return found


def heads(tables):
    found, order = {}, {}
    for way in ("text", "vision"):
        margins = tables["heads"][tables["heads"]["following"] == way].pivot_table(
            index=["sample", "image"], columns=["layer", "head"], values="margin"
        )
        order[way] = list(margins.mean().sort_values(ascending=False).index)
        ranking, shown = margins.iloc[::2], margins.iloc[1::2].abs()
        top = ranking.mean().sort_values(ascending=False).index[:TOP]
        found[f"concentration_{way}"] = (shown[top].sum(axis=1) / shown.sum(axis=1)).mean()
        found[f"deep_share_{way}"] = np.mean([layer in DEEP for layer, _ in order[way][:TOP]])

        def ratio(table, heads, factor, way=way, **levels):
            rows = table[(table["following"] == way) & (table["heads"] == heads)]
            for name, level in levels.items():
                rows = rows[rows[name] == level]
            return follows(
                rows
                if heads == "original"
                else rows[np.isclose(rows["share"], 0.05) & np.isclose(rows["factor"], factor)]
            )

        def blocked(heads, ratio=ratio):
            return ratio(tables["blocking"], heads, 0.0, positions="instruction").mean()

        def doubled(heads, ratio=ratio):
            return ratio(tables["amplification"], heads, 2.0).mean()

        found |= {
            f"contrast_necessity_{way}": blocked("random") - blocked("target"),
            f"drop_random_{way}": blocked("original") - blocked("random"),
            f"contrast_sufficiency_{way}": doubled("target") - doubled("random"),
            f"amplify_random_{way}": doubled("random"),
            f"contrast_hubs_{way}": doubled("target") - doubled("shared"),
            f"amplify_shared_{way}": doubled("shared"),
        }
        found |= amplified(tables["amplification"], way)

        alone = tables["head_effects"]
        alone = alone[(alone["following"] == way) & (alone["positions"] == "instruction")]
        together = ratio(
            tables["head_blocking"], "eq12", 0.0, positions="instruction", ranked_on="other samples"
        ).reindex(alone["sample"].unique())
        found[f"contrast_several_{way}"] = (1 - together.mean()) - alone.groupby(["layer", "head"])[
            "turned"
        ].mean().max()

        def read(setting, reading, factor, ratio=ratio):
            return ratio(tables["ablations"], reading, factor, setting=setting).mean()

        for key, reading in (("average", "average"), ("k2", "K = 2")):
            found[f"contrast_block_{key}_{way}"] = read("blocking", reading, 0.0) - read(
                "blocking", "default", 0.0
            )
            found[f"contrast_amplify_{key}_{way}"] = read("amplification", "default", 2.0) - read(
                "amplification", reading, 2.0
            )
        found[f"localises_block_average_{way}"] = read("blocking", "random", 0.0) - read(
            "blocking", "average", 0.0
        )
        found[f"localises_amplify_average_{way}"] = read("amplification", "average", 2.0) - read(
            "amplification", "random", 2.0
        )
    for name, size in (("ten", 10), ("top", TOP)):
        text, vision = (set(order[way][:size]) for way in ("text", "vision"))
        if not (text and vision):
            found[f"over_overlap_{name}"] = np.nan
            continue
        chance = sum(
            sum(layer == at for layer, _ in text)
            * sum(layer == at for layer, _ in vision)
            / PER_LAYER
            for at in ALL
        )
        found[f"over_overlap_{name}"] = len(text & vision) - chance
    falls = [
        len(set(order["text"][:size]) & set(order["vision"][:size])) / size for size in (10, TOP)
    ]
    found["overlap_fall"] = falls[0] - falls[1] if all(order.values()) else np.nan
    return found


def amplified(table, way):
    """What natural failures are restored to, and how it grows with the factor for all failures."""
    table = table[table["following"] == way]
    natural = table[(table["source"] == "natural") & np.isclose(table["factor"], 2.0)]
    top, random, matched, shared = (
        follows(natural[natural["heads"] == name]).mean()
        for name in ("target", "random", "matched", "shared")
    )
    found = {
        f"amplify_target_natural_{way}": top,
        f"amplify_random_natural_{way}": random,
        f"contrast_sufficiency_natural_{way}": top - random,
        f"contrast_sufficiency_matched_natural_{way}": top - matched,
        f"contrast_hubs_natural_{way}": top - shared,
        f"failures_natural_{way}": table.loc[table["source"] == "natural", "sample"].nunique(),
    }
    target = table[table["heads"] == "target"]
    factors = sorted(target["factor"].unique())
    restored = [follows(target[target["factor"] == factor]).mean() for factor in factors]
    some = bool(restored) and max(restored) > 0
    found[f"plateau_{way}"] = restored[-1] - max(restored) if some else np.nan
    found[f"rise_{way}"] = restored[-1] - restored[0] if some and len(factors) > 1 else np.nan
    found[f"level_{way}"] = restored[-1] - restored[-2] if some and len(factors) > 1 else np.nan
    return found
