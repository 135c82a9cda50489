"""What full runs found, as they were recorded."""

import json

from arbitration.files import folders

#: Verdicts on several numbers at once.
NUMBERLESS = ("same_", "sign_", "place_")


def read_records(model: str) -> dict[str, dict]:
    """The records of one model by notebook: provenance, and numbers (None: nothing to measure).
    Empty if none was kept.
    """
    return {
        path.stem: json.loads(path.read_text(encoding="utf-8"))
        for path in sorted((folders.DATA / "results" / model).glob("*.json"))
    }
