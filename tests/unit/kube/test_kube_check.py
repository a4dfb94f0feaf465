"""What `inv kube.check` says of objects, of images, and of what an API server answered."""

from typing import Any

import pytest

from tasks.kube import schemas
from tasks.kube.plan import check
from tasks.kube.plan.check import ObjectFinding
from tasks.model.engine.facts import RegistryImage

DIGEST = f"sha256:{'0' * 64}"


def deployment(**container: Any) -> dict[str, Any]:
    """Return a Deployment that its schema allows."""
    pod = {"containers": [{"name": "web", "image": "registry.example.com/web:1", **container}]}
    labels = {"app": "web"}
    spec = {"selector": {"matchLabels": labels}, "template": {"metadata": {"labels": labels}, "spec": pod}}
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web"}, "spec": spec}


def lines(findings: tuple[ObjectFinding, ...]) -> list[str]:
    return [finding.line for finding in findings]


def test_an_object_as_its_schema_says_has_no_finding() -> None:
    assert schemas.faults([deployment()], "v1.35.4") == ()


def test_each_field_that_is_wrong_is_a_line() -> None:
    wrong = deployment(images="web:2", ports=[{"containerPort": "eighty"}])
    wrong["spec"]["replicas"] = 1.5

    assert lines(schemas.faults([wrong], "v1.35.4")) == [
        "Deployment web: spec.replicas: 1.5 is not of type 'integer', 'null'",
        "Deployment web: spec.template.spec.containers[0]: Additional properties are not allowed ('images' was "
        "unexpected)",
        "Deployment web: spec.template.spec.containers[0].ports[0].containerPort: 'eighty' is not of type 'integer'",
    ]


def test_a_field_that_the_cluster_does_not_know_yet_is_found() -> None:
    newer = deployment(lifecycle={"stopSignal": "SIGQUIT"})

    assert schemas.faults([newer], "v1.35.4") == ()
    assert lines(schemas.faults([newer], "v1.30.2")) == [
        "Deployment web: spec.template.spec.containers[0].lifecycle: Additional properties are not allowed "
        "('stopSignal' was unexpected)"
    ]


def test_the_schemas_are_those_of_the_cluster_or_the_nearest_older_ones() -> None:
    assert schemas.version_used("v1.35.4-gke.1") == "1.35.0"
    assert schemas.version_used("v1.99.0") == schemas.version_used("")
    assert schemas.version_used("v1.2.0") == "1.25.0", "the oldest that there are"


def test_a_kind_that_is_not_of_kubernetes_is_left_to_the_server() -> None:
    route = {"apiVersion": "gateway.networking.k8s.io/v1", "kind": "HTTPRoute", "metadata": {"name": "web"}}

    assert schemas.faults([route]) == ()
    assert lines(schemas.faults([{"metadata": {"name": "web"}}])) == ["object web: has no kind or no apiVersion"]


def test_pod_security_names_the_object_the_field_and_the_level() -> None:
    found = check.security([deployment(securityContext={"privileged": True})], "baseline")

    assert lines(found) == [
        "Deployment web: containers[web].securityContext.privileged: has every right on its node (baseline)"
    ]


def test_an_image_that_a_node_can_pull_is_no_finding() -> None:
    image = f"registry.example.com/web@{DIGEST}"
    used = check.images([deployment(image=image)])

    assert check.asked(used) == (image,)
    assert check.judge_images(used, {image: RegistryImage(DIGEST)}) == ()


@pytest.mark.parametrize(
    ("image", "answer", "message"),
    [
        (f"registry.example.com/web@{DIGEST}", RegistryImage(), "registry.example.com does not have it"),
        (
            f"registry.example.com/web@{DIGEST}",
            RegistryImage(fault="a\nno such host"),
            "could not be asked: no such host",
        ),
        ("registry.example.com/web:1", None, "registry.example.com/web:1 is not pinned by a digest"),
        ("", None, "a container names no image"),
    ],
)
def test_an_image_that_a_node_could_not_pull_is_named(image: str, answer: RegistryImage | None, message: str) -> None:
    used = check.images([deployment(image=image), deployment(image=image)])
    (found,) = check.judge_images(used, {image: answer} if answer else {})

    assert message in found.message
    assert found.thing == "Deployment web"


# As kubectl 1.35 wrote them for objects that an API server of the same version refused.
ANSWERS = {
    'The Deployment "web" is invalid: \n'
    "* spec.template.spec.containers[0].image: Required value\n"
    '* spec.selector: Invalid value: {"matchLabels":{"app":"x"}}: `selector` does not match template `labels`\n': [
        'Deployment web: The Deployment "web" is invalid: spec.template.spec.containers[0].image: Required value; '
        'spec.selector: Invalid value: {"matchLabels":{"app":"x"}}: `selector` does not match template `labels`'
    ],
    'Error from server (NotFound): namespaces "shop" not found\n': ['Namespace shop: namespaces "shop" not found'],
    'Error from server (Forbidden): pods "bad" is forbidden: violates PodSecurity "restricted:latest": privileged '
    '(container "c" must not set securityContext.privileged=true)\n': [
        'Pod bad: pods "bad" is forbidden: violates PodSecurity "restricted:latest": privileged (container "c" must '
        "not set securityContext.privileged=true)"
    ],
    'Warning: would violate PodSecurity "restricted:latest": runAsNonRoot != true\n': [
        'objects: would violate PodSecurity "restricted:latest": runAsNonRoot != true'
    ],
}


@pytest.mark.parametrize("said", ANSWERS)
def test_what_the_server_says_is_a_line_for_each_object(said: str) -> None:
    assert lines(check.server(said)) == ANSWERS[said]


def test_two_objects_are_two_lines_and_one_said_twice_is_one() -> None:
    one, two = (f'Error from server (NotFound): namespaces "{name}" not found\n' for name in ("a", "b"))

    assert len(check.server(one + two + one)) == 2
    assert check.server("") == ()


def test_what_was_not_checked_is_never_passed() -> None:
    finding = ObjectFinding(check.SCHEMA, "Deployment web", "wrong")

    assert check.outcomes([finding], {check.SERVER: "--offline"}) == {
        "schema": "failed",
        "security": "passed",
        "images": "passed",
        "server": "not checked",
    }
