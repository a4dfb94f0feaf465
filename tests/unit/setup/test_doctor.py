"""What `inv doctor` says about a machine, and how to fix it."""

from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from support import image

from tasks.host import machine
from tasks.model.engine.facts import PROJECT_LABEL
from tasks.model.errors import RefusedError
from tasks.model.lock import HeldLock, Lock
from tasks.model.tools import MISSING, OK, WARNING, ToolFinding
from tasks.setup import doctor as acting
from tasks.setup.plan import doctor

GIB = 2**30


def test_too_little_space_is_a_warning_with_what_frees_some() -> None:
    assert doctor.disk("/var/lib/docker", 10 * GIB, machine.LOW_DISK).state == OK
    low = doctor.disk("/var/lib/docker", GIB, machine.LOW_DISK)
    assert (low.state, low.found) == (WARNING, "1.1 GB free in /var/lib/docker")
    assert "docker builder prune --filter until=168h" in low.fix
    assert doctor.disk("/data", None, 1).found == "not on this machine"


def test_a_file_system_may_be_full_of_small_files() -> None:
    assert doctor.inodes("/d", 4, 100).state == WARNING
    assert doctor.inodes("/d", 6, 100) == ToolFinding("inodes", OK, "6 % free in /d")
    assert doctor.inodes("/d", 0, 0).state == OK  # btrfs


def test_an_engine_has_31_networks_unless_it_is_given_others() -> None:
    docker0 = ["172.17.0.0/16"]
    assert doctor.address_pools({}, docker0).found == "30 of 31 networks left"
    assert doctor.address_pools({}, [*docker0, "192.168.16.0/20", "10.1.0.0/16", "fd00::/64"]).found.startswith("29 ")
    own = {"DefaultAddressPools": [{"Base": "10.10.0.0/16", "Size": 18}, {"Base": "fd00::/80", "Size": 96}]}
    few = doctor.address_pools(own, ["10.10.0.0/18", "10.10.70.0/24"])
    assert (few.state, few.found) == (WARNING, "2 of 4 networks left")
    assert "default-address-pools" in few.fix


@pytest.mark.parametrize(
    ("theirs", "state", "found"),
    [
        (100.0, OK, "as the engine's"),
        (103.0, OK, "as the engine's"),  # a slow answer is no skew
        (110.0, WARNING, "6.0 s behind the engine's"),
        (80.0, WARNING, "20.0 s ahead of the engine's"),
    ],
)
def test_clocks_that_differ_are_told_with_by_how_much(theirs: float, state: str, found: str) -> None:
    text = datetime.fromtimestamp(theirs, UTC).isoformat()
    finding = doctor.clock(text, 100.0, 104.0)
    assert (finding.state, finding.found) == (state, found)


def test_a_lock_that_nobody_holds_is_no_lock() -> None:
    held = HeldLock(Lock("shop", "ann", "ci", 7, "deploy"), "t", 0.0, 0.0, "2026-01-01T00:00:00Z")
    assert doctor.lock(None, "", "dev").found == "free"
    assert doctor.lock(held, "", "dev").state == OK
    stale = doctor.lock(held, "that process is gone", "prod")
    assert (stale.state, stale.fix) == (WARNING, "inv deploy.unlock --env prod")


def test_only_images_of_the_project_without_a_name_are_stale() -> None:
    labels = {PROJECT_LABEL: "shop"}
    listed = [
        image("a", labels=labels, size=5_000_000),
        image("b", labels=labels, tags=("shop/app:dev",)),
        image("c", labels={PROJECT_LABEL: "other"}),
        image("d", labels=labels, digests=("shop/app@sha256:1",)),
    ]
    stale = doctor.stale_images(listed, "shop")
    assert [found.id for found in stale] == ["a"]
    assert doctor.images(stale, "shop").found == "1 without a name, up to 5.0 MB"
    assert doctor.images((), "shop").state == OK


def test_the_rest_is_told_in_one_line_each() -> None:
    assert doctor.ports((), "dev").state == OK
    assert doctor.ports((80, 443), "dev").found == "taken by another program: 80, 443"
    assert doctor.registry("r.example.com", "", "", login=True).found == "answers, logged in"
    assert doctor.registry("r.example.com", "no such host", "fix it", login=False).fix == "fix it"
    assert doctor.stacks(()).state == OK
    assert doctor.stacks(("shop-1",)).fix == "docker compose -p shop-1 down --volumes"
    assert doctor.pid_files(()) is None
    assert doctor.builder("default", "docker", False, ["PLATFORMS"]).state == WARNING
    assert doctor.builder("multi", "docker-container", False, []).found == "multi (docker-container)"


def context(dry: bool = False) -> Any:
    return SimpleNamespace(config=SimpleNamespace(run=SimpleNamespace(dry=dry)))


def test_fix_repairs_what_is_safe_and_looks_again(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    broken = ["lock"]
    engine = acting.Ailment(ToolFinding("engine", OK, "26"))

    def examine(_c: Any, _env: str) -> list[acting.Ailment]:
        left = ToolFinding("lock", WARNING, "left", "inv deploy.unlock")
        return [engine, *(acting.Ailment(left, broken.clear) for _ in broken)]

    monkeypatch.setattr(acting, "_examine", examine)
    acting.run(context(), "", fix=False, json=True)
    before = capsys.readouterr().out
    assert broken == ["lock"]
    assert '"fixable": true' in before and '"mend": "inv deploy.unlock"' in before

    acting.run(context(), "", fix=True, json=True)
    assert broken == []
    assert '"fixable": true' not in capsys.readouterr().out


def test_what_is_missing_is_refused_with_its_own_fix(monkeypatch: pytest.MonkeyPatch) -> None:
    missing = acting.Ailment(ToolFinding("engine", MISSING, "", "start it"))
    monkeypatch.setattr(acting, "_examine", lambda _c, _env: [missing])
    with pytest.raises(RefusedError, match="not ready: engine") as caught:
        acting.run(context(), "", fix=True, json=False)
    assert caught.value.hint == "start it"


@pytest.mark.parametrize(
    ("name", "value", "found"),
    [
        ("DOCKER_CONTEXT", "gone", "docker context 'gone' does not exist"),
        ("DOCKER_HOST", "unix:///nowhere.sock", "no Docker engine answers at unix:///nowhere.sock"),
    ],
)
def test_an_engine_elsewhere_that_does_not_answer_is_told_with_the_reason(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, name: str, value: str, found: str
) -> None:
    for other in ("DOCKER_CONTEXT", "DOCKER_HOST"):
        monkeypatch.delenv(other, raising=False)
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    monkeypatch.setenv(name, value)
    monkeypatch.setattr(machine, "tools", tuple)
    engine = acting._tools()[0]
    assert (engine.state, engine.found) == (MISSING, found)
    assert "./inv setup installs" not in engine.fix
