"""What papermill's command lacks in a shell: it starts without a standard input, and an error for
readers ends it with that error's sentence instead of a traceback.

papermill loads this module before it looks at its arguments, because it is registered with the
engines (`pyproject.toml`). It is none, and from Python papermill is as ever.
"""

import os
import sys
from functools import partial


def print_error(before, kind, error, trace) -> None:
    """Print the sentence of an error for readers; any other error as `before` does."""
    # Only now: the forked kernels begin with papermill, and with nothing that may be edited.
    from arbitration.commands import read_sentence

    if sentence := read_sentence(error):
        print(sentence, file=sys.stderr)
    else:
        before(kind, error, trace)


sys.excepthook = partial(print_error, sys.excepthook)
try:
    os.fstat(0)
except OSError:  # papermill asks what its standard input is, and raises where there is none
    os.open(os.devnull, os.O_RDONLY)
