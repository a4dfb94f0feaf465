"""Which state of which secrets Pods have."""

import json
from typing import Any

from cluster_objects import deployment, service

from tasks.kube.plan.live import secret_versions
from tasks.kube.plan.live.secret_versions import StoredSecret
from tasks.kube.plan.live.words import SECRETS

NOTHING = secret_versions.stored(None)


def user(**variables: str) -> dict[str, Any]:
    """Return a Deployment whose variables come from keys of the Secret, and that mounts the file db_password."""
    env = [
        {"name": name, "valueFrom": {"secretKeyRef": {"name": "shop-secrets", "key": key}}}
        for name, key in variables.items()
    ]
    raw = deployment(env=env)
    items = [{"key": "db_password", "path": "db_password"}]
    source = {"secret": {"name": "shop-secrets", "items": items}}
    raw["spec"]["template"]["spec"]["volumes"] = [{"name": "secrets", "projected": {"sources": [source]}}]
    return raw


def test_a_value_that_changes_gets_the_next_number() -> None:
    first = secret_versions.updated(NOTHING, {"a": b"1", "b": b"2"})
    second = secret_versions.updated(first, {"a": b"1", "b": b"3"})

    assert (first.versions, second.versions) == ({"a": 1, "b": 1}, {"a": 1, "b": 2})
    assert secret_versions.changed(first, second) == ("b",)
    assert secret_versions.changed(second, secret_versions.updated(second, {"a": b"1", "b": b"3"})) == ()


def test_a_key_that_is_no_longer_wanted_is_a_change() -> None:
    first = secret_versions.updated(NOTHING, {"a": b"1", "b": b"2"})

    assert secret_versions.changed(first, secret_versions.updated(first, {"a": b"1"})) == ("b",)


def test_the_numbers_survive_the_way_to_the_cluster_and_back() -> None:
    made = secret_versions.updated(NOTHING, {"a": b"\x00\xff"})

    raw = json.loads(json.dumps(secret_versions.manifest("shop-secrets", "shop", made)))

    assert secret_versions.stored(raw) == made
    assert raw["metadata"]["labels"] == {"app.kubernetes.io/part-of": "shop"}


def test_pods_say_which_state_of_the_secrets_they_refer_to() -> None:
    first, second = secret_versions.stamped([user(TOKEN="token"), service()], "shop-secrets", {"token": 4, "other": 9})

    assert first["spec"]["template"]["metadata"]["annotations"] == {SECRETS: "db_password=0,token=4"}
    assert second == service()


def test_a_secret_does_not_print_its_values() -> None:
    made = secret_versions.updated(NOTHING, {"a": b"hunter2"})

    assert repr(made) == "StoredSecret(a)"


def test_what_somebody_else_wrote_into_the_numbers_counts_as_none() -> None:
    raw = {"metadata": {"annotations": {"slipway.dev/versions": "no json"}}, "data": {"a": "MQ=="}}

    assert secret_versions.stored(raw) == StoredSecret({"a": "MQ=="}, {})
