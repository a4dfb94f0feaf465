"""Switches the maintenance page of the proxy on and off."""

from ..plan import maintenance as planner
from ..plan.errors import RefusedError
from .output import note
from .project import Project


def switch(project: Project, on: bool) -> None:
    """Show the maintenance page, or what the stack serves; raises RefusedError when the proxy has no container."""
    from .engine_files import ContainerFiles

    service = planner.required_proxy(project.stack)
    name, path = project.stack.project, service.slipway.proxy.maintenance
    found = planner.containers(service, project.engine.containers(name))
    if not found:
        raise RefusedError(
            f"service {service.name} of {name} has no container", f"start it: inv deploy.{project.profile.environment}"
        )
    files = ContainerFiles(project.engine)
    changed = [one for one in found if files.is_file(one.id, path) is not on]
    if project.runner.dry:
        for one in changed:
            project.runner.show(f"{'put' if on else 'remove'} {path} in {one.name}")
        return
    for one in changed:
        files.put(one.id, path, b"") if on else files.take_away(one.id, path)
    word = "on" if on else "off"
    note(f"maintenance of {name} is {word}" if changed else f"maintenance of {name} is {word} already")


def is_on(project: Project) -> bool | None:
    """Whether the maintenance page is shown; None when no service of the project can show one."""
    from .engine_files import ContainerFiles

    service = planner.proxy(project.stack)
    if service is None:
        return None
    files = ContainerFiles(project.engine)
    found = planner.containers(service, project.engine.containers(project.stack.project))
    return any(files.is_file(one.id, service.slipway.proxy.maintenance) for one in found)
