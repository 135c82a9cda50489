"""Routes to the answer that may stand in for each other: closed alone, in pairs and together."""

from collections.abc import Container, Mapping, Sequence

import pandas as pd
from torch import Tensor

from arbitration.dataset.sample import SOURCE
from arbitration.engine import generation, resume
from arbitration.engine.plain import blocked_plain, decision, next_token_logits
from arbitration.equations import metrics
from arbitration.equations.knockout import Pathway
from arbitration.models.prompt import identity
from reproduction.measures.answers import outcome_of

#: Source and target of each route; ``own`` is the modality that is instructed.
ROUTES = {
    "own→instruction": ("own", "instruction"),
    "instruction→last": ("instruction", "last"),
    "own→last": ("own", "last"),
    "template→last": ("template", "last"),
    "own→after": ("own", "after"),
}
NONE, AND = "none", " + "
#: Layers of a model's own place, as many as the paper's.
SIZE = 6


def route(prompt, name: str, control: int | None = None) -> Pathway:
    """A route in a prompt, by its name in `ROUTES`."""
    source, target = ROUTES[name]
    return Pathway(SOURCE[prompt.following] if source == "own" else source, target, control)


def common_routes(prompts) -> list[str]:
    """The routes that every prompt has: not every template has words behind the instruction."""
    targets = {target for _, target in ROUTES.values()}
    there = {one for one in targets if all(len(p.groups.positions(one)) for p in prompts)}
    return [name for name, (_, target) in ROUTES.items() if target in there]


def join_names(some: Sequence[str]) -> str:
    """What a set of routes is called in tables, whatever the order in which it was put together."""
    return AND.join(name for name in ROUTES if name in some) or NONE


def measure_routes(
    subject,
    prompt,
    dictionary,
    sets: Sequence[Sequence[str]],
    places: Mapping[str, Mapping[str, Sequence[int]]],
    control: int | None = None,
    kept_routes: Container[str] | None = None,
) -> pd.DataFrame:
    """Decision and answer with each set of routes closed, in each place.

    Parameters
    ----------
    sets : sequence of (sequence of str)
        Names of `ROUTES` that are closed together; nothing for an empty one.
    places : mapping
        For each direction, names of places and the layers there: the first, and the one behind the
        last.
    control : int, optional
        If given, random sources are closed instead, as many for each route as it has (this is the
        draws' seed).
    kept_routes : container of str, optional
        The sets that are closed, by their names (`join_names`); all unless given.

    Returns
    -------
    DataFrame
        One row per place and set: model, sample, following, place, routes (`join_names`), size,
        control (bool), lead (ln P(y_p) − ln P(y_c), nats), lost (of the clean lead, nats), nssd
        (nats), answer, outcome, follows (1 or 0).
    """
    own = {place: range(*ends) for place, ends in places[prompt.following].items()}
    some = [one for one in sets if kept_routes is None or join_names(one) in kept_routes]
    cases = [(place, one) for place in own for one in some]
    closed = [([route(prompt, name, control) for name in some], own[at]) for at, some in cases]
    clean, found, answers = generation.close_sets(subject, prompt, closed)
    before, after = (part.log_probabilities.double().cpu() for part in (clean, found))
    whole, lead = _lead(clean), _lead(found)
    outcomes = [outcome_of(answer, prompt, dictionary) for answer in answers]
    columns = {
        **identity(subject, prompt),
        "place": [place for place, _ in cases],
        "routes": [join_names(some) for _, some in cases],
        "size": [len(some) for _, some in cases],
        "control": control is not None,
        "lead": lead.numpy(),
        "lost": (whole - lead).numpy(),
        "nssd": metrics.nssd(before[:1, 0], before[:1, 1], after[:, 0], after[:, 1]).numpy(),
        "answer": answers,
        "outcome": outcomes,
        "follows": [float(outcome == "follow") for outcome in outcomes],
    }
    return pd.DataFrame(columns)


def measure_windows(subject, prompt, closed: str, size: int) -> pd.DataFrame:
    """What closing one route in every window of neighbouring layers costs.

    Parameters
    ----------
    closed : str
        Of `ROUTES`.
    size : int
        Layers of a window; all windows that fit are closed.

    Returns
    -------
    DataFrame
        One row per window: model, sample, following, start (its first layer), lost (of the clean
        lead, nats).
    """
    starts = range(max(1, subject.n_layers - size + 1))
    windows = [range(start, min(start + size, subject.n_layers)) for start in starts]
    pathway = route(prompt, closed)
    if subject.resume_obstacle:
        clean = next_token_logits(subject, prompt)
        before, after = decision(clean, prompt), blocked_plain(subject, prompt, pathway, windows)
    else:
        [(before, after)], _ = resume.blocked(subject, [prompt], [pathway], windows)
    lead, left = (_lead(part) for part in (before, after))
    columns = {**identity(subject, prompt), "start": list(starts), "lost": (lead - left).numpy()}
    return pd.DataFrame(columns)


def _lead(found) -> Tensor:
    """ln P(y_p) − ln P(y_c) of a decision, nats."""
    both = found.log_probabilities.double().cpu()
    return both[:, 0] - both[:, 1]
