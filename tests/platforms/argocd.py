"""Argo CD without its server ("core"): repository server, application controller and their cache, as processes here.

``python -m tests.platforms.argocd`` builds it when it is not there.
"""

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path

from tests.cluster.cluster import Cluster
from tests.cluster.programs import Programs
from tests.e2e.support import until

from .processes import free_port, listens, process

VERSION = "v3.2.11"  # of later ones a part, gitops-engine, is not published as a module
MODULE = Path(__file__).with_name("argocd")
PACKAGE = "github.com/argoproj/argo-cd/v3"
ARGOCD = Programs(
    f"Argo CD {VERSION}",
    MODULE,
    {"argocd": f"{PACKAGE}/cmd", "cache": "./cache"},
    f"-s -w -X {PACKAGE}/common.version={VERSION.removeprefix('v')}",
)
NAMESPACE = "argocd"
LOOK = "5s"  # how often it looks at repositories
_CRDS = ("application", "appproject", "applicationset")
_CONFIGS = ("cm", "cmd-params-cm", "gpg-keys-cm", "rbac-cm", "secret", "ssh-known-hosts-cm", "tls-certs-cm")


@contextmanager
def running(cluster: Cluster, directory: Path) -> Iterator[None]:
    """Let Argo CD work on a cluster as its administrator, in a block; its logs and its files are in a directory."""
    programs = ARGOCD.build()
    _install(cluster)
    cache, repositories, metrics, more = (free_port() for _ in range(4))
    environment = {
        **_environment(directory),
        "KUBECONFIG": str(_kubeconfig(cluster, directory)),
        "PATH": f"{_kustomize(cluster, directory)}:{os.environ['PATH']}",
    }
    redis, server = f"127.0.0.1:{cache}", f"127.0.0.1:{repositories}"
    argocd = str(programs / "argocd")
    commands: Mapping[str, tuple[str, ...]] = {
        "cache": (str(programs / "cache"), redis),
        "argocd-repo-server": (
            *(argocd, "--address=127.0.0.1", f"--port={repositories}", "--metrics-address=127.0.0.1"),
            *(f"--metrics-port={metrics}", f"--redis={redis}", "--disable-tls"),
        ),
        "argocd-application-controller": (
            *(argocd, f"--redis={redis}", f"--repo-server={server}", "--repo-server-plaintext"),
            *(f"--metrics-port={more}", "--app-resync=5", "--app-resync-jitter=0"),
        ),
    }
    with ExitStack() as stack:
        for (name, words), port in zip(commands.items(), (cache, repositories, more), strict=True):
            stack.enter_context(process(name, words, {**environment, "ARGOCD_BINARY_NAME": name}, directory))
            until(lambda port=port: listens(port), f"{name} listens", 60)  # type: ignore[misc]
        yield


def _environment(directory: Path) -> dict[str, str]:
    """Return what says that there is no container around it, and where its files are then."""
    places = {
        "ARGOCD_TLS_DATA_PATH": "tls",
        "ARGOCD_SSH_DATA_PATH": "ssh",
        "ARGOCD_GPG_DATA_PATH": "gpg",
        "ARGOCD_GNUPGHOME": "gpg",
        "TMPDIR": "tmp",
        "HOME": "home",
    }
    for name in places.values():
        (directory / name).mkdir(parents=True, exist_ok=True)
    kept = {key: os.environ[key] for key in ("LANG",) if key in os.environ}
    return {
        **kept,
        **{key: str(directory / name) for key, name in places.items()},
        "ARGOCD_FAKE_IN_CLUSTER": "true",
        "ARGOCD_GPG_ENABLED": "false",
        "ARGOCD_ASK_PASS_SOCK": str(directory / "ask-pass.sock"),
        "ARGOCD_RECONCILIATION_TIMEOUT": LOOK,
        "ARGOCD_RECONCILIATION_JITTER": "0s",
    }


def _install(cluster: Cluster) -> None:
    """Apply its kinds and its configuration, which come with its module, and a project that may do everything."""
    listed = subprocess.run(
        ["go", "list", "-m", "-f", "{{.Dir}}", PACKAGE], cwd=MODULE, capture_output=True, text=True, check=True
    )
    manifests = Path(listed.stdout.strip()) / "manifests"
    crds = [manifests / "crds" / f"{name}-crd.yaml" for name in _CRDS]
    configs = [manifests / "base" / "config" / f"argocd-{name}.yaml" for name in _CONFIGS]
    cluster.kubectl("create", "namespace", NAMESPACE)
    cluster.kubectl("apply", "--server-side", *(f"--filename={path}" for path in crds))
    inside = f"--namespace={NAMESPACE}"
    cluster.kubectl(inside, "apply", "--server-side", *(f"--filename={path}" for path in configs))
    key = json.dumps({"stringData": {"server.secretkey": "only-for-a-test-0123456789abcdef"}})
    cluster.kubectl(inside, "patch", "secret", "argocd-secret", "--type=merge", f"--patch={key}")
    look = json.dumps({"data": {"timeout.reconciliation": LOOK, "timeout.reconciliation.jitter": "0s"}})
    cluster.kubectl(inside, "patch", "configmap", "argocd-cm", "--type=merge", f"--patch={look}")
    cluster.kubectl("wait", "--for=condition=Established", "crd/appprojects.argoproj.io", "--timeout=60s")
    every = [{"group": "*", "kind": "*"}]
    project = {
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "AppProject",
        "metadata": {"name": "default", "namespace": NAMESPACE},
        "spec": {
            "sourceRepos": ["*"],
            "destinations": [{"namespace": "*", "server": "*"}],
            "clusterResourceWhitelist": every,
        },
    }
    cluster.kubectl("apply", "--filename=-", stdin=json.dumps(project))


def _kubeconfig(cluster: Cluster, directory: Path) -> Path:
    """Write a kubeconfig whose context has Argo CD's namespace, which it takes for the one that it runs in."""
    config = json.loads(cluster.kubectl("config", "view", "--raw", "--output=json").stdout)
    for entry in config["contexts"]:
        entry["context"]["namespace"] = NAMESPACE
    path = directory / "kubeconfig"
    path.write_text(json.dumps(config))
    path.chmod(0o600)
    return path


def _kustomize(cluster: Cluster, directory: Path) -> Path:
    """Return a directory with the program that Argo CD calls: kubectl has kustomize in it."""
    path = directory / "bin" / "kustomize"
    path.parent.mkdir()
    kubectl = cluster.layout.programs / "components"
    path.write_text(
        f'#!/bin/sh\n[ "$1" = build ] || {{ echo v5.7.1; exit 0; }}\nshift\nexec {kubectl} kubectl kustomize "$@"\n'
    )
    path.chmod(0o755)
    return path.parent


if __name__ == "__main__":
    try:
        ARGOCD.build()
    except (OSError, subprocess.CalledProcessError) as error:
        sys.exit(f"Argo CD could not be built: {error}")
