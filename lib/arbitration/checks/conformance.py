"""Does a model do what the measures take for granted? The command for all checks of
`arbitration.checks.suite`.

    python -m arbitration.checks.conformance org/name
"""

from arbitration import commands

if __name__ == "__main__":
    KEPT = "nothing was written; run it again from the start"
    commands.end_at_interrupt(KEPT)


import argparse
import sys
from collections.abc import Iterable

import torch

from arbitration.checks import suite
from arbitration.checks.verdict import Result
from arbitration.dataset import checked
from arbitration.models import catalogue, load, memory


def format_results(results: Iterable[Result]) -> str:
    """One line for each result."""
    return "\n".join(f"{result.verdict:8}{result.name:17}{result.why}" for result in results)


def _dtype(name: str, device: str | None) -> tuple[torch.dtype, str]:
    """The number format to check a model in, and why."""
    empty = load.outline(name)
    if empty is None:
        return torch.float32, "an embedded model is small"
    return memory.fitting_dtype(empty, device or ("cuda" if torch.cuda.is_available() else "cpu"))


def main(arguments: list[str] | None = None) -> int:
    """Run the suite on a model and print its table; 1 if a check failed, 2 if the model could not
    be loaded.
    """
    parser = argparse.ArgumentParser(
        prog="python -m arbitration.checks.conformance", description=__doc__.partition("\n")[0]
    )
    parser.add_argument(
        "model",
        help=(
            f"{', '.join(catalogue.NAMES)}, a repository of the hub (org/name), or a folder with a "
            f"saved model and its processor"
        ),
    )
    by_size = (
        "unless given, float32 if the weights fit in it, else bfloat16, whose rounding hides "
        "mistakes of some tenths of a nat"
    )
    parser.add_argument("--dtype", choices=("float64", "float32", "bfloat16"), help=by_size)
    parser.add_argument(
        "--device", default=None, help="the first GPU if there is one; 'auto' for all of them"
    )
    given = parser.parse_args(arguments)
    try:
        if given.device:
            memory.check_place(None, given.device)
        if given.dtype:
            dtype, why = getattr(torch, given.dtype), "as asked"
        else:
            dtype, why = _dtype(given.model, given.device)
        subject = load.load(given.model, dtype=dtype, device=given.device)
    except (ValueError, FileNotFoundError) as error:
        print(error, file=sys.stderr)
        return 2
    results = suite.check_model(subject, checked.load("scenes", "held"))
    number = str(dtype).removeprefix("torch.")
    print(
        f"{subject.name}, revision {subject.revision}, {number} ({why}), a shipped scene "
        f"under both instructions"
    )
    print(format_results(results))
    return int(any(result.verdict == "failed" for result in results))


if __name__ == "__main__":
    sys.exit(commands.status(main, KEPT))
