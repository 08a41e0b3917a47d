"""Tables out of databases: SQLite files and PostgreSQL servers. Nothing is ever written to them."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, quote, unquote, urlencode

from cupel.core.errors import DataError, MissingDependencyError
from cupel.data.table import RawTable, array_of

_CONNECT_SECONDS = 10
SECRET = "pass"
"""In the name of a parameter, it says that its value is not to be told."""
MISSING_PASSWORD = (
    "A password is never written into a run folder: set PGPASSWORD in the environment, or give the whole address again "
    "(`cupel resume RUN --source ADDRESS`)."
)

_N_SHOWN = 80
_ASKS_FOR_ROWS = re.compile(
    r"(?:[ \t\r\n\f(]|--[^\r\n]*\r?\n|/\*(?:(?!/\*|\*/).)*\*/)*(?:select|with|table|values)\b",
    re.ASCII | re.DOTALL | re.IGNORECASE,
)
"""Comments that servers end at different places, within one another or by a lone carriage return, are none here."""


def read_sqlite(path: Path, *, query: str | None) -> RawTable:
    """The result of a query, or the only table of the file.

    Raises:
        DataError: the file is damaged, the query fails or asks for no rows, or is not given where there are several tables.
    """
    _demand_rows(query or "select")
    try:
        with closing(sqlite3.connect(f"file:{quote(str(path.absolute()))}?mode=ro", uri=True)) as connection:
            result = connection.execute(query or _only_table(connection, path))
            if result.description is None:
                raise DataError(f"query {query!r} gives no rows; expected a SELECT.")
            return _table([column[0] for column in result.description], result.fetchall(), source=str(path))
    except (sqlite3.Error, sqlite3.Warning) as error:
        raise DataError(
            f"{path} cannot be read as an SQLite database with query {query!r} ({error}). Check the query and the file."
        ) from error


def _only_table(connection: sqlite3.Connection, path: Path) -> str:
    listed = "SELECT name FROM sqlite_master WHERE type IN ('table', 'view') AND name NOT LIKE 'sqlite_%' ORDER BY name"
    names = [row[0] for row in connection.execute(listed)]
    if len(names) != 1:
        shown = ", ".join(names[:10]) or "none"
        raise DataError(f"{path} holds {len(names)} tables ({shown}); say which rows with query=, as in SELECT * FROM name.")
    quoted = names[0].replace('"', '""')
    return f'SELECT * FROM "{quoted}"'


def read_postgres(url: str, *, query: str | None) -> RawTable:
    """The result of one query, run in a transaction that may only read.

    Raises:
        DataError: there is no query, it asks for no rows or fails, or the server cannot be reached.
        MissingDependencyError: psycopg is not installed.
    """
    shown = without_password(url)
    if not query or not query.strip():
        raise DataError(f"{shown} is a database, which needs query=, as in SELECT * FROM customers.")
    _demand_rows(query)
    try:
        import psycopg
    except ImportError as error:
        raise MissingDependencyError(
            'reading from PostgreSQL needs psycopg, which is not installed; pip install "cupel[postgres]".'
        ) from error
    try:
        with psycopg.connect(url, connect_timeout=_CONNECT_SECONDS) as connection:
            connection.read_only = True
            # Prepared, so that the server takes one statement only: a second one could end the transaction.
            result = connection.execute(query, prepare=True)
            if result.description is None:
                raise DataError(f"query {query!r} gives no rows; expected a SELECT.")
            return _table([column.name for column in result.description], result.fetchall(), source=shown)
    except psycopg.Error as error:
        reason = _without(_secrets(url), " ".join(str(error).split()))
        remedy = MISSING_PASSWORD if "password" in reason else "Check address, rights and query."
        raise DataError(f"{shown} cannot be read with query {query!r} ({reason}). {remedy}") from error


def _demand_rows(query: str) -> None:
    """Refuse what does something: it may stand in a stranger's run, and what only reads can still write files or run programs.

    More than one statement both databases refuse.

    Raises:
        DataError: the query asks for no rows.
    """
    if not _ASKS_FOR_ROWS.match(query):
        raise DataError(f"query {query[:_N_SHOWN]!r} asks for no rows; expected one statement of SELECT, WITH, TABLE or VALUES.")


def without_password(url: str) -> str:
    """The address as it may be shown and stored: no password, no parameters."""
    scheme, user, _, rest = _with_credentials(url)
    return _address(scheme, user, rest.partition("?")[0].partition("#")[0])


def to_be_kept(source: str) -> str:
    """A path as it is; an address with all that is needed to read it again, but without passwords."""
    if "://" not in source:
        return source
    scheme, user, _, rest = _with_credentials(source)
    asked = parse_qsl(rest.partition("?")[2].partition("#")[0])
    kept = urlencode([(name, value) for name, value in asked if SECRET not in name.lower()])
    return _address(scheme, user, rest.partition("?")[0], kept)


def _address(scheme: str, user: str, place: str, asked: str = "") -> str:
    """As it was given: `urlunsplit` of some Python releases drops the slashes where no place is named."""
    return f"{scheme}://{user}{'@' if user else ''}{place}{'?' if asked else ''}{asked}"


def _with_credentials(url: str) -> tuple[str, str, str, str]:
    """Scheme, user, password and the rest of an address, divided as PostgreSQL does it: a password may hold # and ?.

    One that holds a slash PostgreSQL refuses; it is found all the same, since it must not be told.
    """
    scheme, _, rest = url.partition("://")
    named, at, place = rest.partition("@")
    user, colon, password = named.partition(":")
    is_port = password.partition("/")[0].isdigit()
    if not at or "?" in user or ("/" in named and (not colon or "/" in user or is_port)):
        return scheme, "", "", rest
    return scheme, user, password, place


def _secrets(url: str) -> list[str]:
    """What must not be told of an address, longest first."""
    _, _, password, rest = _with_credentials(url)
    named = [value for name, value in parse_qsl(rest.partition("?")[2]) if SECRET in name.lower()]
    return sorted(filter(None, {password, unquote(password), *named}), key=len, reverse=True)


def _without(secrets: Sequence[str], text: str) -> str:
    for secret in secrets:
        text = text.replace(secret, "***")
    return text


def _table(names: Sequence[str], rows: Sequence[Sequence[Any]], *, source: str) -> RawTable:
    columns = list(zip(*rows, strict=True)) if rows else [()] * len(names)
    return RawTable.of(names, [array_of(column) for column in columns], source=source)
