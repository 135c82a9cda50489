"""Whose answers a control borrows: Φ then reads words that nothing in the prompt supports.

Samples whose answers are all different lend theirs, those of the same task before others. With a
tokenizer only answers that its vocabulary tells apart are lent.
"""

from collections.abc import Sequence

import numpy as np
from tqdm.auto import tqdm

from arbitration.dataset.sample import Sample


def borrow_answers(
    dictionary, samples: list[Sample], seed: int, tokenizer=None
) -> dict[str, Sample | None]:
    """For each sample the one whose answers it borrows, drawn by seed: the shuffled-dictionary
    control.

    None where no sample has other answers, as in a set of yes/no questions: there is no such
    control then, whatever the number of samples, which is printed.
    """
    rng = np.random.default_rng(seed)
    lenders = _list_lenders(dictionary, samples, tokenizer)
    chosen = {}
    for sample in samples:
        others = _with_other_answers(dictionary, sample, lenders)
        others = [other for other in others if other.task == sample.task] or others
        chosen[sample.id] = others[rng.integers(len(others))] if others else None
    alone = [name for name, other in chosen.items() if other is None]
    if alone:
        names = ", ".join(alone[:5]) + (" …" if len(alone) > 5 else "")
        tqdm.write(
            f"no control by another sample's answers for {len(alone)} of {len(samples)} "
            f"samples, as all others have one of their answers too: {names}"
        )
    return chosen


def draw_strangers(
    dictionary, sample: Sample, samples: Sequence[Sample], draws: int, seed: int, tokenizer=None
) -> list[Sample]:
    """Samples whose answers one sample borrows, at most `draws`, each once, drawn by seed; there
    may be none.
    """
    lenders = _list_lenders(dictionary, samples, tokenizer)
    others = _with_other_answers(dictionary, sample, lenders)
    order = np.random.default_rng(seed).permutation(len(others))
    drawn = sorted((others[index] for index in order), key=lambda other: other.task != sample.task)
    return drawn[:draws]


def _list_lenders(dictionary, samples, tokenizer) -> list[tuple[Sample, set[str]]]:
    """The samples whose answers can be lent, each with their forms."""
    return [
        (sample, dictionary.normal_forms(sample))
        for sample in samples
        if tokenizer is None or dictionary.tells_apart(sample, tokenizer)
    ]


def _with_other_answers(dictionary, sample: Sample, lenders) -> list[Sample]:
    own = dictionary.normal_forms(sample)
    return [lender for lender, forms in lenders if not own & forms]
