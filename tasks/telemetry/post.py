"""Posts JSON to where somebody says that telemetry goes, such as an OpenTelemetry collector."""

import contextlib
import http.client
import json
import ssl
import threading
from collections.abc import Mapping
from http import HTTPStatus
from urllib.parse import urlsplit

from ..model.errors import InputError, RefusedError
from ..model.quoting import quoted

_SAID = 200  # characters of a refusal that are told
_HINTS = ("is it OTLP over HTTP, port 4318?", "is it the address, and are the headers right?")


def post_json(
    url: str, document: object, headers: Mapping[str, str], limit: float, hints: tuple[str, str] = _HINTS
) -> None:
    """Post a document; it may take ``limit`` seconds in all.

    ``hints`` say what to do about an address that does not answer, and about a refusal.
    Raises RefusedError when it is not taken, InputError for an address that is none.
    """
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise InputError(f"{url}: expected an address such as http://127.0.0.1:4318", "correct the variable")
    try:
        port = parts.port
    except ValueError:
        raise InputError(f"{url}: no such port", "correct the variable") from None
    connection = (
        http.client.HTTPSConnection(parts.hostname, port, timeout=limit, context=ssl.create_default_context())
        if parts.scheme == "https"
        else http.client.HTTPConnection(parts.hostname, port, timeout=limit)
    )
    # The time limit of a socket is one for each read and write.
    cut = threading.Event()
    late = threading.Timer(limit, _cut, (connection, cut))
    late.daemon = True
    late.start()
    try:
        path = f"{parts.path or '/'}{f'?{parts.query}' if parts.query else ''}"
        body = json.dumps(document, separators=(",", ":")).encode()
        connection.request("POST", path, body, {"Content-Type": "application/json", **headers})
        response = connection.getresponse()
        said = response.read(_SAID).decode(errors="replace")
    except (OSError, http.client.HTTPException) as error:
        slow = isinstance(error, TimeoutError) or cut.is_set()
        why = f"no answer within {limit:g} s" if slow else str(error) or type(error).__name__
        raise RefusedError(f"{_shown(url)}: {why}", hints[0]) from None
    finally:
        late.cancel()
        connection.close()
    if response.status >= HTTPStatus.BAD_REQUEST:
        raise RefusedError(
            f"{_shown(url)}: HTTP status {response.status} {quoted(said.strip(), _SAID)}".rstrip(),
            hints[1],
        )


def _cut(connection: http.client.HTTPConnection, cut: threading.Event) -> None:
    cut.set()  # before the other thread sees what comes of it
    with contextlib.suppress(OSError, AttributeError):
        connection.sock.shutdown(2)


def _shown(url: str) -> str:
    """Return an address without the user and password that may be in it, and without its query."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"
