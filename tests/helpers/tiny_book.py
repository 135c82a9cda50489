"""The whole book, measured on very few samples, some of them hostile."""

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
from arbitration.models import embedded
from press.planned import book_runs
from press.publish import listed

#: Parameters, beside two samples, of the notebooks that would otherwise take minutes.
SMALLEST = {
    "sec4_sensitivity": {"singles": 1, "draws": 2, "shares": [0.05], "factors": [2.0], "tries": 8},
    "controls": {"n_weights": 1, "stride": 15},
}


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


def measure(source, *options, **given):
    """Run notebooks on two samples, and return what was printed."""
    home = source.parent / "canaryhome"
    home.mkdir(exist_ok=True)
    environment = {
        **os.environ,
        **PRIVATE,
        "HOME": str(home),
        "ARBITRATION_CACHE": str(folders.cache()),
    }
    parameters = [
        word for name, value in {"n": 2, **given}.items() for word in ("-p", name, str(value))
    ]
    command = [
        sys.executable,
        ROOT / "notebooks" / "run.py",
        *options,
        *parameters,
        "--into",
        source / "book" / "_executed",
    ]
    done = subprocess.run(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True, env=environment
    )
    assert done.returncode == 0, done.stdout
    return done.stdout


def build_book(source):
    """Lay out a copy of the book in a folder, measure and build it; the folder of its pages."""
    shutil.copytree(
        ROOT / "book", source / "book", ignore=shutil.ignore_patterns("_executed", "__pycache__")
    )
    shutil.copytree(ROOT / "data" / "benchmarks", source / "data" / "benchmarks")
    for name in ("_config.yml", "_toc.yml", "LICENSES.md"):
        shutil.copy(ROOT / name, source)
    hostile = {"data": write_hostile(source.parent / "hostile"), "only_following": False}
    own = {**SMALLEST, "sec2_dataset": {}}
    own["steer"] = {**hostile, "draws": 2, "instruction": HOSTILE}
    for name, given in own.items():
        measure(source, f"--notebook={name}", **given)
    # The pages quote of the first model what only the shipped set has.
    other = f"--model={embedded.TRAINED[1]}"
    measure(source, "--notebook=sec2_dataset", other, data=hostile["data"])
    odd = f"--model={write_model(source.parent / 'models' / ODD)}"
    measure(source, "--notebook=sec2_dataset", odd)
    measure(source, "--notebook=sec3_beliefs", odd, only_following=False)
    others = [name for name in listed() if name not in own]
    options = [f"--notebook={name}" for name in others]
    measure(source, *options)
    assert measure(source, *options).count("unchanged") == len(book_runs(others)), (
        "runs repeat themselves although nothing changed"
    )
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
