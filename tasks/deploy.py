"""deploy.*: bring an environment to the state that its profile and Compose files describe."""

from invoke import Context, task

_ENV = "environment profile (default: SLIPWAY_ENV, else dev)"
_JSON = "one JSON document on stdout"
_YES = "answer the confirmation with yes"
_WAIT = "wait so long for whoever holds the deploy lock, such as 5m (default: not at all)"
_INTERRUPT = "also where services cannot be reached for a while (ALLOW_INTERRUPTION=false)"
HELP = {
    "env": _ENV,
    "yes": _YES,
    "json": _JSON,
    "build": "build even if no source has changed",
    "wait": _WAIT,
    "allow-interruption": _INTERRUPT,
    "take-over": "change a stack that was deployed from another directory",
}


def deploy(
    c: Context,
    env: str = "",
    yes: bool = False,
    build: bool = False,
    json: bool = False,
    wait: str = "",
    allow_interruption: bool = False,
    take_over: bool = False,
) -> None:
    """Build what changed, create and start what differs, wait until all is healthy."""
    from .host.project import planned

    project = planned(c, env)
    from .host import pending

    pending.run(project, yes, build, json, wait, interrupt=allow_interruption, take=take_over)


@task(
    help={"env": _ENV, "exit-code": "exit 6 when there are changes", "json": _JSON},
    auto_shortflags=False,
)
def plan(c: Context, env: str = "", exit_code: bool = False, json: bool = False) -> None:
    """Show what a deploy would change, why, and what it interrupts."""
    from .host.project import planned

    project = planned(c, env)
    from .host import plans

    plans.show_plan(project, exit_code=exit_code, json=json)


@task(help={"env": _ENV, "json": _JSON}, auto_shortflags=False)
def status(c: Context, env: str = "", json: bool = False) -> None:
    """Show services, health, image, ports, and drift from the profile."""
    from .host.project import planned

    project = planned(c, env)
    from .host import plans

    plans.status(project, json=json)


@task(
    help={"env": _ENV, "volumes": "remove the volumes too: their data is lost", "yes": _YES, "wait": _WAIT},
    auto_shortflags=False,
)
def down(c: Context, env: str = "", volumes: bool = False, yes: bool = False, wait: str = "") -> None:
    """Stop an environment and remove its containers and networks; volumes are kept."""
    from .host import operate
    from .host.project import Project

    operate.down(Project(c, env), volumes=volumes, yes=yes, wait=wait)


@task(
    help={
        "env": _ENV,
        "to": "release to go back to (default: the one before)",
        "yes": _YES,
        "json": _JSON,
        "wait": _WAIT,
        "allow-interruption": _INTERRUPT,
    },
    auto_shortflags=False,
)
def rollback(
    c: Context,
    env: str = "",
    to: int = 0,
    yes: bool = False,
    json: bool = False,
    wait: str = "",
    allow_interruption: bool = False,
) -> None:
    """Bring the release before back: nothing is built, nothing is pulled."""
    from .host import deploys
    from .host.project import Project

    deploys.rollback(Project(c, env), to, yes, json, wait, interrupt=allow_interruption)


@task(help={"env": _ENV, "json": _JSON}, auto_shortflags=False)
def history(c: Context, env: str = "", json: bool = False) -> None:
    """Show the releases of an environment, newest first."""
    from .host import plans
    from .host.project import Project

    plans.history(Project(c, env), json=json)


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
