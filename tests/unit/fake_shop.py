"""A project that is deployed over a fake engine: what its files say, its lock, and how it stands."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from fake_project import FakeProject, config_hash
from fakes import FakeResources, Fate, World
from support import profile

from tasks.deploy import carry_out, release
from tasks.deploy.pending import has_operations, prepare_deploy, unrecorded
from tasks.deploy.prepare import DeployRequest
from tasks.model.errors import LockLostError
from tasks.model.profile.profile import Profile
from tasks.reconcile import desire, observe
from tasks.release import store

NETWORKS = {"default": {"name": "shop_default"}}
CHECK = {"test": ["CMD", "true"]}


class Lock:
    """A lock that is held until it is ``lost``, or has been looked at so many times (``holds``)."""

    lost, holds, looks = False, 10**6, 0

    def verify(self) -> None:
        self.looks += 1
        if self.lost or self.looks > self.holds:
            raise LockLostError("the lock of shop is lost")

    def lose(self) -> None:
        self.lost = True


class Shop:
    """A project that is deployed, its engine, and the lock that it is deployed under."""

    def __init__(self, directory: Path, lock: Lock, **values: str) -> None:
        self.world, self.lock = World(), lock
        self.project = FakeProject(self.world, directory, **values)

    def with_profile(self, **values: str) -> Profile:
        """Return a profile with other values."""
        return profile(**values)

    def says(self, tag: int, fate: Fate | None = None, **more: Any) -> None:
        """Let the Compose files run ``web`` by another tag, beside other services."""
        self.world.pulled(f"web:{tag}", f"sha256:web{tag}", fate)
        web = {"image": f"web:{tag}", "healthcheck": CHECK, "networks": {"default": None}}
        top = {key: more.pop(key) for key in ("volumes",) if key in more}
        self.project.files({"web": {**web, **more.pop("web", {})}, **more}, networks=NETWORKS, **top)

    def deploy(self) -> None:
        found = prepare_deploy(self.project, DeployRequest())
        carry_out.carry_out(self.project, found, True, False, json=False, patience=0, interrupt=False, take=False)

    def serves(self) -> dict[str, str]:
        """Return the image of each service that is healthy."""
        return {
            one.service: one.image_id for one in self.world.boxes if one.state == "running" and one.health == "healthy"
        }

    def history(self) -> list[tuple[int, str]]:
        return [(one.id, one.outcome) for one in store.history(self.project)]

    def settled(self) -> bool:
        """Whether a next deploy of the same would have nothing to do, and nothing to record."""
        found = prepare_deploy(self.project, DeployRequest())
        return not has_operations(found) and not unrecorded(self.project, found)


def empty(directory: Path, monkeypatch: pytest.MonkeyPatch, **values: str) -> Shop:
    """Return a project of which nothing runs yet; ``values`` are those of its profile."""
    shop = Shop(directory, Lock(), **{"DEPLOY_NICE": "0", **values})

    @contextmanager
    def held(*_: object) -> Iterator[Lock]:
        yield shop.lock

    def asked(_: object, models: Any) -> list[dict[str, str]]:
        return [{name: config_hash(raw) for name, raw in one["services"].items()} for one in models]

    monkeypatch.setattr(observe, "Resources", FakeResources)
    monkeypatch.setattr(desire, "_asked", asked)  # Compose's hashes, of which it is asked in processes
    monkeypatch.setattr(carry_out.host_lock, "project_lock", held)
    monkeypatch.setattr(release, "_ENGINE", 1.5)
    return shop


def job(tag: int) -> dict[str, Any]:
    return {"image": f"job:{tag}", "networks": {"default": None}, "x-slipway": {"job": "once"}}
