"""A recorded model contains no secret, and a restored model all of them."""

import json
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support import profile

from tasks.model.profile.redaction import (
    comparable,
    fingerprint,
    is_secret_variable,
    literal_secrets,
    marks,
    placeholders,
    plain_secrets,
    printable_model,
    redact,
    restore,
    secrets_in_containers,
    secrets_of,
    values_of,
)

KEY = b"k" * 32
TEXT = st.text(st.sampled_from("$${}:#'\"\\ \n%é😀aZ09/@=.,-") | st.characters(codec="utf-8"), max_size=12)
NAMES = st.sampled_from(["DB_PASSWORD", "TOKEN", "A", "image", "URL", "x-y", "0"])


def doubled(text: str) -> str:
    """Return text as Compose writes it."""
    return text.replace("$", "$$")


def web(**environment: str) -> dict[str, Any]:
    """Return a rendered model of one service."""
    return {"services": {"web": {"image": "tool:1", "environment": environment}}}


def environment(model: Mapping[str, Any], service: str = "web") -> dict[str, str]:
    """Return the environment of a service of a model."""
    variables: dict[str, str] = model["services"][service]["environment"]
    return variables


def rendered(node: Any, values: Mapping[str, str]) -> Any:
    """Render a model as Compose does: ``<NAME>`` stands for a variable."""
    if isinstance(node, dict):
        return {key: rendered(child, values) for key, child in node.items()}
    if isinstance(node, list):
        return [rendered(child, values) for child in node]
    for name, value in values.items() if isinstance(node, str) else ():
        node = node.replace(f"<{name}>", doubled(value))
    return node


def by_template(node: Mapping[str, Any], **secrets: str) -> Any:
    """Return the redaction of a model that ``rendered`` makes, with its template."""
    shop = profile(**secrets)
    marked = marks(shop, KEY)
    return redact(rendered(node, secrets), secrets_of(shop), KEY, rendered(node, marked), marked)


@pytest.mark.parametrize("value", ["pa$word", "#it's", "tool", 'say "no"', "two\nlines", "${slipway:X}", "$$", "é😀"])
@pytest.mark.parametrize("template", [True, False])
def test_a_secret_of_the_profile_is_named_and_comes_back(value: str, template: bool) -> None:
    node = web(POSTGRES_PASSWORD="<DB_PASSWORD>", TEXT="one")
    model = rendered(node, {"DB_PASSWORD": value})
    redacted = by_template(node, DB_PASSWORD=value) if template else redact(model, {"DB_PASSWORD": value}, KEY)
    assert environment(redacted.model) == {"POSTGRES_PASSWORD": "${slipway:DB_PASSWORD}", "TEXT": "one"}
    assert redacted.fingerprints == {"DB_PASSWORD": fingerprint("DB_PASSWORD", value, KEY)}
    again = restore(redacted.model, {"DB_PASSWORD": value}, redacted.fingerprints, KEY)
    assert again.model == model
    assert (again.changed, again.missing) == ((), ())


def test_marks_show_where_a_secret_goes_and_an_equal_word_stays() -> None:
    node = {
        "services": {
            "db": {
                "image": "postgres:17",
                "command": ["postgres", "-c", "x=<DB_PASSWORD>"],
                "environment": {
                    "POSTGRES_USER": "postgres",
                    "URL": "postgres://postgres:<DB_PASSWORD>@db/x",
                    "DOUBLE": "a$$<DB_PASSWORD>$$b",
                },
                "labels": {"l": "<DB_PASSWORD>"},
            }
        },
        "configs": {"c": {"content": "pw=<DB_PASSWORD> $${x}"}},
    }
    redacted = by_template(node, DB_PASSWORD="postgres")
    assert redacted.model["services"]["db"] == {
        "image": "postgres:17",
        "command": ["postgres", "-c", "x=${slipway:DB_PASSWORD}"],
        "environment": {
            "POSTGRES_USER": "postgres",
            "URL": "postgres://postgres:${slipway:DB_PASSWORD}@db/x",
            "DOUBLE": "a$$${slipway:DB_PASSWORD}$$b",
        },
        "labels": {"l": "${slipway:DB_PASSWORD}"},
    }
    assert redacted.model["configs"]["c"]["content"] == "pw=${slipway:DB_PASSWORD} $${x}"
    again = restore(redacted.model, {"DB_PASSWORD": "pa$s"}, redacted.fingerprints, KEY)
    assert again.model == rendered(node, {"DB_PASSWORD": "pa$s"})
    assert again.changed == ("DB_PASSWORD",)


def test_a_secret_with_blanks_is_removed_from_a_command() -> None:
    secrets = {"DB_PASSWORD": "one two"}
    marked = marks(profile(**secrets), KEY)
    model = {"services": {"web": {"command": ["run", "one", "two"]}}}
    template = {"services": {"web": {"command": ["run", marked["DB_PASSWORD"]]}}}
    redacted = redact(model, secrets, KEY, template, marked)
    assert not {"one", "two"} & set(redacted.model["services"]["web"]["command"])
    assert restore(redacted.model, values_of(secrets, model), redacted.fingerprints, KEY).model == model


def test_a_secret_is_removed_when_the_files_changed_after_rendering() -> None:
    secrets = {"DB_PASSWORD": "Tr0ub4dor-x"}
    marked = marks(profile(**secrets), KEY)
    model = web(URL="postgres://me:Tr0ub4dor-x@db/x", PLAIN="Tr0ub4dor-x")
    redacted = redact(model, secrets, KEY, web(URL=f"mysql://{marked['DB_PASSWORD']}@db"), marked)
    assert "Tr0ub4dor" not in json.dumps(redacted.model)
    assert restore(redacted.model, values_of(secrets, model), redacted.fingerprints, KEY).model == model


def test_a_secret_of_an_env_file_or_literal_is_named_by_its_path() -> None:
    model = web(PGPASSWORD="fi$$le", DATABASE_URL="postgres://me:short@db/x", PLAIN="one", TOKEN_TTL="60")
    redacted = redact(model, {}, KEY, model)
    assert environment(redacted.model) == {
        "PGPASSWORD": "${slipway:web.environment.PGPASSWORD}",
        "DATABASE_URL": "${slipway:web.environment.DATABASE_URL}",
        "PLAIN": "one",
        "TOKEN_TTL": "60",
    }
    assert restore(redacted.model, values_of({}, model), redacted.fingerprints, KEY).model == model


@pytest.mark.parametrize(
    ("name", "value"),
    [("DB_PASSWORD", ""), ("ALLOW_EMPTY_PASSWORD", "yes"), ("TLS_KEY", "/certs/tls.key"), ("PWD", "/srv"),
     ("DB_PASSWORD_FILE", "/run/secrets/x"), ("JWT_KEY", "./keys/jwt.pem"), ("A_TOKEN", "/run/secrets/token")],
)  # fmt: skip
def test_a_path_and_a_switch_are_no_secrets(name: str, value: str) -> None:
    assert not is_secret_variable(name, value)


@pytest.mark.parametrize("name", ["MYSQL_PWD", "DB_PASS", "APIKEY", "splunk-token", "AWS_CREDENTIALS", "APP_KEY"])
def test_other_names_of_secrets_count(name: str) -> None:
    assert is_secret_variable(name, "/9j4AAQ+x=")


def test_copies_of_a_literal_secret_are_removed_too() -> None:
    model = web(REDIS_PASSWORD="Tr0ub4dor-x")
    model["services"]["redis"] = {"command": ["redis", "--requirepass=Tr0ub4dor-x"]}
    model["x-common"] = {"environment": {"REDIS_PASSWORD": "Tr0ub4dor-x"}}
    redacted = redact(model, {}, KEY, model)
    assert "Tr0ub4dor" not in json.dumps(redacted.model)
    assert restore(redacted.model, values_of({}, model), redacted.fingerprints, KEY).model == model


def test_a_password_of_a_url_counts_by_itself() -> None:
    secrets = {"DATABASE_URL": "postgres://me:Tr0ub4dor-x@db/x"}
    model = {"services": {"web": {"command": ["psql", "password=Tr0ub4dor-x", secrets["DATABASE_URL"]]}}}
    redacted = redact(model, secrets, KEY)
    assert redacted.model["services"]["web"]["command"] == [
        "psql", "password=${slipway:DATABASE_URL.password}", "${slipway:DATABASE_URL}",
    ]  # fmt: skip
    assert restore(redacted.model, values_of(secrets, model), redacted.fingerprints, KEY).model == model


def test_a_compose_secret_from_a_variable_stays_a_name_and_has_a_fingerprint() -> None:
    model = {"services": {"web": {"image": "tool:1"}}, "secrets": {"p": {"environment": "DB_PASSWORD"}}}
    redacted = redact(model, {"DB_PASSWORD": "tool"}, KEY)
    assert redacted.model == model
    assert restore(model, {"DB_PASSWORD": "other"}, redacted.fingerprints, KEY).changed == ("DB_PASSWORD",)
    assert restore(model, {}, redacted.fingerprints, KEY).missing == ("DB_PASSWORD",)


def test_what_a_newer_compose_writes_into_a_secret_is_no_part_of_a_record() -> None:
    model = {"services": {}, "secrets": {"p": {"content": "abc"}}}
    assert redact(model, {}, KEY).model["secrets"] == {"p": {"content": "${slipway:secrets.p.content}"}}


def test_a_secret_that_is_missing_keeps_its_placeholder_and_is_named() -> None:
    redacted = redact(web(PGPASSWORD="one"), {}, KEY)
    again = restore(redacted.model, {}, redacted.fingerprints, KEY)
    assert again.missing == ("web.environment.PGPASSWORD",) == placeholders(again.model)


def test_a_secret_of_a_renamed_service_or_key_is_known_by_its_fingerprint() -> None:
    model = web(PGPASSWORD="one")
    redacted = redact(model, {}, KEY)
    again = restore(redacted.model, {"www.environment.PGPASSWORD": "one", "x": "two"}, redacted.fingerprints, KEY)
    assert (again.model, again.changed, again.missing) == (model, (), ())


@pytest.mark.parametrize("key", [b"", b"another"])
def test_without_the_key_no_secret_is_reported_as_changed(key: bytes) -> None:
    redacted = redact(web(PGPASSWORD="one"), {}, KEY)
    assert comparable(redacted.fingerprints, KEY)
    assert not comparable(redacted.fingerprints, key)
    again = restore(redacted.model, {"web.environment.PGPASSWORD": "two"}, redacted.fingerprints, key)
    assert (again.changed, environment(again.model)) == ((), {"PGPASSWORD": "two"})


def test_lost_secrets_are_read_from_running_containers() -> None:
    redacted = redact(web(URL="http://u:Tr0ub4dor$$x@h/", PGPASSWORD="one"), {"DB_PASSWORD": "Tr0ub4dor$x"}, KEY)
    container = {"URL": "http://u:Tr0ub4dor$x@h/", "PGPASSWORD": "two"}
    assert environment(redacted.model)["URL"] == "http://u:${slipway:DB_PASSWORD}@h/"
    assert secrets_in_containers(redacted.model, {"web": container}, redacted.fingerprints, KEY) == {
        "DB_PASSWORD": "Tr0ub4dor$x"
    }
    assert secrets_in_containers(redacted.model, {}, redacted.fingerprints, KEY) == {}


def test_a_printed_model_can_be_used_and_shows_no_secret() -> None:
    redacted = by_template(web(A="x <DB_PASSWORD>", PGPASSWORD="literal"), DB_PASSWORD="pa$word")
    assert environment(printable_model(redacted.model)) == {"A": "x ${DB_PASSWORD}", "PGPASSWORD": "***"}


def test_a_record_of_an_earlier_version_is_recognised_by_its_plain_secrets() -> None:
    secrets = {"DB_PASSWORD": "Tr0ub4dor-x", "SHORT": "tool"}
    assert plain_secrets(web(A="Tr0ub4dor-x", TOOL="tool"), secrets) == ("DB_PASSWORD",)
    assert plain_secrets(web(MYSQL_PWD="a"), {}) == ("web.environment.MYSQL_PWD",)
    assert plain_secrets(redact(web(A="Tr0ub4dor-x", MYSQL_PWD="a"), secrets, KEY).model, secrets) == ()


def test_redacting_a_redacted_model_changes_nothing() -> None:
    secrets = {"DB_PASSWORD": "tool"}
    redacted = redact(web(A="x tool", B="tool", POSTGRES_PASSWORD="tool"), secrets, KEY)
    again = redact(redacted.model, secrets, KEY, redacted.model)
    assert (again.model, again.fingerprints) == (redacted.model, {})


def test_a_literal_secret_is_masked_in_output_unless_the_model_has_it_as_a_word() -> None:
    model = web(PGPASSWORD="hunter2", MYSQL_PWD="tool", DB_PASS="x", MORE="pa$$ss", MORE_TOKEN="pa$$ss")
    assert literal_secrets(model) == ("hunter2",)
    assert literal_secrets(web(A_TOKEN="pa$$ss")) == ("pa$ss",)


def test_a_model_without_secrets_has_no_fingerprints() -> None:
    model = web(A="$${slipway:DB_PASSWORD}", B="$$$${slipway:X}")
    redacted = redact(model, {}, KEY)
    assert (redacted.model, redacted.fingerprints) == (model, {})
    assert restore(redacted.model, {"DB_PASSWORD": "x", "X": "y"}, {}, KEY).model == model
    assert placeholders(model) == ()


MODELS = st.recursive(
    TEXT.map(doubled) | st.none() | st.booleans() | st.integers(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(NAMES, inner, max_size=4),
    max_leaves=12,
)
SECRETS = st.dictionaries(st.sampled_from(["DB_PASSWORD", "TOKEN", "URL"]), TEXT.filter(bool), max_size=3)


@settings(max_examples=300, deadline=None)
@given(MODELS, MODELS, SECRETS)
def test_a_redacted_model_is_restored_as_it_was(service: Any, more: Any, secrets: dict[str, str]) -> None:
    copies = {str(number): doubled(secret) for number, secret in enumerate(secrets.values())}
    model = {"services": {"web": {"environment": copies, "x": service}}, "x-more": more}
    redacted = redact(model, secrets, KEY)
    kept = json.loads(json.dumps(redacted.model))
    again = restore(kept, values_of(secrets, model), redacted.fingerprints, KEY)
    assert again.model == model
    assert (again.changed, again.missing, again.fingerprints) == ((), (), redacted.fingerprints)
    assert redact(kept, secrets, KEY).model == kept
    assert not set(environment(kept).values()) & {doubled(secret) for secret in secrets.values()}


@settings(max_examples=200, deadline=None)
@given(st.lists(st.sampled_from(["<DB_PASSWORD>", "<TOKEN>", "a", "$$", "{slipway:", "}"]), max_size=6), SECRETS)
def test_marks_find_secrets_however_short_they_are(words: list[str], secrets: dict[str, str]) -> None:
    given_ = {"DB_PASSWORD": "a", "TOKEN": "}", **{key: secret for key, secret in secrets.items() if key != "URL"}}
    node = {"services": {"web": {"command": ["".join(words)]}}}
    redacted = by_template(node, **given_)
    wanted = {word.strip("<>") for word in words if word.startswith("<")}
    assert set(redacted.fingerprints) == wanted
    other = {key: secret + "x" for key, secret in given_.items()}
    again = restore(redacted.model, other, redacted.fingerprints, KEY)
    assert again.model == rendered(node, other)
    assert set(again.changed) == wanted
