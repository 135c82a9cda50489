"""Loading a model runs nothing that its files bring along: no code of the repository, no pickle, no
template that leaves its sandbox.

Each trap leaves a mark when it is sprung, and a test springs it to see that.
"""

import importlib.util
import json
import pickle

import pytest
import torch

import arbitration as arb
import tiny
from arbitration.checks import conformance
from arbitration.engine.generation import first_answer

#: Where the files of a model may name a class of the model's own repository.
NAMED = {
    "config.json": {
        "AutoConfig": "trap.Config",
        "AutoModel": "trap.Model",
        "AutoModelForImageTextToText": "trap.Model",
        "AutoModelForCausalLM": "trap.Model",
    },
    "tokenizer_config.json": {"AutoTokenizer": ["trap.Tokenizer", "trap.Tokenizer"]},
    "processor_config.json": {
        "AutoProcessor": "trap.Processor",
        "AutoImageProcessor": "trap.Processor",
    },
    "preprocessor_config.json": {
        "AutoProcessor": "trap.Processor",
        "AutoImageProcessor": "trap.Processor",
    },
}
TEMPLATE = "{{ ''.__class__.__mro__[1].__subclasses__() }}"


class Trap:
    """A pickle that makes a file when it is read."""

    def __init__(self, mark):
        self.mark = mark

    def __reduce__(self):
        return open, (str(self.mark), "w")


@pytest.fixture
def trapped(tmp_path):
    """A whole small model in a folder full of traps, and the file that a sprung one makes."""
    own, folder, mark = tiny.subject("llava"), tmp_path / "model", tmp_path / "sprung"
    own.model.save_pretrained(folder)
    own.processor.save_pretrained(folder)
    code = f"open({str(mark)!r}, 'w').close()\n"
    for name in ("trap", "custom_generate/generate", "modeling_llava", "configuration_llava"):
        path = folder / f"{name}.py"
        path.parent.mkdir(exist_ok=True)
        path.write_text(code)
    for name, classes in NAMED.items():
        path = folder / name
        known = json.loads(path.read_text()) if path.exists() else {}
        path.write_text(json.dumps({**known, "auto_map": classes}))
    for name in ("pytorch_model.bin", "model.pt", "training_args.bin", "tokenizer.pkl"):
        (folder / name).write_bytes(pickle.dumps(Trap(mark)))
    return folder, mark


def test_every_trap_can_be_sprung(trapped):
    folder, mark = trapped
    for name in ("trap", "modeling_llava"):
        spec = importlib.util.spec_from_file_location("trap", folder / f"{name}.py")
        spec.loader.exec_module(importlib.util.module_from_spec(spec))
        assert mark.exists()
        mark.unlink()
    for path in [*folder.glob("*.bin"), *folder.glob("*.p?*")]:
        if path.suffix != ".py":
            with path.open("rb") as file:
                pickle.load(file).close()
            assert mark.exists()
            mark.unlink()


def test_a_model_among_traps_is_loaded_and_asked_without_springing_one(trapped):
    folder, mark = trapped
    subject = arb.load(str(folder))
    known = tiny.subject("llava").model.state_dict()
    for key, value in subject.model.state_dict().items():
        assert torch.equal(value, known[key].to(value.dtype)), key
    assert type(subject.model).__module__.startswith("transformers.models.llava")
    first_answer(subject, subject.encode(tiny.samples()[0], "text"))
    assert conformance.main([str(folder)]) in (0, 1)
    assert not mark.exists()


def test_weights_in_a_pickle_alone_are_refused(trapped):
    folder, mark = trapped
    for path in folder.glob("*.safetensors"):
        path.unlink()
    with pytest.raises((ValueError, FileNotFoundError), match="safetensors"):
        arb.load(str(folder))
    assert not mark.exists()


def test_an_architecture_that_only_the_repository_knows_is_refused(trapped):
    folder, mark = trapped
    known = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**known, "model_type": "trap"}))
    with pytest.raises(ValueError, match="Code that comes with a checkpoint is not run here"):
        arb.load(str(folder))
    assert not mark.exists()


def test_a_chat_template_stays_in_its_sandbox(trapped):
    """A template is a program of the repository's: what it may do is to put words together."""
    folder, mark = trapped
    (folder / "chat_template.jinja").write_text(TEMPLATE)
    with pytest.raises(Exception) as caught:
        arb.load(str(folder)).encode(tiny.samples()[0], "text")
    assert "unsafe" in str(caught.value) or "template" in str(caught.value)
    assert not mark.exists()
