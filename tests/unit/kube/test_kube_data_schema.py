"""What containers read and write is what the API server takes: field by field, none that it does not know."""

from typing import Any

import pytest
from kube_data import SHELL, translation

from tasks.kube.plan.source import HostFile

kubernetes_validate = pytest.importorskip("kubernetes_validate")

FILES = {
    "/p/conf": HostFile("directory", {"a/b.conf": b"x", "logo": b"\xff"}),
    "/p/file": HostFile("file", {"": b"x"}),
    "/etc/localtime": HostFile("file", tracked=False),
}
VOLUMES: dict[str, Any] = {
    "data": {"labels": {"team": "db"}, "x-slipway": {"size": "1.5Gi", "class": "fast"}},
    "shared": {},
    "cache": {"x-slipway": {"keep": False, "size": "1Gi"}},
    "memory": {"driver_opts": {"type": "tmpfs", "o": "size=1m"}},
    "theirs": {"external": True},
}
WEB = {
    "image": "web",
    "user": "1000:1000",
    "read_only": True,
    "command": ["run", "${slipway:TOKEN}"],
    "environment": {"A": "$$(x)", "URL": "http://u:${slipway:PW}@x", "discovery.type": "single", "P": "${slipway:PW}"},
    "secrets": [
        {"source": "one", "target": "/run/secrets/one"},
        {"source": "two", "target": "/etc/two", "mode": "0400", "uid": "1000"},
        {"source": "tls"},
    ],
    "configs": [{"source": "text", "target": "/etc/t"}, {"source": "var", "mode": 256}, {"source": "there"}],
    "tmpfs": ["/tmp:mode=1777,size=64m", "/private:mode=0700,size=1m", "/run"],
    "shm_size": "134217728",
    "volumes": [
        *({"type": "volume", "source": name, "target": f"/v/{name}", "volume": {}} for name in VOLUMES),
        {"type": "volume", "target": "/anonymous", "volume": {}},
        {"type": "bind", "source": "/p/conf", "target": "/etc/conf", "read_only": True, "bind": {}},
        {"type": "bind", "source": "/p/file", "target": "/etc/file", "bind": {}},
        {"type": "bind", "source": "/etc/localtime", "target": "/etc/localtime", "read_only": True, "bind": {}},
        {"type": "image", "source": "files:1", "target": "/files", "image": {"subpath": "x"}},
        {"type": "tmpfs", "target": "/t", "tmpfs": {"size": "10485760", "mode": 448}},
    ],
}
SERVICES = {
    "web": WEB,
    "other": {"image": "o", "volumes_from": ["web:ro"]},
    "load": {"image": "l", "x-slipway": {"job": "once"}, "volumes": [WEB["volumes"][1]]},
}


@pytest.mark.parametrize("version", ["1.32", "1.35"])
def test_every_field_is_one_of_the_schema(version: str) -> None:
    made = translation(
        SERVICES,
        files=FILES,
        images={"web": SHELL},
        volumes=VOLUMES,
        secrets={"one": {"file": "/p/one"}, "two": {"environment": "TWO"}, "tls": {"external": True}},
        configs={"text": {"content": "a\n"}, "var": {"environment": "VAR"}, "there": {"external": True}},
    )
    kinds = [each["kind"] for each in made.objects]
    assert {"ConfigMap", "PersistentVolumeClaim", "Deployment"} <= set(kinds)
    for each in made.objects:
        if each["kind"] == "Deployment":  # the kind is said by others
            claims = {"volumeClaimTemplates", "persistentVolumeClaimRetentionPolicy"} & set(each["spec"])
            each = {**each, "kind": "StatefulSet" if claims else "Deployment"}
            each["spec"] = {**each["spec"], **({"serviceName": each["metadata"]["name"]} if claims else {})}
        kubernetes_validate.validate(each, version, strict=True)
