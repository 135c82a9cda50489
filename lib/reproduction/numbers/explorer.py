"""What the page *Explorer* shows of one model: its tables as plain lists of rounded numbers.

Means, bands and intervals are made as the figures make them, from the same rows, with the same
seed; a page in a browser only draws them. Whatever table a model lacks gives an empty list.
"""

from collections.abc import Iterator, Mapping, Sequence
from itertools import product

import pandas as pd

from arbitration.equations.heads import ranking, share_count
from arbitration.uncertainty import share, simultaneous
from reproduction.measures.paths import lead_lost
from reproduction.numbers.estimates import DIRECTIONS, clusters, count_groups, wide
from reproduction.numbers.narrow import FINE, find_rows, to_list
from reproduction.numbers.one_sample import list_samples

#: The sets of heads of each ranking: its own first, then its controls.
SETS = {
    "eq12": ("target", "shared", "matched", "random"),
    "sensitivity": ("sensitivity", "sensitivity matched", "random"),
}


def tell_band(values: pd.DataFrame, kind=simultaneous) -> dict:
    """Means of the columns with the band that covers all of them, as the figures draw it.

    Parameters
    ----------
    values : DataFrame, (n_samples, n_points)
        From `estimates.wide`.
    kind : {simultaneous, share}

    Returns
    -------
    dict
        mean, low, high: lists.
    """
    found = kind(values, clusters=clusters(values))
    return dict(zip(("mean", "low", "high"), (to_list(part, FINE) for part in found)))


def count_samples(values: pd.DataFrame) -> dict:
    """Of how many samples, and of how many clusters that are resampled."""
    return {"n": len(values), "clusters": count_groups(values)}


def list_curves(tables: Mapping[str, pd.DataFrame]) -> list[dict]:
    """NSSD (Eq. 7) and the lead lost (`paths.lead_lost`), by layer, with each pathway closed.

    Returns
    -------
    list of dict
        For each width, direction, pathway and control: notebook (whose rows they are); layers; nssd
        and lead, each as `tell_band` has it, in nats; n and clusters. A width that several tables
        have is taken from the first of knockout and windows.
    """
    own, random, windows = (
        find_rows(tables, name) for name in ("knockout", "knockout_controls", "windows")
    )
    others = windows[~windows["width"].isin(set(own["width"]))]
    swept = [("sec3_knockout", own), ("sec3_knockout", random), ("appC_windows", others)]
    keys = ["width", "following", "pathway", "control"]
    curves = []
    for notebook, rows in swept:
        if not len(rows):
            continue
        rows = rows.assign(lead=lead_lost(rows))
        for key, some in rows.groupby(keys, sort=False, observed=True):
            nssd, lead = wide(some, "nssd"), wide(some, "lead")
            width, following, pathway, control = key
            named = {
                "notebook": notebook,
                "width": int(width),
                "following": following,
                "pathway": pathway,
            }
            named |= {"control": bool(control), "layers": [int(one) for one in nssd.columns]}
            bands = {"nssd": tell_band(nssd), "lead": tell_band(lead)}
            curves.append(named | bands | count_samples(nssd))
    return curves


def list_scores(tables: Mapping[str, pd.DataFrame]) -> list[dict]:
    """Both rankings of all heads.

    Eq. 12 is that of the table heads; the sensitivity is that at the instruction tokens, on those
    samples of head_scores on which no head is blocked, so that its top heads are those that
    head_blocking blocks.

    Returns
    -------
    list of dict
        For each ranking (eq12 in logits, sensitivity in nats) and direction: layers, heads (how
        many of each); mean, low, high, layer by layer; order, the places of all heads in these
        lists, strongest first; top, how many of them are the top 5 %; n and clusters.
    """
    sensitivity, tested = find_rows(tables, "head_scores"), find_rows(tables, "head_blocking")
    ranked = sensitivity[~sensitivity["sample"].isin(set(tested["sample"]))]
    sources = {
        "eq12": (find_rows(tables, "heads"), "margin"),
        "sensitivity": (ranked, "sensitivity_instruction"),
    }
    found = []
    for (name, (rows, column)), following in product(sources.items(), DIRECTIONS):
        here = rows[rows["following"] == following]
        if not len(here):
            continue
        values = wide(here, column, ["layer", "head"])
        places = {head: place for place, head in enumerate(values.columns)}
        order = [places[one.layer, one.index] for one in ranking(here, by=column)]
        shape = {"layers": here["layer"].nunique(), "heads": here["head"].nunique()}
        named = {"ranking": name, "following": following, **shape, **tell_band(values)}
        top = {"order": order, "top": share_count(len(order))}
        found.append(named | top | count_samples(values))
    return found


def list_lesions(tables: Mapping[str, pd.DataFrame]) -> list[dict]:
    """What silencing each head alone does.

    Returns
    -------
    list of dict
        For each direction and position: mean, low, high of the lead lost (nats), layer by layer;
        turned, the share of samples in which the competitor leads without the head; n, clusters.
    """
    table, found = find_rows(tables, "head_effects"), []
    for key, rows in table.groupby(["following", "positions"], observed=True):
        values = wide(rows, "effect", ["layer", "head"])
        turned = wide(rows.assign(turned=rows["turned"].astype(float)), "turned", ["layer", "head"])
        named = {"following": key[0], "positions": key[1], **tell_band(values)}
        more = {"turned": to_list(turned.mean(), FINE), **count_samples(values)}
        found.append(named | more)
    return found


def list_scaled(tables: Mapping[str, pd.DataFrame]) -> list[dict]:
    """Modality-following ratio while sets of heads are blocked or amplified.

    Returns
    -------
    list of dict
        For each ranking, setting, source of failures (nothing for blocking), direction, position
        and set of heads ("original" for no change): at (share of the heads, or factor); mean, low,
        high, as in Fig. 9; draws, of random sets; n and clusters.
    """
    sources = {
        ("eq12", "blocking"): find_rows(tables, "blocking"),
        ("eq12", "amplification"): find_rows(tables, "amplification"),
        ("sensitivity", "blocking"): find_rows(tables, "head_blocking"),
        ("sensitivity", "amplification"): find_rows(tables, "head_amplification"),
    }
    found = []
    for (name, setting), rows in sources.items():
        along = "share" if setting == "blocking" else "factor"
        source = rows["source"] if "source" in rows and setting == "amplification" else ""
        rows = rows.assign(source=source)
        if "ranked_on" in rows:
            rows = rows[rows["ranked_on"].isin(["", "other samples"])]
        named = {"ranking": name, "setting": setting}
        found += [named | one for one in _list_sets(rows, along, SETS[name])]
    return found


def _list_sets(rows: pd.DataFrame, along: str, sets: Sequence[str]) -> Iterator[dict]:
    """One entry for each source, direction, position and set of heads."""
    rows = rows.assign(
        followed=(rows["outcome"] == "follow").astype(float), at=rows[along].astype(float)
    )
    groups = rows.groupby(["source", "following", "positions"], observed=True)
    for (source, following, positions), here in groups:
        for name in ("original", *sets):
            some = here[here["heads"] == name]
            if not len(some):
                continue
            values = wide(some, "followed", "at")
            named = {"source": source, "following": following, "positions": positions}
            named |= {"heads": name, "at": [float(one) for one in values.columns]}
            draws = {"draws": int(some["draw"].nunique()), **count_samples(values)}
            yield named | tell_band(values, share) | draws


def tell_sources(tables: Mapping[str, pd.DataFrame]) -> dict[str, dict[str, str]]:
    """Where the rows of each notebook's tables come from: notebook → table → the sentence."""
    ending = "_origins"
    return {
        name.removesuffix(ending): dict(zip(table["table"], table["origin"]))
        for name, table in tables.items()
        if name.endswith(ending) and {"table", "origin"} <= set(table.columns)
    }


def tell_model(tables: Mapping[str, pd.DataFrame], words: Mapping[str, dict]) -> dict:
    """All that the page shows of one model, from its tables by name; `words` as in
    `list_samples`.
    """
    return {
        "curves": list_curves(tables),
        "scores": list_scores(tables),
        "lesions": list_lesions(tables),
        "scaled": list_scaled(tables),
        "samples": list_samples(tables, words),
        "sources": tell_sources(tables),
    }
