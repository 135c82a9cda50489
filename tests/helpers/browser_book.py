"""The book that the browser opens: every notebook from its records at full size, and beside them a
reader's hostile set and oddly named model, measured on two samples.
"""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import tiny
from arbitration import dataset
from arbitration.files import folders
from arbitration.files.folders import ROOT
from arbitration.models import catalogue
from press.planned import book_runs
from press.publish import listed

#: What each kernel runs first. Attestation is most of a book's minutes and has tests of its own.
UNATTESTED = """
from reproduction.results import attest
attest.CHECKED, attest.ASKED_AGAIN = 0, 0.0
"""

#: What a process may know of its machine and its owner, and a page may not.
PRIVATE = {
    "HF_TOKEN": "hf_canarytoken",
    "OPENAI_API_KEY": "canarykey",
    "USER": "canaryuser",
    "LOGNAME": "canaryuser",
    "ANYTHING": "canaryvalue",
}


#: Words of a reader's own set that would be a page's if they were not drawn as they are.
HOSTILE = (
    """<script>throw new Error("pwned")</script> "><img src=x onerror="throw Error('pwned')"> """
    "[pwned](javascript:alert(1)) {{ pwned }} ``` <!-- $$ \\frac{a &lt; &copy; | # pwned"
)


#: A reader's model in a folder: all that its name may have (`parameters.PLAIN`).
ODD = "_épreuve_-1.5+x=2_"


def write_model(folder):
    """A small model as a reader may have saved one."""
    own = tiny.subject("llava")
    own.model.save_pretrained(folder)
    own.processor.save_pretrained(folder)
    return folder


def write_hostile(folder):
    """A set of the shipped pictures with hostile words in all that a reader can write."""
    folder.mkdir()
    scenes = dataset.load("scenes", "held")[:8]
    lines = []
    for number, scene in enumerate(scenes):
        shutil.copy(scene.image, folder / f"{number}.png")
        record = {
            "image": f"{number}.png",
            "question": f"What is this {HOSTILE}?",
            "context": f"It is a {scene.answer_text} {HOSTILE}",
            "answer_vision": f"{scene.answer_vision} <i>pwned</i>",
            "answer_text": f"{scene.answer_text} <i>pwned</i>",
            "task": "<u>pwned</u>",
        }
        lines.append(json.dumps(record))
    (folder / "samples.jsonl").write_text("\n".join(lines))
    return folder


def run_notebooks(source, *options):
    """Run notebooks into the book of a folder, and return what was printed."""
    home = source.parent / "canaryhome"
    startup = source.parent / "ipython" / "profile_default" / "startup"
    for folder in (home, startup):
        folder.mkdir(parents=True, exist_ok=True)
    (startup / "unattested.py").write_text(UNATTESTED)
    environment = {
        **os.environ,
        **PRIVATE,
        "HOME": str(home),
        "IPYTHONDIR": str(source.parent / "ipython"),
        "ARBITRATION_CACHE": str(folders.cache()),
    }
    command = [
        sys.executable,
        ROOT / "notebooks" / "run.py",
        *options,
        "--into",
        source / "book" / "_executed",
    ]
    done = subprocess.run(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True, env=environment
    )
    assert done.returncode == 0, done.stdout
    return done.stdout


def measure(source, notebook, model, **given):
    """Run a notebook on two samples of what no record has."""
    options = [word for name, value in given.items() for word in ("-p", name, str(value))]
    run_notebooks(source, f"--notebook={notebook}", f"--model={model}", "-p", "n", "2", *options)


def build_book(source, *options):
    """Lay out a copy of the book in a folder, run its notebooks with some options and build it; the
    folder of its pages.
    """
    shutil.copytree(
        ROOT / "book", source / "book", ignore=shutil.ignore_patterns("_executed", "__pycache__")
    )
    shutil.copytree(ROOT / "data" / "benchmarks", source / "data" / "benchmarks")
    for name in ("_config.yml", "_toc.yml", "LICENSES.md"):
        shutil.copy(ROOT / name, source)
    said = run_notebooks(source, *options)
    assert "default n" not in said, "a record does not reach"
    again = run_notebooks(source, *options)
    assert again.count("unchanged") == len(book_runs(listed())), "runs repeat themselves"
    # The pages quote of the first model what only the shipped set has.
    first, other, _ = catalogue.EMBEDDED
    hostile = write_hostile(source.parent / "hostile")
    unfollowed = {"data": hostile, "only_following": False}
    measure(source, "steer", first, **unfollowed, draws=2, instruction=HOSTILE)
    measure(source, "sec2_dataset", other, data=hostile)
    odd = write_model(source.parent / "models" / ODD)
    measure(source, "sec2_dataset", odd)
    measure(source, "sec3_beliefs", odd, only_following=False)
    command = [
        Path(sys.executable).with_name("jupyter-book"),
        "build",
        source,
        "--all",
        "-W",
        "-n",
        "--keep-going",
    ]
    subprocess.run(command, check=True, stdin=subprocess.DEVNULL)
    return source / "_build" / "html"
