"""Remote engines: a release goes from one engine to another through a registry; deploys over TLS and over SSH."""

import contextlib
import itertools
import json
import os
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from . import registries
from .engines import SHELL, RemoteEngine, build_images, engine, remove_images
from .registries import Registry, registry
from .starting import Started
from .support import ROOT, Checkout, docker, leftovers, remove, until

_NUMBERS = itertools.count()
PASSWORD = "correct-horse-battery"
COMPOSE = """
services:
  web:
    image: ${REPOSITORY}/web:${TAG}
    build: .
    command: [sleep, infinity]
    init: true
    secrets: [password]
secrets: {password: {environment: DB_PASSWORD}}
"""


@pytest.fixture(scope="module")
def remote(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Iterator[RemoteEngine]:
    """The second engine."""
    try:
        if not docker("image", "ls", "-q", "slipway-base/debian:trixie"):
            request.getfixturevalue("sample")  # makes the stand-ins where no registry can be reached
        build_images()
        with engine(tmp_path_factory.mktemp("engine")) as made:
            yield made
    finally:
        remove_images()


@pytest.fixture
def hub(tmp_path: Path, remote: RemoteEngine) -> Iterator[Registry]:
    """A registry that both engines reach."""
    try:
        registries.build_image()
        with registry(tmp_path) as made:
            remote.reach(made)
            yield made
    finally:
        if ids := docker("image", "ls", "-q", "--filter", f"label={registries.LABEL}").split():
            docker("rmi", "--force", *ids, check=False)


@pytest.fixture(scope="module")
def helper(remote: RemoteEngine) -> Iterator[str]:
    """The image of the helper containers of faults, on the second engine too."""
    name = f"slipway-test-chaos:{os.getpid()}"
    words = ["docker", "buildx", "build", "--builder", "default", "--load", "--tag", name]
    if docker("image", "ls", "-q", "slipway-base/debian:trixie"):
        words.append("--build-context=debian:trixie-slim=docker-image://slipway-base/debian:trixie")
    subprocess.run([*words, str(ROOT / "docker_project/chaos/helper")], check=True, capture_output=True, timeout=300)
    try:
        remote.load(name)
        yield name
    finally:
        docker("rmi", name, check=False)


def write(directory: Path, repository: str, staging: Mapping[str, str], prod: Mapping[str, str]) -> Checkout:
    name = f"slipway-remote-{os.getpid()}-{next(_NUMBERS)}"
    project = directory / name
    (project / "envs").mkdir(parents=True)
    (project / "compose.yaml").write_text(COMPOSE)
    (project / "Dockerfile").write_text(f"FROM {SHELL}\nCOPY note /note\n")
    (project / "note").write_text("one")
    # Two environments are one project on two engines only.
    if not any(key.startswith("DOCKER_") for key in (*staging, *prod)):
        prod = {**prod, "COMPOSE_PROJECT_NAME": f"{name}-prod"}
    base = {"COMPOSE_PROJECT_NAME": name, "REPOSITORY": f"{repository}{name}", "PUSH_RETRIES": "0"}
    for file, values in (
        ("base", base),
        ("base.local", {"DB_PASSWORD": PASSWORD}),
        ("staging", {"TAG": "staging", **staging}),
        ("prod", {"TAG": "prod", "PROMOTE_FROM": "staging", **prod}),
    ):
        lines = [f"{key}={value}" for key, value in values.items()]
        (project / "envs" / f"{file}.env").write_text("\n".join(lines) + "\n")
    return Checkout(project, project / "envs", [name])


def serves(checkout: Checkout, remote: RemoteEngine | None = None) -> str:
    """Return what a container of the project answers, "" when there is none."""
    run = remote.docker if remote else docker
    container = run("ps", "-q", "--filter", f"label=com.docker.compose.project={checkout.projects[0]}")
    return run("exec", container, "cat", "/note") if container else ""


def test_a_release_of_one_engine_is_promoted_to_another_by_way_of_the_registry(
    tmp_path: Path, hub: Registry, remote: RemoteEngine
) -> None:
    checkout = write(tmp_path, f"{hub.host}/", {}, remote.tls)
    name = checkout.projects[0]
    try:
        assert "there is nothing to promote" in checkout.inv("deploy.prod", code=3).stderr
        steps = [step["name"] for step in checkout.json("deploy.staging")["steps"]]
        assert steps[-1] == "publish"
        record = f"{name}/{name}-release"
        assert hub.digest(f"{record}:staging") == hub.digest(f"{record}:staging.1") != ""
        saved = tmp_path / "record.tar"
        docker("save", "-o", str(saved), f"{name}-release:1")
        assert b"slipway/release/v1" in saved.read_bytes()
        assert PASSWORD.encode() not in saved.read_bytes()

        # The registry goes away: what is deployed serves all the same, and the task says what is missing.
        (checkout.project_dir / "note").write_text("two")
        hub.stop()
        said = checkout.inv("deploy.staging", code=1).stderr
        assert "release 2 of staging serves, but it is not in the registry" in said
        assert "hint: inv deploy.staging pushes it again" in said
        assert serves(checkout) == "two"
        hub.start()

        shown = checkout.json("deploy.plan", "--env", "prod")
        assert shown["promotes"] == "staging release 1"
        assert "docker pull" in checkout.inv("--dry", "deploy.prod").stdout
        assert serves(checkout, remote) == ""
        first = checkout.json("deploy.prod")
        assert "promote" in [step["name"] for step in first["steps"]]
        assert "build" not in [step["name"] for step in first["steps"]]
        assert serves(checkout, remote) == "one"
        records = remote.docker("image", "ls", "-q", "--filter", f"label=slipway.release={name}")
        assert len(set(records.split())) == 1

        assert checkout.json("deploy.staging")["outcome"] == "unchanged"
        assert hub.digest(f"{record}:staging") == hub.digest(f"{record}:staging.2") != ""
        # Whoever promotes need not reach the engine of the source.
        with (checkout.envs_dir / "staging.env").open("a") as file:
            file.write("DOCKER_HOST=tcp://127.0.0.1:9\n")
        checkout.inv("deploy.prod")
        assert serves(checkout, remote) == "two"
        rows = checkout.json("deploy.history", "--env", "prod")["releases"]
        assert [release["id"] for release in rows] == [2, 1]
        digest = rows[0]["images"]["web"].rpartition("@")[2]
        assert digest == hub.digest(f"{name}/web:{name}.staging.2.web")
        assert checkout.json("deploy.prod")["outcome"] == "unchanged"
    finally:
        remove(name)
    assert leftovers(name) == []


@pytest.mark.parametrize("way", ["tls", "ssh"])
def test_a_stack_is_deployed_to_a_remote_engine(tmp_path: Path, remote: RemoteEngine, way: str) -> None:
    if way == "ssh" and not shutil.which("ssh"):
        pytest.skip("there is no ssh on this machine")
    remote.load(SHELL)
    reached = remote.ssh if way == "ssh" else remote.tls
    extra = {key: value for key, value in reached.items() if key == "PATH"}
    checkout = write(tmp_path, "", {key: value for key, value in reached.items() if key != "PATH"}, {})
    assert checkout.json("deploy.staging", **extra)["outcome"] == "deployed"
    assert serves(checkout, remote) == "one"
    assert serves(checkout) == ""
    if way == "tls":  # over SSH every word costs a handshake
        (checkout.project_dir / "note").write_text("two")
        checkout.inv("deploy.staging")
        assert serves(checkout, remote) == "two"
        checkout.inv("deploy.rollback", "--env", "staging")
        assert serves(checkout, remote) == "one"
    assert checkout.json("deploy.status", "--env", "staging", **extra)["services"][0]["state"] == "running"

    file = checkout.project_dir / "compose.yaml"
    file.write_text(file.read_text().replace("    init: true", "    init: true\n    volumes: ['./note:/other:ro']"))
    assert "web mounts" in checkout.inv("deploy.staging", code=3, **extra).stderr
    assert serves(checkout, remote) == "one"
    checkout.inv("deploy.down", "--env", "staging", **extra)
    assert serves(checkout, remote) == ""


def test_an_engine_that_restarts_in_the_middle_has_the_earlier_release_serve_again(
    tmp_path: Path, remote: RemoteEngine
) -> None:
    remote.load(SHELL)
    checkout = write(tmp_path, "", remote.tls, {})
    probe = "test: [CMD, sh, -c, 'read a </note; test $$a = one'], start_period: 20s, start_interval: 200ms"
    more = f"    restart: always\n    healthcheck: {{{probe}}}\n    x-slipway: {{rollout: start-first}}\n"
    file = checkout.project_dir / "compose.yaml"
    side = "  side: {image: '${REPOSITORY}/web:${TAG}', command: [sleep, infinity], init: true}\n"
    text = file.read_text().replace("    init: true\n", f"    init: true\n{more}")
    file.write_text(text.replace("\nsecrets:", f"\n{side}secrets:"))
    checkout.inv("deploy.staging")
    (checkout.project_dir / "note").write_text("two")  # never healthy
    task = Started(
        checkout.command("deploy.staging", "--json"), env=checkout.environment(), stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    names = f"label=com.docker.compose.project={checkout.projects[0]}"
    try:
        until(lambda: "-web-2" in remote.docker("ps", "--filter", names, "--format", "{{.Names}}"), "web-2 runs", 120)
        remote.restart()
        out, said = task.communicate(timeout=120)
    finally:
        task.kill()
        task.communicate()
    assert task.returncode == 4, said
    assert json.loads(out)["outcome"] == "rolled-back"
    # Both operations are under way: web waits for its health check, side for its settling time.
    failed = said.splitlines()[-2]
    assert "failed at start-first web" in failed or "failed at up side" in failed
    assert "the earlier release serves" in said.splitlines()[-1]
    listed = remote.docker("ps", "-a", "--filter", names, "--format", "{{.Names}} {{.State}}").splitlines()
    assert sorted(line.split()[1] for line in listed) == ["running", "running"]
    web = next(line.split()[0] for line in listed if "-web-" in line)
    assert remote.docker("exec", web, "cat", "/note") == "one"
    assert remote.docker("ps", "-aq", "--filter", f"label=slipway.lock={checkout.projects[0]}") == ""
    checkout.inv("deploy.down", "--env", "staging")


@pytest.mark.parametrize("supervised", [True, False])
def test_an_engine_is_restarted_as_a_fault_and_its_containers_are_there_again(
    tmp_path: Path, remote: RemoteEngine, helper: str, supervised: bool
) -> None:
    remote.load(SHELL)
    checkout = write(tmp_path, "", {**remote.tls, "CHAOS_IMAGE": helper}, {})
    file = checkout.project_dir / "compose.yaml"
    file.write_text(file.read_text().replace("    init: true\n", "    init: true\n    restart: always\n"))
    checkout.inv("deploy.staging")
    other = remote.docker("run", "--detach", "--name=other", SHELL, "sleep", "600")
    words = ("chaos.inject", "engine-restart", "--env", "staging")
    before = remote.process()
    refused = checkout.inv(*words, code=3).stderr
    assert "the whole host has engine-restart, also other" in refused and "--allow-host" in refused
    assert remote.process() == before
    try:
        with contextlib.nullcontext() if supervised else remote.left_alone():
            assert "engine-restart: done" in checkout.inv(*words, "--allow-host").stderr
            assert remote.process() not in ("", before)
            until(lambda: serves(checkout, remote) == "one", "the stack serves again")
            active = checkout.json("chaos.list", "--env", "staging")["active"]
            assert [(one["fault"], one["target"], one["state"]) for one in active] == [
                ("engine-restart", "the host", "undone")
            ]
            checkout.inv("deploy.down", "--env", "staging")
    finally:
        remote.docker("rm", "--force", other)


def test_a_registry_is_away_for_the_engine_until_the_fault_is_undone(
    tmp_path: Path, hub: Registry, remote: RemoteEngine, helper: str
) -> None:
    checkout = write(tmp_path, f"{hub.host}/", {**remote.tls, "CHAOS_IMAGE": helper}, {})
    image = f"{hub.host}/{checkout.projects[0]}/side:1"
    docker("build", "-q", "-t", image, str(checkout.project_dir))
    docker("push", "-q", image)
    docker("rmi", image)
    words = ("chaos.inject", "registry-away", "--env", "staging", "--for", "10m", "--allow-host")
    said = checkout.inv(*words).stderr
    assert f"the whole host, of {hub.host}; other projects on it: " in said
    with pytest.raises(subprocess.CalledProcessError) as refused:
        remote.docker("pull", image)
    assert "connection refused" in refused.value.stderr
    remote.docker("kill", f"{checkout.projects[0]}-chaos-registry-away")
    assert [one["state"] for one in checkout.json("chaos.list", "--env", "staging")["active"]] == ["left"]
    assert "registry-away in the host: undone" in checkout.inv("chaos.stop", "--env", "staging").stderr
    remote.docker("pull", image)
    remote.docker("rmi", image)


def test_a_registry_that_goes_away_in_the_middle_leaves_the_earlier_release_serving(
    tmp_path: Path, hub: Registry
) -> None:
    checkout = write(tmp_path, f"{hub.host}/", {}, {})
    name = checkout.projects[0]
    image = f"{hub.host}/{name}/side"
    for tag in ("one", "two"):
        (checkout.project_dir / "note").write_text(tag)
        docker("build", "-q", "-t", f"{image}:{tag}", str(checkout.project_dir))
        docker("push", "-q", f"{image}:{tag}")
        docker("rmi", f"{image}:{tag}")
    file = checkout.project_dir / "compose.yaml"
    side = f"  side: {{image: '{image}:${{SIDE}}', command: [sleep, infinity], init: true}}\n"
    file.write_text(file.read_text().replace("\nsecrets:", f"\n{side}secrets:"))
    hook = checkout.project_dir / "hooks" / "pre-deploy"
    hook.parent.mkdir()
    hook.write_text(f"#!/bin/sh\nexec docker stop -t 0 {hub.container} >&2\n")
    hook.chmod(0o755)
    try:
        checkout.inv("deploy.staging", SIDE="one")
        before = docker("ps", "-q", "--filter", f"label=com.docker.compose.project={name}")
        extra = {"SLIPWAY_HOOKS_DIR": str(hook.parent), "SIDE": "two"}
        result = checkout.inv("deploy.staging", "--json", code=4, **extra)
        assert json.loads(result.stdout)["outcome"] == "rolled-back"
        assert "failed at up side" in result.stderr.splitlines()[-2]
        assert docker("ps", "-q", "--filter", f"label=com.docker.compose.project={name}") == before
    finally:
        remove(name)
        docker("rmi", "-f", f"{image}:one", check=False)
    assert leftovers(name) == []


def test_where_the_builder_can_an_image_is_pushed_with_its_provenance(
    tmp_path: Path, hub: Registry, remote: RemoteEngine
) -> None:
    checkout = write(tmp_path, f"{hub.host}/", {**remote.tls, "BUILD_PROVENANCE": "max"}, {})
    (checkout.project_dir / "Dockerfile").write_text("FROM scratch\nCOPY note /note\n")
    assert "makes no attestations" in checkout.inv("build", "--push", "--env", "staging", code=3).stderr
    with remote.configured('{"features": {"containerd-snapshotter": true}}'):
        checkout.inv("build", "--push", "--env", "staging")
    index = hub.document(f"{checkout.projects[0]}/web", "staging")
    (about,) = [
        manifest for manifest in index["manifests"] if "vnd.docker.reference.type" in manifest.get("annotations", {})
    ]
    layers = hub.document(f"{checkout.projects[0]}/web", about["digest"])["layers"]
    assert [layer["annotations"]["in-toto.io/predicate-type"] for layer in layers] == [
        "https://slsa.dev/provenance/v0.2"
    ]
