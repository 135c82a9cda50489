"""Loading: names, errors for the reader, and refusing what would be silently wrong."""

import json

import pytest
import tiny
import torch

import arbitration as arb
from arbitration import models


def test_a_misspelt_name_is_answered_with_the_nearest():
    with pytest.raises(ValueError, match="unknown model 'intervl3'; did you mean 'internvl3'"):
        arb.load("intervl3")
    with pytest.raises(ValueError, match="'trained' or 'random'"):
        arb.load("smol", weights="fresh")
    with pytest.raises(ValueError, match="device='auto' spreads models from the hub"):
        arb.load("smol", device="auto")


def test_missing_weights_say_how_to_get_them(monkeypatch, tmp_path):
    monkeypatch.setenv("ARBITRATION_CACHE", str(tmp_path))
    monkeypatch.setattr(models, "_newest_revision", lambda repository: (_ for _ in ()).throw(OSError("no network")))
    with pytest.raises(FileNotFoundError, match="OpenGVLab/InternVL3-8B-hf.*hf download.*smol, smol-relay"):
        arb.load("internvl3")
    assert not (tmp_path / "revisions.json").exists()


def test_the_first_revision_is_written_down_and_used_from_then_on(monkeypatch, tmp_path):
    """The hub's part, with a model folder on disk in place of the hub."""
    monkeypatch.setenv("ARBITRATION_CACHE", str(tmp_path))
    asked, devices = [], []

    def remember(cls):
        def load(repository, revision, **options):
            asked.append((repository, revision, options["trust_remote_code"]))
            devices.extend([options["device_map"]] if "device_map" in options else [])
            subject = tiny.subject("llava")
            return subject.processor if cls == "processor" else subject.model

        return load

    monkeypatch.setattr(models.AutoProcessor, "from_pretrained", remember("processor"))
    monkeypatch.setattr(models.AutoModelForImageTextToText, "from_pretrained", remember("model"))
    monkeypatch.setattr(models, "_newest_revision", lambda repository: "a" * 40)
    assert arb.load("llava-1.5", device="cpu").revision == "a" * 40
    monkeypatch.setattr(models, "_newest_revision", lambda repository: "b" * 40)
    assert arb.load("llava-1.5", device="auto").revision == "a" * 40
    assert devices == ["cpu", "auto"], "the model alone is given a place"
    assert json.loads((tmp_path / "revisions.json").read_text()) == {"llava-hf/llava-1.5-7b-hf": "a" * 40}
    assert set(asked) == {("llava-hf/llava-1.5-7b-hf", "a" * 40, False)}


def test_a_model_without_the_parts_is_refused():
    class Stranger(torch.nn.Module):
        def get_decoder(self):
            return torch.nn.Linear(1, 1)

    with pytest.raises(ValueError, match="no 'layers'"):
        models.checked(models.Subject("stranger", Stranger(), None, "none"))


def test_random_weights_are_the_same_architecture_and_repeatable():
    one, two = arb.load("smol", weights="random"), arb.load("smol", weights="random")
    assert one.revision == "random-0" and (one.n_layers, one.n_heads) == (30, 9)
    assert all(torch.equal(a, b) for a, b in zip(one.model.parameters(), two.model.parameters()))
