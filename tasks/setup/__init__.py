"""This machine and this repository: set-up, readiness, checks, completion."""

from invoke import Context, task

_JSON = "one JSON document on stdout"


@task(
    name="setup",
    help={
        "all": "also what few profiles or checks need: cosign, kubectl, helm, zsh, fish, promtool, images of the "
        "monitoring, a Kubernetes cluster for tests"
    },
    auto_shortflags=False,
)
def setup_(c: Context, all: bool = False) -> None:
    """Make this machine ready: Docker, engine, base images, secrets; `setup deploy.dev` goes on."""
    from .setup import run

    run(c, all)


@task(
    name="doctor",
    help={
        "env": "environment profile (default: SLIPWAY_ENV, else dev)",
        "fix": "fix what can be fixed without loss: stale locks, test stacks and images that nothing uses",
        "json": _JSON,
    },
    auto_shortflags=False,
)
def doctor_(c: Context, env: str = "", fix: bool = False, json: bool = False) -> None:
    """Is this machine ready? Each finding with its fix; exit 3 when something that is needed is missing."""
    from .doctor import run

    run(c, env, fix, json)


@task(
    name="check",
    help={
        "fast": "lint, types and unit tests only: no engine needed",
        "only": "only this step; may be given several times",
    },
    iterable=["only"],
    auto_shortflags=False,
)
def check_(c: Context, fast: bool = False, only: list[str] | None = None) -> None:
    """Lint and test this repository: what has to pass before a change is merged."""
    from .check import run

    run(c, fast, tuple(only or ()))


@task(
    name="completion",
    positional=["shell"],
    help={
        "shell": "bash, zsh or fish (default: the shell that SHELL names)",
        "install": "write the script to where the shell finds it",
        "values": "print the values of an option instead: service, release, only",
        "env": "environment profile (default: SLIPWAY_ENV, else dev)",
    },
    auto_shortflags=False,
)
def completion_(c: Context, shell: str, install: bool = False, values: str = "", env: str = "") -> None:
    """Print the completion script of a shell, or install it."""
    from .completion import run

    run(c, shell, values, env, install)


@task(
    help={"env": "environment profile (default: SLIPWAY_ENV, else dev)", "force": "make the root file system again"},
    auto_shortflags=False,
)
def bases(c: Context, env: str = "", force: bool = False) -> None:
    """Build stand-in base images from distribution packages, for a machine that reaches no registry."""
    from ..host.project import Project
    from .base_images import bases

    bases(Project(c, env), force)
