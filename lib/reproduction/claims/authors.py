"""The layer-wise NSSD curves that the authors published for their reviewers."""

import json
from dataclasses import dataclass
from functools import cache

from arbitration.files import folders
from arbitration.files.shipped import read_shipped

MAIN = "qwen2.5-vl-7b"
SAMPLES = 842  # behind its curves
#: The authors' model that is nearest to ours; it is their main one otherwise.
NEAREST = {"internvl3": "internvl3-14b"}
SAME = ("qwen2.5-vl",)  # our names of models of which the authors published curves
# nats: a curve that stays below is mostly rounding (four decimals), and has no shape to agree with
FLAT = 0.005


@dataclass(frozen=True)
class Curve:
    """One published curve.

    Attributes
    ----------
    figure, paper_figure : str
        The authors' file, and the paper's figure of that kind (None where there is none).
    share : float
        Of the authors' `SAMPLES`. The sets of 20, 40, … % lie in each other, so their spread is
        no sampling interval.
    model, following, pathway : str
        Pathways are named as by `Pathway`.
    nssd : tuple of float
        By layer, in nats, positive where the path helped (Eq. 7).
    """

    figure: str
    paper_figure: str | None
    share: float
    model: str
    following: str
    pathway: str
    nssd: tuple[float, ...]


@cache
def published_curves() -> tuple[Curve, ...]:
    """Every published curve, the sign turned to that of Eq. 7."""
    text = read_shipped(folders.DATA / "authors_curves.json")
    curves = []
    for record in json.loads(text)["curves"]:
        plotted = record.pop("nssd_as_plotted")
        curves.append(Curve(**record, nssd=tuple(0.0 - value for value in plotted)))
    return tuple(curves)


def published(model: str = MAIN, share: float = 1.0) -> dict[tuple[str, str], Curve]:
    """One model's curves of Figs. 3 and 4, by (following, pathway); a path that both figures show
    is that of Fig. 3.
    """
    found = {}
    for curve in published_curves():
        if (curve.model, curve.share) == (model, share) and curve.paper_figure:
            found.setdefault((curve.following, curve.pathway), curve)
    return found


def nearest(model: str) -> tuple[str, bool]:
    """The authors' model whose curves are laid over those of `model`, and whether it is the same
    model.
    """
    return NEAREST.get(model, MAIN), model in SAME
