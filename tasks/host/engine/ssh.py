"""Reaches an engine over SSH as the docker command does: by the machine's own ssh and its configuration."""

import contextlib
import socket
import tempfile
import threading
from pathlib import Path

from ...model.ssh import dial
from ..forwarding import signals_blocked
from ..runner import attach


class Bridge:
    """A Unix socket in a temporary directory; each connection to it reaches the engine at an ``ssh://`` address.

    It lasts as long as this object. Data does not pass through this process: ssh gets the connection itself.
    """

    def __init__(self, target: str) -> None:
        self._command = dial(target)
        self._directory = tempfile.TemporaryDirectory(prefix="slipway-")
        path = Path(self._directory.name, "engine.sock")
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(path))
        self._listener.listen(16)
        self.url = f"unix://{path}"
        with signals_blocked():
            threading.Thread(target=self._serve, name="ssh", daemon=True).start()

    def _serve(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                with self._listener.accept()[0] as connection:
                    attach(self._command, connection)
