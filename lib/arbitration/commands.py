"""How the project's commands end."""

import sys
from collections.abc import Callable


def status(main: Callable[[], int | None], onward: str) -> int:
    """The exit status of a command: its own, or 130 and a line that says how to go on when it is
    interrupted.

    Parameters
    ----------
    main : callable
        The command.
    onward : str
        What is kept and what to do next, for somebody who has stopped it.
    """
    make_printable()
    try:
        return main() or 0
    except KeyboardInterrupt:
        print(f"stopped: {onward}", file=sys.stderr, flush=True)
        return 130


def make_printable() -> None:
    """Let nothing that is printed raise, whatever the terminal's encoding: a letter that it lacks
    becomes a question mark.
    """
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(errors="replace")
