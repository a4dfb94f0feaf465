"""HTTP to the stores of a stack's monitoring: Prometheus, Alertmanager, Jaeger.

They listen on the loopback interface of the engine's host only. For an engine elsewhere each request goes through ssh.
"""

import contextlib
import http.client
import json
import socket
import time
from collections.abc import Iterator, Mapping
from http import HTTPStatus
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode, urlsplit

from ..host.runner import attach
from ..model.address import LOOPBACK
from ..model.engine.facts import MONITORS_LABEL
from ..model.errors import InputError, RefusedError, SlipwayError
from ..model.quoting import quoted
from ..model.ssh import reach

if TYPE_CHECKING:
    from ..host.project import Project

PROMETHEUS, ALERTMANAGER, JAEGER = STORES = ("prometheus", "alertmanager", "jaeger")
_LIMIT = 15.0  # seconds that an answer may take
_BODY = 2**26  # bytes of an answer that are read
_CHUNK = 2**16  # bytes that are read at a time
_FORM = {"Content-Type": "application/x-www-form-urlencoded"}
_JSON = {"Content-Type": "application/json"}


class Store:
    """A store of the monitoring of an environment. ``engine`` is the address of the engine that it runs on.

    ``limit`` is how long an answer may take, in seconds. Whatever is asked raises RefusedError when nothing answers.
    """

    def __init__(self, name: str, port: int, environment: str, engine: str = "", limit: float = _LIMIT) -> None:
        self.name, self.port, self.environment, self.limit = name, port, environment, limit
        self._remote = engine if engine.startswith("ssh://") else ""
        host = urlsplit(engine).hostname or "" if engine.startswith(("tcp://", "http://", "https://")) else ""
        if host and host not in LOOPBACK:
            raise RefusedError(
                f"{name} of {environment} listens on the loopback interface of {host} only, where {engine} is",
                f"point DOCKER_HOST at it by ssh://USER@{host}: requests go the same way then",
            )

    @property
    def url(self) -> str:
        """Its address as seen from the engine's host."""
        return f"http://127.0.0.1:{self.port}"

    def get(self, path: str, query: Mapping[str, object] | None = None) -> Any:
        """Return the JSON document at a path. Raises InputError for a question that it does not accept."""
        return self._document(f"{path}?{urlencode(query, doseq=True)}" if query else path, "GET", None, {})

    def post_form(self, path: str, form: Mapping[str, object]) -> Any:
        """Return the JSON document that a form is answered with; raises as ``get`` does."""
        return self._document(path, "POST", urlencode(form, doseq=True).encode(), _FORM)

    def post_json(self, path: str, document: object) -> Any:
        """Return the JSON document that another one is answered with, None for an empty answer; raises as ``get``."""
        return self._document(path, "POST", json.dumps(document).encode(), _JSON)

    def text(self, path: str) -> str:
        """Return what is at a path as text."""
        status, body = self._exchange(path, "GET", None, {})
        if status != HTTPStatus.OK:
            raise self._refusal(status, body)
        return body.decode(errors="replace")

    def _document(self, path: str, method: str, body: bytes | None, headers: Mapping[str, str]) -> Any:
        status, answer = self._exchange(path, method, body, headers)
        if status >= HTTPStatus.BAD_REQUEST:
            raise self._refusal(status, answer)
        try:
            return json.loads(answer) if answer.strip() else None
        except ValueError:
            raise self._silent(f"answers {_short(answer)!r} and no JSON: another program has the port") from None

    def _exchange(self, path: str, method: str, body: bytes | None, headers: Mapping[str, str]) -> tuple[int, bytes]:
        deadline = time.monotonic() + self.limit
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=self.limit)
        try:
            with self._connected() as connection.sock:
                connection.request(method, path, body, dict(headers))
                with connection.getresponse() as response:
                    return response.status, self._read(response, deadline)
        except TimeoutError:
            raise self._silent(f"has not answered within {self.limit:g} s") from None
        except (OSError, http.client.HTTPException):
            raise self._silent("does not answer") from None

    def _read(self, response: http.client.HTTPResponse, deadline: float) -> bytes:
        body = b""
        while chunk := response.read1(_CHUNK):
            body += chunk
            if time.monotonic() > deadline:
                raise TimeoutError
            if len(body) > _BODY:
                raise SlipwayError(f"{self.name} answers with more than {_BODY >> 20} MiB", "ask for a shorter time")
        return body

    @contextlib.contextmanager
    def _connected(self) -> Iterator[socket.socket]:
        if self._remote:
            ours, theirs = socket.socketpair()
            with theirs:
                ended = attach(reach(self._remote, self.port), theirs)
            try:
                with ours:
                    ours.settimeout(self.limit)
                    yield ours
            finally:
                ended()
        else:
            with socket.create_connection(("127.0.0.1", self.port), timeout=self.limit) as connection:
                yield connection

    def _silent(self, what: str) -> RefusedError:
        where = f"{self.url} on the host of {self._remote}" if self._remote else self.url
        return RefusedError(
            f"{self.name} of {self.environment} {what}: {where}", f"inv monitor.up --env {self.environment}"
        )

    def _refusal(self, status: int, body: bytes) -> SlipwayError:
        message = f"{self.name} refuses the question: {_explanation(body) or f'HTTP status {status}'}"
        if status == HTTPStatus.BAD_REQUEST:
            return InputError(message, "x-slipway.metrics names the metrics of a service: docs/monitoring.md")
        return RefusedError(message, f"{self.url} on the engine's host shows its state")


def store(project: "Project", name: str) -> Store:
    """Return a store of the monitoring of a project, at the port that its container has published.

    Raises RefusedError when it does not run: a port of the profile alone may be that of another environment.
    """
    environment = project.profile.environment
    for container in project.engine.labelled(f"{MONITORS_LABEL}={project.stack.project}"):
        if container.service == name and container.state == "running":
            for published in container.ports:
                with contextlib.suppress(ValueError):
                    return Store(name, _port(published), environment, project.address)
    port = project.profile.text(f"{name.upper()}_PORT")
    raise RefusedError(
        f"{name} of {environment} does not run: http://127.0.0.1:{port}", f"inv monitor.up --env {environment}"
    )


def _port(published: str) -> int:
    """Return the port of the host, of ``127.0.0.1:9090->9090/tcp``."""
    return int(published.partition("->")[0].rpartition(":")[2])


def _explanation(body: bytes) -> str:
    try:
        document = json.loads(body)
    except ValueError:
        return _short(body)
    return str(document.get("error") or document.get("message") or "") if isinstance(document, dict) else ""


def _short(body: bytes) -> str:
    return quoted(body.decode(errors="replace").strip(), 100)
