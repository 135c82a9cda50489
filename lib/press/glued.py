"""The numbers of a notebook as the book's pages quote them."""

from collections.abc import Mapping

import myst_nb


def glue_all(numbers: Mapping[str, float | str]) -> None:
    """Keep named numbers in the executed notebook, where ``{glue:text}`` finds them."""
    for name, number in numbers.items():
        myst_nb.glue(name, number, display=False)
