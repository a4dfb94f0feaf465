"""A `.env` that was taken over into a profile gives the model that plain `docker compose` makes of it."""

import os
import subprocess
from pathlib import Path

import pytest

from tasks.host import files, new_profiles, profiles
from tasks.plan.errors import InputError
from tasks.plan.secret import reveal

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
    """A project as it is found in the world."""
    for key in [key for key in os.environ if key not in ("PATH", "HOME")]:
        monkeypatch.delenv(key)
    made = tmp_path / "place"
    made.mkdir()
    (made / "compose.yaml").write_text(COMPOSE)
    (made / ".env").write_text(DOTENV)
    monkeypatch.setenv("SLIPWAY_PROJECT_DIR", str(made))
    monkeypatch.setenv("SLIPWAY_ENVS_DIR", str(made / "envs"))
    return made


def config(project: Path, *words: str, **env: str) -> str:
    done = subprocess.run(
        ["docker", "compose", *words, "config"], cwd=project, env={**os.environ, **env}, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def through_profile(project: Path, environment: str) -> str:
    profile = files.load_profile(environment)
    env = {key: reveal(value) for key, value in profile.compose_env().items()}
    return config(project, "--env-file", "/dev/null", **env)


def test_the_first_profile_gives_the_model_that_compose_alone_makes(project: Path) -> None:
    new_profiles.new("dev")
    profiles.check((), as_json=False)
    assert through_profile(project, "dev") == config(project)


def test_a_profile_that_lacks_them_names_the_dotenv_and_the_command_that_takes_its_values_over(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (project / "envs").mkdir()
    (project / "envs" / "prod.env").write_text("# ours\nGREETING=hi")
    with pytest.raises(InputError) as caught:
        files.load_profile("prod")
    last = caught.value.message.splitlines()[-1]
    assert last.endswith("/.env: sets COLOUR, DB_PASSWORD, LOGS, PRICE, SAID, WHERE, but only profiles are read")
    assert caught.value.hint == "take them over: inv env.adopt prod"

    new_profiles.adopt("prod")
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
    new_profiles.adopt("prod")
    assert (project / "envs" / "prod.env").read_text() == before


def test_what_has_a_default_and_stands_in_the_dotenv_is_told_by_the_check(
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
    new_profiles.new("dev")
    assert files.load_profile("dev").compose_files() == ("stack.yaml", "more.yaml")
    assert through_profile(project, "dev") == config(project)


def test_a_value_that_no_line_of_a_profile_holds_is_named(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (project / ".env").write_text(DOTENV + 'GREETING="two\nlines"\n')
    new_profiles.new("dev")
    assert "can hold the value of GREETING" in capsys.readouterr().err


def test_git_leaves_the_local_layer_of_a_first_profile_alone(project: Path) -> None:
    subprocess.run(["git", "init", "--quiet", str(project)], check=True)
    new_profiles.new("dev")
    listed = subprocess.run(
        ["git", "-C", str(project), "status", "--porcelain", "-uall"], check=True, capture_output=True, text=True
    ).stdout
    assert "envs/dev.env" in listed
    assert "local" not in listed
