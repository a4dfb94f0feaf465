"""Reads objects from the API server of a cluster, without a start of kubectl for each.

Tests ask again and again until something is so, and a start of kubectl costs 0.13 s of CPU.
"""

import http.client
import json
import ssl
from functools import cached_property
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

_CORE, _APPS = "api/v1", "apis/apps/v1"
_BATCH, _NETWORKING = "apis/batch/v1", "apis/networking.k8s.io/v1"
# Where the API server has a kind, by the name that kubectl takes for it.
_PATHS = {
    "pods": _CORE,
    "services": _CORE,
    "secrets": _CORE,
    "configmaps": _CORE,
    "persistentvolumeclaims": _CORE,
    "deployments": _APPS,
    "statefulsets": _APPS,
    "jobs": _BATCH,
    "leases": "apis/coordination.k8s.io/v1",
    "ingresses": _NETWORKING,
    "networkpolicies": _NETWORKING,
}
_SINGULAR = {
    "pod": "pods",
    "service": "services",
    "secret": "secrets",
    "pvc": "persistentvolumeclaims",
    "deployment": "deployments",
    "networkpolicy": "networkpolicies",
}
_SECONDS = 60.0  # until an answer has to be there


def known(kinds: str) -> bool:
    """Whether all of the kinds, separated by commas, can be read; kubectl is to be asked for others."""
    return all(kind in _PATHS or kind in _SINGULAR for kind in kinds.split(","))


class Reader:
    """An administrator of a cluster who only reads; ``pki`` has its certificate."""

    def __init__(self, server: str, pki: Path) -> None:
        self._address, self._pki = str(urlsplit(server).netloc), pki

    def one(self, namespace: str, kind: str, name: str) -> Any:
        """Return an object as ``kubectl get -o json`` prints it; raises AssertionError when there is none."""
        raw = self._asked(f"{_path(namespace, kind)}/{quote(name)}")
        return _shown(raw, raw["kind"], raw["apiVersion"])

    def all(self, namespace: str, kinds: str, labels: dict[str, str]) -> list[Any]:
        """Return all objects of the kinds, separated by commas, that have the labels."""
        chosen = ",".join(f"{key}={value}" for key, value in labels.items())
        query = f"?{urlencode({'labelSelector': chosen})}" if chosen else ""
        found = []
        for kind in kinds.split(","):
            listed = self._asked(_path(namespace, kind) + query)
            of_each = listed["kind"].removesuffix("List"), listed["apiVersion"]
            found += [_shown(raw, *of_each) for raw in listed["items"] or ()]
        return found

    @cached_property
    def _trust(self) -> ssl.SSLContext:
        context = ssl.create_default_context(cafile=str(self._pki / "ca.crt"))
        context.load_cert_chain(self._pki / "admin.crt", self._pki / "admin.key")
        return context

    def _asked(self, path: str) -> Any:
        """Return the answer to a question; raises AssertionError when it is none, as for a command that fails."""
        connection = http.client.HTTPSConnection(self._address, timeout=_SECONDS, context=self._trust)
        try:
            connection.request("GET", path, headers={"Accept": "application/json"})
            answer = connection.getresponse()
            text = answer.read()
        except (OSError, http.client.HTTPException) as error:
            raise AssertionError(f"GET {path}: {error}") from error
        finally:
            connection.close()
        assert answer.status == http.client.OK, f"GET {path}: {answer.status} {text.decode(errors='replace')}"
        return json.loads(text)


def _path(namespace: str, kind: str) -> str:
    plural = _SINGULAR.get(kind, kind)
    return f"/{_PATHS[plural]}/namespaces/{quote(namespace)}/{plural}"


def _shown(raw: Any, kind: str, version: str) -> Any:
    """Return an object as kubectl shows it: in a list the API server leaves out kinds, kubectl who set which field."""
    raw["metadata"].pop("managedFields", None)
    return {"apiVersion": version, "kind": kind, **raw}
