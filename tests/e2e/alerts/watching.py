"""Faults in what watches a stack, on its host, and in what its deploys report."""

import time

from tasks.deploy.plan import deploy_metrics
from tasks.gitops.plan import agent_metrics
from tasks.telemetry.plan import own_metrics
from tests.e2e.support import docker

from . import quick
from .fault import PAGE, TICKET, Expected, Fault, Step, page, ticket
from .stack import Stack

# ---- The monitoring itself ------------------------------------------------------------------------------------------

_NOT_EVALUATED = """groups:
  - name: planted
    rules:
      - record: planted
        expr: up * on () up
"""


def _in_prometheus(script: str, stdin: str = "") -> Step:
    """Return a step that runs a script in Prometheus' container and has the configuration read again."""

    def step(stack: Stack) -> None:
        stack.watch_sh("prometheus", f"mkdir -p {quick.PLANTED_RULES}; cd {quick.PLANTED_RULES}; {script}", stdin)
        docker("kill", "--signal=HUP", stack.watcher("prometheus"))

    return step


PROMETHEUS = (
    Fault(
        "a rule cannot be evaluated",
        (page("PrometheusRuleFailures"),),
        _in_prometheus("cat > failing.yml", _NOT_EVALUATED),
        _in_prometheus("rm failing.yml"),
    ),
    Fault(
        "a rule file is no YAML",
        (ticket("PrometheusBadConfig"),),
        _in_prometheus("echo ']' > wrong.yml"),
        _in_prometheus("rm wrong.yml"),
    ),
)
NOTIFICATIONS = (
    Fault(
        "whoever is notified refuses some notifications",
        (page("AlertmanagerNotificationsFailing", integration="webhook"),),
        lambda stack: stack.receiver.refused.add("Watchdog"),
        lambda stack: stack.receiver.refused.discard("Watchdog"),
    ),
)
TARGET = (
    Fault(
        "an exporter is stopped",
        (page("TargetDown", job="jaeger"),),
        lambda stack: docker("stop", "-t", "1", stack.watcher("jaeger")),
        lambda stack: docker("start", stack.watcher("jaeger")),
    ),
)

# ---- The host: three small file systems, each filled to another share -----------------------------------------------

_BLOCKS = quick.SIZE // 4096


def _fill(place: str, left: int) -> Step:
    """Return a step that fills a file system until it has so many percent of its space and of its files left."""
    # The directory of what is planted is a file, too, and so is the root.
    files, blocks = quick.FILES * (100 - left) // 100 - 2, _BLOCKS * (100 - left) // 100
    script = f"mkdir {place}/full; cd {place}/full; head -c {blocks * 4096} /dev/zero > 0; i=1; "
    return lambda stack: stack.planter(f"{script} while [ $i -lt {files} ]; do : > $i; i=$((i + 1)); done")


def _empty(place: str) -> Step:
    return lambda stack: stack.planter(f"rm -r {place}/full")


def _both_kinds(severity: str, names: tuple[str, str], place: str) -> tuple[Expected, ...]:
    return tuple(Expected(f"NodeFilesystem{name}", severity, {"mountpoint": place}) for name in names)


_ALMOST = ("AlmostOutOfSpace", "AlmostOutOfFiles")
_FILLING = ("SpaceFillingUp", "FilesFillingUp")
_PAGE, _TICKET, _GROWING = quick.FILE_SYSTEMS.values()
HOST = (
    (
        Fault(
            "a file system is full",
            (*_both_kinds(PAGE, _ALMOST, _PAGE), *_both_kinds(PAGE, _FILLING, _PAGE)),
            _fill(_PAGE, 2),
            _empty(_PAGE),
        ),
    ),
    (Fault("a file system is almost full", _both_kinds(TICKET, _ALMOST, _TICKET), _fill(_TICKET, 4), _empty(_TICKET)),),
    (
        Fault(
            "a file system fills up",
            _both_kinds(TICKET, _FILLING, _GROWING),
            _fill(_GROWING, 30),
            _empty(_GROWING),
        ),
    ),
    (
        Fault(
            "a text file for node-exporter cannot be read",
            (ticket("NodeTextFileCollectorScrapeError"),),
            lambda stack: stack.planter("cat > /textfile/wrong.prom", "no metric\n"),
            lambda stack: stack.planter("rm /textfile/wrong.prom"),
        ),
    ),
)

# ---- What deploys report --------------------------------------------------------------------------------------------

_DAY = 86400.0


def _report(outcome: str, drift: int, lock: float, database: float, backup: float) -> Step:
    """Return a step that reports as the tasks do; ages are in seconds, 0 for a lock that is not held."""

    def step(stack: Stack) -> None:
        now = time.time()
        labels = {"project": stack.project, "environment": "staging"}
        text = deploy_metrics.outcome(labels, deploy_metrics.Ended(outcome, now, 9.0), ())
        text += deploy_metrics.locked(labels, now - lock if lock else 0.0)
        text += own_metrics.drift(labels, {"app": drift})
        text += own_metrics.vulnerability_database(labels, now - database) + own_metrics.backup(labels, now - backup)
        stack.planter("cat > /textfile/.planted; mv /textfile/.planted /textfile/planted.prom", text)

    return step


_WELL = _report("deployed", drift=0, lock=0, database=_DAY, backup=_DAY)
_STAGING = {"environment": "staging"}


def _agents(well: bool) -> Step:
    """Return a step that reports as the agents of four environments do, of which nothing is well, or all is."""
    doing = {"silent": "synced", "failing": "failed", "unsigned": "refused", "changed": "drifted"}

    def step(stack: Stack) -> None:
        now = time.time()
        for name, state in doing.items():
            silent = name == "silent" and not well
            report = agent_metrics.AgentReport("synced" if well else state, now - 3600 if silent else now, 60.0)
            text = agent_metrics.text({"project": stack.project, "environment": name}, report)
            stack.planter(f"cat > /textfile/.{name}; mv /textfile/.{name} /textfile/agent-{name}.prom", text)

    return step


AGENTS = (
    Fault(
        "agents of GitOps: one is silent, one's commit fails, one's is not signed, one sees drift",
        (
            ticket("GitOpsAgentSilent", environment="silent"),
            ticket("GitOpsCommitFailed", environment="failing"),
            ticket("GitOpsNotFollowing", environment="unsigned"),
            ticket("GitOpsDrift", environment="changed"),
        ),
        _agents(well=False),
        _agents(well=True),
    ),
)
DEPLOYS = (
    Fault(
        "a deploy fails and keeps its lock, a container is changed by hand, backups and scans stop",
        (
            page("DeployFailed", **_STAGING),
            ticket("DriftDetected", **_STAGING),
            ticket("DeployLockHeldTooLong", **_STAGING),
            ticket("VulnerabilityDatabaseOld"),
            ticket("DatabaseBackupTooOld", **_STAGING),
        ),
        _report("failed", drift=1, lock=3700, database=8 * _DAY, backup=2 * _DAY),
        _WELL,
    ),
    Fault(
        "a deploy is rolled back",
        (ticket("DeployRolledBack", **_STAGING),),
        _report("rolled-back", drift=0, lock=0, database=_DAY, backup=_DAY),
        _WELL,
    ),
    Fault(
        "a deploy stops halfway",
        (page("DeployPaused", **_STAGING),),
        _report("paused", drift=0, lock=0, database=_DAY, backup=_DAY),
        _WELL,
    ),
)
