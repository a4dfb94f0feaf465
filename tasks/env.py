"""env.*: the profiles of the environments."""

from invoke import Context, task

_JSON = "one JSON document on stdout"


@task(name="list", help={"json": _JSON}, auto_shortflags=False)
def list_(c: Context, json: bool = False) -> None:
    """List the environments, and whether their profiles are valid."""
    from .host import profiles

    profiles.list_environments(json)


@task(
    positional=["environment"],
    help={"environment": "environment whose profile to show", "json": _JSON},
    auto_shortflags=False,
)
def show(c: Context, environment: str, json: bool = False) -> None:
    """Show every value of a profile and the line it comes from; secrets are masked."""
    from .host import profiles

    profiles.show(environment, json)


@task(
    positional=["first", "second"],
    help={"first": "one environment", "second": "the other environment", "json": _JSON},
    auto_shortflags=False,
)
def diff(c: Context, first: str, second: str, json: bool = False) -> None:
    """Show what two profiles set differently; secrets are masked."""
    from .host import profiles

    profiles.diff(first, second, json)


@task(
    help={"env": "check only this one; may be given several times (default: all)", "json": _JSON},
    iterable=["env"],
    auto_shortflags=False,
)
def check(c: Context, env: list[str] | None = None, json: bool = False) -> None:
    """Check the profiles and report every fault with its file and line."""
    from .host import profiles

    profiles.check(tuple(env or ()), json)


@task(
    positional=["name"],
    help={
        "name": "name of the new environment",
        "from": "environment to start from (default: dev, else the first; without any, the Compose files)",
    },
    auto_shortflags=False,
)
def new(c: Context, name: str, from_: str = "") -> None:
    """Write envs/NAME.env: a commented copy of another profile, or the first one."""
    from .host import new_profiles

    new_profiles.new(name, from_, dry=bool(c.config.run.dry))


@task(
    positional=["environment"],
    help={"environment": "environment whose profile gets the values"},
    auto_shortflags=False,
)
def adopt(c: Context, environment: str) -> None:
    """Take the values of the .env beside the Compose file over into a profile."""
    from .host import new_profiles

    new_profiles.adopt(environment, dry=bool(c.config.run.dry))
