"""The certificates of a cluster and the kubeconfigs of its components, made by openssl.

https://kubernetes.io/docs/setup/best-practices/certificates/
"""

import base64
import json
import subprocess
from collections.abc import Sequence
from pathlib import Path

_KEY = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "30")
# The subject is who the API server takes a component for: /O are its groups.
_CLIENTS = {
    "admin": "/O=system:masters/CN=admin",
    "kube-controller-manager": "/CN=system:kube-controller-manager",
    "kube-scheduler": "/CN=system:kube-scheduler",
    "kube-proxy": "/CN=system:kube-proxy",
    "front-proxy": "/CN=front-proxy",
}


def make(directory: Path, server: str, addresses: Sequence[str], nodes: Sequence[str]) -> None:
    """Write authority, certificates and kubeconfigs; ``addresses`` are those of the API server at ``server``."""
    directory.mkdir(parents=True, exist_ok=True)
    _openssl(
        *("req", "-x509", *_KEY, "-subj", "/CN=slipway-test", "-keyout", "ca.key", "-out", "ca.crt"),
        *("-addext", "keyUsage=critical,keyCertSign,cRLSign,digitalSignature"),
        cwd=directory,
    )
    names = ("localhost", "kubernetes", "kubernetes.default", "kubernetes.default.svc")
    alternatives = ",".join([*(f"DNS:{name}" for name in names), *(f"IP:{address}" for address in addresses)])
    _certificate(directory, "apiserver", "/CN=kube-apiserver", f"subjectAltName={alternatives}")
    for name, subject in {**_CLIENTS, **{name: f"/O=system:nodes/CN=system:node:{name}" for name in nodes}}.items():
        _certificate(directory, name, subject)
        (directory / f"{name}.conf").write_text(json.dumps(_kubeconfig(directory, name, server)), "utf-8")
    _openssl("ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", "accounts.key", cwd=directory)
    _openssl("ec", "-in", "accounts.key", "-pubout", "-out", "accounts.pub", cwd=directory)


def _certificate(directory: Path, name: str, subject: str, *extensions: str) -> None:
    added = ("keyUsage=critical,digitalSignature", "extendedKeyUsage=serverAuth,clientAuth", *extensions)
    _openssl(
        *("req", "-x509", "-CA", "ca.crt", "-CAkey", "ca.key", *_KEY, "-subj", subject),
        *("-addext", "basicConstraints=critical,CA:FALSE"),
        *(word for extension in added for word in ("-addext", extension)),
        *("-keyout", f"{name}.key", "-out", f"{name}.crt"),
        cwd=directory,
    )


def _kubeconfig(directory: Path, name: str, server: str) -> dict[str, object]:
    def data(file: str) -> str:
        return base64.b64encode((directory / file).read_bytes()).decode()

    user = {"client-certificate-data": data(f"{name}.crt"), "client-key-data": data(f"{name}.key")}
    cluster = {"server": server, "certificate-authority-data": data("ca.crt")}
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "slipway-test", "cluster": cluster}],
        "users": [{"name": name, "user": user}],
        "contexts": [{"name": "slipway-test", "context": {"cluster": "slipway-test", "user": name}}],
        "current-context": "slipway-test",
    }


def _openssl(*words: str, cwd: Path) -> None:
    subprocess.run(["openssl", *words], cwd=cwd, check=True, capture_output=True)
