"""Tables as the page *Explorer* takes them: any may be missing, and numbers are rounded."""

from collections.abc import Mapping

import numpy as np
import pandas as pd

#: Decimals of what is averaged over samples, and of single samples.
FINE, COARSE = 4, 3
#: Columns that a list of the page needs, by table; a table without them counts as none.
NEEDED = {
    "knockout": "sample following pathway control layer width nssd logp_p logp_p_blocked",
    "knockout_controls": "sample following pathway control layer width nssd logp_p logp_p_blocked",
    "windows": "sample following pathway control layer width nssd logp_p logp_p_blocked",
    "heads": "sample following layer head margin",
    "head_scores": "sample following layer head sensitivity_instruction",
    "head_effects": "sample following positions layer head effect turned",
    "blocking": "sample following positions heads draw share outcome",
    "amplification": "sample following positions heads draw factor outcome source",
    "head_blocking": "sample following positions heads ranked_on draw share outcome",
    "head_amplification": "sample following positions heads ranked_on draw factor outcome source",
    "beliefs": "sample following layer positions dictionary phi_f phi_c",
    "token_signals": "sample following layer position token phi_f phi_c",
    "answers": "sample following answer outcome",
    "paths": "sample following place layers blocked answer outcome",
}


def find_rows(tables: Mapping[str, pd.DataFrame], name: str) -> pd.DataFrame:
    """A table by its name; one without rows if it is missing, or lacks a column of `NEEDED`."""
    columns = NEEDED[name].split()
    table = tables.get(name)
    known = table is not None and set(columns) <= set(table.columns)
    return table if known else pd.DataFrame(columns=columns)


def to_list(values, decimals: int) -> list:
    """Rounded numbers as JSON can hold them: None for what is not finite, and no minus before
    zero.

    Examples
    --------
    >>> to_list([0.12345, float("nan"), -0.00001], 3)
    [0.123, None, 0.0]
    """
    rounded = np.round(np.asarray(values, dtype=float), decimals) + 0.0
    return [float(one) if np.isfinite(one) else None for one in np.ravel(rounded)]
