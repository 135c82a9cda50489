"""Whose answers a control borrows: Φ then reads words that nothing in the prompt supports."""

from collections.abc import Sequence

import numpy as np
from tqdm.auto import tqdm

from arbitration.dataset.sample import Sample


def borrow_answers(
    dictionary, samples: list[Sample], seed: int, tokenizer=None
) -> dict[str, Sample | None]:
    """For each sample the one whose answers it borrows: the shuffled-dictionary control.

    A sample whose answers are all different, of the same task where there is one, drawn by seed; Φ
    then reads words that nothing in the prompt supports. With a `tokenizer`, only answers that its
    vocabulary tells apart are borrowed. None where no sample has other answers, as in a set of
    yes/no questions: there is no such control then, whatever the number of samples, which is
    printed.
    """
    rng = np.random.default_rng(seed)
    lenders = [
        sample
        for sample in samples
        if tokenizer is None or dictionary.tells_apart(sample, tokenizer)
    ]
    forms = {sample.id: dictionary.normal_forms(sample) for sample in samples}
    chosen = {}
    for sample in samples:
        others = [other for other in lenders if not forms[sample.id] & forms[other.id]]
        others = [other for other in others if other.task == sample.task] or others
        chosen[sample.id] = others[rng.integers(len(others))] if others else None
    alone = [name for name, other in chosen.items() if other is None]
    if alone:
        tqdm.write(
            f"no control by another sample's answers for {len(alone)} of {len(samples)} "
            f"samples, as all others have one of their answers too: "
            f"{', '.join(alone[:5])}{' …' if len(alone) > 5 else ''}"
        )
    return chosen


def draw_strangers(
    dictionary, sample: Sample, samples: Sequence[Sample], draws: int, seed: int, tokenizer=None
) -> list[Sample]:
    """Samples whose answers are all other ones, at most `draws`, each once, drawn by seed: of the
    same task as far as there are some.

    With a `tokenizer`, only samples that its vocabulary tells apart. There may be none
    (`strangers.borrow_answers`).
    """
    own = dictionary.normal_forms(sample)
    others = [other for other in samples if not own & dictionary.normal_forms(other)]
    others = [
        other for other in others if tokenizer is None or dictionary.tells_apart(other, tokenizer)
    ]
    order = np.random.default_rng(seed).permutation(len(others))
    return sorted((others[index] for index in order), key=lambda other: other.task != sample.task)[
        :draws
    ]
