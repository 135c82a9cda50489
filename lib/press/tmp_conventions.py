"""tmp"""

from press.markdown import markdown
from reproduction.numbers.estimates import DIRECTIONS


def lines(table):
    """The table as lines of Markdown, both directions side by side: value [interval], then what
    changes against the default.

    Raises
    ------
    ValueError
        If a direction lacks a line that the other has.
    """
    head = [
        "measure",
        "convention",
        "choice",
        *(f"{d} following{end}" for d in DIRECTIONS for end in ("", ": change")),
    ]
    keys = ["measure", "convention", "choice"]
    sides = {d: rows.set_index(keys) for d, rows in table.groupby("following")}
    alone = set(sides["text"].index) ^ set(sides["vision"].index)
    if alone:
        why = (
            f"the table has lines for one direction only: "
            f"{', '.join(' / '.join(line) for line in sorted(alone))}"
        )
        raise ValueError(why)
    rows, before = [head], None
    for line in sides["text"].index:
        cells = [line[0] if line[0] != before else "", *line[1:]]
        for d in DIRECTIONS:
            row = sides[d].loc[line]
            value = (
                f"{row['value']:.2f} [{row['value_low']:.2f}, {row['value_high']:.2f}], n = "
                f"{row['n']:.0f}"
            )
            cells += [value, _words(row)] if row["n"] else ["not measured, n = 0", "not measured"]
        rows.append(cells)
        before = line[0]
    return markdown(rows)


def _words(row):
    if row["change"] in ("default", "none", "not measured"):
        return row["change"]
    return (
        f"{row['difference']:+.2f} [{row['difference_low']:+.2f}, "
        f"{row['difference_high']:+.2f}], {row['change']}"
    )
