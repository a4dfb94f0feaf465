"""Configuration that names Docker's own DNS server: there is none on Kubernetes."""

from collections.abc import Iterator, Mapping

from ....model.stack.stack import Service
from ..outcome import KeyOutcome, ignored, refused

ADDRESS = "127.0.0.11"
ACCEPT = "KUBE-DOCKER-DNS"


def outcomes(service: Service, key: str, files: Mapping[str, bytes]) -> Iterator[KeyOutcome]:
    """Yield what it means that files of a service name Docker's DNS server.

    A proxy whose upstream files Slipway knows does not ask it on Kubernetes: see ``proxy_files.py``.
    """
    found = [path for path, data in sorted(files.items()) if ADDRESS.encode() in data]
    if not found:
        return
    what = f"{', '.join(path or 'the file' for path in found)}: {ADDRESS} is Docker's DNS server"
    if service.slipway.proxy.upstreams:
        yield ignored(key, f"{what}; the servers of upstream files are asked for once, when the proxy starts")
        return
    yield refused(
        key,
        f"{what}, which Kubernetes has not",
        "name the servers without it, or read the address from /etc/resolv.conf when the container starts",
        ACCEPT,
    )
