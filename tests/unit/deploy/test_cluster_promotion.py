"""Which images a deploy to a cluster promotes, and whether what it runs is signed."""

import subprocess
import sys
from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any, cast

import pytest
from support import ROOT, profile, stack

from tasks.deploy.cluster.promotion import pinned
from tasks.deploy.gate import signatures
from tasks.deploy.plan.deploy import Deploy
from tasks.host.project import Project
from tasks.image.plan import signing
from tasks.image.plan.signing import Status
from tasks.reconcile.plan.operation import Plan
from tasks.release.plan.release import Pinned, Promotion, Release

DIGEST = f"registry.example.com/shop/app@sha256:{'a' * 64}"
SHOP = stack(
    {
        "app": {"image": "registry.example.com/shop/app:prod", "build": {"context": "/p"}, "pull_policy": "always"},
        "migrate": {"image": "registry.example.com/shop/app:prod"},
        "db": {"image": "postgres:17"},
    }
)


def promotion(images: Mapping[str, Pinned]) -> Promotion:
    return Promotion("staging", Release(4, "staging", "1.4.0", "c", "", "", images=images), {})


def test_what_is_built_and_what_uses_its_image_get_the_digest_of_the_other_environment() -> None:
    found = pinned(SHOP, promotion({"app": Pinned("app:staging", "", DIGEST), "db": Pinned("postgres:16", "", "x@y")}))

    assert found == {"app": DIGEST, "migrate": DIGEST}


def test_what_the_other_environment_does_not_have_stays_as_it_is() -> None:
    assert pinned(SHOP, promotion({})) == {}


def faults(monkeypatch: pytest.MonkeyPatch, images: Mapping[str, str], **states: str) -> list[str]:
    """Return the faults of images, of which the registry says the states; its answers are by service."""

    def statuses(_: Project, services: Mapping[str, Any], known: Mapping[str, tuple[str, ...]]) -> list[Status]:
        return [
            Status(services[image], image, states.get(services[image][0], signing.SIGNED), names[0].partition("@")[2])
            for image, names in known.items()
        ]

    monkeypatch.setattr(signatures, "statuses", statuses)
    project = SimpleNamespace(profile=profile(), stack=SHOP)
    found = signatures.unmet_of(cast(Project, project), Deploy(Plan((), ())), images)
    return [reason for reason, _ in found]


def test_pods_that_name_signed_images_by_digest_may_run_whatever_the_pull_policy(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert faults(monkeypatch, {"app": DIGEST, "migrate": DIGEST}) == []


def test_an_image_that_is_not_signed_or_not_pinned_may_not_run(monkeypatch: pytest.MonkeyPatch) -> None:
    said = faults(monkeypatch, {"app": DIGEST, "db": "postgres:17"}, app=signing.UNSIGNED)

    assert [reason.partition(" (")[0] for reason in said] == [
        f"image {DIGEST} of app",
        "image postgres:17 of db is not on the engine: what would be pulled when it starts is not known",
    ]
    assert "is not signed" in said[0]


def test_an_image_that_was_built_and_never_pushed_may_not_run(monkeypatch: pytest.MonkeyPatch) -> None:
    (said,) = faults(monkeypatch, {"app": "registry.example.com/shop/app:prod"})

    assert "was never pushed to its registry" in said


def test_a_plan_that_promotes_nothing_loads_nothing_for_it() -> None:
    code = "import sys, tasks.deploy.cluster.show; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    loaded = set(done.stdout.split())
    assert "tasks.deploy.cluster.promotion" in loaded
    assert not loaded & {"tasks.release.promote", "tasks.image.transfers", "tasks.image.sign"}
