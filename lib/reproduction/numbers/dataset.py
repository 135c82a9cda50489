"""The numbers of Section 2 and Appendix B: what the model answers, and what the set is made of."""

import json

import pandas as pd

from arbitration.dataset.sample import Sample
from arbitration.dataset.sets import SPLITS, load
from arbitration.files.folders import DATA
from arbitration.files.shipped import read_shipped
from reproduction.numbers.counting import counts
from reproduction.numbers.estimates import DIRECTIONS, RATE, estimate, per_sample


def summarise_answers(answers, coverage, seed=0):
    """Numbers of Section 2: how often each answer is given, before any sample is dropped.

    Parameters
    ----------
    answers : DataFrame
        One row per prompt: sample, following, outcome (``follow``, ``competitor``, ``other``),
        ambiguous (other, though a form of one of the two stands in the answer: ``ambiguous_<d>`` is
        their number), and first, the same of the first token alone: ``first_<d>`` is the share in
        which the most likely first token is y_p or y_c.
    coverage : DataFrame
        From `EntityDictionary.coverage`: one row per sample and answer.
    """
    found = counts(answers) | {
        "forms_mean": float(coverage["forms"].mean()),
        "ids_mean": float(coverage["ids"].mean()),
        "ids_min": float(coverage["ids"].min()),
        "fallback_share": float(coverage["fallback"].mean()),
    }
    for d in DIRECTIONS:
        rows = answers[answers["following"] == d]
        for name, outcome in (("follow", "follow"), ("compete", "competitor"), ("other", "other")):
            found |= estimate(
                f"{name}_{d}", rows.set_index(per_sample(rows))["outcome"] == outcome, seed, RATE
            )
        found |= estimate(
            f"first_{d}", rows.set_index(per_sample(rows))["first"] != "other", seed, RATE
        )
        found[f"ambiguous_{d}"] = float(rows["ambiguous"].sum())
        found[f"kept_{d}"] = float((rows["outcome"] == "follow").sum())
    return found


PARTS = ("question", "context", "instruction", "answer")


def whole_set(name, split: str) -> list[Sample]:
    """All samples of a set: the scenes in every split; of another set those that `split` names,
    which without splits is all.
    """
    return [
        sample for one in (SPLITS if name == "scenes" else (split,)) for sample in load(name, one)
    ]


def measure_texts(samples: list[Sample]) -> pd.DataFrame:
    """Every text of a set with its length.

    Returns
    -------
    DataFrame
        One row per sample and text: sample, split, task, part (question, context, instruction,
        answer; the last two twice, once for each modality), text, words (separated by white space).
    """
    rows = []
    for sample in samples:
        parts = [
            ("question", sample.question),
            ("context", sample.context),
            ("instruction", sample.instruction_vision),
            ("instruction", sample.instruction_text),
            ("answer", sample.answer_vision),
            ("answer", sample.answer_text),
        ]
        rows += [
            (sample.id, sample.split, sample.task, part, text, len(text.split()))
            for part, text in parts
        ]
    return pd.DataFrame(rows, columns=["sample", "split", "task", "part", "text", "words"])


def list_entries(samples: list[Sample], dictionary) -> pd.DataFrame:
    """Every answer of a set with the number of forms that its dictionary knows.

    Returns
    -------
    DataFrame
        One row per sample and modality: sample, split, task, modality, answer, forms (the answer
        itself among them, those that would also fit the other answer not).
    """
    rows = []
    for sample in samples:
        pair = zip(("vision", "text"), sample.answers("vision"), dictionary.sample_forms(sample))
        rows += [
            (sample.id, sample.split, sample.task, modality, answer, len(forms))
            for modality, answer, forms in pair
        ]
    return pd.DataFrame(rows, columns=["sample", "split", "task", "modality", "answer", "forms"])


def by_task(texts: pd.DataFrame, answers: pd.DataFrame) -> pd.DataFrame:
    """The statistics of a set for each task and for all of them.

    Parameters
    ----------
    texts, answers : DataFrame
        From the functions of these names.

    Returns
    -------
    DataFrame
        One row per task and one for ``all tasks``: the samples of each split, the mean number of
        words of each part, the number of different answers, the mean number of forms of an answer.
    """
    rows = {}
    for task in [*texts["task"].unique(), "all tasks"]:
        said, given = (
            one if task == "all tasks" else one[one["task"] == task] for one in (texts, answers)
        )
        sizes = {
            f"samples, {split}": said.loc[said["split"] == split, "sample"].nunique()
            for split in texts["split"].unique()
        }
        words = {f"words, {part}": said.loc[said["part"] == part, "words"].mean() for part in PARTS}
        rows[task] = (
            sizes
            | words
            | {
                "different answers": given["answer"].nunique(),
                "forms an answer": given["forms"].mean(),
            }
        )
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis("task")


def list_pictures() -> pd.DataFrame:
    """What the scenes that ship with the project are drawn from.

    Returns
    -------
    DataFrame
        One row per icon in a picture: sample, split, style (the set of icons), icon (its name).
    """
    sheet = json.loads(read_shipped(DATA / "scenes" / "icons.json"))
    lines = read_shipped(DATA / "scenes" / "samples.jsonl").split("\n")
    records = [json.loads(line) for line in lines if line]
    rows = [
        (record["id"], record["split"], sheet["styles"][item["style"]], sheet["slugs"][item["row"]])
        for record in records
        for item in record["scene"]
    ]
    return pd.DataFrame(rows, columns=["sample", "split", "style", "icon"])


def summarise_set(texts: pd.DataFrame, answers: pd.DataFrame) -> dict[str, float]:
    """The statistics that the book quotes; lengths in words, with the shortest and the longest.

    Returns
    -------
    dict
        ``set_samples``, ``set_samples_<split>``, ``set_tasks``, ``set_answers`` (different ones);
        ``set_<part>_words`` and ``set_forms`` with ``_min`` and ``_max``; ``set_alone``, the share
        of answers whose only form is the answer itself.
    """
    found = {
        "set_samples": texts["sample"].nunique(),
        "set_tasks": texts["task"].nunique(),
        "set_answers": answers["answer"].nunique(),
        "set_alone": (answers["forms"] == 1).mean(),
    }
    found |= {
        f"set_samples_{split}": texts.loc[texts["split"] == split, "sample"].nunique()
        for split in texts["split"].unique()
    }
    ranges = {f"set_{part}_words": texts.loc[texts["part"] == part, "words"] for part in PARTS} | {
        "set_forms": answers["forms"]
    }
    for name, values in ranges.items():
        found |= {name: values.mean(), f"{name}_min": values.min(), f"{name}_max": values.max()}
    return {name: float(value) for name, value in found.items()}
