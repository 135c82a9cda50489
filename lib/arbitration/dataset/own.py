"""Conflict samples that a reader brings: ``samples.jsonl`` or ``samples.parquet`` in a folder, the
pictures beside it.

One JSON object a line, or one row; every value is text. White space around a value is dropped.

==================  ========  ======================================================================
field               required  meaning
==================  ========  ======================================================================
question            yes       what is asked; picture and text answer it differently
context             yes       the text that contradicts the picture
answer_vision       yes       what the picture answers, a word or a short phrase
answer_text         yes       what the text answers
image               yes       the picture's path, relative to the folder of the samples file
id                  no        the sample's name in every table: letters, digits, ``.``, ``_``,
                              ``-``; no two alike, also but for case. ``line-0007`` (``row-0007``
                              in parquet) unless given
task                no        the kind of question, by which samples are balanced; empty unless
                              given
split               no        a part of the set, to be chosen when it is loaded: in every sample
                              or in none
instruction_vision  no        the instruction to follow the picture; the paper's wording unless
                              given
instruction_text    no        the instruction to follow the text; the paper's wording unless given
==================  ========  ======================================================================
"""

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import pyarrow.parquet

from arbitration.dataset.faults import HALF, find_half, refuse, text_faults
from arbitration.dataset.outcomes import find_pair_fault
from arbitration.dataset.pictures import find_fault
from arbitration.dataset.sample import PAPER_INSTRUCTION, WHOLE, Sample
from arbitration.files.given import find_path, parse_json, quote, quote_error

#: What would be right, for messages.
FIELDS = {
    "question": "write what is asked about picture and text",
    "context": "write the text that contradicts the picture",
    "answer_vision": "write what the picture answers",
    "answer_text": "write what the text answers",
    "image": "write the picture's path, relative to the folder of this file",
    "id": "write a name that no other sample has, or leave the field out",
    "task": "write the kind of question, or leave the field out",
    "split": "write the part of the set, or leave the field out",
    "instruction_vision": "write the instruction to follow the picture, or leave the field out",
    "instruction_text": "write the instruction to follow the text, or leave the field out",
}
REQUIRED = ("question", "context", "answer_vision", "answer_text", "image")
NAMES = ("samples.jsonl", "samples.parquet")


def load_own(path: str | Path, split: str | None) -> list[Sample]:
    """The samples of a file, every one of them checked before the first is returned.

    Parameters
    ----------
    path : str or Path
        A folder that holds ``samples.jsonl`` or ``samples.parquet``, or such a file under any name.
    split : str or None
        Which part, if the samples name their split; all samples for None, and of a file without
        splits.

    Raises
    ------
    ValueError
        With a line for each thing that is wrong, or if no sample is of that split.
    FileNotFoundError
        If there is no such file.
    """
    file = samples_file(find_path(path))
    unit, read = ("row", _rows) if file.suffix == ".parquet" else ("line", _lines)
    numbered = list(read(file))
    if not numbered:
        why = f"{file} holds no sample; write one {unit} for each"
        raise ValueError(why)
    faults = [(number, fault) for number, _, fault in numbered if fault]
    records = {number: record for number, record, fault in numbered if not fault}
    pictures: dict[Path, str | None] = {}
    for number, record in records.items():
        faults += [(number, fault) for fault in text_faults(record, FIELDS, REQUIRED)]
        faults += [(number, fault) for fault in _own_faults(record, file.parent, pictures)]
    names = {
        number: _text(record, "id") or f"{unit}-{number:04d}" for number, record in records.items()
    }
    faults += _repeated(names, unit) + _without_split(records, unit)
    refuse(f"{file.name}, {unit}", faults, file)
    return _in_split(
        [_sample(names[number], record, file.parent) for number, record in records.items()],
        split,
        file,
    )


def list_own_pictures(file: Path) -> list[Path]:
    """Where the pictures of a samples file should be, each once; nothing is checked."""
    records = [
        record
        for _, record, fault in (_rows if file.suffix == ".parquet" else _lines)(file)
        if not fault
    ]
    return list(dict.fromkeys(file.parent / _text(record, "image") for record in records))


def samples_file(path: Path) -> Path:
    """The samples file that a path means.

    Raises
    ------
    ValueError, FileNotFoundError
        If it means none; says what would be right.
    """
    if path.is_dir():
        found = [path / name for name in NAMES if (path / name).is_file()]
        if not found:
            why = (
                f"the folder {path} has neither {NAMES[0]} nor {NAMES[1]}; write one of them "
                f"into it"
            )
            raise FileNotFoundError(why)
        if len(found) == 2:
            why = (
                f"the folder {path} has both {NAMES[0]} and {NAMES[1]}; give the path of the "
                f"one you mean"
            )
            raise ValueError(why)
        return found[0]
    if path.suffix not in (".jsonl", ".parquet"):
        why = (
            f"{path} is no samples file; give a .jsonl or .parquet file, or the folder of "
            f"{NAMES[0]} or {NAMES[1]}"
        )
        raise ValueError(why)
    if not path.is_file():
        why = f"there is no file {path}; relative paths start from {Path.cwd()}"
        raise FileNotFoundError(why)
    return path


def _lines(file: Path) -> Iterator[tuple[int, dict | None, str | None]]:
    """(line number from 1, record, what is wrong with the line) of every line that is not blank."""
    for number, line in enumerate(file.read_bytes().split(b"\n"), start=1):
        try:
            text = line.decode("utf-8-sig").strip()
            record = parse_json(text) if text else None
        except UnicodeDecodeError:
            yield number, None, "not written in UTF-8; save the file in that encoding"
            continue
        except ValueError as error:
            yield (
                number,
                None,
                f"not valid JSON ({quote_error(error)}); write one whole {{…}} object on each line",
            )
            continue
        if text:
            fault = (
                None
                if isinstance(record, dict)
                else f"{quote(record)} is no sample; write one {{…}} object on each line"
            )
            yield number, record, fault


def _rows(file: Path) -> Iterator[tuple[int, dict | None, str | None]]:
    """(row number from 1, record, None) of every row of a parquet file."""
    try:
        rows = pyarrow.parquet.read_table(file).to_pylist()
    except (OSError, ValueError, NotImplementedError) as error:
        why = (
            f"{file} cannot be read as parquet ({quote_error(error)}); write it again, or give a "
            f".jsonl file"
        )
        raise ValueError(why) from error
    for number, row in enumerate(rows, start=1):
        yield number, row, None


def _text(record: Mapping, name: str) -> str:
    """A field's text without the white space around it; empty if there is none."""
    value = record.get(name)
    return value.strip() if isinstance(value, str) else ""


def _own_faults(record: Mapping, folder: Path, pictures: dict[Path, str | None]) -> Iterator[str]:
    """What is wrong with the picture, the answers and the name of one record; pictures are looked
    at once.
    """
    if image := _text(record, "image"):
        if Path(image).is_absolute():
            yield f"image is the absolute path {quote(image)}; {FIELDS['image']}"
        elif outside := _find_outside(folder, image):
            yield (
                f"image {quote(image)} leads out of the folder of this file, to {outside}; put the "
                f"picture itself into the folder"
            )
        else:
            path = folder / image
            if path not in pictures:
                pictures[path] = find_fault(path)
            if pictures[path]:
                yield (
                    f"image {quote(image)}: {pictures[path]}; write the path of a picture that "
                    f"opens, relative to the folder of this file"
                )
    answers = [_text(record, name) for name in ("answer_vision", "answer_text")]
    fault = find_pair_fault(*answers) if all(answers) else None
    if fault:
        yield f"answer_vision and answer_text: {fault}"
    name = _text(record, "id")
    # Results are kept in files that bear the sample's name, which may have 255 bytes in all.
    if name and (not re.fullmatch(r"\w[\w.-]{0,49}", name) or len(name.encode()) > 150):
        yield (
            f"id {quote(name)} cannot be part of a file name; use up to 50 letters, digits, '.', "
            f"'_' and '-', a letter or digit first"
        )


def _find_outside(folder: Path, image: str) -> Path | None:
    """Where a picture lies that is not in the folder of its set, by its path or by a link."""
    try:
        path = find_path(folder / image)
    except ValueError:
        return None  # `find_fault` says so
    return None if path.is_relative_to(folder.resolve()) else path


def _repeated(names: dict[int, str], unit: str) -> list[tuple[int, str]]:
    """Names given twice. Case does not tell two names apart, because it does not in the file names
    of some systems.
    """
    first: dict[str, int] = {}
    faults = []
    for number, name in names.items():
        earlier = first.setdefault(name.casefold(), number)
        if earlier != number:
            faults.append(
                (
                    number,
                    (
                        f"id {name!r} is also that of {unit} {earlier} (case does not count); "
                        f"{FIELDS['id']}"
                    ),
                )
            )
    return faults


def _without_split(records: dict[int, Mapping], unit: str) -> list[tuple[int, str]]:
    """Samples that name no split beside others that do."""
    without = [number for number, record in records.items() if record.get("split") is None]
    named = next((number for number, record in records.items() if _text(record, "split")), None)
    return [
        (
            number,
            (
                f"split is missing, although {unit} {named} has one; give it to every sample "
                f"or to none"
            ),
        )
        for number in without
        if named
    ]


def _sample(name: str, record: Mapping, folder: Path) -> Sample:
    text = {field: _text(record, field) for field in Sample.__dataclass_fields__}
    defaults = {
        "split": WHOLE,
        **{f"instruction_{way}": wording for way, wording in PAPER_INSTRUCTION.items()},
    }
    chosen = {field: text[field] or default for field, default in defaults.items()}
    return Sample(**{**text, **chosen, "id": name, "image": str(folder / text["image"])})


def _in_split(samples: list[Sample], split: str | None, file: Path) -> list[Sample]:
    chosen = [sample for sample in samples if split is None or sample.split in (split, WHOLE)]
    if not chosen:
        counted = Counter(sample.split for sample in samples)
        known = ", ".join(f"{name!r} ({count})" for name, count in counted.items())
        why = (
            f"no sample of {file} is of the split {split!r}; its splits (and how many samples "
            f"each has): {known}"
        )
        raise ValueError(why)
    return chosen


OWN = "own"


def own_conflict(
    scene: Sample,
    image: str = "",
    question: str = "",
    context: str = "",
    answers: Sequence[str] = (),
    instruction: str = "",
) -> Sample:
    """A scene, or a reader's own conflict in its place.

    Parameters
    ----------
    image, question, context : str
        Path of the picture, the question, and the text; what is empty is the scene's.
    answers : sequence of str
        What the picture answers and what the text answers; the scene's if none of the three is
        changed.
    instruction : str
        The modality sentence in the reader's words, whichever modality it names; the scene's if
        empty.

    Raises
    ------
    ValueError
        If one of them is no text, or holds half a character; if picture, question or context is
        changed and the two answers are not given, or cannot be told apart; or if the picture cannot
        be read.
    FileNotFoundError
        If there is no such picture.
    """
    answers = [answers] if isinstance(answers, str) else list(answers)
    words = {"question": question, "context": context, "instruction": instruction}
    written = {"image": image, **words}
    for name, value in [*written.items(), *(("answers", answer) for answer in answers)]:
        if fault := _find_text_fault(value):
            why = f"{name}: {quote(value)} {fault}"
            raise ValueError(why)
    given = {name: value.strip() for name, value in written.items() if value.strip()}
    if instruction := given.pop("instruction", ""):
        scene = replace(scene, id=OWN, instruction_vision=instruction, instruction_text=instruction)
    if not given and not answers:
        return scene
    if len(answers) != 2 or not all(answers):
        why = (
            f"{', '.join(given) or 'answers'} given, and answers={quote(answers)}; also say "
            f"both answers, the picture's and the text's: ['apple', 'pear']"
        )
        raise ValueError(why)
    fault = find_pair_fault(*answers)
    if fault:
        why = f"answers: {fault}"
        raise ValueError(why)
    if "image" in given:
        given["image"] = str(find_path(given["image"]))
        if not Path(given["image"]).is_file():
            why = f"there is no picture {quote(image)} (looked for {given['image']})"
            raise FileNotFoundError(why)
        fault = find_fault(Path(given["image"]))
        if fault:
            why = f"image {quote(image)}: {fault}; give another picture"
            raise ValueError(why)
    return replace(
        scene,
        id=OWN,
        task=OWN,
        split=OWN,
        answer_vision=answers[0],
        answer_text=answers[1],
        **given,
    )


def _find_text_fault(value) -> str | None:
    """Why something typed cannot be put to a model, or None."""
    if not isinstance(value, str):
        return "is no text; write it in quotes"
    if half := find_half(value):
        return f"holds {HALF.format(ord(half))}"
    return None
