"""What a container is started from: image, pull policy, pull secrets, platform."""

from typing import Any

import pytest
from outside import by_key, source

from tasks.kube.plan.images import part, registry
from tasks.kube.plan.part import Part
from tasks.kube.plan.source import KubeSettings

PINNED = "registry.example.com/shop/web@sha256:" + "1" * 64


def images(settings: KubeSettings | None = None, **fields: Any) -> Part:
    found = source({"web": {"image": PINNED, **fields}}, settings=settings)
    return part(found, found.stack.services["web"])


def test_a_pinned_image_is_translated() -> None:
    found = images()
    assert found.container == {"image": PINNED, "imagePullPolicy": "IfNotPresent"}
    assert found.pod == {}
    assert by_key(found)["image"].kind == "translated"


def test_a_tag_is_said_to_be_none_that_lasts() -> None:
    found = images(image="registry.example.com/web:1")
    assert found.container["image"] == "registry.example.com/web:1"
    assert by_key(found)["image"].kind == "inferred"


@pytest.mark.parametrize(
    ("policy", "expected", "kind"),
    [
        ("always", "Always", "translated"),
        ("never", "Never", "translated"),
        ("missing", "IfNotPresent", "translated"),
        ("if_not_present", "IfNotPresent", "translated"),
        ("build", "IfNotPresent", "inferred"),
        ("daily", "IfNotPresent", "inferred"),
        ("weekly", "IfNotPresent", "inferred"),
        ("every_12h", "IfNotPresent", "inferred"),
    ],
)
def test_a_pull_policy_is_one_that_kubernetes_has(policy: str, expected: str, kind: str) -> None:
    found = images(pull_policy=policy)
    assert found.container["imagePullPolicy"] == expected
    assert by_key(found)["pull_policy"].kind == kind


def test_pull_secrets_are_those_of_the_profile() -> None:
    found = images(KubeSettings(pull_secrets=("registry", "mirror")))
    assert found.pod == {"imagePullSecrets": [{"name": "registry"}, {"name": "mirror"}]}


@pytest.mark.parametrize(
    ("platform", "labels"),
    [
        ("linux/amd64", {"kubernetes.io/os": "linux", "kubernetes.io/arch": "amd64"}),
        ("linux/arm64/v8", {"kubernetes.io/os": "linux", "kubernetes.io/arch": "arm64"}),
        ("windows", {"kubernetes.io/os": "windows"}),
    ],
)
def test_a_platform_chooses_nodes(platform: str, labels: dict[str, str]) -> None:
    assert images(platform=platform).pod["nodeSelector"] == labels


def test_what_is_built_without_a_registry_is_refused_with_the_way_to_push() -> None:
    outcome = by_key(images(image="shop/web:1", build={"context": "."}))["build"]
    assert (outcome.kind, outcome.accept) == ("refused", "KUBE-NOT-PUSHED")
    assert "inv build --push" in outcome.hint


def test_what_was_built_and_pushed_is_only_an_image() -> None:
    assert by_key(images(build={"context": "."}))["build"].kind == "ignored"


def test_an_image_without_a_name_is_refused() -> None:
    outcomes = by_key(images(image="sha256:" + "1" * 64, build={"context": "."}))
    assert (outcomes["image"].kind, outcomes["image"].accept) == ("refused", "")


@pytest.mark.parametrize(
    ("image", "host"),
    [
        ("registry.example.com/a/b:1", "registry.example.com"),
        ("localhost:5000/b", "localhost:5000"),
        ("localhost/b", "localhost"),
        ("a/b:1", ""),
        ("redis:7.2", ""),
    ],
)
def test_a_registry_is_told_from_a_folder(image: str, host: str) -> None:
    assert registry(image) == host


def test_what_only_compose_does_is_ignored_or_refused() -> None:
    outcomes = by_key(images(develop={"watch": []}, extends={"service": "base"}, models={"llm": None}))
    assert {key: outcome.kind for key, outcome in outcomes.items()} == {
        "image": "translated",
        "develop": "ignored",
        "extends": "ignored",
        "models": "refused",
    }


def test_a_service_that_a_plugin_runs_is_refused_alone() -> None:
    (outcome,) = images(provider={"type": "cloud"}).outcomes
    assert (outcome.kind, outcome.key, outcome.accept) == ("refused", "services.web.provider", "")
