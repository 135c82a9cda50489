"""Failures to amplify heads on (§4.2.2), from three kinds of cause, with every attempt on record.

The paper amplifies heads where its models fail by themselves. Small models that were trained to
follow rarely do, so failures are also sought where the instruction is worded differently, is
weakened, or asks for evidence that is weak. Only an answer that is the competitor's is a failure of
arbitration; any other wrong answer is recorded and left out.
"""

from collections.abc import Iterator, Sequence

import numpy as np
import pandas as pd
from tqdm.auto import tqdm

from arbitration.dataset.sample import Sample
from arbitration.models import altered, encode
from arbitration.models.prompt import Unusable
from reproduction.cohorts import answered
from reproduction.cohorts.answered import make_asker

UNREAD, WEAKENED, FADED = SOURCES = ("unread wording", "weakened instruction", "weak evidence")
#: How far an instruction is mixed with its mirror image, and evidence blurred: the mildest that
#: turns the answer is taken.
MIXES = (0.4, 0.5, 0.6, 0.7)
BLURS = (0.5, 0.75, 0.9)
TRIED = ["model", "sample", "following", "source", "degree", "outcome"]


def draw_wordings(samples, direction: str, seed: int = 0, count: int = 3) -> list[str]:
    """Some of the set's own wordings of one instruction, drawn by seed."""
    known = sorted({sample.instruction(direction) for sample in samples})
    chosen = np.random.default_rng(seed).permutation(len(known))[:count]
    return [known[index] for index in chosen]


def list_attempts(
    subject, sample, direction: str, source: str, others: Sequence[str] = ()
) -> Iterator[tuple[float, object]]:
    """Prompts of one sample that may fail, mildest first, with their degree.

    The degree is the share of the mirror image in the instruction, or that of the mean in the
    evidence, or which wording it is (0: the sample's own; then `others` by number). Nothing where
    the model cannot take such prompts, or not of this sample.

    Raises
    ------
    ValueError
        For an unknown source; names the known ones.
    """
    if source == UNREAD:
        for number, wording in enumerate(dict.fromkeys([sample.instruction(direction), *others])):
            yield from _usable(float(number), encode.encode, subject, sample, direction, wording)
    elif source == WEAKENED:
        for share in MIXES if altered.can_weaken(subject) else ():
            yield from _usable(share, altered.weaken, subject, sample, direction, share)
    elif source == FADED:
        for share in BLURS if direction == "vision" or altered.can_weaken(subject) else ():
            yield from _usable(share, altered.fade, subject, sample, direction, share)
    else:
        why = f"unknown source of failures {source!r}; known: {', '.join(map(repr, SOURCES))}"
        raise ValueError(why)


def _usable(degree: float, make, *arguments) -> Iterator[tuple[float, object]]:
    """One attempt, or none where the sample cannot be put to the model in this form, as with
    another's longer wording.
    """
    try:
        prompt = make(*arguments)
    except Unusable:
        return
    yield degree, prompt


def seek_failures(
    subject, samples, direction: str, source: str, n: int, dictionary, others: Sequence[str] = ()
) -> tuple[list, pd.DataFrame]:
    """Failures of one source, at most `n`, one for each sample, and everything that was tried.

    Parameters
    ----------
    samples : sequence of Sample
        Tried in this order, none of them used for ranking.
    others : sequence of str
        Wordings besides a sample's own, for the source ``unread wording``.

    Returns
    -------
    failures : list of Prompt
    tried : DataFrame
        One row per attempt: model, sample, following, source, degree (see `attempts`), outcome.
    """
    ask = make_asker(subject, dictionary)
    found, tried = [], []
    with tqdm(total=n, desc=f"{source}, {direction}, {subject.name}") as bar:
        for sample in samples:
            if len(found) == n:
                break
            for degree, prompt in list_attempts(subject, sample, direction, source, others):
                outcome = ask(prompt)["outcome"].item()
                tried.append(
                    {
                        "model": subject.name,
                        "sample": sample.id,
                        "following": direction,
                        "source": source,
                        "degree": degree,
                        "outcome": outcome,
                    }
                )
                if outcome == "competitor":
                    found.append(prompt)
                    bar.update()
                    break
    return found, pd.DataFrame(tried, columns=TRIED)


def seek_all_sources(
    subject, samples, answers: pd.DataFrame, n: int, dictionary, seed: int = 0
) -> tuple[dict[str, list], pd.DataFrame]:
    """Failures of every source in both directions, at most `n` each, and everything that was tried
    (see `sought`).

    Parameters
    ----------
    samples : sequence of Sample
        None of them used for ranking.
    answers : DataFrame
        From `answered.ask_samples`: instruction and evidence are weakened only where the model
        follows the plain prompt.
    """
    decidable = [sample for sample in samples if sample.id in set(answers["sample"])]
    found, tried = {source: [] for source in SOURCES}, []
    for direction in ("text", "vision"):
        others, follows = (
            draw_wordings(samples, direction, seed),
            answered.keep_outcome(answers, samples, direction),
        )
        for source in SOURCES:
            failures, attempted = seek_failures(
                subject,
                decidable if source == UNREAD else follows,
                direction,
                source,
                n,
                dictionary,
                others,
            )
            found[source] += failures
            tried.append(attempted)
    return found, pd.concat([table for table in tried if len(table)] or tried, ignore_index=True)


def find_failures(
    subject,
    samples: list[Sample],
    direction: str,
    n: int,
    dictionary,
    shares=(0.3, 0.35, 0.4, 0.45, 0.5, 0.55, 0.6, 0.65, 0.7),
):
    """Prompts that the model answers with the competitor's answer: (prompt, share) pairs (§4.2.2).

    Natural failures first (share 0), as far as the samples reach; then, where the model allows it,
    samples whose instruction is weakened (`altered.weaken`) by the smallest share of its mirror
    image at which the answer turns. There may be fewer than `n`.
    """
    ask = make_asker(subject, dictionary)
    found, others = [], []
    with tqdm(total=n, desc=f"failures to follow {direction}, {subject.name}") as bar:
        for sample in samples:
            if len(found) == n:
                return found
            try:
                prompt = subject.encode(sample, direction)
            except Unusable:
                continue
            if ask(prompt)["outcome"].item() == "competitor":
                found.append((prompt, 0.0))
                bar.update()
            else:
                others.append(sample)
        for sample in others if altered.can_weaken(subject) else ():
            for share in shares if len(found) < n else ():
                try:
                    prompt = altered.weaken(subject, sample, direction, share)
                except (
                    Unusable
                ):  # with the paper's wording, which may be longer than the sample's own
                    break
                if ask(prompt)["outcome"].item() == "competitor":
                    found.append((prompt, share))
                    bar.update()
                    break
    return found
