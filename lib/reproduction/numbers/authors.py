"""How a run's curves agree with those that the authors published."""

import math

import numpy as np
import pandas as pd

from arbitration.uncertainty import resamples
from reproduction.claims.authors import FLAT, MAIN, nearest, published, published_curves
from reproduction.numbers.estimates import clusters, wide

MEASURES = ("extreme", "correlation", "shift", "ratio")


def depths(layers: int) -> np.ndarray:
    """Relative depths of the layers of a model, shape (layers,): 0 is its input, 1 its output."""
    return (np.arange(layers) + 0.5) / layers


def likeness(means, theirs) -> dict[str, np.ndarray]:
    """How curves agree with one of the authors'.

    Parameters
    ----------
    means : array_like, (n_curves, n_layers)
        NSSD of one pathway by layer, in nats, as Eq. 7 signs it.
    theirs : array_like, (n_layers of their model,)
        The same of the authors.

    Returns
    -------
    dict of ndarray, (n_curves,)
        ``extreme``: the value farthest from zero, in nats. ``correlation``: Pearson's, over layers,
        theirs interpolated at our depths. ``shift``: relative depth of our extreme minus that of
        theirs. ``ratio``: our extreme divided by theirs. The last three are NaN where the authors'
        curve is flat (`FLAT`); a correlation also where ours is constant.
    """
    means, theirs = np.asarray(means, float), np.asarray(theirs, float)
    ours_at, theirs_at = depths(means.shape[1]), depths(len(theirs))
    at, their_at = np.abs(means).argmax(axis=1), np.abs(theirs).argmax()
    extreme = means[np.arange(len(means)), at]
    if abs(theirs[their_at]) < FLAT:
        return {"extreme": extreme} | {name: np.full(len(means), np.nan) for name in MEASURES[1:]}
    ours = means - means.mean(axis=1, keepdims=True)
    reference = np.interp(ours_at, theirs_at, theirs)
    reference = reference - reference.mean()
    length = np.linalg.norm(ours, axis=1) * np.linalg.norm(reference)
    correlation = np.divide(
        ours @ reference, length, out=np.full(len(means), np.nan), where=length > 1e-12
    )
    return {
        "extreme": extreme,
        "correlation": correlation,
        "shift": ours_at[at] - theirs_at[their_at],
        "ratio": extreme / theirs[their_at],
    }


def compare_curve(values, theirs, seed: int = 0, draws: int = 2000) -> dict[str, float]:
    """`likeness` of a run's mean curve, with percentile bootstrap 95 % intervals over our samples.

    The extreme is looked for anew in every resample, so that its interval knows that a layer was
    chosen. The authors' curve is taken as it is.

    Parameters
    ----------
    values : array_like, (n_samples, n_layers)
        NSSD of one pathway, in nats. A DataFrame whose index has a level image is resampled by it.
    theirs : array_like, (n_layers of their model,)
    seed, draws : int

    Returns
    -------
    dict
        For each of `likeness`'s names also ``…_low`` and ``…_high``; plain floats, NaN without
        samples.
    """
    if not len(values):
        return {f"{name}{end}": math.nan for name in MEASURES for end in ("", "_low", "_high")}
    counts = resamples(len(values), seed, draws, clusters(values))
    values = np.asarray(values, float)
    run, resampled = (
        likeness(values.mean(axis=0)[None], theirs),
        likeness(counts @ values / counts.sum(axis=1, keepdims=True), theirs),
    )
    found = {}
    for name in MEASURES:
        low, high = np.quantile(resampled[name], [0.025, 0.975])
        found |= {name: float(run[name][0]), f"{name}_low": float(low), f"{name}_high": float(high)}
    return found


def compare_curves(table: pd.DataFrame, seed: int = 0) -> pd.DataFrame:
    """A run's curves beside the authors', pathway by pathway.

    Parameters
    ----------
    table : DataFrame
        From `knockout_sweep`: one row per sample, following, pathway, control and layer; nssd in
        nats.
    seed : int
        Of the bootstrap.

    Returns
    -------
    DataFrame
        One row per following × pathway of the authors' Figs. 3 and 4: figure, following, pathway,
        n, theirs (their model), their_extreme (nats), their_layer, and the numbers of `likeness`.
        Pathways that the run did not sweep are left out.
    """
    theirs, _ = nearest(table["model"].iloc[0])
    rows, swept = [], set(table.loc[~table["control"], "pathway"])
    for (following, pathway), curve in published(theirs).items():
        if pathway not in swept:
            continue
        values = wide(table, "nssd", following=following, pathway=pathway, control=False)
        at = int(np.abs(curve.nssd).argmax())
        rows.append(
            {
                "figure": curve.paper_figure,
                "following": following,
                "pathway": pathway,
                "n": len(values),
                "theirs": theirs,
                "their_extreme": curve.nssd[at],
                "their_layer": at,
            }
            | compare_curve(values, curve.nssd, seed)
        )
    return pd.DataFrame(rows)


def list_published(model: str = MAIN) -> pd.DataFrame:
    """A model's curves as the authors published them, one row per following, pathway and layer;
    nssd in nats, as Eq. 7 signs it.
    """
    rows = [
        {"following": following, "pathway": pathway, "layer": layer, "nssd": nssd}
        for (following, pathway), curve in published(model).items()
        for layer, nssd in enumerate(curve.nssd)
    ]
    return pd.DataFrame(rows)


def among_authors() -> pd.DataFrame:
    """What agreement the authors' own runs have with their main one, as a yardstick.

    Returns
    -------
    DataFrame
        One row per following × pathway × run: run (``"20 %"`` … of the samples of the main model,
        or another model), and the numbers of `likeness`. They have no interval, because single
        samples were not published.
    """
    shares = sorted({curve.share for curve in published_curves() if curve.model == MAIN} - {1.0})
    others = sorted({curve.model for curve in published_curves()} - {MAIN})
    runs = {f"{share:.0%}".replace("%", " %"): published(MAIN, share) for share in shares}
    runs |= {model: published(model) for model in others}
    rows = []
    for (following, pathway), whole in published().items():
        for run, found in runs.items():
            if curve := found.get((following, pathway)):
                numbers = {
                    name: float(value[0])
                    for name, value in likeness([curve.nssd], whole.nssd).items()
                }
                rows.append({"following": following, "pathway": pathway, "run": run} | numbers)
    return pd.DataFrame(rows)


def summarise_authors(comparison: pd.DataFrame) -> dict[str, float]:
    """A comparison as named numbers: ``authors_<measure>_<source>_<target>_<following>`` with
    ``_low`` and ``_high``.
    """
    found = {}
    for row in comparison.to_dict("records"):
        path = row["pathway"].replace("→", "_") + f"_{row['following']}"
        found |= {
            f"authors_{name}_{path}{end}": row[name + end]
            for name in MEASURES
            for end in ("", "_low", "_high")
        }
    return found
