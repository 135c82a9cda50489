"""What is said about a scene: instructions, context sentences and fillers, with some held back from
training.
"""

import json
from functools import cache
from random import Random

from recipe.render import SCENES

#: Share of training instructions in the paper's own wording, and of held-out ones with held-out
#: names of the modalities.
PAPER_SHARE, HELD_NOUN_SHARE = 0.07, 0.3
#: Weights of 0, 1, 2 and 3 filler sentences around the one that matters.
FILLERS = (0.17, 0.41, 0.33, 0.09)


@cache
def templates() -> dict:
    """The content of ``templates.json``."""
    return json.loads((SCENES / "templates.json").read_text(encoding="utf-8"))


def instruction(rng: Random, following: str, held: bool) -> str:
    """An instruction to follow one modality.

    Parameters
    ----------
    rng : random.Random
    following : {"vision", "text"}
    held : bool
        True for the sentences that training never shows.
    """
    known = templates()["instruction"]
    if not held and rng.random() < PAPER_SHARE:
        return known[f"paper_{following}"]
    unseen = "_held_out" if held and rng.random() < HELD_NOUN_SHARE else ""
    names = [rng.choice(known[f"{modality}_nouns{unseen}"]) for modality in ("image", "text")]
    wanted, other = names if following == "vision" else names[::-1]
    return (
        rng.choice(known["held_out" if held else "train"])
        .replace("{A}", wanted)
        .replace("{B}", other)
    )


def context(rng: Random, sentences: str, held: bool, **words: str) -> str:
    """A text that states something about the scene, among fillers.

    Parameters
    ----------
    rng : random.Random
    sentences : str
        Which list of sentences, a key of ``context`` in ``templates.json``.
    held : bool
    **words : str
        What fills the sentence's gaps: ``x`` the answer stated, and as needed ``o`` what the
        question is about, ``p`` a relation in space, ``y`` the other answer.
    """
    every, last = templates()["context"][sentences], templates()["context_held_out_last"]
    sentence = rng.choice(every[-last:] if held else every[:-last])
    gaps = dict(words)
    for letter in ("x", "o"):
        if letter in words:
            gaps[f"a{letter}"] = with_article(words[letter])
    gaps |= {
        letter.capitalize(): capitalised(gaps[letter]) for letter in ("ax", "p") if letter in gaps
    }
    return _among_fillers(rng, [sentence.format(**gaps)], held)


def fillers(rng: Random, held: bool) -> str:
    """A text that says nothing about the question; it may be empty."""
    return _among_fillers(rng, [], held)


def _among_fillers(rng: Random, sentences: list[str], held: bool) -> str:
    every, last = templates()["filler"], templates()["filler_held_out_last"]
    count = rng.choices(range(len(FILLERS)), FILLERS)[0]
    text = sentences + rng.sample(every[-last:] if held else every[:-last], count)
    rng.shuffle(text)
    return " ".join(text)


def with_article(word: str) -> str:
    return ("an " if word[0] in "aeiou" else "a ") + word


def capitalised(text: str) -> str:
    return text[:1].upper() + text[1:]


def plural(word: str) -> str:
    """The plural as the questions spell it; words that are plural already, or have none of their
    own, stay.
    """
    if word in "jeans socks gloves scissors glasses grapes peanuts sheep fish deer".split():
        return word
    irregular = {"mouse": "mice", "leaf": "leaves", "knife": "knives", "wolf": "wolves"}
    if word in irregular:
        return irregular[word]
    if word.endswith("y") and word[-2] not in "aeiou":
        return word[:-1] + "ies"
    return word + ("es" if word.endswith(("s", "x", "ch", "sh")) else "s")
