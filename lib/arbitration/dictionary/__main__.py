"""How an entity dictionary is made, of any data set: the pipeline of Appendix B.

    python -m arbitration.dictionary DATA              synonyms from WordNet, without a
                                                       language model
    python -m arbitration.dictionary DATA --ask        more of them, chosen by a language model,
                                                       and Chinese forms
    python -m arbitration.dictionary DATA --sheet 100  draw forms of each language for people to
                                                       judge, into a table
    python -m arbitration.dictionary DATA --judged     read the filled table: how many are right;
                                                       the wrong ones are dropped

DATA is what a notebook takes as `data`. Candidates are the synonyms that WordNet 3.0 gives for an
answer, read through NLTK. Without a language model they are those of one sense: the first whose
part of speech and lexicographer's field suit the kind of answer (a *bat* among animals is no club),
the most frequent one where the kind says nothing. With one (`endpoint` says how it is named) they
are those of all senses, of which it chooses. A file ``review.json`` beside the samples replaces
senses, rejects forms and adds Chinese ones; that of the scenes is a reader's, and judged tables go
into it. The dictionary is written beside the samples, where `entities.of` finds it. That of the
scenes ships, and is made by the same code.
"""

from arbitration import commands

if __name__ == "__main__":
    KEPT = (
        "the set's dictionary is as it was, and what a language model has answered is kept; the "
        "same command goes on from there"
    )
    commands.end_at_interrupt(KEPT)


import argparse
import json
import sys
from pathlib import Path

import pandas as pd

from arbitration.dataset import entities
from arbitration.dataset.sets import file_beside
from arbitration.dictionary import ask, endpoint, sheet
from arbitration.dictionary.make import draw_sheet, judge, write_dictionary


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        prog="python -m arbitration.dictionary",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("data", help="scenes, mc2, or the path of a samples file or its folder")
    way = parser.add_mutually_exclusive_group()
    way.add_argument(
        "--ask",
        action="store_true",
        help=f"ask the language model that {', '.join(endpoint.VARIABLES)} name",
    )
    way.add_argument(
        "--sheet", type=int, metavar="N", help="draw N forms of each language to judge"
    )
    way.add_argument("--judged", action="store_true", help="read what was judged")
    parser.add_argument("--seed", type=int, default=0, help="of the draw")
    given = parser.parse_args(arguments)
    try:
        if given.sheet is not None:
            path = draw_sheet(given.data, given.sheet, given.seed)
            print(
                f"{path}: write yes or no into the column {sheet.JUDGED!r} of every line, "
                f"then run this with --judged"
            )
        elif given.judged:
            print(judge(given.data).to_string())
            print(f"{file_beside(given.data, entities.FILE)} is without the forms judged wrong")
        else:
            _tell(*write_dictionary(given.data, given.ask))
    except (ValueError, OSError) as error:
        sys.exit(f"error: {error}")


def _tell(path: Path, record: pd.DataFrame | None) -> None:
    """Say what was made."""
    found = [
        entry
        for group in json.loads(path.read_text(encoding="utf-8"))["entries"].values()
        for entry in group.values()
    ]
    forms = [len(entry["en"]) + len(entry["zh"]) for entry in found]
    print(
        f"{path}: {len(found)} answers with {sum(forms) / len(found):.1f} forms each on "
        f"average; {forms.count(1)} have no form but the answer itself"
    )
    if record is None:
        return
    print(ask.counted(record).to_string())
    for row in record[record["outcome"] != "answered"].itertuples():
        print(f"{row.outcome}: {row.step} of {row.answer!r} ({row.kind}): {row.why}")


if __name__ == "__main__":
    sys.exit(commands.status(main, KEPT))
