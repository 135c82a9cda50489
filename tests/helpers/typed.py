"""Commands as a person types them: on a terminal, behind a pipe that stays open, and in a script
without a standard input.
"""

import os
import subprocess
import sys
import threading
import tomllib
from contextlib import suppress
from pathlib import Path

from arbitration.files.folders import ROOT
from press.run import KERNEL

WAYS = ("terminal", "pipe", "closed")
#: Seconds after which a command that waits for its input is killed.
LONGEST = 900
PAPERMILL = [str(Path(sys.executable).with_name("papermill"))]
COMMAND = [sys.executable, "-m", "press.command"]


def run_typed(way: str, command: list[str], environment: dict[str, str]) -> tuple[int, list[str]]:
    """The exit status of a command, and the lines that it leaves on the screen."""
    ours, theirs = os.openpty() if way == "terminal" else os.pipe()
    unread, unwritten = os.pipe()
    stdin = {"terminal": theirs, "pipe": unread, "closed": None}[way]
    if way == "closed":
        command = ["sh", "-c", 'exec "$@" <&-', "sh", *command]
    process = subprocess.Popen(
        command, stdin=stdin, stdout=theirs, stderr=theirs, env=environment, start_new_session=True
    )
    os.close(theirs)
    patience = threading.Timer(LONGEST, process.kill)
    patience.start()
    said = b""
    with suppress(OSError):  # as a terminal ends
        while some := os.read(ours, 2**16):
            said += some
    patience.cancel()
    for end in (ours, unread, unwritten):
        os.close(end)
    text = said.decode(errors="replace").replace("\r\n", "\n")
    return process.wait(), [line.split("\r")[-1] for line in text.strip().split("\n")]


def prepare_environment(folder: Path) -> dict[str, str]:
    """An environment with this project installed, as `pyproject.toml` has its entry points, that
    keeps its files in a folder and reaches no hub.
    """
    told = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    groups = told["entry-points"].items()
    lines = [f"[{group}]\n" + "\n".join(map(" = ".join, it.items())) for group, it in groups]
    (about := folder / "site" / "instruction_anchors-0.dist-info").mkdir(parents=True)
    (about / "entry_points.txt").write_text("\n".join(lines))
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: instruction-anchors\nVersion: 0")
    paths = (folder / "site", ROOT / "lib")
    return {
        **os.environ,
        **KERNEL,
        "PYTHONPATH": os.pathsep.join(map(str, paths)),
        "ARBITRATION_OUTPUT": str(folder / "results"),
        "HF_HUB_OFFLINE": "1",
        "HF_HOME": str(folder / "hub"),
    }
