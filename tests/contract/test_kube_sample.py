"""What the sample stack is on Kubernetes, from its Compose files: confined, separated, reached by name."""

import os
from typing import Any

import pytest
from invoke import Context
from support import ROOT

from tasks.host.project import Project
from tasks.kube.plan.confinement import limits, security
from tasks.kube.plan.network import policies, services
from tasks.kube.plan.outcome import REFUSED
from tasks.kube.plan.part import Part, together
from tasks.kube.plan.source import ImageFacts, KubeSource

# As the Dockerfiles say.
IMAGES = {
    "database": ImageFacts(user="70:70", uid=70, gid=70, ports=("5432/tcp",)),
    "migrate": ImageFacts(user="70:70", uid=70, gid=70, ports=("5432/tcp",)),
    "app": ImageFacts(user="65532:65532", uid=65532, gid=65532, ports=("8000/tcp",)),
    "nginx": ImageFacts(user="101:101", uid=101, gid=101, ports=("8080/tcp", "8081/tcp", "8443/tcp")),
}


@pytest.fixture(scope="module", params=["dev", "test", "staging", "prod"])
def sample(request: pytest.FixtureRequest) -> KubeSource:
    with pytest.MonkeyPatch.context() as patch:
        for key in [key for key in os.environ if key.startswith(("SLIPWAY_", "COMPOSE_", "DOCKER_"))]:
            patch.delenv(key)
        patch.setenv("SLIPWAY_PROJECT_DIR", str(ROOT / "docker_project"))
        patch.setenv("SLIPWAY_ENVS_DIR", str(ROOT / "envs"))
        # Where production has its secrets is no directory of this machine.
        project = Project(Context(), request.param, {"SECRETS_DIR": "./secrets", "TLS_DIR": "./nginx/ssl"})
        model = project.model
    return KubeSource(model, project.stack, images=IMAGES)


def translated(sample: KubeSource, name: str) -> Part:
    aspects = (security.part, limits.part, services.part, policies.part)
    return together(aspect(sample, sample.stack.services[name]) for aspect in aspects)


def objects(sample: KubeSource, name: str, kind: str) -> list[Any]:
    return [each for each in translated(sample, name).objects if each["kind"] == kind]


def test_nothing_of_it_is_refused(sample: KubeSource) -> None:
    refused = [outcome for name in IMAGES for outcome in translated(sample, name).outcomes if outcome.kind == REFUSED]
    assert refused == []


def test_pod_security_restricted_admits_every_service(sample: KubeSource) -> None:
    """https://kubernetes.io/docs/concepts/security/pod-security-standards/#restricted."""
    for name in IMAGES:
        found = translated(sample, name)
        pod, container = found.pod["securityContext"], found.container["securityContext"]
        assert pod["runAsNonRoot"] is True and pod["runAsUser"] == IMAGES[name].uid
        assert pod["seccompProfile"] == {"type": "RuntimeDefault"}
        assert container["allowPrivilegeEscalation"] is False
        assert container["capabilities"] == {"drop": ["ALL"]}
        assert container["readOnlyRootFilesystem"] is True
        assert not {"hostNetwork", "hostPID", "hostIPC"} & found.pod.keys()
        assert "hostPort" not in str(found.container) and "sysctls" not in pod


def test_every_service_has_a_memory_limit_and_asks_for_it(sample: KubeSource) -> None:
    for name in IMAGES:
        resources = translated(sample, name).container["resources"]
        assert resources["limits"]["memory"] == resources["requests"]["memory"]


def reaches(sample: KubeSource, client: str, server: str) -> bool:
    """Whether the policies let Pods of one service reach those of another one at every port."""
    carried = {"app.kubernetes.io/part-of": sample.stack.project, **translated(sample, client).labels}
    (policy,) = objects(sample, server, "NetworkPolicy")
    peers = [peer for rule in policy["spec"]["ingress"] for peer in rule.get("from", [])]
    return any(peer["podSelector"]["matchLabels"].items() <= carried.items() for peer in peers)


def test_the_proxy_reaches_the_app_and_not_the_database(sample: KubeSource) -> None:
    assert reaches(sample, "nginx", "app") and reaches(sample, "app", "database")
    assert reaches(sample, "migrate", "database")
    assert not reaches(sample, "nginx", "database") and not reaches(sample, "migrate", "nginx")


def test_a_job_reaches_the_database_and_dns_and_nothing_else(sample: KubeSource) -> None:
    (policy,) = objects(sample, "migrate", "NetworkPolicy")
    peers, dns = policy["spec"]["egress"]
    assert "network.slipway/backend" in str(peers) and "kube-dns" in str(dns)


def test_every_service_is_reached_by_its_name_at_its_own_ports(sample: KubeSource) -> None:
    found = {
        each["metadata"]["name"]: [port["port"] for port in each["spec"]["ports"]]
        for name in IMAGES
        for each in objects(sample, name, "Service")
    }
    assert found == {"database": [5432], "app": [8000, 9464], "nginx": [8080, 8081, 8083, 8443]}


def test_nothing_is_published_outside_of_the_cluster(sample: KubeSource) -> None:
    kinds = {each["spec"]["type"] for name in IMAGES for each in objects(sample, name, "Service")}
    assert kinds == {"ClusterIP"}
