"""File systems in memory of a service on Kubernetes."""

import pytest
from kube_data import SHELL, container_of, pod_of, told, translation, volumes_of

from tasks.kube.plan.mounts.sizes import docker_bytes, in_binary, quantity
from tasks.kube.plan.source import ImageFacts
from tasks.model.errors import InputError


def test_tmpfs_and_shm_have_their_sizes() -> None:
    service = {"image": "x", "read_only": True, "tmpfs": ["/tmp:mode=1777,size=64m"], "shm_size": "134217728"}
    made = translation({"web": service})
    assert volumes_of(made) == {
        "tmpfs-tmp": {"emptyDir": {"medium": "Memory", "sizeLimit": "64Mi"}},
        "shm": {"emptyDir": {"medium": "Memory", "sizeLimit": "128Mi"}},
    }
    assert container_of(made)["volumeMounts"] == [
        {"name": "tmpfs-tmp", "mountPath": "/tmp"},
        {"name": "shm", "mountPath": "/dev/shm"},
    ]
    assert "initContainers" not in pod_of(made)


def test_a_tmpfs_without_a_size_has_no_limit_of_its_own() -> None:
    assert volumes_of(translation({"web": {"image": "x", "tmpfs": ["/run"]}})) == {
        "tmpfs-run": {"emptyDir": {"medium": "Memory"}}
    }


def test_a_mount_of_type_tmpfs_is_one() -> None:
    entry = {"type": "tmpfs", "target": "/cache", "tmpfs": {"size": "10485760", "mode": 1023}}
    made = translation({"web": {"image": "x", "volumes": [entry]}})
    assert volumes_of(made) == {"tmpfs-cache": {"emptyDir": {"medium": "Memory", "sizeLimit": "10Mi"}}}


def test_private_memory_is_made_by_an_init_container() -> None:
    service = {"image": "x", "user": "70:70", "tmpfs": ["/var/lib/db:uid=70,gid=70,mode=0700,size=384m"]}
    made = translation({"web": service}, images={"web": SHELL})
    (init,) = pod_of(made)["initContainers"]
    assert "fill /.slipway/tmpfs-var-lib-db/data '' 700 ''" in init["command"][2]
    assert container_of(made)["volumeMounts"] == [
        {"name": "tmpfs-var-lib-db", "mountPath": "/var/lib/db", "subPath": "data"}
    ]


@pytest.mark.parametrize("mode, image", [("0", SHELL), ("0700", ImageFacts("x", shell=False))])
def test_a_mode_that_can_not_be_set_is_reported(mode: str, image: ImageFacts) -> None:
    made = translation({"web": {"image": "x", "tmpfs": [f"/d:mode={mode}"]}}, images={"web": image})
    assert "initContainers" not in pod_of(made)
    assert [outcome.kind for outcome in told(made, "services.web.tmpfs./d")] == ["ignored"]


def test_options_that_kubernetes_has_not_are_reported() -> None:
    made = translation({"web": {"image": "x", "tmpfs": ["/d:noexec,size=50%"]}})
    (outcome,) = told(made, "services.web.tmpfs./d")
    assert outcome.reason == "noexec, size=50%: Kubernetes has no such option of a volume"


def test_memory_that_could_fill_the_limit_is_reported() -> None:
    service = {"image": "x", "tmpfs": ["/tmp:size=64m"], "shm_size": "64m", "mem_limit": "134217728"}
    made = translation({"web": service})
    (outcome,) = told(made, "services.web.tmpfs.size")
    assert outcome.reason == "up to 128Mi in memory count against the limit of 128Mi, as with Docker"
    assert told(translation({"web": {**service, "mem_limit": "1g"}}), "services.web.tmpfs.size") == []


@pytest.mark.parametrize("text, size", [("64m", 64 << 20), ("1g", 1 << 30), ("4k", 4096), ("10", 10), ("1.5kb", 1536)])
def test_sizes_of_docker_are_to_the_base_1024(text: str, size: int) -> None:
    assert docker_bytes(text, "x") == size


@pytest.mark.parametrize("size, text", [(64 << 20, "64Mi"), (1 << 30, "1Gi"), (1000, "1000"), (0, "0")])
def test_sizes_are_shown_in_the_largest_unit_that_divides_them(size: int, text: str) -> None:
    assert in_binary(size) == text


@pytest.mark.parametrize("text, made", [("10Gi", "10Gi"), ("10GB", "10G"), ("10GiB", "10Gi"), ("1.5Ti", "1.5Ti")])
def test_sizes_of_claims_are_as_kubernetes_writes_them(text: str, made: str) -> None:
    assert quantity(text, "x") == made


@pytest.mark.parametrize("text", ["", "0", "-1Gi", "10 Gi", "10Q", "1e3"])
def test_no_size_of_a_claim(text: str) -> None:
    with pytest.raises(InputError):
        quantity(text, "x")
