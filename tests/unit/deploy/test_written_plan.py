"""A plan in a file: carried out as it is, or refused with what has moved since it was made."""

import json
import os
import stat
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from fake_shop import Shop, empty
from fakes import Fate

from tasks.deploy import deploy, prepare, show_plan, written_plan
from tasks.deploy.plan import agreed
from tasks.deploy.plan.agreed import AgreedPlan, refuse_more
from tasks.deploy.prepare import DeployRequest
from tasks.model.engine.facts import Image
from tasks.model.errors import InputError, PendingChanges, RefusedError
from tasks.reconcile.plan.operation import Change, Plan
from tasks.release import secret_key
from tasks.release.plan.release import Promotion, Release
from tests.schemas import faults

PASSWORD = "correct horse battery"


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Shop:
    """A project whose release 1 has ``web`` of ``sha256:web1`` and a password."""
    shop = empty(tmp_path, monkeypatch, DB_PASSWORD=PASSWORD)
    shop.says(1)
    shop.deploy()
    return shop


def plan(shop: Shop, path: Path) -> Path:
    """Write the plan of what the files say now, and return the file."""
    show_plan.run(shop.project, exit_code=False, json=False, out=str(path))
    return path


def carry_out(shop: Shop, path: Path) -> None:
    """Deploy by a plan."""
    deploy.run(shop.project, yes=True, build=False, json=False, plan=str(path))


def test_a_plan_is_carried_out_as_it_was_made(shop: Shop, tmp_path: Path) -> None:
    shop.says(2)
    file = plan(shop, tmp_path / "plan.json")
    said = json.loads(file.read_text())
    assert faults(said) == []
    assert [(one["service"], one["action"]) for one in said["changes"]] == [("web", "recreate")]
    carry_out(shop, file)
    assert shop.serves() == {"web": "sha256:web2"}
    assert shop.history() == [(2, "deployed"), (1, "deployed")]


def test_a_plan_of_nothing_changes_nothing(shop: Shop, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = plan(shop, tmp_path / "plan.json")
    carry_out(shop, file)
    assert "nothing to do" in capsys.readouterr().err
    assert shop.history() == [(1, "deployed")]


def test_only_its_owner_can_read_it_and_it_has_no_value(shop: Shop, tmp_path: Path) -> None:
    file = tmp_path / "plan.json"
    file.write_text("an earlier plan, which everyone can read")
    file.chmod(0o644)
    shop.says(2, web={"environment": {"PASSWORD": PASSWORD, "MODE": "verbose"}})
    text = plan(shop, file).read_text()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert PASSWORD not in text
    assert "verbose" not in text
    assert "profile key DB_PASSWORD" in text
    assert [name for name in tmp_path.iterdir() if name.name.startswith(".plan.json")] == []


MOVES: dict[str, tuple[Callable[[Shop], None], str]] = {
    "files": (lambda shop: shop.says(3), "service web of the Compose files has changed"),
    "stopped": (
        lambda shop: shop.world.change(["shop-web-1"], state="exited", health=""),
        "container shop-web-1 is exited, was running, healthy",
    ),
    "removed": (lambda shop: shop.world.boxes.clear(), "container shop-web-1 is gone"),
    "image": (lambda shop: shop.world.pulled("web:2", "sha256:other"), "image web:2 has changed"),
    "volume": (lambda shop: shop.world.volume("shop_data"), "volume shop_data is new"),
    "network": (lambda shop: shop.world.networks.clear(), "network shop_default is gone"),
    "password": (
        lambda shop: setattr(shop.project, "profile", shop.with_profile(DB_PASSWORD="another one")),
        "profile key DB_PASSWORD has changed",
    ),
    "profile": (
        lambda shop: setattr(shop.project, "profile", shop.with_profile(DB_PASSWORD=PASSWORD, SETTLE="7s")),
        "profile key SETTLE has changed",
    ),
}


@pytest.mark.parametrize("move", MOVES)
def test_what_has_moved_is_said_and_nothing_is_done(shop: Shop, tmp_path: Path, move: str) -> None:
    shop.says(2, volumes={"data": {"name": "shop_data"}})
    file = plan(shop, tmp_path / "plan.json")
    act, words = MOVES[move]
    act(shop)
    before, history = shop.world.states(), shop.history()
    with pytest.raises(RefusedError) as caught:
        carry_out(shop, file)
    assert caught.value.exit_code == 3
    assert caught.value.message.startswith("not as planned (20")
    assert words in caught.value.message
    assert PASSWORD not in caught.value.message
    assert (shop.world.states(), shop.history()) == (before, history)


@pytest.mark.parametrize("version", [1, 2], ids=["nothing else", "another image"])
def test_a_container_that_got_ready_since_is_no_change(shop: Shop, tmp_path: Path, version: int) -> None:
    shop.says(version)
    shop.world.change(["shop-web-1"], health="starting")
    file = plan(shop, tmp_path / "plan.json")
    shop.world.change(["shop-web-1"], health="healthy")
    carry_out(shop, file)
    assert shop.serves() == {"web": f"sha256:web{version}"}


def test_a_container_that_did_not_get_ready_is_a_change(shop: Shop, tmp_path: Path) -> None:
    shop.world.change(["shop-web-1"], health="starting")
    file = plan(shop, tmp_path / "plan.json")
    shop.world.change(["shop-web-1"], health="unhealthy")
    with pytest.raises(RefusedError, match="container shop-web-1 is running, unhealthy, was running, starting"):
        carry_out(shop, file)


def test_another_deploy_in_between_is_said(shop: Shop, tmp_path: Path) -> None:
    shop.says(2)
    file = plan(shop, tmp_path / "plan.json")
    shop.deploy()
    with pytest.raises(RefusedError, match="the release that serves is 2, was 1"):
        carry_out(shop, file)


def test_what_moves_while_another_process_has_the_lock_is_refused(
    shop: Shop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop.says(2)
    file = plan(shop, tmp_path / "plan.json")

    def while_waiting(*_: object) -> bytes:
        shop.world.change(["shop-web-1"], health="unhealthy")
        return b"k"

    monkeypatch.setattr("tasks.deploy.carry_out.secret_key.key", while_waiting)
    with pytest.raises(RefusedError, match="container shop-web-1 is running, unhealthy, was running, healthy"):
        carry_out(shop, file)
    assert shop.history() == [(1, "deployed")]


def test_the_operations_count_as_well(shop: Shop, tmp_path: Path) -> None:
    shop.says(2)
    file = plan(shop, tmp_path / "plan.json")
    said = json.loads(file.read_text())
    del said["seal"]
    other = {**said, "operations": said["operations"][1:]}
    seal = agreed.fingerprint(secret_key.find(shop.project), json.dumps(other, sort_keys=True))
    file.write_text(json.dumps({**other, "seal": seal}))
    with pytest.raises(RefusedError, match="this version of Slipway would do something else"):
        carry_out(shop, file)


EDITS: dict[str, Callable[[dict[str, Any]], object]] = {
    "another action": lambda said: said["changes"][0].update(action="remove"),
    "an interruption more": lambda said: said["interrupts"].append("db"),
    "a fact less": lambda said: said["facts"].pop(),
    "a date": lambda said: said.update(created="2030-01-01T00:00:00Z"),
    "a member more": lambda said: said.update(note="looks good"),
    "another seal": lambda said: said.update(seal="0" * 32),
}


@pytest.mark.parametrize("edit", EDITS)
def test_an_edited_file_is_no_plan(shop: Shop, tmp_path: Path, edit: str) -> None:
    shop.says(2)
    file = plan(shop, tmp_path / "plan.json")
    said: dict[str, Any] = json.loads(file.read_text())
    EDITS[edit](said)
    file.write_text(json.dumps(said))
    with pytest.raises(RefusedError, match="the file was changed since"):
        carry_out(shop, file)
    assert shop.serves() == {"web": "sha256:web1"}


def test_a_file_that_was_only_formatted_anew_is_the_plan(shop: Shop, tmp_path: Path) -> None:
    shop.says(2)
    file = plan(shop, tmp_path / "plan.json")
    file.write_text(json.dumps(dict(reversed(json.loads(file.read_text()).items()))))
    carry_out(shop, file)
    assert shop.serves() == {"web": "sha256:web2"}


def test_a_plan_of_another_engine_says_which(shop: Shop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shop.project.engine, "info", lambda: {"ID": "one", "Name": "laptop"}, raising=False)
    shop.says(2)
    file = plan(shop, tmp_path / "plan.json")
    monkeypatch.setattr(shop.project.engine, "info", lambda: {"ID": "two", "Name": "server"})
    monkeypatch.setattr(secret_key, "find", lambda _: b"another key")
    with pytest.raises(RefusedError, match="the engine is server, was laptop"):
        carry_out(shop, file)


def test_a_mount_of_the_project_is_not_that_of_the_same_path_elsewhere(shop: Shop, tmp_path: Path) -> None:
    shop.says(2, web={"labels": {"source": f"{shop.project.cwd}/data"}})
    file = plan(shop, tmp_path / "plan.json")
    shop.says(2, web={"labels": {"source": "/data"}})
    with pytest.raises(RefusedError, match="service web of the Compose files has changed"):
        carry_out(shop, file)


def test_a_failed_deploy_by_a_plan_goes_back_as_any(shop: Shop, tmp_path: Path) -> None:
    shop.says(2, Fate("unhealthy"))
    file = plan(shop, tmp_path / "plan.json")
    with pytest.raises(Exception, match="failed at up web"):
        carry_out(shop, file)
    assert shop.serves() == {"web": "sha256:web1"}


def test_what_is_found_after_a_build_may_be_less_and_not_more() -> None:
    planned = AgreedPlan("prod", "shop", "t", {"web": "recreate", "db": "keep", "front": "reload"}, ("web",))

    def made(**actions: str) -> Plan:
        return Plan(tuple(Change(name, action) for name, action in actions.items()))

    refuse_more(planned, made(web="unchanged", db="unchanged", front="reload"))
    for more in (made(db="restart"), made(front="start"), made(extra="create")):
        with pytest.raises(RefusedError, match="not as planned"):
            refuse_more(planned, more)


@pytest.mark.parametrize(("content", "served"), [("sha256:web1", "sha256:web1"), ("", "sha256:other")])
def test_a_promoted_image_that_turns_out_to_be_the_one_that_runs_is_less_than_planned(
    shop: Shop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: str, served: str
) -> None:
    shop.world.pulled("elsewhere/web:7", "sha256:other")
    named = Image("sha256:other", digests=("elsewhere/web@sha256:d",), health_check=True)
    staging = Release(7, "staging", "1.0.0", "c", "t", "o")

    def promoted(_: object, wish: DeployRequest) -> Promotion:
        if wish.promotion or wish.bring:
            return Promotion("staging", staging, {"web:1": replace(named, content=content)})
        return Promotion("staging", staging, {"web:1": named}, ("elsewhere/web@sha256:d",))

    monkeypatch.setattr(prepare, "_promoted", promoted)
    file = plan(shop, tmp_path / "plan.json")
    assert json.loads(file.read_text())["changes"][0]["action"] == "recreate"
    carry_out(shop, file)
    assert shop.serves() == {"web": served}


@pytest.mark.parametrize("text", ["", "[]", "[" * 100_000, '{"schema": "slipway/plan-file/v9"}', "\xff"])
def test_another_file_is_refused_by_name(shop: Shop, tmp_path: Path, text: str) -> None:
    (tmp_path / "other.json").write_bytes(text.encode("latin-1"))
    with pytest.raises(InputError, match=r"other\.json: is no plan"):
        carry_out(shop, tmp_path / "other.json")
    with pytest.raises(InputError, match=r"missing\.json: No such file"):
        carry_out(shop, tmp_path / "missing.json")


def test_the_plan_of_another_environment_is_refused(shop: Shop, tmp_path: Path) -> None:
    file = plan(shop, tmp_path / "plan.json")
    said: dict[str, Any] = json.loads(file.read_text())
    file.write_text(json.dumps({**said, "environment": "prod"}))
    with pytest.raises(InputError, match=r"is a plan of prod \(shop\), not of dev \(shop\)"):
        carry_out(shop, file)


def test_who_rehearses_with_the_plan_of_the_environment_itself_is_not_led_there() -> None:
    real = AgreedPlan("staging", "shop-staging", "t")
    with pytest.raises(InputError) as caught:
        agreed.refuse_another(real, "my plan", "staging-rehearsal", "shop-staging-rehearsal", "staging")
    assert caught.value.hint.endswith("inv deploy.plan --env staging-rehearsal --out 'my plan'")
    with pytest.raises(InputError) as caught:
        agreed.refuse_another(real, "my plan", "prod", "shop")
    assert caught.value.hint == "inv deploy.staging --plan 'my plan'"


def test_a_device_or_a_pipe_is_never_replaced_by_a_plan(shop: Shop, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "link").symlink_to("pipe")
    for name in ("pipe", "link"):
        with pytest.raises(InputError, match=f"--out .*{name}: Not a regular file"):
            plan(shop, tmp_path / name)
    assert stat.S_ISFIFO((tmp_path / "pipe").stat().st_mode)
    assert sorted(path.name for path in tmp_path.iterdir() if path.name.startswith(".")) == []


def test_a_plan_that_its_own_file_would_change_is_not_written(shop: Shop, tmp_path: Path) -> None:
    for name in ("conf", "other"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "web.conf").write_text("one")
    mount = {"type": "bind", "source": str(tmp_path / "conf"), "target": "/conf", "read_only": True}
    shop.says(2, web={"volumes": [mount]}, volumes={})
    with pytest.raises(InputError, match=r"with a file there the plan would be another one: .*conf at /conf of web"):
        plan(shop, tmp_path / "conf" / "plan.json")
    assert [path.name for path in (tmp_path / "conf").iterdir()] == ["web.conf"]
    carry_out(shop, plan(shop, tmp_path / "other" / "plan.json"))
    assert shop.serves() == {"web": "sha256:web2"}


def test_a_plan_that_names_many_files_can_be_read(shop: Shop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shop.says(2)
    facts = written_plan._engine_facts
    many = [(f"file node_modules/{number}/index.js of the image of web", "1", "") for number in range(10_000)]
    monkeypatch.setattr(written_plan, "_engine_facts", lambda *more: (*facts(*more), *many))
    file = plan(shop, tmp_path / "plan.json")
    assert file.stat().st_size > 1 << 20
    carry_out(shop, file)
    assert shop.serves() == {"web": "sha256:web2"}


def test_an_unset_variable_in_the_place_of_the_file_deploys_nothing(shop: Shop) -> None:
    shop.says(2)
    with pytest.raises(InputError, match="--plan names no file"):
        deploy.run(shop.project, yes=True, build=False, json=False, plan="")
    with pytest.raises(InputError, match="--out names no file"):
        show_plan.run(shop.project, exit_code=False, json=False, out="")
    assert shop.serves() == {"web": "sha256:web1"}


def test_a_file_name_that_is_no_utf_8_is_written_and_read(
    shop: Shop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    strange = os.fsdecode(b"/run/\xff.pem")
    shop.says(2)
    facts = written_plan._engine_facts  # as an ingredient of an image may be called
    monkeypatch.setattr(written_plan, "_engine_facts", lambda *more: (*facts(*more), (f"file {strange}", "1", "")))
    file = plan(shop, tmp_path / "plan.json")
    assert "file /run/\\udcff.pem" in file.read_text(encoding="utf-8")
    carry_out(shop, file)
    assert shop.serves() == {"web": "sha256:web2"}


def test_build_and_plan_do_not_go_together(shop: Shop) -> None:
    with pytest.raises(InputError, match="--plan and --build"):
        deploy.run(shop.project, yes=True, build=True, json=False, plan="plan.json")


def test_a_plan_with_changes_can_be_told_by_the_exit_code(shop: Shop, tmp_path: Path) -> None:
    show_plan.run(shop.project, exit_code=True, json=False)
    shop.says(2)
    with pytest.raises(PendingChanges) as caught:
        show_plan.run(shop.project, exit_code=True, json=False, out=str(tmp_path / "plan.json"))
    assert caught.value.exit_code == 6
    assert (tmp_path / "plan.json").exists(), "it is written all the same"
