"""The hub's cache, laid out by hand, and no network: what is here is found, and what is wrong with
it is said.
"""

import dataclasses
import json
import shutil
import socket
import time

import pytest
import torch
from huggingface_hub import constants
from safetensors.torch import load_file, save_file

import arbitration as arb
import tiny
from arbitration.checks import conformance
from arbitration.models import hub, snapshots, true_size

REPOSITORY, COMMIT, OTHER = "org/model", "a" * 40, "b" * 40


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """A small model as a repository has it: three files of weights and an index."""
    folder, own = tmp_path_factory.mktemp("saved"), tiny.subject("llava")
    own.model.save_pretrained(folder, max_shard_size="200KB")
    own.processor.save_pretrained(folder)
    assert len(list(folder.glob("model-*.safetensors"))) > 2
    return folder


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """An empty cache, and nothing behind any address."""

    def refused(*args, **options):
        asked.append(args)
        why = "no network"
        raise OSError(why)

    asked = []
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr(socket, "getaddrinfo", refused)
    monkeypatch.setattr(socket.socket, "connect", refused)
    monkeypatch.setenv("ARBITRATION_CACHE", str(tmp_path / "own"))
    return dataclasses.make_dataclass("Cache", ["home", "asked"])(
        tmp_path / "hub" / "models--org--model", asked
    )


def lay(home, source, commit=COMMIT, main=False, without=()):
    """A revision in the cache: blobs, and links to them under the files' names."""
    (home / "blobs").mkdir(parents=True, exist_ok=True)
    (home / "snapshots" / commit).mkdir(parents=True)
    for path in source.iterdir():
        if path.name not in without:
            blob = home / "blobs" / f"{commit[0]}-{path.name}"
            shutil.copy(path, blob)
            (home / "snapshots" / commit / path.name).symlink_to(blob)
    if main:
        (home / "refs").mkdir()
        (home / "refs" / "main").write_text(commit)
    return home / "snapshots" / commit


def load(**options):
    return arb.load(REPOSITORY, dtype=torch.float64, device="cpu", **options)


@pytest.mark.parametrize("main", [True, False])
def test_weights_that_are_here_need_no_network(cache, saved, main):
    """Also without a note of which revision is main: a download by revision leaves none."""
    lay(cache.home, saved, main=main)
    start = time.perf_counter()
    subject = load()
    assert subject.revision == COMMIT and hub.pinned() == {REPOSITORY: COMMIT}
    assert cache.asked == [] and time.perf_counter() - start < 30
    own = tiny.subject("llava").model.state_dict()
    assert all(
        torch.equal(weight, own[name]) for name, weight in subject.model.state_dict().items()
    )


def test_what_no_model_needs_may_be_left_out(cache, saved, tmp_path):
    full = shutil.copytree(saved, tmp_path / "full")
    for name in ("README.md", "tokenizer.model"):
        (full / name).write_text("not needed")
    lay(cache.home, full, without=("README.md", "tokenizer.model", "generation_config.json"))
    assert load().revision == COMMIT and cache.asked == []


def test_of_several_revisions_the_main_one_is_taken_and_else_the_newest_whole_one(cache, saved):
    lay(cache.home, saved, COMMIT)
    time.sleep(0.01)
    lay(cache.home, saved, OTHER)
    assert snapshots.complete(REPOSITORY).name == OTHER
    (cache.home / "refs").mkdir()
    (cache.home / "refs" / "main").write_text(COMMIT)
    assert snapshots.complete(REPOSITORY).name == COMMIT
    (cache.home / "snapshots" / COMMIT / "config.json").unlink()
    assert snapshots.complete(REPOSITORY).name == OTHER


def test_a_pinned_revision_that_is_gone_names_the_file_that_pins_it(cache, saved, tmp_path):
    lay(cache.home, saved, OTHER, main=True)
    hub.pin(REPOSITORY, COMMIT)
    with pytest.raises(FileNotFoundError) as refusal:
        load()
    said = str(refusal.value)
    assert f"revision {COMMIT}, which {tmp_path / 'own' / 'revisions.json'} keeps to" in said
    assert f"other revisions here: {OTHER}" in said and "delete its line in that file" in said
    assert hub.pinned() == {REPOSITORY: COMMIT}


def test_a_file_that_a_download_lacks_is_named(cache, saved):
    shard = sorted(path.name for path in saved.glob("model-*.safetensors"))[1]
    lay(cache.home, saved, without=(shard,))
    with pytest.raises(
        FileNotFoundError, match=f"this machine lacks {shard}.*hf download {REPOSITORY}"
    ):
        load()
    assert hub.pinned() == {}


@pytest.mark.parametrize("kept", [5, 700, -9])
def test_weights_that_were_cut_short_are_named(cache, saved, kept, tmp_path):
    """In a repository's cache and in a folder."""
    shard = sorted(path.name for path in saved.glob("model-*.safetensors"))[1]
    folder = shutil.copytree(saved, tmp_path / "mine")
    (folder / shard).write_bytes((folder / shard).read_bytes()[:kept])
    lay(cache.home, folder)
    again = f"hf download {REPOSITORY} {shard} --revision {COMMIT} --force-download"
    with pytest.raises(FileNotFoundError, match=f"not whole: .*{shard} .*{again}"):
        load()
    with pytest.raises(
        FileNotFoundError, match=f"not whole: {folder / shard} .*copy or save them again"
    ):
        arb.load(str(folder), device="cpu")
    assert hub.pinned() == {}


def test_a_broken_file_that_is_here_is_not_taken_for_a_failed_download(cache, saved, tmp_path):
    broken = shutil.copytree(saved, tmp_path / "mine")
    (broken / "tokenizer.json").write_text('{"version": ')
    folder = lay(cache.home, broken)
    with pytest.raises((FileNotFoundError, ValueError)) as refusal:
        load()
    assert "could not be downloaded" not in str(refusal.value)
    assert str(folder) in str(refusal.value) or "cannot read" in str(refusal.value)


def test_the_words_of_a_model_of_random_weights_are_read_by_what_is_here(cache, saved):
    lay(cache.home, saved, without=[path.name for path in saved.glob("*.safetensors*")])
    processor = true_size._processor(true_size.facts("llava-1.5"), REPOSITORY)
    assert len(processor.tokenizer) == len(tiny.subject("llava").tokenizer) and cache.asked == []


# Weights that do not arrive.


def changed(saved, tmp_path, change):
    """The model's folder with other weights."""
    folder = shutil.copytree(saved, tmp_path / "changed")
    index = json.loads((folder / snapshots.INDEX).read_text())["weight_map"]
    weights = {
        key: value
        for name in set(index.values())
        for key, value in load_file(folder / name).items()
    }
    for name in {*index.values(), snapshots.INDEX}:
        (folder / name).unlink()
    save_file(change(weights), folder / snapshots.SINGLE, {"format": "pt"})
    return folder


def lost(weights, ending):
    return {key: value for key, value in weights.items() if not key.endswith(ending)}


def foreign(weights):
    return {f"foreign.{key}": value for key, value in weights.items()}


def narrowed(weights):
    (key,) = [
        key
        for key in weights
        if "language_model" in key and key.endswith("layers.2.mlp.up_proj.weight")
    ]
    return {**weights, key: weights[key][:-1].clone()}


def deepened(weights):
    last = [key for key in weights if "language_model" in key and "layers.4." in key]
    return {
        **weights,
        **{key.replace("layers.4.", "layers.5."): weights[key].clone() for key in last},
    }


def biased(weights):
    (key,) = [
        key
        for key in weights
        if "language_model" in key and key.endswith("layers.2.self_attn.q_proj.weight")
    ]
    return {**weights, key.replace("weight", "bias"): torch.ones(len(weights[key]))}


def blinkered(weights):
    """A bias in the vision tower that the model has no place for."""
    key = next(
        key for key in weights if "vision_tower" in key and key.endswith("patch_embedding.weight")
    )
    return {**weights, key.replace("weight", "bias"): torch.ones(len(weights[key]))}


@pytest.mark.parametrize(
    "change, says",
    [
        (
            biased,
            r"1 in no part of the model \(model.language_model.layers.2.self_attn.q_proj.bias\)",
        ),
        (blinkered, r"1 in no part of the model \(model.vision_tower.*patch_embedding.bias\)"),
        (
            foreign,
            (
                r"\d+ missing \(lm_head.weight, .* and \d+ more\), "
                r"\d+ in no part of the model \(foreign"
            ),
        ),
        (
            lambda w: lost(w, "layers.3.self_attn.v_proj.weight"),
            r"1 missing \(model.language_model.layers.3.self_attn.v_proj.weight\)",
        ),
        (lambda w: lost(w, "lm_head.weight"), r"1 missing \(lm_head.weight\)"),
        (narrowed, r"1 of another shape \(model.language_model.layers.2.mlp.up_proj.weight\)"),
        (
            deepened,
            r"9 in no part of the model \(.*layers.5.input_layernorm.weight, .* and 6 more\)",
        ),
    ],
    ids=[
        "a bias",
        "a bias of the vision tower",
        "foreign prefix",
        "a projection",
        "an unembedding",
        "a shape",
        "one layer more",
    ],
)
def test_weights_that_do_not_arrive_are_refused(cache, saved, tmp_path, capsys, change, says):
    folder = changed(saved, tmp_path, change)
    with pytest.raises(
        ValueError, match=f"does not fill a LlavaForConditionalGeneration of .*{says}.*left random"
    ):
        arb.load(str(folder), device="cpu")
    assert conformance.main([str(folder), "--device", "cpu"]) == 2
    assert "does not fill" in capsys.readouterr().err
    lay(cache.home, folder)
    with pytest.raises(ValueError, match="the checkpoint of 'org/model' does not fill"):
        load()
    assert hub.pinned() == {}, "no revision is kept of what was refused"


def pooled(weights):
    """With the pooling head of a vision tower that the model does not use."""
    key = next(key for key in weights if "vision_tower" in key and "embeddings" in key)
    return {**weights, f"{key.partition('embeddings')[0]}head.probe": torch.ones(1, 1, 3)}


@pytest.mark.parametrize(
    "change",
    [pooled, lambda weights: {**weights, "value_head.weight": torch.ones(3)}],
    ids=["pooling", "another task"],
)
def test_whole_modules_that_no_pass_uses_are_let_be(saved, tmp_path, change):
    folder = changed(saved, tmp_path, change)
    assert arb.load(str(folder), device="cpu").n_layers == 5


def test_a_tied_unembedding_need_not_be_in_the_file(saved, tmp_path):
    folder = changed(saved, tmp_path, lambda weights: lost(weights, "lm_head.weight"))
    config = json.loads((folder / "config.json").read_text())
    config["tie_word_embeddings"] = config["text_config"]["tie_word_embeddings"] = True
    (folder / "config.json").write_text(json.dumps(config))
    model = arb.load(str(folder), device="cpu").model
    assert model.lm_head.weight is model.get_input_embeddings().weight


NEWER = {
    "language_model.lm_head.": "lm_head.",
    "language_model.model.": "model.language_model.",
    "vision_tower.": "model.vision_tower.",
}


@pytest.mark.parametrize("names", [{}, NEWER], ids=["older", "newer"])
def test_names_of_older_and_newer_checkpoints_are_read(saved, tmp_path, names):
    """LLaVA-1.5's repository has the older ones, which transformers knows; it writes them too."""

    def new(key):
        old = next((old for old in names if key.startswith(old)), "")
        return names.get(old, "") + key.removeprefix(old)

    def renamed(weights):
        assert all(any(key.startswith(old) for key in weights) for old in NEWER)
        return {new(key): value for key, value in weights.items()}

    subject = arb.load(str(changed(saved, tmp_path, renamed)), dtype=torch.float64, device="cpu")
    own = tiny.subject("llava").model.state_dict()
    assert all(
        torch.equal(weight, own[name]) for name, weight in subject.model.state_dict().items()
    )


def test_a_model_without_weights_makes_the_same_prompts(cache, saved):
    """From what is left of a revision without them; one whose weights are here needs no such."""
    weights = [path.name for path in saved.iterdir() if path.name.startswith("model")]
    lay(cache.home, saved, without=weights)
    empty = load(weights="absent")
    assert empty.revision == COMMIT and empty.model.device.type == "meta" and cache.asked == []
    full, [sample] = tiny.subject("llava"), tiny.samples(1)
    inputs, expected = (one.encode(sample, "text").inputs for one in (empty, full))
    assert all(torch.equal(inputs[name], value) for name, value in expected.items())
    with pytest.raises(FileNotFoundError, match="this machine lacks"):
        load()
    with pytest.raises(ValueError, match="weights='absent' is for models of the hub"):
        arb.load("smol", weights="absent")
