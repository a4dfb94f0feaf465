"""Networks: whether one can be replaced without an interruption, and the ``docker network`` commands."""

from collections.abc import Mapping
from typing import Any

from ...model.engine.facts import PROJECT_LABEL, Network, monitors
from ...model.record import Record
from ...model.stack.extension import CONTINUE, RECREATE
from ...model.stack.stack import Service, Stack
from .desired import Desired
from .observed import Observed
from .operation import CONNECT, CREATE_NETWORK, DISCONNECT, REMOVE_NETWORK, REPLACE_NETWORK, Operation

NEXT = "-next"
NEXT_LABEL = "slipway.network"
"""Label of a temporary network NAME-next: the name of the network that it stands in for."""
_NETWORK_LABEL = "com.docker.compose.network"
_BRIDGE = "com.docker.network.bridge.name"


def declared_networks(model: Mapping[str, Any]) -> dict[str, tuple[str, Mapping[str, Any]]]:
    """Return the networks that Compose creates, by their name on the engine: the model's key and its declaration."""
    networks = {}
    for key, raw in (model.get("networks") or {}).items():
        if not (raw or {}).get("external"):
            networks[str((raw or {}).get("name") or key)] = (key, raw or {})
    return networks


def unrepeatable_option(raw: Mapping[str, Any], current: Network | None) -> str:
    """Return the option that two networks cannot have at the same time (a subnet, a bridge name, …), "" for none."""
    drivers = {str(raw.get("driver") or "bridge"), current.driver if current else "bridge"}
    if drivers != {"bridge"}:
        return f"driver {' '.join(sorted(drivers - {'bridge'}))}"
    if (raw.get("ipam") or {}).get("config") or (raw.get("ipam") or {}).get("driver", "default") != "default":
        return "ipam"
    if raw.get("enable_ipv6"):
        return "enable_ipv6"
    return _BRIDGE if _BRIDGE in (raw.get("driver_opts") or {}) else ""


class NetworkToMake(Record):
    """A network to create: its key in the model, its declaration there, and the project."""

    key: str
    raw: Mapping[str, Any]
    project: str

    def words(self, stands_for: str = "") -> tuple[str, ...]:
        """Return the options of ``docker network create``, with Compose's labels so that Compose accepts the network.

        ``stands_for``: the network that it temporarily replaces.
        """
        labels = {PROJECT_LABEL: self.project, _NETWORK_LABEL: self.key}
        labels |= {NEXT_LABEL: stands_for} if stands_for else {}
        labels |= {key: str(value).replace("$$", "$") for key, value in (self.raw.get("labels") or {}).items()}
        options = [f"--label={key}={value}" for key, value in labels.items()]
        if self.raw.get("driver"):
            options.append(f"--driver={self.raw['driver']}")
        for key, value in (self.raw.get("driver_opts") or {}).items():
            options.append(f"--opt={key}={str(value).replace('$$', '$')}")
        options += [f"--{key}" for key in ("internal", "attachable") if self.raw.get(key)]
        return tuple(options)


def with_network_names(model: Mapping[str, Any], names: Mapping[str, str]) -> dict[str, Any]:
    """Return the model with other names for networks: ``names`` has the new name by the old one."""
    declared = declared_networks(model)
    called = {declared[name][0]: {**declared[name][1], "name": other} for name, other in names.items()}
    return {**model, "networks": {**(model.get("networks") or {}), **called}}


def is_rolled_out(stack: Stack, service: Service) -> bool:
    """Whether new containers of a service take over from running ones, rather than being recreated."""
    return service.rollout != RECREATE and service.replicas > 0 and not stack.one_off(service)


def hindrance(name: str, observed: Observed, desired: Desired) -> str:
    """Return why a network cannot be replaced while its containers serve, "" when it can."""
    declared, services = declared_networks(desired.model), desired.stack.services
    members = [service for service in services.values() if name in service.networks]
    connected = [container for container in observed.containers if {name, name + NEXT} & set(container.networks)]
    current, next_network = observed.networks.get(name), observed.networks.get(name + NEXT)
    if option := unrepeatable_option(declared[name][1], current):
        return f"{option} cannot be used twice"
    if name + NEXT in declared or (next_network and next_network.labels.get(NEXT_LABEL) != name):
        return f"{name}{NEXT} is another network"
    others = [container.name for container in connected if container.service not in services or container.oneoff]
    inside = set(current.containers if current else ()) - {container.name for container in observed.containers}
    others += sorted(other for other in inside if not monitors(other, desired.stack.project))
    if others:
        return f"{', '.join(others)} is in it and belongs to no service"
    if not any(is_rolled_out(desired.stack, service) and observed.running(service.name) for service in members):
        return "nothing in it is rolled out"
    if not observed.front and any(service.slipway.proxy.upstreams for service in services.values()):
        return "the proxy does not run"
    return next((reason for service in members if (reason := _hinders(service, desired))), "")


def _hinders(service: Service, desired: Desired) -> str:
    if service.addresses or (desired.model["services"][service.name] or {}).get("links"):
        return f"{service.name} has a fixed address or links"
    if not is_rolled_out(desired.stack, service):
        # Docker would move its published ports to another network when it is connected or disconnected.
        return f"{service.name} publishes ports" if service.ports else ""
    if service.update.failure_action == CONTINUE:
        return f"{service.name} continues when new containers fail"
    services = desired.stack.services.values()
    bound = [other.name for other in services if service.name in (*other.shares, *other.restarts_with)]
    return f"{', '.join(bound)} follows {service.name}" if bound else ""


def network_commands(operation: Operation) -> tuple[tuple[str, ...], ...]:
    """Return the commands of an operation on a network, without the leading ``docker``."""
    if operation.kind == CREATE_NETWORK:
        return (("network", "create", *operation.options, operation.subject),)
    if operation.kind == CONNECT:
        names = [(name, [f"--alias={alias}" for alias in (*operation.aliases, name)]) for name in operation.names]
        return tuple(("network", "connect", *aliases, operation.subject, name) for name, aliases in names)
    if operation.kind == DISCONNECT:
        return tuple(("network", "disconnect", operation.subject, name) for name in operation.names)
    forced = [("network", "disconnect", "--force", operation.subject, name) for name in operation.names]
    remove = ("network", "rm", operation.subject)
    return (*forced, remove) if operation.kind == REPLACE_NETWORK else (remove,)


NETWORK_KINDS = (REPLACE_NETWORK, CREATE_NETWORK, REMOVE_NETWORK, CONNECT, DISCONNECT)
