"""Loading: names, errors for the reader, and refusing what would be silently wrong."""

import dataclasses
import json

import pytest
import torch
from PIL import Image
from transformers import (
    BertConfig,
    CLIPImageProcessor,
    GotOcr2ImageProcessor,
    InternVLConfig,
    InternVLProcessor,
    InternVLVideoProcessor,
    Kosmos2Config,
    LlavaConfig,
    LlavaProcessor,
    MllamaConfig,
    Qwen2_5_VLConfig,
    Qwen2_5_VLProcessor,
    Qwen2VLImageProcessor,
    Qwen2VLVideoProcessor,
    Qwen3VLConfig,
    Qwen3VLProcessor,
    Qwen3VLVideoProcessor,
)

import arbitration as arb
import tiny
from arbitration.files.folders import ROOT
from arbitration.models import catalogue, hub, memory
from arbitration.models import load as load_
from arbitration.models.subject import Subject, check_subject
from reproduction import results


def test_a_misspelt_name_is_answered_with_the_nearest():
    with pytest.raises(
        ValueError, match="unknown model 'intervl3'; did you mean 'internvl3'.*'org/name'"
    ):
        arb.load("intervl3")
    with pytest.raises(ValueError, match="unknown model './models/mine'; known models"):
        arb.load("./models/mine")
    with pytest.raises(ValueError, match="'trained', 'random' or 'absent'"):
        arb.load("smol", weights="fresh")
    with pytest.raises(ValueError, match="device='auto' spreads models from the hub"):
        arb.load("smol", device="auto")


def no_hub(monkeypatch, tmp_path, error):
    monkeypatch.setenv("ARBITRATION_CACHE", str(tmp_path))
    monkeypatch.setattr(hub, "newest_revision", lambda repository: (_ for _ in ()).throw(error))


@pytest.mark.parametrize(
    "name, repository",
    [
        ("internvl3", "OpenGVLab/InternVL3-8B-hf"),
        ("some-org/some-model.v2", "some-org/some-model.v2"),
    ],
)
def test_missing_weights_say_how_to_get_them(monkeypatch, tmp_path, name, repository):
    no_hub(monkeypatch, tmp_path, OSError("no network"))
    with pytest.raises(
        FileNotFoundError,
        match=f"{repository}.*no network.*hf download {repository}.*smol, smol-relay",
    ):
        arb.load(name)
    assert not (tmp_path / "revisions.json").exists()


def test_code_that_comes_with_a_checkpoint_is_not_run(monkeypatch, tmp_path):
    no_hub(monkeypatch, tmp_path, ValueError("needs trust_remote_code"))
    with pytest.raises(
        ValueError,
        match="cannot read 'OpenGVLab/InternVL3-8B'.*needs trust_remote_code.*ends in -hf",
    ):
        arb.load("OpenGVLab/InternVL3-8B")


@pytest.fixture
def fake_hub(monkeypatch, tmp_path):
    """The hub's part, played by small models; what was asked for is kept."""
    monkeypatch.setenv("ARBITRATION_CACHE", str(tmp_path))
    asked = []

    def play(architecture):
        subject = tiny.subject(architecture)

        def part(cls, own):
            def load(repository, revision, **options):
                asked.append((cls, repository, revision, options))
                if cls == "model":
                    return own, {
                        "missing_keys": set(),
                        "unexpected_keys": set(),
                        "mismatched_keys": set(),
                    }
                return own

            return load

        monkeypatch.setattr(
            load_.AutoConfig, "from_pretrained", part("config", subject.model.config)
        )
        monkeypatch.setattr(
            load_.AutoProcessor, "from_pretrained", part("processor", subject.processor)
        )
        monkeypatch.setattr(
            load_.AutoModelForImageTextToText, "from_pretrained", part("model", subject.model)
        )
        return asked

    return play


def test_the_first_revision_is_written_down_and_used_from_then_on(fake_hub, monkeypatch, tmp_path):
    asked = fake_hub("llava")
    monkeypatch.setattr(memory, "get_balanced_memory", lambda *model, **options: {"cpu": 2**40})
    monkeypatch.setattr(hub, "newest_revision", lambda repository: "a" * 40)
    assert arb.load("llava-1.5", device="cpu").revision == "a" * 40
    monkeypatch.setattr(hub, "newest_revision", lambda repository: "b" * 40)
    assert arb.load("llava-1.5", device="auto").revision == "a" * 40
    assert [options["device_map"] for cls, _, _, options in asked if cls == "model"] == [
        "cpu",
        {"": "cpu"},
    ]
    assert all("device_map" not in options for cls, _, _, options in asked if cls != "model"), (
        "the model alone is given a place"
    )
    assert json.loads((tmp_path / "revisions.json").read_text()) == {
        "llava-hf/llava-1.5-7b-hf": "a" * 40
    }
    assert {
        (repository, revision, options["trust_remote_code"])
        for _, repository, revision, options in asked
    } == {("llava-hf/llava-1.5-7b-hf", "a" * 40, False)}
    assert arb.load("another/repository", device="cpu").revision == "b" * 40, (
        "a repository that the table does not have is pinned too"
    )
    assert set(json.loads((tmp_path / "revisions.json").read_text())) == {
        "llava-hf/llava-1.5-7b-hf",
        "another/repository",
    }


def test_a_pin_that_another_process_writes_meanwhile_is_kept(fake_hub, monkeypatch, tmp_path):
    fake_hub("llava")

    def newest(repository):
        (tmp_path / "revisions.json").write_text('{"some/other": "c"}')
        return "a" * 40

    monkeypatch.setattr(hub, "newest_revision", newest)
    arb.load("llava-1.5", device="cpu")
    assert json.loads((tmp_path / "revisions.json").read_text()) == {
        "some/other": "c",
        "llava-hf/llava-1.5-7b-hf": "a" * 40,
    }


def test_a_device_that_is_too_small_is_not_taken_for_a_missing_network(fake_hub, monkeypatch):
    fake_hub("llava")
    monkeypatch.setattr(hub, "newest_revision", lambda repository: "a" * 40)
    monkeypatch.setattr(
        load_.AutoModelForImageTextToText,
        "from_pretrained",
        lambda *args, **options: (_ for _ in ()).throw(torch.cuda.OutOfMemoryError()),
    )
    with pytest.raises(torch.cuda.OutOfMemoryError):
        arb.load("llava-1.5")


def test_a_model_that_does_not_fit_is_refused_before_its_weights_are_asked_for(
    fake_hub, monkeypatch
):
    asked = fake_hub("llava")
    monkeypatch.setattr(hub, "newest_revision", lambda repository: "a" * 40)
    monkeypatch.setattr(load_.AutoConfig, "from_pretrained", lambda *args, **options: BertConfig())
    with pytest.raises(ValueError, match="'org/bert' is of type 'bert'.*image-text"):
        arb.load("org/bert")
    config = MllamaConfig(
        vision_config={
            "hidden_size": 32,
            "intermediate_size": 32,
            "num_hidden_layers": 1,
            "num_global_layers": 1,
            "attention_heads": 2,
            "image_size": 28,
            "patch_size": 14,
            "vision_output_dim": 64,
            "intermediate_layers_indices": [0],
        },
        text_config={
            "hidden_size": 48,
            "intermediate_size": 64,
            "num_hidden_layers": 2,
            "num_attention_heads": 6,
            "num_key_value_heads": 2,
            "cross_attention_layers": [1],
            "vocab_size": 64,
            "pad_token_id": 0,
            "bos_token_id": 1,
            "eos_token_id": 2,
        },
    )
    monkeypatch.setattr(load_.AutoConfig, "from_pretrained", lambda *args, **options: config)
    with pytest.raises(
        ValueError,
        match=(
            "'org/mllama' .MllamaForConditionalGeneration.: layer 1 has no "
            "'self_attn.o_proj'.*lib/arbitration/models/subject.py"
        ),
    ):
        arb.load("org/mllama")
    monkeypatch.setattr(
        load_.AutoConfig, "from_pretrained", lambda *args, **options: Kosmos2Config()
    )
    with pytest.raises(ValueError, match="'org/kosmos' .'kosmos-2'. names no 'image_token_id'"):
        arb.load("org/kosmos")
    assert asked == []


@pytest.mark.parametrize("architecture", ["llava", "qwen3-vl"])
def test_a_folder_is_loaded_as_it_was_saved(architecture, tmp_path):
    own, folder = tiny.subject(architecture), tmp_path / "smol"
    own.model.save_pretrained(folder)
    own.processor.save_pretrained(folder)
    subject = arb.load(str(folder), dtype=torch.float64, device="cpu", images={})
    assert subject.name == "local/smol", (
        "a folder's name may be that of an embedded model, and tables go below it"
    )
    prompts = [one.encode(tiny.samples()[0], "text") for one in (own, subject)]
    assert prompts[0].text == prompts[1].text and prompts[0].groups.vision.equal(
        prompts[1].groups.vision
    )
    weights = [one.model.state_dict() for one in (own, subject)]
    assert weights[0].keys() == weights[1].keys()
    assert all(torch.equal(weight, weights[1][name]) for name, weight in weights[0].items())
    # The weights lie elsewhere in memory, which decides how a processor cuts its products.
    logits = [
        one.model(**prompt.inputs, use_cache=False, logits_to_keep=1).logits
        for one, prompt in zip((own, subject), prompts)
    ]
    torch.testing.assert_close(*logits, rtol=0, atol=1e-12)
    assert arb.load(str(folder), device="cpu").revision == subject.revision
    with (folder / "generation_config.json").open("a") as file:
        file.write(" ")
    assert arb.load(str(folder), device="cpu").revision != subject.revision


def test_a_folder_that_lacks_something_is_refused(tmp_path):
    with pytest.raises(ValueError, match="has no config.json; give a folder that"):
        arb.load(str(tmp_path))
    tiny.subject("llava").model.config.save_pretrained(tmp_path)
    with pytest.raises(
        FileNotFoundError, match="holds no image-text model with its processor.*save_pretrained"
    ):
        arb.load(str(tmp_path))


#: With no arguments they have the sizes of the checkpoints' pictures.
CONFIGURATIONS = {
    "qwen2.5-vl": Qwen2_5_VLConfig,
    "qwen3-vl": Qwen3VLConfig,
    "internvl3": InternVLConfig,
    "llava-1.5": LlavaConfig,
}


@pytest.mark.parametrize(
    "name, size, tokens",
    [
        # The processors' true settings; sizes as (width, height). 512 tokens at most, and the
        # sides' proportions kept.
        ("qwen2.5-vl", (640, 480), 23 * 17),
        ("qwen2.5-vl", (2000, 1500), 26 * 19),
        ("qwen2.5-vl", (96, 96), 9),
        ("qwen3-vl", (640, 480), 20 * 15),
        ("qwen3-vl", (2000, 1500), 26 * 19),
        ("qwen3-vl", (96, 96), 64),
        ("internvl3", (640, 480), 256),
        ("internvl3", (2000, 500), 256),
        ("llava-1.5", (640, 480), 576),
    ],
)
def test_pictures_have_the_stated_number_of_tokens(name, size, tokens):
    pictures = {
        "qwen2.5-vl": Qwen2VLImageProcessor(min_pixels=56 * 56, max_pixels=12845056),
        "qwen3-vl": Qwen2VLImageProcessor(
            patch_size=16, size={"shortest_edge": 65536, "longest_edge": 16777216}
        ),
        "internvl3": GotOcr2ImageProcessor(
            size={"height": 448, "width": 448}, min_patches=1, max_patches=12
        ),
        "llava-1.5": CLIPImageProcessor(
            size={"shortest_edge": 336}, crop_size={"height": 336, "width": 336}
        ),
    }[name]
    processor = {
        "qwen2.5-vl": lambda: Qwen2_5_VLProcessor(
            pictures,
            tiny.vocabulary(image_token="<|image_pad|>", video_token="<|video_pad|>"),
            Qwen2VLVideoProcessor(),
        ),
        "qwen3-vl": lambda: Qwen3VLProcessor(
            pictures,
            tiny.vocabulary(image_token="<|image_pad|>", video_token="<|video_pad|>"),
            Qwen3VLVideoProcessor(),
        ),
        "internvl3": lambda: InternVLProcessor(
            pictures,
            tiny.vocabulary(
                context_image_token="<IMG_CONTEXT>",
                start_image_token="<img>",
                end_image_token="</img>",
                video_token="<video>",
            ),
            InternVLVideoProcessor(),
            image_seq_length=256,
        ),
        "llava-1.5": lambda: LlavaProcessor(
            pictures,
            tiny.vocabulary(image_token="<image>"),
            patch_size=14,
            vision_feature_select_strategy="default",
            num_additional_image_tokens=1,
        ),
    }[name]()

    def count(options):
        given = processor(
            images=Image.new("RGB", size),
            text=processor.image_token,
            images_kwargs=options,
            return_tensors="pt",
        )
        return (
            given["input_ids"] == processor.tokenizer.convert_tokens_to_ids(processor.image_token)
        ).sum()

    assert count(hub.picture_settings(CONFIGURATIONS[name]())) == tokens
    assert size[0] < 2000 or count({}) > 2 * tokens, "so that it has to be said"


def test_every_entry_is_a_repository_that_the_readme_names():
    assert len({entry.repository for entry in catalogue.HUB.values()}) == len(
        catalogue.HUB
    ) and catalogue.NAMES == (
        *catalogue.EMBEDDED,
        *catalogue.HUB,
    )
    assert all(
        catalogue.entry_of(entry.repository).repository == entry.repository
        for entry in catalogue.HUB.values()
    )
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert [name for name in catalogue.NAMES if f"`{name}`" not in readme] == [], (
        "the README says of every model how it was tested"
    )


def rewrite(path, change):
    known = json.loads(path.read_text())
    change(known)
    path.write_text(json.dumps(known))


@pytest.mark.parametrize(
    "architecture, most, checkpoint, tokens",
    [
        (
            "internvl",
            4,
            {"crop_to_patches": True},
            {
                "image_token": "<IMG_CONTEXT>",
                "context_image_token": "<IMG_CONTEXT>",
                "start_image_token": "<img>",
                "end_image_token": "</img>",
                "video_token": "<video>",
            },
        ),
        (
            "qwen2.5-vl",
            512,
            {"size": {"shortest_edge": 56 * 56, "longest_edge": 4000 * 196}},
            {"image_token": "<|image_pad|>", "video_token": "<|video_pad|>"},
        ),
    ],
)
def test_settings_of_pictures_go_by_architecture_unless_others_are_given(
    architecture, most, checkpoint, tokens, tmp_path
):
    """A folder, or another repository with the same model, has the pictures of the short name."""
    own, folder = tiny.subject(architecture), tmp_path / "mine"
    own.model.save_pretrained(folder)
    own.processor.save_pretrained(folder)
    rewrite(
        folder / "processor_config.json", lambda known: known["image_processor"].update(checkpoint)
    )
    rewrite(
        folder / "tokenizer_config.json", lambda known: known.update(extra_special_tokens=tokens)
    )
    picture = tmp_path / "wide.png"
    Image.new("RGB", (1200, 600), "grey").save(picture)
    sample = dataclasses.replace(tiny.samples()[0], image=str(picture))
    loaded = [arb.load(str(folder), device="cpu", images=given) for given in (None, {})]
    counts = [len(one.encode(sample, "text").groups.vision) for one in loaded]
    assert (
        loaded[0].images == hub.picture_settings(own.model.config) != {} and loaded[1].images == {}
    )
    assert counts[0] <= most < counts[1]
    assert len({str(results.provenance(one)["images"]) for one in loaded}) == 2, (
        "a table says which"
    )


def test_a_model_without_the_parts_is_refused():
    class Stranger(torch.nn.Module):
        def get_decoder(self):
            return torch.nn.Linear(1, 1)

    with pytest.raises(ValueError, match="no 'layers'"):
        check_subject(Subject("stranger", Stranger(), None, "none"))


def test_random_weights_are_the_same_architecture_and_repeatable():
    one, two = arb.load("smol", weights="random"), arb.load("smol", weights="random")
    assert one.revision == "random-0" and (one.n_layers, one.n_heads) == (30, 9)
    assert all(torch.equal(a, b) for a, b in zip(one.model.parameters(), two.model.parameters()))
