"""A query can only ask for rows: it may stand in a run that a stranger made."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from cupel.core.errors import DataError
from cupel.data.files import read_columns

ADDRESS = "postgresql://localhost:1/db"


@pytest.fixture
def database(tmp_path: Path) -> Path:
    path = tmp_path / "t.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE t (a)")
        connection.execute("INSERT INTO t VALUES (5)")
        connection.commit()
    return path


@pytest.mark.parametrize(
    "query",
    [
        "select a from t",
        "SELECT*FROM t;",
        "with u as (select a from t) select a from u",
        "values (5)",
        "-- the rows\r\n/* all\nof -- them */\tselect a from t",
    ],
)
def test_a_query_that_asks_for_rows_gets_them(database: Path, query: str) -> None:
    (column,) = read_columns(database, query=query).values()
    assert column.tolist() == [5]


@pytest.mark.parametrize(
    "query",
    [
        "COPY (SELECT 1) TO PROGRAM 'touch /tmp/never'",
        "DO $$ BEGIN END $$",
        "selection",
        "-- \rCOPY (SELECT 1) TO '/tmp/never'\nSELECT 1",
        "/* /* */ SELECT 1 */ COPY (SELECT 1) TO '/tmp/never'",
        "/* /* */ VACUUM INTO '/tmp/never' -- */ SELECT 1",
        "/* SELECT 1",
        "-- SELECT 1",
        "",
    ],
)
def test_no_server_is_asked_for_anything_else(query: str) -> None:
    with pytest.raises(DataError, match=r"asks for no rows; expected one statement of SELECT|needs query="):
        read_columns(ADDRESS, query=query)


def test_no_file_is_written_by_a_database_that_is_only_read(database: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"vacuum into .*asks for no rows"):
        read_columns(database, query=f"vacuum into '{tmp_path / 'copy'}'")
    assert not (tmp_path / "copy").exists()


def test_a_second_statement_is_refused(database: Path) -> None:
    with pytest.raises(DataError, match="one statement"):
        read_columns(database, query="select a from t; select 2")
