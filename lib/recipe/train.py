"""Training of the embedded models: first the eyes alone, then everything together.

``python -m recipe.train --model smol --full`` trains at full size on a GPU; without ``--full`` a
toy of the same shape runs on any machine in seconds. A run that was interrupted goes on where it
was saved.
"""

from arbitration import commands

if __name__ == "__main__":
    KEPT = "the last saved step is kept; the same command goes on from there"
    commands.end_at_interrupt(KEPT)


import argparse
import math
import os
import shutil
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from random import Random

import torch
from accelerate import Accelerator
from accelerate.utils import set_seed
from torch.nn.functional import cross_entropy
from tqdm import tqdm

from recipe.align import alignment_loss, patch_outputs, patch_words, vocabulary_embeddings
from recipe.examples import IGNORED, encode_examples, training_batch
from recipe.lowrank import adapt
from recipe.mask import closed
from recipe.render import render


@dataclass(frozen=True)
class Recipe:
    """What a run does; the defaults are the full size.

    Attributes
    ----------
    relay : bool
        Close every edge from picture and text context to what comes after the request.
    rank : int
        Rank of the language model's deltas.
    align_steps, align_batch, align_rate
        Stage 1: vision tower and projector alone.
    steps, batch, vision_rate, delta_rate, warmup
        Stage 2: vision tower, projector and deltas together.
    seed : int
    save_every : int
        Steps between saved states.
    """

    relay: bool = False
    rank: int = 24
    align_steps: int = 2300
    align_batch: int = 1024
    align_rate: float = 1e-3
    steps: int = 890
    batch: int = 320
    vision_rate: float = 3e-4
    delta_rate: float = 6e-4
    warmup: int = 60
    seed: int = 1
    save_every: int = 200


RECIPES = {"smol": Recipe(seed=1), "smol-relay": Recipe(relay=True, seed=2)}
TOY = {
    "rank": 4,
    "align_steps": 30,
    "align_batch": 16,
    "align_rate": 1e-2,
    "steps": 30,
    "batch": 16,
    "vision_rate": 1e-2,
    "delta_rate": 3e-2,
    "warmup": 3,
    "save_every": 15,
}


def train(model, processor, recipe: Recipe, folder: Path) -> list[tuple[str, int, float]]:
    """Run both stages on a model whose language half is pretrained and whose vision half is fresh.

    Parameters
    ----------
    model : LlavaForConditionalGeneration
        Changed in place. Its language model's linear layers get low-rank deltas (`recipe.lowrank`).
    processor : LlavaProcessor
    recipe : Recipe
    folder : Path
        Where states are saved; a state found there is resumed.

    Returns
    -------
    list of (stage, step, loss)
        Of the steps done in this call.
    """
    set_seed(recipe.seed)
    accelerator = Accelerator(mixed_precision="bf16" if torch.cuda.is_available() else "no")
    model.requires_grad_(False)
    adapt(model.model.language_model, recipe.rank)
    eyes = [*model.model.vision_tower.parameters(), *model.model.multi_modal_projector.parameters()]
    deltas = [p for name, p in model.named_parameters() if "lora_" in name]
    for parameter in [*eyes, *deltas]:
        parameter.requires_grad_(True)

    def aligned(step, device):
        return _alignment(model, processor, words, recipe, step, device)

    def answered(step, device):
        return _answers(model, processor, recipe, step, device)

    words = vocabulary_embeddings(model, processor.tokenizer)
    first = [{"params": eyes, "lr": recipe.align_rate}]
    second = [
        {"params": eyes, "lr": recipe.vision_rate},
        {"params": deltas, "lr": recipe.delta_rate},
    ]
    log = _stage("align", accelerator, model, first, recipe.align_steps, aligned, recipe, folder)
    return log + _stage(
        "answer", accelerator, model, second, recipe.steps, answered, recipe, folder
    )


def _stage(name, accelerator, model, groups, steps, loss_at, recipe, folder):
    """One stage: AdamW, a warm-up and a cosine; saved now and then, resumed from what was saved."""
    optimizer = torch.optim.AdamW(groups, weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda step: _rate(step, recipe.warmup, steps)
    )
    _, optimizer, schedule = accelerator.prepare(model, optimizer, schedule)
    saved = _list_saved(folder, name)
    done = max(saved, default=0)
    if done:
        accelerator.load_state(str(saved[done]))
    log = []
    model.train()
    bar = tqdm(range(done, steps), desc=name, initial=done, total=steps)
    for step in bar:
        with accelerator.autocast():
            loss = loss_at(step, accelerator.device)
        accelerator.backward(loss)
        accelerator.clip_grad_norm_([p for group in groups for p in group["params"]], 1.0)
        optimizer.step()
        schedule.step()
        optimizer.zero_grad()
        log.append((name, step, loss.item()))
        bar.set_postfix(loss=f"{log[-1][2]:.3f}")
        if (step + 1) % recipe.save_every == 0 or step + 1 == steps:
            _save(accelerator, folder, name, step + 1)
    model.eval()
    accelerator.free_memory()
    return log


def _list_saved(folder, name) -> dict[int, Path]:
    """The whole states of a stage, by how many steps were done."""
    return {int(path.name.rpartition("-")[2]): path for path in folder.glob(f"{name}-*")}


def _save(accelerator, folder, name, done):
    """Keep a state in a folder of its own, which has its name once it is whole; then drop those
    before it.
    """
    older, free = _list_saved(folder, name), folder / f".{name}.partial"
    shutil.rmtree(free, ignore_errors=True)
    accelerator.save_state(str(free))
    os.replace(free, folder / f"{name}-{done}")
    for path in older.values():
        shutil.rmtree(path, ignore_errors=True)


def _rate(step, warmup, steps):
    if step < warmup:
        return (step + 1) / warmup
    return 0.5 * (1 + math.cos(math.pi * (step - warmup) / max(1, steps - warmup)))


def _alignment(model, processor, words, recipe, step, device):
    """Stage 1's loss on fresh scenes. Each step has its own seed, so a resumed run sees what it
    would have seen.
    """
    rng = Random(f"{recipe.seed} align {step}")
    examples = training_batch(rng, recipe.align_batch)
    scenes = [each.scene for each in examples if each.scene.items]
    seen = patch_outputs(model, render(scenes, device))
    side = model.config.vision_config.image_size // model.config.vision_config.patch_size
    return alignment_loss(seen, patch_words(scenes, side, rng).to(device), words.to(device))


def _answers(model, processor, recipe, step, device):
    """Stage 2's loss: the answer's tokens alone."""
    rng = Random(f"{recipe.seed} answer {step}")
    noise = torch.Generator(device).manual_seed(rng.getrandbits(32))
    tokenizer, image = processor.tokenizer, processor.image_token
    inputs, cue, late = encode_examples(
        training_batch(rng, recipe.batch),
        tokenizer,
        image,
        model.config.image_seq_length,
        device,
        noise=noise,
    )
    if recipe.relay:
        inputs["attention_mask"] = closed(inputs["attention_mask"].bool(), cue, late)
        inputs["position_ids"] = torch.arange(cue.shape[1], device=device)[None]
    labels = inputs.pop("labels")[:, 1:]
    trained = labels != IGNORED
    # Only the answers' positions go through the vocabulary: a prompt has thirty times as many.
    hidden = model.model(**inputs).last_hidden_state[:, :-1][trained]
    return cross_entropy(model.lm_head(hidden).float(), labels[trained])


def main():
    from recipe.build import build_fresh, save_parts, toy

    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", choices=list(RECIPES), default="smol")
    parser.add_argument("--full", action="store_true", help="full size: the pretrained base, a GPU")
    parser.add_argument("--out", type=Path, default=Path("runs"))
    options = parser.parse_args()
    recipe = RECIPES[options.model]
    if options.full and not torch.cuda.is_available():
        parser.error(
            "--full needs a GPU (minutes on a large one, days without); leave it out for the toy"
        )
    if not options.full:
        recipe = replace(recipe, **TOY)
    model, processor = build_fresh(recipe.seed) if options.full else toy(recipe.seed)
    folder = options.out / (options.model if options.full else f"{options.model}-toy")
    train(model, processor, recipe, folder)
    save_parts(model, folder)
    print(f"trained parts in {folder}")


if __name__ == "__main__":
    sys.exit(commands.status(main, KEPT))
