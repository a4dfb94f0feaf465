"""What kubectl and helm say when something fails, and what people read instead."""

import pytest

from tasks.kube.plan.live.faults import ClusterPlace, fault, last_line

PLACE = ClusterPlace("prod-eu", "shop", "prod")
CASES = {
    "no context": (
        'error: context "prod-eu" does not exist',
        2,
        "KUBE_CONTEXT=prod-eu: there is no such context",
        "get-contexts",
    ),
    "no context, helm": (
        'Error: kubernetes cluster unreachable: context "prod-eu" does not exist',
        2,
        "KUBE_CONTEXT=prod-eu: there is no such context",
        "get-contexts",
    ),
    "away": (
        "The connection to the server 127.0.0.1:1 was refused - did you specify the right host or port?",
        3,
        "the cluster of context prod-eu does not answer: connection to the server 127.0.0.1:1 was refused",
        "kubectl --context prod-eu version",
    ),
    "away, helm": (
        'Error: kubernetes cluster unreachable: Get "https://127.0.0.1:1/version": dial tcp 127.0.0.1:1: connect: '
        "connection refused",
        3,
        "the cluster of context prod-eu does not answer: dial tcp 127.0.0.1:1: connect: connection refused",
        "is it up",
    ),
    "unknown": (
        "error: You must be logged in to the server (Unauthorized)",
        3,
        "the cluster of context prod-eu does not accept the credentials",
        "log in again",
    ),
    "RBAC": (
        'Error from server (Forbidden): deployments.apps is forbidden: User "ci" cannot list resource "deployments" in '
        'API group "apps" in the namespace "shop"',
        3,
        "ci may not list deployments.apps in namespace shop (context prod-eu)",
        'apiGroups: ["apps"], resources: ["deployments"], verbs: ["list"]',
    ),
    "RBAC of the cluster": (
        'Error from server (Forbidden): namespaces is forbidden: User "ci" cannot create resource "namespaces" in API '
        'group "" at the cluster scope',
        3,
        "ci may not create namespaces in the cluster (context prod-eu)",
        'verbs: ["create"]',
    ),
    "quota": (
        'Error from server (Forbidden): error when creating "STDIN": pods "web" is forbidden: exceeded quota: small, '
        "requested: limits.memory=1Gi, used: limits.memory=0, limited: limits.memory=512Mi",
        3,
        "namespace shop: the quota small is exceeded: requested: limits.memory=1Gi, used: limits.memory=0, limited: "
        "limits.memory=512Mi",
        "quota",
    ),
    "webhook": (
        'Error from server: error when creating "STDIN": admission webhook "rules.example.com" denied the request: '
        "every image has to be signed",
        3,
        "the admission webhook rules.example.com refuses it: every image has to be signed",
        "rule of this cluster",
    ),
    "policy": (
        "The deployments \"web\" is invalid: : ValidatingAdmissionPolicy 'no-latest' with binding 'no-latest' denied "
        "request: images need a digest",
        3,
        "the admission policy no-latest refuses it: images need a digest",
        "rule of this cluster",
    ),
    "busy": (
        "Error: UPGRADE FAILED: another operation (install/upgrade/rollback) is in progress",
        3,
        "another install, upgrade or rollback of this release is in progress",
        "inv deploy.history --env prod",
    ),
    "no namespace": (
        'Error from server (NotFound): namespaces "shop" not found',
        2,
        "KUBE_NAMESPACE=shop: context prod-eu has no such namespace",
        "kubectl create namespace shop",
    ),
    "no kind": (
        'error: resource mapping not found for name: "web" namespace: "" from "STDIN": no matches for kind "HTTPRoute" '
        'in version "gateway.networking.k8s.io/v1"',
        3,
        "the cluster of context prod-eu has no HTTPRoute",
        "install what serves it",
    ),
    "fixed field": (
        'The StatefulSet "db" is invalid: spec: Forbidden: updates to statefulset spec for fields other than '
        "'replicas', 'ordinals' are forbidden",
        3,
        "StatefulSet db: this cannot be changed in place",
        "delete statefulset db --cascade=orphan",
    ),
    "other owner": (
        'Error: INSTALLATION FAILED: unable to continue with install: Service "web" in namespace "shop" exists and '
        "cannot be imported into the current release: invalid ownership metadata",
        3,
        "Service web of namespace shop is not of this release",
        "another KUBE_NAMESPACE",
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_a_failure_says_what_is_wrong_and_what_to_do(name: str) -> None:
    said, code, message, hint = CASES[name]

    error = fault(said, 1, PLACE, "kubectl apply")

    assert (error.exit_code, error.message[: len(message)]) == (code, message)
    assert hint in error.hint


def test_what_is_not_known_keeps_its_words_and_its_exit_code() -> None:
    error = fault("I1130 1 warming up\nError: something new\n", 7, PLACE, "helm upgrade")

    assert (error.message, error.exit_code) == ("helm upgrade: something new", 7)


def test_what_says_nothing_is_told_by_its_exit_code() -> None:
    assert fault("", 9, PLACE, "helm upgrade").message == "helm upgrade: exit code 9"


def test_the_last_line_that_says_something_counts() -> None:
    assert last_line('Warning: old\nError from server (NotFound): pods "x" not found\n\n') == 'pods "x" not found'
