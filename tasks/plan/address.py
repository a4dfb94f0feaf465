"""The web addresses that a Compose file may name: only what can be judged before anything is asked."""

import re
from dataclasses import dataclass

from .errors import InputError

_PORTS = {"http": 80, "https": 443}
# No user, no password, no fragment, no blanks: what is checked is the host that will be asked.
_ADDRESS = re.compile(
    r"(?P<scheme>https?)://(?P<host>\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9][A-Za-z0-9._-]*)(?::(?P<port>[0-9]{1,5}))?"
    r"(?P<path>/[!-\"$-~]*)?",
    re.ASCII,
)
LOOPBACK = ("localhost", "127.0.0.1", "::1")


@dataclass(frozen=True)
class Address:
    """An http or https address; ``host`` without brackets, ``path`` with its query."""

    scheme: str
    host: str
    port: int
    path: str

    @property
    def netloc(self) -> str:
        """Return host and port as they stand in an address."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == _PORTS[self.scheme] else f"{host}:{self.port}"

    @property
    def endpoint(self) -> str:
        """Return host and port, the port always there."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @property
    def loopback(self) -> bool:
        """Whether it is an address of the machine that asks."""
        return self.host.lower() in LOOPBACK

    def __str__(self) -> str:
        return f"{self.scheme}://{self.netloc}{self.path}"


def parse(text: object, where: str) -> Address:
    """Return an address; raises InputError for anything else than ``http(s)://host[:port][/path]``."""
    found = _ADDRESS.fullmatch(text) if isinstance(text, str) else None
    port = int(found["port"]) if found and found["port"] else _PORTS[found["scheme"]] if found else 0
    if found is None or not 0 < port < 65536:
        raise InputError(
            f"{where}: expected an address, got {text!r}", "write http(s)://host[:port]/path, with no user in it"
        )
    return Address(found["scheme"], found["host"].strip("[]"), port, found["path"] or "/")
