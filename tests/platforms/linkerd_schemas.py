"""The definitions of what Linkerd reads: HTTPRoute of the Gateway API's Go module, its own of a checkout of linkerd2.

Linkerd's releases are no versions of a Go module. So a test that needs its definitions is run where ``SLIPWAY_LINKERD``
names the directory of a checkout, and is skipped elsewhere.
"""

import os
import subprocess
from pathlib import Path

from tests.cluster.cluster import Cluster

CHECKOUT = os.environ.get("SLIPWAY_LINKERD", "")
_GATEWAY_API = "sigs.k8s.io/gateway-api"
_MODULE = Path(__file__).with_name("istio")  # it has the Gateway API's module, too, with a known digest
_ROUTES = "config/crd/standard/gateway.networking.k8s.io_{}.yaml"
_POLICIES = (
    "authorization-policy",
    "httproute",
    "meshtls-authentication",
    "network-authentication",
    "server",
    "server-authorization",
)


def gateway_api() -> list[Path]:
    """Return the files that define HTTPRoute and GRPCRoute."""
    subprocess.run(("go", "mod", "download", _GATEWAY_API), cwd=_MODULE, check=True, timeout=300)
    words = ("go", "list", "-m", "-f", "{{.Dir}}", _GATEWAY_API)
    found = subprocess.run(words, cwd=_MODULE, check=True, capture_output=True, text=True, timeout=300)
    return [Path(found.stdout.strip(), _ROUTES.format(kind)) for kind in ("httproutes", "grpcroutes")]


def policies() -> list[Path]:
    """Return the files of Linkerd's chart that define its policies."""
    return [Path(CHECKOUT, "charts/linkerd-crds/templates/policy", f"{name}.yaml") for name in _POLICIES]


def define(cluster: Cluster, *files: Path) -> None:
    """Bring definitions to a cluster, and wait until its API server knows the kinds."""
    for file in files:
        # Helm fills in labels and annotations only.
        lines = [line for line in file.read_text("utf-8").splitlines() if "{{" not in line]
        applied = cluster.kubectl("apply", "--server-side", "-f", "-", "-o", "name", stdin="\n".join(lines))
        cluster.kubectl("wait", "--for=condition=Established", "--timeout=60s", *applied.stdout.split())
