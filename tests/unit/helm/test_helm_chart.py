"""The chart of a stack: what its values set, and that Helm makes the same objects of it in each environment."""

import json
import re
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tasks.helm.package import packaged
from tasks.helm.plan.chart import ChartIdentity, ChartSource, chart, chart_name, fit_version
from tasks.helm.plan.slots import filled, parts_of_image, slotted
from tasks.kube.manifests.plan.overlays import identity
from tasks.kube.plan.source import KubeSource
from tasks.kube.plan.translate import translate
from tasks.kube.plan.workloads.charts import of_chart
from tasks.kube.plan.workloads.slots import of_one_slot
from tasks.model.stack.stack import parse

DIGEST = f"sha256:{'a' * 64}"
WEB = f"registry.example.com/shop/web@{DIGEST}"
HELM = shutil.which("helm") or str(Path.home() / ".cache" / "slipway" / "bin" / "helm")
needs_helm = pytest.mark.skipif(not Path(HELM).exists(), reason="no helm here")
CHART = ChartIdentity("shop", "1.2.3", "1.2.3")


def workload(name: str = "web", kind: str = "Deployment", project: str = "shop", **more: Any) -> dict[str, Any]:
    labels = {"app.kubernetes.io/part-of": project, "app.kubernetes.io/name": name}
    container = {
        "name": name,
        "image": more.get("image", WEB),
        "env": [{"name": key, "value": value} for key, value in more.get("env", {"LEVEL": "info"}).items()],
        "resources": more.get("resources", {"limits": {"memory": "128Mi"}}),
    }
    pod = {"containers": [container], **more.get("pod", {})}
    spec = {
        "replicas": more.get("replicas", 2),
        "selector": {"matchLabels": labels},
        "template": {"metadata": {"labels": labels}, "spec": pod},
        **more.get("spec", {}),
    }
    return {"apiVersion": "apps/v1", "kind": kind, "metadata": {"name": name, "labels": labels}, "spec": spec}


def config(name: str = "files", **data: str) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": data}


def ingress(host: str = "shop.example.com", name: str = "web") -> dict[str, Any]:
    spec = {
        "ingressClassName": "traefik",
        "rules": [{"host": host, "http": {"paths": [{"path": "/", "pathType": "Prefix"}]}}],
        "tls": [{"hosts": [host], "secretName": "tls"}],
    }
    metadata = {"name": name, "labels": {"app.kubernetes.io/name": name}}
    return {"apiVersion": "networking.k8s.io/v1", "kind": "Ingress", "metadata": metadata, "spec": spec}


def claim(name: str = "db", size: str = "10Gi", **spec: Any) -> dict[str, Any]:
    fields = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": size}}, **spec}
    return {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": name}, "spec": fields}


def source(*objects: Mapping[str, Any], project: str = "shop", **more: Any) -> ChartSource:
    return ChartSource(objects, project, f"{project}-secrets", "busybox:1.37", **more)


def written(path: Path, files: Mapping[str, str]) -> Path:
    for name, text in files.items():
        (path / name).parent.mkdir(parents=True, exist_ok=True)
        (path / name).write_text(text, encoding="utf-8", newline="")
    return path


def helm(*words: str) -> str:
    done = subprocess.run([HELM, *words], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def templated(path: Path, environment: str, *words: str) -> dict[str, Any]:
    values = str(path / f"values-{environment}.yaml")
    text = helm("template", "shop", str(path), "--values", values, "--skip-tests", *words)
    # Helm applies each object without blanks at its ends.
    several = (yaml.safe_load(one.strip()) for one in re.split(r"^---$", text, flags=re.MULTILINE))
    return {identity(one): one for one in several if one}


def by_identity(*objects: Mapping[str, Any]) -> dict[str, Any]:
    return {identity(one): one for one in objects}


def values(files: Mapping[str, str], environment: str = "") -> Any:
    return yaml.safe_load(files[f"values-{environment}.yaml" if environment else "values.yaml"])


def test_what_operators_set_is_a_value() -> None:
    objects = (workload(pod={"imagePullSecrets": [{"name": "login"}]}), ingress(), claim(storageClassName="fast"))
    assert values(chart(CHART, {"prod": source(*objects)}, "prod")) == {
        "imagePullSecrets": [{"name": "login"}],
        "services": {
            "web": {
                "image": {"repository": "registry.example.com/shop/web", "tag": "", "digest": DIGEST},
                "replicas": 2,
                "resources": {"limits": {"memory": "128Mi"}},
                "environment": {"LEVEL": "info"},
                "ingress": {"class": "traefik", "host": "shop.example.com"},
            }
        },
        "volumes": {"db": {"size": "10Gi", "class": "fast"}},
        "test": {"image": {"repository": "busybox", "tag": "1.37", "digest": ""}},
    }


@pytest.mark.parametrize(
    ("image", "parts"),
    [
        ("web", ("web", "", "")),
        ("web:1", ("web", "1", "")),
        ("localhost:5000/web", ("localhost:5000/web", "", "")),
        (f"localhost:5000/a/web:1@{DIGEST}", ("localhost:5000/a/web", "1", DIGEST)),
    ],
)
def test_an_image_has_parts(image: str, parts: tuple[str, str, str]) -> None:
    assert tuple(parts_of_image(image).values()) == parts


def test_slots_filled_with_their_values_are_the_objects() -> None:
    objects = (workload(), ingress(), claim(), config(a="{{ x }}"))
    made = slotted(objects)
    assert [filled(one, made.values) for one in made.objects] == list(objects)


def test_two_workloads_of_a_service_that_differ_do_not_share_a_value() -> None:
    blue, green = workload(replicas=2), {**workload(replicas=0), "kind": "StatefulSet"}
    made = slotted((blue, green))
    assert made.values["services"]["web"]["replicas"] == 2
    assert [filled(one, made.values)["spec"]["replicas"] for one in made.objects] == [2, 0]


def test_an_init_container_with_the_image_of_a_service_follows_it() -> None:
    pod = {"initContainers": [{"name": "wait", "image": WEB}, {"name": "other", "image": "busybox"}]}
    made = slotted((workload(), workload("worker", image="worker:1", pod=pod)))
    waiting, other = made.objects[1]["spec"]["template"]["spec"]["initContainers"]
    assert waiting["image"].path == ("services", "web", "image")
    assert other["image"] == "busybox"


@pytest.mark.parametrize(
    ("project", "environment", "name"),
    [
        ("shop-prod", "prod", "shop"),
        ("shop", "prod", "shop"),
        ("my_shop-qa", "qa", "my-shop"),
        ("prod", "prod", "prod"),
    ],
)
def test_a_chart_is_called_as_the_project_without_its_environment(project: str, environment: str, name: str) -> None:
    assert chart_name(project, environment) == name


@pytest.mark.parametrize(
    ("text", "fit"), [("1.2.3", True), ("0.0.0-dev.g1a2b3c4-dirty", True), ("1.2", False), ("", False)]
)
def test_a_chart_has_a_semantic_version(text: str, fit: bool) -> None:
    assert fit_version(text) is fit


def test_the_schema_takes_the_values_of_each_environment() -> None:
    files = chart(CHART, {"prod": source(workload(), claim()), "qa": source(workload(env={"B": "1"}))}, "prod")
    schema = json.loads(files["values.schema.json"])
    jsonschema.validate(values(files), schema)


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("services", "web", "replica"), 3),
        (("services", "web", "replicas"), "3"),
        (("services", "web", "environment", "LEVEL"), 1),
        (("services", "web", "environment", "LEVLE"), "x"),
        (("services", "web", "image", "digest"), "abc"),
        (("volumes", "db", "size"), "ten"),
        (("service",), {}),
    ],
)
def test_the_schema_refuses_a_mistyped_value(path: tuple[str, ...], value: object) -> None:
    files = chart(CHART, {"prod": source(workload(), claim())}, "prod")
    changed = values(files)
    place = changed
    for part in path[:-1]:
        place = place[part]
    place[path[-1]] = value
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(changed, json.loads(files["values.schema.json"]))


def test_the_notes_name_the_keys_of_the_secret() -> None:
    variable = {"name": "A", "valueFrom": {"secretKeyRef": {"name": "shop-secrets", "key": "TOKEN"}}}
    projected = {"sources": [{"secret": {"name": "shop-secrets", "items": [{"key": "db", "path": "db"}]}}]}
    one = workload(pod={"volumes": [{"name": "secrets", "projected": projected}]})
    one["spec"]["template"]["spec"]["containers"][0]["env"].append(variable)
    notes = chart(CHART, {"prod": source(one)}, "prod")["templates/NOTES.txt"]
    assert "\n  TOKEN\n  db\n" in notes


def test_the_same_objects_give_the_same_bytes_in_any_order() -> None:
    one, other = source(workload(), config(a="1")), source(workload(replicas=1))
    assert chart(CHART, {"prod": one, "qa": other}, "qa") == chart(CHART, {"qa": other, "prod": one}, "qa")


ODD = {
    "go": "{{ .Values.x }} {{- /* c */ -}} {{{{ }}}} {{{ `",
    "lines": "a {{ b }}\n{{- if c -}}\n\n  d\n",
    "ends": "x\n\n\n",
    "starts": "\n  x",
    "trailing": "<?php \n x \n?> \n",
    "crlf": "a\r\n\tb\x07\u2028é😀",
    "html": '<a href="x">&amp;</a>\'',
    "number": "1e3",
    "truth": "on",
    "none": "",
    "blank": " \n \n",
}


@needs_helm
def test_content_survives_byte_for_byte(tmp_path: Path) -> None:
    alone = [config(f"only-{name}", text=text) for name, text in ODD.items()]
    objects = (config(**ODD), *alone, workload(env={f"V{number}": text for number, text in enumerate(ODD.values())}))
    path = written(tmp_path, chart(CHART, {"prod": source(*objects)}, "prod"))
    assert templated(path, "prod") == by_identity(*objects)


PIECES = [*"ab {}-\n\t\"'\\:#%|>&<`$.", "{{", "}}", "{{-", "-}}", "é", "\r"]
TEXT = st.lists(st.sampled_from(PIECES), max_size=20).map("".join)


@needs_helm
@settings(max_examples=4, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(TEXT, min_size=120, max_size=120))
def test_whatever_a_text_is_it_survives(tmp_path_factory: pytest.TempPathFactory, texts: list[str]) -> None:
    objects = [
        config(f"c{number}", a=text, **({"b": "x"} if number % 2 else {})) for number, text in enumerate(texts[:60])
    ]
    env = {f"V{number}": text for number, text in enumerate(texts[60:])}
    path = written(
        tmp_path_factory.mktemp("chart"), chart(CHART, {"prod": source(*objects, workload(env=env))}, "prod")
    )
    assert templated(path, "prod") == by_identity(*objects, workload(env=env))


ENVIRONMENTS = {
    "prod": source(
        workload(project="shop-prod", replicas=3, env={"A": "1", "LEVEL": "warn", "Z": "z"}),
        workload(
            "db", "StatefulSet", "shop-prod", spec={"volumeClaimTemplates": [claim("data", storageClassName="x")]}
        ),
        config("files-1a", a="1"),
        config("same", a="{{ same }}"),
        ingress(),
        project="shop-prod",
    ),
    "qa": source(
        workload(
            project="shop-qa",
            image="web:2",
            env={"B": "{{ b }}", "LEVEL": "warn"},
            pod={"terminationGracePeriodSeconds": 5, "imagePullSecrets": [{"name": "login"}]},
            spec={"strategy": {"type": "Recreate"}},
        ),
        workload("db", "StatefulSet", "shop-qa", spec={"volumeClaimTemplates": [claim("data", "1Gi")]}),
        config("files-2b", a="2", **{"b-c.d": "{{"}),
        config("same", a="{{ same }}"),
        project="shop-qa",
    ),
    "dev": source(workload(project="shop-dev", resources={}, env={}), project="shop-dev"),
}


@needs_helm
@pytest.mark.parametrize("default", ENVIRONMENTS)
def test_helm_makes_the_objects_of_each_environment(tmp_path: Path, default: str) -> None:
    path = written(tmp_path, chart(CHART, ENVIRONMENTS, default))
    for name, here in ENVIRONMENTS.items():
        assert templated(path, name) == by_identity(*here.objects), name


@needs_helm
def test_helm_finds_no_fault_with_the_chart(tmp_path: Path) -> None:
    path = written(tmp_path / "shop", chart(CHART, ENVIRONMENTS, "prod"))
    for name in ENVIRONMENTS:
        said = helm("lint", "--strict", str(path), "--values", str(path / f"values-{name}.yaml"))
        assert "0 chart(s) failed" in said


@needs_helm
def test_an_operator_sets_a_value(tmp_path: Path) -> None:
    path = written(tmp_path, chart(CHART, ENVIRONMENTS, "prod"))
    texts = "services.web.environment.LEVEL=1,services.web.image.tag=9,services.web.image.digest="
    said = ("--set", "services.web.replicas=7,imagePullSecrets[0].name=mine", "--set-string", texts)
    spec = templated(path, "prod", *said)["apps/v1/Deployment/web"]["spec"]
    container = spec["template"]["spec"]["containers"][0]
    assert (spec["replicas"], container["image"]) == (7, "registry.example.com/shop/web:9")
    assert {"name": "LEVEL", "value": "1"} in container["env"]
    assert spec["template"]["spec"]["imagePullSecrets"] == [{"name": "mine"}]


@needs_helm
def test_what_is_for_an_install_is_not_there_at_an_upgrade(tmp_path: Path) -> None:
    here = source(workload(), at_install=(config("first"),), at_upgrade=(config("later", a="{{"),))
    path = written(tmp_path, chart(CHART, {"prod": here}, "prod"))
    assert templated(path, "prod") == by_identity(*here.objects, *here.at_install)
    assert templated(path, "prod", "--is-upgrade") == by_identity(*here.objects, *here.at_upgrade)


@needs_helm
def test_a_test_pod_asks_each_service(tmp_path: Path) -> None:
    service = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "web"},
               "spec": {"selector": {"a": "b"}, "ports": [{"port": 80}, {"port": 53, "protocol": "UDP"}]}}  # fmt: skip
    peer = {"podSelector": {"matchLabels": {"app.kubernetes.io/part-of": "shop", "network.slipway/front": "true"}}}
    policy = {"apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy", "metadata": {"name": "web"},
              "spec": {"podSelector": {}, "ingress": [{"from": [peer]}]}}  # fmt: skip
    slotted = of_one_slot(service, "green")  # of a canary in a mesh: it may have no Pods
    path = written(tmp_path, chart(CHART, {"prod": source(service, policy, slotted)}, "prod"))
    text = helm("template", "rel", str(path), "--show-only", "templates/tests/services-1.yaml")
    pod = yaml.safe_load(text)
    assert pod["metadata"]["name"] == "rel-test-1"
    assert pod["metadata"]["labels"]["network.slipway/front"] == "true"
    assert pod["metadata"]["labels"]["app.kubernetes.io/part-of"] == "shop"
    (container,) = pod["spec"]["containers"]
    assert (container["image"], container["command"]) == ("busybox:1.37", ["nc", "-z", "-w", "5", "web", "80"])


@needs_helm
def test_the_notes_are_a_template_too(tmp_path: Path) -> None:
    path = written(tmp_path, chart(CHART, ENVIRONMENTS, "prod"))
    said = helm("install", "rel", str(path), "--dry-run=client", "--namespace", "ns", "--debug")
    assert "shop 1.2.3 is release rel in ns." in said
    assert "https://shop.example.com" in said


@needs_helm
def test_a_job_that_waits_for_the_database_runs_at_the_first_install_too(tmp_path: Path) -> None:
    """By plain Helm: an ordinary Job at the install, a hook before an upgrade; all else as it is rendered."""
    services = {
        "db": {"image": "db:1", "x-slipway": {"role": "database"}},
        "migrate": {"image": "app:1", "depends_on": {"db": {"condition": "service_healthy"}}},
        "web": {
            "image": "app:1",
            "cpus": 0.5,
            "environment": {"A": "{{ x }} $$(y)", "API_TOKEN": "planted"},
            "ports": [{"mode": "ingress", "target": 80, "published": "80", "protocol": "tcp"}],
            "depends_on": {"migrate": {"condition": "service_completed_successfully"}},
            "x-slipway": {"scale": {"min": 2, "max": 5}, "ingress": {"host": "shop.example"}},
        },
    }
    model = {"name": "my_shop", "services": services}
    objects = translate(KubeSource(model, parse(model))).objects
    here = packaged(of_chart(objects), "my_shop", "busybox:1.37")
    path = written(tmp_path, chart(CHART, {"prod": here}, "prod"))

    at_install, at_upgrade = templated(path, "prod"), templated(path, "prod", "--is-upgrade")
    plain = [each for each in objects if each["kind"] != "Job"]
    assert at_install == by_identity(*plain, *here.at_install)
    assert at_upgrade == by_identity(*plain, *here.at_upgrade)
    (first,) = [each for each in at_install.values() if each["kind"] == "Job"]
    (later,) = [each for each in at_upgrade.values() if each["kind"] == "Job"]
    assert "helm.sh/hook" not in first["metadata"]["annotations"]
    assert later["metadata"]["annotations"]["helm.sh/hook"] == "pre-upgrade"
    # The number of Pods is the autoscaler's: no value sets it.
    assert "replicas" not in values(chart(CHART, {"prod": here}, "prod"))["services"]["web"]
    (scaled,) = [
        each for each in at_upgrade.values() if each["metadata"]["name"] == "web" and each["kind"] == "Deployment"
    ]
    assert "replicas" not in scaled["spec"]
