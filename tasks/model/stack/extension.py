"""The ``x-slipway`` fields of services, and Compose's own ``update_config``, as typed data."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import field
from typing import TYPE_CHECKING, Any

from ..errors import InputError
from ..record import Record
from ..units import parse_duration, parse_size
from .backup import Backup, parse_backup
from .extension_keys import SERVICE, keys
from .load import ROLE as LOAD_GENERATOR
from .load import LoadTarget
from .load import parse as parse_load
from .presets.preset import expand
from .presets.server import DATABASE, PRESETS
from .proxies.kinds import FOREIGN_KEYS, KINDS
from .proxies.kinds import PRESETS as PROXIES
from .smoke import Check
from .smoke import parse as parse_smoke
from .telemetry.metrics import Metrics
from .telemetry.metrics import parse as parse_metrics
from .telemetry.slo import Objective
from .telemetry.slo import parse as parse_objectives

if TYPE_CHECKING:
    from .cluster.ingress import IngressRoute
    from .cluster.scale import Scale
    from .proving import Canary, WatchRule

JOBS = ("migrate", "seed", "test", "once")
ROLES = (DATABASE, LOAD_GENERATOR)
RECREATE, START_FIRST, BLUE_GREEN, CANARY = ROLLOUTS = ("recreate", "start-first", "blue-green", "canary")
ROLLBACK, PAUSE, CONTINUE = "rollback", "pause", "continue"
_FAILURE_ACTIONS = (ROLLBACK, PAUSE, CONTINUE)
GENERATORS = ("password", "self-signed-certificate")
SERVICE_KEYS = keys(SERVICE)


class ProxySettings(Record):
    """``x-slipway.proxy``: how a service forwards requests to others.

    ``kind`` is one of ``proxies.kinds.KINDS``, "" for a proxy by the documented contract. ``upstreams`` is the
    directory of the files that name the servers of a service, ``check`` the command that validates them, ``reload`` the
    signal to read them again, "" when none is needed; ``workers`` the name of the serving processes, "" when there are
    none to wait for. ``drain``: how many seconds to wait at most until the proxy has no connection to old containers.
    ``api`` is the URL of the proxy's API in its container. While the file ``maintenance`` exists, requests get the
    maintenance page.
    """

    upstreams: str = ""
    check: tuple[str, ...] = ()
    reload: str = "HUP"
    workers: str = ""
    maintenance: str = ""
    kind: str = ""
    drain: float = 0.0
    api: str = ""


class Reload(Record):
    """``x-slipway.reload``: the command that validates changed configuration, and the signal to read it again.

    ``secrets``: the service reads its secrets again on that signal, too.
    """

    check: tuple[str, ...] = ()
    signal: str = "HUP"
    secrets: bool = False


class SlipwaySettings(Record):
    """The ``x-slipway`` field of a service.

    ``settle`` is in seconds; ``live`` are bind sources, as written, that the service reads while it runs.
    ``database`` is the preset that has filled in ``role``, ``client``, ``data`` and ``backup``, "" without one;
    ``metrics`` where the service has metrics, as far as it says so; ``slo`` are the objectives of its requests.
    ``canary`` are the shares of a canary rollout, ``watch`` what new containers are judged by; None without.
    ``liveness`` and ``scale`` are about Kubernetes: whether a container that does not pass its check is started again,
    and how many Pods there may be.
    ``ingress`` is what leads to it from outside of a cluster, None without.
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
    load: tuple[LoadTarget, ...] = ()
    backup: Backup | None = None
    accept: Mapping[str, str] = field(default_factory=dict)
    settle: float | None = None
    reload: Reload | None = None
    live: tuple[str, ...] = ()
    database: str = ""
    metrics: Metrics | None = None
    slo: tuple[Objective, ...] = ()
    canary: "Canary | None" = None
    watch: "WatchRule | None" = None
    liveness: bool = False
    scale: "Scale | None" = None
    ingress: "IngressRoute | None" = None


class UpdatePolicy(Record):
    """Compose's ``deploy.update_config``, which Compose itself ignores; ``delay`` and ``monitor`` in seconds.

    https://docs.docker.com/reference/compose-file/deploy/#update_config; the defaults are the same, except for
    ``failure_action``: a failed deploy is rolled back.
    """

    order: str = "stop-first"
    parallelism: int = 0
    delay: float = 0.0
    monitor: float = 5.0
    failure_action: str = ROLLBACK
    max_failure_ratio: float = 0.0


def suggest(name: str, known: Iterable[str]) -> str:
    """Return a hint with the known name that is nearest, if any, and all known names."""
    import difflib  # only for a fault

    known = tuple(known)
    near = difflib.get_close_matches(name, known, n=1)
    listed = ", ".join(known) or "none"
    return f"did you mean {near[0]}? There are: {listed}" if near else f"there are: {listed}"


def mapping(value: object, where: str) -> Mapping[str, Any]:
    """Return the value as a mapping, empty for None; raises InputError when it is something else."""
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise InputError(f"{where}: expected a mapping, got {value!r}", "docs/compose-extension.md has the keys")
    return value


def known_keys(fields: Mapping[str, Any], known: tuple[str, ...], where: str) -> None:
    """Raise InputError for an unknown key, with the nearest known key as a hint."""
    for key in fields:
        if key not in known:
            raise InputError(f"{where}: unknown key {key!r}", suggest(key, known))


def _one_of(fields: Mapping[str, Any], key: str, known: tuple[str, ...], where: str) -> str:
    value = fields.get(key, "")
    if value != "" and value not in known:
        raise InputError(
            f"{where}.{key}: expected one of {', '.join(known)}, got {value!r}", "correct the Compose file"
        )
    return str(value)


def settings(raw: object, where: str, name: str, service: Mapping[str, Any]) -> SlipwaySettings:
    """Return the ``x-slipway`` field of a service; raises InputError for what is not valid.

    ``service`` is the whole service as Compose prints it: a preset reads its environment.
    """
    fields = mapping(raw, where)
    known_keys(fields, SERVICE_KEYS, where)
    database = _one_of(fields, DATABASE, PRESETS, where)
    if database:
        fields = expand(fields, service, where)
    job, role = _one_of(fields, "job", JOBS, where), _one_of(fields, "role", ROLES, where)
    data = str(fields.get("data", ""))
    if data and not data.startswith("/"):
        raise InputError(f"{where}.data: expected an absolute path, got {data!r}", "where the database keeps its files")
    budget = fields.get("size-budget")
    rollout, canary = _rollout(fields, where)
    return SlipwaySettings(
        job=job,
        role=role,
        database=database,
        rollout=rollout,
        canary=canary,
        watch=_watch(fields.get("watch"), f"{where}.watch"),
        proxy=_proxy(fields.get("proxy"), f"{where}.proxy"),
        smoke=parse_smoke(fields.get("smoke"), f"{where}.smoke", name),
        load=parse_load(fields.get("load"), f"{where}.load"),
        client=_words(fields.get("client", []), f"{where}.client"),
        backup=parse_backup(fields.get("backup"), f"{where}.backup"),
        debug_target=str(fields.get("debug-target", "debug")),
        tester_target=str(fields.get("tester-target", "tester")),
        cover_target=str(fields.get("cover-target", "cover")),
        data=data.rstrip("/"),
        accept=accepted(fields.get("accept"), f"{where}.accept"),
        size_budget=parse_size(str(budget), f"{where}.size-budget") if budget is not None else 0,
        settle=parse_duration(str(fields["settle"]), f"{where}.settle") if fields.get("settle") is not None else None,
        reload=_reload(fields.get("reload"), f"{where}.reload"),
        live=_live(fields.get("live", []), f"{where}.live"),
        metrics=parse_metrics(fields.get("metrics"), f"{where}.metrics"),
        slo=parse_objectives(fields.get("slo"), f"{where}.slo"),
        liveness=_flag(fields, "liveness", where),
        scale=_scale(fields.get("scale"), f"{where}.scale"),
        ingress=_ingress(fields.get("ingress"), f"{where}.ingress"),
    )


def _rollout(fields: Mapping[str, Any], where: str) -> tuple[str, "Canary | None"]:
    """Return the rollout and, for a canary, its shares; ``canary`` alone says ``rollout: canary``."""
    rollout, raw = _one_of(fields, "rollout", ROLLOUTS, where), fields.get("canary")
    if raw is None and rollout != CANARY:
        return rollout, None
    if rollout not in ("", CANARY):
        raise InputError(
            f"{where}.canary: with rollout: {rollout} no container gets a share of the requests",
            f"say rollout: {CANARY}, or take the shares out",
        )
    from .proving import parse_canary  # loaded only for a canary

    return CANARY, parse_canary({} if raw is None else raw, f"{where}.canary")


def _watch(raw: object, where: str) -> "WatchRule | None":
    if raw is None:
        return None
    from .proving import parse_watch  # loaded only where numbers judge

    return parse_watch(raw, where)


def _scale(raw: object, where: str) -> "Scale | None":
    if raw is None:
        return None
    from .cluster.scale import parse_scale  # loaded only for Kubernetes

    return parse_scale(raw, where)


def _flag(fields: Mapping[str, Any], key: str, where: str) -> bool:
    value = fields.get(key, False)
    if not isinstance(value, bool):
        raise InputError(f"{where}.{key}: expected true or false, got {value!r}", f"as in {key}: true")
    return value


def _ingress(raw: object, where: str) -> "IngressRoute | None":
    if raw is None:
        return None
    from .cluster.ingress import parse_ingress  # loaded only where something leads in from outside

    return parse_ingress(raw, where)


def settle_seconds(own: SlipwaySettings, update: Mapping[str, Any]) -> float | None:
    """Return how long a new container has to run before it counts as started, in seconds.

    ``x-slipway.settle``, else ``update_config.monitor``; None for SETTLE of the profile.
    """
    if own.settle is not None:
        return own.settle
    return update_policy(update).monitor if update.get("monitor") else None


def _reload(raw: object, where: str) -> Reload | None:
    if raw is None:
        return None
    fields = mapping(raw, where)
    known_keys(fields, keys(SERVICE, "reload."), where)
    signal = str(fields.get("signal", "HUP"))
    if not re.fullmatch(r"(?:SIG)?[A-Z][A-Z0-9+-]*|[1-9]\d?", signal, re.ASCII):
        raise InputError(f"{where}.signal: expected a signal, got {signal!r}", "as in HUP or USR1")
    return Reload(_words(fields.get("check", []), f"{where}.check"), signal, _flag(fields, "secrets", where))


def _live(raw: object, where: str) -> tuple[str, ...]:
    if not isinstance(raw, list) or not all(isinstance(path, str) and path for path in raw):
        raise InputError(
            f"{where}: expected a list of paths, got {raw!r}", "bind sources of the service, as in [./src]"
        )
    return tuple(raw)


def accepted(raw: object, where: str) -> dict[str, str]:
    """Return what is accepted, each with its reason: items of the hardening report, words of kube.report.

    Raises InputError.
    """
    items = mapping(raw, where)
    for item, reason in items.items():
        if not re.fullmatch(r"CIS-\d\.\d{1,2}|(?!CIS)[A-Za-z][A-Za-z0-9-]*", str(item), re.ASCII):
            raise InputError(f"{where}: no item of the report is called {item!r}", "as in CIS-5.14: see scan.hardening")
        if not isinstance(reason, str) or not reason.strip():
            raise InputError(f"{where}.{item}: expected the reason, got {reason!r}", "say why it has to be so")
    return dict(items)


def _proxy(raw: object, where: str) -> ProxySettings:
    fields = mapping(raw, where)
    known_keys(fields, keys(SERVICE, "proxy."), where)
    if not fields:
        return ProxySettings()
    kind = _one_of(fields, "kind", KINDS, where)
    for key in FOREIGN_KEYS[kind]:
        if key in fields:
            raise InputError(
                f"{where}.{key}: it means nothing to {f'a proxy of kind {kind}' if kind else 'a proxy without a kind'}",
                "take it out" if kind else f"say which kind it is: {', '.join(KINDS)}",
            )
    fields = {**PROXIES.get(kind, {}), **fields}
    directory, check = fields.get("upstreams"), fields.get("check", [])
    if not isinstance(directory, str) or not directory.startswith("/"):
        raise InputError(f"{where}.upstreams: expected a directory, got {directory!r}", "as in /etc/proxy/upstreams")
    return ProxySettings(
        upstreams=directory,
        check=tuple(word.replace("{upstreams}", directory) for word in _words(check, f"{where}.check")),
        reload=str(fields.get("reload", "HUP")),
        workers=str(fields.get("workers", "")),
        maintenance=_maintenance(fields.get("maintenance", ""), f"{where}.maintenance"),
        kind=kind,
        drain=parse_duration(str(fields.get("drain", "0s")), f"{where}.drain"),
        api=_api(fields.get("api", ""), f"{where}.api"),
    )


def _api(url: object, where: str) -> str:
    if url != "" and not (isinstance(url, str) and re.fullmatch(r"https?://[^\s/]+(?:/[^\s?#]*)?", url)):
        raise InputError(f"{where}: expected a URL, got {url!r}", "as in http://127.0.0.1:8080, inside the container")
    return str(url).rstrip("/")


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
    """Return ``deploy.update_config``, with defaults for what it leaves out."""
    usual = UpdatePolicy()
    return UpdatePolicy(
        order=str(raw.get("order") or usual.order),
        parallelism=int(raw.get("parallelism") or 0),
        delay=parse_duration(str(raw["delay"]), "update_config.delay") if raw.get("delay") else usual.delay,
        monitor=parse_duration(str(raw["monitor"]), "update_config.monitor") if raw.get("monitor") else usual.monitor,
        failure_action=_one_of(raw, "failure_action", _FAILURE_ACTIONS, "update_config") or usual.failure_action,
        max_failure_ratio=float(raw.get("max_failure_ratio") or 0),
    )
