"""Write ``data/SHA256SUMS`` anew, after a deliberate change of what ships; or say what differs.

python -m press.checksums            as `make checksums`
python -m press.checksums --check    write nothing; exit 1 if something differs
"""

import argparse
import sys

from arbitration import commands
from arbitration.files import atomic
from arbitration.files.checksums import Damaged, digest
from arbitration.files.shipped import SUMS, list_shipped, read_sums, sums_file

KEPT = "the list of checksums is as it was; run the same command again"


def list_changes() -> list[str]:
    """What differs between the files that ship and the checksums of them, a line for each."""
    try:
        known = read_sums()
    except Damaged:
        known = {}
    found = {name: digest(path) for name, path in list_shipped().items()}
    words = {name: "changed" for name in found.keys() & known if found[name] != known[name]}
    words |= dict.fromkeys(found.keys() - known, "new")
    words |= dict.fromkeys(known.keys() - found, "gone")
    return [f"data/{name}: {words[name]}" for name in sorted(words)]


def write_sums() -> None:
    """Write the checksums of all files that ship."""
    lines = [f"{digest(path)}  {name}\n" for name, path in list_shipped().items()]
    atomic.write_whole(sums_file(), "".join(lines))


def main(arguments: list[str] | None = None) -> int:
    """Write them, or with ``--check`` only say what differs; the exit status."""
    parser = argparse.ArgumentParser(prog="python -m press.checksums", description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 if some differ")
    only_check, changes = parser.parse_args(arguments).check, list_changes()
    print("\n".join(changes) if changes else f"data/{SUMS} has the checksums of what is there")
    if changes and only_check:
        print("restore the files (git checkout), or run make checksums", file=sys.stderr)
    if changes and not only_check:
        write_sums()
    return int(bool(changes) and only_check)


if __name__ == "__main__":
    sys.exit(commands.status(main, KEPT))
