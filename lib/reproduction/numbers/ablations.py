"""The numbers of Appendix E (Fig. 14): the same measures with Φ averaged over tokens, or over an
answer's forms; see `estimates`.
"""

from arbitration.equations.heads import FACTOR, SHARE
from reproduction.numbers.counting import counts
from reproduction.numbers.estimates import (
    CHANGE,
    DIRECTIONS,
    RATE,
    depth,
    estimate,
    followed,
    paired,
    wide,
)

KEYS = {"default": "default", "K = 2": "k2", "average": "average"}
NEGLIGIBLE = 0.1  # of the samples: what we call a negligible change of a share


def summarise_ablations(beliefs, interventions, sensitivity, seed=0):
    """Numbers of Appendix E, for each direction d and reading r (default, k2, average).

    Parameters
    ----------
    beliefs : DataFrame
        From `readings.measure_readings`.
    interventions : DataFrame
        From `head_sets.scale_ranked`, both settings.
    sensitivity : DataFrame
        From `sensitivity`: only how many of its lines moved is told.
    seed : int
        Of the bootstrap.

    Returns
    -------
    dict
        ``ldar_deep_<r>_<d>`` and ``ldar_change_<r>_<d>``; ``block_…`` and ``amplify_…``: following
        ratio at 5 % of the heads and factor 2, for each reading, ``random`` and ``original``;
        ``drop_…`` and ``rise_…`` against no intervention; ``localises_…``: by how much a reading's
        heads outdo random ones; ``contrast_…``: by how much those of the default outdo a reading's.
    """
    found = counts(beliefs)
    deep = list(depth(int(beliefs["layer"].max()) + 1)["deep"])
    table = beliefs.assign(margin=beliefs["phi_f"] - beliefs["phi_c"])
    for d in DIRECTIONS:
        values = {
            (key, kind): (wide(table, "margin", following=d, reading=name, dictionary=kind) > 0)[
                deep
            ].mean(axis=1)
            for name, key in KEYS.items()
            for kind in ("own", "shuffled")
        }
        for key in KEYS.values():
            found |= estimate(f"ldar_deep_{key}_{d}", values[key, "own"], seed, RATE) | estimate(
                f"ldar_deep_{key}_{d}_shuffled", values[key, "shuffled"], seed, RATE
            )
            if key != "default":
                found |= estimate(
                    f"ldar_change_{key}_{d}",
                    paired(values[key, "own"], values["default", "own"]),
                    seed,
                    CHANGE,
                    within=(-NEGLIGIBLE, NEGLIGIBLE),
                )
        here = interventions[interventions["following"] == d]
        found |= _blocking(here[here["setting"] == "blocking"], d, seed) | _amplification(
            here[here["setting"] == "amplification"], d, seed
        )
        # In a direction in which no sample follows, a line that was not measured did not stay where
        # it was.
        left_out = ("default",) if found[f"n_{d}"] else ("default", "not measured")
        lines = sensitivity[(sensitivity["following"] == d) & ~sensitivity["change"].isin(left_out)]
        found[f"moved_{d}"] = (
            f"{int(lines['change'].isin(('higher', 'lower')).sum())} of {len(lines)}"
        )
    return found


def _following(rows, **at):
    """Following ratio of each sample for each set of heads, random draws averaged within it."""
    ((column, value),) = at.items()
    kept = rows[(abs(rows[column].astype(float) - value) < 1e-9) | (rows["heads"] == "original")]
    return {name: followed(kept[kept["heads"] == name]) for name in ("original", "random", *KEYS)}


def _blocking(rows, d, seed):
    follows = _following(rows, share=SHARE)
    found = {f"n_blocked_{d}": float(rows["sample"].nunique())} | estimate(
        f"block_original_{d}", follows["original"], seed, RATE
    )
    for name, key in (("random", "random"), *KEYS.items()):
        found |= estimate(f"block_{key}_{d}", follows[name], seed, RATE) | estimate(
            f"drop_{key}_{d}", paired(follows["original"], follows[name]), seed, CHANGE
        )
    for name, key in KEYS.items():
        found |= estimate(
            f"localises_block_{key}_{d}",
            paired(follows["random"], follows[name]),
            seed,
            CHANGE,
            above=0.0,
        )
    more = {key: paired(follows[name], follows["default"]) for name, key in KEYS.items()}
    found |= estimate(
        f"contrast_block_k2_{d}", more["k2"], seed, CHANGE, within=(-NEGLIGIBLE, NEGLIGIBLE)
    )
    return found | estimate(f"contrast_block_average_{d}", more["average"], seed, CHANGE, above=0.0)


def _amplification(rows, d, seed):
    follows = _following(rows, factor=FACTOR)
    found = {
        f"failures_{d}": float(rows["sample"].nunique()),
        f"weakened_{d}": float(rows.loc[rows["mix"] > 0, "sample"].nunique()),
    }
    for name, key in (("random", "random"), *KEYS.items()):
        found |= estimate(f"amplify_{key}_{d}", follows[name], seed, RATE) | estimate(
            f"rise_{key}_{d}", paired(follows[name], follows["original"]), seed, CHANGE
        )
    for name, key in KEYS.items():
        found |= estimate(
            f"localises_amplify_{key}_{d}",
            paired(follows[name], follows["random"]),
            seed,
            CHANGE,
            above=0.0,
        )
    less = {key: paired(follows["default"], follows[name]) for name, key in KEYS.items()}
    found |= estimate(
        f"contrast_amplify_k2_{d}", less["k2"], seed, CHANGE, within=(-NEGLIGIBLE, NEGLIGIBLE)
    )
    return found | estimate(
        f"contrast_amplify_average_{d}", less["average"], seed, CHANGE, above=0.0
    )
