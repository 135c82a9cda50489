"""The zip of all tables: the same tables give the same bytes, and every column is described."""

import inspect
import io
import os
import shutil
import zipfile

import pandas as pd
import pytest

from arbitration.files.folders import DATA, ROOT
from press import bundle
from press.columns import find_drawn
from reproduction import figures

STORED = ROOT / "tests" / "stored" / "tables"


@pytest.fixture
def published(tmp_path):
    """A record, the stored tables as those of a run, and the data of a figure."""
    executed, records = tmp_path / "executed", tmp_path / "results"
    shutil.copytree(STORED, executed / "org" / "name" / "tables")
    (executed / ".running" / "x" / "tables").mkdir(parents=True)
    shutil.copy(STORED / "paths.parquet", executed / ".running" / "x" / "tables")
    (records / "smol").mkdir(parents=True)
    for kind in ("json", "parquet"):
        shutil.copy(DATA / "results" / "smol" / f"way_out.{kind}", records / "smol")
    drawn = executed / "org" / "name" / "figures"
    drawn.mkdir()
    table = pd.DataFrame(
        {"following": ["text"], "position": [0], "token": ["a"], "group": ["last"]}
    )
    table.to_parquet(drawn / "fig2.parquet")
    table.to_csv(drawn / "fig2.csv", index=False)
    (drawn / "fig2.json").write_text("{}")
    (drawn / "fig2-light.svg").write_text("<svg/>")
    return bundle.gather_published(executed, records)


def read_bundle(path):
    with zipfile.ZipFile(path) as found:
        return {name: found.read(name) for name in found.namelist()}


def test_every_column_of_every_table_is_in_the_dictionary(published, tmp_path):
    bundle.write_bundle(tmp_path / "tables.zip", published)
    files = read_bundle(tmp_path / "tables.zip")
    assert list(files) == sorted(files) and not [name for name in files if "svg" in name]
    assert {"README.md", "LICENSES.md", "CITATION.cff", "columns.json", "columns.md"} <= set(files)
    said = pd.read_csv(io.BytesIO(files["columns.csv"])).set_index(["table", "column"])
    listed = pd.read_csv(io.BytesIO(files["tables.csv"])).set_index("table")
    tables = [name for name in files if name.endswith(".parquet")]
    assert sorted(listed.index) == tables
    assert {name.split("/")[0] for name in tables} == {"records", "runs", "figures"}
    assert "figures/org/name/fig2.csv" in files and "records/smol/way_out.json" in files
    for name in tables:
        table = pd.read_parquet(io.BytesIO(files[name]))
        assert len(table) == listed.loc[name, "rows"]
        assert said.loc[name].index.tolist() == list(table), name
    assert said["meaning"].str.len().min() > 5 and not said.isna().any(axis=None)
    assert said.loc[("figures/org/name/fig2.parquet", "token"), "type"] == "text"
    assert said.loc[("records/smol/way_out.parquet", "seconds"), "unit"] == "seconds"


def test_the_same_tables_give_the_same_bytes(published, tmp_path):
    for name in ("a.zip", "b.zip"):
        bundle.write_bundle(tmp_path / name, published)
        for one in published:
            os.utime(one.path, (1e9, 1e9))  # of another year
    assert (tmp_path / "a.zip").read_bytes() == (tmp_path / "b.zip").read_bytes()


def test_a_column_without_a_description_is_named_and_nothing_is_written(published, tmp_path):
    path = published[0].path
    pd.read_parquet(path).assign(surprise=1).to_parquet(path)
    with pytest.raises(ValueError, match=rf"of {published[0].name}: surprise; write"):
        bundle.write_bundle(tmp_path / "tables.zip", published)
    assert not (tmp_path / "tables.zip").exists()


def test_every_column_that_a_figure_draws_is_described():
    found = {}
    for name, draw in vars(figures).items():
        if hasattr(draw, "__wrapped__"):
            needed = inspect.getclosurevars(draw).nonlocals["needed"]
            found[name] = [one for columns in needed.values() for one in columns]
    assert len(found) > 25
    lacking = {name: [one for one in c if not find_drawn(name, one)] for name, c in found.items()}
    assert {name: columns for name, columns in lacking.items() if columns} == {}


def test_without_a_book_there_is_nothing_to_take_away(monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(bundle, "gather_published", list)
    assert bundle.main([str(tmp_path / "tables.zip")]) == 2
    assert "make book" in capsys.readouterr().err
