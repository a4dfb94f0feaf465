"""The OCI artifact that `gitops.export --oci` pushes: its bytes, the commands that send it, and what they answer."""

import gzip
import hashlib
import io
import json
import tarfile

import pytest

from tasks.gitops.artifact import archive
from tasks.gitops.plan import artifact, exported
from tasks.image.plan.signing import Trust
from tasks.model.errors import InputError, RefusedError

FILES = {
    "overlays/prod/kustomization.yaml": "a: 1\n",
    "base/app.yaml": "größe: 2\n",
    f"base/{'x' * 120}.yaml": "b: 3\n",
}
NOTES = artifact.annotations("https://git.example.com/shop.git", "a" * 40, "2026-01-02T03:04:05Z")
NAME = "registry.example.com/deploys/shop"


def test_an_artifact_has_the_media_types_that_flux_reads_and_says_where_it_comes_from() -> None:
    made = artifact.artifact(archive(FILES), NOTES)
    manifest = json.loads(made.manifest)
    (layer,) = manifest["layers"]
    assert manifest["config"]["mediaType"] == "application/vnd.cncf.flux.config.v1+json"
    assert layer["mediaType"] == "application/vnd.cncf.flux.content.v1.tar+gzip"
    assert manifest["annotations"] == {
        "org.opencontainers.image.created": "2026-01-02T03:04:05Z",
        "org.opencontainers.image.revision": f"sha1:{'a' * 40}",
        "org.opencontainers.image.source": "https://git.example.com/shop.git",
    }
    for one, content in ((manifest["config"], made.config), (layer, made.layer)):
        assert (one["digest"], one["size"]) == (f"sha256:{hashlib.sha256(content).hexdigest()}", len(content))


def test_its_layer_has_the_files_and_nothing_of_this_machine() -> None:
    with tarfile.open(fileobj=io.BytesIO(gzip.decompress(artifact.artifact(archive(FILES), {}).layer))) as tar:
        members = tar.getmembers()
        texts = {one.name: tar.extractfile(one).read().decode() for one in members}  # type: ignore[union-attr]
    assert texts == FILES
    assert {(one.mtime, one.uid, one.gid, one.uname, one.gname) for one in members} == {(0, 0, 0, "", "")}


def test_the_same_files_make_the_same_digest_in_whatever_order_they_come() -> None:
    again = artifact.artifact(archive(dict(reversed(FILES.items()))), dict(reversed(NOTES.items())))
    assert again == artifact.artifact(archive(FILES), NOTES)
    assert artifact.artifact(archive({**FILES, "base/app.yaml": "größe: 3\n"}), NOTES).digest != again.digest


def test_files_are_the_same_whatever_the_artifact_says_of_their_source() -> None:
    other = artifact.artifact(archive(FILES), artifact.annotations("git@git.example.com:shop.git", "b" * 64, ""))
    assert artifact.same(other.manifest, artifact.artifact(archive(FILES), NOTES))
    assert not artifact.same(artifact.artifact(archive({"a": ""}), NOTES).manifest, other)
    assert not artifact.same(b"<html>", other)


def test_what_is_not_known_of_a_source_is_left_out() -> None:
    assert artifact.annotations("", "", "1970-01-01T00:00:00Z") == {
        "org.opencontainers.image.created": "1970-01-01T00:00:00Z"
    }
    assert artifact.annotations("", "b" * 64, "")["org.opencontainers.image.revision"] == f"sha256:{'b' * 64}"


def test_a_layout_names_the_manifest_which_is_stored_by_its_digest() -> None:
    made = artifact.artifact(archive(FILES), NOTES)
    layout = made.layout()
    assert artifact.stored(layout["index.json"]) == made.digest
    assert layout[f"blobs/{made.digest.replace(':', '/')}"] == made.manifest
    assert len(layout) == 5
    assert artifact.stored(b'{"manifests": [{"digest": "x", "annotations": {"kind": "a list"}}]}') == ""


@pytest.mark.parametrize(
    ("trust", "options"),
    [
        (Trust(), ()),
        (Trust(loopback=True), ("--allow-insecure-registry=true",)),
        (Trust(authority="/etc/ca.crt"), ("--registry-cacert=/etc/ca.crt",)),
    ],
)
def test_a_registry_is_trusted_as_it_is_for_signatures(trust: Trust, options: tuple[str, ...]) -> None:
    assert artifact.load("made", f"{NAME}:prod", trust, {}).argv == (
        *("cosign", "load", "--dir", "made", *options, f"{NAME}:prod"),
    )
    assert artifact.save(f"{NAME}:prod", "there", trust, {}).argv[4:-1] == options
    assert artifact.resolve(f"{NAME}:prod", trust, {}).argv[3:-1] == options


def test_cosign_tells_the_digest() -> None:
    digest = f"sha256:{'c' * 64}"
    assert artifact.resolved(f"{NAME}@{digest}") == digest
    assert artifact.resolved("") == ""


@pytest.mark.parametrize(
    "said",
    [
        "MANIFEST_UNKNOWN: manifest unknown; map[Tag:prod]",
        "NAME_UNKNOWN: repository name not known to registry",
        "signed entity: entity not found in registry, error: GET https://x/v2/: unexpected status code 404 Not Found",
    ],
)
def test_an_artifact_that_is_not_there_is_no_fault_but_one_that_cannot_be_pushed_is(said: str) -> None:
    assert artifact.fault(NAME, 1, f"error during command execution: {said}") is None
    assert artifact.refused(NAME, 1, f"error during command execution: {said}") is not None
    assert artifact.refused(NAME, 0, "") is None


def test_a_registry_that_does_not_answer_may_be_asked_again_and_one_that_denies_may_not() -> None:
    away = artifact.fault(NAME, 1, 'error: Get "https://x/v2/": dial tcp 127.0.0.1:1: connect: connection refused')
    denied = artifact.refused(NAME, 1, "error: POST https://x/v2/: DENIED: requested access to the resource is denied")
    assert away is not None and away.passing
    assert denied is not None and not denied.passing and isinstance(denied.error(), RefusedError)


def test_an_export_goes_into_a_branch_or_into_a_registry() -> None:
    for oci, branch, push, out in ((True, "deploy/prod", False, ""), (True, "", True, ""), (False, "", False, "o")):
        with pytest.raises(InputError):
            exported.refuse_mixed(oci, branch, push, out)
    exported.refuse_mixed(True, "", False, "o")
    exported.refuse_mixed(False, "deploy/prod", True, "")
