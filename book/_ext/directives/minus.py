"""Numbers below zero get a minus sign on the pages; Python writes a hyphen."""

import re

from docutils import nodes

HYPHEN = re.compile(r"(?<![\w.-])-(?=\d)")
#: What is copied, or is set by other rules.
VERBATIM = (nodes.literal, nodes.math, nodes.FixedTextElement, nodes.Invisible)


def set_minus(text: str) -> str:
    """A text with minus signs before its numbers; ranges, dates and names stay as they are.

    Examples
    --------
    >>> set_minus("-0.3 [-0.5, -0.1] on 2026-11-30, smol-2, 1e-05, 3-4")
    '−0.3 [−0.5, −0.1] on 2026-11-30, smol-2, 1e-05, 3-4'
    """
    return HYPHEN.sub("\N{MINUS SIGN}", text)


def set_minus_signs(app, doctree, docname):
    """The same in all text of a page that is not verbatim."""
    for text in list(doctree.findall(nodes.Text)):
        above = text.parent
        while above and not isinstance(above, VERBATIM):
            above = above.parent
        if above is None and (better := set_minus(str(text))) != str(text):
            text.parent.replace(text, nodes.Text(better))
