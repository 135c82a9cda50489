"""Whether the book's links to other sites lead somewhere, by Sphinx's builder `linkcheck`.

Links inside the book are the build's own: it is nitpicky, with warnings as errors. Without a
network nothing is known of the others; that is said, and is no success.
"""

import json
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path

from arbitration.files.folders import ROOT
from press.audit import UNREACHED

#: What an answer says of a page that is gone; any other failure is one of reaching it.
GONE = re.compile(r"40[04] Client Error|410 Client Error|Anchor '.*' not found")


def check_links(root: Path = ROOT) -> int:
    """Ask for every address that the pages lead to, say what was found, and return the exit status:
    0 if all are there, 1 if one is gone, `UNREACHED` if any could not be asked for.
    """
    with tempfile.TemporaryDirectory() as folder:
        program = Path(sys.executable).with_name("jupyter-book")
        options = ["--all", "--builder", "linkcheck", "--path-output", folder, "-qq"]
        done = subprocess.run(
            [program, "build", root, *options],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            encoding="utf-8",
        )
        written = list(Path(folder).rglob("output.json"))
        lines = written[0].read_text(encoding="utf-8").splitlines() if written else []
    if not lines:
        last = (done.stderr.strip().splitlines() or ["it said nothing"])[-1]
        print(f"no link was checked: the pages could not be read ({last})")
        return UNREACHED
    return judge_links(map(json.loads, lines))


def judge_links(found: Iterable[dict]) -> int:
    """The exit status of what `linkcheck` has written, after saying it.

    Parameters
    ----------
    found : iterable of dict
        Its ``output.json``, a line each.
    """
    asked = {one["uri"]: one for one in found if one["uri"].startswith("http")}
    failed = {uri: one for uri, one in asked.items() if one["status"] in ("broken", "timeout")}
    gone = {uri: one for uri, one in failed.items() if GONE.search(one["info"])}
    for uri, one in gone.items():
        print(f"{one['filename']}, line {one['lineno']}: {uri} is gone; correct or remove the link")
    unreached = [uri for uri in failed if uri not in gone]
    print(f"{len(asked) - len(unreached)} links to other sites looked up, {len(gone)} gone")
    if unreached:
        names = ", ".join(unreached[:3])
        more = f" and {len(unreached) - 3} more" if len(unreached) > 3 else ""
        print(f"not checked, because they cannot be reached from here: {names}{more}")
    return 1 if gone else UNREACHED if unreached else 0
