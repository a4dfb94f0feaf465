"""What is asked of a stack from outside: the addresses of its smoke checks, and the TLS ports that it publishes.

The exporter that asks is in the stack's network: it asks the service behind a published port, by the service's name.
"""

from collections.abc import Iterator, Mapping

from ...model.record import Record
from ...model.stack.smoke import HOST, Check
from ...model.stack.stack import Service, Stack

HTTP, TLS = "http_2xx", "tls_connect"
_TLS_PORTS = (443, 8443)


class Probe(Record):
    """An address that is asked, by which module, for which service; ``network`` is the one of the engine to ask in.

    ``network`` is "" for an address of another host. ``host`` is the name that the request has for the server.
    """

    address: str
    module: str
    service: str
    network: str = ""
    host: str = ""


def probes(stack: Stack, networks: Mapping[str, str]) -> tuple[Probe, ...]:
    """Return what is asked of a stack; ``networks`` is the network by which each service is reached, by service."""
    published = {
        port.published: (service, port.target)
        for service in stack.services.values()
        for port in service.ports
        if port.published and port.protocol == "tcp" and networks.get(service.name) and not stack.one_off(service)
    }
    found: dict[tuple[str, str], Probe] = {}
    for service in stack.services.values():
        for check in service.slipway.smoke:
            for probe in _of_check(check, service, published, networks):
                found.setdefault((probe.module, probe.address), probe)
    asked = {probe.address.rpartition("://")[2].partition("/")[0] for probe in found.values()}
    for service, target in published.values():
        endpoint = f"{service.name}:{target}"
        if target in _TLS_PORTS and endpoint not in asked:
            found[TLS, endpoint] = Probe(endpoint, TLS, service.name, networks[service.name])
    return tuple(found[key] for key in sorted(found))


def _of_check(
    check: Check, owner: Service, published: Mapping[int, tuple[Service, int]], networks: Mapping[str, str]
) -> Iterator[Probe]:
    """Yield what is asked for a smoke check: its address if it is to answer 2xx, else only whether its TLS works."""
    address = check.address
    if check.origin != HOST:
        return
    module = HTTP if 200 <= check.status < 300 and check.method == "GET" else TLS
    if module == TLS and address.scheme != "https":
        return
    service, target = published.get(address.port, (None, 0))
    if service is None:
        if not address.loopback:
            yield Probe(str(address) if module == HTTP else address.endpoint, module, owner.name)
        return
    endpoint = f"{service.name}:{target}"
    if module == HTTP:
        yield Probe(
            f"{address.scheme}://{endpoint}{address.path}", HTTP, service.name, networks[service.name], address.host
        )
    else:
        yield Probe(endpoint, TLS, service.name, networks[service.name], address.host)


def discovery(asked: tuple[Probe, ...], project: str) -> list[dict[str, object]]:
    """Return the targets of Prometheus for the probes: https://prometheus.io/docs/guides/file-sd/.

    ``hostname`` is the parameter of the blackbox exporter for the Host header and the name of the certificate.
    """
    return [
        {
            "targets": [probe.address],
            "labels": {
                "module": probe.module,
                "service": probe.service,
                "project": project,
                **({"hostname": probe.host} if probe.host else {}),
            },
        }
        for probe in asked
    ]
