"""test.*: tests, in containers."""

from invoke import Context, task

_ENV = "environment profile (default: test)"
_JSON = "one JSON document on stdout"
_SERVICE = "only this service; may be given several times"


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
