"""Runs the HTTP request of a smoke check: no redirect is followed, and it ends within its timeout."""

import contextlib
import http.client
import socket
import ssl
import threading
import time
from collections.abc import Mapping, Sequence
from types import MappingProxyType

from ..model.stack.smoke import Check
from .plan.smoke import Answer, timeout_text

_BODY = 2**20  # bytes of a body that are read
_CHUNK = 2**16  # bytes that are read at a time


def ask(
    check: Check,
    connect_to: str,
    trusted: Sequence[str],
    headers: Mapping[str, str] = MappingProxyType({}),
    port: int = 0,
) -> Answer:
    """Return the answer to a check, or in its ``error`` why there is none.

    ``connect_to`` and ``port`` are what to connect to, "" and 0 for the address's own; the certificate must be valid
    for the address's host in both cases. ``trusted`` are files of certificates to trust in addition to the system's.
    """
    started = time.monotonic()
    address = check.address
    try:
        context = _context(trusted) if address.scheme == "https" else None
        raw = socket.create_connection((connect_to or address.host, port or address.port), timeout=check.timeout)
    except ssl.SSLError as error:
        return Answer(error=f"the certificate to trust cannot be used: {error.reason or error}")
    except TimeoutError:
        return Answer(error=timeout_text(check))
    except OSError as error:
        return Answer(error=f"cannot connect to {address.endpoint}: {error.strerror or error}")
    expired = threading.Event()
    # wrap_socket() detaches `raw`: a duplicate of it can still shut the connection down.
    duplicate = raw.dup()
    # A socket's timeout applies to each read: a server that sends a byte per second would never exceed it.
    timer = threading.Timer(max(0.0, started + check.timeout - time.monotonic()), _cut, (duplicate, expired))
    timer.daemon = True
    timer.start()
    try:
        return _exchange(check, raw, context, started, headers)
    except ssl.SSLCertVerificationError as error:
        return Answer(error=f"TLS: {error.verify_message}")
    except (OSError, http.client.HTTPException) as error:
        message = getattr(error, "strerror", None) or str(error) or type(error).__name__
        slow = expired.is_set() or isinstance(error, TimeoutError)
        return Answer(error=timeout_text(check) if slow else f"no answer: {message}")
    finally:
        timer.cancel()
        duplicate.close()
        raw.close()


def _context(trusted: Sequence[str]) -> ssl.SSLContext:
    context = ssl.create_default_context()
    for file in trusted:
        context.load_verify_locations(cafile=file)
    return context


def _cut(connection: socket.socket, expired: threading.Event) -> None:
    """Shut a connection down: a read that waits on it in another thread ends."""
    expired.set()
    with contextlib.suppress(OSError):
        connection.shutdown(socket.SHUT_RDWR)


def _exchange(
    check: Check, raw: socket.socket, context: ssl.SSLContext | None, started: float, headers: Mapping[str, str]
) -> Answer:
    address = check.address
    connection = http.client.HTTPConnection(address.host, address.port, timeout=check.timeout)
    connection.sock = context.wrap_socket(raw, server_hostname=address.host) if context else raw
    try:
        own = {"Host": address.netloc, "User-Agent": "slipway-smoke"}
        connection.request(check.method, address.path, headers={**own, **headers})
        response = connection.getresponse()
        body = b""
        while len(body) < _BODY and (chunk := response.read1(_CHUNK)):
            body += chunk
        seconds = time.monotonic() - started
        if seconds > check.timeout:
            return Answer(error=timeout_text(check))
        return Answer(response.status, body.decode(errors="replace"), seconds)
    finally:
        connection.close()
