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
