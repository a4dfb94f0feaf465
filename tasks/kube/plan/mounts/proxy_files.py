"""The files in which a proxy names its servers, on a cluster: there the name of a service is the address of all Pods.

On an engine the files name containers, and a rollout changes them. On Kubernetes the Service balances, so the files
stay as the image has them, with the names of services. What asks Docker's DNS server again and again is taken out of
their lines: nginx and haproxy ask with bare names, which a cluster's DNS server does not know, while at their start the
resolver of the system completes them. The address of a Service stays the same.
"""

import shlex
from collections.abc import Mapping

from ....model.stack.proxies.kinds import HAPROXY, NGINX
from ....model.stack.stack import Service

# https://nginx.org/en/docs/http/ngx_http_upstream_module.html#resolve
# https://docs.haproxy.org/3.0/configuration.html#5.2-resolvers
_NGINX = r"s/^([[:blank:]]*server[[:blank:]][^;#]*)[[:blank:]]resolve([[:blank:];])/\1\2/"
_HAPROXY = r"s/[[:blank:]]resolvers[[:blank:]]+[^[:blank:]]+//"
_ASKED_ONCE: Mapping[str, str] = {NGINX: _NGINX, "": _NGINX, HAPROXY: _HAPROXY}


def holds(service: Service, target: str) -> bool:
    """Whether a path of a service is the directory of its upstream files."""
    return service.slipway.proxy.upstreams.rstrip("/") == target


def after_copy(service: Service) -> str:
    """Return the shell command that makes upstream files, in the directory ``$1``, fit for a cluster."""
    expression = _ASKED_ONCE.get(service.slipway.proxy.kind)
    if expression is None:
        return ""
    return f'for file in "$1"/*; do if [ -f "$file" ]; then sed -E -i {shlex.quote(expression)} "$file"; fi; done'
