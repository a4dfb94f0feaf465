"""chaos.*: faults in a running stack that end by themselves, and experiments with them."""

from invoke import Context, task

_ENV = "environment to disturb; it has to be named"
_PROD = "also in production"
_DEPLOY = "also while a deploy works"
_HOST = "also what all projects of the host feel (engine-restart, registry-away)"
_JSON = "one JSON document on stdout"


@task(
    name="inject",
    help={
        "fault": "what to do: inv chaos.list names them",
        "service": "the service that has the fault",
        "env": _ENV,
        "for": "how long the fault lasts, such as 10s",
        "amount": "how much: a share such as 30%, a time such as 200ms, a size such as 4MiB (inv chaos.list)",
        "from": "only the traffic with this service (cut, loss, slow, reset)",
        "path": "the directory of a volume or tmpfs (disk-full; default: its only volume), or a certificate's file",
        "stay": "stay until the fault is over; Ctrl-C ends it",
        "allow-prod": _PROD,
        "during-deploy": _DEPLOY,
        "allow-host": _HOST,
    },
    auto_shortflags=False,
)
def inject_(
    c: Context,
    fault: str,
    service: str = "",
    env: str = "",
    for_: str = "10s",
    amount: str = "",
    from_: str = "",
    path: str = "",
    stay: bool = False,
    allow_prod: bool = False,
    during_deploy: bool = False,
    allow_host: bool = False,
) -> None:
    """Make a fault in a service; it ends by itself, also when this process is killed."""
    from .inject import Allowed, checked, run, wanted

    asked = wanted(fault, service, for_, amount, from_, path)
    allowed = Allowed(allow_prod, during_deploy, allow_host)
    run(checked(c, "chaos.inject", env, allowed), asked, allowed, stay)


@task(
    help={"env": "environment to undo the faults in; it has to be named", "service": "only the faults of this service"},
    auto_shortflags=False,
)
def stop(c: Context, env: str = "", service: str = "") -> None:
    """End the faults that are in effect, and undo what a killed helper has left."""
    from .inject import stop_all

    stop_all(c, env, service)


@task(
    name="list",
    help={"env": "also the faults that are in effect in this environment", "json": _JSON},
    auto_shortflags=False,
)
def list_(c: Context, env: str = "", json: bool = False) -> None:
    """List the faults that can be made, and with --env those that are in effect."""
    from .listing import run

    run(c, env, json)


@task(
    name="run",
    help={
        "experiment": "file of the experiment, or its name in the directory chaos of the project",
        "env": _ENV,
        "allow-python": "run Python code that the experiment names, in a process of its own",
        "allow-prod": _PROD,
        "during-deploy": _DEPLOY,
        "allow-host": _HOST,
        "json": _JSON,
    },
    auto_shortflags=False,
)
def run_(
    c: Context,
    experiment: str,
    env: str = "",
    allow_python: bool = False,
    allow_prod: bool = False,
    during_deploy: bool = False,
    allow_host: bool = False,
    json: bool = False,
) -> None:
    """Run an experiment in Chaos Toolkit's format; exit 5 when the steady state is not there, or not kept."""
    from .experiment import run
    from .inject import Allowed

    run(c, experiment, env, allow_python, Allowed(allow_prod, during_deploy, allow_host), json)


@task(
    name="report",
    help={
        "journal": "journal.json of an experiment, or a directory of journals such as reports/latest/chaos",
        "also": "a further journal or directory; may be given several times",
        "out": "where the page goes (default: report.html beside the first journal)",
        "json": _JSON,
    },
    positional=["journal"],
    iterable=["also"],
    auto_shortflags=False,
)
def report_(c: Context, journal: str, also: list[str] | None = None, out: str = "", json: bool = False) -> None:
    """Write one HTML page about experiments: faults, latency, errors and recovery over time."""
    from .report import run

    run((journal, *(also or ())), out, json)


@task(
    name="chaos",
    help={
        "env": "environment profile (default: test)",
        "experiment": "only this experiment of the directory chaos; may be given several times",
        "json": _JSON,
    },
    iterable=["experiment"],
    auto_shortflags=False,
)
def test_chaos(c: Context, env: str = "test", experiment: list[str] | None = None, json: bool = False) -> None:
    """Run the experiments of the project against a throw-away copy of the stack."""
    from .suite import run

    run(c, env, tuple(experiment or ()), json)
