"""Starts Compose and Buildx themselves, where a command names them as plugins of ``docker``.

``docker compose ps`` starts three processes: ``docker``, the plugin to ask it what it is, and the plugin once more for
the work. The plugins are programs that can be started by themselves (``RunningStandalone`` in docker/cli,
``cli-plugins/plugin``), at less than half of the CPU. The command that is shown stays the one that people type.

Only on the engine of this machine: by itself a plugin ignores ``DOCKER_TLS_VERIFY`` and its like, which are defaults of
options of ``docker``.
"""

import json
import os
import shutil
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

_PLUGINS = ("compose", "buildx")
# What names another engine than the default one, or says how it is reached.
_ELSEWHERE = ("DOCKER_CONTEXT", "DOCKER_TLS", "DOCKER_TLS_VERIFY", "DOCKER_CERT_PATH")
_SYSTEM = (  # defaultSystemPluginDirs in docker/cli, cli-plugins/manager
    "/usr/local/lib/docker/cli-plugins",
    "/usr/local/libexec/docker/cli-plugins",
    "/usr/lib/docker/cli-plugins",
    "/usr/libexec/docker/cli-plugins",
)
_TELEMETRY = "OTEL_"


def inherited(argv: tuple[str, ...], env: Mapping[str, str]) -> Mapping[str, str]:
    """Return what a command gets of our own environment: all, but docker and its plugins no OpenTelemetry variables.

    With them each of its commands sends spans of its own, and waits for seconds at its end where nothing takes them.
    """
    if argv[:1] != ("docker",) or not any(name.startswith(_TELEMETRY) for name in env):
        return env
    return {name: value for name, value in env.items() if not name.startswith(_TELEMETRY)}


def started_directly(argv: tuple[str, ...], env: Mapping[str, str]) -> tuple[str, ...]:
    """Return the arguments with which Compose or Buildx is started without ``docker``; ``argv`` where it is needed."""
    if argv[:1] != ("docker",) or argv[1:2] == () or argv[1] not in _PLUGINS:
        return argv
    if not (env.get("DOCKER_HOST") or "unix://").startswith("unix://") or any(env.get(name) for name in _ELSEWHERE):
        return argv
    config = env.get("DOCKER_CONFIG") or os.path.join(env.get("HOME", ""), ".docker")  # noqa: PTH118 - at each start
    plugin = _plugin(argv[1], config, env.get("PATH"))
    return (plugin, *argv[2:]) if plugin else argv


@cache
def _plugin(name: str, config: str, path: str | None) -> str:
    """Return the program of a plugin, "" where ``docker`` is to find it: not installed, or ``docker`` is a script."""
    docker = shutil.which("docker", path=path)
    if docker is None:
        return ""
    with Path(docker).open("rb") as file:
        if file.read(2) == b"#!":  # a wrapper may choose another engine, or another program
            return ""
    chosen = _configuration(config)
    if chosen.get("currentContext") not in (None, "", "default"):
        return ""
    further = chosen.get("cliPluginsExtraDirs")
    for directory in (*(further if isinstance(further, list) else ()), f"{config}/cli-plugins", *_SYSTEM):
        program = f"{directory}/docker-{name}"
        if os.access(program, os.X_OK):
            return program
    return ""


def _configuration(directory: str) -> Mapping[str, Any]:
    """Return the configuration of ``docker``, empty where there is none that can be read."""
    try:
        chosen = json.loads(Path(directory, "config.json").read_bytes())
    except (OSError, ValueError):
        return {}
    return chosen if isinstance(chosen, dict) else {}
