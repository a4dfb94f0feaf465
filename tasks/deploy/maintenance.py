"""Switches the maintenance page of the proxy on and off."""

from ..host.output import note
from ..host.project import Project
from ..model.engine.facts import Container
from ..model.errors import RefusedError
from ..model.stack.stack import Service
from .plan import maintenance


def switch(project: Project, on: bool) -> None:
    """Put the maintenance page on or off; raises RefusedError when the proxy has no container."""
    from ..host.engine.container_files import ContainerFiles

    service = maintenance.required_proxy(project.stack)
    if project.clustered:
        raise _not_on_a_cluster(project, service)
    name, path = project.stack.project, service.slipway.proxy.maintenance
    proxies = maintenance.containers(service, project.engine.containers(name))
    if not proxies:
        raise RefusedError(
            f"service {service.name} of {name} has no container", f"start it: inv deploy.{project.profile.environment}"
        )
    files = ContainerFiles(project.engine)
    changed = [proxy for proxy in proxies if project.engine.is_file(proxy.id, path) is not on]
    if project.runner.dry:
        for proxy in changed:
            project.runner.show(f"{'put' if on else 'remove'} {path} in {proxy.name}")
        return
    for proxy in changed:
        files.put(proxy.id, path, b"") if on else files.take_away(proxy.id, path)
    word = "on" if on else "off"
    note(f"maintenance of {name} is {word}" if changed else f"maintenance of {name} is {word} already")


def unmet(project: Project) -> tuple[tuple[str, str], ...]:
    """Return why smoke checks of a deploy would not pass while the page is on, and what to do; empty when it is off."""
    name = project.stack.project
    if project.clustered or not maintenance.hides(project.stack) or not is_on(project, project.engine.containers(name)):
        return ()
    return (maintenance.unmet(name, project.profile.environment),)


def refuse_hidden(project: Project) -> None:
    """Raise RefusedError while the page is on and would answer smoke checks."""
    for reason, hint in unmet(project):
        raise RefusedError(reason, hint)


def _not_on_a_cluster(project: Project, service: Service) -> RefusedError:
    """Return the error for an environment on a cluster, where a page in running Pods would not last.

    A Pod that takes the place of another (a rollout, a node that goes, an autoscaler) would serve again meanwhile.
    """
    from ..kube.plan.names import label  # nothing of it is loaded for an environment on an engine

    environment, place = project.profile.environment, f"--namespace={project.profile.text('KUBE_NAMESPACE')}"
    where = f"--context={project.profile.text('KUBE_CONTEXT')} {place}"
    return RefusedError(
        "a maintenance page is a file in running containers, and a new Pod of the proxy would serve without it",
        f"kubectl {where} scale deployment/{label(service.name)} --replicas=0 has the ingress controller "
        f"answer 503; inv deploy.{environment} serves again",
    )


def is_on(project: Project, known: tuple[Container, ...]) -> bool | None:
    """Whether the maintenance page is shown; None when no service of the project can show one.

    ``known`` are the project's containers.
    """
    service = maintenance.proxy(project.stack)
    if service is None:
        return None
    proxies = maintenance.containers(service, known)
    return any(project.engine.is_file(proxy.id, service.slipway.proxy.maintenance) for proxy in proxies)
