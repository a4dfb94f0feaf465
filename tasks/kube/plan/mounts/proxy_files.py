"""The files in which a proxy names its servers, on a cluster: there the name of a service is the address of all Pods.

On an engine the files name containers, and a rollout changes them. On Kubernetes the Service balances, so the files
stay as the image has them, with the names of services. What asks Docker's DNS server again and again is taken out of
their lines: nginx and haproxy ask with bare names, which a cluster's DNS server does not know, while at their start the
resolver of the system completes them. The address of a Service stays the same.

A service that takes turns in two slots has a second Service, which leads to the Pods that served before while new ones
are watched (``workloads/slots.py``). nginx gets it as a backup: a request that gets no connection to a new Pod, since
that one has died, goes to an old one. Both are asked again at once (``max_fails=0``): with a backup a server that
refused one connection would else be left out for 10 s, which a server that is alone is not.
"""

import shlex
from collections.abc import Iterable, Iterator, Mapping

from ....model.stack.proxies.kinds import HAPROXY, NGINX
from ....model.stack.stack import Service
from ..names import label
from ..network.services import is_balanced
from ..source import KubeSource
from ..workloads.slots import former_name

# https://nginx.org/en/docs/http/ngx_http_upstream_module.html#resolve
# https://docs.haproxy.org/3.0/configuration.html#5.2-resolvers
_NGINX = r"s/^([[:blank:]]*server[[:blank:]][^;#]*)[[:blank:]]resolve([[:blank:];])/\1\2/"
_HAPROXY = r"s/[[:blank:]]resolvers[[:blank:]]+[^[:blank:]]+//"
_BACKED = ("", NGINX)  # without a kind its files have the lines of nginx (docs/proxies.md)
# With these methods nginx takes no backup. https://nginx.org/en/docs/http/ngx_http_upstream_module.html#server
_NO_BACKUP = r"/^[[:blank:]]*(ip_hash|hash|random)[;[:blank:]]/p"
_ASKED_ONCE: Mapping[str, str] = {NGINX: _NGINX, "": _NGINX, HAPROXY: _HAPROXY}


def holds(service: Service, target: str) -> bool:
    """Whether a path of a service is the directory of its upstream files."""
    return service.slipway.proxy.upstreams.rstrip("/") == target


def after_copy(service: Service, backed: Iterable[str] = ()) -> str:
    """Return the shell command that makes upstream files, in the directory ``$1``, fit for a cluster.

    ``backed`` are the names of services on the cluster that have a Service for the Pods that served before.
    """
    expression = _ASKED_ONCE.get(service.slipway.proxy.kind)
    if expression is None:
        return ""
    edits = [f'sed -E -i {shlex.quote(expression)} "$file"']
    if names := sorted(backed) if service.slipway.proxy.kind in _BACKED else []:
        lines = "; ".join(line for name in names for line in _with_backup(name))
        edits.append(f'[ -n "$(sed -nE {shlex.quote(_NO_BACKUP)} "$file")" ] || sed -E -i {shlex.quote(lines)} "$file"')
    return f'for file in "$1"/*; do if [ -f "$file" ]; then {"; ".join(edits)}; fi; done'


def _with_backup(name: str) -> Iterator[str]:
    """Yield what sed does to the lines of a server: it is never left out, and has a backup behind it."""
    of_server = rf"/^[[:blank:]]*server[[:blank:]]+{name}[:;[:blank:]]/"
    yield rf"{of_server}s/[[:blank:]]max_fails=[0-9]+//"
    server = rf"^([[:blank:]]*server[[:blank:]]+){name}(:[0-9]+)?([^;#]*);"
    yield rf"{of_server}s/{server}/\1{name}\2\3 max_fails=0; server {former_name(name)}\2 max_fails=0 backup;/"


def backed(source: KubeSource) -> frozenset[str]:
    """Return the services whose former Pods a proxy of the project asks where new ones do not answer; no mesh's."""
    services = source.stack.services
    asks = any(one.slipway.proxy.kind in _BACKED and one.slipway.proxy.upstreams for one in services.values())
    if not asks or source.settings.mesh:
        return frozenset()
    return frozenset(name for name in source.slots if is_balanced(source, services[name]))


def backed_names(source: KubeSource) -> frozenset[str]:
    """Return the names on the cluster of these services."""
    return frozenset(label(name) for name in backed(source))
