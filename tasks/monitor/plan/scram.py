"""The form in which PostgreSQL keeps a password: with it the password itself is in no statement and no log.

RFC 5803; https://www.postgresql.org/docs/current/catalog-pg-authid.html
"""

import hashlib
import hmac
from collections.abc import Callable

_ROUNDS = 4096


def verifier(password: str, salt: bytes, encode: Callable[[bytes], str]) -> str:
    """Return the verifier of a password (SCRAM-SHA-256); ``encode`` is base64."""
    salted = hashlib.pbkdf2_hmac("sha256", password.encode(), salt, _ROUNDS)
    stored = hashlib.sha256(_keyed(salted, b"Client Key")).digest()
    server = _keyed(salted, b"Server Key")
    return f"SCRAM-SHA-256${_ROUNDS}:{encode(salt)}${encode(stored)}:{encode(server)}"


def _keyed(key: bytes, text: bytes) -> bytes:
    return hmac.new(key, text, "sha256").digest()
