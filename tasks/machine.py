"""This machine and this repository: set-up, readiness, checks, completion."""

from invoke import Context, task

_JSON = "one JSON document on stdout"


@task(help={"all": "also what only some profiles need: cosign"}, auto_shortflags=False)
def setup(c: Context, all: bool = False) -> None:
    """Make this machine ready: Docker, engine, base images, secrets; `setup deploy.dev` goes on."""
    from .host import setups

    setups.run(c, all)


@task(
    help={"env": "environment profile (default: SLIPWAY_ENV, else dev)", "json": _JSON},
    auto_shortflags=False,
)
def doctor(c: Context, env: str = "", json: bool = False) -> None:
    """Is this machine ready? Exit 3 when something that is needed is missing or too old."""
    from .host import setups

    setups.doctor(c, env, json)


@task(
    help={
        "fast": "lint, types and unit tests only: no engine needed",
        "only": "only this step; may be given several times",
    },
    iterable=["only"],
    auto_shortflags=False,
)
def check(c: Context, fast: bool = False, only: list[str] | None = None) -> None:
    """Lint and test this repository: what has to be green before a change lands."""
    from .host import checks

    checks.run(c, fast, tuple(only or ()))


@task(
    positional=["shell"],
    help={
        "shell": "bash, zsh or fish",
        "values": "print the values of an option instead: service, only",
        "env": "environment profile (default: SLIPWAY_ENV, else dev)",
    },
    auto_shortflags=False,
)
def completion(c: Context, shell: str, values: str = "", env: str = "") -> None:
    """Print the completion script of a shell."""
    from .host import completions

    completions.run(c, shell, values, env)
