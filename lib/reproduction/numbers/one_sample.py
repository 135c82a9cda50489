"""Single samples, as the page *Explorer* shows them: their words, Φ by layer, each path closed."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from reproduction.measures.beliefs import OWN, SHUFFLED
from reproduction.measures.paths import lead_lost
from reproduction.measures.tokens import SHOWN
from reproduction.numbers.estimates import DIRECTIONS
from reproduction.numbers.narrow import COARSE, find_rows, to_list


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
