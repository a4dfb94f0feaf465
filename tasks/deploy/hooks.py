"""Runs the hooks of a project: executables in its hooks directory."""

import os

from ..host.lock import user_at_host
from ..host.output import mask_secrets, note
from ..host.project import Project
from ..model.errors import CommandError, InputError, RefusedError, SlipwayError
from .plan import hooks
from .plan.hooks import AFTER, BEFORE, FAILED


def _run(project: Project, name: str, **more: str) -> None:
    """Run a hook if the project has it; raises CommandError when it fails, InputError when it is not executable."""
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
        "operator": user_at_host(),
        **more,
    }
    root = str(project.settings.root)
    project.runner.run(hooks.command(str(path), root, values, project.profile.duration("HOOK_TIMEOUT")))


def before(project: Project) -> None:
    """Run ``pre-deploy``; raises RefusedError when it fails: nothing has changed by then."""
    try:
        _run(project, BEFORE)
    except CommandError as error:
        raise RefusedError(
            f"{BEFORE} says no: {error.message}", "fix what the hook checks and deploy again; nothing was changed"
        ) from None


def after(project: Project, release: str) -> None:
    """Run ``post-deploy``; raises CommandError when it fails: the new release serves all the same."""
    try:
        _run(project, AFTER, release=release, outcome="deployed")
    except CommandError as error:
        raise CommandError(
            f"deployed, but {AFTER} failed: {error.message}", 1, "the new release serves; run the hook again by hand"
        ) from None


def failed(project: Project, outcome: str, reason: str) -> None:
    """Run ``on-failure``; when the hook fails as well, that is only printed."""
    try:
        _run(project, FAILED, outcome=outcome, reason=mask_secrets(reason))
    except SlipwayError as error:
        note(f"{FAILED} failed: {error.message}")
