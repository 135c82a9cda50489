"""The deliberate errors of mutations.toml can still be made: `make mutation-test` makes them."""

import pytest

from arbitration.files.folders import ROOT
from mutate import read_errors


@pytest.mark.parametrize("error", read_errors(), ids=lambda error: error.what)
def test_an_error_has_its_one_place_and_its_tests(error):
    source = (ROOT / error.path).read_text(encoding="utf-8")
    assert source.count(error.old) == 1 and error.new != error.old
    compile(source.replace(error.old, error.new), error.file, "exec")
    assert all((ROOT / name).is_file() for name in error.tests)


def test_no_error_is_made_twice():
    errors = read_errors()
    assert len(errors) == len({error.what for error in errors}) >= 60
    assert len(errors) == len({(error.file, error.old, error.new) for error in errors})
    rooms = {error.path.split("/")[-2] for error in errors}
    assert rooms >= {"equations", "engine", "cohorts", "measures", "numbers", "notebooks"}
