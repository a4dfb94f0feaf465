"""A load test: the ``x-slipway.load`` field of a service, what may be asked, and how what was measured is judged."""

import json
import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from .address import Address
from .address import parse as parse_address
from .command import Command
from .compose import compose
from .errors import CheckError, InputError, RefusedError
from .profile import Profile
from .schema import KEYS
from .suites import FAILED, INVALID, PASSED
from .units import parse_duration, show_duration

if TYPE_CHECKING:
    from .stack import Stack

ROLE = "load-generator"
REACHED = 0.95  # share of the asked rate below which the generator, not the stack, was measured
ANSWER_TIMEOUT = 10.0  # seconds that one request may take
START_TIME = 60.0  # seconds for the generator's container to start and to end
# Only these leave an environment as it was.
_METHODS = ("GET", "HEAD")
# What the kernel tells a generator that is at its own end.
_SATURATED = re.compile(
    r"too many open files|cannot assign requested address|no buffer space|cannot allocate memory", re.IGNORECASE
)
_MEASURES = ("p50", "p95", "p99", "max")


@dataclass(frozen=True)
class Target:
    """One request that the load is made of."""

    method: str
    address: Address

    def __str__(self) -> str:
        return f"{self.method} {self.address}"


@dataclass(frozen=True)
class Settings:
    """What is asked: requests a second, seconds, and the limits (seconds, per cent; None for any)."""

    rate: int
    duration: float
    p95_max: float | None = None
    p99_max: float | None = None
    error_max: float = 100.0


@dataclass(frozen=True)
class Admitted:
    """Targets that may be asked. ``services`` must run, ``connect_to`` maps published ports to where they lead."""

    targets: tuple[Target, ...]
    services: tuple[str, ...] = ()
    connect_to: Mapping[str, str] = field(default_factory=dict)
    foreign: bool = False


@dataclass(frozen=True)
class Measured:
    """What the generator measured; times in seconds, ``error_rate`` in per cent."""

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
        """Return what was measured as JSON data."""
        return {**vars(self), "series": list(self.series), "error_rate": self.error_rate}


def parse(raw: object, where: str) -> tuple[Target, ...]:
    """Return the targets of a service; raises InputError for one that is not understood."""
    if raw is None:
        return ()
    if not isinstance(raw, dict) or set(raw) - {"targets"}:
        raise InputError(f"{where}: expected targets alone, got {raw!r}", 'as in {targets: ["GET http://web:80/"]}')
    targets = raw.get("targets")
    if not isinstance(targets, list) or not targets:
        raise InputError(f"{where}.targets: expected a list, got {targets!r}", 'as in ["GET http://web:80/"]')
    return tuple(_target(one, f"{where}.targets[{number}]") for number, one in enumerate(targets))


def _target(raw: object, where: str) -> Target:
    method, _, address = raw.partition(" ") if isinstance(raw, str) else ("", "", "")
    if method not in _METHODS or not address:
        raise InputError(
            f"{where}: expected {' or '.join(_METHODS)} and an address, got {raw!r}", 'as in "GET http://web:80/"'
        )
    return Target(method, parse_address(address, where))


def settings(profile: Profile, rate: str = "", duration: str = "") -> Settings:
    """Return what is asked: the options where given, else the profile; raises InputError for what is no number."""
    wanted = {"LOAD_RATE": rate, "LOAD_DURATION": duration}
    for key, text in wanted.items():
        kind = KEYS[key].type
        if text and not kind.accepts(text):
            option = f"--{key.removeprefix('LOAD_').lower()}"
            raise InputError(f"{option}: expected {kind.expected}, got {text!r}", f"for example {KEYS[key].example}")
    seconds = parse_duration(duration or profile.text("LOAD_DURATION"))
    if seconds < 1:
        raise InputError(f"LOAD_DURATION: expected at least 1s, got {seconds:g}s", "a rate is measured over seconds")
    return Settings(
        rate=int(rate or profile.text("LOAD_RATE")),
        duration=seconds,
        p95_max=_limit(profile, "LOAD_P95_MAX"),
        p99_max=_limit(profile, "LOAD_P99_MAX"),
        error_max=float(profile.text("LOAD_ERROR_MAX")),
    )


def _limit(profile: Profile, key: str) -> float | None:
    return profile.duration(key) if profile.text(key) else None


def declared(stack: "Stack") -> tuple[Target, ...]:
    """Return the targets of all services; raises InputError when there are none."""
    found = tuple(target for service in stack.services.values() for target in service.slipway.load)
    if not found:
        raise InputError(
            f"no service of project {stack.project} says x-slipway.load",
            'say what to ask: x-slipway: {load: {targets: ["GET http://web:80/"]}}',
        )
    return found


def admit(
    targets: Iterable[Target], stack: "Stack", allowed: Sequence[str], networks: Collection[str] = ()
) -> Admitted:
    """Return the targets with the way to them; raises RefusedError for a host that is not the stack itself.

    Load on a host is an attack unless its owner agreed: a host is a service of the stack, a port that the stack
    publishes on this machine, or one that ``allowed`` names. ``networks`` are the generator's: where it shares none
    with a service, the service's name would lead it out of the stack.
    """
    targets = tuple(targets)
    services: dict[str, None] = {}
    connect_to: dict[str, str] = {}
    foreign = False
    names = {name.lower(): name for name in stack.services}
    for one in targets:
        host = one.address.host.lower()
        if host in names:
            services[names[host]] = None
        elif one.address.loopback and (way := _published(stack, one.address.port)):
            services[way[0]] = None
            connect_to[one.address.endpoint] = f"{way[0]}:{way[1]}"
        elif host in {name.lower() for name in allowed}:
            foreign = True
        else:
            raise RefusedError(
                f"{one}: {one.address.host} is no service of {stack.project} and no port that it publishes",
                f"load is put on the stack itself; --allow-host {one.address.host} when its owner agrees",
            )
    for name in services:
        if not set(networks) & set(stack.services[name].networks):
            raise RefusedError(
                f"the load generator shares no network with service {name} of {stack.project}",
                f"its name could lead elsewhere: put both on one network, or name another target than {name}",
            )
    return Admitted(targets, tuple(services), connect_to, foreign)


def _published(stack: "Stack", port: int) -> tuple[str, int] | None:
    for service in stack.services.values():
        for one in service.ports:
            if one.published == port and one.protocol == "tcp":
                return service.name, one.target
    return None


def command(profile: Profile, cwd: str, generator: str, name: str, asked: Settings, admitted: Admitted) -> Command:
    """Return the command that runs the generator in the network of the stack.

    Certificates are not judged where all targets are the stack's own: that is what smoke tests are for.
    """
    words = ["-rate", str(asked.rate), "-duration", f"{asked.duration:g}s", "-timeout", f"{ANSWER_TIMEOUT:g}s"]
    words += [] if admitted.foreign else ["-insecure"]
    for endpoint, way in admitted.connect_to.items():
        words += ["-connect-to", f"{endpoint}={way}"]
    words += [str(one) for one in admitted.targets]
    run = ("run", "--rm", "--no-TTY", "--no-deps", f"--name={name}", generator, *words)
    return compose(profile, *run, cwd=cwd, reason=f"{asked.rate} requests a second for {show_duration(asked.duration)}")


def read(text: str) -> Measured:
    """Return what the generator printed; raises CheckError when it cannot be understood."""
    try:
        found = json.loads(text)
        return Measured(
            asked=int(found["asked"]),
            requests=int(found["requests"]),
            failures=int(found["failures"]),
            rate=float(found["rate"]),
            throughput=float(found["throughput"]),
            latencies={name: float(found["latencies"][name]) for name in _MEASURES},
            codes={str(code): int(count) for code, count in found["codes"].items()},
            errors={str(error): int(count) for error, count in found["errors"].items()},
            series=tuple({name: float(value) for name, value in one.items()} for one in found["series"]),
        )
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise CheckError(
            "the load generator's report cannot be read", f"it begins: {text[:120]!r}; see x-slipway.role: {ROLE}"
        ) from None


def judge(measured: Measured, asked: Settings) -> tuple[str, tuple[str, ...]]:
    """Return the outcome and every reason: invalid when the generator did not do what was asked of it."""
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
    """Return a latency for a person: ``1.23 ms``, ``340 µs``."""
    if seconds >= 1:
        return f"{seconds:.2f} s"
    return f"{seconds * 1e3:.2f} ms" if seconds >= 1e-3 else f"{seconds * 1e6:.0f} µs"


def key(asked: Settings, targets: Iterable[Target]) -> str:
    """Return what two load tests must have in common to be compared."""
    return f"{asked.rate}/s for {asked.duration:g}s: {', '.join(map(str, targets))}"


def values(measured: Measured) -> dict[str, float]:
    """Return the numbers that are compared: latencies in seconds, errors in per cent, answers a second."""
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
