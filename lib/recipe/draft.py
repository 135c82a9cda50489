"""A question about a picture, and the parts that pictures are put together from."""

from dataclasses import dataclass
from random import Random

from arbitration.dataset.entities import OBJECTS
from recipe import wording
from recipe.render import Item, icons


@dataclass(frozen=True)
class Draft:
    """A question about a picture, before anything is said about it.

    Attributes
    ----------
    question, answer_vision, answer_text : str
    items : tuple of Item
    sentences : str
        Which context sentences suit it, a key of ``context`` in ``templates.json``.
    about, relation : str
        What the question is about, and a relation in space, where the sentences mention one.
    """

    question: str
    answer_vision: str
    answer_text: str
    items: tuple[Item, ...]
    sentences: str
    about: str = ""
    relation: str = ""

    def stated(self, rng: Random, answer: str, held: bool) -> str:
        """A text context that claims `answer`."""
        other = self.answer_text if answer == self.answer_vision else self.answer_vision
        return wording.context(
            rng, self.sentences, held, x=answer, y=other, o=self.about or answer, p=self.relation
        )


def list_words(kind: str, style: int) -> list[str]:
    """The words of a kind that have an icon in a style."""
    return [word for word, rows in icons()["concepts"][kind].items() if rows[style]]


def item(rng, kind, word, style, x, y, size, tint=-1, flip=None):
    """An item that shows a word, with one of its icons; mirrored by chance unless said."""
    row = rng.choice(icons()["concepts"][kind][word][style])
    return Item(style, row, x, y, size, tint, rng.random() < 0.5 if flip is None else flip)


def thing(rng, style, kinds=OBJECTS, without=()):
    """A kind and a word of it; every word equally likely."""
    return rng.choice(
        [(kind, word) for kind in kinds for word in list_words(kind, style) if word not in without]
    )


def middle(rng):
    """Place and size of an item that has the picture for itself."""
    return rng.uniform(0.33, 0.67), rng.uniform(0.33, 0.67), rng.uniform(0.38, 0.6)


def towards(rng, direction, low, high):
    """A place towards a side, a little off its axis."""
    return tuple(
        0.5 + step * rng.uniform(low, high) if step else 0.5 + rng.uniform(-0.09, 0.09)
        for step in direction
    )
