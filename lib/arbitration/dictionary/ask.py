"""What a language model is asked about an answer's forms (Appendix B): which synonyms fit, and how
Chinese says it.

The paper has two templates; these two are in our words. A reply counts only as a JSON list: of
words that were offered, or of Chinese ones.
"""

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from arbitration.dictionary import endpoint
from arbitration.dictionary.endpoint import Endpoint, Reply

VERIFY = """Someone was asked about a picture, or about a text, and answered. \
A thesaurus offers other words for the answer, and some of them are wrong: they \
belong to another meaning of it, or say more, or less, than it does.

Kind of answer: {kind}
{questions}Answer: {answer}
Offered: {offered}

Which of the offered words say the same as the answer here? \
A word counts only if nobody could tell from it that another answer was meant. \
Write a JSON list of those words, spelt as they are offered, and nothing else. \
If none of them fits, write []."""
CHINESE = """Someone was asked about a picture, or about a text, and answered in English.

Kind of answer: {kind}
{questions}Answer: {answer}

How would this answer be written in Chinese? \
Write a JSON list of at most {most} words or short expressions in simplified characters, \
the most usual first, without explanations and without Latin letters, and nothing else. \
Leave out whatever would also fit a different answer. If there is none, write []."""
#: Forms of an answer and language; the paper speaks of ten in both languages together.
MOST = 10
#: Questions shown with an answer.
SHOWN = 3
STEPS = ("synonyms", "chinese")


@dataclass(frozen=True)
class AskedAnswer:
    """An answer as the model is asked about it.

    Attributes
    ----------
    kind : str
        Of answer: a task, or the kind of thing.
    answer : str
    offered : tuple of str
        Candidate synonyms.
    questions : tuple of str
        Some that it answers.
    """

    kind: str
    answer: str
    offered: tuple[str, ...]
    questions: tuple[str, ...]


def write_request(word: AskedAnswer, step: str) -> str:
    """What is asked in one of the `STEPS`."""
    questions = "".join(f"Question: {question}\n" for question in word.questions[:SHOWN])
    filled = {
        "kind": word.kind.replace("_", " "),
        "questions": questions,
        "answer": word.answer,
        "most": MOST,
    }
    return {"synonyms": VERIFY, "chinese": CHINESE}[step].format(
        **filled, offered=json.dumps(word.offered, ensure_ascii=False)
    )


def judged(
    words: Iterable[AskedAnswer], where: Endpoint, kept: Path, pause: float = 1.0
) -> tuple[dict, pd.DataFrame]:
    """Ask about every word.

    Parameters
    ----------
    words : iterable of Word
    where : Endpoint
    kept : Path
        The file of answers, as in `endpoint.ask_endpoint`.

    Returns
    -------
    accepted : dict
        ``accepted[kind][answer]`` is ``{"en": […], "zh": […]}``, forms besides the answer itself.
        What was refused, or cannot be read, accepts nothing.
    record : DataFrame
        One row for each question: kind, answer, step, outcome (``answered``, ``refused``,
        ``unreadable``), forms (how many were accepted), dropped (how many named forms were not:
        neither offered nor Chinese), why (of a refusal or an unreadable reply, what was said).
    """
    words = list(words)
    asks = [
        (word, step, write_request(word, step))
        for word in words
        for step in STEPS
        if step == "chinese" or word.offered
    ]
    replies = endpoint.ask_endpoint(where, (text for _, _, text in asks), kept, pause)
    accepted = {word.kind: {} for word in words}
    for word in words:
        accepted[word.kind][word.answer] = {"en": [], "zh": []}
    rows = []
    for word, step, text in asks:
        outcome, forms, dropped, why = read_reply(word, step, replies[text])
        accepted[word.kind][word.answer]["en" if step == "synonyms" else "zh"] = forms
        rows.append((word.kind, word.answer, step, outcome, len(forms), dropped, why))
    return accepted, pd.DataFrame(
        rows, columns=["kind", "answer", "step", "outcome", "forms", "dropped", "why"]
    )


def read_reply(word: AskedAnswer, step: str, reply: Reply) -> tuple[str, list[str], int, str]:
    """Outcome, accepted forms, the number of named forms that are not accepted, and why there is
    nothing to read.
    """
    if reply.text is None:
        return "refused", [], 0, reply.refused or ""
    named = _list(reply.text)
    if named is None:
        return "unreadable", [], 0, " ".join(reply.text.split())[:80]
    if step == "synonyms":
        forms = [form for form in word.offered if form in named]
    else:
        forms = [form for form in named if re.fullmatch(r"[\u3400-\u9fff]+", form)][:MOST]
    return "answered", forms, len(named) - len(forms), ""


def counted(record: pd.DataFrame) -> pd.DataFrame:
    """How many questions of each step had which outcome, and how many forms came of it.

    Parameters
    ----------
    record : DataFrame
        From `judged`.

    Returns
    -------
    DataFrame
        Indexed by step: asked, answered, refused, unreadable, forms, dropped.
    """

    def of(rows: Mapping) -> pd.Series:
        outcomes = {
            name: (rows["outcome"] == name).sum() for name in ("answered", "refused", "unreadable")
        }
        return pd.Series(
            {
                "asked": len(rows),
                **outcomes,
                "forms": rows["forms"].sum(),
                "dropped": rows["dropped"].sum(),
            }
        )

    return pd.DataFrame({step: of(record[record["step"] == step]) for step in STEPS}).T.rename_axis(
        "step"
    )


def _list(text: str) -> list[str] | None:
    """The last JSON list of strings in a text, each once: models explain themselves before it."""
    for found in reversed(re.findall(r"\[[^\[\]]*\]", text)):
        try:
            named = json.loads(found)
        except ValueError:
            continue
        if all(isinstance(form, str) for form in named):
            return list(dict.fromkeys(form.strip() for form in named))
    return None
