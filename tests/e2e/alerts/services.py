"""Faults in the services of a stack: its containers, its servers, what clients see of it."""

import socket
import time
from contextlib import ExitStack, suppress

from tests.e2e.support import docker

from . import certificate, quick
from .fault import Fault, Step, both, nothing, page, ticket
from .stack import Stack


def _sh(service: str, script: str) -> Step:
    return lambda stack: stack.sh(service, script)


def _background(service: str, script: str) -> Step:
    return lambda stack: stack.background(service, script)


def _stop(service: str) -> Step:
    return lambda stack: docker("stop", "-t", "1", stack.of(service))


def _kill(service: str) -> Step:
    return lambda stack: docker("kill", stack.of(service))


def _start(service: str) -> Step:
    return lambda stack: docker("start", stack.of(service))


# ---- Containers -----------------------------------------------------------------------------------------------------


def _container(service: str) -> dict[str, str]:
    return {"service": service, "container": f"PROJECT-{service}-1"}


CONTAINERS = (
    Fault(
        "a health check fails",
        (page("ContainerUnhealthy", **_container("unwell")),),
        _sh("unwell", "touch /tmp/planted"),
        _sh("unwell", "rm /tmp/planted"),
    ),
    Fault(
        "a service ends as soon as it is started",
        (page("ContainerRestartLoop", **_container("restarting")),),
        lambda stack: stack.in_volume(f"{stack.project}_planted", "touch /volume/restart"),
        lambda stack: stack.in_volume(f"{stack.project}_planted", "rm /volume/restart"),
    ),
    Fault(
        "a process takes all memory of a container",
        (page("ContainerOOMKilled", **_container("greedy")),),
        _background("greedy", "tail /dev/zero"),
        nothing,  # the kernel has killed it
    ),
    Fault(
        "the memory of a container is used up almost",
        (ticket("ContainerMemoryNearLimit", **_container("full")),),
        _sh("full", "head -c 60m /dev/zero > /dev/shm/planted"),
        _sh("full", "rm /dev/shm/planted"),
    ),
    Fault(
        "a container needs more of the processor than it may have",
        (ticket("CPUThrottlingHigh", **_container("throttled")),),
        _background("throttled", "echo $$ > /tmp/planted; while :; do :; done"),
        _sh("throttled", "kill $(cat /tmp/planted)"),
    ),
    Fault(
        "a container is stopped",
        (page("ServiceReplicasMissing", service="missing"),),
        _stop("missing"),
        _start("missing"),
    ),
)

# ---- Servers --------------------------------------------------------------------------------------------------------

_SHOP = "psql --quiet --no-psqlrc --username=shop --dbname=shop"
_END = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'planted'"


# Takes an advisory lock, waits until the other one is taken, too, and asks for that.
_DEADLOCK = """DO $$ BEGIN
  PERFORM pg_advisory_xact_lock({0});
  WHILE NOT EXISTS (SELECT FROM pg_locks WHERE locktype = 'advisory' AND objid = {1} AND granted) LOOP
    PERFORM pg_sleep(0.05);
  END LOOP;
  PERFORM pg_advisory_xact_lock({1});
END $$"""


def _store(stack: Stack) -> None:
    """Lock two locks in two orders, use up the connections, and hold a transaction open."""
    for order in ((1, 2), (2, 1)):
        stack.background("store", f"{_SHOP} <<'END'\n{_DEADLOCK.format(*order)};\nEND\n")
    named = f'export PGAPPNAME=planted; run() {{ {_SHOP} --command "$1"; }}; '
    stack.background("store", f"{named} for each in $(seq 34); do run 'SELECT pg_sleep(600)' & done; wait")


DATABASE = (
    Fault(
        "clients of PostgreSQL take its connections, wait for each other, and end no transaction",
        (
            ticket("PostgreSQLHighConnections", service="store"),
            ticket("PostgreSQLLongTransaction", service="store", datname="shop", usename="shop"),
            ticket("PostgreSQLDeadlocks", service="store", datname="shop"),
        ),
        _store,
        _sh("store", f'{_SHOP} --command "{_END}"'),
    ),
    Fault("PostgreSQL is killed", (page("PostgreSQLDown", service="store"),), _kill("store"), _start("store")),
)

_MARIA = 'mariadb --user=root --password="$MYSQL_ROOT_PASSWORD" --execute'
MYSQL = (
    Fault(
        "clients of MySQL take its connections",
        (ticket("MySQLHighConnections", service="mysql"),),
        both(
            _sh("mysql", f'{_MARIA} "SET GLOBAL max_connections = 20"'),
            _background("mysql", f'for each in $(seq 16); do {_MARIA} "SELECT SLEEP(600)" & done; wait'),
        ),
        _sh("mysql", f'{_MARIA} "SET GLOBAL max_connections = 151"'),
    ),
    Fault("MySQL is killed", (page("MySQLDown", service="mysql"),), _kill("mysql"), _start("mysql")),
)

_USED = "$(redis-cli INFO memory | tr -d '\\r' | sed -n 's/^used_memory://p')"
REDIS = (
    Fault(
        "Redis has almost as much as it may have",
        (ticket("RedisOutOfMemory", service="cache"),),
        _sh("cache", f"redis-cli CONFIG SET maxmemory $(({_USED} * 102 / 100))"),
        _sh("cache", "redis-cli CONFIG SET maxmemory 64mb"),
    ),
    Fault("Redis is killed", (page("RedisDown", service="cache"),), _kill("cache"), _start("cache")),
)


_DROPPED = 'nginx_connections_accepted{service="front"} - nginx_connections_handled{service="front"} > 1'


def _many_connections(stack: Stack) -> None:
    """Begin more requests than nginx has connections for, and close them: the exporter needs one, too.

    Again until some are dropped: a busy machine accepts them one after the other, and closes those without a request.
    """
    deadline = time.monotonic() + 60
    while not stack.has(_DROPPED):
        assert time.monotonic() < deadline, "nginx drops nothing"
        with ExitStack() as opened:
            for _ in range(40):
                with suppress(OSError):  # nginx closes what it cannot serve
                    address = ("127.0.0.1", stack.ports["FRONT_PORT"])
                    opened.enter_context(socket.create_connection(address, timeout=5)).sendall(b"GET / HTTP/1.1\r\nA: ")
            time.sleep(0.5)
        time.sleep(2 * quick.INTERVAL)


PROXY = (
    Fault(
        "there are more clients than nginx has connections for",
        (ticket("NginxConnectionsDropped", service="front"),),
        _many_connections,
        nothing,  # they have gone
    ),
    Fault("nginx is stopped", (page("NginxDown", service="front"),), _stop("front"), _start("front")),
)

# ---- What clients see -----------------------------------------------------------------------------------------------


def _certificate(days: int) -> Step:
    """Return a step that gives the proxy a certificate with so many days left, where a deploy has put the former."""

    def step(stack: Stack) -> None:
        made = certificate.signed(stack.sample.certificate.with_suffix(".key"), days)
        stack.in_volume(stack.volume("nginx", "/run/secrets"), "cat > /volume/tls_certificate", made)
        docker("kill", "--signal=HUP", stack.of("nginx"))

    return step


CERTIFICATE = (
    Fault(
        "the proxy's certificate has ten days left",
        (ticket("SSLCertExpiringSoon", service="nginx"),),
        _certificate(10),
        _certificate(365),
    ),
    Fault(
        "the proxy's certificate has expired",
        (page("SSLCertExpired", service="nginx"),),
        _certificate(-1),
        _certificate(365),
    ),
)

_LOCK = "BEGIN; LOCK TABLE users IN ACCESS EXCLUSIVE MODE; SELECT pg_sleep(600);"


def _lock(stack: Stack) -> None:
    """Lock the table that the app reads: its requests wait, each with a connection, until they fail."""
    named = "PGAPPNAME=planted psql --username=slipway --dbname=slipway"
    stack.background("database", f"{named} --command '{_LOCK}'")


APP = (
    Fault(
        "the app waits for a lock of its database",
        (
            page("ServiceErrors", service="app"),
            ticket("ServiceSlow", service="app"),
            page("ConnectionPoolExhausted", service="app"),
        ),
        _lock,
        _sh("database", f'psql --quiet --username=slipway --dbname=slipway --command "{_END}"'),
    ),
    Fault(
        "the app is stopped",
        (
            page("TargetMissing", service="app"),
            page("NginxHighHttp5xxErrorRate", service="nginx"),
            page("ProbeFailed", service="nginx"),
        ),
        _stop("app"),
        _start("app"),
    ),
)
