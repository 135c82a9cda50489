"""Kernels that begin with the libraries imported.

A notebook's kernel imports torch, transformers and matplotlib for four to five seconds, as long as
many a notebook takes from its records. Here one process imports them once, and each kernel is a
fork of it: as fresh as any, because nothing of this project is imported and nothing has run. What
is edited between two notebooks counts for the second.

Jupyter takes `ForkedProvisioner` by its entry point where ``JUPYTER_DEFAULT_PROVISIONER_NAME`` is
`NAME` (`press.run`).
"""

import multiprocessing
import os
import signal
import sys
import threading
from collections.abc import Sequence

from jupyter_client.connect import KernelConnectionInfo
from jupyter_client.provisioning import LocalProvisioner

NAME = "forked-provisioner"
#: Elsewhere a fork of what these have loaded is not safe.
POSSIBLE = sys.platform == "linux"
#: Libraries of others that cost time; never a module of this project.
IMPORTED = [
    "ipykernel.kernelapp",
    "matplotlib.figure",
    "myst_nb",
    "nltk",
    "pandas",
    "papermill",
    "pyarrow.parquet",
    "tqdm.auto",
    "transformers.models.llava.modeling_llava",
    "transformers.models.llava.processing_llava",
]


def share_imports(kernels: int) -> dict[str, str]:
    """What makes Jupyter fork its kernels, for the environment; nothing for a single one."""
    return {"JUPYTER_DEFAULT_PROVISIONER_NAME": NAME} if POSSIBLE and kernels > 1 else {}


class ForkedProvisioner(LocalProvisioner):
    """As Jupyter's own for kernels of this machine, but that the process is a fork."""

    async def launch_kernel(self, cmd: list[str], **kwargs) -> KernelConnectionInfo:
        """Fork a kernel that does what a command line ``python -m ipykernel_launcher …`` says."""
        folder = kwargs.get("cwd") or os.getcwd()
        self.process = Forked(cmd[cmd.index("ipykernel_launcher") + 1 :], kwargs["env"], folder)
        self.pid = self.process.pid
        # A group of its own comes later than its number is known: only the process is signalled.
        self.pgid, self.cwd = None, folder
        return self.connection_info


class Forked:
    """A forked kernel with what `LocalProvisioner` asks of `subprocess.Popen`."""

    stdin = stdout = stderr = None

    def __init__(self, arguments: Sequence[str], environment: dict[str, str], folder: str):
        context = multiprocessing.get_context("forkserver")
        context.set_forkserver_preload(IMPORTED)
        given = (list(arguments), environment, folder)
        self._process = context.Process(target=serve_kernel, args=given, daemon=True)
        # The process that is forked is born with the first kernel: Ctrl-C is none of its affair,
        # also while it imports.
        before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        try:
            self._process.start()
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
        self.pid = self._process.pid

    def poll(self) -> int | None:
        return self._process.exitcode

    def wait(self) -> int:
        self._process.join()
        return self._process.exitcode

    def send_signal(self, number: int) -> None:
        if self.poll() is None:
            os.kill(self.pid, number)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)


def serve_kernel(arguments: list[str], environment: dict[str, str], folder: str) -> None:
    """Be a kernel, in the process that was forked for it, until it is shut down."""
    from ipykernel.kernelapp import IPKernelApp

    os.setsid()
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(folder)
    threading.Thread(target=end_with_parent, daemon=True).start()
    IPKernelApp.launch_instance(argv=arguments)


def end_with_parent() -> None:
    """End this process when that for which it was forked is gone, also by `kill -9`. The process
    that forked it lives on while a fork does, and Jupyter's own watch is for parents by birth.
    """
    multiprocessing.parent_process().join()
    os._exit(1)
