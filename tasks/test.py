"""test.*: every kind of test, in containers."""

from invoke import Context, task

_ENV = "environment profile (default: test)"
_JSON = "one JSON document on stdout"
_SERVICE = "only this service; may be given several times"


@task(
    name="all",
    default=True,
    help={
        "env": _ENV,
        "force": "run also what has not changed since it passed",
        "why": "say what each result depends on, and what has changed",
        "fail-fast": "stop at the first suite that fails",
        "retry": "run a failed suite again this many times; one that then passes is reported as flaky",
        "json": _JSON,
    },
    auto_shortflags=False,
)
def all_(
    c: Context,
    env: str = "test",
    force: bool = False,
    why: bool = False,
    fail_fast: bool = False,
    retry: int = 0,
    json: bool = False,
) -> None:
    """Run unit, integration, smoke and security tests; exit 5 when anything failed."""
    from .host import testing

    testing.run_all(c, env, force=force, why=why, fail_fast=fail_fast, retry=retry, json=json)


@task(
    help={
        "env": _ENV,
        "service": _SERVICE,
        "filter": "only tests whose name this regular expression finds (go test -run)",
        "race": "with the race detector",
        "json": _JSON,
    },
    iterable=["service"],
    auto_shortflags=False,
)
def unit(
    c: Context,
    env: str = "test",
    service: list[str] | None = None,
    filter: str = "",
    race: bool = False,
    json: bool = False,
) -> None:
    """Run the tester stage of every service that has one; coverage, JUnit, exit 5 below COVERAGE_MIN."""
    from .host import unit_tests

    unit_tests.run(c, env, services=tuple(service or ()), filter=filter, race=race, json=json)


@task(
    help={
        "env": _ENV,
        "service": "only this test service; may be given several times",
        "filter": "only tests whose name this regular expression finds",
        "shard": "only this part of the tests, such as 1/4; the parts together are all of them",
        "keep": "leave the stack running afterwards, and say how to get in and how to remove it",
        "json": _JSON,
    },
    iterable=["service"],
    auto_shortflags=False,
)
def integration(
    c: Context,
    env: str = "test",
    service: list[str] | None = None,
    filter: str = "",
    shard: str = "",
    keep: bool = False,
    json: bool = False,
) -> None:
    """Run the tests of the whole stack against a throw-away copy of it, and remove it."""
    from .host import integration_tests

    integration_tests.run(c, env, services=tuple(service or ()), filter=filter, shard=shard, keep=keep, json=json)


@task(help={"env": _ENV, "json": _JSON}, auto_shortflags=False)
def security(c: Context, env: str = "test", json: bool = False) -> None:
    """Scan the sources, as scan.code does; exit 5 on a closed gate, 3 on a gap."""
    from .host import scans

    scans.run(c, env, ("code",), new=False, force=False, json=json)


@task(
    help={"env": "environment to look at (default: SLIPWAY_ENV, else dev)", "json": _JSON},
    auto_shortflags=False,
)
def smoke(c: Context, env: str = "", json: bool = False) -> None:
    """Check a running environment without side effects: health, x-slipway.smoke, TLS, version."""
    from .host import smoke_tests

    smoke_tests.run(c, env, json=json)


@task(
    help={
        "env": "environment to load (default: a throw-away stack of its own)",
        "rate": "requests per second (default: LOAD_RATE of the profile)",
        "duration": "such as 30s (default: LOAD_DURATION of the profile)",
        "allow-host": "allow this host as target though it is not the stack; may be given several times",
        "save-baseline": "keep the result as the one to compare with",
        "json": _JSON,
    },
    iterable=["allow_host"],
    auto_shortflags=False,
)
def load(
    c: Context,
    env: str = "",
    rate: str = "",
    duration: str = "",
    allow_host: list[str] | None = None,
    save_baseline: bool = False,
    json: bool = False,
) -> None:
    """Put load on the stack at a set rate: latency percentiles, error rate, thresholds, plot."""
    from .host import load_tests

    load_tests.run(
        c, env, rate=rate, duration=duration, hosts=tuple(allow_host or ()), save_baseline=save_baseline, json=json
    )


@task(
    help={
        "env": _ENV,
        "service": _SERVICE,
        "count": "how often each benchmark runs",
        "save-baseline": "keep the result as the one to compare with",
        "json": _JSON,
    },
    iterable=["service"],
    auto_shortflags=False,
)
def bench(
    c: Context,
    env: str = "test",
    service: list[str] | None = None,
    count: int = 6,
    save_baseline: bool = False,
    json: bool = False,
) -> None:
    """Run benchmarks several times and compare them with the baseline; exit 5 on a significant regression."""
    from .host import benchmarks

    benchmarks.run(c, env, services=tuple(service or ()), count=count, save_baseline=save_baseline, json=json)
