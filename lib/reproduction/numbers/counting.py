"""How many samples, wordings, controls and failures stand behind a number."""

from reproduction.numbers.estimates import DIRECTIONS, followed


def short(name, found, wanted):
    """How many failures were wanted, and how many of them were not found."""
    return {f"wanted_{name}": float(wanted), f"short_{name}": float(max(0, wanted - found))}


def tell_wordings(rows, restoring):
    """How many failures each source gives, the largest first, in how many wordings, and how many of
    them each set of heads restores, in words: where all have one wording, what is restored is the
    reading of one sentence.

    Parameters
    ----------
    rows : DataFrame
        Of failures, with the columns source and wording.
    restoring : mapping of str to DataFrame
        The rows in which a set's output is amplified, by what the set is called; over several draws
        the mean.
    """
    if not len(rows) or not {"source", "wording"} <= set(rows):
        return "not told"
    told, each = [], rows.groupby("source")["sample"].nunique()
    for source, count in each.sort_values(ascending=False, kind="stable").items():
        worded = rows[rows["source"] == source].groupby("wording")["sample"].nunique()
        among = f"{len(worded)} wordings, at most {worded.max()} in one"
        restored = []
        for name, some in restoring.items():
            own = some[some["source"] == source]
            restored.append(f"{name} {followed(own).sum():.3g}")
        said = "one wording" if len(worded) == 1 else among
        told.append(f"{count} {source} in {said} (restored: {', '.join(restored)})")
    return "; ".join(told)


def counts(table):
    """Number of distinct samples of each direction, as ``n_text`` and ``n_vision``, and of the
    wordings in which they are asked, as ``wordings_text`` and ``wordings_vision``.
    """
    found = {}
    for d in DIRECTIONS:
        own = table[table["following"] == d]
        found[f"n_{d}"] = float(own["sample"].nunique())
        known = own["wording"].nunique() if "wording" in own else min(1, len(own))
        found[f"wordings_{d}"] = float(known)
    return found


def least_controls(table):
    """Number of samples with a control in the direction that has fewer of them, among the
    directions that have samples.
    """
    return float(
        table[table["control"]]
        .groupby("following")["sample"]
        .nunique()
        .reindex(table["following"].unique(), fill_value=0)
        .min()
    )
