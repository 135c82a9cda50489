"""From one prompt to the rows of a table: what the notebooks collect and every figure is made from."""

from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import replace
from itertools import chain, islice

import numpy as np
import pandas as pd
import torch

from tqdm.auto import tqdm

from arbitration import following, prompts as prompts_, results
from arbitration.attribution import sublayer_increments
from arbitration.dataset import MODALITIES, Sample
from arbitration.heads import signals
from arbitration.knockout import Pathway
from arbitration.prompts import BASE_GROUPS, SPELLINGS, Unusable
from arbitration.trace import trace

OWN, SHUFFLED = "own", "shuffled"
#: How many samples of a set tell in which spelling a model answers: the first usable ones by name, whatever order and number are measured.
PROBED = 32


def borrowed(dictionary, samples: list[Sample], seed: int, tokenizer=None) -> dict[str, Sample | None]:
    """For each sample the one whose answers it borrows: the shuffled-dictionary control.

    A sample whose answers are all different, of the same task where there is one, drawn by seed; Φ then reads words that nothing in the prompt supports.
    With a `tokenizer`, only answers that its vocabulary tells apart are borrowed. None where no sample has other answers, as in a set of
    yes/no questions: there is no such control then, whatever the number of samples, which is printed.
    """
    rng = np.random.default_rng(seed)
    lenders = [sample for sample in samples if tokenizer is None or dictionary.tells_apart(sample, tokenizer)]
    forms = {sample.id: dictionary.normal_forms(sample) for sample in samples}
    chosen = {}
    for sample in samples:
        others = [other for other in lenders if not forms[sample.id] & forms[other.id]]
        others = [other for other in others if other.task == sample.task] or others
        chosen[sample.id] = others[rng.integers(len(others))] if others else None
    alone = [name for name, other in chosen.items() if other is None]
    if alone:
        tqdm.write(f"no control by another sample's answers for {len(alone)} of {len(samples)} samples, as all others have one of their answers too: "
                   f"{', '.join(alone[:5])}{' …' if len(alone) > 5 else ''}")
    return chosen


def grouped(subject, sample: Sample) -> pd.DataFrame:
    """Every token of a sample's two prompts with its group (Fig. 2): following, position, token, group."""
    frames = []
    for direction in ("text", "vision"):
        prompt = subject.encode(sample, direction)
        tokens = subject.tokenizer.convert_ids_to_tokens(prompt.inputs["input_ids"][0].tolist())
        of = {int(position): name for name in BASE_GROUPS for position in prompt.groups.positions(name)}
        frame = pd.DataFrame({"position": range(len(tokens)), "token": tokens, "group": [of[position] for position in range(len(tokens))]})
        frames.append(_identified(frame, subject, prompt))
    return pd.concat(frames, ignore_index=True)


def decided(subject, samples: list[Sample], dictionary=None) -> tuple[list, pd.DataFrame]:
    """The prompts of all samples that can be put to a model and have a binary decision in its vocabulary, and the other samples.

    Parameters
    ----------
    dictionary : EntityDictionary, optional
        With it, samples whose two answers it does not tell apart in this vocabulary are dropped too.

    Returns
    -------
    prompts : list of Prompt
        Under both instructions.
    dropped : DataFrame
        One row per sample and direction that is not used: sample, following, answer_vision, answer_text, why. A sample that is dropped in
        one direction is measured in neither.

    Raises
    ------
    ValueError
        If no sample is left, with the first one's reason.
    """
    prompts, dropped = [], []
    for sample in samples:
        own, faults = [], []
        for direction in ("text", "vision"):
            try:
                own.append(_told_apart(subject.encode(sample, direction), dictionary, subject.tokenizer))
            except Unusable as error:
                faults.append((sample.id, direction, sample.answer_vision, sample.answer_text, error.why))
        prompts += [] if faults else own
        dropped += faults
    if dropped and not prompts:
        name, *_, why = dropped[0]
        raise ValueError(f"none of {len(samples)} samples can be put to {subject.name}; {name}: {why}")
    return prompts, pd.DataFrame(dropped, columns=["sample", "following", "answer_vision", "answer_text", "why"])


def _told_apart(prompt, dictionary, tokenizer):
    if dictionary is None or dictionary.tells_apart(prompt.sample, tokenizer):
        return prompt
    raise Unusable(prompt.sample, "no token of the vocabulary belongs to one of its two answers alone")


def usable(subject, samples: Iterable[Sample], dictionary=None) -> Iterator[list]:
    """The two prompts of each sample that `decided` would not drop, one sample after the other, so that a few cost no more than these."""
    for sample in samples:
        with suppress(Unusable):
            yield [_told_apart(subject.encode(sample, way), dictionary, subject.tokenizer) for way in MODALITIES]


def adopt_spelling(subject, samples: list[Sample], dictionary):
    """The subject with the spelling in which it writes the answers of a set, so that y_p and y_c are tokens that it was about to write.

    The spelling (`prompts.SPELLINGS`) that most of its own answers have, among those that follow on the first `PROBED` usable samples of
    the set by name; as the set gives the answers where none tells, and where it is level with another.

    Parameters
    ----------
    samples : list of Sample
        The whole set, or a part that does not depend on how much of it is measured.
    """
    by_name = sorted(samples, key=lambda sample: sample.id)
    pairs = islice(usable(subject, by_name, dictionary), PROBED)
    prompts = list(chain.from_iterable(pairs))
    if not prompts:
        return subject
    found = dict.fromkeys(SPELLINGS, 0)
    table = asked(subject, prompts, dictionary)
    for prompt, answer, kept in zip(prompts, table["answer"], table["kept"]):
        given = prompt.sample.answers(prompt.following)[0]
        for name, spell in SPELLINGS.items() if kept else ():
            found[name] += answer.lstrip().startswith(spell(given))
    return replace(subject, spelling=max(found, key=found.get))


def answered(subject, samples: list[Sample], dictionary) -> pd.DataFrame:
    """What the model answers to every sample under both instructions.

    Returns
    -------
    DataFrame
        model, sample, following, task, split, answer, outcome, kept (it follows), first (which answer the most likely first token begins:
        follow, competitor, or other), y_p, y_c, spelling (`prompts.SPELLINGS`), image (see `results.picture`). Samples that `decided` drops
        are left out; how many, which and why is printed.
    """
    prompts, dropped = decided(subject, samples, dictionary)
    tell(dropped, samples)
    prompts.sort(key=lambda prompt: prompt.following)
    return asked(subject, prompts, dictionary)


def tell(dropped: pd.DataFrame, samples) -> None:
    """Print how many of some samples are dropped, which, and why (columns sample, why)."""
    if len(dropped):
        reasons = dropped.groupby("why", sort=False)["sample"].unique()
        told = "; ".join(f"{', '.join(names)}: {why}" for why, names in reasons.items())
        tqdm.write(f"dropped {dropped['sample'].nunique()} of {len(samples)} samples: {told}")


def asked(subject, prompts, dictionary) -> pd.DataFrame:
    """What the model answers to some prompts: the rows of `asking` as one table, each prompt asked once and shared out in a `team`."""
    return results.gathered("answers", subject, prompts, lambda missing: (_answer(subject, prompt, dictionary) for prompt in missing))


def asking(subject, dictionary):
    """A function from a prompt to its row of `answered`; it asks the model once and remembers."""
    return results.remembered("answers", subject, lambda prompt: _answer(subject, prompt, dictionary))


def _answer(subject, prompt, dictionary) -> pd.DataFrame:
    answer, token = following.first_answer(subject, prompt)
    outcome = following.judged(answer, prompt, dictionary)
    record = {
        "task": prompt.sample.task, "split": prompt.sample.split, "answer": answer, "outcome": outcome, "kept": outcome == "follow",
        "first": {prompt.y_p: "follow", prompt.y_c: "competitor"}.get(token, "other"),
        "y_p": prompt.y_p, "y_c": prompt.y_c, "spelling": subject.spelling,
    }
    return _identified(pd.DataFrame([record]), subject, prompt)


def cohort(subject, samples, answers: pd.DataFrame, n: int, only_following: bool = True, skip: int = 0) -> list:
    """Prompts to measure: per direction the samples that the model answers as told (§2), `n` after the first `skip`.

    With ``only_following=False`` any sample counts (for models that cannot follow, as one with random weights).
    """
    prompts = []
    decidable = [sample for sample in samples if sample.id in set(answers["sample"])]
    for direction in ("text", "vision"):
        kept = following.filtered(answers, samples, direction) if only_following else decidable
        prompts += [subject.encode(sample, direction) for sample in kept[skip : skip + n]]
    return prompts


def failures(subject, samples: list[Sample], direction: str, n: int, dictionary, shares=(0.3, 0.35, 0.4, 0.45, 0.5, 0.55, 0.6, 0.65, 0.7)):
    """Prompts that the model answers with the competitor's answer: (prompt, share) pairs (§4.2.2).

    Natural failures first (share 0), as far as the samples reach; then, where the model allows it, samples whose
    instruction is weakened (`prompts.weaken`) by the smallest share of its mirror image at which the answer turns. There
    may be fewer than `n`.
    """
    ask = asking(subject, dictionary)
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
        for sample in others if prompts_.can_weaken(subject) else ():
            for share in shares if len(found) < n else ():
                try:
                    prompt = prompts_.weaken(subject, sample, direction, share)
                except Unusable:  # with the paper's wording, which may be longer than the sample's own
                    break
                if ask(prompt)["outcome"].item() == "competitor":
                    found.append((prompt, share))
                    bar.update()
                    break
    return found


def beliefs(subject, prompt, dictionary, stranger: Sample, **options) -> pd.DataFrame:
    """Φ_f and Φ_c in every layer (Eq. 8), at the instruction tokens and the last position.

    Parameters
    ----------
    stranger : Sample or None
        Whose answers the control reads (see `borrowed`); no control for None.
    **options
        ``top_k``, ``pooling``, ``norm`` of `lens.phi`.

    Returns
    -------
    DataFrame
        layer (−1 is the embedding), positions, dictionary ("own" or "shuffled"), phi_f, phi_c (logits).
    """
    residual = trace(subject, prompt).residual
    frames = []
    for source, sample in dictionaries(prompt, stranger):
        for name, own_options in (("instruction", options), ("last", options | {"top_k": 1})):
            place = prompt.groups.positions(name).to(residual.device)
            followed, competitor = signals(subject, prompt, dictionary, sample=sample, **own_options)
            frames.append(pd.DataFrame({
                "layer": range(-1, subject.n_layers), "positions": name, "dictionary": source,
                "phi_f": _numbers(followed(residual[:, place])), "phi_c": _numbers(competitor(residual[:, place])),
            }))
    return _identified(pd.concat(frames, ignore_index=True), subject, prompt)


def dictionaries(prompt, stranger: Sample | None) -> list[tuple[str, Sample]]:
    """Whose answers are read of a prompt: its own, and as a control the stranger's, if there is one."""
    return [(OWN, prompt.sample)] + ([] if stranger is None else [(SHUFFLED, stranger)])


def components(subject, prompt, dictionary, stranger: Sample, positions: str = "instruction", **options) -> pd.DataFrame:
    """Increments of the followed signal and of the margin by attention and MLP (Eqs. 10 and 11).

    Returns
    -------
    DataFrame
        layer, dictionary, attention_signal, mlp_signal, attention_margin, mlp_margin, and the signals after the layer
        signal_f, signal_c; all in logits.
    """
    activations = trace(subject, prompt)
    place = prompt.groups.positions(positions).to(activations.residual.device)
    residual, attention, mlp = (part[:, place] for part in (activations.residual, activations.attention, activations.mlp))
    frames = []
    for source, sample in dictionaries(prompt, stranger):
        followed, competitor = signals(subject, prompt, dictionary, sample=sample, **options)
        signal = sublayer_increments(residual[:-1], attention, mlp, followed)
        rival = sublayer_increments(residual[:-1], attention, mlp, competitor)
        frames.append(pd.DataFrame({
            "layer": range(subject.n_layers), "dictionary": source,
            "attention_signal": _numbers(signal[0]), "mlp_signal": _numbers(signal[1]),
            "attention_margin": _numbers(signal[0] - rival[0]), "mlp_margin": _numbers(signal[1] - rival[1]),
            "signal_f": _numbers(followed(residual[1:])), "signal_c": _numbers(competitor(residual[1:])),
        }))
    return _identified(pd.concat(frames, ignore_index=True), subject, prompt)


def critical_layers(n_layers: int) -> range:
    """The paper's layers 20–25 of 28, as the same part of any model's depth."""
    return range(20 * n_layers // 28, 25 * n_layers // 28 + 1)


def paths(subject, prompt, dictionary, layers: range, seed: int) -> pd.DataFrame:
    """Answers with the paths into the generated tokens closed across the deep layers (Fig. 5b).

    Returns
    -------
    DataFrame
        blocked ("none", "instruction→last", the instructed modality's own path, "random→last" with as many random
        sources as the instruction has tokens), answer, outcome.
    """
    own = {"vision": "vision", "text": "context"}[prompt.following]
    cases = {
        "none": [], "instruction→last": [Pathway("instruction", "last")], f"{own}→last": [Pathway(own, "last")],
        "random→last": [Pathway("instruction", "last", control=seed)],
    }
    answers = following.answers_without(subject, prompt, list(cases.values()), layers)
    rows = [{"blocked": blocked, "answer": answer, "outcome": following.judged(answer, prompt, dictionary)} for blocked, answer in zip(cases, answers)]
    return _identified(pd.DataFrame(rows), subject, prompt)


def _identified(table: pd.DataFrame, subject, prompt) -> pd.DataFrame:
    names = {"model": subject.name, "sample": prompt.sample.id, "following": prompt.following}
    return pd.concat([pd.DataFrame(names, index=table.index), table], axis=1)


def _numbers(values: torch.Tensor) -> np.ndarray:
    return values.detach().double().cpu().numpy()
