"""The generator of conflict scenes: MC²'s eight task types, drawn with icons.

Each function of `TASKS` draws one type: what the picture shows, a question about it, the answer the
picture supports and another one, of the same kind, for the text to claim.
"""

from collections.abc import Callable
from random import Random

from arbitration.dataset.entities import OBJECTS
from recipe import wording
from recipe.draft import Draft, item, list_words, middle, thing, towards
from recipe.render import Item, Scene, icons

PERSONS = ("person", "man", "woman", "child", "girl", "boy")
FIGURES = ("person", "person", "person", "figure", "man", "woman")


def draw_scene(rng: Random, task: str, held_style: bool = False) -> tuple[Draft, Scene]:
    """Draw one scene of a task type.

    Parameters
    ----------
    rng : random.Random
    task : str
        A key of `TASKS`.
    held_style : bool
        True for the art style that training never shows.
    """
    styles, held = icons()["styles"], icons()["held_out_style"]
    style = (
        styles.index(held)
        if held_style
        else rng.choice([i for i, name in enumerate(styles) if name != held])
    )
    draft = TASKS[task](rng, style)
    return draft, Scene(draft.items, tuple(rng.random() for _ in range(7)))


def _object(rng, style):
    kind, seen = thing(rng, style, [kind for kind in OBJECTS if kind != "sky"])
    said = rng.choice([word for word in list_words(kind, style) if word != seen])
    name = "object" if kind == "thing" else kind
    question = rng.choice(
        (
            f"What kind of {name} is this?",
            f"What {name} is in the picture?",
            f"What {name} is there?",
            f"Which {name} can be seen here?",
            f"What {name} is shown in the photo?",
        )
    )
    if rng.random() < 0.64:
        items = [item(rng, kind, seen, style, *middle(rng))]
    else:  # something of another kind at the edge
        left = rng.random() < 0.5
        where = (0.3 if left else 0.7, rng.uniform(0.35, 0.65), rng.uniform(0.38, 0.48))
        edge = (0.83 if left else 0.17, rng.uniform(0.25, 0.75), rng.uniform(0.25, 0.34))
        aside = thing(rng, style, [other for other in OBJECTS if other != kind])
        items = [item(rng, kind, seen, style, *where), item(rng, *aside, style, *edge)]
    return Draft(question, seen, said, tuple(items), "object")


def _color(rng, style):
    names = list(icons()["colours"])
    kinds = {
        word: kind
        for kind in OBJECTS
        for word in list_words(kind, style)
        if word in icons()["colourable_objects"]
    }
    about, beside = rng.sample(sorted(kinds), 2)
    seen, said, third = rng.sample(names, 3)
    question = rng.choice(
        (
            f"What color is the {about}?",
            f"What is the color of the {about}?",
            f"Which color does the {about} have?",
        )
    )
    if rng.random() < 0.6:
        items = [item(rng, kinds[about], about, style, *middle(rng), names.index(seen))]
    else:
        places = rng.sample((0.28, 0.72), 2)
        items = [
            item(
                rng,
                kinds[word],
                word,
                style,
                x,
                rng.uniform(0.35, 0.65),
                rng.uniform(0.35, 0.44),
                names.index(colour),
            )
            for word, x, colour in zip((about, beside), places, (seen, third))
        ]
    return Draft(question, seen, said, tuple(items), "color", about)


def _count(rng, style):
    numbers = icons()["numbers"]
    seen, said = rng.sample(range(1, 6), 2)
    kind, word = thing(rng, style)
    row = rng.choice(icons()["concepts"][kind][word][style])
    cells = rng.sample([(x, y) for x in (1 / 6, 1 / 2, 5 / 6) for y in (1 / 6, 1 / 2, 5 / 6)], seen)
    items = tuple(
        Item(
            style,
            row,
            x + rng.uniform(-0.03, 0.03),
            y + rng.uniform(-0.03, 0.03),
            rng.uniform(0.24, 0.3),
            -1,
            rng.random() < 0.5,
        )
        for x, y in cells
    )
    many = wording.plural(word)
    question = rng.choice(
        (
            f"How many {many} are there?",
            f"How many {many} can be seen?",
            f"How many {many} are in the photo?",
            f"What is the number of {many}?",
        )
    )
    return Draft(question, numbers[seen], numbers[said], items, "count", many)


def _position(rng, style):
    return (_side if rng.random() < 0.41 else _relation)(rng, style)


def _side(rng, style):
    kind, about = thing(rng, style)
    sides = wording.templates()["sides"]
    seen, said = rng.sample(sorted(sides), 2)
    shown = item(
        rng, kind, about, style, *towards(rng, sides[seen], 0.26, 0.33), rng.uniform(0.33, 0.42)
    )
    question = rng.choice(
        (
            f"Where in the picture is the {about}?",
            f"On which side is the {about}?",
            f"At which side can the {about} be found?",
        )
    )
    return Draft(question, seen, said, (shown,), "side", about)


def _relation(rng, style):
    relation, direction = rng.choice(sorted(wording.templates()["relations"].items()))
    anchor = thing(rng, style)
    seen = thing(rng, style, without=anchor[1:])
    said = thing(rng, style, without=(anchor[1], seen[1]))[1]
    back = [-step for step in direction]
    items = (
        item(rng, *anchor, style, *towards(rng, back, 0.22, 0.27), rng.uniform(0.33, 0.42)),
        item(rng, *seen, style, *towards(rng, direction, 0.22, 0.28), rng.uniform(0.33, 0.42)),
    )
    opening = rng.choice(("What is", "What can be seen", "Which thing is"))
    return Draft(
        f"{opening} {relation} the {anchor[1]}?", seen[1], said, items, "pos", anchor[1], relation
    )


def _activity(rng, style):
    alone = rng.random() < 0.5
    kind = "actp" if alone else "acti"
    seen, said = rng.sample(list_words(kind, style), 2)
    if alone:
        about, items = rng.choice(FIGURES), (item(rng, kind, seen, style, *middle(rng)),)
    else:  # an animal beside the sign of an activity
        about = rng.choice(list_words("animal", style))
        places = rng.sample((0.28, 0.72), 2)
        items = (
            item(
                rng,
                "animal",
                about,
                style,
                places[0],
                rng.uniform(0.35, 0.65),
                rng.uniform(0.37, 0.48),
            ),
            item(
                rng, kind, seen, style, places[1], rng.uniform(0.45, 0.63), rng.uniform(0.33, 0.42)
            ),
        )
    question = rng.choice(
        (
            f"What activity is the {about} doing?",
            f"What is the {about} doing?",
            f"What is the {about} busy with?",
        )
    )
    return Draft(question, seen, said, items, "act", about)


def _sport(rng, style):
    seen, said = rng.sample(list_words("sport", style), 2)
    question = rng.choice(
        (
            "What sport is shown here?",
            "Which sport is being played?",
            "What sport is this?",
            "What sport is depicted in the picture?",
        )
    )
    return Draft(question, seen, said, (item(rng, "sport", seen, style, *middle(rng)),), "sport")


def _attribute(rng, style):
    return (_shape if rng.random() < 0.5 else _size)(rng, style)


def _shape(rng, style):
    seen, said = rng.sample(list_words("shape", style), 2)
    tint = rng.randrange(len(icons()["colours"]))
    shown = item(rng, "shape", seen, style, *middle(rng), tint, flip=False)
    question = rng.choice(
        ("What shape is the sign?", "What is the shape of the sign?", "Which shape can be seen?")
    )
    return Draft(question, seen, said, (shown,), "shape")


def _size(rng, style):
    large = thing(rng, style)
    small = thing(rng, style, without=large[1:])
    left = rng.random() < 0.5
    items = (
        item(
            rng, *large, style, 0.3 if left else 0.7, rng.uniform(0.4, 0.6), rng.uniform(0.5, 0.58)
        ),
        item(
            rng,
            *small,
            style,
            0.82 if left else 0.18,
            rng.uniform(0.35, 0.7),
            rng.uniform(0.2, 0.26),
        ),
    )
    one, other = rng.sample((large[1], small[1]), 2)
    opening = rng.choice(("Which is bigger", "Which of the two is larger"))
    return Draft(f"{opening}, the {one} or the {other}?", large[1], small[1], items, "size")


def _sentiment(rng, style):
    about = rng.choice(PERSONS)
    seen, said = rng.sample(list_words("sent", style), 2)
    question = rng.choice(
        (
            f"What is the {about} expressing?",
            f"What emotion is the {about} showing?",
            f"What is the mood of the {about}?",
            f"How does the {about} feel?",
        )
    )
    return Draft(
        question, seen, said, (item(rng, "sent", seen, style, *middle(rng)),), "sent", about
    )


TASKS: dict[str, Callable[[Random, int], Draft]] = {
    "object_recognition": _object,
    "color": _color,
    "counting": _count,
    "positional_reasoning": _position,
    "activity_recognition": _activity,
    "sport_recognition": _sport,
    "attribute": _attribute,
    "sentiment_understanding": _sentiment,
}
