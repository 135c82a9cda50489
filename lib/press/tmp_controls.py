"""tmp"""

import pandas as pd

from press.markdown import markdown
from reproduction.numbers.controls import KINDS


def lines(table: pd.DataFrame) -> list[str]:
    """A comparison as lines of Markdown, the kinds side by side: value [interval], n."""
    kinds = [kind for kind in KINDS if kind in set(table["kind"])]
    cells = table.set_index(["following", "measure", "kind"])
    rows, before = [["following", "measure", *kinds]], None
    for following, measure in dict.fromkeys(zip(table["following"], table["measure"])):
        row = [following if following != before else "", measure]
        for kind in kinds:
            known = (following, measure, kind) in cells.index
            row.append(_cell(cells.loc[(following, measure, kind)]) if known else "–")
        rows.append(row)
        before = following
    return markdown(rows)


def _cell(one):
    return (
        "{value:.2f} [{value_low:.2f}, {value_high:.2f}], n = {n:.0f}".format(**one)
        if one["n"]
        else "not measured, n = 0"
    )
