"""A server that gets the notifications of Alertmanager, as a pager would."""

import json
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from tests.e2e.support import docker

FIRING, RESOLVED = "firing", "resolved"


@dataclass(frozen=True)
class Notified:
    """An alert of a notification: its labels, whether it fires or is resolved, and when that arrived (monotonic)."""

    labels: Mapping[str, str]
    status: str
    at: float


@dataclass
class Receiver:
    """What has arrived, and the names of alerts whose notifications are refused."""

    url: str
    arrived: list[Notified] = field(default_factory=list)
    refused: set[str] = field(default_factory=set)
    changed: threading.Condition = field(default_factory=threading.Condition)  # over a lock that is reentrant

    def take(self, notification: Mapping[str, Any]) -> bool:
        """Keep the alerts of a notification and return True, or False where it is refused."""
        with self.changed:
            if notification["groupLabels"].get("alertname") in self.refused:
                return False
            now = time.monotonic()
            self.arrived += [Notified(one["labels"], one["status"], now) for one in notification["alerts"]]
            self.changed.notify_all()
            return True

    def times(self, wanted: Mapping[str, str], status: str, since: float = 0.0) -> list[float]:
        """Return when alerts with these labels have arrived with a status, beginning at a time."""
        with self.changed:
            return [
                one.at
                for one in self.arrived
                if one.status == status and one.at >= since and wanted.items() <= one.labels.items()
            ]

    def firing(self, wanted: Mapping[str, str]) -> int:
        """Return how many alerts with these labels have been notified last as firing."""
        with self.changed:
            last = {
                tuple(sorted(one.labels.items())): one.status
                for one in self.arrived
                if wanted.items() <= one.labels.items()
            }
        return sum(status == FIRING for status in last.values())

    def wait_until_fires(self, wanted: Mapping[str, str], since: float, patience: float) -> float | None:
        """Return when such an alert has first been notified since a time, None when not in ``patience`` seconds."""
        arrived = self._wait(lambda: bool(self.times(wanted, FIRING, since)), patience)
        return self.times(wanted, FIRING, since)[0] if arrived else None

    def wait_until_resolved(self, wanted: Mapping[str, str], patience: float) -> float | None:
        """Return when the last of such alerts has been notified as resolved, None when not in ``patience`` seconds."""
        arrived = self._wait(lambda: not self.firing(wanted), patience)
        return self.times(wanted, RESOLVED)[-1] if arrived else None

    def _wait(self, condition: Callable[[], bool], patience: float) -> bool:
        deadline = time.monotonic() + patience
        with self.changed:
            while not condition():
                if (left := deadline - time.monotonic()) <= 0:
                    return False
                self.changed.wait(min(left, 1.0))
        return True


@contextmanager
def receiving() -> Iterator[Receiver]:
    """Run a server that containers reach: at the address that this machine has in the engine's own network."""
    address = docker("network", "inspect", "bridge", "--format", "{{(index .IPAM.Config 0).Gateway}}")

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(200 if receiver.take(json.loads(body)) else 400)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:
            """Print nothing."""

    with ThreadingHTTPServer((address, 0), Handler) as server:
        receiver = Receiver(f"http://{address}:{server.server_port}/alerts")
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield receiver
        finally:
            server.shutdown()
            thread.join()
