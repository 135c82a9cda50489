"""Make deliberate errors in a copy of the libraries, one at a time, and see that a test notices.

    python tests/helpers/mutate.py               every error of tests/mutations.toml
    python tests/helpers/mutate.py --only Eq.    those whose description has these words

An error that no test notices has lived: it is named at the end, and the exit status is 1.
"""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import tomllib
from dataclasses import dataclass
from pathlib import Path

from tqdm import tqdm

ROOT = Path(__file__).resolve().parents[2]
BESIDE = ("data", "tests", "notebooks", "book", "benchmarks", "_toc.yml", "pyproject.toml")


@dataclass(frozen=True)
class Error:
    """One deliberate error.

    Attributes
    ----------
    what : str
        In words.
    file, old, new : str
        Where below ``lib/``; what stands there exactly once; what takes its place.
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


def read_errors() -> list[Error]:
    text = (ROOT / "tests" / "mutations.toml").read_text(encoding="utf-8")
    return [Error(**record) for record in tomllib.loads(text)["error"]]


def run_tests(tests: list[str], select: str, error: Error | None = None) -> int:
    """pytest's exit status for some tests, with an error in the libraries: 0 if all pass, 1 if one
    fails.
    """
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        shutil.copytree(ROOT / "lib", root / "lib", ignore=shutil.ignore_patterns("__pycache__"))
        for name in BESIDE:
            (root / name).symlink_to(ROOT / name)
        if error:
            path = root / "lib" / error.file
            source = path.read_text(encoding="utf-8")
            path.write_text(source.replace(error.old, error.new), encoding="utf-8")
        chosen = ["-k", select] if select else []
        command = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", *tests]
        done = subprocess.run(
            [*command, *chosen],
            cwd=root,
            env={**os.environ, "PYTHONPATH": str(root / "lib"), "PYTHONDONTWRITEBYTECODE": "1"},
            stdin=subprocess.DEVNULL,
            capture_output=True,
        )
        return done.returncode


def main() -> int:
    options = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    options.add_argument("--only", default="", help="words of an error's description")
    only = options.parse_args().only
    errors = [error for error in read_errors() if only in error.what]
    sound = {(*error.tests, error.select): (error.tests, error.select) for error in errors}
    for tests, select in tqdm(sound.values(), desc="the tests without an error"):
        if status := run_tests(tests, select):
            print(f"{', '.join(tests)}: exit status {status} without any error; mend them first")
            return 2
    lived = []
    for error in tqdm(errors, desc="errors"):
        if run_tests(error.tests, error.select, error) != 1:
            lived.append(error.what)
    print(f"{len(errors) - len(lived)} of {len(errors)} errors were noticed")
    print("\n".join(f"lived: {what}" for what in lived), end="\n" if lived else "")
    return 1 if lived else 0


if __name__ == "__main__":
    sys.exit(main())
