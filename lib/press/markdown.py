"""Tables as lines of Markdown, and others' words in Markdown, for the book's pages."""

import re

#: What may mean something within a line of MyST.
MARKS = re.compile(r"[\\`*_{}\[\]<>|$~&#^]")


def markdown(rows: list[list[str]]) -> list[str]:
    """Lines of a Markdown table, (n_rows + 1,), the first of `rows` its head.

    Examples
    --------
    >>> markdown([["layer", "nssd"], ["3", "0.19"]])
    ['| layer | nssd |', '| --- | --- |', '| 3 | 0.19 |']
    """
    written = ["| " + " | ".join(row) + " |" for row in rows]
    return [written[0], "|" + " --- |" * len(rows[0]), *written[1:]]


def escape_words(words: str) -> str:
    """Words that somebody else has chosen, such as a model's name: shown as they are, in one line,
    also in a cell of a table.

    Examples
    --------
    >>> print(escape_words("_net_ <b>"))
    \\_net\\_ \\<b\\>
    """
    return MARKS.sub(r"\\\g<0>", " ".join(words.split()))


def quote_code(words: str) -> str:
    """The same as inline code.

    Examples
    --------
    >>> print(quote_code("a|b"), quote_code("`"))
    `a\\|b` `` ` ``
    """
    line = " ".join(words.split()).replace("|", r"\|")
    if not line:
        return "(empty)"
    fence = fence_for(line, 1)
    room = " " if line.startswith("`") or line.endswith("`") else ""
    return f"{fence}{room}{line}{room}{fence}"


def fence_for(words: str, least: int = 3) -> str:
    """As many backticks as words cannot end: more than they hold in a row.

    Examples
    --------
    >>> fence_for("echo"), fence_for("```")
    ('```', '````')
    """
    runs = re.findall("`+", words)
    return "`" * max([least, *(len(run) + 1 for run in runs)])
