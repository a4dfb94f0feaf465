"""Asks one web address as a smoke test does: nothing is followed, nothing is changed, and it ends in time."""

import contextlib
import http.client
import socket
import ssl
import threading
import time
from collections.abc import Sequence

from ..plan.smoke import Answer, Check, late

_BODY = 2**20  # bytes of an answer that are looked at
_CHUNK = 2**16


def ask(check: Check, connect_to: str, trusted: Sequence[str]) -> Answer:
    """Return the answer to a check, or why there is none.

    ``connect_to`` is the host to connect to when it is not the address's own; the certificate must be valid for
    the address's host all the same. ``trusted`` are files of certificates to trust beside the system's.
    """
    started = time.monotonic()
    address = check.address
    try:
        context = _context(trusted) if address.scheme == "https" else None
        raw = socket.create_connection((connect_to or address.host, address.port), timeout=check.timeout)
    except ssl.SSLError as error:
        return Answer(error=f"the certificate to trust cannot be used: {error.reason or error}")
    except TimeoutError:
        return Answer(error=late(check))
    except OSError as error:
        return Answer(error=f"cannot connect to {address.endpoint}: {error.strerror or error}")
    expired = threading.Event()
    # TLS takes the socket over and leaves the first object empty: a second one for the same connection can end it.
    held = raw.dup()
    # A time limit on the socket holds for each read; who sends a byte a second would never meet it.
    timer = threading.Timer(max(0.0, started + check.timeout - time.monotonic()), _cut, (held, expired))
    timer.daemon = True
    timer.start()
    try:
        return _exchange(check, raw, context, started)
    except ssl.SSLCertVerificationError as error:
        return Answer(error=f"TLS: {error.verify_message}")
    except (OSError, http.client.HTTPException) as error:
        said = getattr(error, "strerror", None) or str(error) or type(error).__name__
        slow = expired.is_set() or isinstance(error, TimeoutError)
        return Answer(error=late(check) if slow else f"no answer: {said}")
    finally:
        timer.cancel()
        held.close()
        raw.close()


def _context(trusted: Sequence[str]) -> ssl.SSLContext:
    context = ssl.create_default_context()
    for file in trusted:
        context.load_verify_locations(cafile=file)
    return context


def _cut(connection: socket.socket, expired: threading.Event) -> None:
    expired.set()
    with contextlib.suppress(OSError):
        connection.shutdown(socket.SHUT_RDWR)


def _exchange(check: Check, raw: socket.socket, context: ssl.SSLContext | None, started: float) -> Answer:
    address = check.address
    connection = http.client.HTTPConnection(address.host, address.port, timeout=check.timeout)
    connection.sock = context.wrap_socket(raw, server_hostname=address.host) if context else raw
    try:
        connection.request(check.method, address.path, headers={"Host": address.netloc, "User-Agent": "slipway-smoke"})
        response = connection.getresponse()
        body = b""
        while len(body) < _BODY and (chunk := response.read1(_CHUNK)):
            body += chunk
        seconds = time.monotonic() - started
        if seconds > check.timeout:
            return Answer(error=late(check))
        return Answer(response.status, body.decode(errors="replace"), seconds)
    finally:
        connection.close()
