"""The cluster of the tests is a real one: names, health, volumes, policies, security; and nothing is left of it."""

import json
import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import pytest
from pods import CASES
from pods import pod as any_pod

from tasks.kube.plan.pod_security import BASELINE, LEVELS, RESTRICTED, violations
from tests.e2e.support import until

from . import components, groups
from .cluster import ROOT, Cluster, Namespace, processes
from .conftest import common
from .objects import deployment, job, named, only_from, pod, service

TAKES = 70


def test_it_is_the_version_that_was_built(cluster: Cluster) -> None:
    assert f'"gitVersion": "{components.version()}"' in cluster.kubectl("version", "-o", "json").stdout


def test_what_is_read_without_kubectl_is_what_it_shows(namespace: Namespace) -> None:
    namespace.apply([named("ConfigMap", "one", data={"a": "b"}), named("ConfigMap", "two"), service("web")])
    namespace.kubectl("label", "configmap/one", "kept=yes")

    def shown(*words: str) -> Any:
        return json.loads(namespace.kubectl("get", *words, "-o", "json").stdout)

    assert namespace.get("service", "web") == shown("service", "web")
    assert namespace.get("services,configmaps") == shown("services,configmaps")["items"]
    assert namespace.get("configmaps", kept="yes") == shown("configmaps", "-l", "kept=yes")["items"] != []
    assert namespace.get("pods") == []
    with pytest.raises(AssertionError, match="services/absent: 404 "):
        namespace.get("service", "absent")


def test_pods_that_are_ready_answer_by_the_name_of_their_service(cluster: Cluster, namespace: Namespace) -> None:
    image = cluster.load_app("1")
    namespace.apply([deployment("web", pod(image), replicas=2), service("web")])
    namespace.rolled_out("deployment/web")

    namespace.apply([job("ask", pod(image, "wget", "-q", "-O", "-", "http://web/"))])
    namespace.wait("--for=condition=complete", "job/ask")
    assert namespace.logs("job/ask").startswith("1 on web-")


def test_a_change_rolls_out_and_what_can_not_start_does_not_replace_what_serves(
    cluster: Cluster, namespace: Namespace
) -> None:
    namespace.apply([deployment("web", pod(cluster.load_app("1")))])
    namespace.rolled_out("deployment/web")
    namespace.apply([deployment("web", pod(cluster.load_app("2")))])
    namespace.rolled_out("deployment/web")
    until(lambda: len(namespace.get("pods", app="web")) == 1, "the former Pod is gone")
    (now,) = namespace.get("pods", app="web")
    assert now["spec"]["containers"][0]["image"].endswith(":2")

    namespace.apply([deployment("web", pod(cluster.load_app("2"), "false"))])
    until(lambda: len(namespace.get("pods", app="web")) == 2, "a Pod of the new kind")
    assert namespace.get("pod", now["metadata"]["name"])["status"]["containerStatuses"][0]["ready"]


def test_a_claim_is_bound_and_belongs_to_the_group_of_the_pod(cluster: Cluster, namespace: Namespace) -> None:
    image = cluster.load_app("1")
    claim = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}
    mounted = {"volumeMounts": [{"name": "data", "mountPath": "/data"}]}
    volumes = [{"name": "data", "persistentVolumeClaim": {"claimName": "data"}}]
    namespace.apply([named("PersistentVolumeClaim", "data", spec=claim)])
    for name, command in (("write", "echo kept > /data/file"), ("read", "cat /data/file && stat -c %g /data/file")):
        namespace.apply([job(name, pod(image, "sh", "-c", command, volumes=volumes, container=mounted))])
        namespace.wait("--for=condition=complete", f"job/{name}")

    assert namespace.logs("job/read").split() == ["kept", "1000"]


def test_a_network_policy_is_enforced(cluster: Cluster, namespace: Namespace) -> None:
    image = cluster.load_app("1")
    friend = ("sh", "-c", "exec sleep 600")
    namespace.apply([deployment(name, pod(image, *friend)) for name in ("friend", "stranger")])
    namespace.apply([deployment("web", pod(image)), service("web"), only_from("web", "friend")])
    namespace.rolled_out("deployment/web", "deployment/friend", "deployment/stranger")

    def reaches(name: str) -> bool:
        words = ("exec", f"deployment/{name}", "--", "timeout", "5", "wget", "-q", "-O", "-", "http://web/")
        return namespace.kubectl(*words, check=False).returncode == 0

    until(lambda: reaches("friend"), "the friend reaches it")
    until(lambda: not reaches("stranger"), "the stranger does not")
    until(lambda: reaches("friend"), "the friend still does")


def test_a_job_that_fails_has_failed(cluster: Cluster, namespace: Namespace) -> None:
    namespace.apply([job("migrate", pod(cluster.load_app("1"), "sh", "-c", "echo no such table; exit 3"))])
    namespace.wait("--for=condition=failed", "job/migrate")

    assert namespace.logs("job/migrate") == "no such table\n"


@pytest.mark.parametrize("level", [level for level in LEVELS if level != "privileged"])
def test_the_api_server_judges_pods_as_we_do(cluster: Cluster, level: str) -> None:
    pods = {"allowed": any_pod(), **{name: spec for name, (spec, *_) in CASES.items()}}
    refused = {}
    with cluster.namespace(level) as namespace:
        for name, spec in pods.items():
            thing = named("Pod", name.lower().replace(" ", "-").replace("/", ""), spec=spec)
            said = namespace.apply([thing], dry=True, check=False)
            assert any(word in said for word in ("violates PodSecurity", "serverside-applied", " is invalid:")), said
            if " is invalid:" not in said:  # fields that exclude each other: no level is asked
                refused[name] = "violates PodSecurity" in said
    assert len(refused) > len(pods) - 3
    assert refused == {name: bool(violations(pods[name], level)) for name in refused}
    assert not refused["allowed"]
    assert refused["root"] == (level == RESTRICTED)
    assert refused["privileged"] == (level in (BASELINE, RESTRICTED))


_JOIN = """
import sys
from pathlib import Path
from tests.cluster.shared import shared
with shared(Path(sys.argv[1])) as cluster:
    print(cluster.layout.directory, flush=True)
    sys.stdin.read()
"""


def test_another_process_of_the_session_joins_the_cluster_and_leaves_it(
    cluster: Cluster, tmp_path_factory: pytest.TempPathFactory
) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", _JOIN, str(common(tmp_path_factory))],
        cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    ) as other:  # fmt: skip
        assert other.stdout
        assert other.stdout.readline().strip() == str(cluster.layout.directory)
        other.communicate(timeout=60)

    assert other.returncode == 0
    assert cluster.kubectl("get", "--raw", "/readyz").stdout == "ok"


_HOLD = """
import sys
from tests.cluster.cluster import started
with started(nodes=2) as cluster:
    print(cluster.layout.directory, cluster.layout.link, flush=True)
    sys.stdin.read()
"""


@pytest.mark.usefixtures("cluster")  # skipped where that is
def test_nothing_is_left_of_a_cluster_whose_tests_are_killed() -> None:
    before = groups.tunables()
    with subprocess.Popen(
        [sys.executable, "-c", _HOLD], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as holder:
        assert holder.stdout
        directory, link = holder.stdout.readline().split()
        assert directory.startswith(tempfile.gettempdir())
        assert Path("/sys/class/net", link).exists()
        assert processes(directory)
        os.kill(holder.pid, signal.SIGKILL)

    until(lambda: not Path(directory).exists(), f"{directory} is removed")
    assert processes(directory) == []
    until(lambda: not Path("/sys/class/net", link).exists(), f"{link} is removed")
    assert [path for path in Path("/sys/fs/cgroup").glob(f"*/{link}*")] == []
    assert directory not in Path("/proc/mounts").read_text()
    assert groups.tunables() == before
