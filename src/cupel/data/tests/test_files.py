import gzip
import json
import os
import sqlite3
import sys
import time

import numpy as np
import polars as pl
import pytest

from cupel.core.errors import DataError, MissingDependencyError
from cupel.data.databases import to_be_kept
from cupel.data.files import read_columns, read_table
from cupel.data.streamed import batches_of

TEXT = "age,name\n31,Ann\n,Bob\n"


def written(folder, name, content):
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def listed(columns):
    return {name: values.tolist() for name, values in columns.items()}


def codes(table):
    return [finding.code for finding in table.findings]


@pytest.mark.parametrize("separator", [",", ";", "\t", "|"])
def test_the_separator_is_found(tmp_path, separator):
    path = written(tmp_path, "t.csv", TEXT.replace(",", separator))
    assert listed(read_columns(path)) == {"age": ["31", None], "name": ["Ann", "Bob"]}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('a;b\n"x;y";"2,5"\n', {"a": ["x;y"], "b": ["2,5"]}),
        ("a;b\n1,5;2,5\n2,0;3,1\n", {"a": ["1,5", "2,0"], "b": ["2,5", "3,1"]}),
        ('a,b\n1,"x, ""y""\nz"\n', {"a": ["1"], "b": ['x, "y"\nz']}),
        ('a,b\n1,5" pipe\n2,x\n', {"a": ["1", "2"], "b": ['5" pipe', "x"]}),
        ('a, b\n1, "x, y"\n', {"a": ["1"], "b": ["x, y"]}),
        ("a,b\r\n1,2\r\n", {"a": ["1"], "b": ["2"]}),
        ("a,b\r1,2\r", {"a": ["1"], "b": ["2"]}),
        ("\n\na,b\n1,2\n\n3,4\n\n", {"a": ["1", "3"], "b": ["2", "4"]}),
        ("a\n1\n\n2\n", {"a": ["1", None, "2"]}),
        ("a,b\n", {"a": [], "b": []}),
        ("text\nhello, world\nfoo\n", {"text": ["hello, world", "foo"]}),
        ('a,b\n1,"x\n\ny"\n\n2,z\n', {"a": ["1", "2"], "b": ["x\n\ny", "z"]}),
    ],
)
def test_text_tables_are_cut_into_cells(tmp_path, text, expected):
    assert listed(read_columns(written(tmp_path, "t.csv", text))) == expected


def test_long_files_are_read_as_short_ones(tmp_path):
    rows = [f'{i},"a ""{i}"", b\n{"x" * (i % 50)}",{i % 7}' for i in range(150_000)]
    columns = read_columns(written(tmp_path, "t.csv", "i,t,m\n" + "\n".join(rows)))
    assert columns["i"].tolist() == [str(i) for i in range(150_000)]
    assert columns["t"][-1] == f'a "149999", b\n{"x" * 49}'


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32"])
def test_unicode_files_are_decoded(tmp_path, encoding):
    table = read_table(written(tmp_path, "t.csv", "größe,ort\n1,Zürich\n".encode(encoding)))
    assert listed(table.columns) == {"größe": ["1"], "ort": ["Zürich"]}
    assert not table.findings


@pytest.mark.parametrize(
    ("content", "ort"), [("ort,a\nZürich €,1\n".encode("cp1252"), "Zürich €"), (b"ort,a\nZ\x81\xfc,1\n", "Z\x81ü")]
)
def test_other_encodings_are_guessed_with_a_warning(tmp_path, content, ort):
    table = read_table(written(tmp_path, "t.csv", content))
    assert table.columns["ort"].tolist() == [ort]
    assert codes(table) == ["encoding"]


def test_gzipped_text_is_unpacked_whatever_its_name(tmp_path):
    assert list(read_columns(written(tmp_path, "t.csv", gzip.compress(TEXT.encode())))) == ["age", "name"]
    lines = b'{"a": 1}\n{"a": 2}\n'
    assert listed(read_columns(written(tmp_path, "t.jsonl.gz", gzip.compress(lines)))) == {"a": [1, 2]}


def test_every_format_gives_the_same_columns(tmp_path):
    frame = pl.DataFrame({"n": [1, 2, 3], "x": [0.5, None, 2.0], "t": ["a", None, "c"], "b": [True, False, True]})
    frame.write_parquet(tmp_path / "t.parquet")
    frame.write_ipc(tmp_path / "t.arrow")
    frame.write_ipc_stream(tmp_path / "t.stream")
    frame.write_ndjson(tmp_path / "t.jsonl")
    (tmp_path / "t.json").write_text(json.dumps(frame.to_dicts(), indent=1))
    sources = [*(tmp_path / f"t.{s}" for s in ("parquet", "arrow", "stream", "jsonl", "json"))]
    sources += [frame, frame.lazy(), frame.to_dict(), frame.to_dict(as_series=False), frame.to_dicts()]
    for source in sources:
        columns = read_columns(source)
        assert [values.dtype.kind for values in columns.values()] == ["i", "f", "O", "b"], source
        np.testing.assert_array_equal(columns["x"], [0.5, np.nan, 2.0])
        assert columns["t"].tolist() == ["a", None, "c"]


def test_pandas_and_arrow_tables_are_read():
    pandas, pyarrow = pytest.importorskip("pandas"), pytest.importorskip("pyarrow")
    frame = pandas.DataFrame(
        {
            "n": [1, 2],
            "nullable": pandas.array([1, None], dtype="Int64"),
            "flag": pandas.array([True, None], dtype="boolean"),
            "t": ["a", None],
            "c": pandas.Categorical(["x", None]),
            "when": pandas.to_datetime(["2024-01-01", None]),
            "zoned": pandas.to_datetime(["2024-01-01T02:00:00+02:00", None], utc=True).tz_convert("Europe/Berlin"),
            7: [0.5, 1.5],
        }
    )
    columns = read_columns(frame)
    assert [values.dtype.kind for values in columns.values()] == ["i", "f", "O", "O", "O", "M", "M", "f"]
    assert [columns[name].tolist() for name in ("flag", "t", "c")] == [[True, None], ["a", None], ["x", None]]
    assert columns["zoned"][0] == np.datetime64("2024-01-01")
    assert "7" in columns
    from_arrow = read_columns(pyarrow.Table.from_pandas(frame[["n", "t", "c", "zoned"]]))
    for name, values in from_arrow.items():
        assert values.tolist()[0] == columns[name].astype(values.dtype).tolist()[0]
    twice = pyarrow.table([[1], [2]], names=["a", "a"])
    assert list(read_columns(twice)) == ["a", "a.1"]


def test_polars_types_become_numpy_columns():
    frame = pl.DataFrame(
        {
            "whole": pl.Series([1, None], dtype=pl.Int32),
            "decimal": pl.Series(["1.5", None]).cast(pl.Decimal(10, 2)),
            "day": pl.Series(["2024-01-01", None]).str.to_date(),
            "zoned": pl.Series(["2024-01-01T00:00:00", None]).str.to_datetime(time_zone="Europe/Berlin"),
            "long": pl.Series([90_000_000, None]).cast(pl.Duration("us")),
            "level": pl.Series(["a", None], dtype=pl.Categorical),
            "list": [[1, 2], None],
            "none": [None, None],
        }
    )
    columns = read_columns(frame)
    assert [values.dtype.kind for values in columns.values()] == ["f", "f", "M", "M", "f", "O", "O", "O"]
    assert columns["zoned"][0] == np.datetime64("2023-12-31T23:00:00")
    assert columns["long"][0] == 90.0
    assert columns["list"].tolist() == ["[1, 2]", None]


def test_arrays_are_read_by_position_or_by_field():
    assert listed(read_columns(np.array([[1.0, 2.0], [3.0, 4.0]]))) == {"0": [1.0, 3.0], "1": [2.0, 4.0]}
    assert listed(read_columns(np.array([(1, "x")], dtype=[("n", int), ("t", "U3")]))) == {"n": [1], "t": ["x"]}
    assert listed(read_columns(np.array([[1, "x"], [None, "y"]], dtype=object)))["1"] == ["x", "y"]


def test_records_may_lack_keys():
    columns = read_columns([{"a": 1, "b": "x"}, {"a": 2.5}, {"c": {"d": 1}}])
    np.testing.assert_array_equal(columns["a"], [1, 2.5, np.nan])
    assert columns["b"].tolist() == ["x", None, None]
    assert columns["c"].tolist() == [None, None, '{"d": 1}']


def test_whole_numbers_beyond_64_bits_stay_exact():
    assert read_columns({"a": [2**70, 1]})["a"].tolist() == [str(2**70), "1"]


def test_repeated_and_empty_header_cells_get_names_of_their_own(tmp_path):
    table = read_table(written(tmp_path, "t.csv", "a,a,,a.1,a\n1,2,3,4,5\n"))
    assert listed(table.columns) == {"a": ["1"], "a.2": ["2"], "column_3": ["3"], "a.1": ["4"], "a.3": ["5"]}
    assert codes(table) == ["unnamed-columns", "duplicate-names"]
    assert table.repeated == {"a"}


def test_a_first_line_of_numbers_is_doubted(tmp_path):
    assert codes(read_table(written(tmp_path, "t.csv", "5.1,3.5,0\n4.9,3.0,0\n"))) == ["no-header"]
    assert not codes(read_table(written(tmp_path, "t.csv", "0,1,2\n4.9,3.0,0\n")))


def excel(folder, sheets):
    writer = pytest.importorskip("xlsxwriter")
    path = folder / "t.xlsx"
    with writer.Workbook(path) as book:
        for name, rows in sheets.items():
            sheet = book.add_worksheet(name)
            for number, row in enumerate(rows):
                sheet.write_row(number, 0, row)
    return path


def sqlite(path, frame):
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE t (a)")
        connection.executemany("INSERT INTO t VALUES (?)", frame.rows())
    connection.close()


WRITERS = {
    "csv": lambda path, frame: frame.write_csv(path),
    "csv.gz": lambda path, frame: path.write_bytes(gzip.compress(frame.write_csv().encode())),
    "ndjson": lambda path, frame: frame.write_ndjson(path),
    "parquet": lambda path, frame: frame.write_parquet(path),
    "arrow": lambda path, frame: frame.write_ipc(path),
    "arrows": lambda path, frame: frame.write_ipc_stream(path),
    "sqlite": sqlite,
    "xlsx": lambda path, frame: excel(path.parent, {"t": [frame.columns, *frame.rows()]}).rename(path),
}


@pytest.mark.parametrize("suffix", WRITERS)
def test_a_name_that_is_a_pattern_names_that_file_alone(tmp_path, suffix):
    pytest.importorskip("fastexcel" if suffix == "xlsx" else "polars")
    folder = tmp_path / "a[1]"
    folder.mkdir()
    for name, value in (("x1", 8), ("xa", 9), ("x[1]", 1), ("x*?", 2)):
        WRITERS[suffix](tmp_path / "written", pl.DataFrame({"a": [value]}))
        (tmp_path / "written").rename(folder / f"{name}.{suffix}")
    for name, value in (("x[1]", 1), ("x*?", 2)):
        path = folder / f"{name}.{suffix}"
        assert [float(cell) for cell in read_columns(path)["a"]] == [value]
        in_pieces = batches_of(path)
        if in_pieces is not None:
            assert [float(cell) for frame in in_pieces.frames() for cell in frame["a"]] == [value]


def test_excel_sheets_are_read_by_name(tmp_path):
    pytest.importorskip("fastexcel")
    path = excel(tmp_path, {"one": [["a", "a", "b"], [1, 2.5, "x"], [2, "", "7"]], "two": [["z"], [True]], "three": []})
    table = read_table(path)
    assert listed(table.columns) == {"a": ["1", "2"], "a.1": ["2.5", None], "b": ["x", "7"]}
    assert codes(table) == ["several-sheets", "duplicate-names"]
    assert listed(read_columns(path, sheet="two")) == {"z": ["true"]}
    with pytest.raises(DataError, match=r"'nine'.*'one', 'two'"):
        read_table(path, sheet="nine")
    with pytest.raises(DataError, match="empty"):
        read_table(path, sheet="three")


def test_excel_without_its_library_says_what_to_install(tmp_path, monkeypatch):
    path = excel(tmp_path, {"one": [["a"], [1]]})
    monkeypatch.setitem(sys.modules, "fastexcel", None)
    with pytest.raises(MissingDependencyError, match=r'pip install "cupel\[excel\]"'):
        read_table(path)


def database(folder, tables=("people",)):
    path = folder / "people.db"
    connection = sqlite3.connect(path)
    for table in tables:
        connection.execute(f"create table {table} (age integer, height real, name text)")
        connection.executemany(f"insert into {table} values (?, ?, ?)", [(31, 1.7, "Ann"), (45, None, None)])
    connection.commit()
    connection.close()
    return path


def test_a_database_with_one_table_needs_no_query(tmp_path):
    columns = read_columns(database(tmp_path))
    assert columns["age"].tolist() == [31, 45]
    np.testing.assert_array_equal(columns["height"], [1.7, np.nan])
    assert columns["name"].tolist() == ["Ann", None]


def test_a_query_chooses_rows_and_columns(tmp_path):
    path = database(tmp_path, ("people", "others"))
    assert listed(read_columns(path, query="select age * 2 as double from people where age > 40")) == {"double": [90]}
    assert listed(read_columns(path, query="select age from people where age > 90")) == {"age": []}
    with pytest.raises(DataError, match=r"2 tables \(others, people\).*query="):
        read_columns(path)


@pytest.mark.parametrize(
    "query", ["select nothing from nowhere", "delete from people", "select 1; select 2", "", "pragma user_version = 3"]
)
def test_queries_that_fail_or_write_are_refused(tmp_path, query):
    path = database(tmp_path, ("people", "others"))
    before = path.read_bytes()
    with pytest.raises(DataError):
        read_columns(path, query=query)
    assert path.read_bytes() == before


@pytest.mark.parametrize(
    ("name", "content", "expected"),
    [
        ("t.csv", b"", r"empty \(0 bytes\)"),
        ("t.csv", b" \n\n", "is empty"),
        ("t.csv.gz", gzip.compress(TEXT.encode() * 99, mtime=0)[:-20], "truncated gzip"),
        ("t.csv.gz", b"\x1f\x8bnonsense", "damaged"),
        ("t.csv", bytes(range(256)) * 40, "NUL"),
        ("t.csv", bytes(range(1, 256)) * 40, "no text"),
        ("t.csv", TEXT.encode("utf-16-le"), "UTF-16"),
        ("t.csv", b"\xff\xfea", "utf-16"),
        ("t.csv", "a,b\n1,2\n1,2,3\n", "line 3 has 3 cells"),
        ("t.csv", 'a,b\n"x\ny",2\n1\n', "line 4 has 1 cells"),
        ("t.csv", 'a,b\n1,2\n"3,4\n5,6\n', "line 3 has 1 cells"),
        ("t.parquet", b"PAR1 is not enough PAR1", "Parquet"),
        ("t.parquet", b"something else", "no Parquet file"),
        ("t.arrow", b"ARROW1\x00\x00 and then nothing", "Arrow"),
        ("t.db", b"something else", "no SQLite file"),
        ("t.db", b"SQLite format 3\x00" + b"x" * 100, "SQLite"),
        ("t.xlsx", b"PK\x03\x04nonsense", "Excel"),
        ("t.zip", b"PK\x03\x04nonsense", "zip archive"),
        ("t.csv.bz2", b"BZh91AY", "bzip2"),
        ("t.pdf", b"%PDF-1.4", "PDF"),
        ("t.json", '{"a": [1, 2', "JSON"),
        ("t.json", '{\n"a": [1, 2]\n}', "JSON lines"),
        ("t.jsonl", '{"a": 1}\n{"a": \n', "line 2"),
        ("t.jsonl", '{"a": 1}\n3\n', "record 2 is '3'"),
        ("t.json", "[]", "no records"),
        ("t.json", b'{"a": "\xff"}', "UTF-8"),
    ],
)
def test_damaged_files_get_a_clear_answer(tmp_path, name, content, expected):
    with pytest.raises(DataError, match=expected) as caught:
        read_columns(written(tmp_path, name, content))
    assert name in str(caught.value)


def test_damage_within_a_parquet_file_is_noticed(tmp_path):
    path = tmp_path / "t.parquet"
    pl.DataFrame({"a": np.random.default_rng(0).normal(size=1000)}).write_parquet(path)
    whole = path.read_bytes()
    for damaged in (whole[:-300], whole[:40] + b"\xff" * 64 + whole[104:]):
        path.write_bytes(damaged)
        with pytest.raises(DataError, match="Parquet"):
            read_columns(path)


def test_paths_that_lead_nowhere_get_a_clear_answer(tmp_path):
    written(tmp_path, "churn.csv", TEXT)
    with pytest.raises(DataError, match=r"Did you mean .*churn\.csv"):
        read_columns(tmp_path / "chrun.csv")
    with pytest.raises(DataError, match="no folder"):
        read_columns(tmp_path / "none" / "churn.csv")
    with pytest.raises(DataError, match="is a folder"):
        read_columns(tmp_path)
    with pytest.raises(DataError, match="cannot be opened"):
        read_columns("a\x00b")
    for url in ("https://example.org/t.csv", "mysql://localhost/x"):
        with pytest.raises(DataError, match="not read"):
            read_columns(url)


@pytest.mark.skipif(os.getuid() == 0, reason="root may read everything")
def test_a_file_without_permission_gets_a_clear_answer(tmp_path):
    path = written(tmp_path, "t.csv", TEXT)
    path.chmod(0)
    with pytest.raises(DataError, match="permissions"):
        read_columns(path)


def test_an_option_that_would_be_ignored_is_refused(tmp_path):
    path = written(tmp_path, "t.csv", TEXT)
    with pytest.raises(DataError, match="no database"):
        read_columns(path, query="select 1")
    with pytest.raises(DataError, match="no Excel"):
        read_columns(path, sheet="one")
    with pytest.raises(DataError, match="no Excel"):
        read_columns(database(tmp_path), sheet="one")
    with pytest.raises(DataError, match="no database"):
        read_columns({"a": [1]}, query="select 1")


@pytest.mark.parametrize(
    "source",
    [
        5,
        None,
        [1, 2],
        {"a": 3},
        {"a": "text"},
        {"a": [1], "b": [1, 2]},
        {},
        [],
        np.zeros(3),
        np.zeros((2, 2, 2)),
        pl.DataFrame(),
        pl.Series([1]),
        np.array([[1j]]),
    ],
)
def test_what_is_no_table_is_refused(source):
    with pytest.raises(DataError):
        read_columns(source)


def test_postgres_needs_a_query_and_its_library(monkeypatch):
    url = "postgresql://me:secret@localhost:1/db"
    with pytest.raises(DataError, match="query=") as caught:
        read_columns(url)
    assert "secret" not in str(caught.value)
    monkeypatch.setitem(sys.modules, "psycopg", None)
    with pytest.raises(MissingDependencyError, match=r'pip install "cupel\[postgres\]"'):
        read_columns(url, query="select 1")


def test_a_postgres_server_that_does_not_answer_gets_a_clear_answer():
    pytest.importorskip("psycopg")
    with pytest.raises(DataError, match="localhost:1/db") as caught:
        read_columns("postgresql://me:secret@localhost:1/db", query="select 1")
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("data/a b.csv", "data/a b.csv"),
        (
            "postgresql://me:se%40cret@host:5/db?sslmode=require&sslpassword=x&password=y",
            "postgresql://me@host:5/db?sslmode=require",
        ),
        ("postgresql://host/db", "postgresql://host/db"),
        ("postgresql://me:se#cr?et@host:5/db", "postgresql://me@host:5/db"),
        ("postgresql://me:se/cret@host/db", "postgresql://me@host/db"),
        ("postgresql://host:5432/db?application_name=a@b", "postgresql://host:5432/db?application_name=a%40b"),
        ("postgresql:///db?host=/run&user=me", "postgresql:///db?host=%2Frun&user=me"),
    ],
)
def test_an_address_is_kept_without_its_passwords(given, kept):
    assert to_be_kept(given) == kept


def test_a_server_that_repeats_the_password_in_its_answer_is_not_repeated(monkeypatch):
    psycopg = pytest.importorskip("psycopg")

    def refuse(url, **named):
        raise psycopg.OperationalError("password authentication failed for s@cret and s%40cret")

    monkeypatch.setattr(psycopg, "connect", refuse)
    with pytest.raises(DataError, match=r"PGPASSWORD.*resume RUN --source") as caught:
        read_columns("postgresql://me:s%40cret@localhost:1/db", query="select 1")
    assert "cret" not in str(caught.value)


def test_fifty_thousand_rows_are_read_in_a_second(tmp_path):
    numbers = np.random.default_rng(0).normal(size=(50_000, 20)).round(4)
    pl.DataFrame(numbers).write_csv(tmp_path / "t.csv")
    start = time.process_time()
    read_columns(tmp_path / "t.csv")
    assert time.process_time() - start < 1
