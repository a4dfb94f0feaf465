"""How a chart gets into its registry: Helm's commands, and what its answers mean."""

import json

import pytest

from tasks.helm.plan import pushing
from tasks.image.plan.signing import Trust
from tasks.model.errors import RefusedError

DIGEST = f"sha256:{'a' * 64}"
NAME = "registry.example.com/charts/shop"


def test_a_chart_is_called_by_its_repository_and_its_name() -> None:
    assert pushing.reference("oci://registry.example.com/charts/", "shop") == NAME


def test_a_registry_elsewhere_is_asked_with_tls() -> None:
    words = pushing.push("shop-1.2.3.tgz", "oci://registry.example.com/charts", Trust()).argv
    assert words == ("helm", "push", "shop-1.2.3.tgz", "oci://registry.example.com/charts")


@pytest.mark.parametrize(
    ("trust", "option"),
    [(Trust(loopback=True), "--plain-http"), (Trust(True, "/etc/ca.crt"), "--ca-file=/etc/ca.crt")],
)
def test_a_registry_is_trusted_as_it_is_for_images(trust: Trust, option: str) -> None:
    assert pushing.push("a.tgz", "oci://x/y", trust).argv[-1] == option
    assert pushing.pull(NAME, "1.2.3", "out", trust).argv[-1] == option


def test_helm_tells_the_digest() -> None:
    assert pushing.digest(f"Pushed: {NAME}:1.2.3\nDigest: {DIGEST}\n") == DIGEST
    assert pushing.digest("Successfully packaged chart") == ""


def test_a_chart_that_is_not_there_is_no_fault() -> None:
    assert pushing.fault(NAME, 1, f"Error: {NAME}:1.2.3: not found") is None
    assert pushing.fault(NAME, 0, "") is None


def test_a_registry_that_does_not_answer_may_be_asked_again() -> None:
    fault = pushing.fault(NAME, 1, 'Error: Get "https://x/": dial tcp 127.0.0.1:1: connect: connection refused')
    assert fault is not None and fault.passing
    assert "registry.example.com is not reachable" in fault.message


def test_a_registry_that_denies_access_is_not_asked_again() -> None:
    fault = pushing.fault(NAME, 1, "Error: response status code 401: unauthorized: authentication required")
    assert fault is not None and not fault.passing
    assert isinstance(fault.error(), RefusedError)


def test_a_chart_is_the_same_whatever_helm_makes_of_its_description() -> None:
    here = {"Chart.yaml": '# made\n{"name": "shop", "version": "1"}', "values.yaml": "a: 1\n"}
    there = {"Chart.yaml": '{"version": "1", "name": "shop"}', "values.yaml": "a: 1\n"}
    read = lambda text: json.loads(text.removeprefix("# made\n"))  # noqa: E731
    assert pushing.same(there, here, read)
    assert not pushing.same({**there, "values.yaml": "a: 2\n"}, here, read)
    assert not pushing.same({**there, "more": ""}, here, read)
    assert not pushing.same({}, here, read)
