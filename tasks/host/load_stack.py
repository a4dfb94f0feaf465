"""A stack of its own for a load test: brought up, used, and removed however the test ends."""

import contextlib
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from invoke import Context

from ..plan import smoke
from ..plan.build import Options
from ..plan.compose import build_files, compose
from ..plan.deploy import refuse_missing_secrets
from ..plan.errors import CheckError, CommandError
from ..plan.suites import FAILED
from . import boxes, builds
from .output import note
from .project import Project
from .reports import Run
from .runner import capture

LOG = "stack.log"
_LABEL = "slipway.load.holder"


class NotServingError(CommandError):
    """The stack did not become healthy; what its containers printed is in ``LOG`` of the suite's directory."""


@contextlib.contextmanager
def own_stack(c: Context, project: Project, kind: str, run: Run) -> Iterator[Project]:
    """Bring up a copy of a project's stack under a project name of its own, and remove it with its volumes.

    Raises NotServingError when the copy does not become healthy.
    """
    refuse_missing_secrets(project.stack, project.profile, project.missing_secrets(project.stack))
    name = f"{project.stack.project}-{kind}-{run.id}"
    images = builds.plan(project, Options(), only_changed=True)
    if images.command is not None:
        builds.carry_out(project, images)
    stack = Project(c, project.profile.environment, {"COMPOSE_PROJECT_NAME": name})
    if not project.runner.dry:
        _remove_stale(project, kind)
    try:
        _up(stack, run, kind)
        yield stack
    finally:
        _down(stack)


def _up(stack: Project, run: Run, kind: str) -> None:
    labels = {"labels": {_LABEL: boxes.holder()}}
    override = json.dumps({"services": {name: labels for name in stack.stack.services}})
    files = [word for file in (*build_files(stack.profile), "-") for word in ("-f", file)]
    timeout = int(stack.profile.duration("HEALTH_TIMEOUT")) or 60
    words = ("up", "--detach", "--no-build", "--quiet-pull", "--wait", f"--wait-timeout={timeout}")
    command = compose(stack.profile, *files, *words, cwd=stack.cwd, reason=f"a stack of its own: {stack.stack.project}")

    def explain(_code: int, output: str) -> NotServingError:
        return _explained(stack, run.suite(kind) / LOG, output)

    stack.runner.run(replace(command, stdin=override), explain)


def _explained(stack: Project, log: Path, output: str) -> NotServingError:
    """Return what is wrong with the stack, what Compose and the containers said written to a log."""
    containers = stack.engine.containers(stack.stack.project)
    logs = capture(compose(stack.profile, "logs", "--no-color", "--tail=50", cwd=stack.cwd))
    log.write_text(f"{output.rstrip()}\n{logs.stdout}{logs.stderr}", encoding="utf-8")
    bad = [f"{row.service}: {row.reason}" for row in smoke.health(stack.stack, containers) if row.outcome == FAILED]
    # Where a container could not even start, Compose has said why.
    said = output.strip().splitlines()[-1:] if any(one.state == "created" for one in containers) else []
    reason = "; ".join([*said, *bad]) if containers else (output.strip().splitlines() or ["no message"])[-1].strip()
    message = f"the stack did not become healthy: {reason}"
    return NotServingError(message, CheckError.exit_code, f"see {log}")


def _down(stack: Project) -> None:
    words = ("down", "--volumes", "--remove-orphans", "--timeout=5")
    stack.runner.run(compose(stack.profile, *words, cwd=stack.cwd, reason=f"remove {stack.stack.project}"))


def _remove_stale(project: Project, kind: str) -> None:
    """Remove the stacks whose process was killed before it could."""
    prefix = f"{project.stack.project}-{kind}-"
    stale = {
        one.project
        for one in project.engine.labelled(_LABEL)
        if one.project.startswith(prefix) and boxes.gone(project.engine.label(one.id, _LABEL))
    }
    for name in sorted(stale):
        note(f"{name}: left behind by a test that was killed, removed")
        words = ("-p", name, "down", "--volumes", "--remove-orphans", "--timeout=5")
        project.runner.run(compose(project.profile, *words, cwd=project.cwd))
