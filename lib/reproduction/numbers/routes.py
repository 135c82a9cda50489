"""The numbers of routes that stand in for each other: what closing them costs alone, in pairs and
together.
"""

import itertools
import math
from collections.abc import Callable, Sequence

import pandas as pd

from arbitration.equations.metrics import interaction
from reproduction.measures.paths import critical_layers
from reproduction.measures.routes import NONE, SIZE, join_names
from reproduction.numbers.counting import counts
from reproduction.numbers.estimates import CHANGE, DIRECTIONS, MEAN, RATE, estimate, wide

#: Following below this is no following any more.
HALF = 0.5
KINDS = {"follows": RATE}  # of the values of `measure_routes`; the others are nats
#: Where routes are closed, and what the page calls it.
PLACES = {
    "all": "all layers",
    "paper": "the paper's layers, scaled",
    "found": "the model's own layers",
}


def place_routes(windows: pd.DataFrame, n_layers: int) -> dict[str, dict[str, list[int]]]:
    """Where the routes are closed in each direction: everywhere, at the paper's place, and where
    the model's own instruction→last costs most lead on other samples.

    Parameters
    ----------
    windows : DataFrame
        From `measure_windows` of the other samples.
    n_layers : int

    Returns
    -------
    dict
        For each direction and each of `PLACES` the first layer and the one behind the last. Where
        no other sample follows, the own place is the paper's.
    """
    paper = critical_layers(n_layers)
    own, found = find_own_layers(windows, n_layers), {}
    for d in DIRECTIONS:
        there = own.get(d, paper)
        ends = {"all": [0, n_layers], "paper": [paper.start, paper.stop]}
        found[d] = ends | {"found": [there.start, there.stop]}
    return found


def find_own_layers(windows: pd.DataFrame, n_layers: int) -> dict[str, range]:
    """The neighbouring layers in which closing a route costs most lead, for each direction that has
    samples; the first place among equals.

    Parameters
    ----------
    windows : DataFrame
        From `measure_windows`.
    n_layers : int
    """
    found = {}
    for d, rows in windows.groupby("following"):
        start = int(rows.groupby("start")["lost"].mean().idxmax())
        found[d] = range(start, min(start + SIZE, n_layers))
    return found


def smallest_set(measure: Callable[..., pd.DataFrame], names: Sequence[str]) -> list[str]:
    """The smallest set of routes whose closing breaks the decision, found greedily: to what is
    closed, the route is added with which least still follow, until it is less than half.

    Parameters
    ----------
    measure : callable
        From ``sets`` of routes to rows of `measure_routes`, in one place and one direction.
    names : sequence of str

    Returns
    -------
    list of str
        All routes where no fewer break it, and where all do not.
    """
    chosen: list[str] = []
    while len(chosen) < len(names):
        sets = [[*chosen, name] for name in names if name not in chosen]
        table = measure(sets=sets)
        scores = table.groupby("routes")[["follows", "lost"]].mean()
        # Of equals the one that costs more lead.
        chosen = min(
            sets,
            key=lambda some: (
                scores["follows"][join_names(some)],
                -scores["lost"][join_names(some)],
            ),
        )
        if scores["follows"][join_names(chosen)] < HALF:
            break
    return chosen


def pairs(names: Sequence[str]) -> list[list[str]]:
    """All pairs of routes.

    Examples
    --------
    >>> pairs(["a", "b", "c"])
    [['a', 'b'], ['a', 'c'], ['b', 'c']]
    """
    return [list(pair) for pair in itertools.combinations(names, 2)]


def interactions(table: pd.DataFrame, names: Sequence[str], value: str) -> dict[str, pd.Series]:
    """By how much each pair does more together than the sum of each alone (`interaction`), sample
    by sample.

    Parameters
    ----------
    table : DataFrame
        Rows of `measure_routes` of one direction, place and control; with nothing closed too.
    value : {"lead", "follows", "nssd"}
        In nats, as a share, and in nats.
    """
    values = wide(table, value, "routes")
    if value == "nssd":
        values = -values  # it is an effect already
    found = {}
    for first, second in pairs(names):
        both = join_names([first, second])
        some = [values.get(name) for name in (NONE, first, second, both)]
        if all(one is not None for one in some):
            found[both] = interaction(*some)
    return found


def slug(routes: str) -> str:
    """The name of a set of routes in a key.

    Examples
    --------
    >>> slug("own→instruction + instruction→last")
    'own_instruction_and_instruction_last'
    """
    return routes.replace("→", "_").replace(" + ", "_and_")


def summarise_routes(table, names, smallest, places, seed=0):
    """Numbers of routes closed alone, in pairs and together.

    Parameters
    ----------
    table : DataFrame
        From `measure_routes`, of the model's routes and of random sources (column control).
    names : sequence of str
        Its routes.
    smallest : dict of str to list of str
        By direction, the set that broke the decision of other samples (`smallest_set`); left out
        where none follows.
    places : dict
        As `place_routes` has them.
    seed : int
        Of the bootstrap.

    Returns
    -------
    dict
        For each direction d, place p of `PLACES` and set of routes s (as `slug`; all of them are
        ``together``): ``follow_<p>_<s>_<d>``, ``lost_…`` (lead, nats) and ``nssd_…``, with
        ``_random`` behind them of as many random sources; for pairs ``more_lead_<p>_<s>_<d>``,
        ``more_follow_…`` and ``more_nssd_…``, the interaction; ``smallest_<d>`` in words,
        ``follow_smallest_<d>`` in all layers, and ``contrast_smallest_<d>``, how many more follow
        with as many random sources closed.
    """
    found = counts(table)
    together = join_names(names)
    for d, place in itertools.product(DIRECTIONS, PLACES):
        first, behind = places[d][place]
        here = table[(table["following"] == d) & (table["place"] == place)]
        found[f"layers_{place}_{d}"] = f"{first}–{behind - 1}" if len(here) else "not measured"
        for control, ending in ((False, ""), (True, "_random")):
            rows = here[here["control"] == control]
            for value, kind in (("follows", "follow"), ("lost", "lost"), ("nssd", "nssd")):
                values = wide(rows, value, "routes")
                for routes in table.loc[table["control"] == control, "routes"].unique():
                    name = "together" if routes == together else slug(routes)
                    own = values.get(routes, [])
                    key, what = f"{kind}_{place}_{name}_{d}{ending}", KINDS.get(value, MEAN)
                    found |= estimate(key, own, seed, what)
        rows = here[~here["control"]]
        for value, kind in (("lead", "lead"), ("follows", "follow"), ("nssd", "nssd")):
            more = interactions(rows, names, value)
            for first, second in pairs(names):
                both = join_names([first, second])
                key = f"more_{kind}_{place}_{slug(both)}_{d}"
                found |= estimate(key, more.get(both, []), seed, above=0.0)
    for d in DIRECTIONS:
        found |= _smallest(
            table[(table["following"] == d) & (table["place"] == "all")], d, smallest
        )
    return found


def _smallest(rows, d, smallest, seed=0):
    broken = join_names(smallest[d]) if d in smallest else "not measured"
    kept = {
        control: wide(rows[rows["control"] == control], "follows", "routes").get(broken, [])
        for control in (False, True)
    }
    found = {
        f"smallest_{d}": broken,
        f"size_smallest_{d}": float(len(smallest[d])) if d in smallest else math.nan,
    }
    found |= estimate(f"follow_smallest_{d}", kept[False], seed, RATE, below=HALF)
    found |= estimate(f"follow_smallest_{d}_random", kept[True], seed, RATE)
    more = kept[True] - kept[False] if len(kept[True]) and len(kept[False]) else []
    return found | estimate(f"contrast_smallest_{d}", more, seed, CHANGE, above=0.0)
