"""Whose answers a control borrows: Φ then reads words that nothing in the prompt supports.

Samples whose answers are all different lend theirs, those of the same task before others, in an
order drawn by the seed and the borrower's name: whatever number of samples is measured, and in
whatever order, a sample borrows the same answers.
"""

from collections.abc import Iterator, Sequence
from itertools import islice
from zlib import crc32

import numpy as np
from tqdm.auto import tqdm

from arbitration.dataset.sample import Sample


def borrow_answers(
    dictionary, samples: Sequence[Sample], everything: Sequence[Sample], seed: int, tokenizer=None
) -> dict[str, Sample | None]:
    """For each sample the one whose answers it borrows: the shuffled-dictionary control.

    Parameters
    ----------
    dictionary : EntityDictionary
    samples : sequence of Sample
        The borrowers.
    everything : sequence of Sample
        The whole set, which lends.
    seed : int
    tokenizer : optional
        With it, only answers that its vocabulary tells apart are lent.

    Returns
    -------
    dict of str to Sample or None
        None where no sample has other answers, as in a set of yes/no questions: there is no such
        control then, whatever the number of samples, which is printed.
    """
    lenders = _list_lenders(dictionary, everything)
    chosen = {}
    for sample in samples:
        drawn = _draw_lenders(dictionary, sample, lenders, seed, tokenizer)
        chosen[sample.id] = next(drawn, None)
    alone = [name for name, other in chosen.items() if other is None]
    if alone:
        names = ", ".join(alone[:5]) + (" …" if len(alone) > 5 else "")
        tqdm.write(
            f"no control by another sample's answers for {len(alone)} of {len(samples)} "
            f"samples, as all others have one of their answers too: {names}"
        )
    return chosen


def draw_strangers(
    dictionary, sample: Sample, everything: Sequence[Sample], draws: int, seed: int, tokenizer=None
) -> list[Sample]:
    """Samples whose answers one sample borrows, at most `draws`, each once; there may be none. The
    first is that of `borrow_answers`.
    """
    lenders = _list_lenders(dictionary, everything)
    return list(islice(_draw_lenders(dictionary, sample, lenders, seed, tokenizer), draws))


def _list_lenders(dictionary, everything) -> list[tuple[Sample, set[str]]]:
    """A set's samples by name, each with the forms of its answers."""
    by_name = sorted(everything, key=lambda sample: sample.id)
    return [(sample, dictionary.normal_forms(sample)) for sample in by_name]


def _draw_lenders(dictionary, sample: Sample, lenders, seed: int, tokenizer) -> Iterator[Sample]:
    """Who may lend to a sample, in the order of the draw, those of its task first."""
    own = dictionary.normal_forms(sample)
    others = [lender for lender, forms in lenders if not own & forms]
    order = np.random.default_rng([seed, crc32(sample.id.encode())]).permutation(len(others))
    drawn = sorted((others[place] for place in order), key=lambda other: other.task != sample.task)
    for other in drawn:
        if tokenizer is None or dictionary.tells_apart(other, tokenizer):
            yield other
