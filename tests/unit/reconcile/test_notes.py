"""What is noted while a plan is carried out, and configuration that a service does not accept meanwhile."""

import tarfile
from collections.abc import Callable
from contextlib import nullcontext
from types import SimpleNamespace
from typing import Any

import pytest
from fakes import FakeEngine, World
from support import container, desired, profile

from tasks.model.compose import Source
from tasks.model.errors import CommandError, DeployError, RefusedError, SlipwayError
from tasks.reconcile.notes import Notes
from tasks.reconcile.parallel import ThreadProject
from tasks.reconcile.placed_files import Exchange, PlacedFiles
from tasks.reconcile.plan.mounts import Content
from tasks.reconcile.plan.observed import UNFINISHED, Stamp, State
from tasks.reconcile.plan.operation import Operation
from tasks.reconcile.service_reload import ServiceReload
from tasks.reconcile.state import read

CONF = {"type": "bind", "source": "/src/conf", "target": "/etc/web", "read_only": True}
WEB = {"volumes": [CONF], "x-slipway": {"reload": {"check": ["web", "-t"]}}}
OLD = Content("old", directory=True)


def raised(error: Exception) -> Callable[[], None]:
    def act() -> None:
        raise error

    return act


def project(engine: FakeEngine) -> Any:
    return SimpleNamespace(engine=engine, stack=SimpleNamespace(project="shop"), profile=profile(), cwd="/srv")


def exchange() -> Exchange:
    entry = tarfile.TarInfo("web.conf")
    return Exchange("shop-web-place-1", "sha256:a", {"web.conf": (entry, b"old")}, {"web.conf": (entry, b"new")})


class Reloaded:
    """A service that reloads its configuration; ``asked``: its commands, ``written``: what is put into its volume."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, accepts: bool) -> None:
        self.web, self.other = container(mounted=(("shop-web-place-1", "/etc/web"),)), container("shop-db-1", id="db")
        self.engine = FakeEngine(World([self.web, self.other]))
        made, mine = desired({"web": WEB}, {"/etc/web": "new"}), ThreadProject(project(self.engine))
        state = State({self.web.id: Stamp({"/etc/web": OLD}), "db": Stamp(proven=False)})
        self.notes = Notes(mine, made, 1, state)
        self.accepts, self.asked, self.written = accepts, list[tuple[str, ...]](), list[bytes]()
        placed = PlacedFiles(mine, Source(profile(), "/srv"), made, self.notes.lock)
        monkeypatch.setattr(placed, "exchanges", lambda *_: (exchange(),))
        monkeypatch.setattr(placed, "_write", lambda exchange, before, after: self.written.append(after["web.conf"][1]))
        self.reloading = ServiceReload(made, self.notes, placed, self.docker)

    def docker(self, *words: str) -> None:
        """Check, as long as another thread notes something of another container."""
        self.asked.append(words)
        assert read(project(self.engine)).stamps[self.web.id].references["/etc/web"].digest == UNFINISHED.digest
        self.notes.prove(["shop-db-1"])
        if not self.accepts:
            raise CommandError("docker exec: no such directive", 1)

    def reload(self) -> None:
        self.reloading.reload(Operation("reload", "web", services=("web",)), (self.web,))


def test_rejected_files_are_put_back_and_notes_of_other_threads_stay(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    web = Reloaded(monkeypatch, accepts=False)
    with pytest.raises(DeployError, match="web does not accept its configuration: docker exec: no such directive"):
        web.reload()
    assert web.asked == [("exec", "shop-web-1", "web", "-t")]
    assert web.written == [b"new", b"old"]
    kept = read(project(web.engine)).stamps
    assert kept[web.web.id].references["/etc/web"].digest == "old"
    assert kept["db"].proven


def test_accepted_files_are_noted_after_the_signal(monkeypatch: pytest.MonkeyPatch) -> None:
    web = Reloaded(monkeypatch, accepts=True)
    web.reload()
    assert web.asked == [("exec", "shop-web-1", "web", "-t"), ("kill", "--signal=HUP", "shop-web-1")]
    assert web.written == [b"new"]
    kept = read(project(web.engine)).stamps
    assert kept[web.web.id].references["/etc/web"].digest == "new"
    assert kept[web.web.id].configuration
    assert kept["db"].proven


def test_a_stamp_of_none_removes_the_stamp() -> None:
    existing = container()
    notes = Notes(ThreadProject(project(FakeEngine(World([existing])))), desired({"web": {}}), 1, State())
    notes.stamps({existing.id: Stamp({"/etc/web": UNFINISHED})})
    assert existing.id in notes.state.stamps
    notes.stamps({existing.id: None})
    assert notes.state.stamps == {}


@pytest.mark.parametrize(
    ("refusal", "ends"),
    [(None, False), (SlipwayError("image is being used by stopped container"), False), (RefusedError("away"), True)],
    ids=["removed", "in use", "no engine"],
)
def test_a_state_is_stored_even_if_the_previous_image_is_still_in_use(refusal: SlipwayError | None, ends: bool) -> None:
    existing = container()
    engine = FakeEngine(World([existing]))
    notes = Notes(ThreadProject(project(engine)), desired({"web": {}}), 1, State())
    notes.save()
    if refusal:
        engine.world.on("remove image", raised(refusal))
    with pytest.raises(RefusedError) if ends else nullcontext():
        notes.stamps({existing.id: Stamp({"/etc/web": OLD})})
    if not ends:
        assert read(project(engine)).stamps[existing.id].references["/etc/web"].digest == "old"
