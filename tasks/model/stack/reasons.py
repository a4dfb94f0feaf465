"""Why the engine or a database refused: read from the output of Compose, the engine and containers."""

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from ..lazy_pattern import lazy_pattern
from ..quoting import without_escapes
from .extension import ROLES
from .stack import Service, Stack

_DAEMON = "Error response from daemon: "
# Compose's progress output, on a terminal and without one, and its warnings.
_PROGRESS = lazy_pattern(
    r"^\s*(?:$|\[\+\]|time=\"|[\u2800-\u28ff✔✘✗⠿!?]|(?:Container|Network|Volume|Image|Service) \S+ +[A-Z]|"
    r"\S+ (?:Pulling|Pulled|Skipped))"
)
# Of a chain of reasons only the last one helps.
_CHAIN = lazy_pattern(
    r"^(?:failed to create (?:task for container|shim task): |OCI runtime create failed: |"
    r"(?:runc|container_linux\.go\S*) (?:create failed|starting container process caused): |"
    r"unable to start container process: |error during container init: )+"
)
_ENDPOINT = lazy_pattern(
    r"(?:failed to set up container networking: )?"
    r"driver failed programming external connectivity on endpoint (\S+)(?: \([0-9a-f]+\))?: "
)
_PORT = lazy_pattern(
    r"(?:Bind for \S*?:(\d+) failed: port is already allocated"
    r"|listen (?:tcp|udp)[46]? \S*?:(\d+): bind: address already in use"
    r"|failed to bind host port (?:for )?\S*?:(\d+)[:/].*address already in use)"
)
_POOLS = lazy_pattern(r"address pools have been fully subnetted|non-overlapping IPv4 address pool")
_NAME = lazy_pattern(r'container name "/?([^"]+)" is already in use')
_NETWORK = lazy_pattern(
    r"network (\S+) (?:declared as external, but could not be found|not found)"
    r"|network \"?([\w.-]+)\"? .*could not be found"
)
_VOLUME = lazy_pattern(r'external volume "?([^"\s]+)"? not found')
_MISSING_IMAGE = lazy_pattern(
    r"[Nn]o such image: (\S+)|manifest for (\S+) not found|unable to find image '([^']+)'", re.I
)
_DENIED = lazy_pattern(r"pull access denied for ([^\s,]+)|unauthorized|authentication required|denied: ")
_REGISTRY = lazy_pattern(
    r'Get "https?://([^/"]+)[^"]*": |failed to resolve reference "([^"]+)"|dial tcp[^:]*: lookup (\S+) on'
)

# The message of each kind of database for a wrong password, and words in the names of its images.
_LOGINS = (
    (lazy_pattern(r"password authentication failed for user \S+"), ("postgres", "postgis", "timescale", "pgvector")),
    (lazy_pattern(r"Access denied for user '[^']*'@.*using password: YES"), ("mysql", "mariadb", "percona")),
    (lazy_pattern(r"WRONGPASS invalid username-password pair"), ("redis", "valkey", "keydb")),
    (
        lazy_pattern(
            r"MongoServerError: Authentication failed|\(AuthenticationFailed\)|Authentication failed.*code\W+18\b"
            r'|"msg":"Authentication failed"'
        ),
        ("mongo",),
    ),
)
_MOMENT = 60.0  # seconds between a volume and the first container that uses it


def is_progress(line: str) -> bool:
    """Whether a line is Compose's progress, or one of its warnings."""
    return _PROGRESS.match(line) is not None


@dataclass(frozen=True)
class Reason:
    """Why something was refused ("" when the output does not tell), and a hint what to do.

    ``port`` is the port that is taken, ``name`` the container name that is taken; ``networks`` means that the engine
    has no addresses for another network. Only the engine knows what uses them.
    """

    message: str = ""
    hint: str = ""
    port: int = 0
    name: str = ""
    networks: bool = False


def explain(output: str) -> Reason:
    """Return why ``docker compose`` or ``docker`` failed, from the end of its error output."""
    message = _shortened(_last_words(output))
    if not message:
        return Reason()
    if match := _PORT.search(message):
        port = next(filter(None, match.groups()))
        return Reason(message, f"free port {port}, or publish another one", port=int(port))
    if _POOLS.search(message):
        return Reason(
            message,
            "the engine has no addresses left for another network: remove networks that nothing uses",
            networks=True,
        )
    if match := _NAME.search(message):
        message = f'the container name "{match[1]}" is already in use'
        return Reason(message, f"remove or rename the container {match[1]}, or choose another name", name=match[1])
    return Reason(message, _hint(message))


def _last_words(output: str) -> str:
    """Return the error that a command ended with: the engine's last error, else the last line that is no progress."""
    lines = [line for line in map(str.rstrip, without_escapes(output).splitlines()) if not is_progress(line)]
    for index in range(len(lines) - 1, -1, -1):
        if _DAEMON in lines[index] or lines[index].startswith("failed to "):
            more = lines[index + 1 :] if all(line.startswith("* ") for line in lines[index + 1 :]) else []
            return " ".join([lines[index], *(line.removeprefix("* ") for line in more)]).strip()
    return lines[-1].strip() if lines else ""


def _shortened(text: str) -> str:
    before, marked, after = text.partition(_DAEMON)
    text = f"{before}{after}" if marked and before.startswith("failed to ") else (after if marked else text)
    text = _ENDPOINT.sub(r"\1: ", text)
    return _CHAIN.sub("", text).removesuffix(": unknown").strip()


def _hint(message: str) -> str:
    if match := _NETWORK.search(message):
        name = match[1] or match[2]
        return f"the network is external, Compose does not create it: docker network create {name}"
    if match := _VOLUME.search(message):
        return f"the volume is external, Compose does not create it: docker volume create {match[1]}"
    if match := _MISSING_IMAGE.search(message):
        name = next(filter(None, match.groups()))
        return f"build or pull {name}, or correct its name in the Compose file"
    if _DENIED.search(message):
        return "correct the image's name, or `docker login` to its registry"
    if match := _REGISTRY.search(message):
        return f"the registry of the image cannot be reached ({next(filter(None, match.groups()))}): is its name right?"
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


def port_hint(port: int, holders: Sequence[str]) -> str:
    """Return what to do about a port that is taken; ``holders`` are the containers that publish it."""
    if holders:
        return f"{', '.join(holders)} publishes port {port}: stop it, or publish another port"
    return (
        f"no container publishes port {port}, so a program of the machine has it (ss -ltnp 'sport = :{port}'): "
        "end that, or publish another port"
    )


def networks_hint(unused: Sequence[str]) -> str:
    """Return how to get addresses for another network; ``unused`` are the networks without a container."""
    if not unused:
        return (
            "every network is in use: take stacks down that are not needed, or give the engine more addresses "
            "(default-address-pools in /etc/docker/daemon.json)"
        )
    shown = " ".join(unused[:10])
    more = f" (and {len(unused) - 10} more like them)" if len(unused) > 10 else ""
    return f"no container uses these networks: docker network rm {shown}{more}"


@dataclass(frozen=True)
class RefusedLogin:
    """A login that a database refused: its log line, and words in the names of images of such a database."""

    line: str
    kinds: tuple[str, ...]


def refused_login(log: str) -> RefusedLogin | None:
    """Return the last login in a log that was refused for its password, None when there is none."""
    for line in reversed(without_escapes(log).splitlines()):
        for words, kinds in _LOGINS:
            if match := words.search(line):
                return RefusedLogin(line[match.start() :].strip(), kinds)
    return None


def databases(stack: Stack, refused: RefusedLogin) -> tuple[Service, ...]:
    """Return the services that may have refused a login, first those whose image is of that kind of database."""

    def called(service: Service) -> bool:
        image = service.image.rpartition("/")[2]
        return any(kind in image for kind in refused.kinds)

    services = [
        service
        for service in stack.services.values()
        if service.volumes and (called(service) or service.slipway.role == ROLES[0])
    ]
    return tuple(sorted(services, key=lambda service: not called(service)))


@dataclass(frozen=True)
class DatabaseAge:
    """The ages of a database, in seconds since the epoch: when its volume and its container were made, and when the
    file of its newest secret was written ("" and 0 without one).
    """

    service: str
    volume: str
    made: float
    container: float
    secret: str = ""
    written: float = 0.0


def volume_older_than_password(ages: Collection[DatabaseAge], refused: RefusedLogin) -> Reason | None:
    """Return the reason when a volume is older than the refused password, None when no volume is."""
    for age in ages:
        if age.secret and age.made < age.written:
            younger = f"the password in {age.secret} (written {_day(age.written)})"
        elif not age.secret and age.made + _MOMENT < age.container:
            younger = f"the container that is to use it with the password of today (made {_day(age.container)})"
        else:
            continue
        return Reason(
            f"{refused.line}: the volume {age.volume} of {age.service} (made {_day(age.made)}) is older than "
            f"{younger}, and a database keeps the password that it was made with",
            "put the old password back; or change it in the database to the new one; or, if the data is not needed, "
            f"remove the container of {age.service} and the volume {age.volume}",
        )
    return None


def _day(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
