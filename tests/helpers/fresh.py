"""An environment that has a wheel and what the wheel asks for, and nothing else.

Other people's packages are linked from the environment that runs the tests: torch takes no space
twice. This project is installed from the wheel, so that no way leads to the checkout.
"""

import os
import subprocess
import venv
from importlib.metadata import PathDistribution, distribution
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name


def make_environment(folder: Path, wheel: Path, *extras: str) -> Path:
    """Install a wheel into a new environment, with some of its extras; its interpreter."""
    venv.create(folder, symlinks=True)
    python = folder / "bin" / "python"
    (site,) = folder.glob("lib/python3.*/site-packages")
    _link("pip", site)
    offline = ("--no-deps", "--no-index", "--quiet", "--disable-pip-version-check")
    run_outside([python, "-m", "pip", "install", *offline, wheel], folder)
    (own,) = map(PathDistribution, site.glob("instruction_anchors-*.dist-info"))
    for name in sorted(list_needed(own.requires, extras)):
        _link(name, site)
    return python


def list_needed(requirements: list[str], extras: tuple[str, ...] = ()) -> set[str]:
    """The packages that some requirements lead to, as far as they hold here.

    Parameters
    ----------
    requirements : list of str
        As a package's metadata has them.
    extras : tuple of str
        Of that package.
    """
    found, todo = set(), _select(requirements, extras)
    while todo:
        one = todo.pop()
        key = (canonicalize_name(one.name), frozenset(one.extras))
        if key not in found:
            found.add(key)
            todo += _select(distribution(one.name).requires or [], tuple(one.extras))
    return {name for name, _ in found}


def _select(requirements: list[str], extras: tuple[str, ...]) -> list[Requirement]:
    known = [Requirement(text) for text in requirements]
    asked = [{"extra": extra} for extra in ("", *extras)]
    return [one for one in known if not one.marker or any(map(one.marker.evaluate, asked))]


def _link(name: str, site: Path) -> None:
    """Link what a package has installed; several may share a folder, as those of nvidia do."""
    one = distribution(name)
    tops = {file.parts[0] for file in one.files} - {"..", "__pycache__"}
    for top in tops:
        if not (site / top).exists():
            (site / top).symlink_to(Path(one.locate_file(top)).resolve())


def run_outside(command: list, folder: Path, **environment: str) -> str:
    """What a command prints that knows of the checkout neither by its folder nor by its
    environment.
    """
    known = {key: one for key, one in os.environ.items() if key != "PYTHONPATH"}
    known |= {"PYTHONNOUSERSITE": "1", "PYTHONIOENCODING": "utf-8", "OMP_WAIT_POLICY": "PASSIVE"}
    done = subprocess.run(
        list(map(str, command)),
        cwd=folder,
        env=known | environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        encoding="utf-8",
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout
