"""Variables of a service on Kubernetes."""

import base64

import pytest
from kube_data import container_of, expanded, kube_source, shown, told, translation

from tasks.kube.plan.data.expansion import literal
from tasks.kube.plan.data.placeholders import spelled, variable
from tasks.kube.plan.secrets import wanted
from tasks.kube.plan.source import KubeSettings

VALUE = "s3cr3t-Zebra-77"


def variables(environment: dict[str, str | None], **fields: object) -> dict[str, object]:
    entries = container_of(translation({"web": {"image": "x", "environment": environment}}, **fields))["env"]
    return {entry["name"]: entry.get("value", entry.get("valueFrom")) for entry in entries}


def test_odd_values_arrive_as_compose_passes_them() -> None:
    # As `docker compose config` prints them: every $ of the user is doubled.
    odd = {"A": "yes", "B": "1.10", "C": "", "discovery.type": "single-node", "E": "$$(date)", "F": 'a "q" \\n'}
    assert variables(odd) == {**odd, "E": "$$(date)"}
    assert expanded("$$(date)") == "$(date)"


@pytest.mark.parametrize("text", ["$(A)", "$$", "a$", "$$(A)", "$a$$b", "$$$(A)$", "$2y$10$x.y", "$(", "plain"])
def test_kubernetes_expands_a_literal_value_to_itself(text: str) -> None:
    assert expanded(literal(text), A="wrong") == text


def test_a_bcrypt_hash_is_readable_as_it_is() -> None:
    assert literal("$2y$10$abc") == "$2y$10$abc"


def test_the_order_of_variables_does_not_depend_on_the_file() -> None:
    made = translation({"web": {"image": "x", "environment": {"B": "2", "A": "1"}}})
    assert [entry["name"] for entry in container_of(made)["env"]] == ["A", "B"]


def test_a_variable_without_a_value_is_refused_and_not_taken_from_this_machine() -> None:
    made = translation({"web": {"image": "x", "environment": {"HOME": None, "A": "1"}}})
    assert [entry["name"] for entry in container_of(made)["env"]] == ["A"]
    (refusal,) = told(made, "services.web.environment.HOME", ["refused"])
    assert refusal.reason == "has no value, and is not taken from the machine that translates"
    assert refusal.accept == "KUBE-UNSET-VARIABLE"


def test_a_secret_of_the_profile_is_a_reference() -> None:
    environment = {"POSTGRES_PASSWORD": "${slipway:DB_PASSWORD}"}
    assert variables(environment) == {
        "POSTGRES_PASSWORD": {"secretKeyRef": {"name": "shop-secrets", "key": "DB_PASSWORD"}}
    }
    origins = wanted(kube_source({"web": {"image": "x", "environment": environment}}))
    assert {key: (origin.kind, origin.source) for key, origin in origins.items()} == {
        "DB_PASSWORD": ("variable", "DB_PASSWORD")
    }


def test_a_secret_in_a_longer_value_is_put_in_by_kubernetes() -> None:
    made = translation(
        {"web": {"image": "x", "environment": {"DATABASE_URL": "postgres://u$$:${slipway:DB_PASSWORD}@db/$$(x)"}}}
    )
    helper, url = container_of(made)["env"]
    assert helper == {
        "name": "SLIPWAY_SECRET_DB_PASSWORD",
        "valueFrom": {"secretKeyRef": {"name": "shop-secrets", "key": "DB_PASSWORD"}},
    }
    assert expanded(url["value"], SLIPWAY_SECRET_DB_PASSWORD="p") == "postgres://u$:p@db/$(x)"


def test_a_secret_next_to_a_dollar_is_put_in() -> None:
    (_, entry) = container_of(
        translation({"web": {"image": "x", "environment": {"A_URL": "$$${slipway:S}${slipway:S}"}}})
    )["env"]
    assert expanded(entry["value"], SLIPWAY_SECRET_S="p") == "$pp"


def test_a_secret_in_a_command_is_a_variable_of_the_container() -> None:
    words = ["redis-server", "--requirepass", "${slipway:REDIS_PASSWORD}"]
    (entry,) = container_of(translation({"web": {"image": "x", "command": words}}))["env"]
    assert entry == {
        "name": "SLIPWAY_SECRET_REDIS_PASSWORD",
        "valueFrom": {"secretKeyRef": {"name": "shop-secrets", "key": "REDIS_PASSWORD"}},
    }
    assert expanded(spelled(words[2]), SLIPWAY_SECRET_REDIS_PASSWORD="p") == "p"
    assert list(wanted(kube_source({"web": {"image": "x", "command": words}}))) == ["REDIS_PASSWORD"]


def test_a_text_of_the_user_is_no_placeholder() -> None:
    assert expanded(spelled("$${slipway:A}")) == "${slipway:A}"


def test_like_names_of_secrets_are_two_variables() -> None:
    assert variable("web.environment.A_B") != variable("web.environment.A.B")


def test_a_variable_of_secret_keys_is_a_reference_and_its_value_is_nowhere() -> None:
    made = translation(
        {"web": {"image": "x", "environment": {"LICENCE": VALUE}}}, settings=KubeSettings(secret_keys=("LICENCE",))
    )
    (entry,) = container_of(made)["env"]
    assert entry["valueFrom"] == {"secretKeyRef": {"name": "shop-secrets", "key": "LICENCE"}}
    assert VALUE not in shown(made)


@pytest.mark.parametrize("name, text", [("API_TOKEN", VALUE), ("CACHE", f"redis://:{VALUE}@cache/0")])
def test_a_secret_that_the_compose_file_has_literally_is_in_no_object(name: str, text: str) -> None:
    made = translation({"web": {"image": "x", "environment": {name: text}}})
    assert VALUE not in shown(made)
    assert base64.b64encode(VALUE.encode()).decode() not in shown(made)
    (entry,) = container_of(made)["env"]
    assert entry["valueFrom"] == {"secretKeyRef": {"name": "shop-secrets", "key": f"web.environment.{name}"}}
    (origin,) = wanted(kube_source({"web": {"image": "x", "environment": {name: text}}})).values()
    assert (origin.kind, origin.source) == ("model", f"web.environment.{name}")


def test_the_placeholder_of_a_literal_secret_is_named_by_its_place() -> None:
    environment = {"API_TOKEN": "${slipway:web.environment.API_TOKEN}"}
    (origin,) = wanted(kube_source({"web": {"image": "x", "environment": environment}})).values()
    assert (origin.kind, origin.source) == ("model", "web.environment.API_TOKEN")


def test_a_path_of_a_secret_is_no_secret() -> None:
    assert variables({"DB_PASSWORD_FILE": "/run/secrets/db"}) == {"DB_PASSWORD_FILE": "/run/secrets/db"}


def test_a_name_that_only_new_clusters_take_is_reported() -> None:
    made = translation({"web": {"image": "x", "environment": {"my name": "1"}}})
    (outcome,) = told(made, "services.web.environment.my name")
    assert outcome.reason == "a name like this needs Kubernetes 1.34 or later"
