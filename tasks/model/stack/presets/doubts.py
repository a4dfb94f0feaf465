"""What in a Compose file keeps a known database server from stopping cleanly, or from being backed up."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from ...units import show_duration
from .server import MARIADB, MONGO, MYSQL, POSTGRES, REDIS

if TYPE_CHECKING:
    from ..stack import Service

# Seconds that a busy server of this kind may take to write what it has in memory, and the signal that makes it do so.
# Postgres waits for its clients on SIGTERM: https://www.postgresql.org/docs/current/server-shutdown.html
_STOPS = {
    POSTGRES: (30.0, "SIGINT"),
    MYSQL: (60.0, "SIGTERM"),
    MARIADB: (60.0, "SIGTERM"),
    MONGO: (60.0, "SIGTERM"),
    REDIS: (30.0, "SIGTERM"),
}
_NUMBERS = {"2": "SIGINT", "3": "SIGQUIT", "9": "SIGKILL", "15": "SIGTERM"}


def stopping(service: "Service") -> Iterator[tuple[str, str]]:
    """Yield a doubt, and what to do, for each thing that may kill the server of a preset before it has stopped."""
    if service.slipway.database not in _STOPS:
        return
    seconds, signal = _STOPS[service.slipway.database]
    where = f"services.{service.name}"
    if service.stop_grace_period < seconds:
        yield (
            f"{where}.stop_grace_period: {show_duration(service.stop_grace_period)}: {service.slipway.database} may "
            f"take longer to write its data, and is killed then",
            f"say stop_grace_period: {seconds:.0f}s",
        )
    said = service.stop_signal.upper()
    said = _NUMBERS.get(said, said if said.startswith("SIG") else f"SIG{said}")
    if service.stop_signal and said != signal:
        yield (
            f"{where}.stop_signal: {service.stop_signal}: {service.slipway.database} stops cleanly, and at once, on "
            f"{signal}",
            f"say stop_signal: {signal}, or leave it to the image",
        )
