"""Stage 1: what each patch of a picture shows, said in the language model's own words."""

from functools import cache
from random import Random

import torch
from torch.nn.functional import cross_entropy

from recipe.render import Scene, icons

NORM_WEIGHT = 0.05
NOTHING = -100  # a patch that shows no icon


@cache
def icon_words() -> tuple[tuple[str, ...], dict[int, tuple[int, ...]]]:
    """All words that an icon can mean, and for every icon the places of its words among them."""
    words: dict[str, int] = {}
    meanings: dict[int, set[int]] = {}
    for group in icons()["concepts"].values():
        for word, styles in group.items():
            place = words.setdefault(word, len(words))
            for row in {row for rows in styles for row in rows}:
                meanings.setdefault(row, set()).add(place)
    return tuple(words), {row: tuple(sorted(places)) for row, places in meanings.items()}


def vocabulary_embeddings(model, tokenizer) -> torch.Tensor:
    """The language model's embedding of each word (the mean over its tokens); shape (words,
    hidden).
    """
    table = model.get_input_embeddings().weight.detach()
    rows = [
        table[tokenizer(f" {word}", add_special_tokens=False)["input_ids"]].mean(0)
        for word in icon_words()[0]
    ]
    return torch.stack(rows).float()


def patch_words(scenes: list[Scene], side: int, rng: Random) -> torch.Tensor:
    """For each patch the place of a word of the icon under its centre, or `NOTHING`.

    Parameters
    ----------
    scenes : list of Scene
    side : int
        Patches along an edge.
    rng : random.Random
        Chooses among the meanings of an icon.

    Returns
    -------
    LongTensor
        Shape (scenes, side²), row by row.
    """
    _, meanings = icon_words()
    centre = (torch.arange(side) + 0.5) / side
    labels = torch.full((len(scenes), side, side), NOTHING)
    for index, scene in enumerate(scenes):
        for item in scene.items:
            # Icons are round rather than square: a tenth of their width at the edges is mostly
            # empty.
            reach = 0.4 * item.size
            near = ((centre - item.y).abs()[:, None] < reach) & (
                (centre - item.x).abs()[None, :] < reach
            )
            labels[index][near] = rng.choice(meanings[item.row])
    return labels.flatten(1)


def patch_outputs(model, pictures: torch.Tensor) -> torch.Tensor:
    """What the language model is given for pictures of values 0..1; shape (pictures, patches,
    hidden).
    """
    return torch.stack(list(model.get_image_features(2 * pictures - 1).pooler_output))


def alignment_loss(seen: torch.Tensor, labels: torch.Tensor, words: torch.Tensor) -> torch.Tensor:
    """Cross-entropy of the right word among all, plus a penalty that keeps the outputs as long as
    embeddings are.

    Parameters
    ----------
    seen : Tensor, shape (scenes, patches, hidden)
        What the language model would be given for each patch.
    labels : LongTensor, shape (scenes, patches)
    words : Tensor, shape (words, hidden)

    Returns
    -------
    Tensor
        A scalar, in nats.
    """
    seen = seen.float()
    right = cross_entropy((seen @ words.T).flatten(0, 1), labels.flatten(), ignore_index=NOTHING)
    length = seen.norm(dim=-1) / words.norm(dim=-1).mean()
    return right + NORM_WEIGHT * ((length - 1) ** 2).mean()
