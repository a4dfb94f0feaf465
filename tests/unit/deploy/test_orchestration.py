"""Whole deploys over a fake engine: what serves when one fails, what is said of it, and what is recorded."""

import socket
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from fake_shop import CHECK, Shop, empty, job
from fakes import Fate
from support import profile

from tasks.deploy import carry_out, prepare, release
from tasks.deploy.pending import prepare_deploy
from tasks.deploy.prepare import DeployRequest
from tasks.model.errors import DeployError, LockLostError, PausedError, RefusedError, StoppedError
from tasks.model.stack.upstream import serving_containers
from tasks.reconcile.plan.difference import Policy
from tasks.release import store


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Shop:
    """A project whose release 1 has ``web`` of ``sha256:web1``."""
    shop = empty(tmp_path, monkeypatch)
    shop.says(1)
    shop.deploy()
    assert shop.serves() == {"web": "sha256:web1"}
    assert shop.history() == [(1, "deployed")]
    assert shop.settled()
    shop.world.asked.clear()
    return shop


@pytest.fixture
def fresh(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Shop:
    """A project of which nothing runs yet."""
    return empty(tmp_path, monkeypatch)


@pytest.mark.parametrize(
    ("fate", "reason"),
    [
        (Fate("unhealthy", log="no database"), "shop-web-1 is unhealthy"),
        (Fate("starting"), "not healthy within 2 m 0 s (HEALTH_TIMEOUT) (shop-web-1)"),
        (Fate(ends=3), "shop-web-1 ended with exit code 3"),
        (Fate("starting", ends=3, lives=2), "shop-web-1 ended with exit code 3"),
    ],
    ids=["sick", "never ready", "ends", "ends later"],
)
def test_a_container_that_is_never_healthy_leads_back(
    shop: Shop, fate: Fate, reason: str, capsys: pytest.CaptureFixture[str]
) -> None:
    shop.says(2, fate)
    with pytest.raises(DeployError) as caught:
        shop.deploy()
    assert caught.value.message == f"deploy of shop failed at up web: {reason}"
    assert caught.value.hint.startswith("the earlier release serves")
    assert (fate.log or "(it wrote nothing)") in capsys.readouterr().err
    assert shop.serves() == {"web": "sha256:web1"}
    assert shop.history() == [(2, "rolled-back"), (1, "deployed")]
    assert store.history(shop.project)[0].reason == f"up web: {reason}"
    shop.says(1)
    assert shop.settled()


@pytest.mark.parametrize("replicas", [1, 2])
def test_the_way_back_of_the_first_start_first_leaves_a_healthy_container_alone(shop: Shop, replicas: int) -> None:
    two = {"deploy": {"replicas": replicas}}
    shop.says(1, web=two)
    shop.deploy() if replicas > 1 else None
    before = {one.id for one in shop.world.boxes}
    one_by_one = {"deploy": {"replicas": replicas, "update_config": {"order": "start-first", "parallelism": 1}}}
    shop.says(2, Fate("unhealthy"), web=one_by_one)
    shop.world.asked.clear()
    with pytest.raises(DeployError) as caught:
        shop.deploy()
    assert caught.value.hint.startswith("the earlier release serves")
    assert {one.id for one in shop.world.boxes} == before, "they served all the while"
    assert not [words for words in shop.world.asked if "--force-recreate" in words]


def test_the_deploy_after_one_that_failed_is_a_release(shop: Shop) -> None:
    shop.says(2, Fate("unhealthy"))
    with pytest.raises(DeployError):
        shop.deploy()
    shop.world.fates["sha256:web2"] = Fate()
    shop.deploy()
    assert shop.serves() == {"web": "sha256:web2"}
    assert shop.history()[0] == (3, "deployed")
    assert shop.settled()


def test_a_job_that_fails_leaves_what_comes_after_it_untouched(shop: Shop) -> None:
    shop.world.pulled("job:2", "sha256:job2", Fate(ends=7))
    after = {"depends_on": {"job": {"condition": "service_completed_successfully"}}}
    shop.says(2, web=after, job=job(2))
    served = shop.world.boxes[0]
    with pytest.raises(DeployError, match="shop-job-1 ended with exit code 7") as caught:
        shop.deploy()
    assert "the earlier release serves" in caught.value.hint
    assert served in shop.world.boxes
    assert shop.history() == [(2, "rolled-back"), (1, "deployed")]


@pytest.mark.parametrize("at", ["docker compose create", "docker start"])
def test_an_engine_that_comes_back_after_a_moment_lets_the_earlier_release_serve(shop: Shop, at: str) -> None:
    def leave() -> None:
        shop.world.away, shop.world.silent = True, 2

    shop.says(2)
    shop.world.on(at, leave)
    with pytest.raises(DeployError, match="failed at up web: no Docker engine answers"):
        shop.deploy()
    assert shop.serves() == {"web": "sha256:web1"}
    assert shop.history() == [(2, "rolled-back"), (1, "deployed")]


def test_an_engine_that_stays_away_is_a_deploy_that_failed_and_is_put_right_by_the_next(
    shop: Shop, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def leave() -> None:
        shop.world.away = True

    monkeypatch.setattr(release, "_ENGINE", 0.0)
    shop.says(2)
    shop.world.on("docker start", leave)
    with pytest.raises(DeployError) as caught:
        shop.deploy()
    assert caught.value.exit_code == 4
    assert caught.value.message == (
        "deploy of shop failed at up web: no Docker engine answers at unix:///fake.sock; "
        "the roll back failed as well: no Docker engine answers at unix:///fake.sock"
    )
    assert "this deploy is not in the history: no Docker engine answers" in capsys.readouterr().err
    shop.world.away = False
    assert shop.history() == [(1, "deployed")]
    assert not shop.settled()
    shop.deploy()
    assert shop.serves() == {"web": "sha256:web2"}
    assert shop.settled()


@pytest.mark.parametrize("at", ["docker compose create", "docker start"])
def test_who_has_lost_the_lock_goes_no_further_nor_back(shop: Shop, at: str) -> None:
    shop.says(2)
    shop.world.on(at, shop.lock.lose)
    with pytest.raises(LockLostError):
        shop.deploy()
    changed = [words for words in shop.world.asked if words.startswith("docker ")]
    assert changed[-1].startswith(at)
    assert shop.history() == [(1, "deployed")]
    shop.lock.lost = False
    assert not shop.settled(), "what was changed is no release yet"


def test_who_has_lost_the_lock_at_the_last_moment_records_nothing_and_the_next_deploy_does(
    shop: Shop, capsys: pytest.CaptureFixture[str]
) -> None:
    shop.says(1, web={"environment": {"MODE": "new"}})
    # Each operation is begun under the lock; what is left then is to record the release.
    shop.lock.looks, shop.lock.holds = 0, len(prepare_deploy(shop.project, DeployRequest()).deploy.plan.operations)
    with pytest.raises(LockLostError):
        shop.deploy()
    assert shop.serves() == {"web": "sha256:web1"}
    assert shop.history() == [(1, "deployed")]
    assert not shop.settled()
    shop.lock.holds = 10**6
    shop.deploy()
    assert (
        "recorded release 2: an earlier deploy brought it and ended before it was recorded" in capsys.readouterr().err
    )
    assert shop.history() == [(2, "deployed"), (1, "deployed")]
    assert shop.settled()


def test_a_smoke_check_that_fails_leads_back(shop: Shop) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # and nobody listens
        url = f"http://127.0.0.1:{taken.getsockname()[1]}/"
        shop.says(2, web={"x-slipway": {"smoke": [{"url": url}]}})
        with pytest.raises(DeployError, match=f"failed at smoke: smoke: web: GET {url}: cannot connect") as caught:
            shop.deploy()
    assert "the earlier release serves" in caught.value.hint
    assert shop.serves() == {"web": "sha256:web1"}
    assert shop.history() == [(2, "rolled-back"), (1, "deployed")]


def test_a_first_deploy_that_fails_removes_what_it_made_and_nothing_else(fresh: Shop) -> None:
    fresh.says(
        1,
        Fate("unhealthy"),
        web={"volumes": [{"type": "volume", "source": name, "target": f"/{name}"} for name in ("old", "new")]},
        volumes={name: {"name": f"shop_{name}"} for name in ("old", "new")},
    )
    fresh.world.volume("shop_old")
    with pytest.raises(DeployError) as caught:
        fresh.deploy()
    assert caught.value.hint.startswith("nothing ran before: what this deploy made is removed")
    assert fresh.world.boxes == []
    assert fresh.world.networks == {}
    assert list(fresh.world.volumes) == ["shop_old"]
    assert fresh.history() == [(1, "failed")]


def test_a_release_that_cannot_be_recorded_does_not_serve(shop: Shop) -> None:
    shop.says(2)
    shop.world.fails("keep shop-release:2", "no space left on device")
    with pytest.raises(DeployError, match="failed at record: the engine refused: no space left on device"):
        shop.deploy()
    assert shop.serves() == {"web": "sha256:web1"}
    assert shop.history() == [(2, "rolled-back"), (1, "deployed")]


def test_an_engine_that_records_nothing_hides_neither_the_reason_nor_what_serves(
    shop: Shop, capsys: pytest.CaptureFixture[str]
) -> None:
    shop.says(2)
    for _ in range(2):
        shop.world.fails("keep shop-release:2", "no space left on device")
    with pytest.raises(DeployError, match="failed at record: the engine refused: no space left") as caught:
        shop.deploy()
    assert caught.value.hint.startswith("the earlier release serves")
    assert "this deploy is not in the history: the engine refused: no space left" in capsys.readouterr().err
    assert shop.serves() == {"web": "sha256:web1"}
    assert shop.history() == [(1, "deployed")]
    shop.says(1)
    assert shop.settled()


def test_where_the_way_back_fails_too_both_are_said(shop: Shop) -> None:
    shop.says(2, Fate("unhealthy"))
    shop.world.fates["sha256:web1"] = Fate(ends=1)
    with pytest.raises(DeployError) as caught:
        shop.deploy()
    assert caught.value.message == (
        "deploy of shop failed at up web: shop-web-1 is unhealthy; the roll back failed as well: "
        "shop-web-1 ended with exit code 1"
    )
    assert "inv deploy.status" in caught.value.hint
    assert shop.history() == [(2, "failed"), (1, "deployed")]
    shop.world.fates["sha256:web1"] = Fate()
    shop.says(1)
    assert not shop.settled()


def test_a_signal_lets_the_earlier_release_serve_and_stays_the_signal(
    shop: Shop, capsys: pytest.CaptureFixture[str]
) -> None:
    def stop() -> None:
        raise StoppedError(15, "stopped by SIGTERM")

    shop.says(2)
    shop.world.on("docker start", stop)
    with pytest.raises(StoppedError) as caught:
        shop.deploy()
    assert caught.value.exit_code == 143
    assert "shop: the earlier release serves" in capsys.readouterr().err
    assert shop.serves() == {"web": "sha256:web1"}
    assert shop.history() == [(2, "rolled-back"), (1, "deployed")]


def test_of_several_at_once_the_first_that_fails_is_said(shop: Shop) -> None:
    names = ("api", "cart", "mail")
    for name in names:
        shop.world.pulled(f"{name}:1", f"sha256:{name}", Fate("unhealthy" if name == "cart" else "healthy"))
    raw = {"healthcheck": CHECK, "networks": {"default": None}}
    shop.says(2, **{name: {**raw, "image": f"{name}:1"} for name in names})
    with pytest.raises(DeployError, match="shop-cart-1 is unhealthy"):
        shop.deploy()
    assert shop.serves()["web"] == "sha256:web1"
    assert shop.history() == [(2, "rolled-back"), (1, "deployed")]


def test_an_old_release_that_cannot_be_forgotten_ends_no_deploy(shop: Shop, capsys: pytest.CaptureFixture[str]) -> None:
    shop.project.profile = profile(KEEP_RELEASES="1")
    shop.says(2)
    shop.deploy()
    shop.says(3)
    shop.world.fails("remove image shop-release:1", "image is being used")
    shop.deploy()
    assert "old releases were not all removed: the engine refused: image is being used" in capsys.readouterr().err
    assert shop.history() == [(3, "deployed"), (2, "deployed"), (1, "deployed")]
    shop.says(4)
    shop.deploy()
    assert shop.history() == [(4, "deployed"), (3, "deployed")]


def rolled(action: str) -> dict[str, Any]:
    return {"deploy": {"update_config": {"order": "start-first", "monitor": "5s", "failure_action": action}}}


@pytest.mark.parametrize(
    ("fate", "reason"),
    [
        (Fate("unhealthy"), "shop-web-3 is unhealthy"),
        (Fate("starting"), "not healthy within 2 m 0 s (HEALTH_TIMEOUT)"),
        (Fate(ends=1, lives=3), "shop-web-3 is exited within 5.0 s of taking over"),
        (Fate(sickens=2), "shop-web-3 is unhealthy within 5.0 s of taking over"),
    ],
    ids=["sick", "never ready", "ends in the watch period", "sick in the watch period"],
)
def test_a_rollout_that_fails_never_stops_what_serves(shop: Shop, fate: Fate, reason: str) -> None:
    shop.says(1, web=rolled("rollback"))
    shop.deploy()
    before = shop.world.boxes[0]
    shop.says(2, fate, web=rolled("rollback"))
    with pytest.raises(DeployError) as caught:
        shop.deploy()
    assert caught.value.message == f"deploy of shop failed at start-first web: {reason}"
    assert "the earlier release serves" in caught.value.hint
    assert [one.id for one in shop.world.boxes] == [before.id]
    assert f"docker stop {before.name}" not in shop.world.asked
    assert shop.history()[:2] == [(3, "rolled-back"), (2, "deployed")]


def test_a_rollout_that_pauses_leaves_both_and_says_how_to_go_on(shop: Shop) -> None:
    shop.says(2, Fate("unhealthy"), web=rolled("pause"))
    with pytest.raises(PausedError, match=r"deploy of shop paused at .*: shop-web-2 is unhealthy") as caught:
        shop.deploy()
    assert "inv deploy.rollback --env dev goes back" in caught.value.hint
    assert shop.world.states() == {"shop-web-1": ("sha256:web1", "running"), "shop-web-2": ("sha256:web2", "running")}
    assert shop.history() == [(2, "paused"), (1, "deployed")]
    assert not shop.settled()


def test_a_failure_in_the_watch_period_may_be_ignored(shop: Shop, capsys: pytest.CaptureFixture[str]) -> None:
    def recover() -> None:
        shop.world.fates["sha256:web2"] = Fate()
        shop.world.change(["shop-web-2"], health="healthy")

    shop.says(2, Fate(sickens=2), web=rolled("continue"))
    shop.world.on("docker stop shop-web-1", recover)
    shop.deploy()
    assert "going on (update_config.failure_action: continue)" in capsys.readouterr().err
    assert set(shop.world.states()) == {"shop-web-2"}
    assert shop.history()[0] == (2, "deployed")


def test_a_failure_takes_back_what_other_services_got_in_the_same_deploy(shop: Shop) -> None:
    def side(mode: str) -> dict[str, Any]:
        return {"image": "side:1", "healthcheck": CHECK, "networks": {"default": None}, "environment": {"MODE": mode}}

    def modes() -> set[str]:
        return {shop.world.raws[one.id]["environment"]["MODE"] for one in shop.world.boxes if one.service == "side"}

    shop.world.pulled("side:1", "sha256:side", Fate())
    shop.says(1, side=side("old"))
    shop.deploy()
    after = {"depends_on": {"side": {"condition": "service_healthy"}}}
    shop.says(2, Fate("unhealthy"), web={**rolled("rollback"), **after}, side=side("new"), more=side("new"))
    changed: list[set[str]] = []
    shop.world.on("docker start shop-web-2", lambda: changed.append(modes()))
    with pytest.raises(DeployError, match="shop-web-2 is unhealthy"):
        shop.deploy()
    assert changed == [{"new"}], "it had been changed before"
    assert modes() == {"old"}
    assert {one.service for one in shop.world.boxes} == {"web", "side"}
    assert shop.serves() == {"web": "sha256:web1", "side": "sha256:side"}


def test_a_rollout_that_works_stops_the_old_one_when_the_new_one_is_healthy(shop: Shop) -> None:
    def healthy() -> None:
        assert shop.serves() == {"web": "sha256:web2"}

    shop.says(2, web=rolled("rollback"))
    shop.world.on("docker stop shop-web-1", healthy)
    shop.deploy()
    assert shop.world.faults == [], "it was stopped"
    assert shop.world.states() == {"shop-web-2": ("sha256:web2", "running")}
    assert shop.settled()


FILE = ("shop-edge-1", "/upstreams/web.conf")
CONFIG = "upstream web {\n    server web:8000 resolve;\n}\n"
CHECKED = "docker exec shop-edge-1 nginx -t"


def led(shop: Shop) -> tuple[str, ...]:
    """Return the containers that the proxy leads to, by what it has read."""
    return serving_containers(shop.world.read[FILE], "web")


def behind(shop: Shop, tag: int, fate: Fate | None = None, action: str = "rollback") -> None:
    """Let ``web`` be rolled out behind a proxy."""
    proxy = {"upstreams": "/upstreams", "check": ["nginx", "-t"], "reload": "HUP", "workers": "nginx: worker"}
    edge = {"image": "edge:1", "healthcheck": CHECK, "networks": {"default": None}, "x-slipway": {"proxy": proxy}}
    shop.world.pulled("edge:1", "sha256:edge")
    shop.says(tag, fate, web=rolled(action), edge=edge)


@pytest.fixture
def fronted(shop: Shop) -> Shop:
    """A project whose proxy leads to ``shop-web-3``, of ``sha256:web2``."""
    behind(shop, 1)
    shop.deploy()
    shop.world.inside[FILE] = shop.world.read[FILE] = CONFIG
    behind(shop, 2)
    shop.deploy()
    assert led(shop) == ("shop-web-3",)
    assert shop.world.states()["shop-web-3"] == ("sha256:web2", "running")
    shop.world.asked.clear()
    return shop


@pytest.mark.parametrize("fate", [Fate("unhealthy"), Fate(ends=1, lives=3)], ids=["sick", "while it serves"])
def test_a_proxy_leads_to_the_old_container_after_a_new_one_failed(fronted: Shop, fate: Fate) -> None:
    behind(fronted, 3, fate)
    with pytest.raises(DeployError, match="shop-web-4 is") as caught:
        fronted.deploy()
    assert "the earlier release serves" in caught.value.hint
    assert led(fronted) == ("shop-web-3",)
    assert serving_containers(fronted.world.inside[FILE], "web") == ("shop-web-3",)
    assert set(fronted.world.states()) == {"shop-edge-1", "shop-web-3"}


def test_a_proxy_that_does_not_accept_its_file_has_the_one_before(fronted: Shop) -> None:
    behind(fronted, 3)
    fronted.world.fails(CHECKED, "nginx: [emerg] host not found in upstream")
    with pytest.raises(DeployError, match="the proxy does not accept the servers of web"):
        fronted.deploy()
    assert led(fronted) == ("shop-web-3",)
    assert serving_containers(fronted.world.inside[FILE], "web") == ("shop-web-3",)
    after = fronted.world.asked[fronted.world.asked.index(CHECKED) + 1]
    assert after.startswith("docker exec --interactive shop-edge-1 cp /dev/stdin /upstreams/.web.conf.new"), "at once"
    assert fronted.history()[0][1] == "rolled-back"


def test_a_proxy_that_cannot_be_led_is_refused_before_anything_changes(shop: Shop) -> None:
    """haproxy without a master: the signal that reloads it would end it."""
    table = [{"PID": "7", "PPID": "1", "CMD": "haproxy -db"}, {"PID": "9", "PPID": "7", "CMD": "haproxy -db"}]
    shop.world.processes = lambda: tuple(table)
    shop.world.pulled("edge:1", "sha256:edge")
    proxy = {"kind": "haproxy", "upstreams": "/upstreams"}
    edge = {"image": "edge:1", "healthcheck": CHECK, "networks": {"default": None}, "x-slipway": {"proxy": proxy}}
    shop.says(1, web=rolled("rollback"), edge=edge)
    shop.deploy()
    shop.world.inside["shop-edge-1", "/upstreams/web.cfg"] = "backend web\n    server web web:8000\n"
    worker = table.pop()
    shop.says(2, web=rolled("rollback"), edge=edge)
    before = shop.world.states()
    with pytest.raises(RefusedError, match="shop-edge-1 has no worker processes, so USR2 would end it"):
        shop.deploy()
    assert shop.world.states() == before
    table.append(worker)
    shop.world.processes = lambda: (table[0], {**worker, "PID": str(9 + shop.world.reloads)})
    shop.deploy()
    assert "server shop-web-3 shop-web-3:8000" in shop.world.read["shop-edge-1", "/upstreams/web.cfg"]


def test_a_pause_while_new_containers_serve_leads_back_and_keeps_them(fronted: Shop) -> None:
    behind(fronted, 3, Fate(ends=1, lives=3), "pause")
    with pytest.raises(PausedError, match="shop-web-4 is exited"):
        fronted.deploy()
    assert led(fronted) == ("shop-web-3",)
    assert set(fronted.world.states()) == {"shop-edge-1", "shop-web-3", "shop-web-4"}


def test_a_release_that_cannot_be_recorded_is_rolled_back_without_an_interruption(fronted: Shop) -> None:
    def never_alone() -> None:
        healthy = {one.name for one in fronted.world.boxes if one.health == "healthy"}
        seen.append(set(led(fronted)) <= healthy)

    seen: list[bool] = []
    behind(fronted, 3)
    fronted.world.fails("keep shop-release:", "no space left on device")
    for _ in range(2):
        fronted.world.on("docker rm", never_alone)
    with pytest.raises(DeployError, match="failed at record"):
        fronted.deploy()
    assert seen == [True, True], "the new container took over, and the old image's did again"
    assert fronted.serves()["web"] == "sha256:web2"
    assert fronted.world.states()[led(fronted)[0]] == ("sha256:web2", "running")


@pytest.mark.parametrize("allowed", [True, False])
def test_an_interruption_that_only_the_plan_under_the_lock_has_needs_to_be_allowed_too(
    shop: Shop, monkeypatch: pytest.MonkeyPatch, allowed: bool
) -> None:
    monkeypatch.setattr(shop.project, "profile", profile("dev", ALLOW_INTERRUPTION="false"))
    shop.world.pulled("extra:1", "sha256:extra1")
    extra = {"image": "extra:1", "healthcheck": CHECK, "networks": {"default": None}}
    shop.says(1, extra=extra)
    found = prepare_deploy(shop.project, DeployRequest())
    assert found.deploy.plan.interrupts == ()

    def while_waiting(*_: object) -> bytes:
        shop.says(2, extra=extra)
        return b"k"

    monkeypatch.setattr("tasks.deploy.carry_out.secret_key.key", while_waiting)

    def deploy() -> None:
        carry_out.carry_out(shop.project, found, True, False, json=False, patience=9, interrupt=allowed, take=False)

    if allowed:
        deploy()
        assert shop.serves() == {"web": "sha256:web2", "extra": "sha256:extra1"}
        return
    with pytest.raises(RefusedError, match="web could not be reached for a while"):
        deploy()
    assert shop.serves() == {"web": "sha256:web1"}
    assert shop.history() == [(1, "deployed")]


def test_a_stack_that_another_directory_has_taken_over_meanwhile_is_left_alone(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop.says(2)
    found = prepare_deploy(shop.project, DeployRequest())

    def while_waiting(*_: object) -> bytes:
        web = replace(shop.world.boxes[0], directory="/srv/copy")
        shop.world.boxes[:] = [web, replace(web, id="other", name="shop-other-1", service="other")]
        monkeypatch.setattr(prepare, "_policy", lambda *_: Policy(orphans=True))
        return b"k"

    monkeypatch.setattr("tasks.deploy.carry_out.secret_key.key", while_waiting)
    with pytest.raises(RefusedError, match="shop was deployed from /srv/copy"):
        carry_out.carry_out(shop.project, found, True, False, json=False, patience=9, interrupt=False, take=False)
    assert shop.history() == [(1, "deployed")]
