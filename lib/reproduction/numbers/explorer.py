"""What the page *Explorer* shows of one model: its tables as plain lists of rounded numbers.

Means, bands and intervals are made as the figures make them, from the same rows, with the same
seed; a page in a browser only draws them. Whatever table a model lacks gives an empty list.
"""

from collections.abc import Iterator, Mapping, Sequence
from itertools import product

import numpy as np
import pandas as pd

from arbitration.equations.heads import ranking, share_count
from arbitration.uncertainty import share, simultaneous
from reproduction.measures.beliefs import OWN, SHUFFLED
from reproduction.measures.paths import lead_lost
from reproduction.measures.tokens import SHOWN
from reproduction.numbers.estimates import DIRECTIONS, clusters, count_groups, wide

#: Decimals of what is averaged over samples, and of single samples.
FINE, COARSE = 4, 3
#: Columns that a list of the page needs, by table; a table without them counts as none.
NEEDED = {
    "knockout": "sample following pathway control layer width nssd logp_p logp_p_blocked",
    "knockout_controls": "sample following pathway control layer width nssd logp_p logp_p_blocked",
    "windows": "sample following pathway control layer width nssd logp_p logp_p_blocked",
    "heads": "sample following layer head margin",
    "head_scores": "sample following layer head sensitivity_instruction",
    "head_effects": "sample following positions layer head effect turned",
    "blocking": "sample following positions heads draw share outcome",
    "amplification": "sample following positions heads draw factor outcome source",
    "head_blocking": "sample following positions heads ranked_on draw share outcome",
    "head_amplification": "sample following positions heads ranked_on draw factor outcome source",
    "beliefs": "sample following layer positions dictionary phi_f phi_c",
    "token_signals": "sample following layer position token phi_f phi_c",
    "answers": "sample following answer outcome",
    "paths": "sample following place layers blocked answer outcome",
}
#: The sets of heads of each ranking: its own first, then its controls.
SETS = {
    "eq12": ("target", "shared", "matched", "random"),
    "sensitivity": ("sensitivity", "sensitivity matched", "random"),
}


def find_rows(tables: Mapping[str, pd.DataFrame], name: str) -> pd.DataFrame:
    """A table by its name; one without rows if it is missing, or lacks a column of `NEEDED`."""
    columns = NEEDED[name].split()
    table = tables.get(name)
    known = table is not None and set(columns) <= set(table.columns)
    return table if known else pd.DataFrame(columns=columns)


def to_list(values, decimals: int) -> list:
    """Rounded numbers as JSON can hold them: None for what is not finite, and no minus before
    zero.

    Examples
    --------
    >>> to_list([0.12345, float("nan"), -0.00001], 3)
    [0.123, None, 0.0]
    """
    rounded = np.round(np.asarray(values, dtype=float), decimals) + 0.0
    return [float(one) if np.isfinite(one) else None for one in np.ravel(rounded)]


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
        For each width, direction, pathway and control: layers; nssd and lead, each as `tell_band`
        has it, in nats; n and clusters. A width that several tables have is taken from the first
        of knockout and windows.
    """
    swept = [find_rows(tables, "knockout"), find_rows(tables, "knockout_controls")]
    known = set(swept[0]["width"])
    windows = find_rows(tables, "windows")
    swept.append(windows[~windows["width"].isin(known)])
    keys = ["width", "following", "pathway", "control"]
    curves = []
    for rows in filter(len, swept):
        rows = rows.assign(lead=lead_lost(rows))
        for key, some in rows.groupby(keys, sort=False, observed=True):
            nssd, lead = wide(some, "nssd"), wide(some, "lead")
            width, following, pathway, control = key
            named = {"width": int(width), "following": following, "pathway": pathway}
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
        ("sensitivity", "amplification"): _join_sources(tables),
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


def _join_sources(tables: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """The tables head_amplification_…, one for each source of failures, as one."""
    start = "head_amplification_"
    parts = [
        table.assign(source=name.removeprefix(start).replace("_", " "))
        for name, table in tables.items()
        if name.startswith(start)
    ]
    joined = {"head_amplification": pd.concat(parts, ignore_index=True)} if parts else {}
    return find_rows(joined, "head_amplification")


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


def find_turn(followed: Sequence[float], competitor: Sequence[float], first: int) -> int | None:
    """The layer from which on the followed answer's signal exceeds its competitor's for good; None
    if it does not at the end.

    Parameters
    ----------
    followed, competitor : sequence of float
        By layer.
    first : int
        The first layer, −1 for the embedding.

    Examples
    --------
    >>> find_turn([1, 3, 1, 4, 5], [2, 2, 2, 2, 2], -1)
    2
    >>> find_turn([3, 1], [2, 2], -1) is None
    True
    """
    ahead = np.asarray(followed, float) > np.asarray(competitor, float)
    if not len(ahead) or not ahead[-1]:
        return None
    behind = np.flatnonzero(~ahead)
    return first + (int(behind[-1]) + 1 if len(behind) else 0)


def list_samples(
    tables: Mapping[str, pd.DataFrame], words: Mapping[str, dict], limit: int = SHOWN
) -> list[dict]:
    """The first prompts of each direction, one by one.

    Parameters
    ----------
    words : mapping of str to dict
        For a sample's name what there is of its picture and its words; passed on as it is.
    limit : int
        Prompts of each direction.

    Returns
    -------
    list of dict
        sample, following; answer and outcome; words; lead (ln P(y_p) − ln P(y_c), nats, with all
        paths open); paths, for each pathway and control nssd and lead (lost) by layer; beliefs, for
        each position f and c (Φ_f and Φ_c in logits, from layer −1), turn (`find_turn`), and
        turn_shuffled, the same of another sample's answers; closed, the answers of Fig. 5b; tokens,
        those of the instruction with Φ_f and Φ_c in every layer. Keys of what was not measured are
        missing.
    """
    swept = [find_rows(tables, name) for name in ("knockout", "knockout_controls")]
    beliefs, signals = find_rows(tables, "beliefs"), find_rows(tables, "token_signals")
    closed = find_rows(tables, "paths")
    answers = pd.concat([find_rows(tables, "answers"), closed[closed["blocked"] == "none"]])
    answers = answers.drop_duplicates(["sample", "following"])
    said = answers.set_index(["sample", "following"])[["answer", "outcome"]]
    first = next(filter(len, (swept[0], beliefs)), swept[0])
    found = []
    for following in DIRECTIONS:
        names = first.loc[first["following"] == following, "sample"].unique()[:limit]
        for name in names:
            one = {"sample": str(name), "following": following}
            if (name, following) in said.index:
                one |= said.loc[(name, following)].astype(str).to_dict()
            one |= {"words": words[name]} if name in words else {}
            one |= _tell_paths([_of(rows, name, following) for rows in swept])
            one |= _tell_beliefs(_of(beliefs, name, following))
            one |= _tell_closed(_of(closed, name, following))
            one |= _tell_tokens(_of(signals, name, following))
            found.append(one)
    return found


def _of(rows: pd.DataFrame, sample: str, following: str) -> pd.DataFrame:
    return rows[(rows["sample"] == sample) & (rows["following"] == following)]


def _tell_paths(swept: Sequence[pd.DataFrame]) -> dict:
    """What each closed path does to one prompt, and the lead that it starts from."""
    if not len(swept[0]):
        return {}
    start = swept[0].iloc[0]
    paths = []
    for rows in filter(len, swept):
        rows = rows.assign(lead=lead_lost(rows)).sort_values("layer")
        for (pathway, control), some in rows.groupby(["pathway", "control"], sort=False):
            named = {"pathway": pathway, "control": bool(control)}
            values = {key: to_list(some[key], COARSE) for key in ("nssd", "lead")}
            paths.append(named | {"layers": some["layer"].astype(int).tolist()} | values)
    [lead] = to_list([start["logp_p"] - start["logp_c"]], COARSE)
    return {"lead": lead, "paths": paths}


def _tell_beliefs(rows: pd.DataFrame) -> dict:
    """Φ of both answers by layer of one prompt, and where it turns."""
    beliefs = {}
    for positions, some in rows.groupby("positions", sort=False):
        found = {}
        for source, own in some.sort_values("layer").groupby("dictionary"):
            turn = find_turn(own["phi_f"], own["phi_c"], int(own["layer"].min()))
            if source == OWN:
                found["layers"] = own["layer"].astype(int).tolist()
                found |= {key: to_list(own[f"phi_{key}"], COARSE) for key in "fc"}
                found["turn"] = turn
            elif source == SHUFFLED:
                found["turn_shuffled"] = turn
        beliefs[positions] = found
    return {"beliefs": beliefs} if beliefs else {}


def _tell_closed(rows: pd.DataFrame) -> dict:
    """What is answered with a path into the answer closed, once for each place."""
    columns = ["place", "layers", "blocked", "answer", "outcome"]
    return {"closed": rows[columns].astype(str).to_dict("records")} if len(rows) else {}


def _tell_tokens(rows: pd.DataFrame) -> dict:
    """The instruction's tokens of one prompt, each with Φ of both answers by layer."""
    tokens = []
    for _, own in rows.sort_values("layer").groupby("position"):
        signals = {key: to_list(own[f"phi_{key}"], 2) for key in "fc"}
        tokens.append({"token": str(own["token"].iloc[0]), **signals})
    layers = sorted(int(one) for one in rows["layer"].unique())
    return {"tokens": tokens, "token_layers": layers} if tokens else {}


def tell_words(tables: Mapping[str, pd.DataFrame]) -> dict[str, dict]:
    """The words of each sample, from the table texts (`dataset.measure_texts`).

    Returns
    -------
    dict of str to dict
        question, context, and instruction and answer of each modality: instruction_vision, ….
    """
    table = tables.get("texts")
    if table is None or not {"sample", "part", "text"} <= set(table.columns):
        return {}
    found = {}
    for name, rows in table.groupby("sample", sort=False):
        texts = {part: some["text"].tolist() for part, some in rows.groupby("part")}
        if [len(texts.get(one, ())) for one in ("instruction", "answer")] != [2, 2]:
            continue
        words = {one: texts[one][0] for one in ("question", "context") if one in texts}
        for part in ("instruction", "answer"):
            words |= dict(zip((f"{part}_vision", f"{part}_text"), texts[part]))
        found[str(name)] = words
    return found


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
