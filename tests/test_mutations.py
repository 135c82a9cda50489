"""The deliberate errors of mutations.toml can still be made: `make mutation-test` makes them."""

import pytest

from arbitration.files.folders import ROOT
from mutate import read_errors


@pytest.mark.parametrize("error", read_errors(), ids=lambda error: error.what)
def test_an_error_has_its_one_place_and_its_tests(error):
    source = (ROOT / "lib" / error.file).read_text(encoding="utf-8")
    assert source.count(error.old) == 1 and error.new not in source
    compile(source.replace(error.old, error.new), error.file, "exec")
    assert all((ROOT / name).is_file() for name in error.tests)


def test_no_error_is_made_twice():
    errors = read_errors()
    assert len({error.what for error in errors}) == len({(e.file, e.new) for e in errors})
