"""No secret in what a release keeps, and every one back in what is brought back."""

import json
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support import profile

from tasks.plan.redaction import (
    comparable,
    exposed,
    fingerprint,
    holds_secret,
    marks,
    placeholders,
    redact,
    restore,
    secrets_of,
    seen,
    shown,
    values_of,
    written_out,
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
    found: dict[str, str] = model["services"][service]["environment"]
    return found


def rendered(node: Any, values: Mapping[str, str]) -> Any:
    """Render a model as Compose does: ``<NAME>`` stands for a variable."""
    if isinstance(node, dict):
        return {key: rendered(one, values) for key, one in node.items()}
    if isinstance(node, list):
        return [rendered(one, values) for one in node]
    for name, value in values.items() if isinstance(node, str) else ():
        node = node.replace(f"<{name}>", doubled(value))
    return node


def by_template(node: Mapping[str, Any], **secrets: str) -> Any:
    """Redact what ``rendered`` makes, with the template known."""
    found = profile(**secrets)
    marked = marks(found, KEY)
    return redact(rendered(node, secrets), secrets_of(found), KEY, rendered(node, marked), marked)


@pytest.mark.parametrize("value", ["pa$word", "#it's", "tool", 'say "no"', "two\nlines", "${slipway:X}", "$$", "é😀"])
@pytest.mark.parametrize("template", [True, False])
def test_a_secret_of_the_profile_is_named_and_comes_back(value: str, template: bool) -> None:
    node = web(POSTGRES_PASSWORD="<DB_PASSWORD>", TEXT="one")
    model = rendered(node, {"DB_PASSWORD": value})
    found = by_template(node, DB_PASSWORD=value) if template else redact(model, {"DB_PASSWORD": value}, KEY)
    assert environment(found.model) == {"POSTGRES_PASSWORD": "${slipway:DB_PASSWORD}", "TEXT": "one"}
    assert found.fingerprints == {"DB_PASSWORD": fingerprint("DB_PASSWORD", value, KEY)}
    again = restore(found.model, {"DB_PASSWORD": value}, found.fingerprints, KEY)
    assert again.model == model
    assert (again.changed, again.missing) == ((), ())


def test_where_a_secret_goes_is_known_and_a_word_that_is_alike_stays() -> None:
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
    found = by_template(node, DB_PASSWORD="postgres")
    assert found.model["services"]["db"] == {
        "image": "postgres:17",
        "command": ["postgres", "-c", "x=${slipway:DB_PASSWORD}"],
        "environment": {
            "POSTGRES_USER": "postgres",
            "URL": "postgres://postgres:${slipway:DB_PASSWORD}@db/x",
            "DOUBLE": "a$$${slipway:DB_PASSWORD}$$b",
        },
        "labels": {"l": "${slipway:DB_PASSWORD}"},
    }
    assert found.model["configs"]["c"]["content"] == "pw=${slipway:DB_PASSWORD} $${x}"
    again = restore(found.model, {"DB_PASSWORD": "pa$s"}, found.fingerprints, KEY)
    assert again.model == rendered(node, {"DB_PASSWORD": "pa$s"})
    assert again.changed == ("DB_PASSWORD",)


def test_a_secret_with_blanks_in_a_command_is_taken_from_where_it_stands() -> None:
    secrets = {"DB_PASSWORD": "one two"}
    marked = marks(profile(**secrets), KEY)
    model = {"services": {"web": {"command": ["run", "one", "two"]}}}
    template = {"services": {"web": {"command": ["run", marked["DB_PASSWORD"]]}}}
    found = redact(model, secrets, KEY, template, marked)
    assert not {"one", "two"} & set(found.model["services"]["web"]["command"])
    assert restore(found.model, values_of(secrets, model), found.fingerprints, KEY).model == model


def test_files_that_changed_since_the_model_was_rendered_hide_no_secret() -> None:
    secrets = {"DB_PASSWORD": "Tr0ub4dor-x"}
    marked = marks(profile(**secrets), KEY)
    model = web(URL="postgres://me:Tr0ub4dor-x@db/x", PLAIN="Tr0ub4dor-x")
    found = redact(model, secrets, KEY, web(URL=f"mysql://{marked['DB_PASSWORD']}@db"), marked)
    assert "Tr0ub4dor" not in json.dumps(found.model)
    assert restore(found.model, values_of(secrets, model), found.fingerprints, KEY).model == model


def test_what_an_env_file_or_a_literal_gives_is_named_by_its_place() -> None:
    model = web(PGPASSWORD="fi$$le", DATABASE_URL="postgres://me:short@db/x", PLAIN="one", TOKEN_TTL="60")
    found = redact(model, {}, KEY, model)
    assert environment(found.model) == {
        "PGPASSWORD": "${slipway:web.environment.PGPASSWORD}",
        "DATABASE_URL": "${slipway:web.environment.DATABASE_URL}",
        "PLAIN": "one",
        "TOKEN_TTL": "60",
    }
    assert restore(found.model, values_of({}, model), found.fingerprints, KEY).model == model


@pytest.mark.parametrize(
    ("name", "value"),
    [("DB_PASSWORD", ""), ("ALLOW_EMPTY_PASSWORD", "yes"), ("TLS_KEY", "/certs/tls.key"), ("PWD", "/srv"),
     ("DB_PASSWORD_FILE", "/run/secrets/x"), ("JWT_KEY", "./keys/jwt.pem"), ("A_TOKEN", "/run/secrets/token")],
)  # fmt: skip
def test_a_place_and_a_switch_are_no_secrets(name: str, value: str) -> None:
    assert not holds_secret(name, value)


@pytest.mark.parametrize("name", ["MYSQL_PWD", "DB_PASS", "APIKEY", "splunk-token", "AWS_CREDENTIALS", "APP_KEY"])
def test_other_names_of_secrets_count(name: str) -> None:
    assert holds_secret(name, "/9j4AAQ+x=")


def test_a_copy_of_a_written_out_secret_is_found_elsewhere() -> None:
    model = web(REDIS_PASSWORD="Tr0ub4dor-x")
    model["services"]["redis"] = {"command": ["redis", "--requirepass=Tr0ub4dor-x"]}
    model["x-common"] = {"environment": {"REDIS_PASSWORD": "Tr0ub4dor-x"}}
    found = redact(model, {}, KEY, model)
    assert "Tr0ub4dor" not in json.dumps(found.model)
    assert restore(found.model, values_of({}, model), found.fingerprints, KEY).model == model


def test_a_password_of_a_url_counts_by_itself() -> None:
    secrets = {"DATABASE_URL": "postgres://me:Tr0ub4dor-x@db/x"}
    model = {"services": {"web": {"command": ["psql", "password=Tr0ub4dor-x", secrets["DATABASE_URL"]]}}}
    found = redact(model, secrets, KEY)
    assert found.model["services"]["web"]["command"] == [
        "psql", "password=${slipway:DATABASE_URL.password}", "${slipway:DATABASE_URL}",
    ]  # fmt: skip
    assert restore(found.model, values_of(secrets, model), found.fingerprints, KEY).model == model


def test_a_compose_secret_from_a_variable_stays_a_name_and_has_a_fingerprint() -> None:
    model = {"services": {"web": {"image": "tool:1"}}, "secrets": {"p": {"environment": "DB_PASSWORD"}}}
    found = redact(model, {"DB_PASSWORD": "tool"}, KEY)
    assert found.model == model
    assert restore(model, {"DB_PASSWORD": "other"}, found.fingerprints, KEY).changed == ("DB_PASSWORD",)
    assert restore(model, {}, found.fingerprints, KEY).missing == ("DB_PASSWORD",)


def test_what_a_newer_compose_writes_into_a_secret_is_no_part_of_a_record() -> None:
    model = {"services": {}, "secrets": {"p": {"content": "abc"}}}
    assert redact(model, {}, KEY).model["secrets"] == {"p": {"content": "${slipway:secrets.p.content}"}}


def test_a_secret_that_is_missing_keeps_its_placeholder_and_is_named() -> None:
    found = redact(web(PGPASSWORD="one"), {}, KEY)
    again = restore(found.model, {}, found.fingerprints, KEY)
    assert again.missing == ("web.environment.PGPASSWORD",) == placeholders(again.model)


def test_a_secret_of_a_renamed_service_or_key_is_known_by_its_fingerprint() -> None:
    model = web(PGPASSWORD="one")
    found = redact(model, {}, KEY)
    again = restore(found.model, {"www.environment.PGPASSWORD": "one", "x": "two"}, found.fingerprints, KEY)
    assert (again.model, again.changed, again.missing) == (model, (), ())


@pytest.mark.parametrize("key", [b"", b"another"])
def test_without_the_key_nothing_is_called_changed(key: bytes) -> None:
    found = redact(web(PGPASSWORD="one"), {}, KEY)
    assert comparable(found.fingerprints, KEY)
    assert not comparable(found.fingerprints, key)
    again = restore(found.model, {"web.environment.PGPASSWORD": "two"}, found.fingerprints, key)
    assert (again.changed, environment(again.model)) == ((), {"PGPASSWORD": "two"})


def test_containers_that_run_still_hold_what_the_profile_has_lost() -> None:
    found = redact(web(URL="http://u:Tr0ub4dor$$x@h/", PGPASSWORD="one"), {"DB_PASSWORD": "Tr0ub4dor$x"}, KEY)
    held = {"URL": "http://u:Tr0ub4dor$x@h/", "PGPASSWORD": "two"}
    assert environment(found.model)["URL"] == "http://u:${slipway:DB_PASSWORD}@h/"
    assert seen(found.model, {"web": held}, found.fingerprints, KEY) == {"DB_PASSWORD": "Tr0ub4dor$x"}
    assert seen(found.model, {}, found.fingerprints, KEY) == {}


def test_what_is_printed_can_be_pasted_and_shows_no_secret() -> None:
    found = by_template(web(A="x <DB_PASSWORD>", PGPASSWORD="literal"), DB_PASSWORD="pa$word")
    assert environment(shown(found.model)) == {"A": "x ${DB_PASSWORD}", "PGPASSWORD": "***"}


def test_a_record_of_an_earlier_version_is_told_by_what_it_holds() -> None:
    secrets = {"DB_PASSWORD": "Tr0ub4dor-x", "SHORT": "tool"}
    assert exposed(web(A="Tr0ub4dor-x", TOOL="tool"), secrets) == ("DB_PASSWORD",)
    assert exposed(web(MYSQL_PWD="a"), {}) == ("web.environment.MYSQL_PWD",)
    assert exposed(redact(web(A="Tr0ub4dor-x", MYSQL_PWD="a"), secrets, KEY).model, secrets) == ()


def test_what_is_recorded_anew_stays_as_it_is() -> None:
    secrets = {"DB_PASSWORD": "tool"}
    found = redact(web(A="x tool", B="tool", POSTGRES_PASSWORD="tool"), secrets, KEY)
    again = redact(found.model, secrets, KEY, found.model)
    assert (again.model, again.fingerprints) == (found.model, {})


def test_a_written_out_secret_is_masked_in_output_unless_it_is_a_word_of_the_model() -> None:
    model = web(PGPASSWORD="hunter2", MYSQL_PWD="tool", DB_PASS="x", MORE="pa$$ss", MORE_TOKEN="pa$$ss")
    assert written_out(model) == ("hunter2",)
    assert written_out(web(A_TOKEN="pa$$ss")) == ("pa$ss",)


def test_a_record_without_secrets_says_so_by_itself() -> None:
    model = web(A="$${slipway:DB_PASSWORD}", B="$$$${slipway:X}")
    found = redact(model, {}, KEY)
    assert (found.model, found.fingerprints) == (model, {})
    assert restore(found.model, {"DB_PASSWORD": "x", "X": "y"}, {}, KEY).model == model
    assert placeholders(model) == ()


MODELS = st.recursive(
    TEXT.map(doubled) | st.none() | st.booleans() | st.integers(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(NAMES, inner, max_size=4),
    max_leaves=12,
)
SECRETS = st.dictionaries(st.sampled_from(["DB_PASSWORD", "TOKEN", "URL"]), TEXT.filter(bool), max_size=3)


@settings(max_examples=300, deadline=None)
@given(MODELS, MODELS, SECRETS)
def test_what_is_taken_out_comes_back(service: Any, more: Any, secrets: dict[str, str]) -> None:
    copies = {str(number): doubled(one) for number, one in enumerate(secrets.values())}
    model = {"services": {"web": {"environment": copies, "x": service}}, "x-more": more}
    found = redact(model, secrets, KEY)
    kept = json.loads(json.dumps(found.model))
    again = restore(kept, values_of(secrets, model), found.fingerprints, KEY)
    assert again.model == model
    assert (again.changed, again.missing, again.fingerprints) == ((), (), found.fingerprints)
    assert redact(kept, secrets, KEY).model == kept
    assert not set(environment(kept).values()) & {doubled(one) for one in secrets.values()}


@settings(max_examples=200, deadline=None)
@given(st.lists(st.sampled_from(["<DB_PASSWORD>", "<TOKEN>", "a", "$$", "{slipway:", "}"]), max_size=6), SECRETS)
def test_what_is_made_from_secrets_is_known_by_them_however_short_they_are(
    words: list[str], secrets: dict[str, str]
) -> None:
    given_ = {"DB_PASSWORD": "a", "TOKEN": "}", **{key: one for key, one in secrets.items() if key != "URL"}}
    node = {"services": {"web": {"command": ["".join(words)]}}}
    found = by_template(node, **given_)
    wanted = {word.strip("<>") for word in words if word.startswith("<")}
    assert set(found.fingerprints) == wanted
    other = {key: one + "x" for key, one in given_.items()}
    again = restore(found.model, other, found.fingerprints, KEY)
    assert again.model == rendered(node, other)
    assert set(again.changed) == wanted
