"""Carries deploys out: facts, plan, lock, steps, and the truth about how it ended."""

import os
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from datetime import UTC, datetime
from typing import Any

from ..plan import build as build_planner
from ..plan import deploy as planner
from ..plan.command import Command
from ..plan.compose import compose
from ..plan.errors import CommandError, DeployError, RefusedError, SlipwayError
from ..plan.facts import Container
from ..plan.lock import Lock, stale
from ..plan.stack import Stack
from ..plan.status import rows
from ..plan.units import show_duration
from . import builds, machine
from .output import confirm, emit_json, emit_table, note
from .project import Project

_LOG_LINES = 15
_SETTLE = 1.0  # seconds


def plan(project: Project, build: bool = False) -> planner.Plan:
    """Gather every fact that a deploy is decided on, and return its plan.

    With ``build`` all images are handed to BuildKit, whether or not their sources changed.
    """
    project.start_hashes()
    stack = project.stack
    images = builds.plan(project, build_planner.Options(), only_changed=not build)
    facts = project.engine.facts(stack.project, {one.image for one in stack.services.values()})
    return planner.plan(
        stack,
        project.profile,
        images,
        planner.Facts(
            engine=facts,
            hashes=project.hashes(),
            missing_secrets=project.missing_secrets(stack),
            taken_ports=_taken_ports(project, stack, facts.containers),
            replaced=project.mounted_files(stack),
        ),
        project.cwd,
    )


def _taken_ports(project: Project, stack: Stack, containers: tuple[Container, ...]) -> tuple[int, ...]:
    """Return the ports that a service wants and a stranger has; the project's own containers do not count."""
    if not project.engine.local():
        return ()
    own = {text.partition("->")[0].rpartition(":")[2] for one in containers for text in one.ports}
    wanted = [port for service in stack.services.values() for port in service.ports if str(port.published) not in own]
    return machine.taken_ports(wanted)


def run(project: Project, yes: bool, build: bool, json: bool) -> None:
    """Deploy an environment; raises DeployError (exit code 4) when it began and failed."""
    deploy = plan(project, build)
    _orphans_note(deploy)
    if not deploy.steps:
        _nothing_to_do(project, deploy, json)
        return
    if project.profile.flag("CONFIRM_DEPLOY") and not project.runner.dry:
        _show_changes(deploy)
        confirm(f"deploy {project.profile.environment} ({project.stack.project})", yes)
    done: list[dict[str, Any]] = []
    outcome = "failed"
    try:
        with nullcontext() if project.runner.dry else _locked(project, "deploy"):
            for step in deploy.steps:
                _carry_out(project, step, done)
        outcome = "deployed"
    finally:
        if json and not project.runner.dry:
            _document(project, outcome, done)
    if not project.runner.dry:
        note(f"deployed {project.stack.project}: {', '.join(one.service for one in deploy.changed)}")


def _nothing_to_do(project: Project, deploy: planner.Plan, json: bool) -> None:
    if json:
        _document(project, "unchanged", [])
        return
    message = f"{project.stack.project}: nothing to do, {len(deploy.changes)} services unchanged and healthy"
    project.runner.show(message) if project.runner.dry else note(message)


def _document(project: Project, outcome: str, steps: list[dict[str, Any]]) -> None:
    emit_json(
        {
            "schema": "slipway/deploy/v1",
            "environment": project.profile.environment,
            "release": project.version.text,
            "outcome": outcome,
            "steps": steps,
        }
    )


def _carry_out(project: Project, step: planner.Step, done: list[dict[str, Any]]) -> None:
    started = time.monotonic()
    entry: dict[str, Any] = {"name": step.name, "seconds": 0.0, "outcome": "failed"}
    done.append(entry)
    try:
        if step.name == "build":
            _build(project, step.command)
        elif step.name == "wait" and not project.runner.dry:
            _wait(project)
        else:
            _up(project, step.command)
        entry["outcome"] = "done"
    finally:
        entry["seconds"] = round(time.monotonic() - started, 3)


def _build(project: Project, command: Command) -> None:
    try:
        builds.carry_out(project, build_planner.BuildPlan((), command, {}))
    except CommandError as error:
        raise DeployError(error.message, f"{error.hint}; what ran before still runs") from None


def _up(project: Project, command: Command) -> None:
    def explain(code: int, _output: str) -> CommandError | None:
        machine.refuse_unfit_tools()
        return None

    try:
        project.runner.run(command, explain)
    except CommandError as error:
        _blame(project, error.message)


def _wait(project: Project) -> None:
    stack = project.stack
    timeout = project.profile.duration("HEALTH_TIMEOUT")
    started = time.monotonic()
    while True:
        left = max(timeout - (time.monotonic() - started), 0.0)
        word = project.engine.wait(stack.project, lambda containers: planner.verdict(stack, containers), left)
        if word != "ready":
            reason = f"not healthy within {show_duration(timeout)} (HEALTH_TIMEOUT)" if word == "timeout" else word
            _blame(project, reason)
        if settled(project, stack):
            break
    note(f"healthy after {show_duration(time.monotonic() - started)}")


def settled(project: Project, stack: Stack) -> bool:
    """Whether services without a health check still run after a moment: "running" alone is no sign of health."""
    if all(one.health_check or stack.one_off(one) for one in stack.services.values()):
        return True

    def judge(containers: tuple[Container, ...]) -> str:
        word = planner.verdict(stack, containers)
        return "" if word == "ready" else word or "not ready"

    return project.engine.wait(stack.project, judge, _SETTLE) == "timeout"


def _blame(project: Project, reason: str) -> None:
    """Show the last words of what failed, and raise the DeployError that names it."""
    stack = project.stack
    guilty = planner.failed_containers(stack, project.engine.containers(stack.project))
    for one in guilty:
        note(f"--- last lines of {one.name} ({one.state}{', ' + one.health if one.health else ''}):")
        for line in project.engine.logs(one.id, _LOG_LINES).splitlines():
            note(f"    {line}")
    names = ", ".join(one.name for one in guilty)
    raise DeployError(
        f"deploy of {stack.project} failed: {reason}{f' ({names})' if names and names not in reason else ''}",
        f"`inv deploy.status --env {project.profile.environment}` shows what serves now; nothing was rolled back",
    )


def _orphans_note(deploy: planner.Plan) -> None:
    if deploy.orphans:
        note(f"containers of services that are no longer in the Compose files: {', '.join(deploy.orphans)}")
        note("  hint: `docker compose up --remove-orphans` or `inv clean` removes them")


@contextmanager
def _locked(project: Project, reason: str) -> Iterator[None]:
    """Hold the deploy lock; raises RefusedError that names its holder."""
    name = project.stack.project
    lock = Lock(
        project=name,
        holder=os.environ.get("USER") or str(os.getuid()),
        host=socket.gethostname(),
        pid=os.getpid(),
        since=datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        reason=reason,
    )
    held = project.engine.take_lock(lock)
    if held and stale(held, lock.host, _alive(held.pid)):
        note(f"took over the lock that {held.holder}@{held.host} left at {held.since}: that process is gone")
        project.engine.drop_lock(name)
        held = project.engine.take_lock(lock)
    if held:
        raise RefusedError(
            f"{name} is locked by {held.holder}@{held.host} since {held.since} ({held.reason})",
            f"wait for it; if it is gone for sure: inv deploy.unlock --env {project.profile.environment}",
        )
    try:
        yield
    finally:
        project.engine.drop_lock(name)


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True


def unlock(project: Project, yes: bool) -> None:
    """Break the deploy lock after a confirmation."""
    held = project.engine.lock(project.stack.project)
    if held is None:
        note(f"{project.stack.project} is not locked")
        return
    if project.runner.dry:
        project.runner.show(f"remove the lock of {held.holder}@{held.host} since {held.since}")
        return
    confirm(f"break the lock of {held.holder}@{held.host} since {held.since}", yes)
    project.engine.drop_lock(project.stack.project)
    note(f"{project.stack.project} is unlocked")


def _show_changes(deploy: planner.Plan) -> None:
    for one in deploy.changed:
        note(f"  {one.action} {one.service}: {'; '.join(one.causes)}")


def show_plan(project: Project, exit_code: bool, json: bool) -> None:
    """Report what a deploy would change; with ``exit_code`` ends with 6 when there is something."""
    deploy = plan(project)
    if json:
        changes = [{"service": one.service, "action": one.action, "causes": list(one.causes)} for one in deploy.changes]
        emit_json({"schema": "slipway/deploy.plan/v1", "environment": project.profile.environment, "changes": changes})
    else:
        emit_table(
            ("SERVICE", "ACTION", "WHY"), [(one.service, one.action, "; ".join(one.causes)) for one in deploy.changes]
        )
    _orphans_note(deploy)
    if exit_code and deploy.changed:
        raise PendingChanges(f"{len(deploy.changed)} services would change")


class PendingChanges(SlipwayError):
    """``deploy.plan --exit-code`` found changes."""

    exit_code = 6


def status(project: Project, json: bool) -> None:
    """Report the services of an environment as the engine has them."""
    project.start_hashes()
    stack = project.stack
    facts = project.engine.facts(stack.project, {one.image for one in stack.services.values()})
    full = tuple(one for listed in facts.containers if (one := project.engine.inspect(listed.id)) is not None)
    services = rows(
        stack, planner.Facts(engine=facts, hashes=project.hashes(), replaced=project.mounted_files(stack)), full
    )
    if json:
        emit_json(
            {
                "schema": "slipway/deploy.status/v1",
                "environment": project.profile.environment,
                "release": None,
                "services": services,
            }
        )
        return
    emit_table(
        ("SERVICE", "STATE", "HEALTH", "IMAGE", "REPLICAS", "PORTS", "STARTED", "DRIFT"),
        [
            (
                one["service"],
                one["state"],
                one["health"] or "-",
                one["image"],
                one["replicas"],
                " ".join(one["ports"]) or "-",
                one["started"] or "-",
                "; ".join(one["drift"]) or "-",
            )
            for one in services
        ],
    )


def down(project: Project, volumes: bool, yes: bool) -> None:
    """Remove the containers and networks of an environment; its volumes only when asked and confirmed."""
    words = ("down", "--remove-orphans", *(["--volumes"] if volumes else []))
    command = compose(project.profile, *words, cwd=project.cwd, reason=f"stop {project.stack.project}")
    if project.runner.dry:
        project.runner.run(command)
        return
    names = ", ".join(one.name for one in project.engine.volumes(project.stack.project)) if volumes else ""
    if names:
        confirm(f"remove the volumes {names} of {project.stack.project} and their data", yes)
    with _locked(project, "down"):
        project.runner.run(command)
