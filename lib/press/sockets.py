"""Where a kernel listens: at files of its own, and at no ports.

Jupyter finds ports that are free and tells the kernel, and until the kernel listens there another
program may have taken one. Kernels that begin side by side do (papermill's issue 511).
"""

import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from traitlets.config import Config

#: Characters of a folder, beyond which the names of the files may be longer than a system allows.
LONGEST = 80


@contextmanager
def lend_sockets() -> Iterator[Config]:
    """Jupyter's settings for one kernel that listens at files, which end with it; none where there
    is no such thing (Windows), or folders for passing files have long names.
    """
    if sys.platform == "win32" or len(tempfile.gettempdir()) > LONGEST:
        yield Config()
        return
    with tempfile.TemporaryDirectory(prefix="kernel-", ignore_cleanup_errors=True) as folder:
        place = {"transport": "ipc", "connection_file": str(Path(folder) / "at.json")}
        yield Config(KernelManager=place)
