"""What Compose makes of the additional file that merges ``x-slipway`` of several files, and of missing files."""

import os
from pathlib import Path

import pytest
from invoke import Context

from tasks.env import profiles
from tasks.host.project import Project
from tasks.model.errors import InputError

BASE = """
x-slipway: {accept: {CIS-5.1: one}}
include: [included.yml]
services:
  web:
    image: web
    x-slipway: {rollout: start-first, smoke: [{url: "http://${HOST_NAME:-h}/a"}]}
"""
OVERRIDE = """
x-slipway: {accept: {CIS-5.2: two}}
services:
  web:
    x-slipway: {smoke: [{url: "http://localhost/b", body: "^a$$"}]}
  store:
    x-slipway: {data: /data}
"""
INCLUDED = "services:\n  store:\n    image: store\n    x-slipway: {role: database}\n"


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for key in [key for key in os.environ if key.startswith(("SLIPWAY_", "COMPOSE_", "DOCKER_"))]:
        monkeypatch.delenv(key)
    monkeypatch.setenv("SLIPWAY_PROJECT_DIR", str(tmp_path))
    monkeypatch.setenv("SLIPWAY_ENVS_DIR", str(tmp_path))
    (tmp_path / "dev.env").write_text("COMPOSE_FILE=base.yml:override.yml\nCOMPOSE_PROJECT_NAME=agreement\n")
    for name, text in (("base", BASE), ("override", OVERRIDE), ("included", INCLUDED)):
        (tmp_path / f"{name}.yml").write_text(text)
    return tmp_path


def test_what_all_files_say_counts_and_is_interpolated_by_compose(here: Path) -> None:
    stack = Project(Context(), "dev").stack

    web, store = stack.service("web").slipway, stack.service("store").slipway
    assert [str(check.address) for check in web.smoke] == ["http://h/a", "http://localhost/b"]
    assert (web.rollout, web.smoke[1].body) == ("start-first", "^a$")
    assert (store.role, store.data) == ("database", "/data")
    assert dict(stack.accept) == {"CIS-5.1": "one", "CIS-5.2": "two"}


def test_env_check_lists_every_env_file_that_is_missing(here: Path) -> None:
    (here / "override.yml").write_text("services:\n  web: {env_file: a.env}\n  store: {env_file: [b.env]}\n")

    with pytest.raises(InputError) as caught:
        profiles.check(("dev",), as_json=False)
    lines = caught.value.message.splitlines()
    assert [line.split(" does not exist")[0] for line in lines] == [
        f"dev: services.web.env_file: {here}/a.env", f"dev: services.store.env_file: {here}/b.env"
    ]  # fmt: skip


def test_env_check_refuses_what_a_deploy_would(here: Path) -> None:
    profiles.check(("dev",), as_json=False)
    (here / "override.yml").write_text('services:\n  web: {ports: ["80:80"], container_name: web}\n')

    with pytest.raises(InputError) as caught:
        profiles.check(("dev",), as_json=False)
    assert caught.value.exit_code == 2
    assert [line.partition("cannot have ")[2].split()[0] for line in caught.value.message.splitlines()] == [
        "container_name:", "a"
    ]  # fmt: skip
