"""The connection to the engine: chosen in Docker's own order, and bounded in time.

What is only read goes over the engine's Unix socket where it has one; everything else through the SDK, which is loaded
when it is first used.
"""

import contextlib
import functools
import json
import os
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from http import HTTPStatus
from pathlib import Path
from typing import Any, NoReturn
from urllib.parse import quote, urlencode

from ...model.errors import RefusedError, SlipwayError
from .unix_reader import PIECE, Question, Reply, ask, socket_path

_TIMEOUT = 60  # seconds; the SDK's own default
_DEFAULT_CONTEXT = "default"
_DEFAULT = "unix:///var/run/docker.sock"
_START_HINT = "start it: ./inv setup (here), `systemctl start docker`, or point DOCKER_HOST at a running engine"


def _address(environment: Mapping[str, str]) -> tuple[str, Any]:
    """Return the engine's address and TLS settings in Docker's own order: DOCKER_HOST, then the context."""
    if environment.get("DOCKER_HOST"):
        return environment["DOCKER_HOST"], None
    directory = Path(environment.get("DOCKER_CONFIG") or Path.home() / ".docker")
    name = environment.get("DOCKER_CONTEXT") or _current_context(directory / "config.json")
    if name == _DEFAULT_CONTEXT:
        return _DEFAULT, None
    from .contexts import endpoint

    host, tls = endpoint(name, directory)
    return host or _DEFAULT, tls


def _current_context(file: Path) -> str:
    """Return the context that a configuration of the docker command chooses; one that cannot be read chooses none."""
    try:
        configuration = json.loads(file.read_bytes())
    except (OSError, ValueError):
        return _DEFAULT_CONTEXT
    name = configuration.get("currentContext") if isinstance(configuration, dict) else ""
    return str(name or _DEFAULT_CONTEXT)


def address(environment: Mapping[str, str]) -> str:
    """Return the address of the engine that an environment points at, without connecting to it."""
    return _address({**os.environ, **environment})[0]


class NotThereError(SlipwayError):
    """The engine has nothing of the name that was asked for."""


class _SentError(Exception):
    """A question was sent, and its answer is read later."""


class Connection:
    """A connection to an engine; raises RefusedError when nothing answers at its address.

    ``limit`` is how long an answer, or the next part of it, may take, in seconds.
    """

    def __init__(self, environment: Mapping[str, str]) -> None:
        self.environment = environment
        self.limit: float = _TIMEOUT
        self.address, self._tls = _address(environment)
        self._socket = socket_path(self.address)
        self._sending = False
        self._sent: dict[tuple[str, str], Question] = {}  # whose answers are still to be read, by method and target
        if not self._socket:
            _ = self.api  # which asks for the version of the API
        elif self._ask("GET", "/_ping").status != HTTPStatus.OK:
            raise _unreachable(self.address, OSError("what answers there is no engine"))

    @functools.cached_property
    def api(self) -> Any:  # the SDK's type stubs leave some methods untyped
        """The SDK's client; raises RefusedError when the engine does not answer."""
        from docker.errors import DockerException

        from . import sdk

        try:
            options = sdk.tls_options(self.environment, self._tls)
            options["base_url"] = self.address
            if self.address.startswith("ssh://"):
                from .ssh import Bridge

                self._bridge = Bridge(self.address)
                options = {"base_url": self._bridge.url}
            client = sdk.Client(lambda: self.limit, timeout=_TIMEOUT, **options)
        except (DockerException, OSError, ValueError) as error:
            raise _unreachable(self.address, error) from None
        # A Unix socket needs no proxy and no login of ~/.netrc: requests need not look for them each time.
        client.trust_env = not self.address.startswith(("unix://", "http+unix://", "ssh://"))
        return client

    def find(self, path: str) -> Any:
        """Return the data that the engine has at a path of its API, None when there is nothing of that name."""
        try:
            return self.read(path)
        except NotThereError:
            return None

    def read(self, path: str, /, **query: object) -> Any:
        """Return the data that the engine has at a path of its API; raises as ``reply`` does."""
        try:
            return json.loads(self.reply("GET", path, **query).body)
        except ValueError as error:
            raise _unreachable(self.address, error) from None

    def reply(self, method: str, path: str, /, **query: object) -> Reply:
        """Return the engine's answer to a question that changes nothing; a mapping in the query is passed on as JSON.

        Raises a SlipwayError when the engine refuses or does not answer, NotThereError when there is nothing of that
        name.
        """
        return _good(self._ask(method, _target(path, query)))

    @contextlib.contextmanager
    def stream(self, path: str, /, endless: bool = False, **query: object) -> Iterator[Iterator[bytes]]:
        """Yield the engine's answer piece by piece as it comes; raises as ``reply`` does.

        ``endless``: it may be silent for any time. Threads may use it at the same time.
        """
        target = _target(path, query)
        if self._socket:
            from .unix_stream import asked  # loaded only for what is read piece by piece

            try:
                with asked(self._socket, target, self.limit, endless) as (reply, pieces):
                    _good(reply)
                    yield pieces
            except OSError as error:
                raise _unreachable(self.address, error) from None
            return
        limits = (self.limit, None if endless else self.limit)
        with self.answering(), self.api.get(f"{self.api.base_url}{target}", stream=True, timeout=limits) as answer:
            body = b"" if answer.status_code == HTTPStatus.OK else answer.content
            _good(Reply(answer.status_code, answer.headers, body))
            yield answer.iter_content(PIECE)

    def clock(self) -> float:
        """Return a time that is not later than it is for the engine, in seconds since the epoch."""
        from email.utils import parsedate_to_datetime

        told = parsedate_to_datetime(self._ask("GET", "/_ping").headers["date"]).timestamp()  # whole seconds
        ours = time.time()
        return ours if self._socket and told <= ours < told + 1 else told

    def _ask(self, method: str, target: str) -> Reply:
        if not self._socket:
            with self.answering():
                answer = self.api.request(method, f"{self.api.base_url}{target}", timeout=self.limit)
                return Reply(answer.status_code, answer.headers, answer.content)
        if self._sending:
            self._send(method, target)
        try:
            return self._answer_to(method, target)
        except OSError as error:
            raise _unreachable(self.address, error) from None

    def _answer_to(self, method: str, target: str) -> Reply:
        if sent := self._sent.pop((method, target), None):
            try:
                return sent.reply()
            except TimeoutError:
                raise
            except OSError:  # the engine was restarted since
                pass
        return ask(self._socket, method, target, self.limit)

    def _send(self, method: str, target: str) -> NoReturn:
        if (method, target) not in self._sent:
            with contextlib.suppress(OSError):  # it is reported when the answer is wanted
                self._sent[method, target] = Question(self._socket, method, target, self.limit)
        raise _SentError

    @contextlib.contextmanager
    def asking(self, asked: Iterable[Callable[[], object]]) -> Iterator[None]:
        """Send the first question of each of some calls; in this block their answers are read when they are wanted.

        So the engine works on all of them at once, and while we do something else. What is not read in the block is
        dropped: no answer is older than the block.
        """
        before = set(self._sent)
        try:
            self._sending = bool(self._socket)
            for ask_ in asked if self._sending else ():
                with contextlib.suppress(_SentError):
                    ask_()
            self._sending = False
            yield
        finally:
            self._sending = False
            for question in self._sent.keys() - before:
                self._sent.pop(question).drop()

    @contextlib.contextmanager
    def answering(self) -> Iterator[None]:
        """Turn what the SDK raises into a SlipwayError."""
        from docker.errors import APIError, DockerException

        try:
            yield
        except APIError as error:
            raise SlipwayError(f"the engine refused: {error.explanation or error}", "see `docker events`") from None
        except (DockerException, OSError) as error:
            raise _unreachable(self.address, error) from None


def _target(path: str, query: Mapping[str, object]) -> str:
    texts = {key: json.dumps(value) if isinstance(value, dict) else str(value) for key, value in query.items()}
    return quote(path, safe="/:") + (f"?{urlencode(texts)}" if texts else "")


def _good(reply: Reply) -> Reply:
    if reply.status != HTTPStatus.OK:
        error = NotThereError if reply.status == HTTPStatus.NOT_FOUND else SlipwayError
        raise error(f"the engine refused: {_explanation(reply)}", "see `docker events`")
    return reply


def _explanation(reply: Reply) -> str:
    """Return the engine's own words for a refusal, else its HTTP status."""
    try:
        return str(json.loads(reply.body)["message"])
    except (ValueError, KeyError, TypeError):
        return reply.body.decode(errors="replace").strip() or f"HTTP status {reply.status}"


def _unreachable(address: str, error: Exception) -> RefusedError:
    if "PermissionError" in str(error) or isinstance(error, PermissionError):
        return RefusedError(f"no permission to use the engine at {address}", "join the docker group, or use sudo")
    return RefusedError(f"no Docker engine answers at {address}", _START_HINT)
