"""Takes the monitoring of a stack down; the stack goes on."""

from ..deploy import monitoring
from ..host.output import confirm, note
from ..host.project import Project
from ..model.engine.facts import monitoring_project


def down(project: Project, volumes: bool, yes: bool) -> None:
    """Remove the containers and networks of the monitoring; with ``volumes``, after a confirmation, its history too."""
    name = monitoring_project(project.stack.project)
    parts = monitoring.parts(project)
    kept = [part.name for part in parts if part.kind == "volume"]
    if not parts or not (volumes or any(part.kind == "container" for part in parts)):
        note(f"{name}: nothing runs" + (f"; kept: {', '.join(kept)} (--volumes removes them)" if kept else ""))
        return
    if volumes and kept and not project.runner.dry:
        confirm(f"remove the history of {name}: {', '.join(kept)}", yes)
    monitoring.take_down(project, parts, volumes)
