"""Checks a running environment within seconds and without side effects."""

import copy
import tempfile
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from urllib.parse import urlsplit

from ..host.output import emit_table, note
from ..host.project import Project
from ..host.reports import Run, new_run, planned_run, write_json
from ..host.runner import capture
from ..model.command import Command
from ..model.compose import docker_env
from ..model.engine.facts import Container
from ..model.errors import DeployError, InputError
from ..model.quoting import quoted
from ..model.stack import smoke as smoke_model
from ..model.stack.smoke import Check
from ..model.stack.stack import Stack
from ..model.suite import FAILED, PASSED, SKIPPED, SuiteResult
from ..model.units import show_duration
from ..reconcile import state
from .http_probe import ask
from .plan import smoke as smoke_plan
from .plan.smoke import SmokeRow

NAME = "smoke"
_SELF_SIGNED = "self-signed-certificate"
_AT_ONCE = 16  # checks in parallel
_AGAIN = 0.2  # seconds until checks that did not pass are made again


@dataclass(frozen=True)
class _Job:
    """A check and what is needed to run it.

    ``owner`` is the service that declares the check and ``container`` the id of its container, "" when it does not run.
    ``deployed`` is the version of the image and "", or "" and why the version is not known.
    """

    owner: str
    check: Check
    container: str = ""
    deployed: tuple[str, str] = ("", "")


def run(project: Project, json: bool) -> None:
    """Check an environment and report each check; raises CheckError when a check does not pass."""
    if project.runner.dry:
        execute(project, planned_run(project.settings))
        return
    _ = project.stack  # a Compose file with errors fails here, before the run is recorded
    run = new_run(project.settings)
    show(run, *_execute(project, run), json)


def show(run: Run, result: SuiteResult, rows: Sequence[SmokeRow], json: bool) -> None:
    """Report each check; raises CheckError when one does not pass."""
    from . import report as test_report

    if not json:
        _table(rows)
    test_report.report([result], run, json, more={"checks": [row.document() for row in rows]})


def execute(project: Project, run: Run) -> SuiteResult:
    """Return the result of checking the running stack once; nothing is started, changed or waited for."""
    return _execute(project, run)[0]


def assert_smoke(
    project: Project, fresh: Sequence[str] = (), stack: Stack | None = None, patience: float = 0.0
) -> None:
    """Raise DeployError when a check of the running stack fails; no report is kept.

    ``stack`` replaces the stack of the Compose files, for the deploy of an earlier release. ``fresh`` are the new
    containers of a rollout: the checks are for them, not for older containers of the same service that still run.
    ``patience``: seconds in which checks that do not pass are made again.
    """
    if project.runner.dry:
        project.runner.show("smoke: run the checks in x-slipway.smoke of the services")
        return
    if stack is not None:
        project = copy.copy(project)
        project.stack = stack
    deadline = time.monotonic() + patience
    with tempfile.TemporaryDirectory() as directory:
        run = Run("deploy", Path(directory, "deploy"))
        result, _ = _execute(project, run, fresh)
        while not result.good and time.monotonic() < deadline:
            project.engine.watch.pause(_AGAIN)
            result, _ = _execute(project, run, fresh)
    if not result.good:
        for line in result.output.splitlines():
            note(quoted(line))
        raise DeployError(f"smoke: {(result.output.splitlines() or [result.reason])[0]}")


def _execute(project: Project, run: Run, fresh: Sequence[str] = ()) -> tuple[SuiteResult, tuple[SmokeRow, ...]]:
    started = time.monotonic()
    declared = [(service.name, check) for service in project.stack.services.values() for check in service.slipway.smoke]
    if project.runner.dry:
        project.runner.show(f"smoke: ask the engine for the health of {project.stack.project}")
        for owner, check in declared:
            project.runner.show(f"smoke: {owner}: {check} from the {check.origin}, expect {check.status}")
        return SuiteResult(NAME, SKIPPED, reason="dry run"), ()
    containers = project.engine.containers(project.stack.project)
    # In the middle of a deploy some services are not created yet.
    created = {container.service for container in containers}
    later = [name for name in project.stack.services if fresh and name not in created]
    rows = [*smoke_plan.health(project.stack, containers, (*state.read(project).jobs, *later), fresh)]
    # The newest container first: requests reach it once the older one has been removed.
    newest_first = sorted(containers, key=lambda container: (container.name in fresh, container.number), reverse=True)
    jobs = [_job(project, owner, check, newest_first, fresh) for owner, check in declared]
    trusted = trusted_files(project)
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        for checked in pool.map(lambda job: _run_check(project, job, trusted), jobs):
            rows.extend(checked)
    return judged(run, rows, time.monotonic() - started), tuple(rows)


def _job(project: Project, owner: str, check: Check, containers: Sequence[Container], fresh: Sequence[str]) -> _Job:
    """Return a check with what it needs from the engine; gathered first, since the client is not thread-safe."""
    container = next((candidate.id for candidate in containers if _serves(candidate, owner)), "")
    if not check.version:
        return _Job(owner, check, container)
    service = project.stack.service(check.service)  # raises InputError for a misspelt name
    if smoke_plan.in_other_rollout(
        service, [candidate for candidate in containers if candidate.service == service.name], fresh
    ):
        return _Job(owner, check, container, ("", f"service {check.service} is being rolled out"))
    served = next((candidate for candidate in containers if _serves(candidate, check.service)), None)
    if served is None:
        return _Job(owner, check, container, ("", f"service {check.service} does not run"))
    image = project.engine.image(served.image_id)
    return _Job(owner, check, container, smoke_plan.image_version(image, served.image_reference))


def _serves(container: Container, service: str) -> bool:
    return container.service == service and container.state == "running" and not container.oneoff


def trusted_files(project: Project) -> tuple[str, ...]:
    """Return the files of certificates to trust in addition to the system's: self-signed secrets and SMOKE_CA."""
    files = [
        secret.file
        for secret in project.stack.secrets.values()
        if secret.generate == _SELF_SIGNED and Path(secret.file).is_file()
    ]
    if authority := project.profile.text("SMOKE_CA"):
        path = project.settings.project_dir / authority
        if not path.is_file():
            raise InputError(
                f"SMOKE_CA: {path}: no such file", "set it to the path of a file with certificates in PEM form"
            )
        files.append(str(path))
    return tuple(files)


def _run_check(project: Project, job: _Job, trusted: Sequence[str]) -> tuple[SmokeRow, ...]:
    answer = asked(project, job.owner, job.container, job.check, trusted)
    return smoke_plan.judge(job.check, job.owner, answer, job.deployed)


def asked(
    project: Project,
    owner: str,
    container: str,
    check: Check,
    trusted: Sequence[str],
    headers: Mapping[str, str] = MappingProxyType({}),
) -> smoke_plan.Answer:
    """Return the answer to a request from where its check says; ``container`` is the id of one of ``owner``."""
    if check.origin == smoke_model.CONTAINER:
        return _ask_inside(project, owner, container, check, headers)
    return ask(check, _connect_to(project, check), trusted, headers)


def _connect_to(project: Project, check: Check) -> str:
    """Return the host to connect to for a check of ``localhost`` when the engine is remote, else ""."""
    if project.engine.local() or not check.address.loopback:
        return ""
    return urlsplit(project.engine.address).hostname or ""


def _ask_inside(
    project: Project, owner: str, container: str, check: Check, headers: Mapping[str, str]
) -> smoke_plan.Answer:
    """Return the answer to a check from inside the container of the service; this works on every engine."""
    if not container:
        return smoke_plan.Answer(error=f"service {owner} does not run")
    service = project.stack.service(owner)
    certificates = [name for name in service.secrets if _self_signed(project, name)]
    words = smoke_plan.curl(check, f"{smoke_plan.SECRETS}/{certificates[0]}" if certificates else "", headers)
    env = docker_env(project.profile)
    started = time.monotonic()
    result = capture(Command(("docker", "exec", container, *words), env=env, timeout=check.timeout + 30))
    taken = time.monotonic() - started
    return smoke_plan.from_curl(check, result.exit_code, result.stdout, result.stderr, min(taken, check.timeout))


def _self_signed(project: Project, secret: str) -> bool:
    return secret in project.stack.secrets and project.stack.secrets[secret].generate == _SELF_SIGNED


def judged(run: Run, rows: Sequence[SmokeRow], seconds: float) -> SuiteResult:
    """Return the result of a run of checks, written into its reports."""
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


def _table(rows: Sequence[SmokeRow]) -> None:
    emit_table(
        ("SERVICE", "CHECK", "RESULT", "TIME", ""),
        [
            (row.service, row.check, row.outcome, show_duration(row.seconds) if row.seconds else "-", row.reason)
            for row in rows
        ],
    )
