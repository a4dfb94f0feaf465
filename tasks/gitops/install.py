"""Writes the systemd unit of an agent."""

from pathlib import Path

from ..host import lock
from ..host.output import emit, note
from ..host.profile.settings import section_of
from ..host.profile.text_files import replace_text
from ..host.project import Project
from ..model.errors import RefusedError
from .configuration import configuration
from .deploys import INSIDE, OUTSIDE, program
from .plan.unit import unit


def install(project: Project, user: str, out: str) -> None:
    """Print the unit, or write it to a file; raises InputError where the agent would not work."""
    configuration(project)
    where, name = project.settings, project.profile.environment
    env = {f"SLIPWAY_{key.upper()}": str(getattr(where, key)) for key in (*INSIDE, *OUTSIDE)}
    if section_of(where.root) is not None:
        env["SLIPWAY_ROOT"] = str(where.root)
    text = unit(
        f"{name} ({project.stack.project})", (*program(project), "gitops.run", "--env", name), str(where.root),
        user or lock.operator(), env,
    )  # fmt: skip
    if not out or project.runner.dry:
        emit(text.rstrip("\n"))
        return
    path = Path(out)
    try:
        replace_text(path, text, 0o644)
    except OSError as error:
        raise RefusedError(f"--out {out}: {error.strerror}", "name a file that this user may write") from None
    note(f"wrote {out}")
    note(f"  then: systemctl daemon-reload && systemctl enable --now {path.stem}")
