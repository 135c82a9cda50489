"""Steering one prompt: how its decision forms from layer to layer, and what scaling chosen heads makes of it.

One prompt is an anecdote. It has no interval, so what it shows is set beside a distribution of its own: the same with heads, or with
answers, drawn at random.
"""

import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from arbitration import following, measure
from arbitration.dataset import Sample
from arbitration.entities import AS_WRITTEN, EntityDictionary
from arbitration.heads import gain_table
from arbitration.pictures import find_fault
from arbitration.single_heads import METHODS, Case, settings
from arbitration.words import find_pair_fault

OWN = "own"
#: Where the heads are scaled: in all of the prompt and at every generated token, or at the prompt's instruction tokens as in §4.2.2.
PLACES = ("everywhere", "instruction")
TOGETHER = 8  # settings that are generated as one batch: bounds the memory


def last_usable(subject, samples: Sequence[Sample]) -> Sample:
    """The last of some samples that can be put to a model under both instructions (`measure.decided`)."""
    for prompt, _ in measure.usable(subject, reversed(samples)):
        return prompt.sample
    raise ValueError(f"none of {len(samples)} samples can be put to {subject.name}; `measure.decided` says why")


def asked(scene: Sample, image: str = "", question: str = "", context: str = "", answers: Sequence[str] = (), instruction: str = "") -> Sample:
    """A scene, or a reader's own conflict in its place.

    Parameters
    ----------
    image, question, context : str
        Path of the picture, the question, and the text; what is empty is the scene's.
    answers : sequence of str
        What the picture answers and what the text answers; the scene's if none of the three is changed.
    instruction : str
        The modality sentence in the reader's words, whichever modality it names; the scene's if empty.

    Raises
    ------
    ValueError
        If picture, question or context is changed and the two answers are not given, or cannot be told apart; or if the picture cannot be read.
    FileNotFoundError
        If there is no such picture.
    """
    given = {name: value for name, value in {"image": image, "question": question, "context": context}.items() if value}
    if instruction:
        scene = replace(scene, id=OWN, instruction_vision=instruction, instruction_text=instruction)
    if not given and not answers:
        return scene
    if len(answers) != 2 or not all(answers):
        raise ValueError(f"{', '.join(given) or 'answers'} given, and answers={list(answers)}; also say both answers, the picture's and the text's: ['apple', 'pear']")
    fault = find_pair_fault(*answers)
    if fault:
        raise ValueError(f"answers: {fault}")
    if image:
        given["image"] = str(Path(image).expanduser().resolve())
        if not Path(given["image"]).is_file():
            raise FileNotFoundError(f"there is no picture {image!r} (looked for {given['image']})")
        fault = find_fault(Path(given["image"]))
        if fault:
            raise ValueError(f"image {image!r}: {fault}; give another picture")
    return replace(scene, id=OWN, task=OWN, split=OWN, answer_vision=answers[0], answer_text=answers[1], **given)


def knowing(dictionary: EntityDictionary, sample: Sample) -> EntityDictionary:
    """The dictionary with both answers of a sample in it: one that it lacks has itself for its only form."""
    written = {answer: {"en": [answer]} for answer in sample.answers("vision")}
    return EntityDictionary({**dictionary.entries, AS_WRITTEN: {**dictionary.entries.get(AS_WRITTEN, {}), **written}})


def strangers(dictionary, sample: Sample, samples: Sequence[Sample], draws: int, seed: int, tokenizer=None) -> list[Sample]:
    """Samples whose answers are all other ones, at most `draws`, each once, drawn by seed: of the same task as far as there are some.

    With a `tokenizer`, only samples that its vocabulary tells apart. There may be none (`measure.borrowed`).
    """
    own = dictionary.normal_forms(sample)
    others = [other for other in samples if not own & dictionary.normal_forms(other)]
    others = [other for other in others if tokenizer is None or dictionary.tells_apart(other, tokenizer)]
    order = np.random.default_rng(seed).permutation(len(others))
    return sorted((others[index] for index in order), key=lambda other: other.task != sample.task)[:draws]


def decision(subject, prompt, dictionary, borrowed: Sequence[Sample], **options) -> pd.DataFrame:
    """Φ_f and Φ_c in every layer, of the prompt's own answers and of those of other samples (`strangers`).

    Returns
    -------
    DataFrame
        As `measure.beliefs`, with the column draw, which of `borrowed`; the dictionary is "own" in draw 0 alone, and nowhere "shuffled"
        if nothing is borrowed.
    """
    frames = []
    for draw, stranger in enumerate(borrowed or [None]):
        table = measure.beliefs(subject, prompt, dictionary, stranger, **options).assign(draw=draw)
        frames.append(table if draw == 0 else table[table["dictionary"] == measure.SHUFFLED])
    return pd.concat(frames, ignore_index=True)


def effects(subject, prompt, dictionary, orders: dict, share: float, factors: Sequence[float], draws: int, seed: int, place: str = "everywhere") -> pd.DataFrame:
    """The decision's lead and the answer, unchanged and with sets of heads scaled.

    Parameters
    ----------
    orders : dict
        From `single_heads.rankings`, of other samples.
    share : float
        Of all heads.
    factors : sequence of float
    draws : int
        Random sets beside each set of top heads, in the same layers.
    place : {"everywhere", "instruction"}
        See `PLACES`.

    Returns
    -------
    DataFrame
        One row per set and factor: model, sample, following, heads ("none", "eq12", "sensitivity", and with " matched" the random ones),
        draw, factor, count, lead (ln P(y_p) − ln P(y_c) at the first answer token, nats), answer, outcome.

    Raises
    ------
    ValueError
        For an unknown place.
    """
    if place not in PLACES:
        raise ValueError(f"unknown place {place!r}; choose one of {', '.join(PLACES)}")
    everywhere = place == "everywhere"
    positions = torch.arange(prompt.groups.length) if everywhere else prompt.groups.instruction
    cases = [Case(share, factor, draws) for factor in factors]
    # Rankings are known for the last position, the instruction, or both: both is what comes nearest to everywhere.
    sets = [one for one in settings(subject, cases, orders, "both" if everywhere else "instruction", prompt.following, seed=seed) if one.heads != "random"]
    rows = [{"heads": "none", "draw": 0, "factor": 1.0, "count": 0}]
    rows += [{"heads": one.heads, "draw": one.draw, "factor": one.case.factor, "count": len(one.chosen)} for one in sets]
    gains = torch.stack([gain_table(subject, [], 1.0), *(gain_table(subject, one.chosen, one.case.factor) for one in sets)])
    packs = [following.steered(subject, prompt, some, positions, everywhere) for some in gains.split(TOGETHER)]
    answers, leads = [answer for pack, _ in packs for answer in pack], torch.cat([lead for _, lead in packs])
    names = {"model": subject.name, "sample": prompt.sample.id, "following": prompt.following}
    table = pd.DataFrame([names | row for row in rows]).assign(lead=leads.double().numpy(), answer=answers)
    return table.assign(outcome=[following.judged(answer, prompt, dictionary) for answer in answers])


def shown(table: pd.DataFrame) -> pd.DataFrame:
    """`effects` as a reader sees them: each set with its own lead and answer, beside how its random draws came out.

    Returns
    -------
    DataFrame
        heads, factor, count, lead (nats), answer, outcome, draws, lowest and highest (lead of a draw), beyond (how many draws moved the lead at
        least as far from the unchanged one), answers (of the draws, the most frequent first, with their number).
    """
    start = table.loc[table["heads"] == "none", "lead"].item()
    rows = []
    for _, one in table[table["heads"].isin(("none", *METHODS))].iterrows():
        drawn = table[(table["heads"] == f"{one['heads']} matched") & (table["factor"] == one["factor"])]
        said = drawn["answer"].value_counts()
        rows.append({
            "heads": one["heads"], "factor": one["factor"], "count": one["count"], "lead": one["lead"], "answer": one["answer"], "outcome": one["outcome"],
            "draws": len(drawn), "lowest": drawn["lead"].min(), "highest": drawn["lead"].max(),
            "beyond": int(((drawn["lead"] - start).abs() >= abs(one["lead"] - start)).sum()),
            "answers": ", ".join(f"{answer.strip()!r} {number}" for answer, number in said.items()),
        })
    return pd.DataFrame(rows)


def numbers(table: pd.DataFrame) -> dict[str, float | str]:
    """What the book says of one steered prompt: leads and answers, and how many random draws moved the lead as far.

    NaN, and "not measured", for all sets where the table has none because no other sample ranks heads under this instruction.
    """
    found = {} if table["heads"].isin(METHODS).any() else {"n_draws": 0.0}
    for name in [f"{method}_{what}" for method in METHODS for what in ("blocked", "scaled")] if found else ():
        found |= {f"lead_{name}": math.nan, f"answer_{name}": "not measured", f"beyond_{name}": math.nan}
    for _, row in shown(table).iterrows():
        name = row["heads"] if row["heads"] == "none" else f"{row['heads']}_{'blocked' if row['factor'] == 0 else 'scaled'}"
        found |= {f"lead_{name}": float(row["lead"]), f"answer_{name}": row["answer"].strip()}
        if row["draws"]:
            found |= {f"beyond_{name}": float(row["beyond"]), "n_draws": float(row["draws"])}
    return found
