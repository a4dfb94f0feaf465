"""The rows in PostgreSQL; a connection that broke is opened again once."""

import os
import threading
from collections.abc import Callable
from typing import Any

import psycopg2

_LOCAL = threading.local()


def connect() -> Any:
    """Return a new connection; where to is said by libpq's own variables."""
    connection = psycopg2.connect(connect_timeout=3)
    connection.autocommit = True
    return connection


def _ask(query: str, values: tuple[object, ...], read: Callable[[Any], Any]) -> Any:
    try:
        return _once(query, values, read)
    except (psycopg2.OperationalError, psycopg2.InterfaceError):
        _LOCAL.connection = None
        return _once(query, values, read)


def _once(query: str, values: tuple[object, ...], read: Callable[[Any], Any]) -> Any:
    if getattr(_LOCAL, "connection", None) is None:
        _LOCAL.connection = connect()
    with _LOCAL.connection.cursor() as cursor:
        cursor.execute(query, values)
        return read(cursor)


def add(key: str) -> None:
    """Add a row, unless it is there."""
    _ask("INSERT INTO rows (key) VALUES (%s) ON CONFLICT DO NOTHING", (key,), lambda _: None)


def newest(limit: int) -> list[str]:
    """Return the keys of the newest rows."""
    columns = os.environ.get("COLUMNS_READ", "key")
    query = f"SELECT {columns} FROM rows ORDER BY id DESC LIMIT %s"
    return _ask(query, (limit,), lambda cursor: [row[0] for row in cursor.fetchall()])
