"""What ships and its checksums: they are of what is there, whatever reads numbers from it compares
them, and measures do not depend on how.
"""

import ast
import hashlib
import shutil
from pathlib import Path

import pytest

from arbitration.files import code, folders, shipped
from arbitration.files.folders import DATA, ROOT
from press import checksums
from reproduction.claims import authors, predicted, reported

#: What modules name below data/ that has checksums of its own, or is no data.
APART = ("results/", "models/smol/", "models/smol-relay/")


def test_the_checksums_are_those_of_what_is_there():
    """After a deliberate change: make checksums."""
    lines = (DATA / "SHA256SUMS").read_text(encoding="utf-8").splitlines()
    known = {line[66:]: line[:64] for line in lines}
    wrong = [
        name
        for name, checksum in known.items()
        if hashlib.sha256((DATA / name).read_bytes()).hexdigest() != checksum
    ]
    assert wrong == [] and checksums.list_changes() == [], "restore them, or run make checksums"
    assert len(known) == len(lines) > 650


def test_all_that_modules_name_below_data_has_a_checksum():
    modules = [
        path.relative_to(ROOT / "lib").with_suffix("").as_posix().replace("/", ".")
        for path in (ROOT / "lib").rglob("[!_]*.py")
    ]
    named = {path.relative_to(DATA).as_posix() for path in code.data_files(modules)}
    named |= {f"{name}.json" for name in ("paper_reported", "questions", "authors_curves")}
    assert len(named) > 700
    lacking = {one for one in named - shipped.read_sums().keys() if not one.startswith(APART)}
    assert {one for one in lacking if not one.endswith(".md")} == set()


def test_measures_do_not_depend_on_how_files_are_compared():
    """Else a further checksum would measure everything again."""
    measures = [path.stem for path in (ROOT / "lib/reproduction/measures").glob("[!_]*.py")]
    reached = set().union(*(code.reach(f"reproduction.measures.{name}") for name in measures))
    reached |= code.reach("arbitration.models.load").keys()
    assert len(reached) > 40
    assert not reached & {"arbitration.files.shipped", "arbitration.dataset.checked"}


def test_whatever_reads_the_scenes_compares_them_first():
    """Only the command that makes the shipped dictionary reads them as they are."""
    found = set()
    places = [ROOT / name for name in ("lib", "book/_ext", "benchmarks", "notebooks")]
    for path in (one for place in places for one in place.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Attribute) and ast.unparse(node) == "sets.load":
                found.add(path.relative_to(ROOT).as_posix())
    assert found == {"lib/arbitration/dataset/checked.py", "lib/arbitration/dictionary/make.py"}


def test_whatever_reads_claims_compares_them_first():
    for module in (authors, predicted, reported):
        nodes = ast.walk(ast.parse(Path(module.__file__).read_text(encoding="utf-8")))
        names = [ast.unparse(node.func) for node in nodes if isinstance(node, ast.Call)]
        assert "read_shipped" in names, module
        assert not [name for name in names if name.endswith(("read_text", "open", "read_bytes"))]


@pytest.fixture
def small(tmp_path, monkeypatch):
    """Data of two files that count, one that does not, and their checksums."""
    monkeypatch.setattr(folders, "DATA", tmp_path)
    (tmp_path / "scenes" / "images").mkdir(parents=True)
    (tmp_path / "scenes" / "README.md").write_text("about")
    (tmp_path / "scenes" / "entities.json").write_text("{}")
    shutil.copy(DATA / "scenes/images/iid-000.png", tmp_path / "scenes/images/iid-000.png")
    checksums.write_sums()
    shipped._check.cache_clear()
    yield tmp_path
    shipped._check.cache_clear()


def test_the_command_says_what_differs_and_writes_it_when_it_may(small, capsys):
    empty = hashlib.sha256(b"{}").hexdigest()
    lines = (small / "SHA256SUMS").read_text().splitlines()
    assert lines[0] == f"{empty}  scenes/entities.json" and len(lines) == 2
    assert checksums.main(["--check"]) == 0
    (small / "scenes/entities.json").write_text("[]")
    (small / "scenes/review.json").write_text("{}")
    (small / "scenes/images/iid-000.png").unlink()
    capsys.readouterr()
    assert checksums.main(["--check"]) == 1
    said = capsys.readouterr()
    assert said.out.splitlines() == [
        "data/scenes/entities.json: changed",
        "data/scenes/images/iid-000.png: gone",
        "data/scenes/review.json: new",
    ]
    assert "make checksums" in said.err
    assert (small / "SHA256SUMS").read_text().splitlines() == lines
    assert checksums.main([]) == 0 and checksums.main(["--check"]) == 0
    shipped.check_shipped("scenes")


def test_files_are_compared_once_in_a_process(small):
    shipped.check_shipped("scenes")
    (small / "scenes/entities.json").write_text("[]")
    shipped.check_shipped("scenes")
    with pytest.raises(shipped.Damaged, match="scenes/entities.json is not the file that ships"):
        shipped.check_shipped("scenes/entities.json")


def test_a_file_without_a_checksum_is_none_that_ships(small):
    (small / "scenes/review.json").write_text("{}")
    with pytest.raises(shipped.Damaged, match="review.json is not the file that ships"):
        shipped.check_shipped("scenes/review.json")
    with pytest.raises(shipped.Damaged, match="none.json is not the file that ships"):
        shipped.read_shipped(small / "none.json")
