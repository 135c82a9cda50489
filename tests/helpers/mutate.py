"""Make deliberate errors in a copy of libraries and notebooks, one at a time, and see that a test
notices.

    python tests/helpers/mutate.py               every error of tests/mutations.toml
    python tests/helpers/mutate.py --only Eq.    those whose description has these words

Beside each error stands the test that noticed it. One that no test notices has lived: it is named
at the end, and the exit status is 1.
"""

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
import tomllib
from dataclasses import dataclass
from pathlib import Path

from tqdm import tqdm

from press.pair import convert

ROOT = Path(__file__).resolve().parents[2]
COPIED = ("lib", "notebooks")
BESIDE = ("data", "tests", "book", "benchmarks", "_toc.yml", "pyproject.toml")


@dataclass(frozen=True)
class Error:
    """One deliberate error.

    Attributes
    ----------
    what : str
        In words.
    file, old, new : str
        Where, below ``lib/`` or beginning with ``notebooks/``; what stands there exactly once; what
        takes its place.
    tests : list of str
        Files of tests that must notice.
    select : str
        Which of their tests, as ``pytest -k``; all unless given.
    """

    what: str
    file: str
    old: str
    new: str
    tests: list[str]
    select: str = ""

    @property
    def path(self) -> str:
        """Where, below the project's root."""
        return self.file if self.file.startswith("notebooks/") else f"lib/{self.file}"


def read_errors() -> list[Error]:
    text = (ROOT / "tests" / "mutations.toml").read_text(encoding="utf-8")
    return [Error(**record) for record in tomllib.loads(text)["error"]]


def list_tests(errors: list[Error]) -> list[tuple[list[str], str]]:
    """The tests of some errors, each file once: files, and which of their tests."""
    selects: dict[tuple[str, ...], list[str]] = {}
    for error in errors:
        selects.setdefault(tuple(error.tests), []).append(error.select)
    return [
        (list(tests), " or ".join(sorted(set(some))) if all(some) else "")
        for tests, some in selects.items()
    ]


def run_tests(tests: list[str], select: str, error: Error | None = None) -> tuple[int, str]:
    """pytest's exit status for some tests with an error made, 0 if all pass and 1 if one fails; and
    which failed first.
    """
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        for name in COPIED:
            shutil.copytree(ROOT / name, root / name, ignore=shutil.ignore_patterns("__pycache__"))
        for name in BESIDE:
            (root / name).symlink_to(ROOT / name)
        if error:
            make_error(error, root)
        chosen = ["-k", select] if select else []
        command = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", *tests]
        done = subprocess.run(
            [*command, "-rfE", "--tb=no", *chosen],
            cwd=root,
            env={**os.environ, "PYTHONPATH": str(root / "lib"), "PYTHONDONTWRITEBYTECODE": "1"},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            encoding="utf-8",
        )
        failed = re.search(r"^(?:FAILED|ERROR) (.+?)(?: - .*)?$", done.stdout, re.MULTILINE)
        return done.returncode, failed[1] if failed else ""


def make_error(error: Error, root: Path) -> None:
    """Make an error in a copy of the project; a notebook gets its ``.ipynb`` anew."""
    path = root / error.path
    source = path.read_text(encoding="utf-8")
    path.write_text(source.replace(error.old, error.new), encoding="utf-8")
    if path.parent == root / "notebooks":
        path.with_suffix(".ipynb").write_text(convert(path), encoding="utf-8")


def main() -> int:
    options = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    options.add_argument("--only", default="", help="words of an error's description")
    only = options.parse_args().only
    errors = [error for error in read_errors() if only in error.what]
    for tests, select in tqdm(list_tests(errors), desc="the tests without an error"):
        if status := run_tests(tests, select)[0]:
            print(f"{', '.join(tests)}: exit status {status} without any error; mend them first")
            return 2
    lived = []
    for error in tqdm(errors, desc="errors"):
        status, failed = run_tests(error.tests, error.select, error)
        tqdm.write(f"{error.what}: {failed or 'lived'}")
        if status != 1:
            lived.append(error.what)
    print(f"{len(errors) - len(lived)} of {len(errors)} errors were noticed")
    print("\n".join(f"lived: {what}" for what in lived), end="\n" if lived else "")
    return 1 if lived else 0


if __name__ == "__main__":
    sys.exit(main())
