"""gitops.export --oci as it is typed, without a registry: what it would push, and what it refuses."""

from pathlib import Path

import pytest
from test_export import PASSWORD, Shop

REGISTRY = "127.0.0.1:9"  # discards
REPOSITORY = {"GITOPS_OCI_REPOSITORY": f"oci://{REGISTRY}/deploys", "PUSH_RETRIES": "0"}
EXPORT = ("gitops.export", "--env", "prod", "--oci")


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    made = Shop(tmp_path)
    made.profile(**REPOSITORY)
    return made


def test_a_dry_run_shows_what_would_be_pushed_signed_and_written(shop: Shop) -> None:
    shop.profile(**REPOSITORY, SIGN_KEY="/nowhere/cosign.key", SIGN_PASSWORD=PASSWORD)
    said = shop.typed("--dry", *EXPORT, "--out", str(shop.directory / "told"))
    name, version = f"{REGISTRY}/deploys/shop", f"prod-0.0.0-dev.g{shop.git('rev-parse', '--short=7', 'HEAD')}"
    lines = [line for line in said.stdout.splitlines() if not line.startswith("export ")]
    assert "# pack base/deployment-app.yaml" in lines
    assert "# pack waves/prod/2/kustomization.yaml" in lines
    commands = [line for line in lines if line.startswith("cosign ")]
    assert [words.split()[1] for words in commands] == ["load", "sign", "load"], "signed before the tag leads to it"
    assert commands[0].endswith(f" {name}:{version}") and commands[2].endswith(f" {name}:prod")
    assert f"{name}@sha256:" in commands[1]
    assert f"# write {shop.directory / 'told' / 'flux' / 'prod' / 'source.yaml'}" in lines
    assert not (shop.directory / "told").exists()
    assert PASSWORD not in said.stdout + said.stderr


def test_the_same_commit_makes_the_same_digest(shop: Shop) -> None:
    shop.profile(**REPOSITORY, SIGN_KEY="/nowhere/cosign.key")

    def digest() -> str:
        return shop.typed("--dry", *EXPORT).stdout.partition("@sha256:")[2][:64]

    first = digest()
    assert digest() == first != ""
    shop.release("2")
    assert digest() != first


def test_what_is_not_said_or_cannot_be_is_one_line(shop: Shop) -> None:
    shop.profile(GITOPS_OCI_REPOSITORY="")
    assert "GITOPS_OCI_REPOSITORY is not set" in shop.typed(*EXPORT, code=2).stderr
    shop.profile(GITOPS_OCI_REPOSITORY="registry.example.com/deploys")
    assert "GITOPS_OCI_REPOSITORY: expected an OCI repository" in shop.typed(*EXPORT, code=2).stderr
    shop.profile(**REPOSITORY, KUBE_NAMESPACE="")
    assert "KUBE_NAMESPACE is not set" in shop.typed(*EXPORT, code=2).stderr
    shop.profile(**REPOSITORY)
    assert "--branch and --oci: " in shop.typed(*EXPORT, "--branch", "deploy/prod", code=2).stderr
    assert "--push and --oci: " in shop.typed(*EXPORT, "--push", code=2).stderr
    assert "--out: only for --oci" in shop.export("--out", "told", code=2).stderr


def test_what_has_to_be_signed_or_committed_and_is_not_is_refused(shop: Shop) -> None:
    shop.profile(**REPOSITORY, VERIFY_SIGNATURES="true", VERIFY_KEY="cosign.pub")
    assert "VERIFY_SIGNATURES is true, and nothing says" in shop.typed(*EXPORT, code=3).stderr
    shop.profile(**REPOSITORY, REQUIRE_CLEAN="true")
    (shop.work / "compose.yaml").write_text((shop.work / "compose.yaml").read_text() + "# other\n")
    assert "not exported: the checkout has uncommitted changes" in shop.typed(*EXPORT, code=3).stderr
