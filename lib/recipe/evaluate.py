"""What a trained model can do: the share of first tokens that are exactly right, per ability.

``python -m recipe.evaluate smol smol-relay`` prints the table of the model cards.
"""

from arbitration import commands

if __name__ == "__main__":
    KEPT = "nothing was written; run it again from the start"
    commands.end_at_interrupt(KEPT)


import argparse
import sys
from random import Random

import pandas as pd
import torch
from tqdm import tqdm

from recipe.examples import Example, encode_examples, example
from recipe.scenes import TASKS

#: Ability: how its examples are drawn.
ABILITIES = {
    "conflict, training wordings": {"kind": "conflict"},
    "conflict, held-out wordings": {"kind": "conflict", "held": True},
    "conflict, held-out art style": {"kind": "conflict", "held_style": True},
    "vision only, held-out wordings": {"kind": "vision only", "held": True},
    "text only, held-out wordings": {"kind": "text only", "held": True},
}


def draw_examples(ability: str, following: str, n: int, seed: int = 0) -> list[Example]:
    """New examples of an ability; task types take turns.

    Parameters
    ----------
    ability : str
        A key of `ABILITIES`.
    following : {"vision", "text"}
    n : int
    seed : int
    """
    rng, tasks = Random(f"{seed} {ability} {following}"), list(TASKS)
    return [
        example(rng, task=tasks[i % len(tasks)], following=following, **ABILITIES[ability])
        for i in range(n)
    ]


@torch.no_grad()
def first_tokens(model, processor, examples: list[Example], batch: int = 16) -> list[int]:
    """The most likely next token after each prompt.

    Prompts of similar length share a batch: padding on the right costs time, and a causal model
    ignores it.
    """
    tokenizer, image = processor.tokenizer, processor.image_token
    patches = model.config.image_seq_length
    order = sorted(
        range(len(examples)), key=lambda i: len(examples[i].context) + len(examples[i].request)
    )
    found = [0] * len(examples)
    for start in tqdm(range(0, len(order), batch), desc="answers", leave=False):
        chosen = order[start : start + batch]
        inputs, _, _ = encode_examples(
            [examples[i] for i in chosen], tokenizer, image, patches, model.device, answers=False
        )
        inputs["pixel_values"] = inputs["pixel_values"].to(model.dtype)
        last = inputs["attention_mask"].sum(1) - 1
        hidden = model.model(**inputs).last_hidden_state[torch.arange(len(chosen)), last]
        for index, token in zip(chosen, model.lm_head(hidden).argmax(-1).tolist()):
            found[index] = token
    return found


def scored(model, processor, examples: list[Example], batch: int = 16) -> pd.DataFrame:
    """Whether each answer's first token is right, or the competitor's.

    Returns
    -------
    DataFrame
        One row per example, in order: task, exact, competitor (both bool).
    """
    tokenizer = processor.tokenizer
    rows = []
    for each, token in zip(examples, first_tokens(model, processor, examples, batch)):
        right, other = (
            tokenizer(f" {word}", add_special_tokens=False)["input_ids"][:1]
            for word in (each.answer, each.other)
        )
        rows.append((each.task, [token] == right, bool(each.other) and [token] == other))
    return pd.DataFrame(rows, columns=["task", "exact", "competitor"])


def abilities(model, processor, n: int = 128, seed: int = 0) -> pd.DataFrame:
    """The table of abilities.

    Returns
    -------
    DataFrame
        One row per ability and modality followed: ability, following, n, exact, competitor
        (shares).
    """
    rows = []
    for ability, drawn in ABILITIES.items():
        for following in ("vision", "text"):
            if drawn["kind"].endswith("only") and not drawn["kind"].startswith(following):
                continue
            table = scored(model, processor, draw_examples(ability, following, n, seed))
            rows.append((ability, following, n, table.exact.mean(), table.competitor.mean()))
    return pd.DataFrame(rows, columns=["ability", "following", "n", "exact", "competitor"])


def main():
    from arbitration.models.catalogue import TRAINED
    from arbitration.models.embedded import build_embedded

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("models", nargs="+", choices=TRAINED)
    parser.add_argument("--n", type=int, default=128, help="examples per ability and modality")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    device = "cuda" if torch.cuda.is_available() else "cpu"
    for name in options.models:
        model, processor = build_embedded(name)
        print(
            name,
            abilities(model.to(device), processor, options.n, options.seed)
            .round(3)
            .to_string(index=False),
            sep="\n",
        )


if __name__ == "__main__":
    sys.exit(commands.status(main, KEPT))
