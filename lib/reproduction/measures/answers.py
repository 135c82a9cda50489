"""What a model answers to a prompt, and which modality the answer follows (the outcome, §4.2.2)."""

from collections.abc import Callable, Iterator

import pandas as pd
import torch

from arbitration.dataset import outcomes
from arbitration.engine import generation
from arbitration.engine.plain import decision, next_token_logits
from arbitration.engine.recent import Recent
from arbitration.models.prompt import identity
from reproduction.measures.rows import each


def judge_answer(answer: str, prompt, dictionary) -> outcomes.Judgement:
    """Which answer to a prompt was given, by the dictionary's surface forms of both answers and the
    words of the question (`outcomes.judge_forms`).
    """
    forms = dict(zip(("vision", "text"), dictionary.sample_forms(prompt.sample)))
    followed = forms.pop(prompt.following)
    return outcomes.judge_forms(answer, followed, *forms.values(), prompt.sample.question)


def outcome_of(answer: str, prompt, dictionary) -> str:
    """The outcome of an answer to a prompt: follow, competitor, or other."""
    return judge_answer(answer, prompt, dictionary).outcome


def add_outcomes(table: pd.DataFrame, prompt, dictionary) -> pd.DataFrame:
    """A table of answers to one prompt (column answer) with the columns outcome and ambiguous (it
    is other, though a form of one of the two stands in the answer).
    """
    found = [judge_answer(answer, prompt, dictionary) for answer in table["answer"]]
    return table.assign(
        outcome=[one.outcome for one in found], ambiguous=[one.ambiguous for one in found]
    )


def ask_in_turn() -> Callable[..., Iterator[pd.DataFrame]]:
    """Rows of `ask` for the prompts of one subject, asked one after the other: what a prompt has in
    common with the one before is computed once (`engine.recent`).
    """
    last = Recent()

    def ask_next(subject, prompt, dictionary) -> pd.DataFrame:
        return ask(subject, prompt, dictionary, last)

    return each(ask_next)


def ask(subject, prompt, dictionary, last: Recent | None = None) -> pd.DataFrame:
    """What a model answers to one prompt: a row of `answered.ask_samples`.

    Parameters
    ----------
    last : Recent, optional
        As in `generation.first_answer`.
    """
    answer, token = generation.first_answer(subject, prompt, last)
    judged = judge_answer(answer, prompt, dictionary)
    record = {
        **identity(subject, prompt),
        "task": prompt.sample.task,
        "split": prompt.sample.split,
        "answer": answer,
        "outcome": judged.outcome,
        "ambiguous": judged.ambiguous,
        "kept": judged.outcome == "follow",
        "first": {prompt.y_p: "follow", prompt.y_c: "competitor"}.get(token, "other"),
        "y_p": prompt.y_p,
        "y_c": prompt.y_c,
        "spelling": subject.spelling,
    }
    return pd.DataFrame([record])


@torch.no_grad()
def read_first_token(subject, prompt) -> pd.DataFrame:
    """What the first answer token alone says: one row.

    Returns
    -------
    DataFrame
        model, sample, following, first ("follow", "competitor" or "other": which answer the most
        likely token begins), prefers (whether the compliant token is likelier than the
        competitor's).
    """
    found = decision(next_token_logits(subject, prompt), prompt)
    first = {prompt.y_p: "follow", prompt.y_c: "competitor"}.get(int(found.tokens[0]), "other")
    p, c = found.log_probabilities[0].tolist()
    return pd.DataFrame([{**identity(subject, prompt), "first": first, "prefers": p > c}])
