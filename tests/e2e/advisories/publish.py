"""Push a database to a registry as trivy publishes it."""

import hashlib
import json
import urllib.request

from ..registries import Registry

_LAYER = "application/vnd.aquasec.trivy.db.layer.v1.tar+gzip"
_CONFIG = "application/vnd.aquasec.trivy.config.v1+json"
_MANIFEST = "application/vnd.oci.image.manifest.v1+json"


def publish(registry: Registry, repository: str, tag: str, archive: bytes) -> str:
    """Push an archive as an OCI artifact; return its name."""
    layers = [_blob(registry, repository, archive, _LAYER, {"org.opencontainers.image.title": "db.tar.gz"})]
    config = _blob(registry, repository, b"{}", _CONFIG, {})
    manifest = {"schemaVersion": 2, "mediaType": _MANIFEST, "config": config, "layers": layers}
    url = f"http://{registry.host}/v2/{repository}/manifests/{tag}"
    _send(url, "PUT", json.dumps(manifest).encode(), _MANIFEST)
    return f"{registry.host}/{repository}:{tag}"


def _blob(registry: Registry, repository: str, data: bytes, kind: str, notes: dict[str, str]) -> dict[str, object]:
    digest = f"sha256:{hashlib.sha256(data).hexdigest()}"
    place = _send(f"http://{registry.host}/v2/{repository}/blobs/uploads/", "POST", b"", "application/octet-stream")
    mark = "&" if "?" in place else "?"
    _send(f"{place}{mark}digest={digest}", "PUT", data, "application/octet-stream")
    return {"mediaType": kind, "digest": digest, "size": len(data), "annotations": notes}


def _send(url: str, method: str, data: bytes, kind: str) -> str:
    request = urllib.request.Request(url, data, {"Content-Type": kind}, method=method)
    with urllib.request.urlopen(request, timeout=20) as answer:
        return str(answer.headers.get("Location") or "")
