"""Profiles read from disk, and what the env tasks make of them."""

import json
import os
from pathlib import Path

import pytest

from tasks.env import new, profiles
from tasks.host.profile import identities
from tasks.host.profile.load_profile import load_profile
from tasks.host.profile.settings import environments, settings
from tasks.model.errors import InputError


class Workspace:
    """A project outside this checkout, served by its tasks."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.compose("compose.yaml", "services: {web: {image: 'web:${TAG:-1}'}}\n")

    def env(self, name: str, text: str | bytes = "# nothing\n") -> Path:
        path = self.root / "envs" / f"{name}.env"
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return path

    def compose(self, name: str, text: str) -> None:
        path = self.root / "project" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Workspace:
    for key in [key for key in os.environ if key.startswith(("SLIPWAY_", "COMPOSE_", "DOCKER_"))]:
        monkeypatch.delenv(key)
    monkeypatch.setenv("SLIPWAY_PROJECT_DIR", str(tmp_path / "project"))
    monkeypatch.setenv("SLIPWAY_ENVS_DIR", str(tmp_path / "envs"))
    return Workspace(tmp_path)


def fault(environment: str = "dev") -> InputError:
    with pytest.raises(InputError) as caught:
        load_profile(environment)
    assert caught.value.exit_code == 2
    assert caught.value.hint
    return caught.value


def test_settings_of_the_environment_win_over_invoke_yaml(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SLIPWAY_PROJECT_DIR", raising=False)
    monkeypatch.setenv("SLIPWAY_REPORTS_DIR", "/elsewhere")
    monkeypatch.setenv("SLIPWAY_ENVS_DIR", "below")
    result = settings()
    assert result.root == Path(__file__).parents[3]
    assert result.project_dir == result.root / "docker_project"
    assert result.envs_dir == result.root / "below"
    assert result.reports_dir == Path("/elsewhere")


def test_environments_are_the_profiles_without_base_and_local_layers(here: Workspace) -> None:
    for name in ("base", "base.local", "prod", "dev", "dev.local", "qa-2", ".hidden", "no name"):
        here.env(name)
    assert environments() == ("dev", "prod", "qa-2")


def test_no_profiles_directory_is_no_environments_and_a_hint_to_make_one(here: Workspace) -> None:
    assert environments() == ()
    assert fault().hint == "make one: inv env.new dev"
    assert fault("prod").hint == "make one: inv env.new prod"


def test_layers_come_from_base_base_local_environment_and_its_local_file(here: Workspace) -> None:
    for name, value in (("base", "1s"), ("base.local", "2s"), ("dev", "3s"), ("dev.local", "4s")):
        here.env(name, f"HEALTH_TIMEOUT={value}\n")
        if name.startswith("base"):
            here.env("dev")
        assert load_profile("dev").text("HEALTH_TIMEOUT") == value
    assert load_profile("dev").values["HEALTH_TIMEOUT"].origin.endswith("envs/dev.local.env:1")


def test_the_default_environment_comes_from_the_settings(here: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    here.env("qa")
    monkeypatch.setenv("SLIPWAY_ENV", "qa")
    assert load_profile().environment == "qa"


def test_an_unknown_environment_lists_those_that_exist_and_the_nearest(here: Workspace) -> None:
    here.env("dev")
    here.env("staging")
    error = fault("stagin")
    assert error.message.startswith("no environment 'stagin' in ")
    assert error.message.endswith("; there are: dev, staging")
    assert error.hint == "did you mean staging? inv env.new stagin makes another"
    assert fault("paris").hint == "name one of them, such as --env dev, or make it: inv env.new paris"


@pytest.mark.parametrize("name", ["base", "dev.local", "../envs/dev", ""])
def test_base_and_local_layers_are_no_environments(here: Workspace, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SLIPWAY_ENV", "none")
    for stem in ("base", "dev", "dev.local"):
        here.env(stem)
    assert "no environment" in fault(name).message


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"", "envs/dev.env: empty: write at least one KEY=value or a comment"),
        (b" \n\n", "envs/dev.env: empty: write at least one KEY=value or a comment"),
        (b"\x7fELF\0\1", "envs/dev.env:1: NUL byte: this is a binary file, not a profile"),
        (b"A=1\nB=\xe9\n", "envs/dev.env:2: byte 0xe9 is not UTF-8: save the file as UTF-8"),
        (b"#" * (1 << 21), "envs/dev.env: cannot be read: 2097152 bytes are too many for a text file written by hand"),
    ],
)
def test_a_profile_that_is_no_text_is_one_line(here: Workspace, content: bytes, expected: str) -> None:
    here.env("dev", content)
    (line,) = fault().message.splitlines()
    assert line.endswith(expected)


def test_a_profile_that_is_no_file_is_one_line(here: Workspace) -> None:
    path = here.env("dev")
    path.unlink()
    path.mkdir()
    assert fault().message.endswith("envs/dev.env: cannot be read: it is a directory")
    path.rmdir()
    os.mkfifo(path)
    assert fault().message.endswith("envs/dev.env: cannot be read: it is not a regular file")
    path.unlink()
    path.symlink_to("nowhere")
    assert fault().message.endswith("envs/dev.env: cannot be read: the link points nowhere")
    path.unlink()
    path.symlink_to(path.name)
    assert "envs/dev.env: cannot be read: Too many levels of symbolic links" in fault().message


def test_a_profile_without_permission_is_one_line(here: Workspace) -> None:
    path = here.env("dev", "TAG=1\n")
    load_profile("dev")  # imports what it needs while this user may still read the files
    path.chmod(0)
    user = os.geteuid()
    if user == 0 and not all(directory.stat().st_mode & 0o001 for directory in Path(__file__).resolve().parents):
        pytest.skip("root reads everything, and no other user can enter this checkout")
    if user == 0:
        for directory in (here.root, *here.root.parents[:3]):  # pytest-xdist adds a directory
            directory.chmod(0o755)
        os.seteuid(65534)  # root reads everything
    try:
        error = fault()
    finally:
        os.seteuid(user)
    assert error.message.endswith("envs/dev.env: cannot be read: Permission denied")


def test_a_missing_compose_file_names_the_line_that_names_it(here: Workspace) -> None:
    here.env("dev", "# first\nCOMPOSE_FILE=compose.yaml:compose.dev.yaml\nFREE=1\n")
    error = fault()
    assert "envs/dev.env:2: COMPOSE_FILE: " in error.message
    assert error.message.endswith("project/compose.dev.yaml does not exist")
    assert error.hint == "the names in COMPOSE_FILE are relative to the project directory"


def test_a_missing_project_directory_says_which_setting_names_it(
    here: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    here.env("dev")
    monkeypatch.setenv("SLIPWAY_PROJECT_DIR", "/nowhere")
    assert fault().message == "/nowhere: the project directory does not exist"
    assert "SLIPWAY_PROJECT_DIR" in fault().hint


def test_without_compose_file_the_files_are_those_that_compose_finds(here: Workspace) -> None:
    here.env("dev")
    here.compose("compose.override.yaml", "services: {web: {command: '${WORD}'}}\n")
    assert fault().message.endswith(
        "project/compose.override.yaml:1: WORD: the Compose file needs this variable and no layer sets it"
    )
    here.env("dev", "WORD=x\n")
    profile = load_profile("dev")
    assert profile.compose_files() == ("compose.yaml", "compose.override.yaml")
    assert profile.values["COMPOSE_FILE"].origin.startswith("found in ")
    (here.root / "project" / "compose.yaml").unlink()
    assert "no Compose file" in fault().message


def test_variables_of_included_and_extended_files_are_known(here: Workspace) -> None:
    here.env("dev", "COMPOSE_FILE=compose.yaml\nA=1\nB=2\nC=3\nD=4\n")
    here.compose(
        "compose.yaml",
        "include:\n  - a.yaml\n  - path: [sub/b.yaml, oci://example.com/x]\n"
        "  - path: sub/own.yaml\n    env_file: own.env\n"
        "services:\n  web:\n    extends:\n      service: c\n      file: c.yaml\n",
    )
    here.compose("a.yaml", "x-a: ${A}\nservices:\n  d:\n    extends: {file: sub/d.yaml, service: d}\n")
    here.compose("sub/b.yaml", "x-b: ${B}\n")
    here.compose("sub/own.yaml", "x-o: ${OWN}\n")
    here.compose("c.yaml", "x-c: ${C}\n")
    here.compose("sub/d.yaml", "x-d: ${D}\n")
    assert load_profile("dev").text("D") == "4"
    (here.root / "project" / "sub" / "b.yaml").unlink()
    assert "project/compose.yaml: include: " in fault().message


ANCHOR = "x-from: &from {file: common.yaml, service: base}\nservices: {web: {extends: *from}}\n"
COMMENT = "services:\n  web:\n    extends:\n      # shared\n      file: common.yaml\n      service: base\n"
MERGE = "x-all: &all\n  extends: {service: base, file: ./common.yaml}\nservices: {web: {<<: *all}}\n"
QUOTED = '{"services": {"web": {"extends": {"service": "base", "file": "common.yaml"}}}}\n'
NAMED = "services: {web: {extends: {service: base, file: '${WHICH:-common}.yaml'}}}\n"
TAGGED = "services: {web: {ports: !reset [], extends: {service: base, file: common.yaml}}}\n"
MARKED = "\ufeffinclude: [common.yaml]\n"
LIST = "include:\n  - path:\n      - common.yaml\n"


@pytest.mark.parametrize("text", [ANCHOR, COMMENT, MERGE, QUOTED, NAMED, TAGGED, MARKED, LIST])
def test_a_file_is_found_however_its_yaml_is_written(here: Workspace, text: str) -> None:
    here.env("dev", "SITE=shop.example.com\n")
    here.compose("compose.yaml", text)
    here.compose("common.yaml", "services: {base: {image: 'web:${SITE}'}}\n")
    assert load_profile("dev").text("SITE") == "shop.example.com"
    here.env("dev", "SITTE=shop.example.com\nSITE=x\n")
    assert "SITTE: unknown key; did you mean SITE?" in fault().message
    here.env("dev")
    assert "common.yaml:1: SITE: the Compose file needs this variable" in fault().message


@pytest.mark.parametrize("entry", ["app.env", "[app.env]", "[{path: app.env, required: false}]", "'${WHICH:-app}.env'"])
@pytest.mark.parametrize("line", ["ADDRESS=http://${SITE}/", "export SITE", "SITE"])
def test_a_variable_that_an_env_file_takes_is_known_and_not_needed(here: Workspace, entry: str, line: str) -> None:
    here.env("dev", "SITE=shop.example.com\n")
    here.compose("compose.yaml", f"services: {{web: {{image: web, env_file: {entry}}}}}\n")
    here.compose("app.env", f"# $OTHER\n{line}\n")
    assert load_profile("dev").text("SITE") == "shop.example.com"
    here.env("dev")
    load_profile("dev")
    here.env("dev", "OTHER=1\n")
    assert "OTHER: unknown key" in fault().message


@pytest.mark.parametrize(
    "text",
    [
        "x-all: &all {SITE: }\nservices: {web: {image: web, environment: *all}}\n",
        "x-all: &all {SITE: null}\nservices: {web: {image: web, environment: {<<: *all, A: b}}}\n",
        "services: {web: {build: {context: ., args: {SITE: , A: b}}}}\n",
        'secrets: {site: {"environment": "SITE"}}\n',
    ],
)
def test_a_variable_that_is_passed_by_its_name_is_known(here: Workspace, text: str) -> None:
    here.env("dev", "SITE=1\n")
    here.compose("compose.yaml", text)
    assert load_profile("dev").text("SITE") == "1"


@pytest.mark.parametrize("text", ["include: ['oci://example.com/x']\n", "include: [\n  'open\n"])
def test_a_key_is_not_refused_where_only_compose_can_read_all_files(here: Workspace, text: str) -> None:
    here.env("dev", "SITE=1\n")
    here.compose("compose.yaml", text)
    assert load_profile("dev").text("SITE") == "1"


def test_base_may_set_what_another_environment_uses_in_any_of_its_files(here: Workspace) -> None:
    here.env("base", "SITE=1\n")
    here.env("dev", "COMPOSE_FILE=compose.yaml\n")
    here.env("prod", "COMPOSE_FILE=sub/prod.yaml\n")
    here.compose("sub/prod.yaml", "services: {web: {image: web, env_file: prod.env}}\n")
    here.compose("sub/prod.env", "ADDRESS=$SITE\n")
    assert load_profile("dev").text("SITE") == "1"
    here.env("dev", "COMPOSE_FILE=compose.yaml\nSITE=2\n")
    assert "no Compose file of this environment interpolates it" in fault().message


def clash(*environments: str) -> str:
    """Return what env.check says of environments that share a project."""
    with pytest.raises(InputError) as caught:
        profiles.check(environments, as_json=False)
    assert caught.value.exit_code == 2
    assert "COMPOSE_PROJECT_NAME=" in caught.value.hint
    (line,) = caught.value.message.splitlines()
    return line


def test_two_environments_of_one_project_on_one_engine_are_refused_and_named(here: Workspace) -> None:
    here.env("dev")
    here.env("prod")
    for names in ((), ("dev",), ("prod",)):
        assert "envs/dev.env: dev and prod (" in clash(*names)
    assert "project (the name of the directory)" in clash()
    here.compose("compose.yaml", "name: '${NAME:-shop}' # ours\nservices: {}\n")
    assert "shop (`name:` of the Compose file)" in clash()
    here.env("base", "COMPOSE_PROJECT_NAME=same\n")
    assert "same (" in clash()
    assert "base.env:1" in clash()


@pytest.mark.parametrize(
    ("dev", "prod"),
    [
        ("COMPOSE_PROJECT_NAME=project-dev\n", "# the directory's\n"),
        ("NAME=a\n", "NAME=b\n"),
        ("# here\n", "DOCKER_HOST=ssh://deploy@prod.example.com\n"),
        ("COMPOSE_FILE=sub/compose.yaml\n", "COMPOSE_FILE=compose.yaml\n"),
    ],
)
def test_environments_of_two_projects_or_two_engines_are_no_fault(here: Workspace, dev: str, prod: str) -> None:
    here.compose("sub/compose.yaml", "services: {}\n")
    if "NAME=a" in dev:
        here.compose("compose.yaml", "name: shop-$NAME\nservices: {}\n")
    here.env("dev", dev)
    here.env("prod", prod)
    profiles.check((), as_json=False)


def test_a_project_name_for_one_task_does_not_count_for_the_other_environments(
    here: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    here.env("dev", "COMPOSE_PROJECT_NAME=shop-dev\n")
    here.env("prod", "COMPOSE_PROJECT_NAME=shop-prod\n")
    monkeypatch.setenv("COMPOSE_PROJECT_NAME", "shop-mine")
    identities.refuse_shared_project(load_profile("dev"))
    profiles.check((), as_json=False)
    monkeypatch.setenv("COMPOSE_PROJECT_NAME", "shop-prod")
    with pytest.raises(InputError, match="dev and prod"):
        identities.refuse_shared_project(load_profile("dev"))


def test_base_may_set_what_only_another_environments_files_interpolate(here: Workspace) -> None:
    here.env("base", "OTHER=1\n")
    here.env("dev", "COMPOSE_FILE=compose.yaml\n")
    assert fault().message.endswith("base.env:1: OTHER: unknown key: no Compose file interpolates it")
    here.compose("compose.prod.yaml", "x-o: ${OTHER}\n")
    assert load_profile("dev").text("OTHER") == "1"


def test_local_base_images_bring_the_variables_of_their_override(here: Workspace) -> None:
    here.env("dev", "COMPOSE_FILE=compose.yaml\nBASE_IMAGES_OVERRIDE=over.yaml\n")
    here.compose("over.yaml", "x-o: ${MIRROR}\n")
    load_profile("dev")
    here.env("base.local", "BASE_IMAGES=local\n")
    assert "over.yaml:1: MIRROR: the Compose file needs" in fault().message
    here.env("base.local", "BASE_IMAGES=local\nMIRROR=x\n")
    assert load_profile("dev").compose_files() == ("compose.yaml",)


def test_a_compose_file_that_is_no_yaml_is_left_to_compose(here: Workspace) -> None:
    here.env("dev", "COMPOSE_FILE=compose.yaml\n")
    here.compose("compose.yaml", "include: [*nothing\n\t- x: 'open\n")
    assert load_profile("dev").compose_files() == ("compose.yaml",)


def test_show_masks_secrets_and_names_origins(here: Workspace, capsys: pytest.CaptureFixture[str]) -> None:
    here.env("dev", "TAG=2\nWEB_TOKEN=hunter2\n")
    here.compose("compose.yaml", "x: [$TAG, $WEB_TOKEN]\n")
    profiles.show("dev", as_json=True)
    document = json.loads(capsys.readouterr().out)
    assert document["schema"] == "slipway/env.show/v1"
    values = {value["key"]: value for value in document["values"]}
    assert values["WEB_TOKEN"]["value"] == "***"
    assert values["WEB_TOKEN"]["secret"] is True
    assert values["TAG"]["origin"].endswith("envs/dev.env:1")
    profiles.show("dev", as_json=False)
    assert "hunter2" not in capsys.readouterr().out


def test_diff_tells_that_secrets_differ_without_showing_them(
    here: Workspace, capsys: pytest.CaptureFixture[str]
) -> None:
    here.compose("compose.yaml", "x: [$TAG, $WEB_TOKEN, $SAME]\n")
    here.env("dev", "TAG=1\nWEB_TOKEN=first\nSAME=x\n")
    here.env("prod", "TAG=2\nWEB_TOKEN=second\nSAME=x\n")
    profiles.diff("dev", "prod", as_json=True)
    changes = json.loads(capsys.readouterr().out)["changes"]
    assert [(change["key"], change["first"]["value"], change["second"]["value"]) for change in changes] == [
        ("TAG", "1", "2"),
        ("WEB_TOKEN", "***", "***"),
    ]


def test_check_reports_the_faults_of_all_environments_once(here: Workspace, capsys: pytest.CaptureFixture[str]) -> None:
    here.env("base", "HEALTH_TIMEOUT=x\n")
    here.env("dev", "TAG=1\n")
    here.env("prod", "BASE_IMAGES=y\n")
    with pytest.raises(InputError) as caught:
        profiles.check((), as_json=True)
    assert len(caught.value.message.splitlines()) == 2
    document = json.loads(capsys.readouterr().out)
    assert [
        (environment["name"], environment["valid"], len(environment["faults"]))
        for environment in document["environments"]
    ] == [
        ("dev", False, 1),
        ("prod", False, 2),
    ]


def test_list_tells_which_profiles_are_valid(here: Workspace, capsys: pytest.CaptureFixture[str]) -> None:
    here.env("dev", "COMPOSE_PROJECT_NAME=shop-dev\nTAG=1\n")
    here.env("prod", "TAG=a b\n")
    profiles.list_environments(as_json=True)
    listed = json.loads(capsys.readouterr().out)["environments"]
    assert [(environment["name"], environment["valid"]) for environment in listed] == [("dev", True), ("prod", False)]


def test_new_writes_a_profile_that_is_valid_and_shares_nothing_by_name(here: Workspace) -> None:
    here.env(
        "prod",
        "# About prod.\n\n# The project.\nCOMPOSE_PROJECT_NAME=shop-prod\nCOMPOSE_FILE=compose.prod.yaml\n"
        "# DOCKER_HOST=ssh://prod.example.com\nTAG=prod\n",
    )
    here.compose("compose.prod.yaml", "x: $TAG\n")
    new.new("qa", "prod")
    profile = load_profile("qa")
    assert profile.text("COMPOSE_PROJECT_NAME") == "shop-qa"
    assert profile.text("TAG") == "qa"
    assert profile.compose_files() == ("compose.prod.yaml",)
    text = (here.root / "envs" / "qa.env").read_text()
    assert "# The project." in text
    assert "# DOCKER_HOST=ssh://qa.example.com" in text
    assert "About prod" not in text
    assert sorted(path.name for path in (here.root / "envs").iterdir()) == ["prod.env", "qa.env"]


@pytest.mark.parametrize("text", ["TAG=1\n", "COMPOSE_PROJECT_NAME=shop\nTAG=1\n"])
def test_a_new_environment_never_gets_the_project_name_of_the_old_one(here: Workspace, text: str) -> None:
    here.env("dev", text)
    new.new("qa", "dev")
    assert load_profile("qa").text("COMPOSE_PROJECT_NAME") in ("project-qa", "shop-qa")


def test_new_overwrites_nothing_and_takes_no_odd_name(here: Workspace) -> None:
    path = here.env("dev", "TAG=1\n")
    for name in ("dev", "base", "../up", "a b", "-x", ".x", "é", ""):
        with pytest.raises(InputError):
            new.new(name, "dev")
    with pytest.raises(InputError, match="no environment 'prdo'"):
        new.new("qa", "prdo")
    assert path.read_text() == "TAG=1\n"
    assert [file.name for file in path.parent.iterdir()] == ["dev.env"]


def test_a_dry_run_of_new_writes_nothing(here: Workspace, capsys: pytest.CaptureFixture[str]) -> None:
    here.env("dev", "TAG=1\n")
    new.new("qa", "dev", dry=True)
    assert not (here.root / "envs" / "qa.env").exists()
    assert "qa.env" in capsys.readouterr().out


def env_text(here: Workspace, name: str) -> str:
    return (here.root / "envs" / f"{name}.env").read_text()


@pytest.mark.parametrize("base", ["", "KEEP_RELEASES=3\n"])
def test_the_first_profile_is_made_from_the_compose_files(here: Workspace, base: str) -> None:
    if base:
        here.env("base", base)
    here.compose(
        "compose.override.yaml", "services: {web: {command: '${WORD} $DB_PASSWORD $HOME ${TAG-1} ${A:-${B}}'}}\n"
    )
    new.new("dev")
    assert env_text(here, "dev").partition("\n\n")[2] == (
        "COMPOSE_PROJECT_NAME=project\nCOMPOSE_FILE=compose.yaml:compose.override.yaml\n\n"
        "# The Compose files take these. To Compose they are empty until a value is written here.\nB=\nWORD=\n"
    )
    assert "DB_PASSWORD=\n" in env_text(here, "dev.local")
    profiles.check((), as_json=False)
    assert load_profile("dev").compose_files() == ("compose.yaml", "compose.override.yaml")


def test_the_first_profile_takes_the_compose_file_of_its_name_and_what_base_has_not(here: Workspace) -> None:
    here.env("base", "COMPOSE_PROJECT_NAME=shop\n")
    here.compose("compose.override.yaml", "services: {}\n")
    here.compose("compose.prod.yaml", "services: {}\n")
    new.new("prod")
    assert env_text(here, "prod").partition("\n\n")[2] == "COMPOSE_FILE=compose.yaml:compose.prod.yaml\n"


def test_without_a_compose_file_there_is_no_first_profile(here: Workspace) -> None:
    (here.root / "project" / "compose.yaml").unlink()
    with pytest.raises(InputError, match="no Compose file"):
        new.new("dev")
    assert not (here.root / "envs").exists()


def test_a_new_profile_starts_from_the_existing_profile_except_for_its_engine(
    here: Workspace, capsys: pytest.CaptureFixture[str]
) -> None:
    here.env("prod", "# About prod.\n\nDOCKER_HOST=ssh://deploy@prod.example.com\nTAG=3\n")
    new.new("test")
    assert "# DOCKER_HOST=ssh://" in env_text(here, "test")
    profile = load_profile("test")
    assert (profile.text("TAG"), profile.text("DOCKER_HOST")) == ("3", "")
    assert profile.text("COMPOSE_PROJECT_NAME") == "project-test"
    assert "come from prod" in capsys.readouterr().err
    profiles.check((), as_json=False)
    new.new("next", "prod")  # named by the user: all of it is taken
    assert load_profile("next").is_set("DOCKER_HOST")


def test_a_new_profile_says_what_it_still_lacks(here: Workspace, capsys: pytest.CaptureFixture[str]) -> None:
    here.compose("compose.yaml", "services: {web: {image: web, command: $DB_PASSWORD}}\n")
    here.env("dev", "# nothing\n")
    here.env("dev.local", "DB_PASSWORD=x\n")
    new.new("qa")
    assert "still to do: " in capsys.readouterr().err
    assert "DB_PASSWORD: the Compose file needs" in fault("qa").message


def test_a_project_without_a_dotenv_has_nothing_to_take_over(here: Workspace) -> None:
    here.env("dev")
    with pytest.raises(InputError, match=r"no \.env there"):
        new.adopt("dev")
    with pytest.raises(InputError, match="no environment 'qa'"):
        new.adopt("qa")
