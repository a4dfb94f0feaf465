"""A secret is never shown."""

import copy
import json
import logging
import pickle
import shlex
from dataclasses import dataclass
from urllib.parse import quote

import pytest

from tasks.model.command import Command
from tasks.model.secret import MASK, Secret, is_secret_name, mask, reveal

VALUE = "hunter2"


@dataclass(frozen=True)
class Holder:
    name: str
    value: Secret


@pytest.mark.parametrize(
    "shown",
    [
        str(Secret(VALUE)),
        repr(Secret(VALUE)),
        f"{Secret(VALUE)}",
        f"{Secret(VALUE)!r}",
        f"{Secret(VALUE):>10}",
        "%s %r" % (Secret(VALUE), Secret(VALUE)),  # noqa: UP031 - the old way must not show it either
        "{}".format(Secret(VALUE)),  # noqa: UP032
        str([Secret(VALUE)]),
        str({"key": Secret(VALUE)}),
        repr(Holder("token", Secret(VALUE))),
        repr(Command(("x",), env={"TOKEN": Secret(VALUE)})),
        ascii(Secret(VALUE)),
    ],
)
def test_whatever_prints_a_secret_prints_the_mask(shown: str) -> None:
    assert MASK in shown
    assert VALUE not in shown


def test_a_format_applies_to_the_mask() -> None:
    assert f"[{Secret(VALUE):>5}]" == "[  ***]"


def test_an_error_about_a_secret_does_not_show_it() -> None:
    assert VALUE not in str(ValueError(Secret(VALUE)))
    assert VALUE not in repr(KeyError(Secret(VALUE)))


def test_a_log_line_does_not_show_a_secret(caplog: pytest.LogCaptureFixture) -> None:
    logging.getLogger("x").warning("token %s", Secret(VALUE))

    assert caplog.messages == ["token ***"]


@pytest.mark.parametrize("serialise", [json.dumps, pickle.dumps, copy.copy, copy.deepcopy])
def test_a_secret_is_not_serialised(serialise: object) -> None:
    with pytest.raises(TypeError):
        serialise(Secret(VALUE))  # type: ignore[operator]


def test_a_secret_has_no_attributes_to_dump() -> None:
    assert not hasattr(Secret(VALUE), "__dict__")


def test_the_mask_does_not_tell_the_length() -> None:
    assert str(Secret("")) == str(Secret("x" * 100)) == "***"


def test_secrets_are_equal_when_their_values_are() -> None:
    assert Secret(VALUE) == Secret(VALUE)
    assert hash(Secret(VALUE)) == hash(Secret(VALUE))
    assert Secret(VALUE) != Secret("other")
    assert Secret(VALUE) != VALUE


def test_only_reveal_gives_the_value() -> None:
    assert Secret(VALUE).reveal() == VALUE
    assert reveal(Secret(VALUE)) == VALUE
    assert reveal("plain") == "plain"


@pytest.mark.parametrize("value", ["pa$word", "#it's", 'say "no"', "é", "a b/c@d", "first line\nsecond line"])
def test_a_secret_is_masked_however_a_program_quotes_it(value: str) -> None:
    model = json.dumps({"A": value.replace("$", "$$")})
    lines = [value, repr(value), model, shlex.quote(model), f"http://u:{quote(value, safe='')}@h", yaml_quoted(value)]
    for line in lines:
        assert not any(part in mask(line, [value]) for part in [value, *value.splitlines()]), line
    assert mask("nothing of it", [value]) == "nothing of it"


def yaml_quoted(value: str) -> str:
    """Return a value as YAML writes it within single quotes."""
    return "'" + value.replace("'", "''") + "'"


@pytest.mark.parametrize(
    "name", ["PGPASSWORD", "MYSQL_PWD", "DB_PASS", "APIKEY", "GOOGLE_CREDENTIALS", "APP_KEY", "SECRET_KEY_BASE"]
)
def test_names_of_secrets_as_images_have_them(name: str) -> None:
    assert is_secret_name(name)


@pytest.mark.parametrize("name", ["PWD", "BYPASS", "KEY", "SIGN_KEY", "VERIFY_KEY", "PUBLIC_KEY", "VITE_MAP_KEY"])
def test_names_that_mean_no_secret(name: str) -> None:
    assert not is_secret_name(name)
