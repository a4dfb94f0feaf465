"""Verifies a running environment in seconds and without side effects."""

import copy
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from invoke import Context

from ..plan import smoke as planner
from ..plan.command import Command
from ..plan.errors import DeployError, InputError
from ..plan.facts import Container
from ..plan.quoting import quoted
from ..plan.secret import reveal
from ..plan.smoke import Check, Row
from ..plan.stack import Stack
from ..plan.suites import FAILED, PASSED, SKIPPED, SuiteResult
from ..plan.units import show_duration
from . import states
from .asking import ask
from .output import emit_table, note
from .project import Project
from .reports import Run, new_run, planned_run, write_json
from .runner import capture

NAME = "smoke"
_SELF_SIGNED = "self-signed-certificate"
_AT_ONCE = 16


@dataclass(frozen=True)
class _Job:
    """A check, the service that declares it, and what is needed to ask."""

    owner: str
    check: Check
    container: str = ""
    deployed: tuple[str, str] = ("", "")


def run(c: Context, env: str, json: bool) -> None:
    """Check an environment and report each check; raises CheckError when one does not pass."""
    from . import testing

    project = Project(c, env)
    if project.runner.dry:
        execute(project, planned_run(project.settings))
        return
    _ = project.stack  # a Compose file that is not understood makes no run
    run = new_run(project.settings)
    result, rows = _execute(project, run)
    if not json:
        _table(rows)
    testing.report([result], run, json, more={"checks": [row.document() for row in rows]})


def execute(project: Project, run: Run) -> SuiteResult:
    """Check the running stack of a project once, as it is; starts, changes and waits for nothing."""
    return _execute(project, run)[0]


def hold(project: Project, fresh: Sequence[str] = (), stack: Stack | None = None) -> None:
    """Raise DeployError when the running stack does not answer as its services declare; keeps no report.

    ``stack`` is what is to run, where that is not what the files say: an earlier release.

    ``fresh`` are the containers that have just taken over: where older ones of their service run beside them, it is
    these that answers are held against.
    """
    if project.runner.dry:
        project.runner.show("smoke: ask what the stack declares in x-slipway.smoke")
        return
    if stack is not None:
        project = copy.copy(project)
        project.stack = stack
    with tempfile.TemporaryDirectory() as directory:
        result, _ = _execute(project, Run("deploy", Path(directory, "deploy")), fresh)
    if not result.good:
        for line in result.output.splitlines():
            note(quoted(line))
        raise DeployError(f"smoke: {(result.output.splitlines() or [result.reason])[0]}")


def _execute(project: Project, run: Run, fresh: Sequence[str] = ()) -> tuple[SuiteResult, tuple[Row, ...]]:
    started = time.monotonic()
    declared = [(one.name, check) for one in project.stack.services.values() for check in one.slipway.smoke]
    if project.runner.dry:
        project.runner.show(f"smoke: ask the engine for the health of {project.stack.project}")
        for owner, check in declared:
            project.runner.show(f"smoke: {owner}: {check} from the {check.origin}, expect {check.status}")
        return SuiteResult(NAME, SKIPPED, reason="dry run"), ()
    containers = project.engine.containers(project.stack.project)
    # In the middle of a deploy there are services whose turn has not come.
    there = {one.service for one in containers}
    later = [name for name in project.stack.services if fresh and name not in there]
    rows = [*planner.health(project.stack, containers, (*states.read(project).jobs, *later))]
    # The newest first: it is what requests reach once an older one beside it has been taken out.
    asked = sorted(containers, key=lambda one: (one.name in fresh, one.number), reverse=True)
    jobs = [_job(project, owner, check, asked) for owner, check in declared]
    trusted = _trusted(project)
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        for found in pool.map(lambda job: _carry_out(project, job, trusted), jobs):
            rows.extend(found)
    return _result(run, rows, time.monotonic() - started), tuple(rows)


def _job(project: Project, owner: str, check: Check, containers: Sequence[Container]) -> _Job:
    """Gather what a check needs of the engine; done before any is asked, since the client is for one thread."""
    container = next((one.id for one in containers if _serves(one, owner)), "")
    if not check.version:
        return _Job(owner, check, container)
    project.stack.service(check.service)  # a misspelt name is said, not skipped
    served = next((one for one in containers if _serves(one, check.service)), None)
    if served is None:
        return _Job(owner, check, container, ("", f"service {check.service} does not run"))
    image = project.engine.image(served.image_id)
    return _Job(owner, check, container, planner.carried_version(image, served.image_reference))


def _serves(container: Container, service: str) -> bool:
    return container.service == service and container.state == "running" and not container.oneoff


def _trusted(project: Project) -> tuple[str, ...]:
    """Return what is trusted beside the system: certificates declared as self-signed, and those of SMOKE_CA."""
    known = [
        one.file for one in project.stack.secrets.values() if one.generate == _SELF_SIGNED and Path(one.file).is_file()
    ]
    if authority := project.profile.text("SMOKE_CA"):
        path = project.settings.project_dir / authority
        if not path.is_file():
            raise InputError(f"SMOKE_CA: {path}: no such file", "name a file with certificates in PEM form")
        known.append(str(path))
    return tuple(known)


def _carry_out(project: Project, job: _Job, trusted: Sequence[str]) -> tuple[Row, ...]:
    if job.check.origin == planner.CONTAINER:
        answer = _ask_inside(project, job)
    else:
        answer = ask(job.check, _connect_to(project, job.check), trusted)
    return planner.judge(job.check, job.owner, answer, job.deployed)


def _connect_to(project: Project, check: Check) -> str:
    """Return the host of a remote engine where a check asks what it publishes on ``localhost``, else ""."""
    if project.engine.local() or not check.address.loopback:
        return ""
    return urlsplit(project.engine.address).hostname or ""


def _ask_inside(project: Project, job: _Job) -> planner.Answer:
    """Ask from inside the container of the service that declares the check: works on every engine."""
    if not job.container:
        return planner.Answer(error=f"service {job.owner} does not run")
    service = project.stack.service(job.owner)
    own = [name for name in service.secrets if _self_signed(project, name)]
    words = planner.curl(job.check, f"{planner.SECRETS}/{own[0]}" if own else "")
    env = {key: reveal(value) for key, value in project.profile.compose_env().items() if key.startswith("DOCKER_")}
    started = time.monotonic()
    found = capture(Command(("docker", "exec", job.container, *words), env=env, timeout=job.check.timeout + 30))
    taken = time.monotonic() - started
    return planner.from_curl(job.check, found.exit_code, found.stdout, found.stderr, min(taken, job.check.timeout))


def _self_signed(project: Project, secret: str) -> bool:
    return secret in project.stack.secrets and project.stack.secrets[secret].generate == _SELF_SIGNED


def _result(run: Run, rows: Sequence[Row], seconds: float) -> SuiteResult:
    report = run.suite(NAME) / "result.json"
    write_json(report, {"schema": "slipway/test.smoke/v1", "checks": [row.document() for row in rows]})
    bad = [row for row in rows if row.outcome == FAILED]
    return SuiteResult(
        NAME,
        FAILED if bad else PASSED,
        tests=len(rows),
        failures=len(bad),
        skipped=sum(row.outcome == SKIPPED for row in rows),
        seconds=seconds,
        reports=(run.relative(report),),
        reason=f"{len(bad)} of {len(rows)} checks" if bad else "",
        output="\n".join(f"{row.service}: {row.check}: {row.reason}" for row in bad),
    )


def _table(rows: Sequence[Row]) -> None:
    emit_table(
        ("SERVICE", "CHECK", "RESULT", "TIME", ""),
        [
            (row.service, row.check, row.outcome, show_duration(row.seconds) if row.seconds else "-", row.reason)
            for row in rows
        ],
    )
