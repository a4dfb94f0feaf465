"""deploy.*: bring an environment to the state that its profile and Compose files describe."""

from invoke import Context, task

_ENV = "environment profile (default: SLIPWAY_ENV, else dev)"
_JSON = "one JSON document on stdout"
_YES = "answer the confirmation with yes"
_WAIT = "how long to wait for the deploy lock, such as 5m (default: not at all)"
_INTERRUPT = "deploy although services cannot be reached for a while (ALLOW_INTERRUPTION=false)"
HELP = {
    "env": _ENV,
    "yes": _YES,
    "json": _JSON,
    "build": "build even if no source has changed",
    "wait": _WAIT,
    "allow-interruption": _INTERRUPT,
    "take-over": "change a stack that was deployed from another directory",
    "rehearse": "deploy it here under a name of its own, with development secrets and free ports",
    "plan": "carry out the plan in this file (deploy.plan --out), and no other",
}


def deploy_(
    c: Context,
    env: str = "",
    yes: bool = False,
    build: bool = False,
    json: bool = False,
    wait: str = "",
    allow_interruption: bool = False,
    take_over: bool = False,
    rehearse: bool = False,
    plan: str | None = None,
) -> None:
    """Build what changed, create and start what differs, wait until all is healthy."""
    if rehearse:
        from ..env.rehearsal import project_for_plan
    else:
        from ..host.project import project_for_plan
    project = project_for_plan(c, env)
    from .deploy import run

    run(project, yes, build, json, wait, interrupt=allow_interruption, take=take_over, plan=plan)


@task(
    name="plan",
    help={
        "env": _ENV,
        "exit-code": "exit 6 when there are changes",
        "json": _JSON,
        "out": "write the plan to this file, for deploy.ENVIRONMENT --plan",
    },
    auto_shortflags=False,
)
def plan_(c: Context, env: str = "", exit_code: bool = False, json: bool = False, out: str | None = None) -> None:
    """Show what a deploy would change, why, and what it interrupts."""
    from ..host.project import project_for_plan

    project = project_for_plan(c, env)
    if project.clustered:
        from ..kube.live.asked import ask

        asked = ask(project) if out is None else None  # it answers while Python loads the rest
        from .cluster.show import plan

        plan(project, exit_code=exit_code, json=json, out=out, asked=asked)
        return
    from .show_plan import run

    run(project, exit_code=exit_code, json=json, out=out)


@task(
    name="status",
    help={"env": _ENV, "tell": "tell monitoring of drift, and how old backups are: for cron", "json": _JSON},
    auto_shortflags=False,
)
def status_(c: Context, env: str = "", tell: bool = False, json: bool = False) -> None:
    """Show services, health, image, ports, and drift from the profile."""
    from ..host.project import project_for_plan

    project = project_for_plan(c, env)
    if project.clustered:
        from .cluster.show import status
    else:
        from .status import status
    status(project, json=json, tell=tell)


@task(
    name="down",
    help={"env": _ENV, "volumes": "remove the volumes too: their data is lost", "yes": _YES, "wait": _WAIT},
    auto_shortflags=False,
)
def down_(c: Context, env: str = "", volumes: bool = False, yes: bool = False, wait: str = "") -> None:
    """Stop an environment and remove its containers and networks; volumes are kept."""
    from ..host.project import Project

    project = Project(c, env)
    if project.clustered:
        from .cluster.leave import down
    else:
        from .down import down
    down(project, volumes=volumes, yes=yes, wait=wait)


@task(
    help={
        "env": _ENV,
        "to": "release to go back to (default: the release before)",
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
    """Go back to the release before: nothing is built, nothing is pulled."""
    from ..host.project import Project

    project = Project(c, env)
    if project.clustered:
        from .cluster.leave import rollback
    else:
        from .carry_out import rollback
    rollback(project, to, yes, json, wait, interrupt=allow_interruption)


@task(help={"env": _ENV, "json": _JSON}, auto_shortflags=False)
def history(c: Context, env: str = "", json: bool = False) -> None:
    """Show the releases of an environment, newest first."""
    from ..host.project import Project

    project = Project(c, env)
    if project.clustered:
        from .cluster.show import history
    else:
        from .status import history
    history(project, json=json)


@task(help={"env": _ENV, "yes": _YES}, auto_shortflags=False)
def unlock(c: Context, env: str = "", yes: bool = False) -> None:
    """Break the deploy lock of an environment."""
    from ..host.project import Project

    project = Project(c, env)
    if project.clustered:
        from .cluster.leave import unlock
    else:
        from ..host.lock import unlock
    unlock(project, yes=yes)


@task(name="maintenance", help={"env": _ENV, "state": "on or off"}, auto_shortflags=False)
def maintenance_(c: Context, state: str, env: str = "") -> None:
    """Let the proxy answer 503 with Retry-After (on), or serve again (off)."""
    from ..host.project import Project
    from .maintenance import switch
    from .plan.maintenance import parse_state

    switch(Project(c, env), parse_state(state))
