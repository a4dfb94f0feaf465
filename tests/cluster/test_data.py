"""What containers read and write is on a cluster what Compose hands to them: bytes, modes, owners, sizes, data."""

import base64
import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from kube_data import kube_source

from tasks.kube.plan.secrets import secret_name, wanted
from tasks.kube.plan.source import HostFile, ImageFacts
from tasks.kube.plan.translate import translate
from tests.e2e.support import until

from .cluster import Cluster, Namespace
from .objects import named

TAKES = 25
IMAGE = "slipway.test/data:1"
TOKEN, TEXT, LOGO = b"\x00token\xff\n\n", "a\n\n  b: $X\n", bytes(range(256))
_APPLETS = "cat chmod cp df env id ls mkdir mv rm sed sh sha256sum sleep stat test touch"
_SAFE = {"read_only": True, "user": "1000:1000", "cap_drop": ["ALL"], "security_opt": ["no-new-privileges:true"]}
WEB: dict[str, Any] = {
    "image": IMAGE,
    **_SAFE,
    "command": ["sh", "-c", 'echo "$$0" > /tmp/word; exec sleep 3600', "${slipway:PW}"],
    "healthcheck": {"test": ["CMD-SHELL", "test p@ss = '${slipway:PW}'"], "interval": "1s", "start_period": "5s"},
    "environment": {"URL": "http://u:${slipway:PW}@x/$$(HOME)", "PW_ALONE": "${slipway:PW}", "dotted.name": "$$$$"},
    "secrets": [
        {"source": "token", "target": "/run/secrets/token"},
        {"source": "token", "target": "/etc/app/token", "mode": "0400"},
    ],
    "configs": [{"source": "text", "target": "/etc/text"}],
    "tmpfs": ["/tmp:mode=1777,size=16m", "/private:mode=0700,size=1m"],
    "shm_size": "33554432",
    "mem_limit": "134217728",
    "volumes": [
        {"type": "volume", "source": "data", "target": "/srv/data", "volume": {}},
        {"type": "volume", "source": "shared", "target": "/shared", "volume": {}},
        {"type": "bind", "source": "/p/conf", "target": "/etc/conf", "read_only": True, "bind": {}},
    ],
}
READER: dict[str, Any] = {
    "image": IMAGE,
    **_SAFE,
    "command": ["sleep", "3600"],
    "volumes": [{"type": "volume", "source": "shared", "target": "/in", "read_only": True, "volume": {}}],
}


WORKLOADS = {"web": "statefulset/web", "reader": "deployment/reader"}


@dataclass
class Pods:
    """The Pods of the project in a namespace."""

    namespace: Namespace

    def run(self, service: str, *words: str) -> str:
        """Return what a command in the container of a service writes."""
        return self.namespace.kubectl("exec", WORKLOADS[service], "-c", service, "--", *words).stdout

    def digest(self, path: str) -> str:
        """Return the SHA-256 digest of a file of the web service."""
        return self.run("web", "sha256sum", path).split()[0]


@pytest.fixture(scope="module")
def pods(cluster: Cluster) -> Iterator[Pods]:
    """The project, applied."""
    links = {f"/bin/{applet}": "busybox" for applet in _APPLETS.split()}
    contents = {"/bin/busybox": Path("/bin/busybox"), "/srv/data/file": b"of the image\n"}
    cluster.load_files(IMAGE, contents, links=links, entrypoint=(), command=["sleep", "1"], user="1000:1000")
    facts = ImageFacts(IMAGE, user="1000:1000", uid=1000, gid=1000, shell=True)
    source = kube_source(
        {"web": WEB, "reader": READER},
        images={"web": facts, "reader": facts},
        files={"/p/conf": HostFile("directory", {"sub/logo": LOGO, "a.conf": b"x"})},
        volumes={"data": {}, "shared": {}},
        secrets={"token": {"file": "/p/token"}},
        configs={"text": {"content": TEXT.replace("$", "$$")}},
    )
    assert set(wanted(source)) == {"PW", "token"}
    made = translate(source)
    assert [outcome for outcome in made.outcomes if outcome.kind == "refused"] == []
    with cluster.namespace() as namespace:
        secret = {"PW": b"p@ss", "token": TOKEN}
        data = {key: base64.b64encode(value).decode() for key, value in secret.items()}
        namespace.apply([named("Secret", secret_name("shop"), data=data)])
        namespace.apply(made.objects)
        namespace.rolled_out(*WORKLOADS.values())
        yield Pods(namespace)


def sha(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def test_secrets_are_files_with_their_bytes(pods: Pods) -> None:
    assert pods.digest("/run/secrets/token") == sha(TOKEN)
    # Its owner alone may read it with Compose; here the user of the container does so by its group.
    assert pods.digest("/etc/app/token") == sha(TOKEN)
    assert pods.run("web", "stat", "-L", "-c", "%a %g", "/etc/app/token").split() == ["440", "1000"]


def test_configs_and_files_of_the_project_have_their_bytes(pods: Pods) -> None:
    assert pods.digest("/etc/text") == sha(TEXT.encode())
    assert pods.digest("/etc/conf/sub/logo") == sha(LOGO)


def test_variables_are_what_compose_passes(pods: Pods) -> None:
    found = dict(line.partition("=")[::2] for line in pods.run("web", "env").splitlines())
    assert found["URL"] == "http://u:p@ss@x/$(HOME)"
    assert found["PW_ALONE"] == "p@ss"
    assert found["dotted.name"] == "$$"
    assert not [name for name in found if name.endswith("_SERVICE_HOST") and not name.startswith("KUBERNETES")]


def test_a_secret_in_a_command_is_put_in(pods: Pods) -> None:
    assert pods.run("web", "cat", "/tmp/word") == "p@ss\n"


def test_memory_has_its_size_mode_and_owner(pods: Pods) -> None:
    sizes = {
        line.split()[-1]: int(line.split()[1])
        for line in pods.run("web", "df", "-k").splitlines()[1:]
        if "tmpfs" in line
    }
    assert {path: sizes[path] for path in ("/tmp", "/private", "/dev/shm")} == {
        "/tmp": 16 << 10,
        "/private": 1 << 10,
        "/dev/shm": 32 << 10,
    }
    assert pods.run("web", "stat", "-c", "%a %u", "/private").split() == ["700", "1000"]
    pods.run("web", "touch", "/private/file", "/tmp/file", "/dev/shm/file")


def test_a_volume_begins_with_the_files_of_the_image_and_keeps_what_was_written(pods: Pods) -> None:
    assert pods.run("web", "cat", "/srv/data/file") == "of the image\n"
    assert pods.run("web", "stat", "-c", "%u", "/srv/data").strip() == "1000"
    pods.run("web", "sh", "-c", "echo changed > /srv/data/file")
    before = pods.namespace.get("pod", "web-0")["metadata"]["uid"]
    pods.namespace.kubectl("delete", "pod", "web-0", "--grace-period=1")
    until(lambda: pods.namespace.get("pods", **{"app.kubernetes.io/name": "web"}) != [], "another Pod")
    pods.namespace.rolled_out("statefulset/web")

    assert pods.namespace.get("pod", "web-0")["metadata"]["uid"] != before
    assert pods.run("web", "cat", "/srv/data/file") == "changed\n"


def test_services_that_share_a_volume_see_each_others_files(pods: Pods) -> None:
    pods.run("web", "sh", "-c", "echo hello > /shared/file")
    assert pods.run("reader", "cat", "/in/file") == "hello\n"
    refused = pods.namespace.kubectl(
        "exec", WORKLOADS["reader"], "-c", "reader", "--", "touch", "/in/file", check=False
    )
    assert "Read-only file system" in refused.stderr
