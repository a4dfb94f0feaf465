"""The web addresses that a Compose file may name: what can be checked without sending a request."""

import re

from .errors import InputError
from .lazy_pattern import lazy_pattern
from .record import Record

_PORTS = {"http": 80, "https": 443}
# No user, password, fragment or blanks: the host that is checked has to be the host that is asked.
_ADDRESS = lazy_pattern(
    r"(?P<scheme>https?)://(?P<host>\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9][A-Za-z0-9._-]*)(?::(?P<port>[0-9]{1,5}))?"
    r"(?P<path>/[!-\"$-~]*)?",
    re.ASCII,
)
LOOPBACK = ("localhost", "127.0.0.1", "::1")


class Address(Record):
    """An http or https address; ``host`` without brackets, ``path`` with its query."""

    scheme: str
    host: str
    port: int
    path: str

    @property
    def netloc(self) -> str:
        """Return host and port as an address has them: without the default port of the scheme."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == _PORTS[self.scheme] else f"{host}:{self.port}"

    @property
    def endpoint(self) -> str:
        """Return host and port, always with the port."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @property
    def loopback(self) -> bool:
        """Whether the host is the machine that sends the request."""
        return self.host.lower() in LOOPBACK

    def __str__(self) -> str:
        return f"{self.scheme}://{self.netloc}{self.path}"


def parse(text: object, where: str) -> Address:
    """Return the parsed address; raises InputError for anything but ``http(s)://host[:port][/path]``."""
    match = _ADDRESS.fullmatch(text) if isinstance(text, str) else None
    port = int(match["port"]) if match and match["port"] else _PORTS[match["scheme"]] if match else 0
    if match is None or not 0 < port < 65536:
        raise InputError(
            f"{where}: expected an address, got {text!r}", "write http(s)://host[:port]/path, with no user in it"
        )
    return Address(match["scheme"], match["host"].strip("[]"), port, match["path"] or "/")
