"""How the project's commands end, and what an error of its own shows in a notebook's cell."""

import opcode
import os
import signal
import sys
from collections.abc import Callable

from arbitration.files.atomic import Unwritable

#: What the line begins with that says what was wrong.
ERROR = "error: "
#: Kinds of errors by which this project tells its reader what to do, where one of its packages
#: raises them.
FOR_READERS = (ValueError, OSError, ImportError)
PACKAGES = ("arbitration", "reproduction", "recipe", "press")
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
        print(f"{ERROR}{error}", file=sys.stderr, flush=True)
        return 1


def is_for_readers(error: BaseException) -> bool:
    """Whether a `raise` of this project has raised an error for its reader: not a library of
    others, and not a slip in the code.
    """
    trace = error.__traceback__
    while trace and trace.tb_next:
        trace = trace.tb_next
    if not trace or not isinstance(error, FOR_READERS):
        return False
    frame = trace.tb_frame
    package = frame.f_globals.get("__name__", "").partition(".")[0]
    raised = frame.f_code.co_code[trace.tb_lasti] == opcode.opmap["RAISE_VARARGS"]
    return raised and package in PACKAGES


def shorten_in_cells() -> None:
    """From here on a notebook's cell shows an error for readers as its sentence alone, also in the
    executed notebook; ``%tb`` shows the rest. Outside of IPython nothing changes.
    """
    ipython = sys.modules.get("IPython")
    if shell := ipython and ipython.get_ipython():
        shell.set_custom_exc(FOR_READERS, _show)


def _show(shell, kind, error, trace, tb_offset=None) -> None:
    """Show an error as IPython does, one for readers by its sentence."""
    if is_for_readers(error):
        error._render_traceback_ = lambda: [f"{ERROR}{error}"]  # IPython asks for this
    shell.showtraceback((kind, error, trace), tb_offset=tb_offset, running_compiled_code=True)
    vars(error).pop("_render_traceback_", None)


def read_sentence(failed: Exception) -> str:
    """The sentence that a notebook's cell has shown (`shorten_in_cells`), after `ERROR`; empty for
    any other failure.

    Parameters
    ----------
    failed : Exception
        papermill's, whose `traceback` has the lines that the cell has shown.
    """
    shown = getattr(failed, "traceback", [])
    return shown[0] if len(shown) == 1 and shown[0].startswith(ERROR) else ""


def make_printable() -> None:
    """Let nothing that is printed raise, whatever the terminal's encoding: a letter that it lacks
    becomes a question mark.
    """
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(errors="replace")
