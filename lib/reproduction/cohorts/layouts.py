"""Who follows under each layout of the instruction (Appendix F), and is swept there."""

from collections.abc import Sequence

import pandas as pd

from arbitration.dataset.sample import MODALITIES
from arbitration.models import encode
from arbitration.models.encode import LAYOUTS
from arbitration.models.prompt import Unusable
from reproduction.cohorts.answered import ask_prompts, keep_asked, keep_outcome, tell_dropped

#: Fewer samples that follow than this are not swept: an interval from them would say nothing.
LEAST = 3


def ask_layouts(subject, samples, dictionary, layouts: Sequence[str] = LAYOUTS) -> pd.DataFrame:
    """What the model answers under each layout.

    Returns
    -------
    DataFrame
        As `answered.ask_samples`, with the column layout. Samples that cannot be put to the model
        are left out; which and why is printed.

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
                decidable += [
                    encode.encode(subject, sample, way, layout=layout) for way in MODALITIES
                ]
            except Unusable as error:
                dropped.append({"sample": sample.id, "why": f"{error.why} ({layout})"})
        if not decidable:
            why = (
                f"none of {len(samples)} samples can be put to {subject.name}; "
                f"{dropped[-1]['sample']}: {dropped[-1]['why']}"
            )
            raise ValueError(why)
        frames.append(ask_prompts(subject, decidable, dictionary).assign(layout=layout))
    tell_dropped(pd.DataFrame(dropped), samples)
    return pd.concat(frames, ignore_index=True)


def choose_by_layout(
    subject, samples, answers: pd.DataFrame, n: int, only_following: bool = True
) -> dict[str, list]:
    """Prompts to sweep: for each layout and direction the first `n` samples that follow there.

    A direction in which fewer than `LEAST` follow is left out, and so is a layout without any
    direction.

    Raises
    ------
    ValueError
        If nothing is left.
    """
    found = {}
    for layout, rows in answers.groupby("layout", sort=False):
        found[layout] = []
        for way in MODALITIES:
            decidable = keep_asked(rows, samples)
            kept = keep_outcome(rows, samples, way) if only_following else decidable
            if not only_following or len(kept) >= LEAST:
                found[layout] += [
                    encode.encode(subject, sample, way, layout=layout) for sample in kept[:n]
                ]
    found = {layout: chosen for layout, chosen in found.items() if chosen}
    if not found:
        why = (
            f"of {len(samples)} samples {subject.name} follows fewer than {LEAST} under every "
            f"layout and direction; raise n, or take another split"
        )
        raise ValueError(why)
    return found
