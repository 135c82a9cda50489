"""What of a repository is on this machine, found in the hub's cache without asking the network."""

import re
from concurrent.futures import ThreadPoolExecutor
from math import prod
from pathlib import Path

from huggingface_hub import constants
from huggingface_hub.file_download import repo_folder_name

from arbitration.files.checksums import digest
from arbitration.files.given import parse_json

#: One file of each is needed; which one depends on the checkpoint.
ONE_OF = {
    "tokenizer": ("tokenizer.json", "tokenizer.model", "vocab.json", "vocab.txt", "spiece.model"),
    "processor": ("preprocessor_config.json", "processor_config.json"),
}
INDEX, SINGLE = "model.safetensors.index.json", "model.safetensors"


def folders(repository: str) -> list[Path]:
    """The revisions of a repository that are here, whole or not: the one that is called main, then
    the newest first.
    """
    home = Path(constants.HF_HUB_CACHE) / repo_folder_name(repo_id=repository, repo_type="model")
    found = [folder for folder in (home / "snapshots").glob("*") if folder.is_dir()]
    note = home / "refs" / "main"
    main = note.read_text(encoding="utf-8").strip() if note.is_file() else ""
    return sorted(found, key=lambda one: (one.name == main, one.stat().st_mtime), reverse=True)


def complete(repository: str, revision: str | None = None, weights: bool = True) -> Path | None:
    """The folder of a revision (unless given, the first of `folders`) that lacks nothing, or
    nothing but weights; None if none does.
    """
    some = (folder for folder in folders(repository) if revision in (None, folder.name))
    return next((folder for folder in some if not lacking(folder, weights)), None)


def lacking(folder: Path, weights: bool = True) -> list[str]:
    """The names of files that a model, or all of it but its weights, needs and a folder does not
    have.
    """
    missing = [] if (folder / "config.json").is_file() else ["config.json"]
    for names in ONE_OF.values():
        if not any((folder / name).is_file() for name in names):
            missing.append(" or ".join(names[:2]))
    shards = _shards(folder) if weights else []
    return missing + [name for name in shards if not (folder / name).is_file()]


def _shards(folder: Path) -> list[str]:
    """The names of the files with a model's weights."""
    if (folder / SINGLE).is_file() or not (folder / INDEX).is_file():
        return [SINGLE]
    try:
        index = parse_json((folder / INDEX).read_bytes())
        return sorted(set(index["weight_map"].values()))
    except (ValueError, KeyError, TypeError, AttributeError):
        return [INDEX]


def cut_short(folder: Path) -> list[str]:
    """What is not whole of a folder's weights: each file with its size and the size that its own
    header states.
    """
    found = []
    for name in _shards(folder):
        path = folder / name
        if not path.is_file():
            continue
        have, stated = path.stat().st_size, _stated_size(path)
        if have != stated:
            sizes = (
                f"{have:,} bytes, by its header {stated:,}" if stated else "its header is broken"
            )
            found.append(f"{path} ({sizes})")
    return found


def _stated_size(path: Path) -> int:
    """How large a safetensors file says it is; 0 if that cannot be read."""
    length, header = _read_header(path)
    if header is None:
        return 0
    return 8 + length + max((entry["data_offsets"][1] for entry in header.values()), default=0)


def count_weights(folder: Path) -> int:
    """How many numbers a folder's files of weights hold, by their headers."""
    headers = [_read_header(folder / name)[1] for name in _shards(folder)]
    entries = [entry for header in headers if header for entry in header.values()]
    return sum(prod(entry["shape"]) for entry in entries)


def _read_header(path: Path) -> tuple[int, dict | None]:
    """How long a safetensors file's header is, and for each tensor what it says; None if it cannot
    be read.
    """
    if not path.is_file():
        return 0, None
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        if length > path.stat().st_size:
            return length, None
        try:
            header = parse_json(file.read(length))
        except ValueError:
            return length, None
    return length, {name: entry for name, entry in header.items() if name != "__metadata__"}


def altered(folder: Path) -> list[str]:
    """What of a folder's weights, of those whole by their size, is not what was downloaded: the
    hub's cache keeps a large file under its SHA-256.
    """
    blobs = {folder / name: (folder / name).resolve() for name in _shards(folder)}
    known = [path for path, blob in blobs.items() if re.fullmatch("[0-9a-f]{64}", blob.name)]
    with ThreadPoolExecutor() as pool:
        found = list(pool.map(digest, known))
    return [
        f"{path} (SHA-256 {have[:12]}…, in the hub {blobs[path].name[:12]}…)"
        for path, have in zip(known, found)
        if have != blobs[path].name
    ]
