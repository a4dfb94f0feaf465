"""MySQL and MariaDB, as their official images are configured.

https://hub.docker.com/_/mysql, https://hub.docker.com/_/mariadb: both have bash and gzip. The commands work as root,
whose password is read in the container; see their ``MYSQL_PWD``.
"""

from dataclasses import dataclass

from .server import BASH, Declared, Preset

_LOG_IN = r"""set -euo pipefail
for variable in MARIADB_ROOT_PASSWORD MYSQL_ROOT_PASSWORD; do
  file=${variable}_FILE
  if [ -z "${MYSQL_PWD-}" ] && [ -n "${!variable-}" ]; then MYSQL_PWD=${!variable}; fi
  if [ -z "${MYSQL_PWD-}" ] && [ -n "${!file-}" ]; then MYSQL_PWD=$(< "${!file}"); fi
done
export MYSQL_PWD=${MYSQL_PWD-}
sql() { "$0" --user=root --default-character-set=utf8mb4 --batch --skip-column-names "$@"; }
"""
_CLIENT = _LOG_IN + 'exec "$0" --user=root --default-character-set=utf8mb4 "$@"\n'

# The statement that counts the rows of every table, made by the server.
_COUNT = """\
SET SESSION group_concat_max_len = 67108864;
SELECT IFNULL(GROUP_CONCAT('SELECT CONCAT(', QUOTE(CONCAT(table_name, ' ')), ', COUNT(*)) FROM `',
REPLACE(table_name, '`', '``'), '`' SEPARATOR ' UNION ALL '), 'DO 0') INTO @counts
FROM information_schema.tables WHERE table_schema = DATABASE() AND table_type IN ('BASE TABLE', 'SYSTEM VERSIONED');
UNLOCK TABLES;
PREPARE counts FROM @counts;
EXECUTE counts;
"""

# Neither server can lend a transaction to another session, so both are begun while nothing is written: the dump says by
# a file in memory when its own has begun. That takes a moment; a statement that runs for longer than the timeout makes
# the backup fail, and nothing waits for longer. Empty lines to the client find out whether it still runs.
_SNAPSHOT = (
    _LOG_IN
    + r"""mark=$(mktemp -u /dev/shm/slipway.XXXXXX)
trap 'rm -f "$mark"' EXIT
stays() { local code=0; read -r -t "$1" _ || code=$?; printf '\n'; [ "$code" -gt 128 ]; }
{
  echo 'SET SESSION lock_wait_timeout = 20; SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ;'
  echo 'FLUSH TABLES WITH READ LOCK; START TRANSACTION WITH CONSISTENT SNAPSHOT;'
  echo "SELECT '$mark';"
  until [ -e "$mark" ]; do stays 0.05 || exit 1; done
  printf '%s\n' "$2" "SELECT '';"
  while stays 0.5; do :; done
} | sql --unbuffered "$1"
"""
)

# What comes before the first table is printed before the transaction begins.
_DUMP = (
    _LOG_IN
    + r"""mark=$1; shift
"$0" --user=root --default-character-set=utf8mb4 --single-transaction --quick --routines --triggers --hex-blob \
--no-tablespaces "$@" | {
  while IFS= read -r line; do
    printf '%s\n' "$line"
    case $line in '-- Table '*|'-- Temporary '*|'-- Dump'*|'DROP '*|'CREATE '*) break ;; esac
  done
  : > "$mark"
  cat
} | gzip --fast
"""
)

_LIST = r"""set -euo pipefail
said=$(gzip -dc | LC_ALL=C sed -n -e '/^-- Dump completed/p' -e 's/^-- Table structure for table //p')
case $said in *'-- Dump completed'*) printf '%s\n' "$said" ;; *) echo 'the dump is cut off' >&2; exit 1 ;; esac
"""

_CREATE = (
    _LOG_IN
    + r"""read -r characters order < <(sql "$1" --execute='SELECT @@character_set_database, @@collation_database')
sql --execute="CREATE DATABASE \`$2\` CHARACTER SET $characters COLLATE $order"
"""
)
_RESTORE = _LOG_IN + 'gzip -dc | sql "$1"\n'
_TABLES = _LOG_IN + 'sql --execute="$2" "$1"\n'
_DROP = _LOG_IN + 'sql --execute="DROP DATABASE IF EXISTS \\`$1\\`"\n'

# A database cannot be renamed; all of its tables can, in a statement that does all or nothing. Triggers would prevent
# it, views and routines would stay behind: they are taken away before and made again after, and if anything fails, all
# is put back. Connected clients are disconnected; new ones wait for the renaming.
_SWAP = (
    _LOG_IN  # noqa: S608 - names of databases are letters, digits, - and _
    + r"""dump=$1 base=$2 fresh=$3 old=$4
code() {
  local views
  mapfile -t views < <(sql --execute="SELECT table_name FROM information_schema.views WHERE table_schema = '$1'")
  "$dump" --user=root --default-character-set=utf8mb4 --no-data --no-create-info --routines --triggers --skip-comments \
--no-tablespaces "${@:2}" "$1"
  [ "${#views[@]}" = 0 ] || "$dump" --user=root --default-character-set=utf8mb4 --no-data --skip-triggers \
--skip-comments --no-tablespaces "${@:2}" "$1" "${views[@]}"
}
without_code() {
  sql --raw --execute="\
SELECT CONCAT('DROP TRIGGER \`$1\`.\`', trigger_name, '\`;') FROM information_schema.triggers \
WHERE trigger_schema = '$1';
SELECT CONCAT('DROP VIEW \`$1\`.\`', table_name, '\`;') FROM information_schema.views WHERE table_schema = '$1';
SELECT CONCAT('DROP ', routine_type, ' \`$1\`.\`', routine_name, '\`;') FROM information_schema.routines \
WHERE routine_schema = '$1';" | sql
}
pairs() {
  sql --raw --execute="SELECT CONCAT('\`$1\`.\`', REPLACE(table_name, '\`', '\`\`'), '\` TO \`$2\`.\`', \
REPLACE(table_name, '\`', '\`\`'), '\`') FROM information_schema.tables \
WHERE table_schema = '$1' AND table_type <> 'VIEW'"
}
rename() {
  local all
  mapfile -t all
  [ "${#all[@]}" = 0 ] || (IFS=,; echo "SET SESSION lock_wait_timeout = 10; RENAME TABLE ${all[*]};") | sql
}
disconnect() {
  sql --execute='SHOW PROCESSLIST' | while IFS=$'\t' read -r id _ _ used _; do
    [ "$used" != "$base" ] || echo "KILL $id;"
  done | sql --force 2> /dev/null || :
}
options=("${@:5}")
kept=$(code "$base" "${options[@]}")
coming=$(code "$fresh" "${options[@]}")
there=$(pairs "$base" "$old")
new=$(pairs "$fresh" "$base")
renamed=
put_back() {
  if [ -n "$renamed" ]; then
    without_code "$base"
    { pairs "$base" "$fresh"; pairs "$old" "$base"; } | rename
  fi
  without_code "$base"; sql "$base" <<< "$kept"
  without_code "$fresh"; sql "$fresh" <<< "$coming"
}
sql --execute="DROP DATABASE IF EXISTS \`$old\`; CREATE DATABASE \`$old\`"
trap 'trap - EXIT; put_back' EXIT
without_code "$base"
without_code "$fresh"
disconnect
printf '%s\n' "$there" "$new" | sed '/^$/d' | rename
renamed=1
sql "$old" <<< "$kept"
sql "$base" <<< "$coming"
trap - EXIT
"""
)


@dataclass(frozen=True)
class _Programs:
    """The programs of a server's image, options that only its dump has, and the prefixes of its variables."""

    client: str
    dump: str
    options: tuple[str, ...]
    prefixes: tuple[str, ...]


# Without it a dump of a server with GTIDs cannot be loaded into that server again. `loose` is for older versions.
_MYSQL = _Programs("mysql", "mysqldump", ("--loose-set-gtid-purged=OFF",), ("MYSQL",))
_MARIADB = _Programs("mariadb", "mariadb-dump", (), ("MARIADB", "MYSQL"))


def mysql(declared: Declared) -> Preset:
    """Return the preset of MySQL."""
    return _preset(declared, _MYSQL)


def mariadb(declared: Declared) -> Preset:
    """Return the preset of MariaDB; its image takes the variables of MySQL, too."""
    return _preset(declared, _MARIADB)


def _preset(declared: Declared, programs: _Programs) -> Preset:
    """Return a preset: dumps are compressed SQL of a transaction; rows are counted in another of the same moment."""
    name = declared.name or declared.first(*(f"{prefix}_DATABASE" for prefix in programs.prefixes))

    def run(script: str, *words: str, program: str = programs.client) -> tuple[str, ...]:
        return (*BASH, script, program, *words)

    return Preset(
        client=run(_CLIENT, f"--database={name}"),
        data="/var/lib/mysql",
        database=name,
        named_by=f"{programs.prefixes[0]}_DATABASE",
        commands={
            "snapshot": run(_SNAPSHOT, "{database}", _COUNT),
            "dump": run(_DUMP, "{snapshot}", *programs.options, "{database}", program=programs.dump),
            "list": run(_LIST),
            "create": run(_CREATE, "{database}", "{scratch}"),
            "restore": run(_RESTORE, "{scratch}"),
            "tables": run(_TABLES, "{scratch}", _COUNT),
            "swap": run(_SWAP, programs.dump, "{database}", "{scratch}", "{former}", *programs.options),
            "drop": run(_DROP, "{scratch}"),
        },
    )
