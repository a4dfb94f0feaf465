"""What the database and the proxy of the sample read and write on Kubernetes, whole."""

import json
import re
from typing import Any

import pytest
from kube_data import container_of, objects_of, pod_of, told, volumes_of, workload_of
from support import ROOT

from tasks.kube.plan.source import HostFile, ImageFacts, KubeSource
from tasks.kube.plan.translate import Translation, translate
from tasks.kube.plan.workloads.lifecycle import DRAIN
from tasks.model.stack.stack import parse

CONF = ROOT / "docker_project" / "nginx" / "conf"
SECRETS = {"name": "secrets", "mountPath": "/run/secrets", "readOnly": True}


@pytest.fixture(scope="module")
def made() -> Translation:
    model = json.loads((ROOT / "tests" / "data" / "kube" / "sample-data.json").read_text(encoding="utf-8"))
    files = {path.name: path.read_bytes() for path in CONF.iterdir()}
    postgres = ImageFacts("x", user="70:70", uid=70, gid=70, shell=True, volumes=("/var/lib/postgresql/data",))
    nginx = ImageFacts("x", user="101:101", uid=101, gid=101, shell=True)
    source = KubeSource(
        model,
        parse(model),
        images={"database": postgres, "nginx": nginx},
        files={"/project/nginx/conf": HostFile("directory", files)},
    )
    return translate(source)


def secrets(*names: str) -> dict[str, Any]:
    items = [{"key": name, "path": name} for name in names]
    return {"projected": {"defaultMode": 0o444, "sources": [{"secret": {"name": "shop-secrets", "items": items}}]}}


def memory(size: str) -> dict[str, Any]:
    return {"emptyDir": {"medium": "Memory", "sizeLimit": size}}


def test_the_database(made: Translation) -> None:
    assert volumes_of(made, "database") == {
        "secrets": secrets("database_password"),
        "tmpfs-tmp": memory("64Mi"),
        "tmpfs-var-run-postgresql": memory("1Mi"),
        "shm": memory("256Mi"),
    }
    assert container_of(made, "database")["volumeMounts"] == [
        SECRETS,
        {"name": "database", "mountPath": "/var/lib/postgresql/data", "subPath": "data"},
        {"name": "tmpfs-tmp", "mountPath": "/tmp"},
        {"name": "tmpfs-var-run-postgresql", "mountPath": "/var/run/postgresql"},
        {"name": "shm", "mountPath": "/dev/shm"},
    ]
    (template,) = workload_of(made, "database")["volumeClaimTemplates"]
    assert template["metadata"]["name"] == "database"
    assert pod_of(made, "database")["securityContext"]["fsGroup"] == 70
    (init,) = pod_of(made, "database")["initContainers"]
    assert init["command"][2].endswith("\nfill /.slipway/database/data /var/lib/postgresql/data '' ''\n")


def test_the_proxy(made: Translation) -> None:
    (config,) = objects_of(made, "ConfigMap")
    assert config["data"] == {path.name: path.read_text(encoding="utf-8") for path in CONF.iterdir()}
    volumes = volumes_of(made, "nginx")
    assert volumes.pop("bind-etc-nginx-conf")["configMap"]["name"] == config["metadata"]["name"]
    assert volumes == {
        "secrets": secrets("tls_certificate", "tls_key"),
        "upstreams": {"emptyDir": {}},
        "tmpfs-tmp": memory("64Mi"),
    }
    assert container_of(made, "nginx")["volumeMounts"] == [
        SECRETS,
        {"name": "bind-etc-nginx-conf", "mountPath": "/etc/nginx/conf", "readOnly": True},
        {"name": "upstreams", "mountPath": "/etc/nginx/upstreams", "subPath": "data"},
        {"name": "tmpfs-tmp", "mountPath": "/tmp"},
    ]
    assert "volumeClaimTemplates" not in workload_of(made, "nginx")
    (init,) = pod_of(made, "nginx")["initContainers"]
    assert init["command"][2].endswith("\nfill /.slipway/upstreams/data /etc/nginx/upstreams '' yes\n")


def test_nothing_of_it_is_refused(made: Translation) -> None:
    keys = ("environment", "secrets", "volumes", "tmpfs", "shm_size")
    found = [f"services.{name}.{key}" for name in ("database", "nginx") for key in keys]
    refused = [outcome for outcome in made.outcomes if outcome.kind == "refused"]
    assert [outcome for outcome in refused if outcome.key.startswith(tuple(found))] == []
    assert told(made, "services.nginx.volumes./etc/nginx/conf")[0].kind == "ignored"


def test_the_samples_proxy_ends_a_kept_connection_before_the_pod_that_it_leads_to() -> None:
    text = (CONF.parent / "upstreams" / "app.conf").read_text()
    found = dict(re.findall(r"^ *(keepalive_time|keepalive_timeout) (\d+)s;$", text, re.MULTILINE))
    assert set(found) == {"keepalive_time", "keepalive_timeout"}
    # Used for the last time just before it is too old, it is idle for as long as it may be.
    assert sum(map(int, found.values())) < DRAIN
