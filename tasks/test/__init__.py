"""test.*: unit, integration, smoke, security, load and benchmark tests, in containers."""

from invoke import Context, task

_ENV = "environment profile (default: test)"
_JSON = "one JSON document on stdout"
_SERVICE = "only this service; may be given several times"


@task(
    name="all",
    default=True,
    help={
        "env": _ENV,
        "all": "also the experiments of the project (test.chaos), after the other suites",
        "force": "run also suites that have not changed since they passed",
        "why": "show what each result depends on, and what has changed",
        "fail-fast": "stop at the first suite that fails",
        "retry": "run a failed suite again this many times; if it then passes, it is reported as flaky",
        "json": _JSON,
    },
    auto_shortflags=False,
)
def all_(
    c: Context,
    env: str = "test",
    all: bool = False,
    force: bool = False,
    why: bool = False,
    fail_fast: bool = False,
    retry: int = 0,
    json: bool = False,
) -> None:
    """Run unit, integration, smoke and security tests; exit 5 when anything failed."""
    from .test import run_all

    run_all(c, env, force=force, why=why, fail_fast=fail_fast, retry=retry, json=json, everything=all)


@task(
    name="unit",
    help={
        "env": _ENV,
        "service": _SERVICE,
        "filter": "only tests whose name matches this regular expression (go test -run)",
        "race": "with the race detector",
        "json": _JSON,
    },
    iterable=["service"],
    auto_shortflags=False,
)
def unit_(
    c: Context,
    env: str = "test",
    service: list[str] | None = None,
    filter: str = "",
    race: bool = False,
    json: bool = False,
) -> None:
    """Run the tester stage of every service that has one; coverage, JUnit, exit 5 below COVERAGE_MIN."""
    from .unit import run

    run(c, env, services=tuple(service or ()), filter=filter, race=race, json=json)


@task(
    name="integration",
    help={
        "env": _ENV,
        "service": "only this test service; may be given several times",
        "filter": "only tests whose name matches this regular expression",
        "shard": "only this part of the tests, such as 1/4",
        "keep": "leave the stack running afterwards, and show how to look at it and how to remove it",
        "json": _JSON,
    },
    iterable=["service"],
    auto_shortflags=False,
)
def integration_(
    c: Context,
    env: str = "test",
    service: list[str] | None = None,
    filter: str = "",
    shard: str = "",
    keep: bool = False,
    json: bool = False,
) -> None:
    """Run the tests of the whole stack against a throw-away copy of it, and remove the copy."""
    from .integration import run

    run(c, env, services=tuple(service or ()), filter=filter, shard=shard, keep=keep, json=json)


@task(name="security", help={"env": _ENV, "json": _JSON}, auto_shortflags=False)
def security_(c: Context, env: str = "test", json: bool = False) -> None:
    """Scan the sources, as scan.code does; exit 5 on a closed gate, 3 on a gap."""
    from ..scan.scan import run

    run(c, env, ("code",), new=False, force=False, json=json)


@task(
    name="smoke",
    help={"env": "environment to check (default: SLIPWAY_ENV, else dev)", "json": _JSON},
    auto_shortflags=False,
)
def smoke_(c: Context, env: str = "", json: bool = False) -> None:
    """Check a running environment without side effects: health, x-slipway.smoke, TLS, version."""
    from ..host.project import Project

    project = Project(c, env)
    if project.clustered:
        from .cluster_smoke import run
    else:
        from .smoke import run
    run(project, json=json)


@task(
    name="telemetry",
    help={
        "env": "environment to prove (default: SLIPWAY_ENV, else dev)",
        "wait": "how long to ask the stores, such as 90s (default: four readings of the metrics, 60s at least)",
        "json": _JSON,
    },
    auto_shortflags=False,
)
def telemetry_(c: Context, env: str = "", wait: str = "", json: bool = False) -> None:
    """Send requests, and prove that metrics, traces and logs know of them; exit 5 when one does not."""
    from .telemetry import run

    run(c, env, wait, json)


@task(
    name="load",
    help={
        "env": "environment to load (default: a throw-away stack)",
        "rate": "requests per second (default: LOAD_RATE of the profile)",
        "duration": "such as 30s (default: LOAD_DURATION of the profile)",
        "allow-host": "allow this host as target though it is not the stack; may be given several times",
        "save-baseline": "save the result as the baseline to compare with",
        "json": _JSON,
    },
    iterable=["allow_host"],
    auto_shortflags=False,
)
def load_(
    c: Context,
    env: str = "",
    rate: str = "",
    duration: str = "",
    allow_host: list[str] | None = None,
    save_baseline: bool = False,
    json: bool = False,
) -> None:
    """Put load on the stack at a constant rate: latency percentiles, error rate, thresholds, plot."""
    from .load import run

    run(c, env, rate=rate, duration=duration, hosts=tuple(allow_host or ()), save_baseline=save_baseline, json=json)


@task(
    name="bench",
    help={
        "env": _ENV,
        "service": _SERVICE,
        "count": "how often each benchmark runs",
        "save-baseline": "save the result as the baseline to compare with",
        "json": _JSON,
    },
    iterable=["service"],
    auto_shortflags=False,
)
def bench_(
    c: Context,
    env: str = "test",
    service: list[str] | None = None,
    count: int = 6,
    save_baseline: bool = False,
    json: bool = False,
) -> None:
    """Run benchmarks several times and compare them with the baseline; exit 5 on a significant regression."""
    from .bench import run

    run(c, env, services=tuple(service or ()), count=count, save_baseline=save_baseline, json=json)
