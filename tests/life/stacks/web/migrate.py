"""Apply migrations/*.sql, each once and whole. PostgreSQL may still be starting."""

import sys
import time
from pathlib import Path

import psycopg2
import store


def main() -> None:
    """Apply what has not been applied."""
    deadline = time.monotonic() + 30
    while True:
        try:
            connection = store.connect()
            break
        except psycopg2.OperationalError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.2)
    connection.autocommit = False
    with connection, connection.cursor() as cursor:
        cursor.execute("CREATE TABLE IF NOT EXISTS applied (name text PRIMARY KEY)")
        cursor.execute("SELECT name FROM applied")
        known = {row[0] for row in cursor.fetchall()}
    for path in sorted(Path("migrations").glob("*.sql")):
        if path.name in known:
            continue
        with connection, connection.cursor() as cursor:
            cursor.execute(path.read_text())
            cursor.execute("INSERT INTO applied VALUES (%s)", (path.name,))
        sys.stdout.write(f"applied {path.name}\n")


try:
    main()
except psycopg2.Error as error:
    sys.exit(f"migrate: {error}")
