"""The conflict sets as `sets` has them, the shipped one after its files were compared.

Every reader of the scenes comes this way. `sets` itself compares nothing, so that measures, which
take its names for other things, do not depend on how files are checked.
"""

from pathlib import Path

from arbitration.dataset import sets
from arbitration.dataset.sample import Sample
from arbitration.files.shipped import check_shipped


def load(name: str | Path = "scenes", split: str = "held") -> list[Sample]:
    """The samples of a data set in their stored order (`sets.load`, which says what it takes).

    Of the scenes all files are compared with the checksums that are committed with them, once in a
    process: samples, pictures, and the dictionary that `entities` reads.

    Raises
    ------
    Damaged
        If a file of the scenes is not the one that ships.
    ValueError, FileNotFoundError, ConnectionError
        As `sets.load`.
    """
    if name == "scenes":
        check_shipped("scenes")
    return sets.load(name, split)
