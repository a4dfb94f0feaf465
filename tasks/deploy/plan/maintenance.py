"""The maintenance page: the proxy answers 503 while the file that its service names exists."""

from ...model.engine.facts import Container
from ...model.errors import InputError
from ...model.stack.smoke import HOST
from ...model.stack.stack import Service, Stack

PAGE_STATUS = 503
_STATES = {"on": True, "off": False}
_EXAMPLE = "{upstreams: /etc/proxy/upstreams, maintenance: /etc/proxy/upstreams/maintenance}"


def parse_state(state: str) -> bool:
    """Return whether the page is to be shown; raises InputError for any word but on and off."""
    if state not in _STATES:
        raise InputError(f"expected on or off, got {state!r}", "inv deploy.maintenance on, inv deploy.maintenance off")
    return _STATES[state]


def proxy(stack: Stack) -> Service | None:
    """Return the service that can show the page, None when there is none."""
    return next((service for service in stack.services.values() if service.slipway.proxy.maintenance), None)


def required_proxy(stack: Stack) -> Service:
    """Return the service that can show the page; raises InputError when there is none."""
    service = proxy(stack)
    if service is None:
        raise InputError(
            f"no service of project {stack.project} says x-slipway.proxy.maintenance",
            f"add it to the proxy in the Compose file, for example: x-slipway: {{proxy: {_EXAMPLE}}}",
        )
    return service


def hides(stack: Stack) -> tuple[str, ...]:
    """Return the smoke checks that the page would answer: those of the proxy, and those of ports that it publishes."""
    shown = proxy(stack)
    if shown is None:
        return ()
    ports = {port.published for port in shown.ports}
    return tuple(
        str(check)
        for service in stack.services.values()
        for check in service.slipway.smoke
        if check.status != PAGE_STATUS
        and (service is shown or (check.origin == HOST and check.address.loopback and check.address.port in ports))
    )


def unmet(project: str, environment: str) -> tuple[str, str]:
    """Return why nothing is deployed while the page is on, and what to do about it."""
    return (
        f"the maintenance page of {project} is on, so smoke checks would get its {PAGE_STATUS} and the deploy would go "
        "back",
        f"inv deploy.maintenance off --env {environment}",
    )


def containers(service: Service, all_containers: tuple[Container, ...]) -> tuple[Container, ...]:
    """Return the containers of the proxy that the file goes into; stopped ones as well, since they may start again."""
    return tuple(
        container for container in all_containers if container.service == service.name and not container.oneoff
    )
