"""The digest of an image's content, and the build inputs that are known to make it."""

from typing import Any

import pytest

from tasks.model.engine.image_contents import NO_ALIASES, aliases, aliases_reference, content_digest


def inspected(**changes: Any) -> dict[str, Any]:
    """Return an image as the engine describes it; changes of ``Config`` are merged into it."""
    config = {
        "User": "70",
        "Env": ["PATH=/bin"],
        "Cmd": ["postgres"],
        "Labels": {"maintainer": "ada", "slipway.fingerprint": "aaa", "com.docker.compose.project": "shop"},
        "OnBuild": None,
    }
    description = {
        "Id": "sha256:1",
        "RepoTags": ["shop/database:dev"],
        "Created": "2026-05-06T07:08:09Z",
        "Os": "linux",
        "Architecture": "amd64",
        "RootFS": {"Type": "layers", "Layers": ["sha256:a", "sha256:b"]},
        **changes,
    }
    return {**description, "Config": {**config, **changes.get("Config", {})}}


@pytest.mark.parametrize(
    "changes",
    [
        {"Id": "sha256:2", "RepoTags": [], "Created": "2027-01-01T00:00:00Z", "Size": 1},
        {"Config": {"Labels": {"maintainer": "ada"}}},
        {"Config": {"Labels": {"maintainer": "ada", "slipway.other": "x", "com.docker.compose.service": "db"}}},
        {"Config": {"OnBuild": [], "Hostname": "", "AttachStdin": False, "Image": "sha256:parent"}},
    ],
)
def test_names_times_and_labels_of_slipway_are_not_part_of_the_content(changes: dict[str, Any]) -> None:
    assert content_digest(inspected(**changes)) == content_digest(inspected())


@pytest.mark.parametrize(
    "changes",
    [
        {"RootFS": {"Layers": ["sha256:a"]}},
        {"RootFS": {"Layers": ["sha256:b", "sha256:a"]}},
        {"Architecture": "arm64"},
        {"Config": {"Env": ["PATH=/usr/bin"]}},
        {"Config": {"User": ""}},
        {"Config": {"Healthcheck": {"Test": ["CMD", "/check"]}}},
        {"Config": {"Labels": {"maintainer": "grace"}}},
        {"Config": {"Labels": {"maintainer": "ada", "com.docker.compose.version": "2.26.1"}}},
    ],
)
def test_whatever_a_container_would_notice_is_content(changes: dict[str, Any]) -> None:
    assert content_digest(inspected(**changes)) != content_digest(inspected())


def test_inputs_stand_for_the_image_that_they_made() -> None:
    known = NO_ALIASES.adding("shop/web:dev", "sha256:1", "f1").adding("shop/web:dev", "sha256:1", "f2")
    known = known.adding("shop/api:dev", "sha256:9", "f1")
    assert known.stand_for("shop/web:dev", "sha256:1", "f1")
    assert known.stand_for("shop/web:dev", "sha256:1", "f2")
    assert not known.stand_for("shop/web:dev", "sha256:2", "f1")
    assert not known.stand_for("shop/web:staging", "sha256:1", "f1")


def test_inputs_of_a_replaced_image_are_forgotten() -> None:
    known = NO_ALIASES.adding("shop/web:dev", "sha256:1", "f1").adding("shop/web:dev", "sha256:2", "f2")
    assert not known.stand_for("shop/web:dev", "sha256:1", "f1")
    assert known.stand_for("shop/web:dev", "sha256:2", "f2")


def test_only_the_newest_inputs_of_an_image_are_remembered() -> None:
    known = NO_ALIASES
    for number in range(100):
        known = known.adding("shop/web:dev", "sha256:1", f"f{number}")
    assert known.stand_for("shop/web:dev", "sha256:1", "f99")
    assert not known.stand_for("shop/web:dev", "sha256:1", "f0")
    assert len(known.document()) < 1000


def test_stored_aliases_are_read_back() -> None:
    known = NO_ALIASES.adding("shop/web:dev", "sha256:1", "f1")
    assert aliases(known.document()) == known


@pytest.mark.parametrize("document", [b"", b"{", b"[]", b'{"images": []}', b'{"images": {"a": 1}}'])
def test_an_invalid_document_of_aliases_is_empty(document: bytes) -> None:
    assert aliases(document) == NO_ALIASES


def test_each_project_has_aliases_of_its_own() -> None:
    assert aliases_reference("shop-dev") == ("shop-dev-builds", "current")
