"""Gates, hooks and promotion of a deploy on a real engine."""

import contextlib
import json
import os
import socket
import socketserver
import subprocess
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from .support import Checkout, docker

Small = Callable[..., Checkout]
WEB = """
services:
  web:
    image: small/${NAME}:${TAG}
    build: .
    command: [sleep, infinity]
    init: true
"""


@pytest.fixture
def shop(small: Small) -> Checkout:
    """A service in two environments."""
    made = small(WEB, "FROM IMAGE\nCOPY note /note\n", "TAG=dev\n")
    name = made.projects[0]
    (made.envs_dir / "base.env").write_text(f"COMPOSE_PROJECT_NAME={name}\nNAME={name}\n")
    (made.envs_dir / "prod.env").write_text(f"COMPOSE_PROJECT_NAME={name}-prod\nTAG=prod\nPROMOTE_FROM=dev\n")
    made.projects.append(f"{name}-prod")
    (made.project_dir / "note").write_text("one")
    return made


def hook(shop: Checkout, name: str, script: str) -> None:
    path = shop.project_dir / "hooks" / name
    path.parent.mkdir(exist_ok=True)
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)


@pytest.fixture
def remote_address() -> Iterator[str]:
    """A second address of the engine, which looks like that of another machine."""

    class Forward(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            with socket.socket(socket.AF_UNIX) as engine:
                engine.connect("/var/run/docker.sock")
                back = threading.Thread(target=pour, args=(engine, self.request), daemon=True)
                back.start()
                pour(self.request, engine)
                back.join(30)

    class Server(socketserver.ThreadingTCPServer):
        daemon_threads = True
        block_on_close = False

    with Server(("127.0.0.1", 0), Forward) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"tcp://127.0.0.1:{server.server_address[1]}"
        server.shutdown()


def pour(source: socket.socket, target: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while data := source.recv(65536):
            target.sendall(data)
        target.shutdown(socket.SHUT_WR)


def running(project: str) -> str:
    return docker("ps", "-q", "--filter", f"label=com.docker.compose.project={project}")


def test_a_checkout_that_is_not_clean_or_not_pushed_is_refused_before_anything_is_built(shop: Checkout) -> None:
    said = shop.inv("deploy.dev", code=3, REQUIRE_CLEAN="true", REQUIRE_PUSHED="true", REQUIRE_EVIDENCE="tests").stderr
    assert said.count("(REQUIRE_") == 3
    assert docker("images", "-q", f"small/{shop.projects[0]}") == ""
    git = ["git", "-C", str(shop.project_dir), "-c", "user.name=a", "-c", "user.email=a@example.net"]
    for words in (["init", "-q"], ["add", "-A"], ["commit", "-qm", "one"]):
        subprocess.run([*git, *words], check=True)
    shop.inv("deploy.dev", REQUIRE_CLEAN="true")
    assert "no remote branch has commit" in shop.inv("deploy.dev", "--build", code=3, REQUIRE_PUSHED="true").stderr


def test_what_serves_in_another_environment_is_promoted_without_a_build(shop: Checkout) -> None:
    name = shop.projects[0]
    assert "there is nothing to promote" in shop.inv("deploy.prod", code=3).stderr
    shop.inv("deploy.dev")
    (shop.project_dir / "note").write_text("two")  # not what serves
    steps = [step["name"] for step in shop.json("deploy.prod")["steps"]]
    assert "promote" in steps
    assert "build" not in steps
    ids = {docker("inspect", "--format", "{{.Image}}", f"{project}-web-1") for project in shop.projects}
    assert len(ids) == 1
    assert shop.json("deploy.prod")["outcome"] == "unchanged"
    label = docker(
        "inspect", "--format", '{{index .Config.Labels "slipway.release.document"}}', f"{name}-prod-release:1"
    )
    assert json.loads(label)["evidence"]["promoted"] == "dev release 1"


def test_hooks_are_told_what_happens_and_may_say_no(shop: Checkout, tmp_path: Path) -> None:
    told = tmp_path / "told"
    hooks = {"SLIPWAY_HOOKS_DIR": str(shop.project_dir / "hooks")}
    for name in ("pre-deploy", "post-deploy", "on-failure"):
        hook(shop, name, f'echo {name} "$SLIPWAY_ENVIRONMENT" "$SLIPWAY_RELEASE" "$SLIPWAY_OUTCOME" $(nice) >>{told}')
    shop.inv("deploy.dev", **hooks)
    lines = [line.split() for line in told.read_text().splitlines()]
    assert lines == [["pre-deploy", "dev", "5"], ["post-deploy", "dev", "1", "deployed", "5"]]  # DEPLOY_NICE

    hook(shop, "pre-deploy", "exit 7")
    (shop.project_dir / "note").write_text("two")
    before = running(shop.projects[0])
    assert "pre-deploy says no" in shop.inv("deploy.dev", code=3, **hooks).stderr
    assert running(shop.projects[0]) == before

    (shop.project_dir / "hooks" / "pre-deploy").chmod(0o644)
    if os.getuid():
        assert "is not executable" in shop.inv("deploy.dev", code=2, **hooks).stderr
    hook(shop, "pre-deploy", "exit 0")
    hook(shop, "post-deploy", "exit 1")
    assert "deployed, but post-deploy failed" in shop.inv("deploy.dev", code=1, **hooks).stderr

    dockerfile = shop.project_dir / "Dockerfile"
    dockerfile.write_text(dockerfile.read_text() + 'ENTRYPOINT ["false"]\n')
    shop.inv("deploy.dev", code=4, SETTLE="10s", **hooks)
    assert told.read_text().splitlines()[-1].split()[:2] == ["on-failure", "dev"]


def test_a_rollout_without_a_health_check_is_refused(shop: Checkout) -> None:
    file = shop.project_dir / "compose.yaml"
    file.write_text(file.read_text() + "    deploy: {update_config: {order: start-first, monitor: 500ms}}\n"
                    "    healthcheck: {disable: true}\n")  # fmt: skip
    shop.inv("deploy.dev", REQUIRE_HEALTHCHECK="false")
    (shop.project_dir / "note").write_text("two")
    assert "it is unknown whether the new containers work" in shop.inv("deploy.dev", code=2).stderr
    shop.inv("deploy.dev", REQUIRE_HEALTHCHECK="false")
    assert shop.inv("shell", "--service", "web", "--command", "cat /note").stdout == "two"


def test_an_interruption_that_the_profile_does_not_allow_is_refused_also_when_only_the_build_shows_it(
    shop: Checkout,
) -> None:
    never = {"ALLOW_INTERRUPTION": "false"}
    shop.inv("deploy.dev", **never)
    name = shop.projects[0]
    before = docker("ps", "-q", "--no-trunc", "--filter", f"label=com.docker.compose.project={name}")
    (shop.project_dir / "note").write_text("two")
    assert shop.json("deploy.plan", **never)["interruptions"]
    said = shop.inv("deploy.dev", code=3, **never).stderr
    assert "could not be reached for a while (ALLOW_INTERRUPTION=false)" in said
    assert "--allow-interruption deploys all the same" in said
    assert docker("ps", "-q", "--no-trunc", "--filter", f"label=com.docker.compose.project={name}") == before
    shop.inv("deploy.dev", "--allow-interruption", **never)
    assert shop.inv("shell", "--service", "web", "--command", "cat /note").stdout == "two"


def test_a_remote_engine_gets_no_file_of_this_machine(shop: Checkout, remote_address: str) -> None:
    file = shop.project_dir / "compose.yaml"
    file.write_text(file.read_text() + "    volumes: ['./note:/other:ro']\n")
    said = shop.inv("deploy.dev", code=3, DOCKER_HOST=remote_address).stderr
    assert f"web mounts {shop.project_dir / 'note'}, which is on this machine" in said
    assert running(shop.projects[0]) == ""


# A database that is a single file, with commands to dump and restore it as any other has.
DATA = """
services:
  store:
    image: IMAGE
    command: [sleep, infinity]
    entrypoint: []
    init: true
    user: "0"
    volumes: ["data:/data"]
    x-slipway:
      role: database
      backup:
        name: t
        snapshot: [sh, -c, 'echo view; echo "t $$(wc -l </data/t)"; echo; cat >/dev/null']
        dump: [sh, -c, 'test ! -e /data/broken && cat /data/t']
        list: [cat]
        create: [sh, -c, ': >/data/{scratch}']
        restore: [sh, -c, 'cat >/data/{scratch}']
        tables: [sh, -c, 'echo "t $$(wc -l </data/{scratch})"']
        drop: [rm, -f, '/data/{scratch}']
        swap: [mv, '/data/{scratch}', '/data/{database}']
  change:
    image: small/${COMPOSE_PROJECT_NAME}:dev
    build: .
    entrypoint: []
    command: [sh, -c, 'cat /note >>/data/t']
    volumes: ["data:/data"]
    depends_on: {store: {condition: service_started}}
    x-slipway: {job: migrate}
volumes: {data: {}}
"""


def test_a_database_is_backed_up_before_migrations_also_when_it_has_to_be_started_for_that(
    small: Small, tmp_path: Path
) -> None:
    shop = small(DATA, "FROM IMAGE\nUSER root\nCOPY note /note\n")
    name, place = shop.projects[0], tmp_path / "backups"
    extra = {"SLIPWAY_BACKUPS_DIR": str(place)}

    def inside(script: str) -> str:
        image = docker("inspect", "--format", "{{.Config.Image}}", f"{name}-store-1")
        words = ("--rm", "--user", "0", "-v", f"{name}_data:/data", "--entrypoint", "sh", image, "-c", script)
        return docker("run", *words)

    def steps(code: int = 0) -> list[str]:
        return [step["name"] for step in shop.json("deploy.dev", code=code, **extra)["steps"]]

    def dumps() -> list[str]:
        return [dump.read_text() for dump in sorted((place / name).glob("*.dump"))]

    (shop.project_dir / "note").write_text("one\n")
    assert "backup" not in steps()  # there was nothing to lose
    (shop.project_dir / "note").write_text("two\n")
    assert steps()[:2] == ["build", "backup"]
    assert dumps() == ["one\n"]
    assert inside("cat /data/t") == "one\ntwo"

    # A backup that fails stops the deploy, and nothing has changed.
    inside("touch /data/broken")
    before = docker("inspect", "--format", "{{.Id}} {{.Image}}", f"{name}-store-1", f"{name}-change-1")
    (shop.project_dir / "note").write_text("three\n")
    assert "backup" in steps(code=4)
    assert docker("inspect", "--format", "{{.Id}} {{.Image}}", f"{name}-store-1", f"{name}-change-1") == before
    assert inside("cat /data/t") == "one\ntwo"
    inside("rm /data/broken")

    shop.inv("deploy.down", **extra)
    order = steps()
    assert order.index("up store") < order.index("backup") < order.index("verify")
    assert dumps()[-1] == "one\ntwo\n"
    assert inside("cat /data/t") == "one\ntwo\nthree"


def test_a_commit_that_a_remote_has_is_deployed_and_plans_tell_what_is_not_met(shop: Checkout, tmp_path: Path) -> None:
    git = ["git", "-C", str(shop.project_dir), "-c", "user.name=a", "-c", "user.email=a@example.net"]
    subprocess.run(["git", "init", "-q", "--bare", str(tmp_path / "remote.git")], check=True)
    for words in (["init", "-q"], ["add", "-A"], ["commit", "-qm", "one"]):
        subprocess.run([*git, *words], check=True)
    pushed = {"REQUIRE_PUSHED": "true", "REQUIRE_CLEAN": "true"}
    (gate,) = shop.json("deploy.plan", **pushed)["gates"]
    assert "no remote branch has commit" in gate["unmet"]
    assert gate["hint"] == "git push"
    dry = shop.inv("--dry", "deploy.dev", **pushed)
    assert "a deploy would be refused: no remote branch has commit" in dry.stderr
    assert "docker" in dry.stdout
    shop.inv("deploy.dev", code=3, **pushed)
    for words in (["remote", "add", "origin", str(tmp_path / "remote.git")], ["push", "-q", "origin", "HEAD:main"]):
        subprocess.run([*git, *words], check=True)
    assert shop.json("deploy.plan", **pushed)["gates"] == []
    shop.inv("deploy.dev", **pushed)
