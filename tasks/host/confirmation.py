"""Asks for confirmation before a protected environment is changed."""

from .output import confirm
from .project import Project


def confirm_change(project: Project, what: str, yes: bool) -> None:
    """Ask for confirmation where the profile says CONFIRM_DEPLOY=true; raises RefusedError without a yes."""
    if project.profile.flag("CONFIRM_DEPLOY") and not project.runner.dry:
        confirm(f"{what} {project.profile.environment} ({project.stack.project})", yes)
