"""The page “Run it on your model”: its commands are those that there are."""

import importlib.util
import re
import shlex

import papermill
import pytest

from arbitration.files.folders import ROOT
from press.publish import listed

PAGE = (ROOT / "book" / "your_model.md").read_text(encoding="utf-8")
MAKEFILE = (ROOT / "Makefile").read_text(encoding="utf-8")
LINES = [
    line.split(" #")[0].strip()
    for block in re.findall(r"```sh\n(.*?)```", PAGE, re.S)
    for line in block.splitlines()
]


def commands(start):
    found = [shlex.split(line) for line in LINES if line.startswith(start)]
    assert found, start
    return found


@pytest.mark.parametrize("words", commands("make"), ids=" ".join)
def test_every_target_exists_and_reads_its_variables(words):
    _, target, *given = words
    recipe = re.search(rf"^{target}:.*\n((?:\t.*\n)*)", MAKEFILE, re.M)
    assert recipe, target
    for name, _, value in (one.partition("=") for one in given):
        assert f"$({name})" in MAKEFILE or f"$(or $({name})" in MAKEFILE, name
        if name == "SECTION":
            assert value in listed()


@pytest.mark.parametrize("words", commands(".venv/bin/python -m"), ids=" ".join)
def test_every_module_exists_and_its_options_are_known(words):
    module, *given = words[2:]
    found = importlib.util.find_spec(module) or pytest.fail(module)
    origin = found.origin.replace("__init__", "__main__")
    text = open(origin, encoding="utf-8").read() + (ROOT / "lib/press/run.py").read_text("utf-8")
    assert [one for one in given if one.startswith("-") and f'"{one}"' not in text] == []


@pytest.mark.parametrize(
    "words", [one for one in map(shlex.split, LINES) if "-p" in one], ids=" ".join
)
def test_every_parameter_is_one_of_its_notebook(words):
    by_path = [re.search(r"notebooks/(\w+)\.ipynb", one) for one in words]
    name = next((one[1] for one in by_path if one), None) or words[words.index("run") + 1]
    known = papermill.inspect_notebook(ROOT / "notebooks" / f"{name}.ipynb")
    given = [word for flag, word in zip(words, words[1:]) if flag == "-p"]
    assert given and set(given) <= set(known)


def test_what_it_says_is_refused_is_what_the_code_says():
    code = "".join(
        re.sub(r'"\s*f?"', "", path.read_text(encoding="utf-8"))
        for path in (ROOT / "lib").rglob("*.py")
    )
    table = PAGE.partition("## When something is refused")[2]
    said = [
        part.strip("… ")
        for quoted in re.findall(r"\*([^*|]+ [^*|]+)\*", table)
        for part in quoted.split("…")
        if len(part.split()) > 1
    ]
    assert len(said) >= 6
    assert [one for one in said if one not in code] == []
