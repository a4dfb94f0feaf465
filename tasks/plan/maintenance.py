"""The maintenance page: the proxy answers 503 for as long as a file lies where its service says."""

from .errors import InputError
from .facts import Container
from .stack import Service, Stack

_STATES = {"on": True, "off": False}
_EXAMPLE = "{upstreams: /etc/proxy/upstreams, maintenance: /etc/proxy/upstreams/maintenance}"


def wanted(state: str) -> bool:
    """Return whether the page is to be shown; raises InputError for a word that is neither on nor off."""
    if state not in _STATES:
        raise InputError(f"expected on or off, got {state!r}", "inv deploy.maintenance on, inv deploy.maintenance off")
    return _STATES[state]


def proxy(stack: Stack) -> Service | None:
    """Return the service that can show the page, None when there is none."""
    return next((one for one in stack.services.values() if one.slipway.proxy.maintenance), None)


def required_proxy(stack: Stack) -> Service:
    """Return the service that can show the page; raises InputError when none says how."""
    found = proxy(stack)
    if found is None:
        raise InputError(
            f"no service of project {stack.project} says x-slipway.proxy.maintenance",
            f"add it to the proxy in the Compose file, for example: x-slipway: {{proxy: {_EXAMPLE}}}",
        )
    return found


def containers(service: Service, found: tuple[Container, ...]) -> tuple[Container, ...]:
    """Return the containers that the file belongs into, those that do not run included: they may start again."""
    return tuple(one for one in found if one.service == service.name and not one.oneoff)
