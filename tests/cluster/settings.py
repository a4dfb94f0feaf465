"""The settings of the components, as files of a node and as options."""

import json
from pathlib import Path
from typing import Any

from .layout import PAUSE, Layout, Node

PLUGINS = "/usr/lib/cni"  # where Debian has them


def write(node: Node) -> None:
    """Write the settings of containerd, kubelet, kube-proxy and the network plugins of a node."""
    texts = {
        "containerd.toml": _containerd(node),
        "kubelet.json": json.dumps(_kubelet(node)),
        "proxy.json": json.dumps(_proxy(node)),
        "cni/10-pods.conflist": json.dumps(_network(node)),
        # No server has this address: names outside of the cluster fail at once.
        "resolv.conf": "nameserver 127.0.0.53\n",
    }
    for name, text in texts.items():
        path = node.directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "utf-8")


def _containerd(node: Node) -> str:
    """Return the settings of a containerd beside the engine's; it may not lower the OOM score below its own."""
    base = node.directory
    return f"""version = 2
root = "{base}/containerd"
state = "{node.run}/containerd"
[grpc]
  address = "{node.containerd}"
[plugins."io.containerd.internal.v1.opt"]
  path = "{base}/opt"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "{PAUSE}"
  disable_hugetlb_controller = true
  tolerate_missing_hugetlb_controller = true
  # Without CAP_SYS_RESOURCE, as in a container, runc could not set what the kubelet asks for.
  restrict_oom_score_adj = true
  [plugins."io.containerd.grpc.v1.cri".registry]
    config_path = "{node.cluster.registries}"
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "{PLUGINS}"
    conf_dir = "{base}/cni"
  [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
    runtime_type = "io.containerd.runc.v2"
"""


def _kubelet(node: Node) -> dict[str, Any]:
    base = node.directory
    return {
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "failCgroupV1": False,
        "cgroupDriver": "cgroupfs",
        "cgroupRoot": f"/{node.group}",
        "enforceNodeAllocatable": ["pods"],
        "failSwapOn": False,
        "containerRuntimeEndpoint": f"unix://{node.containerd}",
        "podLogsDir": f"{base}/pod-logs",
        "volumePluginDir": f"{base}/volume-plugins",
        "resolvConf": f"{base}/resolv.conf",
        "clusterDNS": [node.cluster.dns],
        "clusterDomain": "cluster.local",
        "authentication": {
            "anonymous": {"enabled": False},
            "webhook": {"enabled": True},
            "x509": {"clientCAFile": f"{node.cluster.pki}/ca.crt"},
        },
        "authorization": {"mode": "Webhook"},
        # A machine for tests may be nearly full, and an image that was loaded can not be pulled again.
        "evictionHard": {
            "memory.available": "100Mi",
            "nodefs.available": "1%",
            "nodefs.inodesFree": "1%",
            "imagefs.available": "1%",
        },
        "imageGCHighThresholdPercent": 100,
        "imageMinimumGCAge": "24h",
        # Else an image that was loaded is asked for at its registry when a Pod names it with a pull secret.
        "imagePullCredentialsVerificationPolicy": "NeverVerify",
        "nodeStatusUpdateFrequency": "4s",
        # It is renewed after a quarter of that time.
        "nodeLeaseDurationSeconds": min(40, node.cluster.grace - 10),
        "syncFrequency": "10s",
    }


def _proxy(node: Node) -> dict[str, Any]:
    return {
        "apiVersion": "kubeproxy.config.k8s.io/v1alpha1",
        "kind": "KubeProxyConfiguration",
        "mode": "iptables",
        "clusterCIDR": node.cluster.pods,
        "hostnameOverride": node.name,
        "clientConnection": {"kubeconfig": f"{node.cluster.pki}/kube-proxy.conf"},
        # 0: the limits of this machine stay as they are.
        "conntrack": {"maxPerCore": 0, "min": 0, "tcpEstablishedTimeout": "0s", "tcpCloseWaitTimeout": "0s"},
        "iptables": {"minSyncPeriod": "100ms"},
    }


def _network(node: Node) -> dict[str, Any]:
    addresses = {
        "type": "host-local",
        "dataDir": f"{node.directory}/addresses",
        "ranges": [[{"subnet": node.pods}]],
        "routes": [{"dst": "0.0.0.0/0"}],
    }
    bridge = {"type": "bridge", "bridge": "pods", "isGateway": True, "hairpinMode": True, "ipam": addresses}
    ports = {"type": "portmap", "capabilities": {"portMappings": True}}
    return {"cniVersion": "1.0.0", "name": "pods", "plugins": [bridge, ports]}


def api_server(layout: Layout) -> tuple[str, ...]:
    """Return the options of the API server: RBAC, and an aggregation layer for further APIs."""
    pki = layout.pki
    values = {
        "etcd-servers": "http://127.0.0.1:2379",
        "advertise-address": layout.nodes[0].address,
        "secure-port": "6443",
        "service-cluster-ip-range": layout.services,
        "allow-privileged": "true",
        "authorization-mode": "Node,RBAC",
        "enable-admission-plugins": "NodeRestriction",
        "client-ca-file": pki / "ca.crt",
        "tls-cert-file": pki / "apiserver.crt",
        "tls-private-key-file": pki / "apiserver.key",
        "service-account-key-file": pki / "accounts.pub",
        "service-account-signing-key-file": pki / "accounts.key",
        "service-account-issuer": "https://kubernetes.default.svc.cluster.local",
        "kubelet-client-certificate": pki / "admin.crt",
        "kubelet-client-key": pki / "admin.key",
        "kubelet-preferred-address-types": "InternalIP",
        "requestheader-client-ca-file": pki / "ca.crt",
        "requestheader-allowed-names": "front-proxy",
        "requestheader-extra-headers-prefix": "X-Remote-Extra-",
        "requestheader-group-headers": "X-Remote-Group",
        "requestheader-username-headers": "X-Remote-User",
        "proxy-client-cert-file": pki / "front-proxy.crt",
        "proxy-client-key-file": pki / "front-proxy.key",
        "enable-aggregator-routing": "true",
    }
    return _options(values)


def controllers(layout: Layout) -> tuple[str, ...]:
    """Return the options of the controllers."""
    pki = layout.pki
    values = {
        **_access(pki, "kube-controller-manager"),
        "leader-elect": "false",
        "use-service-account-credentials": "true",
        "service-account-private-key-file": pki / "accounts.key",
        "root-ca-file": pki / "ca.crt",
        "cluster-signing-cert-file": pki / "ca.crt",
        "cluster-signing-key-file": pki / "ca.key",
        "node-monitor-grace-period": f"{layout.grace}s",
        "allocate-node-cidrs": "false",  # each node has its own from the start
        "service-cluster-ip-range": layout.services,
    }
    return _options(values)


def scheduler(layout: Layout) -> tuple[str, ...]:
    """Return the options of the scheduler."""
    return _options({**_access(layout.pki, "kube-scheduler"), "leader-elect": "false"})


def _access(pki: Path, name: str) -> dict[str, Path]:
    file = pki / f"{name}.conf"
    return {"kubeconfig": file, "authentication-kubeconfig": file, "authorization-kubeconfig": file}


def _options(values: dict[str, Any]) -> tuple[str, ...]:
    return tuple(f"--{key}={value}" for key, value in values.items())
