"""Why the engine or a database refused: read from what Compose, the engine and containers wrote."""

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from .extension import ROLES
from .quoting import plain
from .stack import Service, Stack

_DAEMON = "Error response from daemon: "
# What Compose draws while it works, on a terminal and without one, and its warnings.
_PROGRESS = re.compile(
    r"^\s*(?:$|\[\+\]|time=\"|[\u2800-\u28ff✔✘✗⠿!?]|(?:Container|Network|Volume|Image|Service) \S+ +[A-Z]|"
    r"\S+ (?:Pulling|Pulled|Skipped))"
)
# Of a chain of reasons only the last one tells anything.
_CHAIN = re.compile(
    r"^(?:failed to create (?:task for container|shim task): |OCI runtime create failed: |"
    r"(?:runc|container_linux\.go\S*) (?:create failed|starting container process caused): |"
    r"unable to start container process: |error during container init: )+"
)
_ENDPOINT = re.compile(
    r"(?:failed to set up container networking: )?"
    r"driver failed programming external connectivity on endpoint (\S+)(?: \([0-9a-f]+\))?: "
)
_PORT = re.compile(
    r"(?:Bind for \S*?:(\d+) failed: port is already allocated"
    r"|listen (?:tcp|udp)[46]? \S*?:(\d+): bind: address already in use"
    r"|failed to bind host port (?:for )?\S*?:(\d+)[:/].*address already in use)"
)
_POOLS = re.compile(r"address pools have been fully subnetted|non-overlapping IPv4 address pool")
_NAME = re.compile(r'container name "/?([^"]+)" is already in use')
_NETWORK = re.compile(
    r"network (\S+) (?:declared as external, but could not be found|not found)"
    r"|network \"?([\w.-]+)\"? .*could not be found"
)
_VOLUME = re.compile(r'external volume "?([^"\s]+)"? not found')
_MISSING_IMAGE = re.compile(
    r"[Nn]o such image: (\S+)|manifest for (\S+) not found|unable to find image '([^']+)'", re.I
)
_DENIED = re.compile(r"pull access denied for ([^\s,]+)|unauthorized|authentication required|denied: ")
_REGISTRY = re.compile(
    r'Get "https?://([^/"]+)[^"]*": |failed to resolve reference "([^"]+)"|dial tcp[^:]*: lookup (\S+) on'
)

# What each kind of database says to a password that is not its own, and what images of that kind are called.
_LOGINS = (
    (re.compile(r"password authentication failed for user \S+"), ("postgres", "postgis", "timescale", "pgvector")),
    (re.compile(r"Access denied for user '[^']*'@.*using password: YES"), ("mysql", "mariadb", "percona")),
    (re.compile(r"WRONGPASS invalid username-password pair"), ("redis", "valkey", "keydb")),
    (
        re.compile(
            r"MongoServerError: Authentication failed|\(AuthenticationFailed\)|Authentication failed.*code\W+18\b"
            r'|"msg":"Authentication failed"'
        ),
        ("mongo",),
    ),
)
_MOMENT = 60.0  # seconds between a volume and the first container that uses it


@dataclass(frozen=True)
class Reason:
    """Why something was refused, "" when nobody says, and what to do about it.

    ``port`` is the one that is taken and ``name`` the container name; ``networks`` says that there is no room for one
    more: who holds them the engine knows.
    """

    message: str = ""
    hint: str = ""
    port: int = 0
    name: str = ""
    networks: bool = False


def explain(output: str) -> Reason:
    """Return why ``docker compose`` or ``docker`` failed, by the end of its error output."""
    message = _shortened(_last_words(output))
    if not message:
        return Reason()
    if found := _PORT.search(message):
        port = next(filter(None, found.groups()))
        return Reason(message, f"free port {port}, or publish another one", port=int(port))
    if _POOLS.search(message):
        return Reason(
            message,
            "the engine has no addresses left for another network: remove networks that nothing uses",
            networks=True,
        )
    if found := _NAME.search(message):
        message = f'the container name "{found[1]}" is already in use'
        return Reason(message, f"remove or rename the container {found[1]}, or choose another name", name=found[1])
    return Reason(message, _hint(message))


def _last_words(output: str) -> str:
    """Return the error that a command ended with: the engine's last one, else its last line that is no progress."""
    lines = [line for line in map(str.rstrip, plain(output).splitlines()) if not _PROGRESS.match(line)]
    for at in range(len(lines) - 1, -1, -1):
        if _DAEMON in lines[at] or lines[at].startswith("failed to "):
            more = lines[at + 1 :] if all(one.startswith("* ") for one in lines[at + 1 :]) else []
            return " ".join([lines[at], *(one.removeprefix("* ") for one in more)]).strip()
    return lines[-1].strip() if lines else ""


def _shortened(text: str) -> str:
    before, marked, after = text.partition(_DAEMON)
    text = f"{before}{after}" if marked and before.startswith("failed to ") else (after if marked else text)
    text = _ENDPOINT.sub(r"\1: ", text)
    return _CHAIN.sub("", text).removesuffix(": unknown").strip()


def _hint(message: str) -> str:
    if found := _NETWORK.search(message):
        name = found[1] or found[2]
        return f"the network is not Compose's to make (external): docker network create {name}"
    if found := _VOLUME.search(message):
        return f"the volume is not Compose's to make (external): docker volume create {found[1]}"
    if found := _MISSING_IMAGE.search(message):
        name = next(filter(None, found.groups()))
        return f"build or pull {name}, or correct its name in the Compose file"
    if _DENIED.search(message):
        return "correct the image's name, or `docker login` to its registry"
    if found := _REGISTRY.search(message):
        return f"the registry of the image cannot be reached ({next(filter(None, found.groups()))}): is its name right?"
    for words, hint in _HINTS:
        if words in message:
            return hint
    return ""


_HINTS = (
    ("bind source path does not exist", "make the directory or file on the engine's host, or correct the path"),
    ("invalid mount", "correct the volumes of the service in the Compose file"),
    ("not a directory", "a mounted path is a file on one side and a directory on the other: correct it"),
    ("Pool overlaps with other one", "another network has these addresses: choose another subnet, or none"),
    ("no space left on device", "the engine's disk is full: `docker system df` shows what fills it"),
    ("no such file or directory", "the image has no such program, or the path is not there: correct it"),
    ("permission denied", "correct the permissions of the file, or the user of the service"),
    ("no matching manifest", "the image is not made for this machine: choose another tag, or set `platform`"),
)


def hold_port(port: int, holders: Sequence[str]) -> str:
    """Return what to do about a port that is taken; ``holders`` are the containers that publish it."""
    if holders:
        return f"{', '.join(holders)} publishes port {port}: stop it, or publish another port"
    return (
        f"no container publishes port {port}, so a program of the machine has it (ss -ltnp 'sport = :{port}'): "
        "end that, or publish another port"
    )


def free_networks(unused: Sequence[str]) -> str:
    """Return how to make room for another network; ``unused`` are those without a container."""
    if not unused:
        return (
            "every network is in use: take stacks down that are not needed, or give the engine more addresses "
            "(default-address-pools in /etc/docker/daemon.json)"
        )
    shown = " ".join(unused[:10])
    more = f" (and {len(unused) - 10} more like them)" if len(unused) > 10 else ""
    return f"no container uses these networks: docker network rm {shown}{more}"


@dataclass(frozen=True)
class Refused:
    """A login that a database refused: the line that says so, and what images of such a database are called."""

    line: str
    kinds: tuple[str, ...]


def refused_login(log: str) -> Refused | None:
    """Return the last login that a log says was refused for its password, None when there is none."""
    for line in reversed(plain(log).splitlines()):
        for words, kinds in _LOGINS:
            if found := words.search(line):
                return Refused(line[found.start() :].strip(), kinds)
    return None


def databases(stack: Stack, refused: Refused) -> tuple[Service, ...]:
    """Return the services that may have refused a login, those first whose image is called so."""

    def called(service: Service) -> bool:
        image = service.image.rpartition("/")[2]
        return any(kind in image for kind in refused.kinds)

    found = [one for one in stack.services.values() if one.volumes and (called(one) or one.slipway.role == ROLES[0])]
    return tuple(sorted(found, key=lambda one: not called(one)))


@dataclass(frozen=True)
class Age:
    """A database's volume and when it was made; the file of its newest secret and when it was written, "" for none;
    and when its container was made. In seconds since the epoch.
    """

    service: str
    volume: str
    made: float
    container: float
    secret: str = ""
    written: float = 0.0


def older(ages: Collection[Age], refused: Refused) -> Reason | None:
    """Return that a volume is older than the password that was refused, None when no volume is."""
    for one in ages:
        if one.secret and one.made < one.written:
            younger = f"the password in {one.secret} (written {_day(one.written)})"
        elif not one.secret and one.made + _MOMENT < one.container:
            younger = f"the container that is to use it with the password of today (made {_day(one.container)})"
        else:
            continue
        return Reason(
            f"{refused.line}: the volume {one.volume} of {one.service} (made {_day(one.made)}) is older than "
            f"{younger}, and a database keeps the password that it was made with",
            "put the old password back; or change it in the database to the new one; or, if the data is not needed, "
            f"remove the container of {one.service} and the volume {one.volume}",
        )
    return None


def _day(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
