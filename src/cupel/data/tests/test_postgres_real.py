"""Reading from a true PostgreSQL server, started for these tests on a port of its own."""

import os
import pwd
import shutil
import socket
import subprocess
import tempfile
from pathlib import Path

import numpy as np
import pytest

from cupel import data
from cupel.core.errors import DataError
from cupel.data.databases import without_password

pytestmark = pytest.mark.real


def programs():
    """The folder of the newest server installed, None if there is none."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: float(path.parts[4]))
    on_path = shutil.which("initdb")
    return found[-1].parent if found else Path(on_path).parent if on_path else None


def as_server_user(command):
    """The command as a user who may run a server: PostgreSQL refuses root."""
    if os.getuid() == 0:
        command = ["runuser", "-u", "postgres", "--", *command]
    return subprocess.run([*map(str, command)], check=True, cwd="/", stdout=subprocess.DEVNULL, timeout=120)


def free_port():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return taken.getsockname()[1]


@pytest.fixture(scope="module")
def server():
    psycopg = pytest.importorskip("psycopg", reason='reading from PostgreSQL needs psycopg: pip install "cupel[postgres]"')
    binaries = programs()
    if binaries is None:
        pytest.skip("no PostgreSQL server is installed: apt-get install postgresql")
    folder = Path(tempfile.mkdtemp(prefix="pg"))
    if os.getuid() == 0:
        user = pwd.getpwnam("postgres")
        os.chown(folder, user.pw_uid, user.pw_gid)
    port, cluster = free_port(), folder / "data"
    control = [binaries / "pg_ctl", "-D", cluster, "-w"]
    try:
        as_server_user([binaries / "initdb", "-D", cluster, "-U", "owner", "-A", "trust", "-E", "UTF8", "--no-sync"])
        as_server_user([*control, "-l", folder / "log", "-o", f"-p {port} -h 127.0.0.1 -k {folder}", "start"])
        url = f"postgresql://owner:secret@127.0.0.1:{port}/postgres"
        with psycopg.connect(url) as connection:
            connection.execute(
                """create table people as select i as age, (i * 1.5)::numeric(9, 2) as pay,
                case when i % 5 > 0 then 'town ' || i % 3 end as town, i % 2 = 0 as churn,
                timestamptz '2024-01-01 00:00+02' + i * interval '1 day' as joined, date '2024-01-01' + i as born,
                '{"a": 1}'::jsonb as extra, null::float8 as empty from generate_series(1, 200) i"""
            )
        yield url
    finally:
        if (cluster / "postmaster.pid").exists():
            as_server_user([*control, "-m", "immediate", "stop"])
        shutil.rmtree(folder, ignore_errors=True)


def test_a_query_becomes_a_dataset(server):
    dataset = data.read(server, target="churn", query="select * from people order by age")
    kinds = {column.name: column.kind.value for column in dataset.schema.columns}
    assert kinds == {
        "age": "number",
        "pay": "number",
        "town": "category",
        "churn": "boolean",
        "joined": "datetime",
        "born": "datetime",
        "extra": "constant",
        "empty": "constant",
    }
    assert dataset.columns["pay"][:2].tolist() == [1.5, 3.0]
    assert dataset.columns["joined"][0] == np.datetime64("2024-01-01T22:00", "s").astype(int)
    assert dataset.task.classes == ("false", "true")
    assert "secret" not in dataset.source


def test_a_query_without_rows_gives_empty_columns(server):
    assert {
        name: len(cells) for name, cells in data.read_columns(server, query="select age, town from people where age < 0").items()
    } == {
        "age": 0,
        "town": 0,
    }


@pytest.mark.parametrize(
    "query",
    [
        "select nothing from nowhere",
        "delete from people",
        "drop table people",
        "commit; drop table people",
        "select 1; commit; drop table people",
        "create table more (a int)",
        "set transaction read write",
    ],
)
def test_queries_that_fail_or_write_are_refused_and_change_nothing(server, query):
    with pytest.raises(DataError) as caught:
        data.read_columns(server, query=query)
    assert "secret" not in str(caught.value)
    assert data.read_columns(server, query="select count(*) as n from people")["n"].tolist() == [200]
    assert data.read_columns(server, query="select to_regclass('more')::text as t")["t"].tolist() == [None]


def test_a_wrong_database_gets_a_clear_answer(server):
    with pytest.raises(DataError, match="nowhere"):
        data.read_columns(server.replace("/postgres", "/nowhere"), query="select 1")


def test_addresses_are_shown_without_their_password():
    assert without_password("postgresql://me:secret@host:5432/db?password=x") == "postgresql://me@host:5432/db"
