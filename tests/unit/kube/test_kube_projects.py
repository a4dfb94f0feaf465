"""Projects as people write them for one host: translated whole, or refused where a cluster does something else."""

from collections.abc import Mapping
from typing import Any

import pytest
from kube_data import SHELL, container_of, objects_of, pod_of, told, translation
from kube_projects import BUILT, DATABASE, FILES, IMAGE, IMAGES, PROJECTS, TOP, develops, mounted

from tasks.kube import schemas
from tasks.kube.plan.outcome import REFUSED
from tasks.kube.plan.source import HostFile, ImageFacts


@pytest.mark.parametrize(("services", "refused"), PROJECTS.values(), ids=list(PROJECTS))
def test_a_project_is_translated_or_refused_where_a_cluster_does_something_else(
    services: Mapping[str, Any], refused: set[str]
) -> None:
    made = translation(services, files=FILES, images=IMAGES, **TOP)
    found = [outcome for outcome in made.outcomes if outcome.kind == REFUSED]
    assert {outcome.key for outcome in found} == refused
    assert all(outcome.reason and outcome.hint for outcome in found)
    assert schemas.faults(made.objects) == ()


def test_sources_that_the_image_has_are_not_copied_and_stay_writable() -> None:
    made = translation(
        develops(), files=FILES, images={"web": ImageFacts(IMAGE, shell=True, copies=frozenset({"/code"}))}
    )
    (outcome,) = told(made, "services.web.volumes./code")
    assert (outcome.kind, outcome.into) == ("inferred", "image")
    assert not objects_of(made, "ConfigMap")
    assert [mount["mountPath"] for mount in container_of(made)["volumeMounts"]] == ["/code/modules"]


@pytest.mark.parametrize(
    ("image", "hint"), [(ImageFacts(), "build the image"), (ImageFacts(IMAGE), "the image has other files there")]
)
def test_sources_that_the_image_may_lack_are_refused_with_what_to_build(image: ImageFacts, hint: str) -> None:
    made = translation(develops(), files=FILES, images={"web": image})
    (outcome,) = told(made, "services.web.volumes./code", [REFUSED])
    assert outcome.hint.startswith(hint)
    assert outcome.accept == "KUBE-IN-IMAGE"


def test_sources_too_large_for_an_object_are_no_fault_where_the_image_has_them() -> None:
    large = {"/p/web": HostFile("directory", {"lock": b"x" * (1 << 21)})}
    made = translation(develops(), files=large, images=IMAGES)
    assert not told(made, "services.web.volumes./code", [REFUSED])


def test_a_directory_below_etc_is_read_only_and_reported() -> None:
    made = translation({"web": {"image": "p", "volumes": [mounted("/p/conf", "/etc/monitor")]}}, files=FILES)
    (outcome,) = told(made, "services.web.volumes./etc/monitor")
    assert (outcome.kind, outcome.reason) == ("inferred", "read-only: the container can not write to /etc/monitor")
    assert container_of(made)["volumeMounts"][0]["readOnly"] is True


def test_an_empty_directory_below_etc_is_data() -> None:
    made = translation(
        {"web": {"image": "p", "volumes": [mounted("/p/conf", "/etc/dns")]}}, files={"/p/conf": HostFile("directory")}
    )
    (outcome,) = told(made, "services.web.volumes./etc/dns", [REFUSED])
    assert outcome.accept == "KUBE-READ-ONLY"


def test_what_keeps_a_directory_from_being_copied_is_named() -> None:
    there = {"/p/conf": HostFile("directory", {"a": b"1"}, tracked=False, withheld="key.pem")}
    made = translation({"web": {"image": "p", "volumes": [mounted("/p/conf", "/conf", read_only=True)]}}, files=there)
    (outcome,) = told(made, "services.web.volumes./conf", [REFUSED])
    assert outcome.reason.startswith("key.pem in /p/conf is not copied: git ignores it")
    assert outcome.accept == "KUBE-HOST-PATH"


def test_web_assembly_runs_where_its_runtime_class_says() -> None:
    services = {"web": {"image": IMAGE, "platform": "wasi/wasm", "runtime": "io.containerd.wasmedge.v1"}}
    pod = pod_of(translation(services))
    assert pod["runtimeClassName"] == "io.containerd.wasmedge.v1"
    assert "nodeSelector" not in pod


@pytest.mark.parametrize(
    ("image", "hint"), [(ImageFacts(), "build or pull"), (ImageFacts(shell=False), "write STOPSIGNAL")]
)
def test_a_signal_that_nothing_can_send_is_refused_with_what_to_do(image: ImageFacts, hint: str) -> None:
    made = translation({"web": {**BUILT, "stop_signal": "SIGINT"}}, images={"web": image})
    (outcome,) = told(made, "services.web.stop_signal", [REFUSED])
    assert outcome.hint.startswith(hint) and "STOPSIGNAL SIGINT" in outcome.hint


def test_a_user_of_an_image_that_is_here_is_its_number() -> None:
    services = {"web": {"image": "postgres", "user": "postgres"}}
    known = ImageFacts("postgres", users={"postgres": (70, 70)}, shell=SHELL.shell)
    assert pod_of(translation(services, images={"web": known}))["securityContext"]["runAsUser"] == 70
    (outcome,) = told(translation(services), "services.web.user", [REFUSED])
    assert outcome.hint.startswith("build or pull the image")


@pytest.mark.parametrize("project", PROJECTS)
def test_every_container_has_an_image_and_a_name(project: str) -> None:
    """The API server wants both; the schemas do not."""
    shell = {name: ImageFacts(name, shell=True, copies=frozenset({"/code"})) for name in ("web", "db", "m", "proxy")}
    made = translation(PROJECTS[project][0], files=FILES, images=shell, **TOP)
    pods = [each["spec"]["template"]["spec"] for each in made.objects if "template" in each.get("spec", {})]
    containers = [one for pod in pods for one in (*pod.get("initContainers", ()), *pod["containers"])]
    assert containers
    assert all(one["image"] and one["name"] for one in containers)


def test_what_fills_a_volume_is_confined_as_the_service_is() -> None:
    service = {**DATABASE, "user": "70:70", "cap_drop": ["ALL"], "read_only": True, "mem_limit": "134217728"}
    made = translation({"db": service}, images={"db": ImageFacts("postgres:17", shell=True)}, **TOP)
    (prepare,), (container,) = pod_of(made, "db")["initContainers"], pod_of(made, "db")["containers"]
    for key in ("image", "imagePullPolicy", "securityContext", "resources"):
        assert prepare[key] == container[key]
