"""Every failure gives one clear line and the documented exit code, and leaves nothing half done."""

import json
import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from .starting import Started
from .support import Checkout, docker, leftovers, until

SLEEPER = """
services:
  web:
    image: IMAGE
    command: [sleep, infinity]
    init: true
    healthcheck: {test: [CMD, "true"], interval: 2s, start_period: 10s, start_interval: 200ms}
"""
Small = Callable[..., Checkout]


def lines(text: str) -> list[str]:
    return [line for line in text.splitlines() if line]


def test_a_first_deploy_that_crashes_shows_last_words_and_leaves_only_the_volumes_that_were_there(small: Small) -> None:
    web = 'web: {image: IMAGE, command: [sh, -c, "echo last words; exit 3"], volumes: ["old:/old", "new:/new"]}'
    checkout = small(f"services: {{{web}}}\nvolumes: {{old: , new: }}\n")
    project = checkout.projects[0]
    label = ("--label", f"com.docker.compose.project={project}", "--label", "com.docker.compose.volume=old")
    kept = docker("volume", "create", *label, f"{project}_old")
    result = checkout.inv("deploy.dev", "--json", code=4, SETTLE="30s")
    assert json.loads(result.stdout)["outcome"] == "failed"
    assert "    last words" in result.stderr.splitlines()
    assert "ended with exit code 3" in lines(result.stderr)[-2]
    assert lines(result.stderr)[-1].startswith("  hint: nothing ran before: what this deploy made is removed")
    listed = (("ps", "-aq"), ("network", "ls", "-q"), ("volume", "ls", "-q"))
    found = [docker(*words, "--filter", f"label=com.docker.compose.project={project}") for words in listed]
    assert found == ["", "", kept]


def test_a_service_that_is_never_healthy_fails_after_the_health_timeout(small: Small) -> None:
    compose = """
    services:
      web:
        image: IMAGE
        command: [sleep, infinity]
        init: true
        healthcheck: {test: [CMD, "false"], interval: 600s, start_period: 600s, start_interval: 500ms}
    """
    checkout = small(compose)
    started = time.monotonic()
    result = checkout.inv("deploy.dev", code=4, HEALTH_TIMEOUT="3s")
    assert time.monotonic() - started < 300
    assert "not healthy within 3.0 s (HEALTH_TIMEOUT)" in result.stderr


def test_a_deploy_that_fails_goes_back_for_every_service_also_where_no_release_is_kept(small: Small) -> None:
    other = SLEEPER.replace("  web:", "  side:").replace("\nservices:\n", "")
    words = "    environment: {MODE: fast}\n"
    checkout = small(SLEEPER + words + other + words, profile="KEEP_RELEASES=0\n")
    checkout.inv("deploy.dev")
    file, good = checkout.project_dir / "compose.yaml", (checkout.project_dir / "compose.yaml").read_text()
    file.write_text(
        good.replace("MODE: fast", "MODE: slow").replace(
            '[CMD, "true"], interval: 2s', '[CMD, "false"], interval: 200ms', 1
        )
    )

    failed = checkout.inv("deploy.dev", code=4)

    assert "the earlier release serves" in failed.stderr
    names = [f"{checkout.projects[0]}-{name}-1" for name in ("web", "side")]
    assert [docker("exec", name, "printenv", "MODE") for name in names] == ["fast", "fast"]
    file.write_text(good)
    assert checkout.json("deploy.dev")["outcome"] == "unchanged"
    file.write_text(good.replace("MODE: fast", "MODE: slow"))
    checkout.inv("deploy.dev")
    assert [release["id"] for release in checkout.json("deploy.history")["releases"]] == [2]


def test_an_unhealthy_service_fails_at_once(small: Small) -> None:
    compose = """
    services:
      web:
        image: IMAGE
        command: [sleep, infinity]
        init: true
        healthcheck: {test: [CMD, "false"], interval: 200ms, retries: 2}
    """
    result = small(compose).inv("deploy.dev", code=4)
    assert "is unhealthy" in result.stderr


def test_a_port_that_is_taken_is_named_before_anything_runs(small: Small) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        checkout = small(SLEEPER + f'    ports: ["127.0.0.1:{port}:80"]\n')
        result = checkout.inv("deploy.dev", code=3)
    assert f"already taken on this machine: port {port}" in lines(result.stderr)[0]
    assert leftovers(checkout.projects[0]) == []


def test_a_stage_that_does_not_exist_is_answered_with_those_that_do(small: Small) -> None:
    compose = "services: {web: {image: small/web, build: {context: ., target: prodution}}}"
    dockerfile = "FROM IMAGE AS builder\nFROM builder AS production\n"
    result = small(compose, dockerfile).inv("build", code=2)
    assert "no stage 'prodution'" in result.stderr
    assert "builder, production" in result.stderr


def test_a_full_disk_during_a_build_is_called_that(small: Small) -> None:
    compose = "services: {web: {image: small/web, build: .}}"
    dockerfile = (
        "FROM IMAGE\nUSER 0:0\n"
        "RUN --mount=type=tmpfs,target=/full,size=1048576 dd if=/dev/zero of=/full/file bs=65536 count=64\n"
    )
    checkout = small(compose, dockerfile)
    result = checkout.inv("build", code=1)
    assert "the engine's disk is full" in lines(result.stderr)[-2]
    assert checkout.inv("deploy.dev", code=4)


def test_a_compose_file_that_compose_refuses_is_bad_input(small: Small) -> None:
    result = small("services: {web: {imag: IMAGE}}").inv("deploy.dev", code=2)
    assert "imag" in lines(result.stderr)[0]


def test_a_secret_that_compose_quotes_in_its_error_is_masked(small: Small) -> None:
    compose = 'services: {web: {image: IMAGE, environment: {A: "${API_TOKEN}"}, ports: ["${API_TOKEN}:80"]}}'
    result = small(compose, profile="API_TOKEN=hunter2secret\n").inv("deploy.dev", code=2)
    assert "hunter2secret" not in result.stderr
    assert "***" in result.stderr


@pytest.mark.parametrize("task", ["deploy.dev", "deploy.status", "build", "ps", "clean", "db.migrate"])
def test_an_engine_that_is_not_there_is_said_and_refused(small: Small, task: str) -> None:
    compose = SLEEPER + "    x-slipway: {job: migrate}\n    build: .\n"
    result = small(compose, "FROM IMAGE\n").inv(task, code=3, DOCKER_HOST="unix:///nonexistent.sock")
    assert "no Docker engine answers at unix:///nonexistent.sock" in lines(result.stderr)[-2]


def test_without_docker_the_way_to_get_it_is_said(small: Small, tmp_path: Path) -> None:
    empty = tmp_path / "bin"
    empty.mkdir()
    result = small(SLEEPER).inv("deploy.dev", code=3, PATH=str(empty))
    assert lines(result.stderr) == [
        "docker: command not found",
        "  hint: ./inv setup installs Docker Engine, Compose and Buildx",
    ]


def test_a_compose_that_is_too_old_is_named_with_both_versions(small: Small, tmp_path: Path) -> None:
    """An old docker client, as Debian 12 and Ubuntu 22.04 have it: it does not know start_interval."""
    old = tmp_path / "bin" / "docker"
    old.parent.mkdir()
    old.write_text(
        "#!/bin/sh\n"
        'case "$*" in\n'
        '  "compose version --short") echo 2.5.0 ;;\n'
        '  "buildx version") echo "docker: \'buildx\' is not a docker command." >&2; exit 1 ;;\n'
        '  *) echo "services.web.healthcheck Additional property start_interval is not allowed" >&2; exit 15 ;;\n'
        "esac\n"
    )
    old.chmod(0o755)
    result = small(SLEEPER).inv("deploy.dev", code=3, PATH=f"{old.parent}:/usr/bin:/bin")
    assert "found 2.5.0" in result.stderr
    assert "needs 2.24 or newer" in result.stderr
    assert "buildx missing" in result.stderr


@pytest.mark.parametrize(
    ("after", "number"), [(0.0, signal.SIGINT), (0.6, signal.SIGTERM), (1.5, signal.SIGINT), (3.0, signal.SIGTERM)]
)
def test_a_deploy_stopped_at_any_moment_leaves_no_lock_and_can_be_run_again(
    small: Small, number: signal.Signals, after: float
) -> None:
    slow = """
services:
  first:
    image: IMAGE
    command: [sleep, infinity]
    init: true
    healthcheck: {test: [CMD, sh, -c, "[ -e /tmp/ready ] || { sleep 4; touch /tmp/ready; }"], interval: 1s, start_period: 20s, start_interval: 300ms}
  web:
    image: small/web
    build: .
    command: [sleep, infinity]
    init: true
    depends_on: {first: {condition: service_healthy}}
"""  # noqa: E501
    checkout = small(slow, f"FROM IMAGE\nUSER 0:0\nRUN sleep 1; : {time.time()}\n")
    project = checkout.projects[0]
    task = subprocess.Popen(  # a real start: the signal may come while the tasks are loaded
        checkout.command("deploy.dev"), env=checkout.environment(), stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True,
    )  # fmt: skip
    # Python itself answers a Ctrl-C with a traceback until it runs our program, which loads this library early.
    until(lambda: "/yaml/" in Path(f"/proc/{task.pid}/maps").read_text(), "the program loads its modules")
    time.sleep(after)
    task.send_signal(number)
    _, said = task.communicate(timeout=120)
    assert "Traceback" not in said
    # Before the tasks are loaded, the signal's own default ends the process.
    assert task.returncode in (128 + number, -number), said
    assert docker("ps", "-aq", "--filter", f"label=slipway.lock={project}") == ""
    until(lambda: not _is_group(task.pid), "no process of it is left")
    checkout.inv("deploy.dev")
    assert checkout.json("deploy.dev")["outcome"] == "unchanged"


def _is_group(number: int) -> bool:
    """Whether a process group has a process; one that has ended counts until its parent has taken notice."""
    try:
        os.killpg(number, 0)
    except ProcessLookupError:
        return False
    return True


def test_changed_sources_configuration_and_replicas_are_each_named_as_the_cause(small: Small) -> None:
    compose = SLEEPER + "    build: .\n"
    checkout = small(compose.replace("image: IMAGE", "image: small/cause"), "FROM IMAGE\nCOPY note /note\n")
    note = checkout.project_dir / "note"
    note.write_text("one")
    checkout.inv("deploy.dev")
    note.write_text("two")
    assert "its sources" in str(checkout.json("deploy.plan")["changes"])
    checkout.inv("deploy.plan", "--exit-code", code=6)
    checkout.inv("deploy.dev")
    assert checkout.inv("shell", "--service", "web", "--command", "cat /note").stdout == "two"
    file = checkout.project_dir / "compose.yaml"
    file.write_text(file.read_text() + "    environment: {A: b}\n")
    change = checkout.json("deploy.plan")["changes"][0]
    assert change["action"] == "recreate"
    assert "environment A" in change["causes"]
    assert checkout.json("deploy.status")["services"][0]["drift"] == ["environment A"]
    checkout.inv("deploy.dev")
    container = f"{checkout.projects[0]}-web-1"
    docker("stop", "-t", "0", container)
    assert checkout.json("deploy.plan")["changes"][0]["action"] == "start"
    checkout.inv("deploy.dev")
    docker("pause", container)
    assert checkout.json("deploy.plan")["changes"][0]["causes"] == [f"{container} is paused"]
    checkout.inv("deploy.dev")
    assert checkout.json("deploy.dev")["outcome"] == "unchanged"


def test_a_context_that_does_not_exist_is_named(small: Small) -> None:
    said = lines(small(SLEEPER).inv("deploy.plan", code=2, DOCKER_CONTEXT="nowhere").stderr)
    assert said[0] == "DOCKER_CONTEXT: there is no Docker context 'nowhere'"


def test_clean_is_refused_while_a_deploy_runs(small: Small) -> None:
    gated = SLEEPER.replace('"true"', "test, -e, /tmp/open").replace("start_period: 10s", "start_period: 9m")
    checkout = small(gated)
    project = checkout.projects[0]
    running = ("ps", "-q", "--filter", f"label=com.docker.compose.project={project}")
    environment = checkout.environment(HEALTH_TIMEOUT="9m")
    task = Started(checkout.command("deploy.dev"), env=environment, stderr=subprocess.DEVNULL)
    try:
        until(lambda: docker(*running), "a container runs", 120)
        assert f"{project} is locked by" in checkout.inv("clean", code=3).stderr
        docker("exec", docker(*running), "touch", "/tmp/open")
        assert task.wait(timeout=120) == 0
    finally:
        task.kill()
        task.wait()
    checkout.inv("clean")
    assert docker("ps", "-aq", "--filter", f"label=com.docker.compose.project={project}") == ""


def test_clean_goes_on_after_what_it_cannot_remove(small: Small) -> None:
    compose = SLEEPER.replace("image: IMAGE", "image: small/kept") + "    build: .\n    volumes: [data:/data]\n"
    checkout = small(compose + "volumes: {data: {}}\n", "FROM IMAGE\n")
    checkout.inv("deploy.dev")
    container = docker("run", "--detach", "--entrypoint=sleep", "small/kept", "infinity")
    try:
        checkout.inv("clean", "--images", "--volumes", "--yes", code=1)
        label = f"label=com.docker.compose.project={checkout.projects[0]}"
        assert docker("volume", "ls", "-q", "--filter", label) == ""
    finally:
        docker("rm", "-f", "-v", container)


def test_a_secret_of_the_profile_is_masked_wherever_a_line_quotes_it(small: Small) -> None:
    compose = SLEEPER + "    environment: [API_TOKEN]\n    x-slipway: {role: database, client: [sh]}\n"
    checkout = small(compose, profile="API_TOKEN=hunter2secret\n")
    dry = checkout.inv("--dry", "db.shell", "--command", "echo hunter2secret").stdout
    assert "***" in dry
    assert "hunter2secret" not in dry
    file = checkout.project_dir / "compose.yaml"
    file.write_text(file.read_text().replace("{role: database", "{role: $API_TOKEN"))
    said = checkout.inv("deploy.plan", code=2).stderr
    assert "x-slipway.role" in said
    assert "hunter2secret" not in said


def test_a_checkout_that_git_does_not_trust_is_said(small: Small, tmp_path: Path) -> None:
    if os.getuid():
        pytest.skip("only root can give a file to another user")
    checkout = small(SLEEPER + "    build: .\n")
    subprocess.run(["git", "init", "-q", str(checkout.project_dir)], check=True)
    os.chown(checkout.project_dir, 12345, 12345)
    os.chown(checkout.project_dir / ".git", 12345, 12345)
    said = checkout.inv("image.tags", HOME=str(tmp_path), GIT_CONFIG_NOSYSTEM="1").stderr
    assert "git does not trust" in said
    assert "safe.directory" in said


def test_a_full_disk_behind_stdout_is_one_line(small: Small) -> None:
    checkout = small(SLEEPER)
    with Path("/dev/full").open("w") as full:
        result = subprocess.run(
            checkout.command("--list"), env=checkout.environment(), stdout=full, stderr=subprocess.PIPE, text=True
        )
    assert result.returncode == 1
    assert lines(result.stderr)[0] == "cannot write to stdout: No space left on device"


@pytest.mark.parametrize("task", ["env.show", "deploy.dev", "env.diff"])
def test_help_after_a_task_is_its_help(small: Small, task: str) -> None:
    assert "Docstring:" in small(SLEEPER).inv(task, "--help").stdout
