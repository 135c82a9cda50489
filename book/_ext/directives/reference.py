"""The directive ``room``: the public functions and classes of a room of `arbitration`, module by
module, from their docstrings; and the links between them and the paper's equations.

    ```{room} arbitration.equations
    ```

A docstring names equations and functions in its own words, and stays readable as it stands in the
source. So the links are made of the finished page: where a docstring says Eq. 7, of a name in
single backticks that is one function's or class's, and of a class that is a type. What the summary
of a function names in brackets, (Eq. 7), is what it computes (`find_owners`): below that equation,
wherever it is written in the book, stands the way to the function.
"""

import ast
import re
from collections import defaultdict
from functools import cache

from docutils import nodes
from docutils.statemachine import StringList
from sphinx.addnodes import pending_xref
from sphinx.util.docutils import SphinxDirective

import arbitration
from arbitration.files.folders import ROOT

LIB = ROOT / "lib"
#: A mention of equations; then the numbers in it.
MENTION = re.compile(r"\bEqs?\.\s\d+(?:(?:, | and | to )\d+)*")
NUMBERED = re.compile(r"Eqs?\.\s\d+|\d+")
#: A mention in brackets, in the summary of the function that computes it.
OWNED = re.compile(r"\((Eqs?\. [^)]*)\)")


@cache
def list_modules(room: str) -> tuple[str, ...]:
    """The modules of a room by their full names, the room first; a single module is its own room.
    What is run and not imported (``__main__``) is left out.

    Raises
    ------
    ValueError
        If the libraries have no such room.
    """
    folder = LIB / room.replace(".", "/")
    if folder.with_suffix(".py").is_file():
        return (room,)
    files = sorted(folder.glob("*.py"))
    if not files:
        why = f"there is no room {room!r} in the libraries"
        raise ValueError(why)
    inner = [path.stem for path in files if not path.stem.startswith("__")]
    return (room, *(f"{room}.{name}" for name in inner))


@cache
def list_public(module: str) -> tuple[ast.stmt, ...]:
    """The functions and classes that a module writes for others, in the order of the file."""
    path = LIB / module.replace(".", "/")
    path = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
    return tuple(
        node
        for node in ast.parse(path.read_text(encoding="utf-8")).body
        if isinstance(node, (ast.FunctionDef, ast.ClassDef)) and not node.name.startswith("_")
    )


@cache
def list_rooms() -> tuple[str, ...]:
    """The rooms of `arbitration`, a module that stands alone among them."""
    folder = LIB / "arbitration"
    rooms = {path.parent for path in folder.rglob("*.py")} - {folder}
    alone = {path.with_suffix("") for path in folder.glob("[!_]*.py")}
    return tuple(f"arbitration.{path.name}" for path in sorted(rooms | alone))


@cache
def find_owners() -> dict[int, str]:
    """For each equation the full name of the function or class whose summary has its number in
    brackets.
    """
    owners = {}
    for module in (one for room in list_rooms() for one in list_modules(room)):
        for node in list_public(module):
            summary = " ".join((ast.get_docstring(node) or "").partition("\n\n")[0].split())
            for mention in OWNED.findall(summary):
                numbers = map(int, re.findall(r"\d+", mention))
                owners |= dict.fromkeys(numbers, f"{module}.{node.name}")
    return owners


@cache
def _known() -> dict[str, list[str]]:
    """The full names that every ending of a name may mean."""
    found = defaultdict(list)
    modules = [one for room in list_rooms() for one in list_modules(room)]
    for module in filter(list_public, modules):
        names = [module]
        for node in list_public(module):
            names.append(f"{module}.{node.name}")
            inner = node.body if isinstance(node, ast.ClassDef) else []
            names += [
                f"{module}.{node.name}.{one.name}"
                for one in inner
                if isinstance(one, ast.FunctionDef) and ast.get_docstring(one)
            ]
        for name in names:
            parts = name.split(".")
            for start in range(len(parts)):
                found[".".join(parts[start:])].append(name)
    return found


def resolve_name(name: str, module: str) -> str | None:
    """The full name that a docstring of a module means, or None: what its own file calls so, else
    what the face does, else what is called so once.
    """
    found = _known().get(name, [])
    first = [f"{module}.{name}", f"arbitration.{arbitration.FACE.get(name)}.{name}"]
    own = [one for one in first if one in found]
    return next(iter(own or (found if len(found) == 1 else [])), None)


def write_module(module: str) -> list[str]:
    """A module as lines of MyST: its docstring, a list of what it offers, and each of these."""
    public = list_public(module)
    inside = [f".. automodule:: {module}", "", ".. autosummary::", ""]
    inside += [f"   {node.name}" for node in public]
    for node in public:
        kind = "class" if isinstance(node, ast.ClassDef) else "function"
        inside += ["", f".. auto{kind}:: {module}.{node.name}"]
        inside += ["   :members:"] if kind == "class" else []
    return ["````{eval-rst}", *inside, "````"]


def write_face() -> list[str]:
    """What `arbitration` itself offers, as lines of MyST: its docstring, with the table of the
    equations, and a list of its functions and classes.
    """
    offered = [name for name, module in arbitration.FACE.items() if name != module.split(".")[-1]]
    offered = [name for name in offered if callable(getattr(arbitration, name))]
    places = [f"~{arbitration.FACE[name]}.{name}" for name in offered]
    inside = [".. automodule:: arbitration", "", ".. autosummary::", ""]
    return ["````{eval-rst}", *inside, *(f"   {place}" for place in places), "````"]


class Reference(SphinxDirective):
    """What docstrings say, with what they name as links."""

    def read(self, lines: list[str], module: str, body: nodes.Element) -> nodes.Element:
        """Read lines of MyST, whose docstrings are those of one module, into a node."""
        path = LIB / module.replace(".", "/")
        path = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
        self.env.note_dependency(str(path))
        self.state.nested_parse(StringList(lines, source=self.get_source_info()[0]), 0, body)
        link_docstrings(body, module)
        return body


class Room(Reference):
    """A room of `arbitration`, module by module."""

    required_arguments = 1

    def run(self):
        try:
            modules = list_modules(self.arguments[0])
        except ValueError as error:
            raise self.error(str(error)) from error
        return [self.section(module) for module in modules if list_public(module)]

    def section(self, module):
        """A module under its name."""
        name = module.removeprefix("arbitration.")
        section = nodes.section(ids=[nodes.make_id(f"module-{name}")], names=[name])
        section += nodes.title("", "", nodes.literal(text=name))
        return self.read(write_module(module), module, section)


class Face(Reference):
    """The face of `arbitration`, with the table of the equations."""

    def run(self):
        return [self.read(write_face(), "arbitration", nodes.container(classes=["face"]))]


def link_docstrings(body: nodes.Element, module: str) -> None:
    """Make links of what the docstrings of a module name: equations, functions, classes."""
    for text in list(body.findall(nodes.Text)):
        if MENTION.search(text) and not _stands_in(text, nodes.FixedTextElement, pending_xref):
            text.parent.replace(text, split_mentions(text.astext()))
    for quoted in list(body.findall(nodes.title_reference)):
        name = quoted.astext()
        meant = resolve_name(name, module)
        shown = nodes.literal(text=name)
        quoted.replace_self(refer_code(meant, shown) if meant else shown)
    for field in body.findall(nodes.field):
        for kind in list(field.findall(nodes.emphasis)):
            kind.replace_self(split_types(kind.astext(), module))


def _stands_in(node, *kinds) -> bool:
    while node is not None:
        if isinstance(node, kinds):
            return True
        node = node.parent
    return False


def split_mentions(text: str) -> list[nodes.Node]:
    """A text with a link for each equation that it mentions: *Eqs. 6 and 7* are two, and *1 to 12*
    the first and the last.
    """
    found, behind = [], 0
    for mention in MENTION.finditer(text):
        for one in NUMBERED.finditer(text, mention.start(), mention.end()):
            found += [nodes.Text(text[behind : one.start()])]
            found += [refer_equation(re.search(r"\d+", one[0])[0], one[0])]
            behind = one.end()
    return [*found, nodes.Text(text[behind:])]


def split_types(text: str, module: str) -> list[nodes.Node]:
    """A parameter's type with a link for each class of the libraries that it names."""
    found = []
    for word in re.split(r"(\b[A-Z]\w+)", text):
        meant = resolve_name(word, module) if word[:1].isupper() else None
        shown = nodes.emphasis(text=word)
        found += [refer_code(meant, shown) if meant else shown] if word else []
    return found


def shorten_signature(app, what, name, value, options, signature, returns):
    """A signature without the default that dataclasses make anew for every object: `<factory>` is
    no expression, so that Sphinx would show all of it as plain text.
    """
    return (signature.replace("<factory>", "...") if signature else signature), returns


def refer_code(name: str, shown: nodes.Element) -> pending_xref:
    """A link to a function, class or module, as it is to be shown."""
    options = {"refdomain": "py", "reftype": "obj", "reftarget": name}
    return pending_xref("", shown, refexplicit=True, refwarn=True, **options)


def refer_equation(number: str, shown: str) -> pending_xref:
    """A link to one of the paper's equations."""
    options = {"refdomain": "std", "reftype": "ref", "reftarget": f"eq-{number}"}
    return pending_xref("", nodes.inline(text=shown), refexplicit=True, refwarn=True, **options)


def link_equations(app, doctree):
    """Put below every equation of the paper, where a page writes it, the way to its function."""
    owners = {f"eq-{number}": name for number, name in find_owners().items()}
    for block in list(doctree.findall(nodes.math_block)):
        for label in owners.keys() & set(block["ids"] + block["names"]):
            name = owners[label].removeprefix("arbitration.")
            line = nodes.paragraph("", "In code: ", classes=["in-code"])
            line += refer_code(owners[label], nodes.literal(text=name))
            block.parent.insert(block.parent.index(block) + 1, line)
