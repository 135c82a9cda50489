"""The minus signs of the pages."""

import pytest
from bs4 import BeautifulSoup

from directives.minus import set_minus
from toy_book import build


@pytest.mark.parametrize(
    ("written", "shown"),
    [
        ("-0.3 [-0.5, -0.1]", "−0.3 [−0.5, −0.1]"),
        ("from (-2) to +-3", "from (−2) to +−3"),
        ("2026-11-30, layers 3-4, smol-2, v.-1", "2026-11-30, layers 3-4, smol-2, v.-1"),
        ("1e-05, -1e-05", "1e-05, −1e-05"),
        ("--1, a - b, -p", "--1, a - b, -p"),
    ],
)
def test_a_hyphen_before_a_number_becomes_a_minus_sign(written, shown):
    assert set_minus(written) == shown


def test_code_and_formulas_keep_theirs(tmp_path):
    text = "# By -1\n\n- `-2` and {math}`-3` and **-4**\n\n```python\nx = -5\n```\n\n"
    text += "| -6 |\n|---|\n| -7 |\n"
    (tmp_path / "index.md").write_text(text, encoding="utf-8")
    done = build(tmp_path)
    assert done.returncode == 0, done.stderr
    page = BeautifulSoup((tmp_path / "html/index.html").read_text(encoding="utf-8"), "html.parser")
    body = page.select_one(".body").get_text()
    for number, sign in zip(range(1, 8), "−--−-−−"):
        assert f"{sign}{number}" in body, number
