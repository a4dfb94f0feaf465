"""The rows in PostgreSQL. Connections are kept; a broken connection is replaced once."""

import os
import queue
from collections.abc import Callable
from typing import Any

import psycopg2

_FREE: queue.LifoQueue[Any] = queue.LifoQueue(16)


def connect() -> Any:
    """Return a new connection to the server in libpq's environment variables."""
    connection = psycopg2.connect(connect_timeout=3)
    connection.autocommit = True
    return connection


def _ask(query: str, values: tuple[object, ...], read: Callable[[Any], Any]) -> Any:
    try:
        return _once(_FREE.get_nowait(), query, values, read)
    except (queue.Empty, psycopg2.OperationalError, psycopg2.InterfaceError):
        return _once(connect(), query, values, read)


def _once(connection: Any, query: str, values: tuple[object, ...], read: Callable[[Any], Any]) -> Any:
    with connection.cursor() as cursor:
        cursor.execute(query, values)
        result = read(cursor)
    try:
        _FREE.put_nowait(connection)
    except queue.Full:
        connection.close()
    return result


def add(key: str) -> None:
    """Add a row, unless it is there."""
    _ask("INSERT INTO rows (key) VALUES (%s) ON CONFLICT DO NOTHING", (key,), lambda _: None)


def newest(limit: int) -> list[str]:
    """Return the keys of the newest rows."""
    columns = os.environ.get("COLUMNS_READ", "key")
    query = f"SELECT {columns} FROM rows ORDER BY id DESC LIMIT %s"
    return _ask(query, (limit,), lambda cursor: [row[0] for row in cursor.fetchall()])
