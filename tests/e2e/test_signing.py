"""Signatures by key, with the real cosign and real registries: only signed images run."""

import io
import itertools
import os
import shutil
import subprocess
import tarfile
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from .registries import LABEL, Registry, build_image, git, login, registry, trusted
from .support import Checkout, docker, leftovers, remove

pytestmark = pytest.mark.skipif(shutil.which("cosign") is None, reason="cosign is not installed on this machine")
_NUMBERS = itertools.count()
PASSWORD = "wrong-pony"  # of the keys: no word of an error message
_COMPOSE = """services:
  web: &service
    image: ${IMAGE_REPOSITORY}/web:${IMAGE_TAG}
    build: {context: ., args: {KIND: web}}
    command: [/bin/sleep, infinity]
    init: true
  worker:
    <<: *service
    image: ${IMAGE_REPOSITORY}/worker:${IMAGE_TAG}
    build: {context: ., args: {KIND: worker}}
"""
# A few megabytes: they are sent to registries.
_DOCKERFILE = """FROM {base} AS base
RUN mkdir /out && cp --parents --dereference /bin/sleep $(ldd /bin/sleep | grep -o '/[^ ]*') /out
FROM scratch
COPY --from=base /out /
ARG KIND
COPY content /${{KIND}}
"""


@dataclass
class Signed(Checkout):
    """A project whose environment prod requires signatures."""

    def content(self, text: str) -> None:
        """Give the next build other content."""
        (self.project_dir / "content").write_text(text)

    def running(self) -> list[str]:
        """Return the images of the project's containers."""
        label = f"label=com.docker.compose.project={self.projects[0]}"
        return docker("ps", "--filter", label, "--format", "{{.Image}}").splitlines()

    def refused(self, *words: str, **extra: str) -> str:
        """Deploy prod, assert that it is refused and starts nothing, and return stderr."""
        before = self.running()
        refusal = self.inv("deploy.prod", *words, code=3, **extra).stderr
        assert self.running() == before
        return refusal


@pytest.fixture(scope="module")
def registry_image(request: pytest.FixtureRequest) -> Iterator[str]:
    """The image of the registries and the projects' base image; removes everything with the label of these tests."""
    base = "slipway-base/debian:trixie"
    try:
        if not docker("image", "ls", "-q", base):
            request.getfixturevalue("sample")  # makes the stand-ins where no registry can be reached
        build_image()
        yield base if docker("image", "ls", "-q", base) else "debian:trixie"
    finally:
        for words in (("ps", "-aq"), ("image", "ls", "-q")):
            if ids := docker(*words, "--filter", f"label={LABEL}").splitlines():
                docker("rm" if words[0] == "ps" else "rmi", "--force", *ids, check=False)


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two pairs of keys, good and other, with one password."""
    directory = tmp_path_factory.mktemp("keys")
    for name in ("good", "other"):
        cosign("generate-key-pair", "--output-key-prefix", str(directory / name))
    return directory


def cosign(*words: str) -> None:
    """Run cosign by hand."""
    environment = {**os.environ, "COSIGN_PASSWORD": PASSWORD}
    subprocess.run(["cosign", *words], check=True, capture_output=True, timeout=60, env=environment)


@pytest.fixture
def signed(registry_image: str, keys: Path, tmp_path: Path) -> Iterator[Callable[..., Signed]]:
    """Make projects whose images are in a registry and have to be signed."""
    made: list[Signed] = []

    def make(host: str) -> Signed:
        name = f"slipway-signed-{os.getpid()}-{next(_NUMBERS)}"
        project = tmp_path / name
        (project / "envs").mkdir(parents=True)
        (project / "compose.yaml").write_text(_COMPOSE)
        (project / "Dockerfile").write_text(_DOCKERFILE.format(base=registry_image))
        repository = f"{host}/{name}" if host else name
        lines = ("COMPOSE_FILE=compose.yaml", f"COMPOSE_PROJECT_NAME={name}", f"IMAGE_REPOSITORY={repository}",
                 f"SIGN_KEY={keys}/good.key", f"VERIFY_KEY={keys}/good.pub", "PUSH_RETRIES=0",
                 "PUBLISH_RELEASES=false")  # fmt: skip
        (project / "envs" / "base.env").write_text("\n".join(lines) + "\n")
        (project / "envs" / "prod.env").write_text("IMAGE_TAG=prod\nVERIFY_SIGNATURES=true\n")
        (project / "envs" / "next.env").write_text(f"IMAGE_TAG=next\nCOMPOSE_PROJECT_NAME={name}-next\n")
        made.append(Signed(project, project / "envs", [name, f"{name}-next"]))
        made[-1].content("one")
        git(tmp_path, "init", "--quiet", str(project))
        return made[-1]

    yield make
    for name in (name for shop in made for name in shop.projects):
        remove(name)
        assert leftovers(name) == []


@pytest.fixture(scope="module")
def plain(registry_image: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Registry]:
    """A registry without password and TLS, for all tests: each has names of its own, and the base is sent once."""
    with registry(tmp_path_factory.mktemp("registry")) as made:
        yield made


def test_only_what_is_signed_by_the_key_is_deployed(plain: Registry, signed: Callable[..., Signed], keys: Path) -> None:
    shop, good = signed(plain.host), {"SIGN_PASSWORD": PASSWORD}
    assert "web, worker: the image would be built here" in shop.refused()
    shop.inv("build", "--env", "prod")
    assert f"{plain.host}/{shop.projects[0]}/web:prod of web was never pushed" in shop.refused()

    shop.inv("image.push", "--env", "prod", SIGN_KEY="")
    refusal = shop.refused()
    assert "web:prod of web (sha256:" in refusal
    assert refusal.count("is not signed (VERIFY_SIGNATURES)") == 2

    shop.inv("image.sign", "--env", "prod", SIGN_KEY=f"{keys}/other.key", COSIGN_PASSWORD=PASSWORD)
    assert shop.refused().count("is signed by another key than VERIFY_KEY") == 2
    assert {image["state"] for image in shop.json("image.verify", "--env", "prod", code=5)["images"]} == {
        "signed by another key"
    }

    shop.json("image.sign", "--env", "prod", "--service", "web", **good)
    assert "worker:prod of worker" in (refusal := shop.refused())
    assert "web:prod" not in refusal
    assert "then sign by digest with SIGN_KEY" in shop.inv("--dry", "image.push", "--env", "prod").stdout
    result = shop.inv("image.push", "--env", "prod", **good)  # signs what is there already
    assert PASSWORD not in result.stdout + result.stderr
    assert all(image["signed"] for image in shop.json("image.verify", "--env", "prod")["images"])
    shop.inv("deploy.prod")
    assert len(shop.running()) == 2


def test_a_signature_of_other_content_or_of_another_image_does_not_count(
    plain: Registry, signed: Callable[..., Signed]
) -> None:
    shop = signed(plain.host)
    name, good = shop.projects[0], {"SIGN_PASSWORD": PASSWORD}
    shop.inv("build", "--env", "prod", "--push", **good)
    shop.inv("deploy.prod")
    first = plain.digest(f"{name}/web:prod")

    # The tag moves to other content, and the old signature is copied to it.
    shop.content("two")
    shop.inv("build", "--env", "prod", "--push", SIGN_KEY="")
    assert shop.refused().count("is not signed") == 2
    copy_signature(plain, f"{name}/web", first, plain.digest(f"{name}/web:prod"))
    assert "has the signature of another image" in shop.refused()

    # A signed image under the name of another: image and signature are copied as they are.
    shop.inv("image.sign", "--env", "prod", **good)
    cosign("copy", "--force", f"{plain.host}/{name}/web:prod", f"{plain.host}/{name}/worker:prod")
    docker("pull", "--quiet", f"{plain.host}/{name}/worker:prod")
    images = shop.json("image.verify", "--env", "prod", "--service", "worker", code=5)["images"]
    assert [image["state"] for image in images] == ["signed as another image"]
    shop.refused()


def copy_signature(plain: Registry, repository: str, source: str, target: str) -> None:
    """Put the signature of one image where that of another is looked for."""
    kind = "application/vnd.oci.image.manifest.v1+json"

    def address(digest: str) -> str:
        return f"http://{plain.host}/v2/{repository}/manifests/{digest.replace(':', '-')}.sig"

    with urllib.request.urlopen(
        urllib.request.Request(address(source), headers={"Accept": kind}), timeout=10
    ) as answer:
        manifest = answer.read()
    request = urllib.request.Request(address(target), manifest, {"Content-Type": kind}, method="PUT")
    urllib.request.urlopen(request, timeout=10).close()


def test_what_takes_a_name_during_the_deploy_does_not_run(
    plain: Registry, signed: Callable[..., Signed], tmp_path: Path
) -> None:
    shop = signed(plain.host)
    name = f"{plain.host}/{shop.projects[0]}/web:prod"
    hook = tmp_path / "hooks" / "pre-deploy"
    hook.parent.mkdir()
    other = docker("inspect", "--format", "{{.Image}}", plain.container)
    hook.write_text(f"#!/bin/sh\ndocker tag {other} {name}\n")
    hook.chmod(0o755)
    shop.inv("build", "--env", "prod", "--push", SIGN_PASSWORD=PASSWORD)
    assert f"image {name} of web was never pushed" in shop.refused(SLIPWAY_HOOKS_DIR=str(hook.parent))


def test_a_release_that_is_pushed_is_signed_and_can_be_promoted(plain: Registry, signed: Callable[..., Signed]) -> None:
    shop = signed(plain.host)
    shop.inv("deploy.next", PUBLISH_RELEASES="true", SIGN_PASSWORD=PASSWORD)
    shop.inv("deploy.prod", PROMOTE_FROM="next")
    assert {image.rpartition(":")[2] for image in shop.running()} == {"prod"}


def test_exported_objects_are_an_artifact_that_is_pushed_once_signed_and_kept(
    plain: Registry, signed: Callable[..., Signed], keys: Path, tmp_path: Path
) -> None:
    shop = signed(plain.host)
    profile = shop.envs_dir / "prod.env"
    more = f"GITOPS_OCI_REPOSITORY=oci://{plain.host}/deploys\nKUBE_NAMESPACE=shop\n"
    profile.write_text(f"{profile.read_text().replace('VERIFY_SIGNATURES=true', 'VERIFY_SIGNATURES=false')}{more}")
    for words in (("add", "-A"), ("commit", "--quiet", "-m", "One"), ("tag", "v1.4.2")):
        git(shop.project_dir, *words)
    export, out = ("gitops.export", "--env", "prod", "--oci"), tmp_path / "told"
    unsigned = shop.json(*export, SIGN_KEY="")
    repository = f"deploys/{shop.projects[0]}"
    assert (unsigned["outcome"], unsigned["signed"], unsigned["tags"]) == ("pushed", False, ["prod-1.4.2", "prod"])
    digests = {plain.digest(f"{repository}:{tag}") for tag in unsigned["tags"]}
    assert digests == {unsigned["digest"]}

    again = shop.json(*export, "--out", str(out), SIGN_PASSWORD=PASSWORD)
    assert (again["outcome"], again["signed"], again["digest"]) == ("unchanged", True, unsigned["digest"])
    cosign("verify", f"--key={keys}/good.pub", "--insecure-ignore-tlog=true", f"{plain.host}/{repository}:prod")
    source = (out / "flux" / "prod" / "source.yaml").read_text()
    assert f"url: oci://{plain.host}/{repository}\n" in source and "provider: cosign\n" in source

    manifest = plain.document(repository, "prod")
    assert manifest["config"]["mediaType"] == "application/vnd.cncf.flux.config.v1+json"
    assert manifest["annotations"]["org.opencontainers.image.revision"].startswith("sha1:")
    (layer,) = manifest["layers"]
    with (
        urllib.request.urlopen(f"http://{plain.host}/v2/{repository}/blobs/{layer['digest']}", timeout=10) as answer,
        tarfile.open(fileobj=io.BytesIO(answer.read())) as archive,
    ):
        assert {"base/deployment-web.yaml", "overlays/prod/kustomization.yaml"} <= set(archive.getnames())
        assert again["files"] == len(archive.getnames())

    # A version keeps its content; the next one moves the tag of the environment, and an older one moves it back.
    refusal = shop.inv(*export, code=3, SIGN_PASSWORD=PASSWORD, IMAGE_TAG="other").stderr
    assert f"{repository}:prod-1.4.2: the registry has this version with other content" in refusal
    shop.content("two")
    git(shop.project_dir, "commit", "--quiet", "--all", "-m", "Two")
    git(shop.project_dir, "tag", "v1.4.3")
    second = shop.json(*export, SIGN_PASSWORD=PASSWORD)
    assert second["outcome"] == "pushed"
    assert plain.digest(f"{repository}:prod") == second["digest"] != again["digest"]
    git(shop.project_dir, "checkout", "--quiet", "v1.4.2")
    back = shop.json(*export, SIGN_PASSWORD=PASSWORD)
    assert (back["outcome"], back["digest"]) == ("pushed", again["digest"])
    assert plain.digest(f"{repository}:prod") == again["digest"]


def test_a_key_that_cannot_sign_is_one_clear_line_before_anything_is_sent(signed: Callable[..., Signed]) -> None:
    shop = signed("127.0.0.1:9")
    for setting, line in (
        ({"SIGN_KEY": "missing.key"}, "SIGN_KEY: cannot read missing.key (no such file or directory)"),
        ({"SIGN_KEY": "content"}, "SIGN_KEY: content is no private key of cosign"),
        ({"SIGN_KEY": "env://NO_SUCH"}, "SIGN_KEY: env://NO_SUCH names a variable that is not set"),
        ({"SIGN_PASSWORD": "guessed"}, "SIGN_KEY: the password does not open"),
        ({}, "SIGN_KEY: the password does not open"),
    ):
        result = shop.inv("image.push", "--env", "prod", code=2, **setting)
        assert result.stderr.startswith(line)
        assert len(result.stderr.splitlines()) == 2  # the line, and its hint
        assert "guessed" not in result.stderr


def test_verification_without_a_key_and_without_a_registry_says_so(signed: Callable[..., Signed], keys: Path) -> None:
    shop = signed("127.0.0.1:9")
    shop.inv("build", "--env", "prod")
    assert "VERIFY_KEY is not set" in shop.inv("deploy.prod", code=2, VERIFY_KEY="").stderr
    assert "registry 127.0.0.1:9 is not reachable" in shop.inv("image.push", "--env", "prod", code=1,
                                                               SIGN_PASSWORD=PASSWORD).stderr  # fmt: skip
    base = shop.envs_dir / "base.env"
    base.write_text(base.read_text().replace("=127.0.0.1:9/", "="))
    shop.inv("build", "--env", "prod")
    assert "was never pushed to its registry" in shop.refused()


def test_a_registry_with_tls_and_a_password_is_signed_in_verified_and_promoted(
    registry_image: str, signed: Callable[..., Signed], keys: Path, tmp_path: Path
) -> None:
    with registry(tmp_path, tls=True, password=True) as made, trusted(made, tmp_path):
        shop = signed(made.address)
        with login(tmp_path, made.address) as configuration:
            logged_in = {"DOCKER_CONFIG": configuration, "COSIGN_PASSWORD": PASSWORD}
            key = {"SIGN_KEY": "env://THE_KEY", "THE_KEY": (keys / "good.key").read_text()}
            shop.inv("build", "--env", "next", "--push", **logged_in, **key)
            shop.inv("image.promote", "--from", "next", "--to", "prod", **logged_in)
            assert all(image["signed"] for image in shop.json("image.verify", "--env", "prod", **logged_in)["images"])
            shop.inv("deploy.prod", **logged_in)
        assert "no login" in (said := shop.inv("image.verify", "--env", "prod", code=3).stderr) or "credentials" in said
