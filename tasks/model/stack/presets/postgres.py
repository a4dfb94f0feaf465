"""PostgreSQL, as the official image is configured: https://hub.docker.com/_/postgres."""

from .server import SH, Declared, Preset

_VOLUME, _DATA = "/var/lib/postgresql", "/var/lib/postgresql/data"
# Where `local` connections need a password too, or where the name of the user is in a file.
_LOG_IN = """\
export PGUSER="${POSTGRES_USER:-$(cat "${POSTGRES_USER_FILE:-/dev/null}")}"
export PGUSER="${PGUSER:-postgres}"
export PGPASSWORD="${POSTGRES_PASSWORD:-$(cat "${POSTGRES_PASSWORD_FILE:-/dev/null}")}"
exec "$0" "$@"
"""
_COUNT = (
    "--command=SELECT format('%I.%I', schemaname, tablename), "
    "(xpath('/row/n/text()', query_to_xml(format('SELECT count(*) AS n FROM ONLY %I.%I', schemaname, tablename), "
    "false, true, '')))[1] FROM pg_tables WHERE schemaname NOT IN ('pg_catalog', 'information_schema')"
)
_QUIET = ("--no-psqlrc", "--quiet")
_ROWS = ("--no-align", "--tuples-only", "--field-separator= ")
_STOP = "--set=ON_ERROR_STOP=1"
_SILENT = "--command=SET client_min_messages = warning"
# Connected clients are disconnected; new ones wait for the renaming, a single transaction.
_RENAME = (
    "--command=SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{database}'; "
    'ALTER DATABASE "{database}" RENAME TO "{former}"; ALTER DATABASE "{scratch}" RENAME TO "{database}"'
)


def postgres(declared: Declared) -> Preset:
    """Return the preset of PostgreSQL: dumps in the custom format, rows counted in the snapshot of the dump."""
    environment = declared.environment
    user = declared.first("POSTGRES_USER") or ("" if environment.get("POSTGRES_USER_FILE") else "postgres")
    unknown = environment.get("POSTGRES_DB_FILE") and not environment.get("POSTGRES_DB")
    name = declared.name or declared.first("POSTGRES_DB") or ("" if unknown else user)
    options = environment.get("POSTGRES_INITDB_ARGS", "")
    asked = not user or "--auth" in options or "-A" in options.split()

    def run(program: str, *words: str) -> tuple[str, ...]:
        return (*SH, _LOG_IN, program, *words) if asked else (program, f"--username={user}", *words)

    def psql(*words: str) -> tuple[str, ...]:
        return run("psql", *_QUIET, *words)

    return Preset(
        client=run("psql", f"--dbname={name}"),
        data=_data(declared),
        database=name,
        named_by="POSTGRES_DB",
        commands={
            "snapshot": psql(
                *(*_ROWS, _STOP, "--dbname={database}"),
                "--command=BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY",
                *("--command=SELECT pg_export_snapshot()", _COUNT, "--command=\\echo", "--file=-"),
            ),
            "dump": run("pg_dump", "--format=custom", "--snapshot={snapshot}", "{database}"),
            "list": ("pg_restore", "--list"),
            "create": run("createdb", "--template=template0", "{scratch}"),
            "restore": run("pg_restore", "--exit-on-error", "--dbname={scratch}"),
            "tables": psql(*_ROWS, _STOP, "--dbname={scratch}", _COUNT),
            "swap": psql(
                *(_STOP, "--output=/dev/null", "--dbname=template1", _SILENT),
                '--command=DROP DATABASE IF EXISTS "{former}" WITH (FORCE)',
                _RENAME,
            ),
            "drop": psql(
                *(_STOP, "--dbname=template1", _SILENT, '--command=DROP DATABASE IF EXISTS "{scratch}" WITH (FORCE)')
            ),
        },
    )


def _data(declared: Declared) -> str:
    """Return where the files are: since PostgreSQL 18 the image's volume is the directory above."""
    above = _VOLUME in {target.rstrip("/") for target in declared.targets}
    return _VOLUME if above else declared.first("PGDATA") or _DATA
