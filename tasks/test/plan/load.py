"""A load test: which targets are allowed (``x-slipway.load`` of a service), and how measurements are judged."""

import json
import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ...model.command import Command
from ...model.compose import compose
from ...model.errors import CheckError, InputError, RefusedError
from ...model.lazy_pattern import lazy_pattern
from ...model.profile.profile import Profile
from ...model.profile.schema import KEYS
from ...model.stack.load import ROLE, LoadTarget
from ...model.suite import FAILED, INVALID, PASSED
from ...model.units import parse_duration, show_duration

if TYPE_CHECKING:
    from ...model.stack.stack import Stack

REACHED = 0.95  # below this share of the requested rate the generator, not the stack, was the limit
ANSWER_TIMEOUT = 10.0  # seconds that one request may take
START_TIME = 60.0  # seconds for the generator's container to start and to end
# Errors of the kernel that mean that the generator is at its own limits.
_SATURATED = lazy_pattern(
    r"too many open files|cannot assign requested address|no buffer space|cannot allocate memory", re.IGNORECASE
)
_MEASURES = ("p50", "p95", "p99", "max")


@dataclass(frozen=True)
class LoadSettings:
    """The load and its limits: ``rate`` in requests per second, ``error_max`` in per cent, the rest in seconds.

    A limit that is None is not checked.
    """

    rate: int
    duration: float
    p95_max: float | None = None
    p99_max: float | None = None
    error_max: float = 100.0


@dataclass(frozen=True)
class Admitted:
    """Targets that are allowed. ``services`` must run; ``foreign``: a target is outside of the stack.

    ``connect_to`` maps the endpoint of a published port to ``service:port`` inside the stack.
    """

    targets: tuple[LoadTarget, ...]
    services: tuple[str, ...] = ()
    connect_to: Mapping[str, str] = field(default_factory=dict)
    foreign: bool = False


@dataclass(frozen=True)
class Measured:
    """The measurements of the generator; latencies in seconds, rates in requests per second."""

    asked: int
    requests: int
    failures: int
    rate: float
    throughput: float
    latencies: Mapping[str, float]
    codes: Mapping[str, int]
    errors: Mapping[str, int]
    series: tuple[Mapping[str, float], ...]

    @property
    def error_rate(self) -> float:
        """Return the share of requests that failed, in per cent."""
        return 100 * self.failures / self.requests if self.requests else 100.0

    def document(self) -> dict[str, Any]:
        """Return the measurements as data for JSON."""
        return {**vars(self), "series": list(self.series), "error_rate": self.error_rate}


@dataclass(frozen=True)
class Shot:
    """What a run of the generator gave: its report, what it wrote, and why there is no report ("": there is one)."""

    fault: str
    report: str = ""
    log: str = ""


def settings(profile: Profile, rate: str = "", duration: str = "") -> LoadSettings:
    """Return the load and its limits, from the options or else the profile; raises InputError for a bad value."""
    wanted = {"LOAD_RATE": rate, "LOAD_DURATION": duration}
    for key, text in wanted.items():
        kind = KEYS[key].type
        if text and not kind.accepts(text):
            option = f"--{key.removeprefix('LOAD_').lower()}"
            raise InputError(f"{option}: expected {kind.expected}, got {text!r}", f"for example {KEYS[key].example}")
    seconds = parse_duration(duration or profile.text("LOAD_DURATION"))
    if seconds < 1:
        raise InputError(f"LOAD_DURATION: expected at least 1s, got {seconds:g}s", "a rate is measured over seconds")
    return LoadSettings(
        rate=int(rate or profile.text("LOAD_RATE")),
        duration=seconds,
        p95_max=_limit(profile, "LOAD_P95_MAX"),
        p99_max=_limit(profile, "LOAD_P99_MAX"),
        error_max=float(profile.text("LOAD_ERROR_MAX")),
    )


def _limit(profile: Profile, key: str) -> float | None:
    return profile.duration(key) if profile.text(key) else None


def declared(stack: "Stack") -> tuple[LoadTarget, ...]:
    """Return the targets that all services declare; raises InputError when there are none."""
    targets = tuple(target for service in stack.services.values() for target in service.slipway.load)
    if not targets:
        raise InputError(
            f"no service of project {stack.project} says x-slipway.load",
            'add the targets to a service: x-slipway: {load: {targets: ["GET http://web:80/"]}}',
        )
    return targets


def admit(
    targets: Iterable[LoadTarget], stack: "Stack", allowed: Sequence[str], networks: Collection[str] = ()
) -> Admitted:
    """Return the targets and how to reach them; raises RefusedError for a host that is not the stack itself.

    Load on a host is an attack unless its owner agreed. A host is allowed when it is a service of the stack, a port
    that the stack publishes on this machine, or named in ``allowed``. ``networks`` are the networks of the generator:
    the name of a service on none of them could resolve to another host.
    """
    targets = tuple(targets)
    services: dict[str, None] = {}
    connect_to: dict[str, str] = {}
    foreign = False
    names = {name.lower(): name for name in stack.services}
    for target in targets:
        host = target.address.host.lower()
        if host in names:
            services[names[host]] = None
        elif target.address.loopback and (published := _published(stack, target.address.port)):
            service, port = published
            services[service] = None
            connect_to[target.address.endpoint] = f"{service}:{port}"
        elif host in {name.lower() for name in allowed}:
            foreign = True
        else:
            raise RefusedError(
                f"{target}: {target.address.host} is no service of {stack.project} and no port that it publishes",
                f"name a service of the stack; with the owner's consent add --allow-host {target.address.host}",
            )
    for name in services:
        if not set(networks) & set(stack.services[name].networks):
            raise RefusedError(
                f"the load generator shares no network with service {name} of {stack.project}",
                f"put both on one network, or remove the target {name}",
            )
    return Admitted(targets, tuple(services), connect_to, foreign)


def _published(stack: "Stack", port: int) -> tuple[str, int] | None:
    """Return the service that publishes a TCP port and the port in its container, None when no service does."""
    for service in stack.services.values():
        for port_mapping in service.ports:
            if port_mapping.published == port and port_mapping.protocol == "tcp":
                return service.name, port_mapping.target
    return None


def command(profile: Profile, cwd: str, generator: str, name: str, asked: LoadSettings, admitted: Admitted) -> Command:
    """Return the command that runs the generator in the network of the stack."""
    run = ("run", "--rm", "--no-TTY", "--no-deps", f"--name={name}", generator, *words(asked, admitted))
    return compose(profile, *run, cwd=cwd, reason=f"{asked.rate} requests a second for {show_duration(asked.duration)}")


def words(asked: LoadSettings, admitted: Admitted, called: Mapping[str, str] | None = None) -> list[str]:
    """Return the arguments of the generator; ``called`` are the names of services on a cluster, where they differ.

    It verifies certificates only with targets outside of the stack; those of the stack are checked by smoke tests.
    """
    result = ["-rate", str(asked.rate), "-duration", f"{asked.duration:g}s", "-timeout", f"{ANSWER_TIMEOUT:g}s"]
    result += [] if admitted.foreign else ["-insecure"]
    ways = dict(admitted.connect_to)
    for name, short in (called or {}).items():
        ways = {endpoint: _renamed(destination, name, short) for endpoint, destination in ways.items()}
    for endpoint, destination in ways.items():
        result += ["-connect-to", f"{endpoint}={destination}"]
    return result + [str(target) for target in admitted.targets]


def _renamed(destination: str, name: str, short: str) -> str:
    service, _, port = destination.rpartition(":")
    return f"{short}:{port}" if service == name else destination


def report_in(log: str) -> str:
    """Return the report in the log of a container, where it stands among what the generator wrote for people."""
    lines = log.splitlines(keepends=True)
    for number in range(len(lines) - 1, -1, -1):
        if lines[number].startswith("{"):
            text = "".join(lines[number:])
            try:
                _, end = json.JSONDecoder().raw_decode(text)
            except (ValueError, RecursionError):
                continue
            return text[:end]
    return log


def read(text: str) -> Measured:
    """Return the measurements in the report of the generator; raises CheckError when it cannot be read."""
    try:
        document = json.loads(text)
        return Measured(
            asked=int(document["asked"]),
            requests=int(document["requests"]),
            failures=int(document["failures"]),
            rate=float(document["rate"]),
            throughput=float(document["throughput"]),
            latencies={name: float(document["latencies"][name]) for name in _MEASURES},
            codes={str(code): int(count) for code, count in document["codes"].items()},
            errors={str(error): int(count) for error, count in document["errors"].items()},
            series=tuple({name: float(value) for name, value in values.items()} for values in document["series"]),
        )
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise CheckError(
            "the load generator's report cannot be read", f"it begins: {text[:120]!r}; see x-slipway.role: {ROLE}"
        ) from None


def judge(measured: Measured, asked: LoadSettings) -> tuple[str, tuple[str, ...]]:
    """Return the outcome and all reasons; INVALID when the generator did not reach the requested rate."""
    wanted = asked.rate * asked.duration
    if measured.requests < REACHED * wanted:
        reached = measured.requests / asked.duration
        return INVALID, (f"the generator reached {reached:.0f} of {asked.rate} requests a second: not a measurement",)
    saturated = [error for error in measured.errors if _SATURATED.search(error)]
    if saturated:
        return INVALID, (f"the generator was at its own limits: {saturated[0]}",)
    reasons = []
    for name, limit in (("p95", asked.p95_max), ("p99", asked.p99_max)):
        value = measured.latencies[name]
        if limit is not None and value > limit:
            reasons.append(f"{name} {show_time(value)} is over LOAD_{name.upper()}_MAX={show_time(limit)}")
    if measured.error_rate > asked.error_max:
        worst = max(measured.errors, key=lambda error: measured.errors[error], default="")
        also = f" ({worst})" if worst else ""
        reasons.append(f"{measured.error_rate:.2f} % errors are over LOAD_ERROR_MAX={asked.error_max:g} %{also}")
    return (FAILED if reasons else PASSED), tuple(reasons)


def show_time(seconds: float) -> str:
    """Return a latency as text, such as ``1.23 ms`` or ``340 µs``."""
    if seconds >= 1:
        return f"{seconds:.2f} s"
    return f"{seconds * 1e3:.2f} ms" if seconds >= 1e-3 else f"{seconds * 1e6:.0f} µs"


def key(asked: LoadSettings, targets: Iterable[LoadTarget]) -> str:
    """Return the key of a load test: only tests with the same key are compared."""
    return f"{asked.rate}/s for {asked.duration:g}s: {', '.join(map(str, targets))}"


def values(measured: Measured) -> dict[str, float]:
    """Return the values that are compared: latencies in seconds, errors in per cent, throughput per second."""
    return {
        **{name: measured.latencies[name] for name in _MEASURES},
        "errors": measured.error_rate,
        "throughput": measured.throughput,
    }


def table(measured: Measured, baseline: Mapping[str, float]) -> list[tuple[str, str, str, str]]:
    """Return rows of measure, value, baseline and change; ``baseline`` is empty when there is none."""
    rows = []
    for name, value in values(measured).items():
        before = baseline.get(name)
        change = "" if before is None else f"{(value - before) / before * 100:+.1f} %" if before else "-"
        rows.append((name, _show(name, value), "-" if before is None else _show(name, before), change or "-"))
    return rows


def _show(name: str, value: float) -> str:
    if name == "errors":
        return f"{value:.2f} %"
    return f"{value:.1f}/s" if name == "throughput" else show_time(value)
