"""Which answer was given, against a sheet of made-up answers judged by hand.

`judged_answers.tsv` was written and judged line by line by reading, before the judge was run on it:
follow or competitor where a reader would quote one of the two answers as what was said, without a
thought; other where not; ambiguous where it is other and yet the words of a form stand in it, by
themselves or with a hyphen (a number such as *twenty-two* has no *two* in it). Forms are separated
by |.
"""

import csv
from pathlib import Path

import pytest

from arbitration.dataset import outcomes

with open(Path(__file__).with_name("judged_answers.tsv"), encoding="utf-8", newline="") as opened:
    SHEET = list(csv.DictReader(opened, delimiter="\t"))


@pytest.mark.parametrize("line", SHEET, ids=[f"{line['answer']}: {line['why']}" for line in SHEET])
def test_a_line_of_the_sheet(line):
    forms = line["followed"].split("|"), line["competitor"].split("|")
    answer = line["answer"].replace("\\n", "\n")
    found = outcomes.judge_forms(answer, *forms, line["question"])
    assert (found.outcome, found.ambiguous) == (line["outcome"], line["ambiguous"] == "yes")
    swapped = outcomes.judge_forms(answer, *forms[::-1], line["question"])
    other_way = {"follow": "competitor", "competitor": "follow", "other": "other"}
    assert (swapped.outcome, swapped.ambiguous) == (other_way[found.outcome], found.ambiguous)


def test_the_sheet_is_varied():
    lines = {(line["question"], line["answer"]) for line in SHEET}
    assert len(lines) == len(SHEET) >= 200
    count = [(line["outcome"], line["ambiguous"]) for line in SHEET].count
    assert count(("other", "yes")) > 50 and count(("other", "no")) > 25
    assert count(("competitor", "no")) > 20
