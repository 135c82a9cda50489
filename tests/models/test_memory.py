"""What fits: places of layers, number formats, and how many prompts go backward together."""

import pytest
import torch

import arbitration as arb
import tiny
from arbitration.checks import conformance, suite
from arbitration.equations import sensitivity
from arbitration.equations.sensitivity import gain_gradients
from arbitration.models import memory


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    saved, own = tmp_path_factory.mktemp("saved") / "mine", tiny.subject("llava")
    own.model.save_pretrained(saved)
    own.processor.save_pretrained(saved)
    return str(saved)


def size(itemsize):
    return tiny.subject("llava").model.num_parameters() * itemsize


def test_a_model_that_the_gpus_do_not_hold_is_refused_and_not_put_on_the_cpu(folder, monkeypatch):
    room = {0: size(2) // 3, 1: size(2) // 3, "cpu": 2**40}
    monkeypatch.setattr(memory, "get_balanced_memory", lambda *model, **options: room)
    with pytest.raises(
        ValueError,
        match=r"do not hold .*: no room for .* \(\d+ parts, 0.0 GiB\); give more or larger GPUs",
    ):
        arb.load(folder, device="auto")
    with pytest.raises(
        ValueError, match=r"in float32: .*; give dtype=torch.bfloat16 \(0.0 GiB\), more or larger"
    ):
        arb.load(folder, dtype=torch.float32, device="auto")
    room |= {0: size(2), 1: size(2)}
    places = memory.places(tiny.subject("llava").model, torch.bfloat16)
    assert set(places.values()) == {0, 1}


def test_where_nothing_but_the_cpu_is_there_auto_is_the_cpu(folder, monkeypatch):
    monkeypatch.setattr(memory, "get_balanced_memory", lambda *model, **options: {"cpu": 2**40})
    assert arb.load(folder, device="auto").device == torch.device("cpu")


@pytest.mark.parametrize(
    "share, dtype, why",
    [
        (1.3, torch.float32, "float32 takes"),
        (1.1, torch.bfloat16, "rounding hides mistakes"),
        (0.6, torch.bfloat16, "of the 0.0 that are free"),
    ],
)
def test_the_suite_s_number_format_is_what_fits(monkeypatch, folder, capsys, share, dtype, why):
    monkeypatch.setattr(memory, "free", lambda device: int(size(4) * share))
    assert memory.fitting_dtype(tiny.subject("llava").model, "cpu")[0] == dtype
    assert why in memory.fitting_dtype(tiny.subject("llava").model, "cpu")[1]
    used = []
    monkeypatch.setattr(
        suite, "check_model", lambda subject, samples: used.append(subject.model.dtype) or []
    )
    assert conformance.main([folder, "--device", "cpu"]) == 0 and used == [dtype]
    assert (
        f"{str(dtype).removeprefix('torch.')} (float32 takes 0.0 GiB of the"
        in capsys.readouterr().out
    )


def test_free_memory_is_a_number_of_bytes():
    assert 2**26 < memory.free("cpu") < 2**50 and memory.free(torch.device("cpu")) > 0


def kept(subject, prompt):
    """Bytes that the backward pass finds kept, those of weights aside."""
    weights = {
        weight.untyped_storage().data_ptr()
        for weight in [*subject.model.parameters(), *subject.model.buffers()]
    }
    found = {}

    def keep(tensor):
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in weights:
            found[storage.data_ptr()] = (storage.nbytes(), tensor)
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        gain_gradients(subject, [prompt], batch=1)
    return sum(nbytes for nbytes, _ in found.values())


@pytest.mark.parametrize("name, dtype", [("smol", torch.float32), ("smol", torch.bfloat16)])
def test_the_estimate_is_what_a_backward_pass_keeps(name, dtype):
    subject = arb.load(name, weights="random", dtype=dtype, device="cpu")
    prompt = subject.encode(tiny.samples()[0], "text")
    found = kept(subject, prompt)
    assert found == pytest.approx(
        memory.bytes_for_gradients(subject, prompt.groups.length), rel=0.2
    )


def prompts(subject):
    return [subject.encode(sample, way) for sample in tiny.samples() for way in ("text", "vision")]


@pytest.mark.parametrize("room, most", [(0.5, 1), (2.2, 1), (5.0, 2), (50.0, 4)])
def test_as_many_prompts_go_backward_together_as_fit(monkeypatch, room, most):
    subject = tiny.subject("qwen2.5-vl")
    several, sizes = prompts(subject), []
    longest = max(prompt.groups.length for prompt in several)
    monkeypatch.setattr(
        memory, "free", lambda device: room * memory.bytes_for_gradients(subject, longest)
    )
    honest = sensitivity._pack_gradients
    monkeypatch.setattr(
        sensitivity,
        "_pack_gradients",
        lambda s, pack, *rest: sizes.append(len(pack)) or honest(s, pack, *rest),
    )
    found = gain_gradients(subject, several)
    assert max(sizes) == most and sum(sizes) == len(several)
    torch.testing.assert_close(
        found, gain_gradients(subject, several, batch=3), rtol=1e-6, atol=1e-7
    )


def test_out_of_memory_halves_what_travels_together(monkeypatch, capsys):
    subject = tiny.subject("qwen2.5-vl")
    several, sizes, honest = prompts(subject), [], sensitivity._pack_gradients

    def small(subject, pack, *rest):
        sizes.append(len(pack))
        if len(pack) > 2:
            raise torch.cuda.OutOfMemoryError
        return honest(subject, pack, *rest)

    expected = gain_gradients(subject, several, batch=2)
    monkeypatch.setattr(sensitivity, "_pack_gradients", small)
    assert torch.equal(gain_gradients(subject, several, batch=5), expected), (
        "the packs of two are the same"
    )
    assert (
        sizes == [5, 2, 2, 2, 2]
        and "out of GPU memory; going on with 2 prompts at a time" in capsys.readouterr().out
    )
    monkeypatch.setattr(
        sensitivity,
        "_pack_gradients",
        lambda *given: (_ for _ in ()).throw(torch.cuda.OutOfMemoryError()),
    )
    with pytest.raises(torch.cuda.OutOfMemoryError):
        gain_gradients(subject, several)
