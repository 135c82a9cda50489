"""What else is lost while heads are blocked or amplified: answers that need one modality only, and
plain English.

A set of heads that arbitrates should cost what a conflict needs and little else.
"""

from collections.abc import Container, Iterable, Iterator, Sequence

import pandas as pd
import torch
from torch import Tensor

from arbitration.equations.heads import FACTOR, SHARE, Head, random_heads, scale_heads, share_count
from arbitration.files.folders import DATA
from arbitration.models import altered
from reproduction.measures.head_sets import Case, Scaling, list_paper_settings, scale_sets

FACTORS = (0.0, FACTOR)  # blocked and amplified
KINDS = ("conflict", "alone")


def measure_ability(
    subject,
    prompt,
    dictionary,
    rankings: dict[str, list[Head]],
    draws: int = 3,
    seed: int = 0,
    kept_draws: Container[int] | None = None,
) -> pd.DataFrame:
    """Answers to a conflict, and to the same question with the instructed modality alone, while
    heads are scaled at the instruction tokens.

    Parameters
    ----------
    prompt : Prompt
        A conflict; `altered.encode_alone` makes the other prompt from its sample.
    rankings : dict of direction to list of Head
        Strongest first; from samples other than this one.
    draws, seed
        Sets of each control per factor.
    kept_draws
        As in `head_sets.scale_sets`.

    Returns
    -------
    DataFrame
        As `head_sets.scale_sets`, with the column kind ("conflict", "alone"). An outcome of
        "follow" is the right answer.
    """
    cases = [Case(SHARE, factor, draws) for factor in FACTORS]
    sets = [
        one
        for one in list_paper_settings(subject, cases, rankings, prompt.following, seed)
        if one.heads in ("target", "random")
    ]
    both = zip(KINDS, (prompt, altered.encode_alone(subject, prompt.sample, prompt.following)))
    how = ({"instruction": sets}, "ability", kept_draws)
    tables = {kind: scale_sets(subject, one, dictionary, *how) for kind, one in both}
    marked = [table.assign(kind=kind) for kind, table in tables.items()]
    return pd.concat(marked, ignore_index=True)


def plain_sentences() -> list[str]:
    """The plain text, ``data/text/plain.txt``, sentence by sentence."""
    return (DATA / "text" / "plain.txt").read_text(encoding="utf-8").splitlines()


@torch.no_grad()
def token_losses(subject, lines: Sequence[str]) -> Tensor:
    """Mean of −ln P(token) over the tokens of each sentence, read one after the other as one text,
    without a picture.

    A token belongs to the sentence of its first character that is no space; the first token of the
    text is predicted by none.

    Parameters
    ----------
    lines : sequence of str

    Returns
    -------
    Tensor of float64, (n_sentences,)
        Nats per token.
    """
    text, starts = " ".join(lines), [0]
    for line in lines[:-1]:
        starts.append(starts[-1] + len(line) + 1)
    tokens = subject.tokenizer(text, return_offsets_mapping=True, return_tensors="pt")
    first = torch.tensor(
        [
            start + len(text[start:end]) - len(text[start:end].lstrip())
            for start, end in tokens["offset_mapping"][0].tolist()
        ]
    )
    owner = torch.searchsorted(torch.tensor(starts), first, right=True)[1:] - 1
    ids = tokens["input_ids"].to(subject.device)
    logits = subject.model(input_ids=ids, use_cache=False).logits[0, :-1]
    nats = torch.nn.functional.cross_entropy(logits.double(), ids[0, 1:], reduction="none").cpu()
    return torch.stack([nats[owner == number].mean() for number in range(len(lines))])


def list_read_sets(
    subject, rankings: dict[str, list[Head]], draws: int = 3, seed: int = 0
) -> list[Scaling]:
    """The sets of heads under which the plain text is read: "original", none; of each direction its
    top heads; and as many "random" ones, by draws.
    """
    count = share_count(subject.total_heads)
    sets = [(way, 0, order[:count]) for way, order in rankings.items() if order]
    sets += [("random", draw, random_heads(subject, count, seed + draw)) for draw in range(draws)]
    found = [Scaling("original", 0, 1.0, ())]
    return found + [
        Scaling(name, draw, factor, tuple(heads))
        for factor in FACTORS
        for name, draw, heads in sets
    ]


def measure_reading(subject, scalings: Iterable[Scaling]) -> Iterator[pd.DataFrame]:
    """Nats per token of the plain text while heads are scaled at all of its positions.

    Parameters
    ----------
    scalings
        From `list_read_sets`.

    Yields
    ------
    DataFrame
        For each: model, sample (number of the sentence), heads, draw, factor, nats.
    """
    lines = plain_sentences()
    for one in scalings:
        with scale_heads(subject, one.chosen, one.factor):
            nats = token_losses(subject, lines).numpy()
        about = {"model": subject.name, "sample": range(len(lines)), **one.columns}
        yield pd.DataFrame({**about, "nats": nats})
