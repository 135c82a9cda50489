"""The numbers of the claims page from a run's tables, by the library's summaries: what `by_hand`
computes without it.
"""

import pandas as pd

from reproduction import numbers
from reproduction.numbers.sensitivity import _together


def summed(tables: dict[str, pd.DataFrame]) -> dict:
    """Key → number, of the tables by their names."""
    both = pd.concat([tables["knockout"], tables["knockout_controls"]], ignore_index=True)
    interventions = pd.concat([tables["blocking"], tables["amplification"]], ignore_index=True)
    readings = tables["beliefs"].assign(reading="default")
    unmoved = pd.DataFrame({"following": [], "change": []})
    found = (
        numbers.summarise_knockout(both)
        | numbers.summarise_windows(tables["windows"])
        | numbers.summarise_components(tables["components"])
    )
    found |= numbers.summarise_beliefs(
        tables["beliefs"], tables["paths"]
    ) | numbers.summarise_heads(tables["heads"], interventions)
    for way in ("text", "vision"):
        effects, blocking = (
            tables[name].query(f"following == '{way}' and positions == 'instruction'")
            for name in ("head_effects", "head_blocking")
        )
        found |= _together(effects, blocking, way, 0)
    return numbers.summarise_ablations(readings, tables["ablations"], unmoved) | found
