"""kube.*: what a Compose project is on Kubernetes."""

from invoke import Context, task

_ENV = "environment profile (default: SLIPWAY_ENV, else dev)"
_JSON = "one JSON document on stdout"


@task(
    name="render",
    help={"env": _ENV, "out": "directory to write, with a base and an overlay per environment"},
    auto_shortflags=False,
)
def render_(c: Context, env: str = "", out: str = "") -> None:
    """Write the Kubernetes objects of an environment as a directory for `kubectl apply -k`."""
    from ..host.project import Project

    project = Project(c, env)  # Compose works while the rest is loaded
    from .render import run

    run(project, out)


@task(
    name="report",
    help={"env": _ENV, "all": "also the keys that are translated as they are", "json": _JSON},
    auto_shortflags=False,
)
def report_(c: Context, env: str = "", all: bool = False, json: bool = False) -> None:
    """Tell what becomes of each key of the Compose files on Kubernetes; exit 2 when one is refused."""
    from ..host.project import Project

    project = Project(c, env)  # Compose works while the rest is loaded
    from .report import run

    run(project, all, json)


@task(
    name="autoscale",
    help={"env": _ENV, "service": "only this service; may be given several times", "json": _JSON},
    iterable=["service"],
    auto_shortflags=False,
)
def autoscale_(c: Context, env: str = "", service: list[str] | None = None, json: bool = False) -> None:
    """Tell how many Pods services that scale have and may have; exit 5 when an autoscaler does not work."""
    from ..host.project import Project
    from .live.autoscale import run

    run(Project(c, env), tuple(service or ()), json)


@task(
    name="check",
    help={
        "env": _ENV,
        "security": "level of Pod Security: restricted, baseline or privileged",
        "offline": "only what needs neither registry nor cluster: schemas, Pod Security",
        "json": _JSON,
    },
    auto_shortflags=False,
)
def check_(c: Context, env: str = "", security: str = "restricted", offline: bool = False, json: bool = False) -> None:
    """Would a cluster take an environment? Schemas, Pod Security, images, dry run; exit 5 when not."""
    from ..host.project import Project
    from .check import run
    from .translated import rendered

    project = Project(c, env)
    run(project, rendered(project).objects, security, offline, json)
