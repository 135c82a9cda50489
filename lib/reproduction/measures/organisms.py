"""Two ways from the evidence to the answer, in models of which something is known: how much goes
through the instruction, and how much straight to the last token.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, astuple, dataclass, replace
from itertools import groupby, product

import pandas as pd

from arbitration.checks import planted, planted_prompts
from arbitration.dataset.sample import MODALITIES, SOURCE
from arbitration.engine.generation import first_answer
from arbitration.engine.sweep import knockout_tables
from arbitration.equations.heads import Head
from arbitration.equations.knockout import Pathway
from arbitration.equations.sensitivity import gain_gradients
from reproduction.measures.paths import lead_lost

#: The trained models by their dose of the planted one, and what lies between.
DOSES = {
    "smol": 0.0,
    "smol-merge-0.25": 0.25,
    "smol-merge-0.5": 0.5,
    "smol-merge-0.75": 0.75,
    "smol-relay": 1.0,
}
#: Noise on the weights of hand-made models. Their norms see the loud channel alone and hold nothing
#: else in bounds: at about 0.1 the small ones blow up, at 0.01 some of the large ones.
NOISES = (0.0, 0.003, 0.01)
#: A relay and a direct way whose heads arbitrate, and one of either sort that is put otherwise.
PLANTS = tuple(
    plant
    for plant in planted.PLANTS
    if plant.name in ("relay", "relay by an MLP", "direct", "direct by two heads")
)


def sweep_ways(
    subject, prompts: Iterable, width: int, layers: Sequence[int] | None, seed: int, engine="auto"
) -> Iterator[pd.DataFrame]:
    """The instructed modality's paths into the instruction and to the last token, and the first
    with as many random sources, one table a prompt.

    Parameters
    ----------
    width, layers
        Layers per window, and the windows' centres; all layers unless given.
    seed : int
        Of the random sources.

    Yields
    ------
    DataFrame
        As `knockout_tables`, with the columns way ("into", "direct", "random") and lost (of the
        clean lead, nats).
    """
    for following, some in groupby(prompts, key=lambda prompt: prompt.following):
        own = SOURCE[following]
        ways = [Pathway(own, "instruction"), Pathway(own, "last")]
        ways.append(replace(ways[0], control=seed))
        for table in knockout_tables(subject, list(some), ways, width, engine, layers):
            name = table["pathway"].str.endswith("last").map({True: "direct", False: "into"})
            way = name.where(~table["control"], "random")
            yield table.assign(way=way, lost=lead_lost(table))


@dataclass(frozen=True)
class HandMade:
    """A model written by hand, asked in one direction: the unit of `measure_plants`.

    Attributes
    ----------
    organism : str
        Name of one of `PLANTS`.
    size : str
        Of `planted.SIZES`.
    noise : float
        As in `planted.subject`.
    following : str
    """

    organism: str
    size: str
    noise: float
    following: str

    @property
    def id(self) -> str:
        return "-".join(map(str, astuple(self))).replace(" ", "-")


def list_plants(sizes: Iterable[str], noises: Iterable[float]) -> list[HandMade]:
    """Every plant in some sizes, with some noises, in both directions."""
    names = [plant.name for plant in PLANTS]
    return [HandMade(*one) for one in product(names, sizes, noises, MODALITIES)]


def measure_plants(
    subject, plants: Iterable[HandMade], n: int, seed: int
) -> Iterator[pd.DataFrame]:
    """Whether what was written into hand-made models is found again, with noise on their weights.

    Parameters
    ----------
    subject : Subject
        Whose folder the rows go to; it is not asked.
    n : int
        Samples per direction.
    seed : int
        Of noise and random sources.

    Yields
    ------
    DataFrame
        One row: organism, size, noise, following, follows (share of the samples), lost_into,
        lost_direct, lost_random (largest mean loss of lead, nats), path (1 if the costliest path
        and its layer, of five in which plants of that size can be, are the written ones), head (1
        if the head with the largest derivative at the place of arbitration is the one that writes
        the answer there; NaN where an MLP does), n.
    """
    written = {plant.name: plant for plant in PLANTS}
    for one in plants:
        grown = planted.grown(written[one.organism], one.size)
        made = planted.subject(grown, one.size, one.noise, seed)
        some = planted_prompts.samples()[seed % 2 :: 2][:n]
        prompts = [planted_prompts.encode_planted(made, each, one.following) for each in some]
        found = _find_plant(made, grown, prompts, seed)
        yield pd.DataFrame([{**asdict(one), **found, "n": len(prompts)}])


def _find_plant(subject, plant, prompts, seed: int) -> dict[str, float]:
    way = prompts[0].following
    follows = [
        first_answer(subject, prompt)[0].split()[:1] == [prompt.sample.answers(way)[0]]
        for prompt in prompts
    ]
    # The plain way: with noise, float32 norms and sharp attention make rounding large.
    layers = range(0, subject.n_layers, subject.n_layers // planted.LAYERS)
    swept = pd.concat(sweep_ways(subject, prompts, 1, layers, seed, engine="plain"))
    curves = swept.groupby(["way", "layer"])["lost"].mean()
    own = {"instruction": "into", "last": "direct"}[plant.place]
    costliest = curves[["into", "direct"]].idxmax()
    found = {
        "follows": sum(follows) / len(follows),
        "path": float(costliest == (own, plant.fetcher(way).layer)),
        **{f"lost_{name}": curves[name].max() for name in ("into", "direct", "random")},
    }
    scores = gain_gradients(subject, prompts, positions=plant.place).mean(0)
    top = Head(*divmod(int(scores.argmax()), subject.n_heads))
    return found | {"head": float(top == plant.fetcher(way)) if plant.mlp is None else float("nan")}
