"""A `.env` whose values were taken over into a profile gives the model that plain `docker compose` makes of it."""

import os
import subprocess
from pathlib import Path

import pytest

from tasks.env import new, profiles
from tasks.host.engine.cli_plugins import started_directly
from tasks.host.profile import load_profile
from tasks.model.errors import InputError
from tasks.model.secret import reveal

COMPOSE = """services:
  web:
    image: web:${TAG:-1}
    env_file: .env
    environment: {TEXT: "${GREETING}", LOGS: "${LOGS}", COLOUR: "${COLOUR}", PRICE: "${PRICE}", SAID: "${SAID}"}
    labels: {home: "${WHERE}", password: "${DB_PASSWORD}", port: "${PORT:-80}"}
"""
DOTENV = """# what Compose reads by itself
GREETING=hello
PLACE=/srv/shop
LOGS=${PLACE}/logs
COLOUR=blue # for now
PRICE='5$ each'
SAID="it's \\"here\\""
WHERE=${HOME}/shop
DB_PASSWORD=hunter 2
export TAG=7
PORT: 8080
ONLY_INSIDE=yes
COMPOSE_PROJECT_NAME=shop
"""


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project as users have them, with a `.env`."""
    for key in [key for key in os.environ if key not in ("PATH", "HOME")]:
        monkeypatch.delenv(key)
    directory = tmp_path / "place"
    directory.mkdir()
    (directory / "compose.yaml").write_text(COMPOSE)
    (directory / ".env").write_text(DOTENV)
    monkeypatch.setenv("SLIPWAY_PROJECT_DIR", str(directory))
    monkeypatch.setenv("SLIPWAY_ENVS_DIR", str(directory / "envs"))
    return directory


def config(project: Path, *words: str, **env: str) -> str:
    environment = {**os.environ, **env}
    command = started_directly(("docker", "compose", *words, "config"), environment)
    done = subprocess.run(command, cwd=project, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def through_profile(project: Path, environment: str) -> str:
    profile = load_profile.load_profile(environment)
    env = {key: reveal(value) for key, value in profile.compose_env().items()}
    return config(project, "--env-file", "/dev/null", **env)


def test_the_first_profile_gives_the_model_that_compose_alone_makes(project: Path) -> None:
    new.new("dev")
    profiles.check((), as_json=False)
    assert through_profile(project, "dev") == config(project)


def test_a_profile_that_lacks_them_names_the_dotenv_and_the_command_that_takes_its_values_over(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (project / "envs").mkdir()
    (project / "envs" / "prod.env").write_text("# ours\nGREETING=hi")
    with pytest.raises(InputError) as caught:
        load_profile.load_profile("prod")
    last = caught.value.message.splitlines()[-1]
    assert last.endswith("/.env: sets COLOUR, DB_PASSWORD, LOGS, PRICE, SAID, WHERE, but only profiles are read")
    assert caught.value.hint == "take them over: inv env.adopt prod"

    new.adopt("prod")
    profiles.check((), as_json=False)
    assert through_profile(project, "prod") == config(project, GREETING="hi")
    assert (project / "envs" / "prod.env").read_text().startswith("# ours\nGREETING=hi\n\n# From ")
    local = project / "envs" / "prod.local.env"
    assert local.read_text() == "# Secrets.\nDB_PASSWORD='hunter 2'\n"
    assert local.stat().st_mode & 0o777 == 0o600
    said = capsys.readouterr().err
    assert "hunter" not in said
    assert "ONLY_INSIDE" not in said

    before = (project / "envs" / "prod.env").read_text()
    new.adopt("prod")
    assert (project / "envs" / "prod.env").read_text() == before


def test_the_check_reports_what_the_dotenv_sets_of_variables_with_a_default(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (project / "compose.yaml").write_text("services: {web: {image: 'web:${TAG:-1}'}}\n")
    (project / "envs").mkdir()
    (project / "envs" / "prod.env").write_text("# ours\n")
    profiles.check((), as_json=False)
    assert "/.env: sets COMPOSE_PROJECT_NAME, TAG, which Compose alone would use" in capsys.readouterr().err


def test_the_dotenvs_own_compose_files_are_those_of_the_first_profile(project: Path) -> None:
    (project / "compose.yaml").rename(project / "stack.yaml")
    (project / ".env").write_text(DOTENV + "COMPOSE_FILE=stack.yaml:more.yaml\nMORE=1\n")
    (project / "more.yaml").write_text("services: {web: {command: '${MORE}'}}\n")
    new.new("dev")
    assert load_profile.load_profile("dev").compose_files() == ("stack.yaml", "more.yaml")
    assert through_profile(project, "dev") == config(project)


def test_a_value_that_does_not_fit_into_a_line_of_a_profile_is_named(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (project / ".env").write_text(DOTENV + 'GREETING="two\nlines"\n')
    new.new("dev")
    assert "can hold the value of GREETING" in capsys.readouterr().err


def test_git_leaves_the_local_layer_of_a_first_profile_alone(project: Path) -> None:
    subprocess.run(["git", "init", "--quiet", str(project)], check=True)
    new.new("dev")
    listed = subprocess.run(
        ["git", "-C", str(project), "status", "--porcelain", "-uall"], check=True, capture_output=True, text=True
    ).stdout
    assert "envs/dev.env" in listed
    assert "local" not in listed
