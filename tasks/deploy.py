"""deploy.*: bring an environment to the state that its profile and Compose files describe."""

from invoke import Context, task

_ENV = "environment profile (default: SLIPWAY_ENV, else dev)"
_JSON = "one JSON document on stdout"
_YES = "answer the confirmation with yes"
_WAIT = "wait so long for whoever holds the deploy lock, such as 5m (default: not at all)"
HELP = {"env": _ENV, "yes": _YES, "json": _JSON, "build": "build even if no source has changed", "wait": _WAIT}


def deploy(
    c: Context, env: str = "", yes: bool = False, build: bool = False, json: bool = False, wait: str = ""
) -> None:
    """Build what changed, create and start what differs, wait until all is healthy."""
    from .host import deploys
    from .host.project import Project

    deploys.run(Project(c, env), yes=yes, build=build, json=json, wait=wait)


@task(
    help={"env": _ENV, "exit-code": "exit 6 when there are changes", "json": _JSON},
    auto_shortflags=False,
)
def plan(c: Context, env: str = "", exit_code: bool = False, json: bool = False) -> None:
    """Show what a deploy would change, and why."""
    from .host import deploys
    from .host.project import Project

    deploys.show_plan(Project(c, env), exit_code=exit_code, json=json)


@task(help={"env": _ENV, "json": _JSON}, auto_shortflags=False)
def status(c: Context, env: str = "", json: bool = False) -> None:
    """Show services, health, image, ports, and drift from the profile."""
    from .host import deploys
    from .host.project import Project

    deploys.status(Project(c, env), json=json)


@task(
    help={"env": _ENV, "volumes": "remove the volumes too: their data is lost", "yes": _YES, "wait": _WAIT},
    auto_shortflags=False,
)
def down(c: Context, env: str = "", volumes: bool = False, yes: bool = False, wait: str = "") -> None:
    """Stop an environment and remove its containers and networks; volumes are kept."""
    from .host import deploys
    from .host.project import Project

    deploys.down(Project(c, env), volumes=volumes, yes=yes, wait=wait)


@task(
    help={
        "env": _ENV,
        "to": "release to go back to (default: the one before)",
        "yes": _YES,
        "json": _JSON,
        "wait": _WAIT,
    },
    auto_shortflags=False,
)
def rollback(c: Context, env: str = "", to: int = 0, yes: bool = False, json: bool = False, wait: str = "") -> None:
    """Bring the release before back: nothing is built, nothing is pulled."""
    from .host import deploys
    from .host.project import Project

    deploys.rollback(Project(c, env), wanted=to, yes=yes, json=json, wait=wait)


@task(help={"env": _ENV, "json": _JSON}, auto_shortflags=False)
def history(c: Context, env: str = "", json: bool = False) -> None:
    """Show the releases of an environment, newest first."""
    from .host import deploys
    from .host.project import Project

    deploys.history(Project(c, env), json=json)


@task(help={"env": _ENV, "yes": _YES}, auto_shortflags=False)
def unlock(c: Context, env: str = "", yes: bool = False) -> None:
    """Break the deploy lock of an environment."""
    from .host import locks
    from .host.project import Project

    locks.unlock(Project(c, env), yes=yes)


@task(help={"env": _ENV, "state": "on or off"}, auto_shortflags=False)
def maintenance(c: Context, state: str, env: str = "") -> None:
    """Let the proxy answer 503 with Retry-After (on), or serve again (off)."""
    from .host import maintenance as page
    from .host.project import Project
    from .plan.maintenance import wanted

    page.switch(Project(c, env), wanted(state))
