"""MongoDB, as the official image is configured: https://hub.docker.com/_/mongo; it has bash, mongosh and mongodump."""

from .server import BASH, Declared, Preset

# The tools take a password from a file, mongosh from its environment.
_LOG_IN = r"""set -euo pipefail
read_in() { if [ -n "${!1-}" ]; then printf %s "${!1}"; else local f=$1_FILE; [ -z "${!f-}" ] || cat "${!f}"; fi; }
SLIPWAY_USER=$(read_in MONGO_INITDB_ROOT_USERNAME)
SLIPWAY_PASSWORD=$(read_in MONGO_INITDB_ROOT_PASSWORD)
export SLIPWAY_USER SLIPWAY_PASSWORD
configuration() {
  local text=${SLIPWAY_PASSWORD//\\/\\\\}
  printf 'password: "%s"\n' "${text//\"/\\\"}"
}
tool() {
  if [ -z "$SLIPWAY_USER" ]; then "$@"; return; fi
  "$@" --username="$SLIPWAY_USER" --authenticationDatabase=admin --config=<(configuration)
}
LOGIN='if (process.env.SLIPWAY_USER) \
db.getSiblingDB("admin").auth(process.env.SLIPWAY_USER, process.env.SLIPWAY_PASSWORD);'
script() { mongosh --quiet --norc --eval "$LOGIN" --eval "$1; void 0" "$2"; }
"""
# With a statement after the database it ends, without one it asks.
_CLIENT = _LOG_IN + '[ "$#" -gt 1 ] || set -- --shell "$@"\nexec mongosh --quiet --eval "$LOGIN void 0" "$@"\n'
_ROWS = (
    'db.getCollectionInfos({type: "collection"}).map(c => c.name).filter(n => !n.startsWith("system."))'
    ".forEach(n => print(`${n} ${db.getCollection(n).countDocuments({})}`))"
)
# A server without replicas has no snapshots for several connections: writing waits until the dump is made.
_SNAPSHOT = (
    _LOG_IN
    + r"""trap 'script "db.getSiblingDB(\"admin\").fsyncUnlock()" "$1" > /dev/null' EXIT
script 'const l = db.getSiblingDB("admin").fsyncLock(); if (!l.ok) throw l' "$1" > /dev/null
echo locked
script "$2" "$1"
echo
cat > /dev/null
"""
)
_DUMP = _LOG_IN + 'tool mongodump --quiet --archive --gzip --db="$1"\n'
_LIST = (
    _LOG_IN
    + r"""gzip -dc | { tool mongorestore --archive --dryRun --verbose 2>&1; cat > /dev/null; } |
  grep -i 'found collection' || { echo 'the dump is cut off, or no dump' >&2; exit 1; }
"""
)
_EMPTY = _LOG_IN + 'script "db.dropDatabase()" "$1" > /dev/null\n'
_RESTORE = (
    _LOG_IN
    + 'tool mongorestore --quiet --archive --gzip --stopOnError --nsInclude="$1.*" --nsFrom="$1.*" --nsTo="$2.*"\n'
)
_TABLES = _LOG_IN + 'script "$2" "$1"\n'
# Collections are moved one by one: MongoDB has no transaction around them. What fails is moved back.
_SWAP = (
    _LOG_IN
    + r"""script "const [base, fresh, old] = ['$1', '$2', '$3'];
const admin = db.getSiblingDB('admin'), done = [];
const infos = (name, type) => db.getSiblingDB(name).getCollectionInfos({type})
  .filter(c => !c.name.startsWith('system.'));
const move = (from, to, name) => {
  const r = admin.runCommand({renameCollection: from + '.' + name, to: to + '.' + name});
  if (!r.ok) throw new Error(r.errmsg);
};
const views = (name, list) => list.forEach(v =>
  db.getSiblingDB(name).createView(v.name, v.options.viewOn, v.options.pipeline));
const kept = infos(base, 'view'), coming = infos(fresh, 'view');
db.getSiblingDB(old).dropDatabase();
try {
  for (const [from, to] of [[base, old], [fresh, base]])
    for (const c of infos(from, 'collection')) { move(from, to, c.name); done.push([from, to, c.name]); }
} catch (error) {
  for (const [from, to, name] of done.reverse()) move(to, from, name);
  throw error;
}
kept.forEach(v => db.getSiblingDB(base).getCollection(v.name).drop());
views(old, kept);
views(base, coming)" admin > /dev/null
"""
)


def mongo(declared: Declared) -> Preset:
    """Return the preset of MongoDB: dumps are archives of mongodump, compressed."""
    name = declared.name or declared.first("MONGO_INITDB_DATABASE")

    def run(script: str, *words: str) -> tuple[str, ...]:
        return (*BASH, script, "mongosh", *words)

    return Preset(
        client=run(_CLIENT, name),
        data="/data/db",
        database=name,
        named_by="MONGO_INITDB_DATABASE",
        commands={
            "snapshot": run(_SNAPSHOT, "{database}", _ROWS),
            "dump": run(_DUMP, "{database}"),
            "list": run(_LIST),
            "create": run(_EMPTY, "{scratch}"),
            "restore": run(_RESTORE, "{database}", "{scratch}"),
            "tables": run(_TABLES, "{scratch}", _ROWS),
            "swap": run(_SWAP, "{database}", "{scratch}", "{former}"),
            "drop": run(_EMPTY, "{scratch}"),
        },
    )
