"""What all tests share: which of them need files that only the project's own machines have."""

import signal

import pytest

from shared_folder import SHARED

# A shell that starts a program in the background lets it ignore Ctrl-C, and with it every program
# that a test starts.
if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

#: Files of minutes, handed out first, so that no process has one left when the others are done.
LONG = ("press/test_missing.py", "press/test_notebooks.py", "models/test_embedded.py")


def pytest_collection_modifyitems(items):
    items.sort(key=lambda item: not item.nodeid.split("::")[0].endswith(LONG))
    if SHARED.is_dir():
        return
    for item in items:
        if item.get_closest_marker("shared"):
            item.add_marker(
                pytest.mark.skip(reason="needs the folder 'shared' of the project's own machines")
            )
