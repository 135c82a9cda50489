"""A cell that is empty for a good reason is a finding: the number is not measured, the panel says so, and the notebook runs to its end."""

import json
import shutil
from dataclasses import replace

import pytest
import tiny
from test_notebooks import NOTEBOOKS, run

from arbitration import following

EVERY = [*NOTEBOOKS, "controls"]
#: What keeps a run short; every parameter at its smallest.
SMALLEST = {
    "sec3_knockout": {"n_controls": 1},
    "sec4_heads": {"draws": 1, "elsewhere": 1, "shares": [0.05], "factors": [2.0, 3.0]},
    "sec4_sensitivity": {"singles": 1, "draws": 1, "elsewhere": 1, "shares": [0.05], "factors": [2.0, 5.0], "tries": 3},
    "appC_windows": {"widths": [1, 3], "n_controls": 1},
    "appE_ablations": {"draws": 1},
    "appG_reviews": {"few": 1, "tries": 3, "draws": 1, "n_controls": 1},
    "controls": {"n_weights": 1}, "steer": {"draws": 2},
}
FIELDS = ("id", "task", "question", "context", "answer_vision", "answer_text", "instruction_vision", "instruction_text")


def written(folder, samples):
    """A reader's own set of some samples."""
    for sample in samples:
        shutil.copy(sample.image, folder / f"{sample.id}.png")
    records = [{field: getattr(sample, field) for field in FIELDS} | {"image": f"{sample.id}.png"} for sample in samples]
    (folder / "samples.jsonl").write_text("\n".join(map(json.dumps, records)), encoding="utf-8")
    return str(folder)


def answering(monkeypatch, choose):
    """A model that answers what `choose` takes from a prompt, whatever is done to it; returns it in place of `arb.load`."""
    def said(prompt):
        return f" {choose(prompt)}"

    def first(subject, prompt):
        return said(prompt), prompt.y_p

    def answers(subject, prompt, gains=None, *rest, **options):
        return [said(prompt)] * (1 if gains is None else len(gains))

    def without(subject, prompt, cases, *rest, **options):
        return [said(prompt)] * len(cases)

    for name, patched in (("first_answer", first), ("answers", answers), ("answers_without", without)):
        monkeypatch.setattr(following, name, patched)
    return lambda name, weights: tiny.subject("internvl", seed={"trained": 0, "random": 1}[weights])


KINDS = {
    "always": lambda prompt: prompt.sample.answers(prompt.following)[0],
    "text": lambda prompt: prompt.sample.answer_text,
    "vision": lambda prompt: prompt.sample.answer_vision,
}


@pytest.mark.parametrize("notebook", EVERY)
@pytest.mark.parametrize("kind", KINDS)
def test_a_model_that_follows_always_or_in_one_direction_alone_is_measured(kind, notebook, tmp_path, monkeypatch):
    data = written(tmp_path, tiny.samples(6))
    glued = run(notebook, tmp_path / "run", monkeypatch, answering(monkeypatch, KINDS[kind]), n=2, data=data, **SMALLEST.get(notebook, {}))
    assert glued
