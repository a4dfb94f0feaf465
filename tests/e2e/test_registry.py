"""Push, pull and promote with a real registry: by digest, again after a fault, and never over a release."""

import base64
import contextlib
import itertools
import json
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from .registries import (
    CERTIFICATES,
    IMAGE,
    LABEL,
    PASSWORD,
    USER,
    Held,
    Registry,
    Shop,
    build_image,
    git,
    held,
    login,
    make_shop,
    registry,
    trusted,
)
from .starting import Started
from .support import Checkout, docker, leftovers, remove, until

_NUMBERS = itertools.count()
Push = tuple[Registry, Shop, "subprocess.Popen[str]"]


@pytest.fixture(scope="module")
def registry_image(request: pytest.FixtureRequest) -> Iterator[None]:
    """The image of the registries; asserts that nothing with the label of these tests is left."""
    try:
        if not docker("image", "ls", "-q", "slipway-base/debian:trixie"):
            request.getfixturevalue("sample")  # makes the stand-ins where no registry can be reached
        build_image()
        yield
    finally:
        for words in (("ps", "-aq"), ("image", "ls", "-q")):
            if ids := docker(*words, "--filter", f"label={LABEL}").splitlines():
                docker("rm" if words[0] == "ps" else "rmi", "--force", *ids, check=False)
    assert docker("ps", "-aq", "--filter", f"label={LABEL}") == ""
    assert docker("image", "ls", "-q", IMAGE) == ""


@pytest.fixture(scope="module")
def plain(registry_image: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Registry]:
    """A registry without password and TLS, for all tests that leave it as it is: each has names of its own."""
    with registry(tmp_path_factory.mktemp("registry")) as made:
        yield made


@pytest.fixture
def own(registry_image: None, tmp_path: Path) -> Iterator[Registry]:
    """A registry for one test, which may stop it, and whose log is that of this test."""
    with registry(tmp_path) as made:
        yield made


@pytest.fixture
def shops(tmp_path: Path) -> Iterator[Callable[..., Shop]]:
    """Make projects whose images are in a registry."""
    made: list[Shop] = []

    def make(host: str) -> Shop:
        made.append(make_shop(tmp_path, f"slipway-shop-{os.getpid()}-{next(_NUMBERS)}", host))
        return made[-1]

    yield make
    for name in (name for shop in made for name in shop.projects):
        remove(name)
        assert leftovers(name) == []


@pytest.fixture
def shop(plain: Registry, shops: Callable[..., Shop]) -> Shop:
    """A project, built for staging at v1.4.2, whose registry is empty."""
    return built(shops, plain)


@pytest.fixture
def alone(own: Registry, shops: Callable[..., Shop]) -> Shop:
    """Such a project whose registry is its own."""
    return built(shops, own)


def built(shops: Callable[..., Shop], where: Registry) -> Shop:
    made = shops(where.host)
    made.inv("build", "--env", "staging")
    return made


@pytest.fixture(scope="module")
def full(registry_image: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Push]]:
    """Pushes to registries that have no space: begun early, as the engine tries each layer for most of a minute."""
    directory = tmp_path_factory.mktemp("full")
    with contextlib.ExitStack() as stack:
        pushes = []
        for options in ("/data:size=1m", "/data:ro"):
            where = stack.enter_context(registry(directory, "--tmpfs", options))
            shop = make_shop(directory, f"slipway-shop-{os.getpid()}-{next(_NUMBERS)}", where.host)
            for project in shop.projects:
                stack.callback(remove, project)
            large(shop)
            words = ("image.push", "--env", "staging", "--service", "web")
            pushes.append((where, shop, stack.enter_context(started(shop, *words))))
        yield pushes


def name(shop: Shop, service: str, tag: str) -> str:
    """Return a repository of a project with a tag."""
    return f"{shop.projects[0]}/{service}:{tag}"


def forget(shop: Shop) -> None:
    """Remove the project's images from the engine, as on another machine."""
    remove(shop.projects[0])


@pytest.mark.usefixtures("full")
def test_what_was_pushed_comes_back_by_digest(plain: Registry, shop: Shop) -> None:
    pushed = shop.json("image.push", "--env", "staging")

    assert pushed["schema"] == "slipway/image.push/v1"
    rows = {image["service"]: image for image in pushed["images"]}
    assert set(rows) == {"web", "worker"}
    assert rows["web"]["reference"] == f"{plain.host}/{name(shop, 'web', 'staging')}"
    assert rows["web"]["tags"][0] == "1.4.2"
    assert {"staging", "1.4", "1", "latest"} < set(rows["web"]["tags"])
    for tag in rows["web"]["tags"]:
        assert plain.digest(name(shop, "web", tag)) == rows["web"]["digest"]

    forget(shop)
    pulled = shop.json("image.pull", "--env", "staging")

    assert {image["service"]: image["digest"] for image in pulled["images"]} == {
        image["service"]: image["digest"] for image in pushed["images"]
    }
    digests = docker("image", "inspect", "--format", "{{json .RepoDigests}}", rows["web"]["reference"])
    assert rows["web"]["digest"] in digests
    assert docker("image", "ls", "-q", f"{plain.host}/{name(shop, 'web', '1.4.2')}")


def test_a_second_push_sends_nothing_also_of_an_image_that_was_made_again(plain: Registry, shop: Shop) -> None:
    first = shop.json("image.push", "--env", "staging")
    sent = plain.log().count("http.request.method=PUT")
    second = shop.inv("image.push", "--env", "staging")

    assert sent > 0
    assert plain.log().count("http.request.method=PUT") == sent
    assert "already there" in second.stderr
    assert first["images"][0]["digest"] in second.stdout

    forget(shop)  # with what the engine knew of its digest
    shop.inv("build", "--env", "staging")
    assert "already there" in shop.inv("image.push", "--env", "staging").stderr


def test_a_dry_push_prints_what_can_be_pasted_and_sends_nothing(plain: Registry, shop: Shop) -> None:
    lines = shop.inv("--dry", "image.push", "--env", "staging", "--service", "web").stdout.splitlines()

    assert f"docker push {plain.host}/{name(shop, 'web', '1.4.2')}" in lines
    assert plain.digest(name(shop, "web", "1.4.2")) == ""


def test_a_release_keeps_its_content(plain: Registry, shop: Shop) -> None:
    shop.inv("build", "--push", "--env", "staging")
    before = {tag: plain.digest(name(shop, "web", tag)) for tag in ("1.4.2", "staging", "latest")}
    shop.release("v1.4.2", "other content\n")
    shop.inv("build", "--env", "staging")
    for words in (("image.push",), ("build", "--push")):
        refused = shop.inv(*words, "--env", "staging", code=3)

        (line,) = [line for line in refused.stderr.splitlines() if "keeps its content" in line]
        assert "web:1.4.2" in line
        assert before["1.4.2"][:19] in line
        assert "image ID" in line
    # No tag has moved: nothing was sent at all.
    assert {tag: plain.digest(name(shop, "web", tag)) for tag in before} == before


def test_tags_that_are_no_version_move_on(plain: Registry, shop: Shop) -> None:
    shop.inv("image.push", "--env", "staging")
    first = plain.digest(name(shop, "web", "1.4.2"))
    shop.release("v1.4.3", "other content\n")
    shop.inv("build", "--env", "staging", "--push")
    second = plain.digest(name(shop, "web", "1.4.3"))

    assert first != second
    assert plain.digest(name(shop, "web", "1.4.2")) == first
    assert {plain.digest(name(shop, "web", tag)) for tag in ("staging", "1.4", "1", "latest")} == {second}


def test_a_hotfix_of_an_older_line_moves_no_tag_of_a_newer_release(plain: Registry, shop: Shop, tmp_path: Path) -> None:
    shop.release("v2.0.0", "newer content\n")
    shop.inv("build", "--env", "staging", "--push")
    newest = plain.digest(name(shop, "web", "2.0.0"))
    git(shop.project_dir, "checkout", "--quiet", "v1.4.2")
    shop.release("v1.4.3", "fixed content\n")
    # As CI has it: a clone of one tag, which knows of no other.
    clone = tmp_path / "clone"
    git(tmp_path, "clone", "--quiet", "--depth", "1", "--branch", "v1.4.3", f"file://{shop.project_dir}", str(clone))
    hotfix = Shop(clone, clone / "envs", shop.projects)
    hotfix.inv("build", "--env", "staging", "--push")

    assert plain.digest(name(shop, "web", "latest")) == newest
    assert plain.digest(name(shop, "web", "2")) == newest
    fixed = plain.digest(name(shop, "web", "1.4.3"))
    assert {plain.digest(name(shop, "web", tag)) for tag in ("1.4", "1", "staging")} == {fixed} != {newest}


def test_an_image_of_another_commit_is_not_pushed_as_this_one(shop: Shop) -> None:
    shop.release("v1.4.3", "other content\n")
    refused = shop.inv("image.push", "--env", "staging", code=3)

    assert "does not carry 1.4.3" in refused.stderr
    assert "hint: inv build --env staging --service web" in refused.stderr


def test_what_is_missing_is_said_in_one_line(plain: Registry, shops: Callable[..., Shop]) -> None:
    shop = shops(plain.host)

    assert "is not built yet" in shop.inv("image.push", "--env", "staging", code=3).stderr
    assert "names no registry" in shop.inv("image.push", "--env", "dev", code=3).stderr
    assert "names no registry" in shop.inv("image.pull", "--env", "dev", code=3).stderr
    assert "has no image" in shop.inv("image.pull", "--env", "staging", code=3).stderr
    assert "nothing to promote" in shop.inv("image.promote", "--from", "staging", "--to", "prod", code=3).stderr
    assert "nothing to promote" in shop.inv("image.promote", "--from", "dev", "--to", "prod", code=3).stderr
    assert "same environment" in shop.inv("image.promote", "--from", "dev", "--to", "dev", code=3).stderr


def test_a_promotion_keeps_digests_and_builds_nothing(plain: Registry, shop: Shop) -> None:
    shop.inv("image.push", "--env", "staging")
    digest = plain.digest(name(shop, "web", "staging"))
    forget(shop)
    promoted = shop.json("image.promote", "--from", "staging", "--to", "prod")

    assert promoted["schema"] == "slipway/image.promote/v1"
    (row,) = [image for image in promoted["images"] if image["service"] == "web"]
    assert row["digest"] == plain.digest(name(shop, "web", "prod")) == digest
    assert (row["from"].rpartition(":")[2], row["to"].rpartition(":")[2]) == ("staging", "prod")
    assert shop.json("image.promote", "--from", "staging", "--to", "prod") == promoted


def test_a_promotion_to_an_exact_tag_keeps_what_is_there(plain: Registry, shop: Shop) -> None:
    shop.inv("image.push", "--env", "staging")
    shop.environment_file("prod", plain.host, tag="1.4.2")
    shop.inv("image.promote", "--from", "staging", "--to", "prod")  # the very same
    shop.environment_file("dev", "")
    shop.release("v1.5.0", "other content\n")
    shop.inv("build", "--env", "staging", "--push")
    refused = shop.inv("image.promote", "--from", "staging", "--to", "prod", code=3)

    assert "web:1.4.2: the registry has 1.4.2 as sha256:" in refused.stderr


def test_a_pinned_image_is_pulled_by_its_digest(plain: Registry, shop: Shop) -> None:
    shop.inv("image.push", "--env", "staging")
    first = plain.digest(name(shop, "web", "staging"))
    shop.release("v1.5.0", "other content\n")
    shop.inv("build", "--env", "staging", "--push")
    forget(shop)
    shop.environment_file("prod", plain.host, tag=f"staging@{first}")
    pulled = shop.json("image.pull", "--env", "prod", "--service", "web")

    assert [image["digest"] for image in pulled["images"]] == [first]
    assert docker("image", "ls", "-q", f"{plain.host}/{name(shop, 'web', '1.5.0')}") == ""
    assert "pinned to a digest" in shop.inv("image.push", "--env", "prod", "--service", "web", code=3).stderr


def test_a_manifest_list_is_promoted_as_it_is(plain: Registry, shop: Shop) -> None:
    shop.inv("image.push", "--env", "staging")
    for service in ("web", "worker"):
        reference = f"{plain.host}/{name(shop, service, 'staging')}"
        docker("buildx", "imagetools", "create", "-t", reference, reference)  # a list, of one platform
    promoted = shop.json("image.promote", "--from", "staging", "--to", "prod")

    for row in promoted["images"]:
        assert row["digest"] == plain.digest(name(shop, row["service"], "staging"))
        assert row["digest"] == plain.digest(name(shop, row["service"], "prod"))
        assert row["digest"] != plain.digest(name(shop, row["service"], "1.4.2"))


def test_without_a_registry_a_promotion_is_a_tag(plain: Registry, shops: Callable[..., Shop]) -> None:
    shop = shops(plain.host)
    shop.environment_file("qa", "")
    shop.inv("build", "--env", "dev")
    promoted = shop.json("image.promote", "--from", "dev", "--to", "qa")

    ids = [docker("image", "inspect", "--format", "{{.Id}}", name(shop, "web", tag)) for tag in ("dev", "qa")]
    assert ids[0] == ids[1]
    assert {image["digest"] for image in promoted["images"] if image["service"] == "web"} == {ids[0]}


def test_a_promotion_goes_from_the_engine_into_a_registry(plain: Registry, shops: Callable[..., Shop]) -> None:
    shop = shops(plain.host)
    shop.inv("build", "--env", "dev")
    promoted = shop.json("image.promote", "--from", "dev", "--to", "prod", "--service", "web")

    assert [image["digest"] for image in promoted["images"]] == [plain.digest(name(shop, "web", "prod"))]


def test_a_registry_with_a_password(registry_image: None, tmp_path: Path, shops: Callable[..., Shop]) -> None:
    with registry(tmp_path, password=True) as closed:
        shop = shops(closed.host)
        shop.inv("build", "--env", "staging")
        no_login = tmp_path / "no-login"
        no_login.mkdir()
        refused = shop.inv("image.push", "--env", "staging", code=3, DOCKER_CONFIG=str(no_login))
        assert refused.stderr.splitlines() == [
            f"registry {closed.host} wants a login, and there is none",
            f"  hint: docker login {closed.host}",
        ]
        # The password was changed since: the login is in Docker's store, and wrong.
        wrong = {"auths": {closed.host: {"auth": base64.b64encode(b"tester:wrong").decode()}}}
        (no_login / "config.json").write_text(json.dumps(wrong))
        refused = shop.inv("image.push", "--env", "staging", code=3, DOCKER_CONFIG=str(no_login))
        assert refused.stderr.startswith(f"registry {closed.host} does not accept the credentials for ")
        assert len(refused.stderr.splitlines()) == 2

        with login(tmp_path, closed.host) as configuration:
            # By the profile, not by the environment.
            (shop.envs_dir / "staging.local.env").write_text(f"DOCKER_CONFIG={configuration}\n")
            pushed = shop.json("image.push", "--env", "staging")
            forget(shop)
            pulled = shop.json("image.pull", "--env", "staging")
            assert [image["digest"] for image in pushed["images"]] == [image["digest"] for image in pulled["images"]]


def test_the_login_may_be_in_a_credential_helper(
    registry_image: None, tmp_path: Path, shops: Callable[..., Shop]
) -> None:
    answer = json.dumps({"Username": USER, "Secret": PASSWORD})
    (tmp_path / "bin").mkdir()
    helper = tmp_path / "bin" / "docker-credential-tests"
    helper.write_text(f"#!/bin/sh\ncat >/dev/null\necho '{answer}'\n")
    helper.chmod(0o755)
    (tmp_path / "config.json").write_text('{"credsStore": "tests"}')
    with registry(tmp_path, password=True) as closed:
        shop = shops(closed.host)
        shop.inv("build", "--env", "staging")
        path = f"{tmp_path / 'bin'}:{os.environ['PATH']}"
        pushed = shop.json("image.push", "--env", "staging", DOCKER_CONFIG=str(tmp_path), PATH=path)

        assert all(image["digest"].startswith("sha256:") for image in pushed["images"])


@pytest.mark.skipif(os.geteuid() != 0, reason="the engine's trusted certificates are root's to change")
def test_a_registry_with_tls(registry_image: None, tmp_path: Path, shops: Callable[..., Shop]) -> None:
    # By its own address: the engine checks no certificate on 127.0.0.1.
    with registry(tmp_path, tls=True) as secure:
        shop = shops(secure.address)
        shop.inv("build", "--env", "staging")
        refused = shop.inv("image.push", "--env", "staging", code=3)
        assert refused.stderr.startswith(f"registry {secure.address}: its certificate is not trusted by the engine")
        assert f"/etc/docker/certs.d/{secure.address}/ca.crt" in refused.stderr

        with trusted(secure, tmp_path):
            pushed = shop.json("image.push", "--env", "staging")
            assert "already there" in shop.inv("image.push", "--env", "staging").stderr
            forget(shop)
            pulled = shop.json("image.pull", "--env", "staging")
            assert [image["digest"] for image in pushed["images"]] == [image["digest"] for image in pulled["images"]]
        assert not (CERTIFICATES / secure.address).exists()


def test_a_registry_that_is_not_there(own: Registry, alone: Shop) -> None:
    own.stop()
    failed = alone.inv("image.push", "--env", "staging", code=1, PUSH_RETRIES="1")

    lines = failed.stderr.splitlines()
    assert len(lines) == 3
    assert "is not reachable" in lines[0]
    assert lines[0].endswith("trying again in 1 s (1 of 1)")
    assert "connection refused" in lines[1]
    assert lines[2].startswith("  hint: ")


@contextlib.contextmanager
def started(shop: Shop, *words: str, **extra: str) -> "Iterator[subprocess.Popen[str]]":
    """Run a task in parallel with the test; it is ended with the block."""
    with Started(
        shop.command(*words), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=shop.environment(**extra)
    ) as task:
        try:
            yield task
        finally:
            if task.poll() is None:
                task.terminate()


def test_a_registry_that_comes_back_gets_everything(own: Registry, alone: Shop) -> None:
    own.stop()
    with started(alone, "image.push", "--env", "staging", PUSH_RETRIES="7") as push:
        assert push.stderr
        assert "trying again in 1 s (1 of 7)" in push.stderr.readline()
        own.start()
        _, said = push.communicate(timeout=240)

    assert push.returncode == 0, said
    assert own.digest(name(alone, "web", "latest")) == own.digest(name(alone, "web", "1.4.2")) != ""


def large(shop: Shop) -> None:
    """Give the project's images a layer that takes a while to send."""
    (shop.project_dir / "content").write_bytes(os.urandom(24 * 2**20))
    shop.release("v2.0.0")
    shop.inv("build", "--env", "staging")


def test_a_registry_lost_in_the_middle_of_a_layer_gets_it_in_the_end(own: Registry, alone: Shop) -> None:
    large(alone)
    with started(alone, "image.push", "--env", "staging", PUSH_RETRIES="7") as push:
        until(lambda: "http.request.method=POST" in own.log(), "a layer is sent")
        own.stop()
        time.sleep(1)
        own.start()
        _, said = push.communicate(timeout=240)

    assert push.returncode == 0, said
    assert own.digest(name(alone, "worker", "2.0.0")) != ""


@pytest.fixture
def behind(own: Registry, shops: Callable[..., Shop]) -> Iterator[tuple[Held, Shop]]:
    """A relay that stops in the middle of a layer, and a project that has one to send through it."""
    with held(own.host) as front:
        shop = shops(front.host)
        large(shop)
        yield front, shop


def test_a_registry_that_hangs_is_asked_again(own: Registry, behind: tuple[Held, Shop]) -> None:
    front, shop = behind
    with started(shop, "image.push", "--env", "staging", PUSH_TIMEOUT="15s") as push:
        until(front.holds.is_set, "a layer is sent", 120)
        assert push.stderr
        said = push.stderr.readline()
        front.go.set()
        _, more = push.communicate(timeout=240)

        assert "(no answer within 15 s): trying again in 1 s (1 of 4)" in said
        assert push.returncode == 0, more
    assert own.digest(name(shop, "worker", "2.0.0")) != ""


def test_a_push_that_is_stopped_ends_at_once_and_can_be_run_again(own: Registry, behind: tuple[Held, Shop]) -> None:
    front, shop = behind
    with started(shop, "image.push", "--env", "staging") as push:
        until(front.holds.is_set, "a layer is sent", 120)
        push.send_signal(signal.SIGTERM)
        _, said = push.communicate(timeout=60)

    assert push.returncode == 143, said
    assert "Traceback" not in said
    front.go.set()
    shop.inv("image.push", "--env", "staging")
    assert own.digest(name(shop, "worker", "2.0.0")) != ""


def limited() -> bool:
    """Whether the builder in use is that of an engine with the older image store."""
    drivers = [line.split()[1] for line in docker("buildx", "inspect").splitlines() if line.startswith("Driver:")]
    return drivers == ["docker"] and "io.containerd" not in docker("info", "--format", "{{.DriverStatus}}")


def test_two_platforms_become_one_list(plain: Registry, shop: Shop) -> None:
    if limited():
        pytest.skip("the builder in use builds one platform; BUILDX_BUILDER may name another")
    words = ("build", "--env", "staging", "--push", "--platform", "linux/amd64,linux/arm64")
    built = shop.json(*words)

    (digest,) = [image["digest"] for image in built["images"] if image["service"] == "web"]
    assert {plain.digest(name(shop, "web", tag)) for tag in ("1.4.2", "staging", "latest")} == {digest}
    listed = docker("buildx", "imagetools", "inspect", f"{plain.host}/{name(shop, 'web', 'staging')}")
    assert "linux/amd64" in listed
    assert "linux/arm64" in listed
    assert "already there" in shop.inv(*words).stderr
    shop.release("v1.4.2", "other content\n")
    assert "keeps its content" in shop.inv(*words, code=3).stderr
    assert plain.digest(name(shop, "web", "staging")) == digest


def test_a_builder_that_cannot_is_refused_before_the_build(plain: Registry, shop: Shop) -> None:
    if not limited():
        pytest.skip("the builder in use can")
    two = "linux/amd64,linux/arm64"
    refused = shop.inv("build", "--env", "staging", "--push", "--platform", two, code=3)
    assert refused.stderr.splitlines()[0] == f"builder default (driver docker) cannot build {two} as one image"
    assert "docker buildx create --name multi --driver docker-container" in refused.stderr
    assert "QEMU" in refused.stderr
    assert "cannot build" in shop.inv("build", "--env", "staging", code=3, PLATFORMS=two).stderr

    cache = f"type=registry,ref={plain.host}/cache:{{service}}"
    refused = shop.inv("build", "--env", "staging", "--no-cache", code=3, CACHE_TO=cache)
    assert refused.stderr.startswith("builder default (driver docker) cannot write a build cache of type registry: ")


def test_an_inline_cache_comes_back_from_the_registry(plain: Registry, shop: Shop, tmp_path: Path) -> None:
    shop.inv("build", "--env", "staging", "--no-cache", "--push", CACHE_TO="type=inline")
    cache = f"type=registry,ref={plain.host}/{shop.projects[0]}/{{service}}:staging"
    shop.inv("build", "--env", "staging", "--pull", CACHE_FROM=cache, SLIPWAY_REPORTS_DIR=str(tmp_path))
    (log,) = tmp_path.glob("*/build.log")
    said = log.read_text(encoding="utf-8")
    assert f"importing cache manifest from {plain.host}/{name(shop, 'web', 'staging')}" in said


def test_a_registry_without_space(full: list[Push]) -> None:
    for where, shop, push in full:
        _, said = push.communicate(timeout=200)

        assert push.returncode == 1, said
        message, hint = said.splitlines()[-2:]
        assert message.startswith(f"registry {where.host} failed at {where.host}/{name(shop, 'web', '2.0.0')}")
        assert "a disk that is full or read-only" in hint
        assert where.digest(name(shop, "web", "2.0.0")) == ""


def test_a_deploy_tells_how_many_bytes_compose_pulls(plain: Registry, tmp_path: Path) -> None:
    """By ``pull_policy``, and where ``up`` pulls by itself; a terminal draws what the events tell here."""
    name = f"slipway-pull-{os.getpid()}"
    image = f"{plain.host}/{name}:1"
    shop = Checkout(tmp_path, tmp_path / "envs", [name])
    (tmp_path / "envs").mkdir()
    (tmp_path / "envs" / "dev.env").write_text(f"COMPOSE_FILE=compose.yaml\nCOMPOSE_PROJECT_NAME={name}\n")
    compose = "services: {web: {image: %s, init: true, stop_grace_period: 1s, command: [sleep, infinity]%s}}\n"
    try:
        for policy, step in (("", "up web"), (", pull_policy: always", "pull")):
            # Not by a build: a layer stays in its cache, and is not pulled again.
            docker("run", "--name", name, IMAGE, "sh", "-c", "head -c 8M /dev/urandom >/blob")
            docker("commit", name, image)
            docker("rm", "--volumes", name)
            docker("push", "--quiet", image)
            docker("rmi", image)
            (tmp_path / "compose.yaml").write_text(compose % (image, policy))
            lines = shop.inv("--log-format", "json", "deploy.dev").stderr.splitlines()
            events = [json.loads(line) for line in lines]
            moved = [event for event in events if event["event"] == "bytes-moved"]
            assert moved[-1]["moved"] == moved[-1]["total"] > 8_000_000
            done = {event["name"]: event["result"] for event in events if event["event"] == "step-finished"}
            assert done[step] == "8.4 MB"
    finally:
        docker("rm", "--force", "--volumes", name, check=False)
        remove(name)
        docker("rmi", "--force", *docker("image", "ls", "-q", f"{plain.host}/{name}").splitlines(), check=False)
    assert leftovers(name) == []
