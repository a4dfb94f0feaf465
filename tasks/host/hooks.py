"""Runs the hooks of a project: executables in its hooks directory."""

import os

from ..plan import hooks as planner
from ..plan.errors import CommandError, InputError, RefusedError, SlipwayError
from ..plan.hooks import AFTER, BEFORE, FAILED
from .locks import who
from .output import concealed, note
from .project import Project


def _run(project: Project, name: str, **more: str) -> None:
    """Run a hook where there is one; raises CommandError when it fails."""
    path = project.settings.hooks_dir / name
    if not path.exists():
        return
    if not path.is_file() or not os.access(path, os.X_OK):
        raise InputError(f"{project.settings.shown(path)}: is not executable", f"chmod +x {path}, or remove it")
    values = {
        "environment": project.profile.environment,
        "project": project.stack.project,
        "version": project.version.text,
        "commit": project.version.commit,
        "operator": who(),
        **more,
    }
    root = str(project.settings.root)
    project.runner.run(planner.command(str(path), root, values, project.profile.duration("HOOK_TIMEOUT")))


def before(project: Project) -> None:
    """Run ``pre-deploy``; raises RefusedError when it says no: nothing has changed then."""
    try:
        _run(project, BEFORE)
    except CommandError as error:
        raise RefusedError(f"{BEFORE} says no: {error.message}", "mend what it looks at; nothing was changed") from None


def after(project: Project, release: str) -> None:
    """Run ``post-deploy``; raises CommandError when it fails: the deploy itself stands."""
    try:
        _run(project, AFTER, release=release, outcome="deployed")
    except CommandError as error:
        raise CommandError(
            f"deployed, but {AFTER} failed: {error.message}", 1, "the new release serves; run the hook again by hand"
        ) from None


def failed(project: Project, outcome: str, reason: str) -> None:
    """Run ``on-failure``; that it fails too is said, and changes nothing."""
    try:
        _run(project, FAILED, outcome=outcome, reason=concealed(reason))
    except SlipwayError as error:
        note(f"{FAILED} failed: {error.message}")
