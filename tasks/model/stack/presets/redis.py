"""Redis and Valkey, as their official images are configured: https://hub.docker.com/_/redis.

The image has no variable for the password. It is read in the container: from ``REDISCLI_AUTH``, ``REDIS_PASSWORD``,
the file ``REDIS_PASSWORD_FILE``, or ``requirepass`` of the configuration file that the server is started with.
"""

import itertools

from .server import SH, Declared, Preset

SERVERS = ("redis-server", "valkey-server")
PASSWORDS = ("REDISCLI_AUTH", "REDIS_PASSWORD", "REDIS_PASSWORD_FILE")

# $1: the configuration file, "" for none; $2: the port.
_LOG_IN = r"""set -eu
kind=redis; command -v redis-cli > /dev/null || kind=valkey
conf=$1 port=$2; shift 2
REDISCLI_AUTH=${REDISCLI_AUTH:-${REDIS_PASSWORD:-}}
if [ -z "$REDISCLI_AUTH" ] && [ -n "${REDIS_PASSWORD_FILE:-}" ]; then REDISCLI_AUTH=$(cat "$REDIS_PASSWORD_FILE"); fi
if [ -z "$REDISCLI_AUTH" ] && [ -n "$conf" ]; then
  said=$(sed -n 's/^[[:space:]]*requirepass[[:space:]]*//p' "$conf" | tail -n 1 | tr -d '\r')
  said=${said#[\"\']} REDISCLI_AUTH=${said%[\"\']}
fi
if [ -n "$REDISCLI_AUTH" ]; then export REDISCLI_AUTH; else unset REDISCLI_AUTH; fi
"""
_CLIENT = _LOG_IN + 'exec "$kind-cli" -p "$port" "$@"\n'
_PASSWORD = _LOG_IN + 'printf %s "${REDISCLI_AUTH-}"\n'

# Keys that expire are not counted: they go while a dump is made and checked.
_FUNCTIONS = r"""fail() { echo "$1" >&2; exit 1; }
cli() { "$kind-cli" -p "$port" "$@" | tr -d '\r'; }
setting() { cli CONFIG GET "$1" | sed -n 2p; }
known() { cli INFO "$1" | sed -n "s/^$2://p"; }
counts() {
  sed -n 's/^db\([0-9]*\):keys=\([0-9]*\),expires=\([0-9]*\).*/\1 \2 \3/p' |
    while read -r number keys expire; do
      [ "$keys" = "$expire" ] || echo "db$number $((keys - expire))"
    done
}
save() {
  for try in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do
    said=$(printf '%s\n' 'CLIENT PAUSE 10000 WRITE' 'INFO keyspace' BGSAVE 'CLIENT UNPAUSE' | cli)
    case $said in *'Background saving started'*) break ;; esac
    case $said in
      *'in progress'*|*'child process'*) sleep 0.5 ;;
      *) fail "$(printf '%s\n' "$said" | grep -v '^OK$' | head -n 1)" ;;
    esac
    [ "$try" -lt 20 ] || fail 'it is saving its data already'
  done
  while [ "$(known persistence rdb_bgsave_in_progress)" = 1 ]; do sleep 0.1; done
  [ "$(known persistence rdb_last_bgsave_status)" = ok ] || fail 'it could not save its data: see its log'
}
said=$(cli PING 2> /dev/null)
case $said in
  NOAUTH*|WRONGPASS*) fail 'it asks for a password: set REDIS_PASSWORD_FILE, or REDISCLI_AUTH, in its environment' ;;
esac
directory=$(setting dir)
[ -n "$directory" ] || fail "$(cli CONFIG GET dir | head -n 1)"
"""

# Nothing is written between the count and the copy of the memory that is saved. The file that is open now stays as it
# is when the server saves its data again.
_SNAPSHOT = (
    _LOG_IN
    + _FUNCTIONS
    + r"""save
exec 3< "$directory/$(setting dbfilename)"
echo "/proc/$$/fd/3"
printf '%s\n' "$said" | counts
echo
cat > /dev/null
"""
)
_LIST = r"""kind=redis; command -v redis-check-rdb > /dev/null || kind=valkey
said=$("$kind-check-rdb" /dev/stdin 2>&1) || { printf '%s\n' "$said" | tail -n 1 >&2; exit 1; }
printf '%s\n' "$said"
"""
_CREATE = _LOG_IN + _FUNCTIONS + ': > "$directory/$1.rdb"\n'
_RESTORE = (
    _LOG_IN
    + _FUNCTIONS
    + r"""cat > "$directory/$1.rdb"
said=$("$kind-check-rdb" "$directory/$1.rdb" 2>&1) || fail "$(printf '%s\n' "$said" | tail -n 1)"
"""
)

# A second server, in the same container, has the dump; it serves on a socket, and on a port of the container ($2) if it
# is to be copied from.
_SERVE = r"""socket=/dev/shm/slipway.$$
ended() { answers SHUTDOWN NOSAVE > /dev/null || :; rm -f "$socket" "$socket.log"; }
answers() { (unset REDISCLI_AUTH; "$kind-cli" -s "$socket" "$@" 2> /dev/null | tr -d '\r'); }
serve() {
  printf '%s\n' "dir \"$directory\"" "dbfilename $1.rdb" "port $2" 'bind 127.0.0.1' "unixsocket $socket" 'save ""' \
'appendonly no' 'daemonize no' 'repl-diskless-sync-delay 0' "databases $(setting databases)" \
| "$kind-server" - > "$socket.log" 2>&1 &
  server=$!
  trap ended EXIT
  until [ "$(answers PING)" = PONG ]; do
    kill -0 "$server" 2> /dev/null || fail "$(grep -v '^ *$' "$socket.log" | tail -n 1)"
    sleep 0.05
  done
}
"""
_TABLES = _LOG_IN + _FUNCTIONS + _SERVE + 'serve "$1" 0\nanswers INFO keyspace | counts\n'

# A replica replaces its data by those of its primary, all or nothing, and also what it has on disk. While it is one it
# refuses to write, and it closes no connections.
_SWAP = (
    _LOG_IN
    + _FUNCTIONS
    + _SERVE
    + r"""[ "$(known replication role)" = master ] || fail 'it is a replica: restore where it copies from'
save
cp "$directory/$(setting dbfilename)" "$directory/$2.rdb.part"
mv "$directory/$2.rdb.part" "$directory/$2.rdb"
serve "$1" "$3"
trap 'cli REPLICAOF NO ONE > /dev/null || :; ended' EXIT
said=$(cli REPLICAOF 127.0.0.1 "$3")
[ "$said" = OK ] || fail "$said"
waited=0
until [ "$(known replication master_link_status)" = up ]; do
  waited=$((waited + 1))
  kill -0 "$server" 2> /dev/null || fail 'the second server, which has the restored data, has ended'
  [ "$waited" -lt 6000 ] || fail 'the restored data have not arrived within 10 minutes'
  sleep 0.1
done
said=$(cli REPLICAOF NO ONE)
[ "$said" = OK ] || fail "$said"
(save) || echo 'the restored data are not on disk yet' >&2
"""
)
_DROP = _LOG_IN + _FUNCTIONS + 'rm -f "$directory/$1.rdb"\n'
_COPY_PORT = 26381  # of the second server, in the container


def redis(declared: Declared) -> Preset:
    """Return the preset of Redis: dumps are its RDB files; ``table`` is a numbered database, without expiring keys."""
    conf, port = _started_with(declared.command)

    def run(script: str, *words: str) -> tuple[str, ...]:
        return (*SH, script, "redis-cli", conf, port, *words)

    return Preset(
        client=run(_CLIENT),
        data="/data",
        database=declared.name or "redis",
        named_by="",
        commands={
            "snapshot": run(_SNAPSHOT),
            "dump": ("cat", "{snapshot}"),
            "list": (*SH, _LIST),
            "create": run(_CREATE, "{scratch}"),
            "restore": run(_RESTORE, "{scratch}"),
            "tables": run(_TABLES, "{scratch}"),
            "swap": run(_SWAP, "{scratch}", "{former}", str(_COPY_PORT)),
            "drop": run(_DROP, "{scratch}"),
        },
    )


def password_command(client: tuple[str, ...]) -> tuple[str, ...]:
    """Return the command that prints the password with which the client of this preset logs in; () for another one."""
    return (*SH, _PASSWORD, *client[3:]) if client[:3] == (*SH, _CLIENT) else ()


def _started_with(command: tuple[str, ...]) -> tuple[str, str]:
    """Return the configuration file and the port that the server's command line names."""
    words = [*command, ""]
    conf, port = "", "6379"
    for word, following in itertools.pairwise(words):
        if word.rpartition("/")[2] in SERVERS and following.startswith("/"):
            conf = following
        if word == "--port" and following:
            port = following
    return conf, port
