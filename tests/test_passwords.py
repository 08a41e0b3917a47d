"""The password of a database is in nothing that a run leaves behind, and a run can be gone on with all the same."""

import numpy as np
import pytest

import cupel
from cupel.core.errors import DataError
from cupel.core.limits import Limits
from cupel.core.settings import Settings
from cupel.data import databases, files
from cupel.data.table import RawTable
from cupel.execution import read_run

ADDRESS = "postgresql://me:s3cret%21@host/db?sslmode=require&sslpassword=s3cret"
SETTINGS = Settings(families=("constant",), n_folds=2, query="select * from people")


@pytest.fixture
def asked(monkeypatch):
    """The addresses that a server, which wants a password, was asked at."""
    found = []

    def read(url, *, query):
        found.append(url)
        if "s3cret%21" not in url:
            raise DataError(f"fe_sendauth: no password supplied. {databases.MISSING_PASSWORD}")
        x = np.random.default_rng(0).normal(size=80)
        names, columns = ["x", "y"], [x, np.where(x > 0, "yes", "no").astype(object)]
        return RawTable.of(names, columns, source=databases.without_password(url))

    monkeypatch.setattr(files, "read_postgres", read)
    return found


def test_a_run_writes_no_password_and_asks_for_it_when_it_is_resumed(asked, tmp_path):
    out = tmp_path / "run"
    run = cupel.fit(ADDRESS, "y", effort="quick", out=out, settings=SETTINGS, limits=Limits(workers=0))
    assert run.artifact.exists()
    written = [path for path in out.rglob("*") if path.is_file()]
    assert not [path.name for path in written if b"s3cret" in path.read_bytes()]
    assert read_run(out)["source"] == "postgresql://me@host/db?sslmode=require"
    with pytest.raises(DataError, match="PGPASSWORD"):
        cupel.resume(out, limits=Limits(workers=0))
    again = cupel.resume(out, source=ADDRESS, limits=Limits(workers=0))
    assert again.verdict == run.verdict
    assert asked == [ADDRESS, "postgresql://me@host/db?sslmode=require", ADDRESS]
