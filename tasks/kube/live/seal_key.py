"""The key with which the plans of a project are sealed: a Secret in its namespace, which never leaves the cluster."""

import base64
import json
from secrets import token_bytes

from ..plan import labels
from .cluster import Cluster

_FIELD, _BYTES = "key", 32


def find(cluster: Cluster) -> bytes:
    """Return the key, b"" when there is none; makes none."""
    raw = cluster.read("get", "secret", _name(cluster), missing="null")
    return base64.b64decode(((raw or {}).get("data") or {}).get(_FIELD, ""))


def make(cluster: Cluster) -> None:
    """Make the key: only where there is none, and under the lock."""
    about = {"name": _name(cluster), "labels": labels.of_project(cluster.name)}
    data = {_FIELD: base64.b64encode(token_bytes(_BYTES)).decode()}
    text = json.dumps({"apiVersion": "v1", "kind": "Secret", "type": "Opaque", "metadata": about, "data": data})
    # Created, not applied: a key that is there stays.
    cluster.silently(cluster.kubectl("create", "--filename", "-", stdin=text, reason="the key that seals plans"))


def _name(cluster: Cluster) -> str:
    return f"{cluster.release}-plan-key"
