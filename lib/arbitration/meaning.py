"""Is it what the instruction says, or where it stands? Its sentences apart, in another order, and at a distance from the context.

A relay that belongs to the words stays with a sentence when the order is swapped; one that belongs to the place goes to whichever
sentence stands there. Words without meaning, put where the instruction would begin, tell what the place alone is worth.
"""

from collections.abc import Iterator, Sequence
from itertools import groupby

import pandas as pd

from arbitration import following, prompts
from arbitration.ablations import SOURCE
from arbitration.dataset import MODALITIES
from arbitration.knockout import Pathway, knockout_tables
from arbitration.measure import asked, tell
from arbitration.prompts import LAYOUTS, Unusable

#: What a cue may be relayed through: the instruction's sentences, and neutral ones before them.
SPANS = ("modality", "question", "constraint", "neutral")
#: Fewer samples that follow than this are not swept: an interval from them would say nothing.
LEAST = 3


def answered(subject, samples, dictionary, layouts: Sequence[str] = LAYOUTS) -> pd.DataFrame:
    """What the model answers under each layout.

    Returns
    -------
    DataFrame
        As `measure.answered`, with the column layout. Samples that cannot be put to the model are left out; which and why is printed.

    Raises
    ------
    ValueError
        If none can.
    """
    frames, dropped = [], []
    for layout in layouts:
        decidable = []
        for sample in samples:
            try:
                decidable += [prompts.encode(subject, sample, way, layout=layout) for way in MODALITIES]
            except Unusable as error:
                dropped.append({"sample": sample.id, "why": f"{error.why} ({layout})"})
        if not decidable:
            raise ValueError(f"none of {len(samples)} samples can be put to {subject.name}; {dropped[-1]['sample']}: {dropped[-1]['why']}")
        frames.append(asked(subject, decidable, dictionary).assign(layout=layout))
    tell(pd.DataFrame(dropped), samples)
    return pd.concat(frames, ignore_index=True)


def cohorts(subject, samples, answers: pd.DataFrame, n: int, only_following: bool = True) -> dict[str, list]:
    """Prompts to sweep: for each layout and direction the first `n` samples that follow there.

    A direction in which fewer than `LEAST` follow is left out, and so is a layout without any direction.

    Raises
    ------
    ValueError
        If nothing is left.
    """
    found = {}
    for layout, rows in answers.groupby("layout", sort=False):
        found[layout] = []
        for way in MODALITIES:
            decidable = [sample for sample in samples if sample.id in set(rows["sample"])]
            kept = following.filtered(rows, samples, way) if only_following else decidable
            if not only_following or len(kept) >= LEAST:
                found[layout] += [prompts.encode(subject, sample, way, layout=layout) for sample in kept[:n]]
    found = {layout: chosen for layout, chosen in found.items() if chosen}
    if not found:
        raise ValueError(f"of {len(samples)} samples {subject.name} follows fewer than {LEAST} under every layout and direction; raise n, or take another split")
    return found


def pathways(prompt, control: int | None = None) -> list[Pathway]:
    """Into each span of a prompt from the tokens of the modality that is instructed, and from each span to the last token."""
    spans = [span for span in SPANS if len(prompt.groups.positions(span))]
    return [Pathway(SOURCE[prompt.following], span, control) for span in spans] + [Pathway(span, "last", control) for span in spans]


def swept(subject, some: Sequence, width: int, layers: Sequence[int], seed: int) -> Iterator[pd.DataFrame]:
    """NSSD (Eq. 7) of the pathways of prompts of one layout, each with as many random sources: one table a prompt.

    Parameters
    ----------
    some : sequence of Prompt
    width, layers
        Layers per window, and the windows' centres.
    seed : int
        Of the random sources.

    Yields
    ------
    DataFrame
        As `knockout_tables`.
    """
    for _, alike in groupby(some, key=lambda prompt: prompt.following):
        alike = list(alike)
        yield from knockout_tables(subject, alike, pathways(alike[0]) + pathways(alike[0], seed), width, layers=layers)
