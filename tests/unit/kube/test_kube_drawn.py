"""Whatever a Compose file says: the objects are valid, fit together, hide secrets, and no key is forgotten."""

import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
from drawn import FILES, IMAGES, PLANTED, models
from hypothesis import HealthCheck, Phase, assume, given, settings
from hypothesis import strategies as st

from tasks.kube import schemas
from tasks.kube.plan import labels
from tasks.kube.plan.check import security
from tasks.kube.plan.data.held import secret_name
from tasks.kube.plan.secrets import wanted
from tasks.kube.plan.source import KubeSettings, KubeSource
from tasks.kube.plan.translate import Translation, translate
from tasks.kube.plan.workloads import kinds
from tasks.kube.plan.workloads.charts import of_chart
from tasks.kube.plan.workloads.references import ACCOUNT, CLAIM, CONFIG_MAP, mentioned
from tasks.model.errors import InputError
from tasks.model.stack.stack import parse

pytest.importorskip("kubernetes_validate")

_WORKLOADS = ("Deployment", "StatefulSet", "DaemonSet", "Job", "CronJob")
_LABEL = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")  # RFC 1123
_SUBDOMAIN = re.compile(r"[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?")
_VALUE = re.compile(r"([A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?)?")
_QUALIFIED = re.compile(r"([a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?/)?[A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?")
Made = tuple[KubeSource, Translation]


@st.composite
def translations(draw: st.DrawFn) -> Made:
    """Return a release and what it becomes; a model that no task accepts is not one."""
    model = json.loads(json.dumps(draw(models())).replace("pLanted", PLANTED))
    images = {name: draw(st.sampled_from(IMAGES)) for name in model["services"]}
    login, mesh = draw(st.sampled_from([(), ("login",)])), draw(st.sampled_from(["", "istio", "linkerd"]))
    given = KubeSettings(secret_keys=("X_PASSWORD",), pull_secrets=login, mesh=mesh)
    try:
        stack = parse(model)
    except InputError:
        assume(False)
    slots = {name: "blue" for name, service in stack.services.items() if service.rollout == "blue-green"}
    chosen = draw(st.sampled_from([{}, slots]))
    source = KubeSource(model, stack, images=images, files=FILES, settings=given, slots=chosen)
    return source, translate(source)


def test_names_that_would_be_one_object_are_refused() -> None:
    services = {"web": {"image": "web", "x-slipway": {"rollout": "blue-green"}}, "web-blue": {"image": "web"}}
    model = {"name": "shop", "services": services}
    with pytest.raises(InputError, match="Deployment web-blue: two objects have this name, of web and web-blue"):
        translate(KubeSource(model, parse(model), slots={"web": "blue"}))


def test_names_have_room_for_what_is_added_to_them() -> None:
    long = "x" * 63
    model = {"name": "shop", "services": {long: {"image": "web", "x-slipway": {"job": "seed"}}}}
    (cron_job,) = [each for each in translate(KubeSource(model, parse(model))).objects if each["kind"] == "CronJob"]
    assert len(cron_job["metadata"]["name"]) == 52 and cron_job["metadata"]["labels"][labels.SERVICE] == long

    model = {"name": "shop", "services": {long: {"image": "web", "x-slipway": {"rollout": "blue-green"}}}}
    made = translate(KubeSource(model, parse(model), slots={long: "green"}))
    assert [len(each["metadata"]["name"]) for each in made.objects if each["kind"] == "Deployment"] == [63]


def test_a_service_with_a_claim_of_its_own_is_not_said_to_have_two_pods_at_once() -> None:
    mount = {"type": "volume", "source": "data", "target": "/data"}
    services = {"web": {"image": "x", "volumes": [mount], "x-slipway": {"reload": {"check": ["true"]}}}}
    model = {"name": "shop", "services": services, "volumes": {"data": {"name": "shop_data"}}}
    made = translate(KubeSource(model, parse(model)))
    (_, template), *_ = pods(made)
    assert "lifecycle" not in template["spec"]["containers"][0]
    told = {outcome.key: outcome.reason for outcome in made.outcomes}
    assert told["services.web.x-slipway.reload"].endswith("the old one goes before it comes")


def test_a_job_by_its_deploy_mode_has_a_claim_beside_it() -> None:
    mount = {"type": "volume", "source": "data", "target": "/data"}
    services = {"work": {"image": "x", "volumes": [mount], "deploy": {"mode": "replicated-job"}}}
    model = {"name": "shop", "services": services, "volumes": {"data": {"name": "shop_data"}}}
    made = translate(KubeSource(model, parse(model)))
    assert [each["kind"] for each in made.objects if each["kind"] in ("Job", CLAIM)] == ["Job", CLAIM]
    assert schemas.faults(json.loads(json.dumps(made.objects, default=dict)), "v1.35.0") == ()


def test_what_prepares_a_volume_runs_the_services_image_as_confined_as_it() -> None:
    mount = {"type": "volume", "source": "data", "target": "/data"}
    confined = {"user": "70:70", "cap_drop": ["ALL"], "security_opt": ["no-new-privileges:true"]}
    services = {"db": {"image": "db:1", "volumes": [mount], "mem_limit": "64m", **confined}}
    model = {"name": "shop", "services": services, "volumes": {"data": {"name": "shop_data"}}}
    made = translate(KubeSource(model, parse(model), images={"db": IMAGES[1]}))
    ((_, template),) = pods(made)
    (prepares,), (db,) = template["spec"]["initContainers"], template["spec"]["containers"]
    for field in ("image", "imagePullPolicy", "securityContext", "resources"):
        assert prepares[field] == db[field]
    assert security(made.objects, "restricted") == ()


@pytest.mark.parametrize(
    ("services", "key", "said"),
    [
        (
            {
                "web": {
                    "image": "x",
                    "deploy": {"labels": {"helm.sh/hook": "pre-install"}},
                    "x-slipway": {"job": "once"},
                }
            },
            "services.web.deploy.labels.helm.sh/hook",
            "names that Kubernetes, Helm, Argo CD or Slipway use themselves",
        ),
        (
            {"web": {"image": "x", "labels": {"slipway.volume.data": "mine"}}},
            "services.web.labels.slipway.volume.data",
            "names that Kubernetes, Helm, Argo CD or Slipway use themselves",
        ),
        (
            {
                "web": {
                    "image": "x",
                    "deploy": {"update_config": {"order": "start-first"}},
                    "x-slipway": {"job": "once"},
                }
            },
            "services.web.deploy.update_config",
            "a job runs to its end",
        ),
        (
            {"web": {"image": "x", "volumes": [{"type": "volume", "target": "d:/data"}]}},
            "services.web.volumes.d:/data",
            "is no path that Kubernetes can mount at",
        ),
        (
            {"web": {"image": "x", "container_name": "shop-web", "network_mode": "none"}},
            "services.web.container_name",
            "nothing has a name with network_mode: none",
        ),
    ],
)
def test_what_was_once_drawn_and_wrong(services: Any, key: str, said: str) -> None:
    model = {"name": "shop", "services": services}
    outcomes = translate(KubeSource(model, parse(model))).outcomes
    assert [outcome for outcome in outcomes if outcome.key == key and said in outcome.reason]


# Not made smaller: a model that fails is small, and each look at it takes as long as the first.
drawn = settings(
    max_examples=30,
    deadline=None,
    suppress_health_check=list(HealthCheck),
    phases=[Phase.explicit, Phase.reuse, Phase.generate],
)


def pods(made: Translation) -> Iterator[tuple[Mapping[str, Any], Mapping[str, Any]]]:
    """Yield each workload with the template of its Pods."""
    for each in made.objects:
        if each["kind"] in _WORKLOADS:
            spec = each["spec"]["jobTemplate"]["spec"] if each["kind"] == "CronJob" else each["spec"]
            yield each, spec["template"]


def texts(node: Any) -> Iterator[str]:
    """Yield every text in a value, names of fields included."""
    if isinstance(node, Mapping):
        for key, value in node.items():
            yield from (str(key), *texts(value))
    elif isinstance(node, list | tuple):
        for value in node:
            yield from texts(value)
    elif isinstance(node, str):
        yield node


def admits(selector: Mapping[str, str], template: Mapping[str, Any]) -> bool:
    """Whether a selector finds Pods of a template."""
    return selector.items() <= template["metadata"]["labels"].items()


@drawn
@given(translations())
def test_every_object_is_one_of_the_schema(found: Made) -> None:
    chart = of_chart(found[1].objects)
    every = (*found[1].objects, *chart.always, *chart.at_install, *chart.at_upgrade)
    assert schemas.faults(json.loads(json.dumps(every, default=dict)), "v1.35.0") == ()


@drawn
@given(translations())
def test_names_and_labels_are_valid_and_no_two_objects_are_one(found: Made) -> None:
    objects = found[1].objects
    identities = Counter((each["kind"], each["metadata"]["name"]) for each in objects)
    assert [identity for identity, number in identities.items() if number > 1] == []
    for each in objects:
        about = each["metadata"]
        limited = each["kind"] in (*_WORKLOADS, "Service")
        assert (_LABEL if limited else _SUBDOMAIN).fullmatch(about["name"]), about["name"]
        assert each["kind"] != "CronJob" or len(about["name"]) <= 52
        assert about["labels"][labels.PROJECT] == found[0].stack.project
        for key, value in about["labels"].items():
            assert _QUALIFIED.fullmatch(key) and _VALUE.fullmatch(value), (key, value)
        for key in about.get("annotations") or ():
            assert _QUALIFIED.fullmatch(key), key
    for _, template in pods(found[1]):
        for key, value in template["metadata"]["labels"].items():
            assert _QUALIFIED.fullmatch(key) and _VALUE.fullmatch(value), (key, value)


@drawn
@given(translations())
def test_a_pod_fits_together(found: Made) -> None:
    """What the API server judges beyond its schema."""
    for workload, template in pods(found[1]):
        pod = template["spec"]
        volumes = [each["name"] for each in pod.get("volumes") or ()]
        volumes += [each["metadata"]["name"] for each in workload["spec"].get("volumeClaimTemplates") or ()]
        assert len(volumes) == len(set(volumes)) and all(map(_LABEL.fullmatch, volumes)), volumes
        containers = [*pod["containers"], *(pod.get("initContainers") or ())]
        assert len({each["name"] for each in containers}) == len(containers)
        for each in containers:
            assert each["image"]  # which the schema does not ask for, and the API server does
            mounts = each.get("volumeMounts") or []
            assert {mount["name"] for mount in mounts} <= set(volumes)
            paths = [mount["mountPath"] for mount in mounts]
            assert len(paths) == len(set(paths)) and all(re.fullmatch(r"/[^:]*", path) for path in paths), paths
            assert all(not mount.get("subPath", "").startswith("/") for mount in mounts)
            ports = [(port["containerPort"], port["protocol"]) for port in each.get("ports") or ()]
            names = [port["name"] for port in each.get("ports") or ()]
            assert len(ports) == len(set(ports)) and len(names) == len(set(names))
            assert all(len(name) <= 15 and re.search("[a-z]", name) for name in names)
            variables = [entry["name"] for entry in each.get("env") or ()]
            assert len(variables) == len(set(variables))
        sleep = ((pod["containers"][0].get("lifecycle") or {}).get("preStop") or {}).get("sleep") or {"seconds": 0}
        assert pod["terminationGracePeriodSeconds"] >= sleep["seconds"]
        assert pod["enableServiceLinks"] is pod["automountServiceAccountToken"] is False
        ending = workload["kind"] in ("Job", "CronJob")
        assert pod.get("restartPolicy", "Always") in (("Never", "OnFailure") if ending else ("Always",))
        assert not (workload["kind"] == "DaemonSet" and "replicas" in workload["spec"])


@drawn
@given(translations())
def test_selectors_find_the_pods_that_they_are_about_and_no_others(found: Made) -> None:
    templates = {each["metadata"]["labels"][labels.SERVICE]: template for each, template in pods(found[1])}
    workloads = {each["metadata"]["name"]: each for each, _ in pods(found[1])}
    for each in found[1].objects:
        spec, kind = each.get("spec") or {}, each["kind"]
        if kind in ("Deployment", "StatefulSet", "DaemonSet"):
            assert admits(spec["selector"]["matchLabels"], spec["template"])
        elif kind in ("NetworkPolicy", "PodDisruptionBudget"):
            selector = (spec.get("podSelector") or spec.get("selector"))["matchLabels"]
            admitted = [name for name, template in templates.items() if admits(selector, template)]
            assert admitted == [each["metadata"]["labels"][labels.SERVICE]]
        elif kind == "Service":
            assert [name for name, template in templates.items() if admits(spec["selector"], template)], each
        elif kind == "HorizontalPodAutoscaler":
            target = workloads[spec["scaleTargetRef"]["name"]]
            assert target["kind"] == spec["scaleTargetRef"]["kind"] and "replicas" not in target["spec"]
    reached = {each["metadata"]["name"] for each in found[1].objects if each["kind"] == "Service"}
    for each in found[1].objects:
        if each["kind"] == "Ingress":
            (rule,) = each["spec"]["rules"]
            assert {path["backend"]["service"]["name"] for path in rule["http"]["paths"]} <= reached


@drawn
@given(translations())
def test_what_a_pod_refers_to_is_there(found: Made) -> None:
    source, made = found
    there = {(each["kind"], each["metadata"]["name"]) for each in made.objects}
    own, keys = secret_name(source.stack.project), set[str]()
    for workload, template in pods(made):
        for kind, name in mentioned(template):
            assert kind in (CLAIM, CONFIG_MAP, ACCOUNT) and ((kind, name) in there or name == "old-claim"), (kind, name)
        keys |= {key for secret, key in _secrets(template) if secret == own}
        assert {secret for secret, _ in _secrets(template)} <= {own, "shop-tls"}
        assert workload["metadata"]["labels"][labels.PROJECT] == source.stack.project
    assert keys == set(wanted(source))


def _secrets(node: Any) -> Iterator[tuple[str, str]]:
    """Yield the Secret and the key of each reference in a template."""
    if isinstance(node, Mapping):
        if "secretKeyRef" in node:
            yield node["secretKeyRef"]["name"], node["secretKeyRef"]["key"]
        if isinstance(node.get("secret"), Mapping):
            named = node["secret"].get("name") or node["secret"].get("secretName")
            yield from ((named, item["key"]) for item in node["secret"]["items"])
        for value in node.values():
            yield from _secrets(value)
    elif isinstance(node, list | tuple):
        for value in node:
            yield from _secrets(value)


@drawn
@given(translations())
def test_no_secret_is_anywhere(found: Made) -> None:
    told = [outcome.document({}) for outcome in found[1].outcomes]
    shown = [text for text in texts([*found[1].objects, *told]) if "${slipway:" in text or PLANTED in text]
    assert shown == []


@drawn
@given(translations())
def test_the_bytes_are_the_same_twice(found: Made) -> None:
    source = found[0]
    again = translate(KubeSource(json.loads(json.dumps(source.model)), parse(source.model), **_rest(source)))
    assert json.dumps(again.objects, default=dict) == json.dumps(found[1].objects, default=dict)
    assert again.outcomes == found[1].outcomes


def _rest(source: KubeSource) -> dict[str, Any]:
    return {name: getattr(source, name) for name in ("images", "files", "settings", "slots")}


@drawn
@given(translations())
def test_every_key_that_says_something_has_an_outcome(found: Made) -> None:
    source, made = found
    told = [outcome.key for outcome in made.outcomes]
    for name, service in source.stack.services.items():
        where = f"services.{name}"
        if kinds.kind(source, service) == kinds.NOTHING:
            assert where in told
            continue
        for key, value in source.raw(name).items():
            sections = [f"{key}.{part}" for part in value if value[part]] if key == "deploy" else [key]
            for part in sections if value and key != "x-slipway" else ():
                path = f"{where}.{part}"
                assert any(one == path or one.startswith(f"{path}.") for one in told), path
