"""Entity dictionaries from WordNet and review, by language model where asked, and the table of
forms to judge.
"""

import json
from collections.abc import Mapping
from pathlib import Path

import pandas as pd

from arbitration.dataset import entities, mc2, own, sets
from arbitration.dataset.entities import OBJECTS, TASK_KINDS
from arbitration.dataset.sample import MODALITIES
from arbitration.dataset.sets import file_beside
from arbitration.dictionary import endpoint, sheet, wordnet
from arbitration.dictionary.ask import AskedAnswer, judged
from arbitration.files import atomic
from arbitration.files.folders import DATA
from arbitration.files.given import parse_json, quote, quote_error

#: The kind of answers of samples that tell no task.
UNTOLD = "any"


def vocabulary() -> dict[str, list[str]]:
    """Every word the scenes can have as an answer, by kind."""
    icons = json.loads((DATA / "scenes" / "icons.json").read_text(encoding="utf-8"))
    sides = json.loads((DATA / "scenes" / "templates.json").read_text(encoding="utf-8"))["sides"]
    concepts = icons["concepts"]
    return {
        **{kind: list(concepts[kind]) for kind in (*OBJECTS, "shape", "sport")},
        "activity": list(dict.fromkeys([*concepts["actp"], *concepts["acti"]])),
        "sentiment": list(concepts["sent"]),
        "colour": list(icons["colours"]),
        "number": list(icons["numbers"]),
        "side": list(sides),
    }


def answered(name: str | Path) -> list[tuple[str, str, str]]:
    """Task, question and answer of every sample of a set, twice each, in all splits. No picture of
    MC² is needed for it.
    """
    if name == "scenes":
        samples = [sample for split in sets.SPLITS for sample in sets.load(name, split)]
        return [
            (sample.task, sample.question, answer)
            for sample in samples
            for answer in sample.answers("vision")
        ]
    if name == "mc2" or sets.source(name).suffix == ".json":
        records = map(mc2.cleaned, mc2.read(None if name == "mc2" else name))
        return [
            (record["task"], record["question"], record[f"answer_{way}"])
            for record in records
            for way in MODALITIES
        ]
    samples = own.load_own(name, None)
    return [
        (sample.task, sample.question, answer)
        for sample in samples
        for answer in sample.answers("vision")
    ]


def list_answers(name: str | Path) -> dict[str, dict[str, list[str]]]:
    """The answers of a set, by kind, each with the questions that it answers.

    Kinds of things are known of the scenes, for all words that they may ever have as an answer; of
    other sets the kind is the task.
    """
    found = {}
    if name == "scenes":
        for kind, group in vocabulary().items():
            found[kind] = {word: [] for word in group}
    for task, question, answer in answered(name):
        kind = task or UNTOLD
        if name == "scenes":
            kind = next(kind for kind in TASK_KINDS[task] if answer in found[kind])
        questions = found.setdefault(kind, {}).setdefault(answer, [])
        if question not in questions:
            questions.append(question)
    return found


def make(
    words: Mapping,
    reader,
    review: Mapping,
    accepted: Mapping | None = None,
    source: str = wordnet.SOURCE,
) -> dict:
    """Make a dictionary from WordNet.

    Parameters
    ----------
    words : mapping of str to iterable of str
        The answers, by kind (`wordnet.KINDS`, or any other).
    reader : WordNetCorpusReader
    review : mapping
        ``senses[kind][word]``: the WordNet sense to take instead of the first that fits;
        ``rejected[kind][word]``: forms that mislead; ``zh[kind][word]``: Chinese forms.
    accepted : mapping, optional
        What a language model chose (`ask.judged`), in place of the synonyms of one sense.
    source : str
        Where the forms are from, for readers of the file.

    Returns
    -------
    dict
        ``{"source": …, "entries": {kind: {word: {"sense": …, "en": […], "zh": […]}}}}``.
    """
    entries = {}
    for kind, group in words.items():
        entries[kind] = {}
        for word in group:
            sense = wordnet.sense(reader, word, kind, _of(review["senses"], kind, word, None))
            chosen = (
                accepted[kind][word]
                if accepted
                else {"en": wordnet.forms(reader, word, sense), "zh": []}
            )
            rejected = _of(review["rejected"], kind, word, [])
            english = [form for form in chosen["en"] if form.lower() != word.lower()]
            chinese = dict.fromkeys([*_of(review["zh"], kind, word, []), *chosen["zh"]])
            english = [form for form in english if form not in rejected]
            chinese = [form for form in chinese if form not in rejected]
            named = sense.name() if sense else None
            entries[kind][word] = {"sense": named, "en": [word, *english], "zh": chinese}
    return {"source": source, "entries": entries}


def offered(words: Mapping, reader) -> list[AskedAnswer]:
    """The answers as a language model is asked about them."""
    return [
        AskedAnswer(kind, word, tuple(wordnet.related(reader, word, kind)), tuple(questions))
        for kind, group in words.items()
        for word, questions in group.items()
    ]


def without(entries: Mapping, rejected: Mapping) -> dict:
    """Entries without the forms of ``rejected[kind][word]``; the word itself stays."""
    kept = {}
    for kind, group in entries.items():
        kept[kind] = {}
        for word, entry in group.items():
            wrong = {*_of(rejected, kind, word, [])} - {word}
            forms = {}
            for language in sheet.LANGUAGES:
                forms[language] = [form for form in entry.get(language, []) if form not in wrong]
            kept[kind][word] = entry | forms
    return kept


def write_dictionary(name: str | Path, ask: bool = False) -> tuple[Path, pd.DataFrame | None]:
    """Make the dictionary of a set and write it beside its samples.

    Parameters
    ----------
    name : str or Path
        As `sets.load` takes it.
    ask : bool
        Let a language model choose synonyms and name Chinese forms.

    Returns
    -------
    Path, and the record of `ask.judged` or None
    """
    where = endpoint.from_environment() if ask else None
    review, found = _review(name), list_answers(name)
    reader = wordnet.reader()
    accepted, record, source = (
        None,
        None,
        wordnet.SOURCE if name == "scenes" else wordnet.UNREVIEWED,
    )
    if where:
        accepted, record = judged(offered(found, reader), where, file_beside(name, "asked.jsonl"))
        source = f"{wordnet.UNREVIEWED}; chosen, and Chinese forms added, by {where.model}"
    path = file_beside(name, entities.FILE)
    atomic.write_whole(path, as_text(make(found, reader, review, accepted, source)).encode())
    return path, record


def as_text(made: Mapping) -> str:
    """The file's text: one line a word, so that a change shows as a line."""
    kinds = []
    for kind, group in made["entries"].items():
        lines = ",\n".join(
            f"   {json.dumps(word, ensure_ascii=False)}: {json.dumps(entry, ensure_ascii=False)}"
            for word, entry in group.items()
        )
        kinds.append(f"  {json.dumps(kind, ensure_ascii=False)}: {{\n{lines}\n  }}")
    return (
        "{\n"
        f' "source": {json.dumps(made["source"], ensure_ascii=False)},\n "entries": {{\n'
        + ",\n".join(kinds)
        + "\n }\n}\n"
    )


def draw_sheet(name: str | Path, size: int, seed: int) -> Path:
    """Write the table of forms to judge beside the samples.

    Raises
    ------
    ValueError
        If there is no dictionary, no form to judge, or a table already.
    """
    path = file_beside(name, "sheet.csv")
    if path.exists():
        why = (
            f"{path} is there already, perhaps with judgements in it; read it with --judged, "
            f"or move it away"
        )
        raise ValueError(why)
    sheet.write_sheet(path, _made(name)["entries"], list_answers(name), size, seed)
    return path


def judge(name: str | Path) -> pd.DataFrame:
    """Read the filled table, drop the forms judged wrong, and keep them out when the dictionary is
    made again.

    Returns
    -------
    DataFrame
        `sheet.agreement`.
    """
    made, review = _made(name), _review(name)
    table = sheet.read_sheet(file_beside(name, "sheet.csv"), made["entries"], review["rejected"])
    for row in table[~table["right"]].itertuples():
        forms = review["rejected"].setdefault(row.kind, {}).setdefault(row.answer, [])
        if row.form not in forms:
            forms.append(row.form)
    if not table["right"].all():
        atomic.write_whole(
            file_beside(name, "review.json"),
            json.dumps(review, ensure_ascii=False, indent=1).encode(),
        )
        entries = without(made["entries"], review["rejected"])
        atomic.write_whole(
            file_beside(name, entities.FILE), as_text(made | {"entries": entries}).encode()
        )
    return sheet.agreement(table)


def _of(part: Mapping, kind: str, word: str, default):
    return part.get(kind, {}).get(word, default)


def _review(name) -> dict:
    """What a reader decided about a set's forms."""
    path, empty = file_beside(name, "review.json"), {"senses": {}, "rejected": {}, "zh": {}}
    if not path.exists():
        return empty
    try:
        return empty | _checked(parse_json(path.read_bytes()))
    except ValueError as error:
        why = f"{path} is no review ({quote_error(error)}); correct it, or delete it"
        raise ValueError(why) from error


def _checked(review) -> dict:
    """A review's file; ValueError with what is wrong in it."""
    if not isinstance(review, dict) or review.keys() - {"about", "senses", "rejected", "zh"}:
        why = "it is no object with senses, rejected, zh and, for readers, about"
        raise ValueError(why)
    for part in review.keys() - {"about"}:
        kinds = review[part]
        groups = kinds.values() if isinstance(kinds, dict) else [None]
        for group in groups:
            decided = group.values() if isinstance(group, dict) else [None]
            wrong = [one for one in decided if not _is_decision(one, part)]
            if wrong:
                what = "a name of a sense" if part == "senses" else "a list of forms"
                why = f"{part} has for each kind and answer {what}, and not {quote(wrong[0])}"
                raise ValueError(why)
    return review


def _is_decision(value, part: str) -> bool:
    if part == "senses":
        return isinstance(value, str)
    return isinstance(value, list) and all(isinstance(form, str) for form in value)


def _made(name) -> dict:
    """The dictionary's file as it is."""
    path = file_beside(name, entities.FILE)
    if not path.exists():
        why = f"there is no dictionary {path} yet; make it: python -m arbitration.dictionary {name}"
        raise ValueError(why)
    entities.read_dictionary(path)
    return {"source": "unknown"} | parse_json(path.read_bytes())
