"""What the name of an image tells about a service: a database, a proxy, and how its health is checked."""

from collections.abc import Iterable, Mapping

from ...reference import split_reference
from ..extension import ROLES
from ..stack import Service

DATABASE = ROLES[0]

# The names of images, without registry and owner, by what they are.
_DATABASES = {
    "postgres": ("postgres", "postgresql", "postgis", "timescaledb", "pgvector"),
    "mariadb": ("mariadb",),
    "mysql": ("mysql", "mysql-server", "percona"),
    "mongo": ("mongo", "mongodb"),
    "redis": ("redis", "valkey", "redismod", "redis-stack", "redis-stack-server"),
    "other": (
        "mssql",
        "server",
        "cockroach",
        "cassandra",
        "elasticsearch",
        "opensearch",
        "clickhouse-server",
        "influxdb",
    ),
}
# Those that are configured as the official image of their kind is, so that its preset knows how to reach them.
_OFFICIAL = frozenset(("postgres", "mysql", "mariadb", "mongo", "postgis/postgis", "pgvector/pgvector"))
_PROXIES = {"nginx": ("nginx",), "traefik": ("traefik",), "caddy": ("caddy",), "haproxy": ("haproxy",)}
_SQL = "mssql/server"

_HEALTH = {
    "postgres": '[CMD-SHELL, "pg_isready -U $${POSTGRES_USER:-postgres}"]',
    "mariadb": "[CMD, healthcheck.sh, --connect, --innodb_initialized]",
    "mysql": '[CMD, mysqladmin, ping, "--host=127.0.0.1", --silent]',
    "mongo": "[CMD, mongosh, --quiet, --eval, \"db.adminCommand('ping')\"]",
    "redis": "[CMD, redis-cli, ping]",
}


def database(service: Service) -> str:
    """Return the kind of database that a service runs, by its image: postgres, mysql, …, other; "" for none."""
    if service.slipway.role == DATABASE:
        return _kind(service, _DATABASES) or "other"
    return _kind(service, _DATABASES)


def is_official(service: Service) -> bool:
    """Whether the image of a database is the official one, or one that is configured as that."""
    name = split_reference(service.image)[0]
    return name.removeprefix("docker.io/").removeprefix("library/") in _OFFICIAL


def proxy(service: Service) -> str:
    """Return the proxy that a service runs, by its image: nginx, traefik, caddy, haproxy; "" for none."""
    if service.build is not None:
        return ""
    return _kind(service, _PROXIES)


def main_database(services: Iterable[Service]) -> Service | None:
    """Return the service whose data is backed up: the first database in the order of kinds, None without one."""
    order = ("postgres", "mysql", "mariadb", "mongo")
    found = [service for service in services if database(service) in order]
    return min(found, key=lambda service: order.index(database(service)), default=None)


def health_line(service: Service) -> str:
    """Return a health check for a service, as a line of YAML; the program that it needs is in the usual image."""
    kind = database(service)
    if kind in _HEALTH:
        test = _HEALTH[kind]
    elif service.listens:
        test = f'[CMD, wget, -q, --spider, "http://127.0.0.1:{service.listens[0]}/"]'
    else:
        test = "[CMD, …]"
    return f"healthcheck: {{test: {test}, interval: 5s}}"


def _kind(service: Service, kinds: Mapping[str, tuple[str, ...]]) -> str:
    name = split_reference(service.image)[0]
    last = name.rpartition("/")[2]
    if last == "server" and not name.endswith(_SQL):
        return ""
    return next((kind for kind, names in kinds.items() if last in names), "")
