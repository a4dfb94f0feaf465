"""The address of a repository: its host, and the path of the project on it."""

from urllib.parse import urlsplit

from ...model.lazy_pattern import lazy_pattern
from ...model.record import Record

_SCP = lazy_pattern(r"[^@/]+@(?P<host>[^:/]+):(?P<path>.+)")


class RepositoryPlace(Record):
    """Where a repository is: the scheme, host and port for a browser, and its path there without ``.git``."""

    host: str
    path: str
    scheme: str = "https"


def place(address: str) -> RepositoryPlace | None:
    """Return where a repository is, None for a directory, which no server has."""
    if match := _SCP.fullmatch(address):
        return RepositoryPlace(match["host"], _project(match["path"]))
    parts = urlsplit(address)
    if parts.scheme in ("https", "http") and parts.hostname:
        return RepositoryPlace(parts.netloc.rpartition("@")[2], _project(parts.path), parts.scheme)
    if parts.scheme == "ssh" and parts.hostname:
        return RepositoryPlace(parts.hostname, _project(parts.path))  # its port is that of SSH
    return None


def _project(path: str) -> str:
    return path.strip("/").removesuffix(".git")


def shown(address: str) -> str:
    """Return the address of a repository without the user and password that may be in it."""
    parts = urlsplit(address)
    if parts.scheme in ("https", "http") and "@" in parts.netloc:
        return parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()
    return address


def public(address: str) -> str:
    """Return the address of a repository for others: without a password, and a directory of this machine as a URL."""
    parts = urlsplit(address)
    if parts.scheme in ("https", "http"):
        return shown(address)
    if parts.scheme == "ssh" and parts.password is not None:
        return parts._replace(netloc=f"{parts.username}@{parts.netloc.rpartition('@')[2]}").geturl()
    return f"file://{address}" if address.startswith("/") else address


def over_ssh(address: str) -> str:
    """Return ``ssh://git@host/path`` for ``git@host:path``, and any other address as it is."""
    match = _SCP.fullmatch(address)
    return f"ssh://{address.partition('@')[0]}@{match['host']}/{match['path'].lstrip('/')}" if match else address
