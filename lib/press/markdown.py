"""Tables as lines of Markdown, for the book's pages."""


def markdown(rows: list[list[str]]) -> list[str]:
    """Lines of a Markdown table, (n_rows + 1,), the first of `rows` its head.

    Examples
    --------
    >>> markdown([["layer", "nssd"], ["3", "0.19"]])
    ['| layer | nssd |', '| --- | --- |', '| 3 | 0.19 |']
    """
    written = ["| " + " | ".join(row) + " |" for row in rows]
    return [written[0], "|" + " --- |" * len(rows[0]), *written[1:]]
