"""Every column of every table is described once, and nothing is described that no table has."""

import numpy as np
import pandas as pd
import pytest
from bs4 import BeautifulSoup

from arbitration.files.folders import ROOT
from press import columns
from reproduction.results.records import OWN
from toy_book import build

RECORDS = sorted((ROOT / "data" / "results").glob("*/*.parquet"))
STORED = sorted((ROOT / "tests" / "stored" / "tables").glob("*.parquet"))
PARTS = ("columns", "of_records", "of_figures")
#: What a description's type may be in a file.
TYPES = {
    "text": pd.api.types.is_string_dtype,
    "whole number": pd.api.types.is_integer_dtype,
    "number": pd.api.types.is_float_dtype,
    "true or false": pd.api.types.is_bool_dtype,
}


def names(path):
    return "/".join(path.parts[-2:])


@pytest.mark.parametrize("path", RECORDS + STORED, ids=names)
def test_every_column_of_a_kept_table_is_described_with_its_type(path):
    table = pd.read_parquet(path)
    own = [name for name in OWN if path in RECORDS]
    rest = [name for name in table if name not in own]
    assert columns.list_undescribed({path.stem: rest}) == []
    for name in rest:
        described = columns.find_column(path.stem, name)
        empty = table[name].isna().all()
        assert empty or TYPES[described.type](table[name].dtype), (name, described.type)


def test_the_columns_that_only_records_have_are_described_too():
    assert [one.name for one in columns.read_columns("of_records")] == OWN


def test_every_description_is_of_a_column_that_some_table_has_and_of_one_alone():
    used = set()
    for table, about in columns.read_tables().items():
        here = about.columns.split()
        assert len(here) == len(set(here)), table
        found = [columns.find_column(table, name) for name in here]
        assert None not in found, table
        used |= set(found)
    assert [one for one in columns.read_columns() if one not in used] == []
    labels = [one.label for part in PARTS for one in columns.read_columns(part)]
    assert len(labels) == len(set(labels))
    assert {one.type for one in columns.read_columns()} == set(TYPES)
    assert all(one.meaning and one.unit for one in columns.read_columns())


def test_a_table_or_a_column_without_a_description_is_named():
    written = {"knockout": ["nssd", "surprise"], "surprises": ["x"], "sec9_origins": ["table"]}
    assert columns.list_undescribed(written) == ["knockout.surprise", "surprises"]


def test_every_function_that_is_said_to_measure_a_table_exists():
    from importlib import import_module

    for table, about in columns.read_tables().items():
        module, _, name = about.measured_by.rpartition(".")
        assert callable(getattr(import_module(module), name)), table


def test_a_written_column_without_a_description_breaks_the_build(tmp_path):
    """And without it, the page has a row for each table and each column, with links between."""
    tables = tmp_path / "_executed" / "toy" / "tables"
    tables.mkdir(parents=True)
    table = pd.DataFrame({"sample": ["a"], "surprise": [np.pi]})
    table.to_parquet(tables / "knockout.parquet")
    labels = "\n".join(f"(eq-{number})=\n## Eq. {number}\n" for number in range(1, 13))
    page = f"# Toy\n\n```{{columns}}\n```\n\n{labels}"
    (tmp_path / "index.md").write_text(page, encoding="utf-8")
    (tmp_path / "own_data.md").write_text("---\norphan: true\n---\n# Toy\n", encoding="utf-8")
    (tmp_path / "conf.py").write_text(
        "extensions = ['myst_nb', 'directives']\nroot_doc = 'index'\n"
        "myst_enable_extensions = ['deflist', 'dollarmath']\n",
        encoding="utf-8",
    )
    done = build(tmp_path)
    assert done.returncode != 0
    assert "no description in data/columns.json: knockout.surprise" in done.stderr
    table.drop(columns="surprise").to_parquet(tables / "knockout.parquet")
    done = build(tmp_path)
    assert done.returncode == 0, done.stderr
    html = BeautifulSoup((tmp_path / "html/index.html").read_text(), "html.parser")
    first, (second, third, fourth) = html.select_one("dl"), html.select("table")
    assert len(first.select("dt")) == len(columns.read_tables())
    described = [row for one in (second, third, fourth) for row in one.select("tbody tr")]
    rows = {row["id"]: row for row in described}
    links = {link["href"].removeprefix("#") for link in first.select("a")}
    assert "column-nssd" in links and links <= set(rows)
    assert "nats" in rows["column-nssd"].get_text()
