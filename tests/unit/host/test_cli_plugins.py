"""Compose and Buildx are started without `docker` where that comes to the same."""

import json
from pathlib import Path

import pytest

from tasks.host.engine import cli_plugins
from tasks.host.engine.cli_plugins import inherited, started_directly

COMPOSE = ("docker", "compose", "-p", "shop", "ps")
ELF = b"\x7fELF"


def program(path: Path, content: bytes = ELF) -> str:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    path.chmod(0o755)
    return str(path)


@pytest.fixture
def env(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """An environment with a docker of its own, and no plugin of this machine."""
    program(tmp_path / "bin/docker")
    monkeypatch.setattr(cli_plugins, "_SYSTEM", (f"{tmp_path}/system",))
    return {"PATH": f"{tmp_path}/bin", "HOME": f"{tmp_path}/home"}


def test_a_plugin_is_started_itself(tmp_path: Path, env: dict[str, str]) -> None:
    plugin = program(tmp_path / "system/docker-compose")
    buildx = program(tmp_path / "system/docker-buildx")
    assert started_directly(COMPOSE, env) == (plugin, "-p", "shop", "ps")
    assert started_directly(("docker", "buildx", "bake"), env) == (buildx, "bake")


def test_what_is_no_plugin_goes_to_docker(tmp_path: Path, env: dict[str, str]) -> None:
    program(tmp_path / "system/docker-compose")
    for argv in (("docker", "ps"), ("docker",), ("git", "compose"), ("docker", "buildx", "ls")):
        assert started_directly(argv, env) == argv


def test_docker_chooses_where_it_is_a_script_or_not_there(tmp_path: Path, env: dict[str, str]) -> None:
    program(tmp_path / "system/docker-compose")
    program(tmp_path / "wrapped/docker", b'#!/bin/sh\nexec podman "$@"\n')
    assert started_directly(COMPOSE, {**env, "PATH": f"{tmp_path}/wrapped"}) == COMPOSE
    assert started_directly(COMPOSE, {**env, "PATH": f"{tmp_path}/nothing"}) == COMPOSE


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("DOCKER_HOST", "tcp://10.0.0.1:2376"), ("DOCKER_HOST", "ssh://host"), ("DOCKER_CONTEXT", "far"),
        ("DOCKER_TLS_VERIFY", "1"), ("DOCKER_CERT_PATH", "/certs"),
    ],
)  # fmt: skip
def test_docker_finds_an_engine_elsewhere(tmp_path: Path, env: dict[str, str], name: str, value: str) -> None:
    program(tmp_path / "system/docker-compose")
    assert started_directly(COMPOSE, {**env, name: value}) == COMPOSE
    assert started_directly(COMPOSE, {**env, "DOCKER_HOST": "unix:///run/other.sock"}) != COMPOSE


def test_docker_finds_the_engine_of_its_current_context(tmp_path: Path, env: dict[str, str]) -> None:
    program(tmp_path / "system/docker-compose")
    (tmp_path / "home/.docker").mkdir(parents=True)
    for context, direct in (("far", False), ("default", True), ("", True)):
        cli_plugins._plugin.cache_clear()
        (tmp_path / "home/.docker/config.json").write_text(json.dumps({"currentContext": context}))
        assert (started_directly(COMPOSE, env) != COMPOSE) == direct


def test_plugins_are_looked_for_in_the_order_of_docker(tmp_path: Path, env: dict[str, str]) -> None:
    places = [tmp_path / "further", tmp_path / "home/.docker/cli-plugins", tmp_path / "system"]
    plugins = [program(place / "docker-compose") for place in places]
    assert started_directly(COMPOSE, env)[0] == plugins[1]
    other = {**env, "DOCKER_CONFIG": f"{tmp_path}/config"}
    (tmp_path / "config").mkdir()
    assert started_directly(COMPOSE, other)[0] == plugins[2]
    for text, wanted in (
        (json.dumps({"cliPluginsExtraDirs": [f"{tmp_path}/further"]}), plugins[0]),
        (json.dumps({"cliPluginsExtraDirs": "x"}), plugins[2]),
        ("[]", plugins[2]),
        ("{", plugins[2]),
    ):
        cli_plugins._plugin.cache_clear()
        (tmp_path / "config/config.json").write_text(text)
        assert started_directly(COMPOSE, other)[0] == wanted


def test_docker_sends_no_telemetry_because_a_deploy_does() -> None:
    env = {"PATH": "/bin", "OTEL_EXPORTER_OTLP_ENDPOINT": "http://c:4318", "OTEL_SERVICE_NAME": "cd"}
    assert inherited(COMPOSE, env) == {"PATH": "/bin"}
    assert inherited(("hooks/pre-deploy",), env) == env, "a hook may send some"
    assert inherited(COMPOSE, {"PATH": "/bin"}) == {"PATH": "/bin"}
