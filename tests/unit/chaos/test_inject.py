"""Faults over a fake engine: when one is in effect, what is taken back, what is left."""

from pathlib import Path

import pytest
from fake_project import FakeProject
from fakes import Fate, World
from support import container

from tasks.chaos import active, helper, inject
from tasks.chaos.inject import Allowed, wanted
from tasks.chaos.plan.active import ACTIVE, LEFT
from tasks.model.command import Command
from tasks.model.engine.facts import Container
from tasks.model.errors import RefusedError
from tasks.model.lock import HeldLock, Lock

IMAGE = "slipway-chaos:1"
HELD = HeldLock(Lock("shop", "ada", "host", 7, "deploy"), "token", 0.0, 0.0, "2026-11-29T10:00:00Z")


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeProject:
    """A project of which two containers run, on an engine that has the image of the helpers."""
    world = World(
        [container("shop-web-1", networks=("shop_default",)), container("shop-web-2", networks=("shop_default",))]
    )
    project = FakeProject(world, tmp_path, CHAOS_IMAGE=IMAGE)
    project.files({"web": {"image": "web:1"}, "db": {"image": "db:1"}})
    says(world, "in effect")
    monkeypatch.setattr(inject.lock, "left", lambda _: (None, ""))
    monkeypatch.setattr(inject, "_BEGIN", 0.0)
    monkeypatch.setattr(active, "_UNDOING", 1.0)
    return project


def says(world: World, *lines: str) -> None:
    """Let a helper say these lines."""
    world.pulled(IMAGE, "sha256:helper", Fate(log="\n".join(lines)))
    world.fates["sha256:helper"] = Fate(log="\n".join(lines))


def make(project: FakeProject, name: str = "cut", **allowed: bool) -> None:
    inject.run(project, wanted(name, "web", "10s", "", "", ""), Allowed(**allowed), stay=False)


def helpers(project: FakeProject) -> list[str]:
    return [one.name for one in project.world.boxes if "-chaos-" in one.name]


def test_a_fault_is_made_in_each_container_and_goes_on(shop: FakeProject) -> None:
    make(shop)
    assert helpers(shop) == ["shop-web-1-chaos-cut", "shop-web-2-chaos-cut"]
    assert [(one.fault, one.target, one.state) for one in active.found(shop)] == [
        ("cut", "shop-web-1", ACTIVE),
        ("cut", "shop-web-2", ACTIVE),
    ]


def test_a_fault_that_cannot_be_made_in_one_container_is_made_in_none(shop: FakeProject) -> None:
    says(shop.world, "failed: this kernel has no queue for packets (NFQUEUE)", "over")
    with pytest.raises(RefusedError, match="slow in shop-web-1: this kernel has no queue"):
        make(shop, "slow")
    assert helpers(shop) == []
    assert "docker stop shop-web-1-chaos-slow" in shop.world.asked
    assert "docker stop shop-web-2-chaos-slow" in shop.world.asked


def test_a_helper_that_does_not_start_takes_the_others_back(shop: FakeProject) -> None:
    shop.world.fails("docker run --detach --name=shop-web-2", "Error response from daemon: no space left")
    with pytest.raises(Exception, match="docker run"):
        make(shop)
    assert helpers(shop) == []


def test_a_fault_that_is_there_is_not_made_twice(shop: FakeProject) -> None:
    make(shop)
    with pytest.raises(RefusedError, match="cut is there already in shop-web-1"):
        make(shop)
    make(shop, "loss")
    assert len(helpers(shop)) == 4


def test_the_next_run_undoes_what_a_killed_helper_left(shop: FakeProject, monkeypatch: pytest.MonkeyPatch) -> None:
    make(shop)
    shop.world.change(["shop-web-1-chaos-cut"], state="exited", exit_code=137)
    assert active.found(shop)[0].state == LEFT

    started: list[str] = []

    def start(_command: Command, *names: str) -> None:
        started.extend(names)
        shop.world.change(names, state="exited", exit_code=0)

    monkeypatch.setattr(shop.runner, "_start", start)
    make(shop, "loss")
    assert started == ["shop-web-1-chaos-cut"]
    assert helpers(shop) == ["shop-web-2-chaos-cut", "shop-web-1-chaos-loss", "shop-web-2-chaos-loss"]


def test_what_cannot_be_undone_is_said_and_kept(shop: FakeProject) -> None:
    make(shop)
    shop.world.change(["shop-web-1-chaos-cut"], state="exited", exit_code=137)
    shop.world.fails("docker start shop-web-1-chaos-cut", "Error response from daemon: no such device")
    with pytest.raises(RefusedError, match=r"cut in shop-web-1 is not undone: .*no such device"):
        active.stop(shop)
    assert "shop-web-1-chaos-cut" in helpers(shop)


def test_a_fault_in_the_network_of_a_container_that_is_gone_is_gone_too(shop: FakeProject) -> None:
    make(shop)
    shop.world.change(["shop-web-1-chaos-cut"], state="exited", exit_code=137)
    shop.world.boxes[:] = [one for one in shop.world.boxes if one.name != "shop-web-1"]
    shop.world.fails(
        "docker start shop-web-1-chaos-cut", "Error response from daemon: No such container: id-shop-web-1"
    )
    active.sweep(shop)
    assert helpers(shop) == ["shop-web-2-chaos-cut"]


def test_ended_helpers_of_copies_are_forgotten_and_no_others(shop: FakeProject) -> None:
    for name, project, state in (
        ("a", "shop-chaos-1", "exited"),
        ("b", "shop-chaos-2", "running"),
        ("c", "shop", "exited"),
        ("d", "other-chaos-1", "exited"),
    ):
        shop.world.boxes.append(Container(name, name, "", "", "", state))
        shop.world.labels[name] = (f"slipway.chaos={project}",)
    active.forget_copies(shop, "shop-chaos-")
    assert [one.name for one in shop.world.boxes if len(one.name) == 1] == ["b", "c", "d"]


def test_stop_ends_only_what_it_is_asked_for(shop: FakeProject) -> None:
    make(shop)
    assert active.stop(shop, "db") == ()
    assert len(active.stop(shop, "web")) == 2
    assert helpers(shop) == []


def test_a_dry_run_shows_the_blast_radius_and_the_commands(
    shop: FakeProject, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    shown: list[str] = []
    shop.runner.dry = True
    monkeypatch.setattr(shop.runner, "show", shown.append)
    monkeypatch.setattr(shop.runner, "run", lambda command: shown.append(command.shell()))
    make(shop)
    assert shown[1] == "containers: shop-web-1, shop-web-2"
    assert shown[3].startswith("docker run --detach --name=shop-web-1-chaos-cut")
    assert helpers(shop) == []


def test_a_deploy_is_not_disturbed(shop: FakeProject, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inject.lock, "left", lambda _: (HELD, ""))
    with pytest.raises(RefusedError, match="shop is locked by ada"):
        make(shop)
    make(shop, deploy=True)
    assert len(helpers(shop)) == 2


def test_the_image_is_built_once_by_the_content_of_its_sources(shop: FakeProject) -> None:
    own = FakeProject(shop.world, Path(shop.cwd))
    own.settings.home = Path(__file__).parents[3]
    name = helper.provide(own)
    assert name.startswith("slipway-chaos:") and len(name) == len("slipway-chaos:") + 12
    assert helper.provide(own) == name
    assert len([line for line in shop.world.asked if line.startswith("docker build")]) == 1


def test_without_a_registry_the_image_is_built_on_the_stand_in(shop: FakeProject) -> None:
    own = FakeProject(shop.world, Path(shop.cwd), BASE_IMAGES="local")
    own.settings.home = Path(__file__).parents[3]
    with pytest.raises(RefusedError, match="built on slipway-base/debian:trixie") as refused:
        helper.provide(own)
    assert refused.value.hint == "inv image.bases"
    shop.world.pulled("slipway-base/debian:trixie", "sha256:debian")
    helper.provide(own)
    assert "--build-context=debian:trixie-slim=docker-image://slipway-base/debian:trixie" in shop.world.asked[-1]


def test_what_the_whole_host_has_is_made_only_where_that_is_allowed(shop: FakeProject) -> None:
    shop.world.boxes.append(container("other-web-1", project="other"))
    asked = wanted("engine-restart", "", "10s", "", "", "")
    with pytest.raises(RefusedError, match="the whole host has engine-restart, also other") as refused:
        inject.run(shop, asked, Allowed(), stay=False)
    assert refused.value.hint == "on a host that is there for it: --allow-host"
    assert helpers(shop) == []
    says(shop.world, "started again", "over")
    inject.run(shop, asked, Allowed(host=True), stay=False)
    assert helpers(shop) == ["shop-chaos-engine-restart"]


def test_a_fault_of_the_host_that_is_not_undone_is_not_taken_for_one_of_a_container_that_is_gone(
    shop: FakeProject,
) -> None:
    says(shop.world, "started again", "over")
    inject.run(shop, wanted("engine-restart", "", "10s", "", "", ""), Allowed(host=True), stay=False)
    shop.world.change(["shop-chaos-engine-restart"], state="exited", exit_code=137)
    shop.world.fails("docker start shop-chaos-engine-restart", "Error response from daemon: no space left")
    with pytest.raises(RefusedError, match="engine-restart in the host is not undone"):
        active.stop(shop)


def test_an_engine_that_is_away_by_the_fault_is_waited_for_and_no_other(
    shop: FakeProject, monkeypatch: pytest.MonkeyPatch
) -> None:
    restarts, cut = (
        wanted(name, service, "10s", "", "", "") for name, service in (("engine-restart", ""), ("cut", "web"))
    )

    def away(_: str) -> None:
        raise RefusedError("no Docker engine answers", "start it")

    monkeypatch.setattr(shop.engine, "inspect", away)
    assert inject._look(shop, "helper", restarts) == ([], False)
    with pytest.raises(RefusedError, match="no Docker engine answers"):
        inject._look(shop, "helper", cut)
