"""What Compose files say to Slipway: the ``x-slipway`` fields of services, and Compose's own ``update_config``."""

import difflib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from .backup import Backup, parse_backup
from .errors import InputError
from .load import ROLE as LOAD_GENERATOR
from .load import Target
from .load import parse as parse_load
from .smoke import Check
from .smoke import parse as parse_smoke
from .units import parse_duration, parse_size

JOBS = ("migrate", "seed", "test", "once")
ROLES = ("database", LOAD_GENERATOR)
RECREATE, START_FIRST, BLUE_GREEN = ROLLOUTS = ("recreate", "start-first", "blue-green")
ROLLBACK, PAUSE, CONTINUE = "rollback", "pause", "continue"
_FAILURE_ACTIONS = (ROLLBACK, PAUSE, CONTINUE)
GENERATORS = ("password", "self-signed-certificate")
SERVICE_KEYS = (
    *("job", "role", "client", "data", "backup", "proxy", "rollout", "smoke", "load", "accept"),
    *("debug-target", "tester-target", "cover-target", "size-budget", "settle", "reload", "live"),
)


@dataclass(frozen=True)
class ProxySettings:
    """What a service that leads requests to others says of itself.

    ``upstreams`` is the directory of the files that name the servers of a service, ``check`` the command that says
    whether they are accepted, ``reload`` the signal on which they are read again, ``workers`` what the processes are
    called that serve; "" when there are none to wait for. While the file ``maintenance`` is there, requests are
    answered by the maintenance page.
    """

    upstreams: str = ""
    check: tuple[str, ...] = ()
    reload: str = "HUP"
    workers: str = ""
    maintenance: str = ""


@dataclass(frozen=True)
class Reload:
    """How a service takes a change of mounted configuration: ``check`` accepts it, ``signal`` lets it be read again."""

    check: tuple[str, ...] = ()
    signal: str = "HUP"


@dataclass(frozen=True)
class SlipwaySettings:
    """The ``x-slipway`` field of a service.

    ``settle`` is in seconds; ``live`` are bind sources, as written, that the service reads while it runs.
    """

    job: str = ""
    role: str = ""
    client: tuple[str, ...] = ()
    debug_target: str = "debug"
    size_budget: int = 0
    tester_target: str = "tester"
    cover_target: str = "cover"
    data: str = ""
    rollout: str = ""
    proxy: ProxySettings = ProxySettings()
    smoke: tuple[Check, ...] = ()
    load: tuple[Target, ...] = ()
    backup: Backup | None = None
    accept: Mapping[str, str] = field(default_factory=dict)
    settle: float | None = None
    reload: Reload | None = None
    live: tuple[str, ...] = ()


@dataclass(frozen=True)
class UpdatePolicy:
    """Compose's ``deploy.update_config``, which Compose itself ignores; ``delay`` and ``monitor`` in seconds.

    https://docs.docker.com/reference/compose-file/deploy/#update_config; what is not said is as there, but for
    ``failure_action``: a deploy that failed goes back.
    """

    order: str = "stop-first"
    parallelism: int = 0
    delay: float = 0.0
    monitor: float = 5.0
    failure_action: str = ROLLBACK
    max_failure_ratio: float = 0.0


def suggest(name: str, known: Iterable[str]) -> str:
    """Return the nearest of what is known, and all of it."""
    known = tuple(known)
    near = difflib.get_close_matches(name, known, n=1)
    listed = ", ".join(known) or "none"
    return f"did you mean {near[0]}? There are: {listed}" if near else f"there are: {listed}"


def mapping(value: object, where: str) -> Mapping[str, Any]:
    """Return a mapping, an empty one for nothing; raises InputError for what is none."""
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise InputError(f"{where}: expected a mapping, got {value!r}", "see the Compose file reference in the README")
    return value


def known_keys(found: Mapping[str, Any], known: tuple[str, ...], where: str) -> None:
    """Raise InputError for a key that is not known, with the nearest that is."""
    for key in found:
        if key not in known:
            raise InputError(f"{where}: unknown key {key!r}", suggest(key, known))


def _one_of(found: Mapping[str, Any], key: str, known: tuple[str, ...], where: str) -> str:
    value = found.get(key, "")
    if value != "" and value not in known:
        raise InputError(
            f"{where}.{key}: expected one of {', '.join(known)}, got {value!r}", "correct the Compose file"
        )
    return str(value)


def settings(raw: object, where: str, service: str) -> SlipwaySettings:
    """Return the ``x-slipway`` field of a service; raises InputError for what is not understood."""
    found = mapping(raw, where)
    known_keys(found, SERVICE_KEYS, where)
    job, role = _one_of(found, "job", JOBS, where), _one_of(found, "role", ROLES, where)
    data = str(found.get("data", ""))
    if data and not data.startswith("/"):
        raise InputError(f"{where}.data: expected an absolute path, got {data!r}", "where the database keeps its files")
    budget = found.get("size-budget")
    return SlipwaySettings(
        job=job,
        role=role,
        rollout=_one_of(found, "rollout", ROLLOUTS, where),
        proxy=_proxy(found.get("proxy"), f"{where}.proxy"),
        smoke=parse_smoke(found.get("smoke"), f"{where}.smoke", service),
        load=parse_load(found.get("load"), f"{where}.load"),
        client=_words(found.get("client", []), f"{where}.client"),
        backup=parse_backup(found.get("backup"), f"{where}.backup"),
        debug_target=str(found.get("debug-target", "debug")),
        tester_target=str(found.get("tester-target", "tester")),
        cover_target=str(found.get("cover-target", "cover")),
        data=data.rstrip("/"),
        accept=accepted(found.get("accept"), f"{where}.accept"),
        size_budget=parse_size(str(budget), f"{where}.size-budget") if budget is not None else 0,
        settle=parse_duration(str(found["settle"]), f"{where}.settle") if found.get("settle") is not None else None,
        reload=_reload(found.get("reload"), f"{where}.reload"),
        live=_live(found.get("live", []), f"{where}.live"),
    )


def settling(own: SlipwaySettings, update: Mapping[str, Any]) -> float | None:
    """Return how long a new container is looked at before it counts as one that stays, in seconds.

    ``x-slipway.settle``, else ``update_config.monitor``; None is what the profile says (SETTLE).
    """
    if own.settle is not None:
        return own.settle
    return update_policy(update).monitor if update.get("monitor") else None


def _reload(raw: object, where: str) -> Reload | None:
    if raw is None:
        return None
    found = mapping(raw, where)
    known_keys(found, ("check", "signal"), where)
    signal = str(found.get("signal", "HUP"))
    if not re.fullmatch(r"(?:SIG)?[A-Z][A-Z0-9+-]*|[1-9]\d?", signal, re.ASCII):
        raise InputError(f"{where}.signal: expected a signal, got {signal!r}", "as in HUP or USR1")
    return Reload(_words(found.get("check", []), f"{where}.check"), signal)


def _live(raw: object, where: str) -> tuple[str, ...]:
    if not isinstance(raw, list) or not all(isinstance(one, str) and one for one in raw):
        raise InputError(
            f"{where}: expected a list of paths, got {raw!r}", "bind sources of the service, as in [./src]"
        )
    return tuple(raw)


def accepted(raw: object, where: str) -> dict[str, str]:
    """Return the items of the hardening report that are accepted, each with its reason."""
    found = mapping(raw, where)
    for item, reason in found.items():
        if not re.fullmatch(r"CIS-\d\.\d{1,2}", str(item), re.ASCII):
            raise InputError(f"{where}: no item of the report is called {item!r}", "as in CIS-5.14: see scan.hardening")
        if not isinstance(reason, str) or not reason.strip():
            raise InputError(f"{where}.{item}: expected the reason, got {reason!r}", "say why it has to be so")
    return dict(found)


def _proxy(raw: object, where: str) -> ProxySettings:
    found = mapping(raw, where)
    known_keys(found, ("upstreams", "check", "reload", "workers", "maintenance"), where)
    if not found:
        return ProxySettings()
    directory, check = found.get("upstreams"), found.get("check", [])
    if not isinstance(directory, str) or not directory.startswith("/"):
        raise InputError(f"{where}.upstreams: expected a directory, got {directory!r}", "as in /etc/proxy/upstreams")
    return ProxySettings(
        upstreams=directory,
        check=_words(check, f"{where}.check"),
        reload=str(found.get("reload", "HUP")),
        workers=str(found.get("workers", "")),
        maintenance=_maintenance(found.get("maintenance", ""), f"{where}.maintenance"),
    )


def _maintenance(path: object, where: str) -> str:
    if path != "" and not (isinstance(path, str) and re.fullmatch(r"(?:/[^/]+){2,}", path)):
        raise InputError(
            f"{where}: expected the absolute path of a file, got {path!r}",
            "a file in a volume, which the proxy looks for, such as /etc/proxy/upstreams/maintenance",
        )
    return str(path)


def _words(value: object, where: str) -> tuple[str, ...]:
    if not isinstance(value, list) or not all(isinstance(word, str) for word in value):
        raise InputError(f"{where}: expected a list of words, got {value!r}", 'as in ["psql", "-U", "me"]')
    return tuple(value)


def update_policy(raw: Mapping[str, Any]) -> UpdatePolicy:
    """Return ``deploy.update_config``, with what is usual for what it does not say."""
    usual = UpdatePolicy()
    return UpdatePolicy(
        order=str(raw.get("order") or usual.order),
        parallelism=int(raw.get("parallelism") or 0),
        delay=parse_duration(str(raw["delay"]), "update_config.delay") if raw.get("delay") else usual.delay,
        monitor=parse_duration(str(raw["monitor"]), "update_config.monitor") if raw.get("monitor") else usual.monitor,
        failure_action=_one_of(raw, "failure_action", _FAILURE_ACTIONS, "update_config") or usual.failure_action,
        max_failure_ratio=float(raw.get("max_failure_ratio") or 0),
    )
