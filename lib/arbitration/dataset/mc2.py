"""MC², the paper's conflict set (§2): its texts from the authors' repository, its photographs from
COCO 2014.

Neither is shipped, since no licence is stated for the texts. Both are read from disk where they
are, or downloaded once. The texts are cleaned (`DIRT` says of what), and samples whose text says
more or less than it should are flagged and kept.
"""

import io
import json
import re
from collections.abc import Callable, Iterable
from pathlib import Path

import pandas as pd
from tqdm.auto import tqdm

from arbitration.dataset import pictures, words
from arbitration.dataset.faults import refuse, text_faults
from arbitration.dataset.sample import PAPER_INSTRUCTION, WHOLE, Sample
from arbitration.files import atomic, checksums, web
from arbitration.files.folders import cache
from arbitration.files.given import find_path, parse_json, quote, quote_error

REPOSITORY = "EchoDreamer/Modality-Preference"
FILE = "data/evaluate_final.json"
NEWEST = f"https://api.github.com/repos/{REPOSITORY}/commits/HEAD"
RAW = f"https://raw.githubusercontent.com/{REPOSITORY}"
#: COCO's own address has no certificate; the checksum of the first download stands in for one after
#: that.
COCO = "http://images.cocodataset.org"
PARTS = ("train2014", "val2014")
#: The fields of a record, each with what would be right, for messages.
FIELDS = {
    "image_id": "write the photograph's COCO number",
    "task": "write the kind of question",
    "question": "write what is asked about photograph and text",
    "answer_vision": "write what the photograph answers",
    "answer_text": "write what the text answers",
    "context": "write the text that contradicts the photograph",
}
#: What may be wrong with a record, and what `load_mc2` does about it. The keys are the columns of
#: `flags`.
DIRT = {
    "answer_vision_edges": ("white space around the visual answer", "dropped"),
    "answer_text_edges": ("white space around the textual answer", "dropped"),
    "context_edges": ("white space around the context", "dropped"),
    "question_edges": ("white space around the question", "dropped"),
    "question_space": ("white space before the question mark", "dropped"),
    "capitals": ("a capital letter in an answer", "lower case, as in all others"),
    "digits": ("a whole number below 100 in digits in an answer", "spelt out, as in all others"),
    "repeated": ("the photograph of an earlier sample again", "kept"),
    "leaks": ("the visual answer is in the context, word for word", "kept"),
    "absent": ("the textual answer is not in the context, word for word", "kept"),
    "nested": ("one answer has the other in it, so that an answer may name both", "kept"),
}


def load_mc2(
    path: str | Path | None = None,
    pictures: str | Path | None = None,
    get: Callable[[str], bytes] = web.body,
) -> list[Sample]:
    """The samples of MC², cleaned, with their photographs at hand; prints how many were cleaned,
    and how many are flagged.

    Parameters
    ----------
    path : str or Path, optional
        The texts, as `read` takes them; downloaded unless given.
    pictures : str or Path, optional
        A folder with COCO's ``train2014/`` or ``val2014/`` or both. Unless given, the folder of
        `path` if it has one of them; else the photographs are downloaded one by one into the cache,
        and a stopped download goes on where it stopped.
    get : callable
        Address to content, for tests.

    Returns
    -------
    list of Sample
        In the file's order, with the paper's instructions. The id is the place in the file
        (``mc2-0000`` is the first); MC² has no splits.

    Raises
    ------
    ValueError
        If the texts are not what they should be, or a photograph cannot be read.
    FileNotFoundError
        If the folder lacks photographs, or there is no file `path`.
    ConnectionError
        If something is neither here nor to be had; says how to get it.
    """
    records = read(path, get)
    beside = find_path(path).parent if path else None
    if pictures is None and beside and any((beside / part).is_dir() for part in PARTS):
        pictures = beside
    numbers = list(dict.fromkeys(record["image_id"] for record in records))
    photographs = (
        _fetched(numbers, get) if pictures is None else _found(numbers, find_path(pictures))
    )
    wordings = {f"instruction_{way}": wording for way, wording in PAPER_INSTRUCTION.items()}
    samples = []
    for place, record in enumerate(map(cleaned, records)):
        image = str(photographs[record.pop("image_id")])
        samples.append(Sample(id=_name(place), split=WHOLE, image=image, **record, **wordings))
    tqdm.write(_summary(flags(records)))
    return samples


def read(
    path: str | Path | None = None, get: Callable[[str], bytes] = web.body
) -> list[dict[str, str]]:
    """The records of MC² as they are written, checked.

    Parameters
    ----------
    path : str or Path, optional
        A JSON file: a list of objects with the fields of `FIELDS`. Unless given, the authors' file,
        downloaded at first use.

    Returns
    -------
    list of dict
        Only the fields of `FIELDS`; ``image_id`` with leading zeros to twelve digits.

    Raises
    ------
    ValueError
        With a line for each record that is not as it should be.
    FileNotFoundError
        If there is no such file.
    ConnectionError
        If there is no path, nothing in the cache and no download.
    """
    file = fetch_texts(get) if path is None else find_path(path)
    if not file.is_file():
        why = f"there is no file {file}; relative paths start from {Path.cwd()}"
        raise FileNotFoundError(why)
    return _records(file.read_bytes(), file)


def list_mc2_pictures(file: Path) -> list[Path]:
    """The photographs that lie beside a file of MC²'s texts, each once; nothing is checked but the
    texts.
    """
    numbers = dict.fromkeys(record["image_id"] for record in read(file))
    return [path for number in numbers for path in _places(number, file.parent) if path.is_file()]


def fetch_texts(get: Callable[[str], bytes] = web.body) -> Path:
    """The authors' file of texts in the cache: downloaded once, its revision and checksum recorded,
    never asked for again.
    """
    file = cache() / "mc2" / Path(FILE).name
    pin = file.with_name("revision")
    if checksums.is_whole(file):
        return file
    try:
        if not pin.exists() or not pin.read_text(encoding="utf-8").strip():
            atomic.write_whole(pin, _newest(get))
        revision = pin.read_text(encoding="utf-8").strip()
        return web.kept(
            f"{RAW}/{revision}/{FILE}", file, lambda content: _records(content, file), get
        )
    except ConnectionError as error:
        why = (
            f"the texts of MC² ({FILE} of the GitHub repository {REPOSITORY}) are not in "
            f"the cache folder {file.parent} and could not be downloaded:"
            f" {error}. Connect to the network and run this again, or give the path of the "
            f"file where you have it. The set 'scenes' needs no download"
        )
        raise ConnectionError(why) from error


def cleaned(record: dict[str, str]) -> dict[str, str]:
    """A record without the dirt that `DIRT` says is removed."""
    tidy = {name: value.strip() for name, value in record.items()}
    tidy["question"] = re.sub(r"\s+\?", "?", tidy["question"])
    return tidy | {
        name: words.number_words(tidy[name].lower()) for name in ("answer_vision", "answer_text")
    }


def flags(records: list[dict[str, str]]) -> pd.DataFrame:
    """What is wrong with each record.

    The last three kinds are judged after cleaning, in whole words, without case and punctuation, as
    answers are.

    Parameters
    ----------
    records : list of dict
        As `read` gives them.

    Returns
    -------
    DataFrame
        One row per record: sample (its id), task, and a column of booleans for each kind of `DIRT`.
    """
    rows, seen = [], set()
    for place, record in enumerate(records):
        tidy = cleaned(record)
        answers = record["answer_vision"], record["answer_text"]
        vision, text = tidy["answer_vision"], tidy["answer_text"]
        edges = {
            f"{name}_edges": record[name] != record[name].strip()
            for name in ("answer_vision", "answer_text", "context", "question")
        }
        capitals = any(answer != answer.lower() for answer in answers)
        digits = any(words.number_words(answer) != answer for answer in answers)
        dirt = {
            "question_space": re.search(r"\s\?", record["question"]) is not None,
            "capitals": capitals,
            "digits": digits,
            "repeated": record["image_id"] in seen,
            "leaks": words.names(tidy["context"], vision),
            "absent": not words.names(tidy["context"], text),
            "nested": words.names(vision, text) or words.names(text, vision),
        }
        rows.append({"sample": _name(place), "task": tidy["task"]} | edges | dirt)
        seen.add(record["image_id"])
    return pd.DataFrame(rows, columns=["sample", "task", *DIRT])


def report(flagged: pd.DataFrame) -> pd.DataFrame:
    """The kinds of dirt with their counts.

    Parameters
    ----------
    flagged : DataFrame
        From `flags`.

    Returns
    -------
    DataFrame
        One row per kind, indexed by its column in `flagged`: what, samples (how many have it),
        share (of all), done (what `load_mc2` does).
    """
    what, done = zip(*DIRT.values())
    counts = [int(flagged[kind].sum()) for kind in DIRT]
    shares = [count / max(len(flagged), 1) for count in counts]
    return pd.DataFrame(
        {"what": what, "samples": counts, "share": shares, "done": done},
        index=pd.Index(DIRT, name="dirt"),
    )


def _summary(flagged: pd.DataFrame) -> str:
    """What was cleaned and what was only flagged, in a sentence."""
    kept = {kind: int(flagged[kind].sum()) for kind, (_, done) in DIRT.items() if done == "kept"}
    cleaned = flagged[[kind for kind in DIRT if kind not in kept]].any(axis=1).sum()
    told = ", ".join(f"{kind} {count}" for kind, count in kept.items())
    return (
        f"MC²: {len(flagged)} samples, {cleaned} of them cleaned; kept and flagged: {told} "
        f"(arbitration.mc2.report says what these are)"
    )


def _name(place: int) -> str:
    return f"mc2-{place:04d}"


def _records(content: bytes, file: Path) -> list[dict[str, str]]:
    """The checked records of a file's content; record numbers in messages start from 0, as places
    in the list do.
    """
    try:
        records = parse_json(content)
    except ValueError as error:
        why = (
            f"{file} is not valid JSON ({quote_error(error)}); MC²'s file is one list of objects. "
            f"Own samples, one object a line, go into a .jsonl file"
        )
        raise ValueError(why) from error
    if (
        not isinstance(records, list)
        or not records
        or not all(isinstance(record, dict) for record in records)
    ):
        why = f"{file} is no list of objects with the fields {', '.join(FIELDS)}"
        raise ValueError(why)
    records = [{name: record.get(name) for name in FIELDS} for record in records]
    faults = [
        (place, fault)
        for place, record in enumerate(records)
        for fault in text_faults(record, FIELDS, FIELDS)
    ]
    for place, record in enumerate(records):
        number = record["image_id"]
        if (
            isinstance(number, str)
            and number.strip()
            and not re.fullmatch("[0-9]{1,12}", number.strip())
        ):
            faults.append(
                (place, f"image_id is {quote(number)}; {FIELDS['image_id']}, up to twelve digits")
            )
    refuse(f"{file.name}, record", faults, file)
    return [record | {"image_id": record["image_id"].strip().zfill(12)} for record in records]


def _newest(get: Callable[[str], bytes]) -> str:
    """The revision that the repository is at now."""
    content = get(NEWEST)
    try:
        revision = json.loads(content)["sha"]
        if not re.fullmatch(r"\w+", revision):
            raise ValueError(revision)
    except (ValueError, LookupError, TypeError) as error:
        why = f"{NEWEST} names no revision ({error!r})"
        raise ConnectionError(why) from error
    return revision


def _places(number: str, folder: Path) -> list[Path]:
    """Where a photograph may lie in a folder of COCO 2014."""
    return [folder / part / f"COCO_{part}_{number}.jpg" for part in PARTS]


def _found(numbers: Iterable[str], folder: Path) -> dict[str, Path]:
    """The photographs in a folder, every one of them decoded once."""
    found = {
        number: next(filter(Path.is_file, _places(number, folder)), None) for number in numbers
    }
    missing = [number for number, path in found.items() if path is None]
    if missing:
        places = [str(path.relative_to(folder)) for path in _places(missing[0], folder)]
        why = (
            f"{len(missing)} of {len(found)} photographs of MC² are not in {folder}: "
            f"{', '.join(missing[:3])}{' …' if len(missing) > 3 else ''}."
            f" Looked for {' and '.join(places)}; add them (COCO 2014, train and val images)"
        )
        raise FileNotFoundError(why)
    faults = [
        (int(number), fault)
        for number, path in tqdm(found.items(), desc="checking photographs")
        if (fault := pictures.find_fault(path))
    ]
    refuse("photograph", faults, folder)
    return found


def _fetched(numbers: list[str], get: Callable[[str], bytes]) -> dict[str, Path]:
    """The photographs in the cache, each downloaded unless it is there."""
    folder, found = cache() / "mc2", {}
    for number in tqdm(numbers, desc="photographs of MC²"):
        try:
            found[number] = _photograph(number, folder, get)
        except ConnectionError as error:
            why = (
                f"{len(found)} of {len(numbers)} photographs of MC² were brought to "
                f"{folder} so far; the next could not be downloaded: {error}."
                f" Run this again to go on from there, or give a folder with COCO 2014's "
                f"{PARTS[0]}/ and {PARTS[1]}/: put the file of MC²'s texts"
                f" beside them and give its path. The set 'scenes' needs no download"
            )
            raise ConnectionError(why) from error
    return found


def _photograph(number: str, folder: Path, get: Callable[[str], bytes]) -> Path:
    """One photograph, from whichever part of COCO has it."""
    places = _places(number, folder)
    # One that is here needs no question to the server about the other part.
    places = [path for path in places if path.exists()] or places
    for path in places:
        try:
            return web.kept(
                f"{COCO}/{path.parent.name}/{path.name}",
                path,
                lambda content: pictures.read_picture(io.BytesIO(content)),
                get,
            )
        except web.Absent as error:
            absent = error
    raise absent
