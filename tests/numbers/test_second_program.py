"""The library's numbers against those of a second program, on tables of a small run of `smol` that
are kept in `tests/stored`: three samples a direction, both directions, measured by the notebooks
(`helpers/store_tables.py`).
"""

import numpy as np
import pandas as pd
import pytest

import by_hand
from arbitration.files.folders import ROOT
from by_library import summed
from reproduction.claims import predicted

STORED = ROOT / "tests" / "stored"
KEYS = {
    test.key: claim.id
    for rule in (1, 2)
    for claim in predicted.predicted_claims(rule)
    for test in claim.predictions
    if not test.several
}
#: Shares of a whole that is not positive in some resample, for which the library has no number.
OF_NOTHING = ("share_gap_shallow_vision", "share_attention_margin_shallow_vision")


@pytest.fixture(scope="module")
def found():
    tables = {path.stem: pd.read_parquet(path) for path in (STORED / "tables").glob("*.parquet")}
    return by_hand.numbers(STORED), summed(tables)


@pytest.mark.parametrize("key", KEYS)
def test_both_programs_have_the_number_of_each_prediction(found, key):
    theirs, ours = (numbers[key] for numbers in found)
    if key in OF_NOTHING and ours != ours:
        assert abs(theirs) < np.inf, "three samples in which it might be a share of nothing"
    else:
        assert ours == pytest.approx(theirs, nan_ok=True, abs=1e-9, rel=1e-9)


def test_both_programs_agree_on_all_that_the_second_one_has(found):
    theirs, ours = found
    assert set(KEYS) <= set(theirs) <= set(ours)
    told = {key: number for key, number in theirs.items() if key not in OF_NOTHING}
    assert {key: ours[key] for key in told} == pytest.approx(told, nan_ok=True, abs=1e-9, rel=1e-9)


def test_the_stored_run_has_most_numbers(found):
    """A number that both programs lack is no agreement."""
    lacking = [key for key in KEYS if found[0][key] != found[0][key]]
    assert len(lacking) < len(KEYS) / 6, lacking


def test_the_stored_tables_are_small():
    assert sum(path.stat().st_size for path in STORED.rglob("*.parquet")) < 10**6
