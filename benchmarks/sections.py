"""What each section's notebook costs on the paper's models at their true size, with random weights:
seconds per sample and GPU memory.

    python benchmarks/sections.py --gpu                 all notebooks on the three models,
                                                        4 samples per direction
    python benchmarks/sections.py --gpu --models qwen2.5-vl --samples 8
    python benchmarks/sections.py --gpu --device auto   each model spread over all GPUs

It needs a GPU and no weights. The scenes are enlarged to photographs' size, so that a prompt is as
long as a real one. Every notebook runs whole, from an empty cache; what a sample costs is the time
in which the parts of its tables are measured. The numbers go to ``data/benchmarks``.
"""

import argparse
import dataclasses
import gc
import json
import os
import sys
import tempfile
import time
from pathlib import Path
from unittest import mock

import nbformat
import torch
from tqdm import tqdm

import arbitration as arb
from arbitration.dataset import own, pictures
from arbitration.models import load as loading
from press import planned
from press.markdown import markdown
from press.publish import Run
from reproduction.results import store

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "data" / "benchmarks"

MODELS = ("qwen2.5-vl", "internvl3", "llava-1.5")
PICTURE = (640, 480)  # pixels, as most of COCO's photographs
#: GiB that a program can have on a card, and what CUDA itself and fragments take of it.
CARDS, OVERHEAD = {"one 80 GB card": 79.0, "two 24 GB cards": 23.5}, 1.5


def enlarged(folder: Path, count: int) -> Path:
    """A reader's own set of as many of the shipped scenes, with pictures of photographs' size."""
    folder.mkdir(parents=True)
    lines = []
    for sample in arb.dataset.shuffled(arb.dataset.load("scenes", "held"), 0)[:count]:
        pictures.read_picture(sample.image).resize(PICTURE).save(folder / f"{sample.id}.png")
        lines.append(
            json.dumps(
                {
                    name: value
                    for name, value in dataclasses.asdict(sample).items()
                    if name in own.FIELDS
                }
                | {"image": f"{sample.id}.png"}
            )
        )
    (folder / "samples.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return folder


def parameters(notebook: str, data: Path, samples: int) -> dict:
    """What a notebook is run with: so many samples per direction, none of which a model without
    training follows; else its defaults.
    """
    declared = planned.papermill.inspect_notebook(planned.NOTEBOOKS / f"{notebook}.ipynb")
    wanted = {"n": samples, "data": str(data), "weights": "random", "only_following": False}
    return {name: value for name, value in wanted.items() if name in declared}


def run_cells(one: Run) -> None:
    """Run a notebook's cells in this very process, without an output."""
    scope: dict = {}
    with mock.patch("myst_nb.glue"):
        for cell in nbformat.read(one.source, as_version=4).cells:
            if cell.cell_type == "code":
                exec(compile(cell.source, one.title, "exec"), scope)
                if "parameters" in cell.metadata.get("tags", []):
                    scope.update(one.parameters)
    scope.clear()
    gc.collect()


def measured(subject, notebook: str, data: Path, samples: int) -> dict:
    """One notebook on a model that is loaded already: seconds in all and for each sample, and each
    device's peak memory in GiB.
    """
    one = Run(
        planned.NOTEBOOKS / f"{notebook}.ipynb",
        subject.name,
        {**parameters(notebook, data, samples), "model": subject.name},
    )
    cards, spent, measure = range(torch.cuda.device_count()), [], store.measure_parts
    for card in cards:
        torch.cuda.reset_peak_memory_stats(card)

    def timed(*arguments):
        started = time.perf_counter()
        found = measure(*arguments)
        spent.append(time.perf_counter() - started)
        return found

    started = time.perf_counter()
    try:
        with (
            mock.patch.object(loading, "load", lambda *_, **__: subject),
            mock.patch.object(store, "measure_parts", timed),
        ):
            run_cells(one)
    except torch.cuda.OutOfMemoryError:
        return {"notebook": notebook, "seconds": None, "seconds_per_sample": None, "peak_gib": None}
    peaks = [torch.cuda.max_memory_allocated(card) / 2**30 for card in cards]
    return {
        "notebook": notebook,
        "seconds": time.perf_counter() - started,
        "seconds_per_sample": sum(spent) / samples,
        "peak_gib": peaks or None,
    }


def fits(line: dict, weights: float) -> dict[str, bool | None]:
    """Whether a notebook's peak would do on each of `CARDS`.

    For two cards, from a peak measured on one: half of the weights on each, and everything else on
    one of them.
    """
    if not line["peak_gib"]:
        return dict.fromkeys(CARDS)
    one, two = CARDS.values()
    total = sum(line["peak_gib"])
    fullest = max(line["peak_gib"]) if len(line["peak_gib"]) == 2 else weights / 2 + total - weights
    return dict(zip(CARDS, (total + OVERHEAD <= one, fullest + OVERHEAD <= two)))


def all_sections(subject, notebooks: list[str], samples: int) -> dict:
    """Every notebook on one model."""
    weights = (
        sum(
            parameter.numel() * parameter.element_size() for parameter in subject.model.parameters()
        )
        / 2**30
    )
    with tempfile.TemporaryDirectory() as folder:
        data, lines = enlarged(Path(folder) / "scenes", 8 * samples), []
        for notebook in tqdm(notebooks, desc=subject.name):
            own = {
                "ARBITRATION_CACHE": f"{folder}/{notebook}",
                "ARBITRATION_OUTPUT": f"{folder}/output",
            }
            with mock.patch.dict(os.environ, own):
                lines.append(measured(subject, notebook, data, samples))
        prompt = subject.encode(arb.dataset.load(data)[0], "vision")
    groups = {
        group: len(prompt.groups.positions(group))
        for group in ("vision", "context", "instruction", "last", "template")
    }
    return {
        "model": subject.name,
        "parameters": sum(parameter.numel() for parameter in subject.model.parameters()),
        "weights_gib": weights,
        "samples": samples,
        "dtype": str(subject.model.dtype).removeprefix("torch."),
        "tokens": prompt.groups.length,
        "groups": groups,
        "sections": [line | {"fits": fits(line, weights)} for line in lines],
    }


def table(models: list[dict]) -> str:
    """Two columns for each model: seconds per sample (under both instructions), and the peak of all
    cards together.
    """
    rows = [[""], ["weights"]]
    for one in models:
        rows[0] += [f"{one['model']}, s per sample", "peak, GiB"]
        rows[1] += ["", f"{one['weights_gib']:.1f}"]
    for sections in zip(*(one["sections"] for one in models)):
        row = [sections[0]["notebook"]]
        for line in sections:
            fitted, peaks = line["seconds"] is not None, line["peak_gib"]
            row.append(f"{line['seconds_per_sample']:.1f}" if fitted else "out of memory")
            row.append(f"{sum(peaks):.1f}" if peaks else "–")
        rows.append(row)
    for card in CARDS:
        row = [f"everything fits {card}"]
        for one in models:
            found = [line["fits"][card] for line in one["sections"]]
            row += ["yes" if all(found) else "not known" if None in found else "no", ""]
        rows.append(row)
    tokens = "; ".join(
        f"{one['model']}: {one['tokens']} tokens, {one['groups']['vision']} of them picture"
        for one in models
    )
    return "\n".join(markdown(rows)) + (
        f"\n\nA prompt with a picture of {PICTURE[0]} × {PICTURE[1]} pixels. {tokens}. "
        f"{models[0]['samples']} samples per direction, {models[0]['dtype']}."
    )


def main(arguments=None) -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--gpu", action="store_true", help="must be given: on processors this takes days"
    )
    parser.add_argument("--models", nargs="+", default=list(MODELS), choices=MODELS)
    parser.add_argument("--notebooks", nargs="+", default=sorted(planned.listed()))
    parser.add_argument("--samples", type=int, default=4)
    parser.add_argument("--device", help="auto spreads each model over all GPUs")
    chosen = parser.parse_args(arguments)
    if not chosen.gpu or not torch.cuda.is_available():
        sys.exit("this needs a GPU with at least 24 GB, and --gpu")
    found = []
    for name in chosen.models:
        subject = arb.load(name, weights="random", device=chosen.device)
        found.append(all_sections(subject, chosen.notebooks, chosen.samples))
        del subject
        torch.cuda.empty_cache()
    machine = f"{torch.cuda.device_count()} × {torch.cuda.get_device_name()}"
    written = table(found)
    print(written)
    origin = {
        "machine": machine,
        "torch": torch.__version__,
        "date": time.strftime("%Y-%m-%d"),
        "device": chosen.device or "cuda",
    }
    (RESULTS / "sections_gpu.json").write_text(
        json.dumps({**origin, "models": found}, indent=1) + "\n", encoding="utf-8"
    )
    (RESULTS / "sections_gpu.md").write_text(
        f"Measured on {machine}, torch {torch.__version__}, {origin['date']}.\n\n{written}\n",
        encoding="utf-8",
    )
    print("written: data/benchmarks/sections_gpu.json")


if __name__ == "__main__":
    main()
