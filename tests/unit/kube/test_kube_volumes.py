"""Volumes of a service on Kubernetes: one claim for each, and what a new one begins with."""

from typing import Any

import pytest
from kube_data import SHELL, container_of, kube_source, objects_of, pod_of, told, translation, volumes_of, workload_of

from tasks.kube.plan.mounts import volumes
from tasks.kube.plan.source import ImageFacts, KubeSettings
from tasks.model.errors import InputError


def mount(source: str, target: str, **fields: Any) -> dict[str, Any]:
    return {"type": "volume", "source": source, "target": target, "volume": {}, **fields}


def using(*mounts: dict[str, Any], **fields: Any) -> dict[str, Any]:
    return {"image": "x", "volumes": [*mounts], **fields}


def test_a_volume_of_one_service_is_the_claim_of_a_stateful_set() -> None:
    made = translation(
        {"db": using(mount("data", "/var/lib/postgresql/data"))},
        volumes={"data": {"name": "shop_data", "x-slipway": {"size": "10Gi", "class": "fast"}}},
    )
    assert workload_of(made, "db")["volumeClaimTemplates"] == [
        {
            "apiVersion": "v1",
            "kind": "PersistentVolumeClaim",
            "metadata": {"name": "data"},
            "spec": {
                "accessModes": ["ReadWriteOnce"],
                "resources": {"requests": {"storage": "10Gi"}},
                "storageClassName": "fast",
            },
        }
    ]
    assert workload_of(made, "db")["persistentVolumeClaimRetentionPolicy"] == {
        "whenDeleted": "Retain",
        "whenScaled": "Retain",
    }
    assert "volumes" not in pod_of(made, "db")
    assert objects_of(made, "PersistentVolumeClaim") == []


def test_data_is_in_a_directory_of_the_claim_which_has_no_lost_and_found() -> None:
    made = translation({"db": using(mount("data", "/data"))}, volumes={"data": {}})
    assert container_of(made, "db")["volumeMounts"] == [{"name": "data", "mountPath": "/data", "subPath": "data"}]


def test_a_size_that_nobody_said_is_reported() -> None:
    made = translation({"db": using(mount("data", "/data"))}, volumes={"data": {}})
    (template,) = workload_of(made, "db")["volumeClaimTemplates"]
    assert template["spec"]["resources"]["requests"]["storage"] == "1Gi"
    assert "storageClassName" not in template["spec"]
    (outcome,) = told(made, "volumes.data.size")
    assert outcome.reason == "1Gi; say `x-slipway: {size: 10Gi}` of the volume, or KUBE_VOLUME_SIZE in the profile"


def test_the_profile_has_size_and_class_for_all() -> None:
    made = translation(
        {"db": using(mount("data", "/data"))},
        volumes={"data": {}},
        settings=KubeSettings(volume_size="5GB", storage_class="slow"),
    )
    (template,) = workload_of(made, "db")["volumeClaimTemplates"]
    assert template["spec"]["resources"]["requests"]["storage"] == "5G"
    assert template["spec"]["storageClassName"] == "slow"
    assert told(made, "volumes.data.size") == []


def test_a_volume_of_two_services_is_one_claim_that_nothing_removes() -> None:
    made = translation(
        {"a": using(mount("d", "/data")), "b": using(mount("d", "/in", read_only=True))},
        volumes={"d": {"name": "shop_d"}},
    )
    (claim,) = objects_of(made, "PersistentVolumeClaim")
    assert claim["metadata"]["name"] == "d"
    assert claim["metadata"]["annotations"] == {
        "helm.sh/resource-policy": "keep",
        "argocd.argoproj.io/sync-options": "Prune=false,Delete=false",
    }
    assert claim["spec"]["accessModes"] == ["ReadWriteOnce"]
    for name in ("a", "b"):
        assert volumes_of(made, name) == {"d": {"persistentVolumeClaim": {"claimName": "d"}}}
        assert "volumeClaimTemplates" not in workload_of(made, name)
    assert container_of(made, "b")["volumeMounts"] == [
        {"name": "d", "mountPath": "/in", "subPath": "data", "readOnly": True}
    ]


def test_a_claim_that_services_share_is_made_once() -> None:
    services = {
        "tests": using(mount("d", "/d"), **{"x-slipway": {"job": "test"}}),
        "web": using(mount("d", "/d")),
        "job": using(mount("d", "/d")),
    }
    source = kube_source(services, volumes={"d": {}})
    made = {name: len(volumes.part(source, source.stack.service(name)).objects) for name in services}
    assert made == {"tests": 0, "web": 1, "job": 0}


def test_pods_that_share_a_claim_for_one_node_run_there() -> None:
    made = translation({"a": using(mount("d", "/d")), "b": using(mount("d", "/d"))}, volumes={"d": {}})
    for name in ("a", "b"):
        (term,) = pod_of(made, name)["affinity"]["podAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"]
        assert term == {
            "labelSelector": {"matchLabels": {"app.kubernetes.io/part-of": "shop", "slipway.volume.d": "shared"}},
            "topologyKey": "kubernetes.io/hostname",
        }
        # The first Pod is scheduled because it matches the term itself.
        assert (
            term["labelSelector"]["matchLabels"].items()
            <= workload_of(made, name)["template"]["metadata"]["labels"].items()
        )
    (outcome,) = told(made, "volumes.d.access")
    assert outcome.reason == "a, b share it, and with ReadWriteOnce one node mounts it: their Pods run there"


def test_pods_that_share_a_claim_for_many_nodes_run_anywhere() -> None:
    volumes = {"d": {"x-slipway": {"access": "ReadWriteMany"}}}
    made = translation({"a": using(mount("d", "/d"), scale=3), "b": using(mount("d", "/d"))}, volumes=volumes)
    (claim,) = objects_of(made, "PersistentVolumeClaim")
    assert claim["spec"]["accessModes"] == ["ReadWriteMany"]
    assert "affinity" not in pod_of(made, "a")
    assert told(made, "services.a.volumes./d", ["refused"]) == []


def test_read_only_is_said_of_the_mount_and_not_of_the_claim() -> None:
    made = translation({"a": using(mount("d", "/d", read_only=True))}, volumes={"d": {}})
    (template,) = workload_of(made, "a")["volumeClaimTemplates"]
    assert template["spec"]["accessModes"] == ["ReadWriteOnce"]
    assert container_of(made, "a")["volumeMounts"][0]["readOnly"] is True


@pytest.mark.parametrize(
    "fields, why",
    [
        ({"deploy": {"replicas": 3}}, "3 replicas"),
        ({"scale": 2}, "2 replicas"),
        ({"deploy": {"mode": "global"}}, "a Pod on each node"),
        ({"x-slipway": {"rollout": "start-first"}}, "rollout: start-first"),
        ({"x-slipway": {"rollout": "blue-green"}}, "rollout: blue-green"),
        ({"deploy": {"update_config": {"order": "start-first"}}}, "rollout: start-first"),
    ],
)
def test_several_pods_with_a_claim_for_one_node_are_refused(fields: dict[str, Any], why: str) -> None:
    made = translation({"a": using(mount("d", "/d"), **fields)}, volumes={"d": {}})
    (refusal,) = told(made, "services.a.volumes./d", ["refused"])
    assert refusal.reason == (
        f"{why}: several Pods would use claim d at once, and with ReadWriteOnce one node mounts it"
    )
    assert "access: ReadWriteMany" in refusal.hint


def test_replicas_share_one_claim_as_they_share_one_volume_with_compose() -> None:
    volumes = {"d": {"x-slipway": {"access": "ReadWriteMany"}}}
    made = translation({"a": using(mount("d", "/d"), scale=3)}, volumes=volumes)
    assert len(objects_of(made, "PersistentVolumeClaim")) == 1
    assert "volumeClaimTemplates" not in workload_of(made, "a")


def test_a_user_who_is_not_root_may_write_into_volumes() -> None:
    made = translation({"pg": using(mount("d", "/d"), user="5050")}, volumes={"d": {}})
    context = pod_of(made, "pg")["securityContext"]
    assert (context["fsGroup"], context["fsGroupChangePolicy"]) == (5050, "OnRootMismatch")


@pytest.mark.parametrize(
    "user, image, group",
    [
        ("0", ImageFacts(), None),
        ("", ImageFacts("x", user="70:71", uid=70, gid=71), 71),
        ("5:6", ImageFacts(), 6),
        ("pg", ImageFacts("x", users={"pg": (70, 71)}), 71),
        ("70", ImageFacts("x", users={"pg": (70, 71)}), 71),
        ("", ImageFacts("x", uid=0, gid=0), None),
    ],
)
def test_volumes_belong_to_the_group_of_the_user(user: str, image: ImageFacts, group: int | None) -> None:
    service = using(mount("d", "/d"), **({"user": user} if user else {}))
    made = translation({"a": service}, volumes={"d": {}}, images={"a": image})
    assert pod_of(made, "a").get("securityContext", {}).get("fsGroup") == group


def test_a_new_volume_begins_with_the_files_of_the_image() -> None:
    made = translation({"db": using(mount("d", "/var/lib/data"))}, volumes={"d": {}}, images={"db": SHELL})
    (init,) = pod_of(made, "db")["initContainers"]
    assert init["name"] == "prepare-volumes"
    assert init["volumeMounts"] == [{"name": "d", "mountPath": "/.slipway/d"}]
    assert "fill /.slipway/d/data /var/lib/data '' ''" in init["command"][2]
    (outcome,) = told(made, "services.db.volumes./var/lib/data")
    assert outcome.reason == "a new volume begins with the image's files at /var/lib/data, as with Docker"


def test_nocopy_only_makes_the_directory() -> None:
    entry = mount("d", "/d", volume={"nocopy": True})
    made = translation({"db": using(entry)}, volumes={"d": {}}, images={"db": SHELL})
    (init,) = pod_of(made, "db")["initContainers"]
    assert "fill /.slipway/d/data '' '' ''" in init["command"][2]


@pytest.mark.parametrize("shell, said", [(False, "has no shell"), (None, "is not known to have a shell")])
def test_without_a_shell_a_new_volume_is_empty_and_that_is_reported(shell: bool | None, said: str) -> None:
    made = translation({"a": using(mount("d", "/d"))}, volumes={"d": {}}, images={"a": ImageFacts("x", shell=shell)})
    assert "initContainers" not in pod_of(made, "a")
    (outcome,) = told(made, "services.a.volumes./d")
    assert outcome.reason == f"a new volume is empty: the image {said} that could copy its files at /d"


def test_a_subpath_is_below_the_directory_of_the_claim() -> None:
    made = translation({"a": using(mount("d", "/d", volume={"subpath": "x/y"}))}, volumes={"d": {}})
    assert container_of(made, "a")["volumeMounts"][0]["subPath"] == "data/x/y"


def test_a_volume_that_need_not_be_kept_is_in_the_pod() -> None:
    volumes = {"cache": {"x-slipway": {"keep": False, "size": "2Gi"}}}
    made = translation({"a": using(mount("cache", "/cache"))}, volumes=volumes)
    assert volumes_of(made, "a") == {"cache": {"emptyDir": {"sizeLimit": "2Gi"}}}
    assert container_of(made, "a")["volumeMounts"] == [{"name": "cache", "mountPath": "/cache"}]


def test_a_shared_volume_can_not_be_in_the_pod() -> None:
    volumes = {"d": {"x-slipway": {"keep": False}}}
    made = translation({"a": using(mount("d", "/d")), "b": using(mount("d", "/d"))}, volumes=volumes)
    (refusal,) = told(made, "volumes.d", ["refused"])
    assert refusal.reason == "a and b share it, and a volume of a Pod has no other Pod"


def test_the_upstream_files_of_a_proxy_are_those_of_its_image() -> None:
    services = {"edge": using(mount("up", "/etc/nginx/upstreams"), **{"x-slipway": {"proxy": {"kind": "nginx"}}})}
    made = translation(services, volumes={"up": {}}, images={"edge": SHELL})
    assert volumes_of(made, "edge") == {"up": {"emptyDir": {}}}
    (init,) = pod_of(made, "edge")["initContainers"]
    assert "fill /.slipway/up/data /etc/nginx/upstreams '' yes" in init["command"][2]
    assert [outcome.reason for outcome in told(made, "volumes.up")] == [
        "the upstream files of a proxy: each Pod has those of the image, and Services balance"
    ]


def test_upstream_files_that_can_not_be_copied_are_refused() -> None:
    services = {"edge": using(mount("up", "/etc/nginx/upstreams"), **{"x-slipway": {"proxy": {"kind": "nginx"}}})}
    made = translation(services, volumes={"up": {}}, images={"edge": ImageFacts("x", shell=False)})
    (refusal,) = told(made, "services.edge.volumes./etc/nginx/upstreams", ["refused"])
    assert refusal.reason == "the image has no shell that could copy its files at /etc/nginx/upstreams"


def test_a_job_has_a_claim_of_its_own_name() -> None:
    made = translation({"load": using(mount("d", "/d"), **{"x-slipway": {"job": "once"}})}, volumes={"d": {}})
    assert [claim["metadata"]["name"] for claim in objects_of(made, "PersistentVolumeClaim")] == ["d"]
    assert "volumeClaimTemplates" not in workload_of(made, "load")


def test_an_external_volume_is_a_claim_that_exists() -> None:
    volumes = {"d": {"name": "old-data", "external": True}}
    made = translation({"a": using(mount("d", "/d"))}, volumes=volumes, images={"a": SHELL})
    assert objects_of(made, "PersistentVolumeClaim") == []
    assert volumes_of(made, "a") == {"d": {"persistentVolumeClaim": {"claimName": "old-data"}}}
    assert container_of(made, "a")["volumeMounts"] == [{"name": "d", "mountPath": "/d"}]
    assert "initContainers" not in pod_of(made, "a")


def test_an_anonymous_volume_goes_with_its_pod() -> None:
    made = translation({"a": using({"type": "volume", "target": "/cache", "volume": {}})}, images={"a": SHELL})
    assert volumes_of(made, "a") == {"anonymous-cache": {"emptyDir": {}}}
    assert container_of(made, "a")["volumeMounts"] == [
        {"name": "anonymous-cache", "mountPath": "/cache", "subPath": "data"}
    ]


def test_a_volume_of_a_read_only_image_can_be_written() -> None:
    image = ImageFacts("x", shell=True, volumes=("/data", "/cache", "/var/lib/db"))
    service = using(mount("d", "/var/lib/db"), read_only=True, tmpfs=["/cache:size=1m"])
    made = translation({"a": service}, volumes={"d": {}}, images={"a": image})
    assert set(volumes_of(made, "a")) == {"anonymous-data", "tmpfs-cache"}
    made = translation({"a": {"image": "x"}}, images={"a": image})
    assert "volumes" not in pod_of(made, "a")


def test_volumes_from_mounts_the_same_claim() -> None:
    services = {"a": using(mount("d", "/d")), "b": {"image": "x", "volumes_from": ["a:ro"]}}
    made = translation(services, volumes={"d": {}})
    assert len(objects_of(made, "PersistentVolumeClaim")) == 1
    assert container_of(made, "b")["volumeMounts"] == [
        {"name": "d", "mountPath": "/d", "subPath": "data", "readOnly": True}
    ]


def test_volumes_of_a_container_of_the_engine_are_refused() -> None:
    made = translation({"a": {"image": "x", "volumes_from": ["container:old:ro"]}})
    (refusal,) = told(made, "services.a.volumes_from", ["refused"])
    assert refusal.reason == "container:old:ro is a container of the engine"


def test_a_driver_needs_a_storage_class() -> None:
    nfs = {"driver": "local", "driver_opts": {"type": "nfs", "o": "addr=10.0.0.1,rw", "device": ":/x"}}
    made = translation({"a": using(mount("d", "/d"))}, volumes={"d": nfs})
    (refusal,) = told(made, "volumes.d.driver_opts", ["refused"])
    assert refusal.hint == "say which storage class is like it: x-slipway: {class: NAME}"
    made = translation({"a": using(mount("d", "/d"))}, volumes={"d": {**nfs, "x-slipway": {"class": "nfs"}}})
    assert [outcome.kind for outcome in told(made, "volumes.d.driver_opts")] == ["ignored"]


def test_a_volume_in_memory_is_one() -> None:
    memory = {"driver_opts": {"type": "tmpfs", "device": "tmpfs", "o": "size=64m,uid=1000"}}
    made = translation({"a": using(mount("d", "/d"))}, volumes={"d": memory})
    assert volumes_of(made, "a") == {"d": {"emptyDir": {"medium": "Memory", "sizeLimit": "64Mi"}}}


def test_files_of_another_image_are_mounted() -> None:
    entry = {"type": "image", "source": "shop/files:1", "target": "/files", "image": {"subpath": "etc"}}
    made = translation({"a": using(entry)})
    assert volumes_of(made, "a") == {
        "image-files": {"image": {"reference": "shop/files:1", "pullPolicy": "IfNotPresent"}}
    }
    assert container_of(made, "a")["volumeMounts"][0]["subPath"] == "etc"


def test_a_mount_of_another_type_is_refused() -> None:
    made = translation({"a": using({"type": "npipe", "source": "x", "target": "y"})})
    assert [outcome.reason for outcome in told(made, "services.a.volumes.y")] == ["type npipe has no counterpart"]


@pytest.mark.parametrize(
    "said, message",
    [
        ({"sizes": "1Gi"}, "volumes.d.x-slipway: unknown key 'sizes'"),
        ({"size": "much"}, "volumes.d.x-slipway.size: expected a size such as 10Gi, got 'much'"),
        ({"access": "Some"}, "volumes.d.x-slipway.access: expected one of ReadWriteOnce, ReadWriteMany, "),
        ({"keep": "no"}, "volumes.d.x-slipway.keep: expected true or false, got 'no'"),
    ],
)
def test_what_a_volume_can_not_say_is_refused(said: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError) as raised:
        translation({"a": using(mount("d", "/d"))}, volumes={"d": {"x-slipway": said}})
    assert raised.value.message.startswith(message)


def test_labels_of_a_volume_are_annotations_of_its_claim() -> None:
    made = translation(
        {"a": using(mount("d", "/d"))}, volumes={"d": {"labels": {"com.example.team": "db", "a b": "x"}}}
    )
    (template,) = workload_of(made, "a")["volumeClaimTemplates"]
    assert template["metadata"]["annotations"] == {"com.example.team": "db"}
    assert [outcome.kind for outcome in told(made, "volumes.d.labels.a b")] == ["ignored"]


def test_a_volume_for_one_pod_can_not_be_shared() -> None:
    volumes = {"d": {"x-slipway": {"access": "ReadWriteOncePod"}}}
    made = translation({"a": using(mount("d", "/d")), "b": using(mount("d", "/d"))}, volumes=volumes)
    (refusal,) = told(made, "services.b.volumes./d", ["refused"])
    assert refusal.reason == "d is shared, and with ReadWriteOncePod a single Pod mounts it"


def test_names_of_volumes_do_not_collide() -> None:
    volumes = {"secrets": {}, "a_b": {}, "a-b": {}, "A.B": {}}
    made = translation(
        {"a": using(*(mount(name, f"/{number}") for number, name in enumerate(volumes)))}, volumes=volumes
    )
    names = [template["metadata"]["name"] for template in workload_of(made, "a")["volumeClaimTemplates"]]
    assert len(set(names)) == 4
    assert "secrets" not in names
    assert "a-b" in names
