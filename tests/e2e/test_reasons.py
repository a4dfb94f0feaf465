"""Why the engine or a database refuses, on stderr, in the history and for hooks; and hooks that are ended."""

import os
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tasks.host.engine.client import Engine

from .starting import Started
from .support import Checkout, docker, until

Small = Callable[..., Checkout]
SLEEPER = (
    "services: {web: {image: IMAGE, command: [sleep, infinity], init: true, "
    "healthcheck: {test: [CMD, 'true'], interval: 300ms}%s}}"
)


def hook(checkout: Checkout, name: str, body: str) -> dict[str, str]:
    """Write a hook; returns the setting that leads to it."""
    path = checkout.project_dir / "hooks" / name
    path.parent.mkdir(exist_ok=True)
    path.write_text(f"#!/bin/sh\n{body}\n")
    path.chmod(0o755)
    return {"SLIPWAY_HOOKS_DIR": str(path.parent)}


def test_the_engines_reason_is_in_the_message_the_history_and_the_hook(small: Small, tmp_path: Path) -> None:
    checkout = small(SLEEPER % ", devices: ['/dev/slipway-no-such:/dev/x']")
    told = tmp_path / "told"
    hooks = hook(checkout, "on-failure", f'echo "$SLIPWAY_REASON" >{told}')
    reason = "/dev/slipway-no-such"
    result = checkout.inv("deploy.dev", code=4, **hooks)
    assert reason in result.stderr.splitlines()[-2]
    assert reason in told.read_text()
    assert reason in checkout.json("deploy.history")["releases"][0]["reason"]


def test_the_engine_names_who_publishes_a_port_and_what_nothing_uses(small: Small) -> None:
    checkout = small(SLEEPER % ", ports: ['127.0.0.1::80'], volumes: ['data:/data']" + "\nvolumes: {data: }\n")
    name = checkout.projects[0]
    checkout.inv("deploy.dev")
    port = int(docker("port", f"{name}-web-1", "80").rpartition(":")[2])
    engine = Engine()
    assert engine.publishing(port) == (f"{name}-web-1",)
    assert f"{name}_default" not in engine.unused_networks()
    assert [(volume.name, volume.size) for volume in engine.volumes(name)] == [(f"{name}_data", -1)]
    docker("stop", f"{name}-web-1")
    assert f"{name}_default" not in engine.unused_networks()
    docker("rm", f"{name}-web-1")
    assert f"{name}_default" in engine.unused_networks()
    assert f"volume {name}_data (0 B)" in checkout.inv("--dry", "clean", "--volumes").stdout


def test_a_log_that_cannot_be_read_does_not_hide_what_went_wrong(small: Small) -> None:
    checkout = small(
        "services: {web: {image: IMAGE, command: [sh, -c, 'echo x; exit 7'], logging: {driver: none}}}",
    )
    result = checkout.inv("deploy.dev", code=4, SETTLE="30s")
    assert "(its log cannot be read: configured logging driver does not support reading" in result.stderr
    assert "ended with exit code 7" in result.stderr.splitlines()[-2]


DATABASE = """
services:
  store:
    image: IMAGE
    environment: {POSTGRES_DB: shop, POSTGRES_USER: shop, POSTGRES_PASSWORD_FILE: /run/secrets/word}
    secrets: [word]
    volumes: ["data:/var/lib/postgresql/data"]
    tmpfs: ["/var/run/postgresql:mode=1777"]
    healthcheck:
      test: [CMD, pg_isready, --quiet, --host=127.0.0.1, --username=shop, --dbname=shop]
      interval: 300ms
      retries: 600
    x-slipway: {role: database}
  app:
    image: IMAGE
    init: true
    entrypoint: [sh, -c]
    command: ["PGPASSWORD=$$(cat /run/secrets/word) psql -h store -U shop -d shop -c 'select 1' && exec sleep infinity"]
    secrets: [word]
    depends_on: {store: {condition: service_healthy}}
  migrate:
    image: IMAGE
    profiles: [tools]
    entrypoint: [sh, -c]
    command: ["PGPASSWORD=$$(cat /run/secrets/word) psql -h store -U shop -d shop -c 'select 1'"]
    secrets: [word]
    depends_on: {store: {condition: service_healthy}}
    x-slipway: {job: migrate}
volumes: {data: }
secrets: {word: {file: ./word}}
"""


def test_a_volume_that_is_older_than_its_secret_is_told_in_one_line(small: Small) -> None:
    checkout = small(DATABASE)
    word = checkout.project_dir / "word"
    word.write_text("first")
    checkout.inv("deploy.dev")
    checkout.inv("deploy.down")
    word.write_text("second")
    os.utime(word, (time.time() + 2, time.time() + 2))  # the engine tells the age of a volume in whole seconds
    result = checkout.inv("deploy.dev", code=4, SETTLE="30s")
    message, hint = result.stderr.splitlines()[-2:]
    assert 'password authentication failed for user "shop": the volume ' in message
    assert f"{checkout.projects[0]}_data of store" in message
    assert "put the old password back" in hint
    assert "--- last lines of" not in result.stderr
    word.write_text("first")
    checkout.inv("deploy.dev")
    word.write_text("third")
    result = checkout.inv("db.migrate", code=2, COMPOSE_PROFILES="tools")
    assert "migrate: password authentication failed" in result.stderr.splitlines()[-2]


# Confirmation and the lock


@pytest.mark.parametrize("task", ["deploy.down", "db.migrate"])
def test_what_a_protected_environment_is_asked_about_is_refused_without_an_answer(small: Small, task: str) -> None:
    checkout = small(
        "services:\n"
        "  web: {image: IMAGE, command: [sleep, infinity], init: true}\n"
        "  job: {image: IMAGE, command: ['true'], profiles: [tools], x-slipway: {job: migrate}}\n",
        profile="CONFIRM_DEPLOY=true\nCOMPOSE_PROFILES=tools\n",
    )
    checkout.inv("deploy.dev", "--yes")
    container = docker("inspect", "--format", "{{.Id}}", f"{checkout.projects[0]}-web-1")
    result = checkout.inv(task, code=3)
    assert "not confirmed" in result.stderr
    assert docker("inspect", "--format", "{{.Id}}", f"{checkout.projects[0]}-web-1") == container
    checkout.inv("--dry", task)
    checkout.inv(task, "--yes")


def test_a_migration_waits_for_the_deploy_lock_unless_the_deploy_itself_runs_it(small: Small, tmp_path: Path) -> None:
    checkout = small(
        "services:\n"
        "  web: {image: IMAGE, command: [sleep, infinity], init: true}\n"
        "  job: {image: IMAGE, command: ['true'], profiles: [tools], x-slipway: {job: migrate}}\n",
    )
    mark = tmp_path / "mark"
    command = " ".join(checkout.command("db.migrate"))
    hooks = hook(
        checkout,
        "post-deploy",
        f"COMPOSE_PROFILES=tools {command} || exit 1\ntouch {mark}\nwhile test -e {mark}; do sleep 0.1; done",
    )
    with Started(checkout.command("deploy.dev"), env=checkout.environment(**hooks)) as deploy:
        deadline = time.monotonic() + 60
        while not mark.exists() and time.monotonic() < deadline and deploy.poll() is None:
            time.sleep(0.1)
        assert mark.exists(), "the hook's own migration does not wait for the lock of its deploy"
        result = checkout.inv("db.migrate", code=3, COMPOSE_PROFILES="tools")
        mark.unlink()
        assert deploy.wait(60) == 0
    assert "is locked by" in result.stderr


# Hooks


@contextmanager
def assert_ends(pid: int) -> Iterator[None]:
    """Assert that a process has ended when the block ends, or soon after it."""
    yield
    until(lambda: not _runs(pid), f"process {pid} ends")


def _runs(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except (FileNotFoundError, ProcessLookupError):
        return False


def test_a_hook_that_takes_too_long_is_ended_with_its_children(small: Small, tmp_path: Path) -> None:
    checkout = small(SLEEPER % "", profile="HOOK_TIMEOUT=15s\n")
    pid = tmp_path / "pid"
    hooks = hook(checkout, "pre-deploy", f"sleep 300 & echo $! >{pid}; wait")
    result = checkout.inv("deploy.dev", code=3, **hooks)
    assert "pre-deploy says no" in result.stderr
    with assert_ends(int(pid.read_text())):
        pass
    assert docker("ps", "-aq", "--filter", f"label=com.docker.compose.project={checkout.projects[0]}") == ""


def test_a_line_of_megabytes_of_a_hook_is_cut(small: Small) -> None:
    checkout = small(SLEEPER % "")
    hooks = hook(checkout, "pre-deploy", "head -c 2000000 /dev/zero | tr '\\0' A; echo; exit 1")
    result = checkout.inv("deploy.dev", code=3, **hooks)
    assert max(map(len, result.stderr.splitlines())) < 2000


def test_ctrl_c_in_a_deploy_runs_on_failure(small: Small, tmp_path: Path) -> None:
    checkout = small(
        "services: {web: {image: IMAGE, command: [sleep, infinity], init: true, "
        "healthcheck: {test: [CMD, 'false'], interval: 60s, start_period: 9m, start_interval: 500ms}}}"
    )
    told = tmp_path / "told"
    hooks = hook(checkout, "on-failure", f'echo "$SLIPWAY_OUTCOME: $SLIPWAY_REASON" >{told}')
    process = subprocess.Popen(
        checkout.command("deploy.dev"),
        env=checkout.environment(HEALTH_TIMEOUT="9m", **hooks),
        stdin=subprocess.DEVNULL,
        start_new_session=True,
    )
    with process:
        until(lambda: docker("ps", "-q", "--filter", f"name={checkout.projects[0]}-web-1"), "its container runs", 120)
        os.kill(process.pid, 2)
        assert process.wait(120) == 130
    assert "SIGINT" in told.read_text()
