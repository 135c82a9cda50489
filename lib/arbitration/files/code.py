"""What code means, and what a module can reach: its imports, and theirs, down to the data that they
name.

A number depends on the modules that the function which measured it can reach. Nobody keeps a list
of them by hand: the import statements are the list. What a module means is its syntax tree without
docstrings, so that a better sentence, a comment or another layout leaves what was measured valid,
and a changed constant does not.
"""

import ast
import hashlib
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from arbitration.files.checksums import tell_state
from arbitration.files.folders import DATA, LIBRARIES

#: The packages of this project: an installed one has other people's beside it.
PACKAGES = ("arbitration", "press", "recipe", "reproduction")


def hash_meaning(tree: ast.Module) -> str:
    """Hash of a program's syntax tree without docstrings: comments and layout do not count.

    Parameters
    ----------
    tree : ast.Module
        Left without docstrings.

    Returns
    -------
    str
        64 hexadecimal digits.
    """
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            if ast.get_docstring(node, clean=False) is not None:
                node.body = node.body[1:]
    return hashlib.sha256(ast.dump(tree).encode()).hexdigest()


@cache
def find_module(name: str) -> Path | None:
    """The file of a module of these libraries, the ``__init__.py`` of a package; None for other
    people's code.
    """
    place = LIBRARIES.joinpath(*name.split("."))
    if name.partition(".")[0] not in PACKAGES:
        return None
    files = (place.with_suffix(".py"), place / "__init__.py")
    return next((path for path in files if path.is_file()), None)


def find_imports(tree: ast.Module) -> list[str]:
    """The modules of these libraries that a program imports, wherever in it the statement stands.

    Of ``from package import name`` that is the module `name` where there is one: a package's face
    counts only where a name is taken from it.
    """
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            inner = [f"{node.module}.{alias.name}" for alias in node.names]
            found += [name if find_module(name) else node.module for name in inner]
    return [name for name in dict.fromkeys(found) if find_module(name)]


def find_face(tree: ast.Module) -> list[str]:
    """The modules that a package's face names in a dictionary ``FACE`` and imports when a name is
    asked for.
    """
    for node in tree.body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "FACE":
            return list(dict.fromkeys(ast.literal_eval(node.value).values()))
    return []


@cache
def reach(module: str) -> dict[str, Path]:
    """The modules of these libraries that a module's imports lead to, itself among them.

    Returns
    -------
    dict of str to Path
        Name and file.
    """
    found, todo = {}, [module]
    while todo:
        name = todo.pop()
        path = find_module(name)
        if name in found or path is None:
            continue
        found[name] = path
        todo += [*_look(path).imports, *(f"{name}.{home}" for home in _look(path).face)]
    return found


def look_again() -> None:
    """Forget what files held, so that what was edited since counts as it is now."""
    for known in (find_module, reach, _look):
        known.cache_clear()


def find_data(tree: ast.Module) -> set[str]:
    """The names right below ``data/`` that a program builds a path with, ``DATA / "name"``."""
    found = set()
    for node in ast.walk(tree):
        if not (isinstance(node, ast.BinOp) and isinstance(node.op, ast.Div)):
            continue
        left = (
            node.left.attr if isinstance(node.left, ast.Attribute) else getattr(node.left, "id", "")
        )
        if left == "DATA" and isinstance(node.right, ast.Constant):
            found.add(node.right.value)
    return found


def hash_modules(names) -> str:
    """Hash of what some modules mean, 12 hexadecimal digits."""
    digest = hashlib.sha256()
    for name in sorted(names):
        digest.update(f"{name} {_look(find_module(name)).meaning}\n".encode())
    return digest.hexdigest()[:12]


def data_files(names) -> list[Path]:
    """The files below ``data/`` that some modules name, sorted."""
    named = set().union(*(_look(find_module(name)).data for name in names))
    places = [DATA / name for name in sorted(named)]
    files = [[place] if place.is_file() else sorted(place.rglob("*")) for place in places]
    return [path for some in files for path in some if path.is_file()]


@dataclass(frozen=True)
class _Contents:
    """What is asked of a file: `find_imports`, `find_face`, `find_data` and `hash_meaning`."""

    imports: list[str]
    face: list[str]
    data: set[str]
    meaning: str


@cache
def _look(path: Path) -> _Contents:
    """A file as it was when this process first looked, or last looked again."""
    return _parse(path, tell_state(path))


@cache
def _parse(path: Path, state: tuple) -> _Contents:
    """A file's contents in one of its states: a runner looks again for every notebook, and few
    files change meanwhile.
    """
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return _Contents(find_imports(tree), find_face(tree), find_data(tree), hash_meaning(tree))
