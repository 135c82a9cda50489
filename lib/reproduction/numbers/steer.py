"""One steered prompt in numbers: its sets of heads beside their random draws."""

import math

import pandas as pd

from reproduction.measures.heads import METHODS


def set_beside_draws(table: pd.DataFrame) -> pd.DataFrame:
    """`effects` as a reader sees them: each set with its own lead and answer, beside how its random
    draws came out.

    Returns
    -------
    DataFrame
        heads, factor, count, lead (nats), answer, outcome, draws, lowest and highest (lead of a
        draw), beyond (how many draws moved the lead at least as far from the unchanged one),
        answers (of the draws, the most frequent first, with their number).
    """
    start = table.loc[table["heads"] == "none", "lead"].item()
    rows = []
    for _, one in table[table["heads"].isin(("none", *METHODS))].iterrows():
        drawn = table[
            (table["heads"] == f"{one['heads']} matched") & (table["factor"] == one["factor"])
        ]
        said = drawn["answer"].value_counts()
        rows.append(
            {
                "heads": one["heads"],
                "factor": one["factor"],
                "count": one["count"],
                "lead": one["lead"],
                "answer": one["answer"],
                "outcome": one["outcome"],
                "draws": len(drawn),
                "lowest": drawn["lead"].min(),
                "highest": drawn["lead"].max(),
                "beyond": int(((drawn["lead"] - start).abs() >= abs(one["lead"] - start)).sum()),
                "answers": ", ".join(
                    f"{answer.strip()!r} {number}" for answer, number in said.items()
                ),
            }
        )
    return pd.DataFrame(rows)


def summarise_steer(table: pd.DataFrame) -> dict[str, float | str]:
    """What the book says of one steered prompt: leads and answers, and how many random draws moved
    the lead as far.

    NaN, and "not measured", for all sets where the table has none because no other sample ranks
    heads under this instruction.
    """
    found = {} if table["heads"].isin(METHODS).any() else {"n_draws": 0.0}
    for name in (
        [f"{method}_{what}" for method in METHODS for what in ("blocked", "scaled")]
        if found
        else ()
    ):
        found |= {
            f"lead_{name}": math.nan,
            f"answer_{name}": "not measured",
            f"beyond_{name}": math.nan,
        }
    for _, row in set_beside_draws(table).iterrows():
        name = (
            row["heads"]
            if row["heads"] == "none"
            else f"{row['heads']}_{'blocked' if row['factor'] == 0 else 'scaled'}"
        )
        found |= {f"lead_{name}": float(row["lead"]), f"answer_{name}": row["answer"].strip()}
        if row["draws"]:
            found |= {f"beyond_{name}": float(row["beyond"]), "n_draws": float(row["draws"])}
    return found
