"""What may not be rendered: keys that are refused and not accepted, and secrets."""

import pytest
from support import stack

from tasks.kube.manifests.plan.judging import refusal, refuse_secrets, settled
from tasks.kube.plan.outcome import IGNORED, REFUSED, refused, translated
from tasks.kube.plan.source import Position
from tasks.model.errors import InputError

POSITIONS = {"services.web": Position("compose.yaml", 3), "services.web.privileged": Position("compose.yaml", 7)}
PRIVILEGED = refused("services.web.privileged", "it owns the node", "say what it needs", accept="privileged")


def test_a_refused_key_is_named_with_its_line_and_what_to_do() -> None:
    fault = refusal([PRIVILEGED, translated("services.web.image", "image")], POSITIONS)
    assert fault is not None
    assert fault.message == "compose.yaml:7: services.web.privileged: it owns the node"
    assert fault.hint == "say what it needs; or x-slipway: {accept: {privileged: WHY}}"


def test_a_key_that_was_not_written_has_the_line_of_what_is_around_it() -> None:
    fault = refusal([refused("services.web.volumes.x", "a", "b")], POSITIONS)
    assert fault is not None and fault.message.startswith("compose.yaml:3: ")


def test_all_refused_keys_are_told_up_to_a_page() -> None:
    fault = refusal([refused(f"services.web.k{number}", "no", "do") for number in range(50)], {})
    assert fault is not None
    assert fault.message.splitlines()[-1] == "and 30 keys more: inv kube.report"


def test_nothing_refused_is_no_fault() -> None:
    assert refusal([translated("services.web.image", "image")], {}) is None


def test_what_is_accepted_for_a_service_is_accepted_there_only() -> None:
    shop = stack({"web": {"x-slipway": {"accept": {"privileged": "it is a test bed"}}}, "web.2": {}})
    other = refused("services.web.2.privileged", "it owns the node", "say what it needs", accept="privileged")
    first, second = settled([PRIVILEGED, other], shop)
    assert (first.kind, first.key) == (REFUSED, "services.web.2.privileged")
    assert (second.kind, second.reason) == (IGNORED, "it owns the node; accepted: it is a test bed")


def test_what_is_accepted_at_the_top_is_accepted_for_all() -> None:
    shop = stack({"web": {}}, **{"x-slipway": {"accept": {"privileged": "a test bed"}}})
    assert [outcome.kind for outcome in settled([PRIVILEGED], shop)] == [IGNORED]


def test_what_has_no_word_cannot_be_accepted() -> None:
    shop = stack({"web": {"x-slipway": {"accept": {"privileged": "x"}}}})
    assert settled([refused("services.web.provider", "a", "b")], shop)[0].kind == REFUSED


def test_a_secret_in_an_object_is_refused_with_its_place() -> None:
    container = {"name": "cache", "args": ["--requirepass", "${slipway:REDIS_PASSWORD}"]}
    one = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "cache"}, "spec": {"containers": [container]}}
    with pytest.raises(InputError) as refused_secret:
        refuse_secrets([one])
    assert refused_secret.value.message == (
        "Pod cache: spec.containers[0].args[1] would show the secret REDIS_PASSWORD"
    )
