"""What an image is, whatever it is called, and which inputs are known to make it."""

from typing import Any

import pytest

from tasks.plan.contents import NO_ALIASES, aliases, content, kept_as


def inspected(**changes: Any) -> dict[str, Any]:
    """Return an image as the engine describes it; a change of ``Config`` is laid over what is there."""
    config = {
        "User": "70",
        "Env": ["PATH=/bin"],
        "Cmd": ["postgres"],
        "Labels": {"maintainer": "ada", "slipway.fingerprint": "aaa", "com.docker.compose.project": "shop"},
        "OnBuild": None,
    }
    found = {
        "Id": "sha256:1",
        "RepoTags": ["shop/database:dev"],
        "Created": "2026-05-06T07:08:09Z",
        "Os": "linux",
        "Architecture": "amd64",
        "RootFS": {"Type": "layers", "Layers": ["sha256:a", "sha256:b"]},
        **changes,
    }
    return {**found, "Config": {**config, **changes.get("Config", {})}}


@pytest.mark.parametrize(
    "changes",
    [
        {"Id": "sha256:2", "RepoTags": [], "Created": "2027-01-01T00:00:00Z", "Size": 1},
        {"Config": {"Labels": {"maintainer": "ada"}}},
        {"Config": {"Labels": {"maintainer": "ada", "slipway.other": "x", "com.docker.compose.service": "db"}}},
        {"Config": {"OnBuild": [], "Hostname": "", "AttachStdin": False, "Image": "sha256:parent"}},
    ],
)
def test_names_times_and_labels_of_ours_are_no_content(changes: dict[str, Any]) -> None:
    assert content(inspected(**changes)) == content(inspected())


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
    assert content(inspected(**changes)) != content(inspected())


def test_inputs_stand_for_the_image_that_they_made() -> None:
    known = NO_ALIASES.adding("shop/web:dev", "sha256:1", "f1").adding("shop/web:dev", "sha256:1", "f2")
    known = known.adding("shop/api:dev", "sha256:9", "f1")
    assert known.stand_for("shop/web:dev", "sha256:1", "f1")
    assert known.stand_for("shop/web:dev", "sha256:1", "f2")
    assert not known.stand_for("shop/web:dev", "sha256:2", "f1")
    assert not known.stand_for("shop/web:staging", "sha256:1", "f1")


def test_what_was_known_of_an_image_goes_with_it() -> None:
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


def test_what_is_kept_is_read_again() -> None:
    known = NO_ALIASES.adding("shop/web:dev", "sha256:1", "f1")
    assert aliases(known.document()) == known


@pytest.mark.parametrize("document", [b"", b"{", b"[]", b'{"images": []}', b'{"images": {"a": 1}}'])
def test_what_is_not_understood_is_as_nothing(document: bytes) -> None:
    assert aliases(document) == NO_ALIASES


def test_each_project_keeps_its_own() -> None:
    assert kept_as("shop-dev") == ("shop-dev-builds", "current")
