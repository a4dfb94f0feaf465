"""Layers, types, origins, secrets and faults of a profile."""

from collections.abc import Mapping, Sequence

import pytest

from tasks.model.errors import InputError
from tasks.model.profile.grammar import Fault
from tasks.model.profile.interpolation import Variable
from tasks.model.profile.profile import Layer, Profile, resolve
from tasks.model.profile.schema import KEYS, reference, seconds
from tasks.model.secret import Secret, is_secret_name


def layers(**texts: str) -> list[Layer]:
    """Layers by stem: base="A=1" is envs/base.env, shared by all environments."""
    names = {name: f"envs/{name.replace('_', '.')}.env" for name in texts}
    return [Layer(names[name], text.encode(), name.startswith("base")) for name, text in texts.items()]


def variables(*names: str, required: bool = False) -> dict[str, Variable]:
    return {name: Variable(name, required, f"docker-compose.yml:{line}") for line, name in enumerate(names, 1)}


def faults(
    given: Sequence[Layer],
    known: Mapping[str, Variable] | None = None,
    env: Mapping[str, str] | None = None,
    options: Mapping[str, str] | None = None,
    elsewhere: Sequence[str] = (),
) -> list[str]:
    with pytest.raises(InputError) as caught:
        resolve("dev", given, env or {}, options or {}, known or {}, elsewhere=elsewhere)
    assert caught.value.exit_code == 2
    assert caught.value.hint
    return caught.value.message.splitlines()


def profile(text: str = "", *names: str, env: Mapping[str, str] | None = None) -> Profile:
    return resolve("dev", layers(dev=text), env or {}, {}, variables(*names))


def test_a_later_layer_wins_and_every_value_names_its_origin() -> None:
    given = layers(
        base="A=base\nB=base\nC=base\nD=base\nE=base\nHEALTH_TIMEOUT=1s",
        base_local="B=base.local\nC=base.local\nD=base.local",
        dev="\nC=dev\nD=dev\nE=dev",
        dev_local="D=dev.local",
    )
    resolved = resolve("dev", given, {"E": "process"}, {"HEALTH_TIMEOUT": "2s"}, variables(*"ABCDE"))
    assert {
        key: (value.value, value.origin) for key, value in resolved.values.items() if value.origin != "default"
    } == {
        "A": ("base", "envs/base.env:1"),
        "B": ("base.local", "envs/base.local.env:1"),
        "C": ("dev", "envs/dev.env:2"),
        "D": ("dev.local", "envs/dev.local.env:1"),
        "E": ("process", "environment"),
        "HEALTH_TIMEOUT": ("2s", "--health-timeout"),
    }


def test_a_key_that_nothing_sets_has_the_default_of_the_schema() -> None:
    resolved = profile()
    assert resolved.values["HEALTH_TIMEOUT"].origin == "default"
    assert resolved.duration("HEALTH_TIMEOUT") == 60.0
    assert resolved.flag("CONFIRM_DEPLOY") is False
    assert resolved.compose_files() == ("docker-compose.yml",)
    assert resolved.text("CA_BUNDLE") == ""
    assert resolved.text("NO_SUCH_KEY") == ""


def test_an_empty_value_takes_an_earlier_one_back_to_the_default() -> None:
    resolved = resolve("dev", layers(base="HEALTH_TIMEOUT=5s", dev="HEALTH_TIMEOUT="), {}, {}, {})
    assert resolved.duration("HEALTH_TIMEOUT") == 60.0


def test_typed_values_are_read_in_their_type() -> None:
    resolved = profile(
        "HEALTH_TIMEOUT=1m30s\nCONFIRM_DEPLOY=true\nCOMPOSE_PARALLEL_LIMIT=4\nPLATFORMS=linux/amd64,linux/arm64/v8\n"
        "CACHE_FROM='type=local,src=a,b=c type=registry,ref=x/y'\nCOMPOSE_FILE=a.yml:b/c.yml\nBASE_IMAGES=local\n"
        "BASE_IMAGES_OVERRIDE=over.yml\n"
    )
    assert resolved.duration("HEALTH_TIMEOUT") == 90.0
    assert resolved.flag("CONFIRM_DEPLOY") is True
    assert resolved.integer("COMPOSE_PARALLEL_LIMIT") == 4
    assert resolved.words("PLATFORMS") == ("linux/amd64", "linux/arm64/v8")
    assert resolved.words("CACHE_FROM") == ("type=local,src=a,b=c", "type=registry,ref=x/y")
    assert resolved.compose_files() == ("a.yml", "b/c.yml")


def test_the_process_environment_counts_only_for_keys_that_something_knows() -> None:
    env = {"A": "2", "B": "3", "C": "4", "SLIPWAY_ENV": "prod", "DOCKER_HOST": "tcp://h:1"}
    resolved = profile("A=1", "A", "B", env=env)
    from_outside = {key for key, value in resolved.values.items() if value.origin == "environment"}
    assert from_outside == {"A", "B", "DOCKER_HOST"}


def test_compose_gets_what_layers_environment_and_options_set_but_no_default() -> None:
    text = "BUILD_TARGET=production\nCOMPOSE_PROJECT_NAME=x\nDATABASE_PASSWORD=p"
    resolved = profile(text, "DATABASE_PASSWORD", env={"DOCKER_HOST": "ssh://h"})
    assert resolved.compose_env() == {
        "BUILD_TARGET": "production",
        "COMPOSE_FILE": "docker-compose.yml",
        "COMPOSE_PROJECT_NAME": "x",
        "DATABASE_PASSWORD": Secret("p"),
        "DOCKER_HOST": "ssh://h",
    }


def test_every_fault_is_listed_with_its_line() -> None:
    given = layers(
        base="HEALTH_TIMEOUT=soon\nA=$x\nCONFIRM_DEPLOY=yes",
        dev="BULID_TARGET=x\n\nBASE_IMAGES=maybe\nCOMPOSE_PROJECT_NAME=Slipway\nPLATFORMS=amd64\nA=1\nA=2",
    )
    known = {**variables("A"), "NEEDED": Variable("NEEDED", True, "docker_project/docker-compose.yml:9")}
    assert faults(given, known, {"COMPOSE_PARALLEL_LIMIT": "many"}) == [
        "envs/base.env:1: HEALTH_TIMEOUT: expected a duration such as 30s, got 'soon'",
        "envs/base.env:2: A: unquoted '$': write A='…'",
        "envs/base.env:3: CONFIRM_DEPLOY: expected true or false, got 'yes'",
        "envs/dev.env:1: BULID_TARGET: unknown key; did you mean BUILD_TARGET?",
        "envs/dev.env:3: BASE_IMAGES: expected registry or local, got 'maybe'",
        "envs/dev.env:4: COMPOSE_PROJECT_NAME: expected a Compose project name: lower-case letters, digits, - and _, "
        "first a letter or digit, got 'Slipway'",
        "envs/dev.env:5: PLATFORMS: expected os/arch, comma separated, such as linux/amd64,linux/arm64, got 'amd64'",
        "envs/dev.env:7: A: already set on line 6: keep one of the two",
        "environment: COMPOSE_PARALLEL_LIMIT: expected a whole number such as 4, got 'many'",
        "docker_project/docker-compose.yml:9: NEEDED: the Compose file needs this variable and no layer sets it",
    ]


def test_a_wrong_value_on_the_command_line_names_the_option() -> None:
    assert faults([], options={"HEALTH_TIMEOUT": "5"}) == [
        "--health-timeout: HEALTH_TIMEOUT: expected a duration such as 30s, got '5'"
    ]


def test_a_key_that_no_compose_file_interpolates_is_unknown_outside_the_shared_layers() -> None:
    assert faults(layers(dev="COLOUR=red")) == ["envs/dev.env:1: COLOUR: unknown key: no Compose file interpolates it"]
    assert faults(layers(dev="COLOUR=red"), elsewhere=["COLOUR"]) == [
        "envs/dev.env:1: COLOUR: no Compose file of this environment interpolates it, only those of others"
    ]
    assert resolve("dev", layers(base="COLOUR=red"), {}, {}, {}, elsewhere=["COLOUR"]).text("COLOUR") == "red"


def test_settings_of_the_tasks_are_no_profile_keys() -> None:
    assert faults(layers(dev="SLIPWAY_ENV=x\nCOMPOSE_ENV_FILES=.env")) == [
        "envs/dev.env:1: SLIPWAY_ENV: a setting of the tasks themselves, not a profile key",
        "envs/dev.env:2: COMPOSE_ENV_FILES: the layers are the only files variables come from",
    ]


def test_a_required_variable_may_come_from_the_process_environment() -> None:
    assert profile("", "A", env={"A": "1"}).text("A") == "1"


def test_a_nested_default_is_required_only_without_the_variable_around_it() -> None:
    known = {**variables("A"), "B": Variable("B", True, "c.yml:1", unless=frozenset({"A"}))}
    assert resolve("dev", layers(dev="A=1"), {}, {}, known).text("A") == "1"
    assert faults([], known) == ["c.yml:1: B: the Compose file needs this variable and no layer sets it"]


def test_an_empty_value_is_a_fault_where_the_compose_file_wants_one() -> None:
    known = {"A": Variable("A", True, "c.yml:3", nonempty=True)}
    assert faults(layers(dev="A="), known) == ["envs/dev.env:1: A: empty, and c.yml:3 needs a value"]


def test_a_variable_whose_line_is_refused_is_not_reported_missing_as_well() -> None:
    assert len(faults(layers(dev="A=$x"), variables("A", required=True))) == 1


def test_an_unreadable_layer_is_one_fault_whatever_the_compose_files_need() -> None:
    given = [Layer("envs/dev.env", b"A=1\n\0")]
    assert faults(given, variables("A", required=True)) == [
        "envs/dev.env:2: NUL byte: this is a binary file, not a profile"
    ]


def test_faults_of_the_compose_files_are_listed_with_those_of_the_profile() -> None:
    fault = Fault("envs/dev.env:1: COMPOSE_FILE", "x.yml does not exist")
    with pytest.raises(InputError) as caught:
        resolve("dev", layers(dev="COMPOSE_FILE=x.yml\nFREE=1\nBASE_IMAGES=x"), {}, {}, {}, faults=[fault])
    assert caught.value.message.splitlines() == [
        "envs/dev.env:1: COMPOSE_FILE: x.yml does not exist",
        "envs/dev.env:3: BASE_IMAGES: expected registry or local, got 'x'",
    ]


def test_docker_host_together_with_docker_context_is_refused() -> None:
    assert faults(layers(dev="DOCKER_CONTEXT=staging"), env={"DOCKER_HOST": "unix:///x"}) == [
        "envs/dev.env:1: DOCKER_CONTEXT: DOCKER_HOST is set as well (environment), and Docker would use that one alone"
    ]
    assert profile("DOCKER_CONTEXT=staging", env={"DOCKER_HOST": ""}).text("DOCKER_CONTEXT") == "staging"


def test_bytes_in_the_process_environment_that_are_no_text_are_refused() -> None:
    assert faults([], env={"DOCKER_CONTEXT": "\udcff"}) == ["environment: DOCKER_CONTEXT: not UTF-8"]


@pytest.mark.parametrize(
    "name",
    ["PASSWORD", "DB_PASSWORD", "API_KEY", "MY_API_KEY_2", "GITHUB_TOKEN", "aws_access_key", "SLACK_WEBHOOK_URL"],
)
def test_the_value_of_a_name_that_means_a_secret_is_masked(name: str) -> None:
    assert is_secret_name(name)
    assert profile(f"{name}=hunter2", name).values[name].secret


@pytest.mark.parametrize(
    "name",
    [
        *("GENERATE_SECRETS", "SECRETS_DIR", "SECRET_KEYS", "PASSWORD_FILE", "TOKEN_PATH", "TOKENS", "PASSWORDLESS"),
        *("WEBHOOK_PORT", "WEBHOOK"),
    ],
)
def test_the_value_of_a_name_that_only_mentions_secrets_is_shown(name: str) -> None:
    assert not is_secret_name(name)


def test_secret_keys_and_urls_with_a_password_are_masked_too() -> None:
    text = "SECRET_KEYS=LICENCE,OTHER\nLICENCE=abc\nOTHER=\nURL='postgres://me:p@ss@db/x'\nPLAIN=https://host/a:b@c\n"
    resolved = profile(text, "LICENCE", "OTHER", "URL", "PLAIN")
    assert {key for key, value in resolved.values.items() if value.secret} == {"LICENCE", "OTHER", "URL"}
    assert resolved.secret_texts() == ("postgres://me:p@ss@db/x", "p@ss", "abc")
    assert "abc" not in repr(resolved)


def test_a_misspelt_secret_key_is_a_fault_since_it_would_leave_a_secret_unmasked() -> None:
    assert faults(layers(dev="SECRET_KEYS=LICENSE\nLICENCE=x"), variables("LICENCE")) == [
        "envs/dev.env:1: SECRET_KEYS: 'LICENSE' is not a key of this profile; did you mean LICENCE?"
    ]


def test_a_fault_never_shows_a_secret() -> None:
    lines = faults(layers(dev="DOCKER_HOST=mysql://u:hunter2@h\nDB_PASSWORD=hunter2\nX=hunter2 y"), variables("X"))
    assert lines[0].endswith("got ***")
    assert "hunter2" not in "".join(lines)


def test_a_profile_cannot_be_changed() -> None:
    with pytest.raises(TypeError):
        profile("A=1", "A").values["A"] = None  # type: ignore[index]


@pytest.mark.parametrize(("text", "expected"), [("30s", 30), ("1h2m3s", 3723), ("250ms", 0.25), ("1.5m", 90)])
def test_durations_are_seconds(text: str, expected: float) -> None:
    assert seconds(text) == expected


@pytest.mark.parametrize("text", ["", "30", "s", "-1s", "1 s", "1w", "\u0661s", "soon"])
def test_what_is_no_duration_is_none(text: str) -> None:
    assert seconds(text) is None


def test_every_default_and_every_example_of_the_schema_is_of_its_type() -> None:
    for key in KEYS.values():
        assert not key.default or key.type.accepts(key.default), key.name
        assert key.type.accepts(key.example), key.name
        assert key.doc.endswith("."), key.name


def test_the_reference_has_one_row_for_each_key() -> None:
    rows = [line for line in reference().splitlines() if line.startswith("| `")]
    assert [row.split("`")[1] for row in rows] == list(KEYS)
    assert all(row.replace("\\|", "").count("|") == 6 for row in rows)
