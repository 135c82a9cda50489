"""How the project's commands end."""

import os
import signal
import sys
from collections.abc import Callable

from arbitration.files.atomic import Unwritable

#: What `end_at_interrupt` says.
_said = [""]


def end_at_interrupt(onward: str) -> None:
    """Let Ctrl-C end this program at once, as `status` does, while it imports what it works with;
    unless it is ignored.
    """
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        _said[0] = f"stopped: {onward}\n"
        signal.signal(signal.SIGINT, _end)


def _end(*_) -> None:
    os.write(2, _said[0].encode(errors="replace"))
    os._exit(130)


def status(main: Callable[[], int | None], onward: str) -> int:
    """The exit status of a command: its own; 130 and a line that says how to go on when it is
    interrupted; 1 and a line when nothing can be written, or somebody cannot be reached.

    Parameters
    ----------
    main : callable
        The command.
    onward : str
        What is kept and what to do next, for somebody who has stopped it.
    """
    make_printable()
    if signal.getsignal(signal.SIGINT) is _end:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        return main() or 0
    except KeyboardInterrupt:
        print(f"stopped: {onward}", file=sys.stderr, flush=True)
        return 130
    except (Unwritable, ConnectionError) as error:
        if isinstance(error, ConnectionError) and error.errno:
            raise  # by the system, in no words of this project
        print(f"error: {error}", file=sys.stderr, flush=True)
        return 1


def make_printable() -> None:
    """Let nothing that is printed raise, whatever the terminal's encoding: a letter that it lacks
    becomes a question mark.
    """
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(errors="replace")
