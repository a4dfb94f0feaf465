"""Releases as data: which serves, which one goes back to, which are forgotten, and what may not be kept."""

import json
from dataclasses import replace

import pytest
from support import container, profile, stack

from tasks.plan.errors import InputError, RefusedError
from tasks.plan.release import (
    DEPLOYED,
    DOCUMENT_LABEL,
    FAILED,
    PAUSED,
    ROLLED_BACK,
    Before,
    Pinned,
    Release,
    fingerprint,
    from_labels,
    idle_database,
    kept_services,
    moved,
    pinned,
    prunable,
    restored,
    rolled_back_to,
    rows,
    serving,
    stale_jobs,
    target,
    to_bring_back,
    went_back,
)


def release(identity: int, outcome: str = DEPLOYED, image: str = "", of: int = 0) -> Release:
    """Return a release of one service; each has an image of its own unless told otherwise."""
    images = {"web": Pinned("shop/web:prod", image or f"sha256:{of or identity}")}
    return Release(
        identity, "prod", f"1.0.{identity}", "c", "2026-05-06T07:08:09Z", "ann@host", outcome, 9.0, images, of=of
    )


def test_a_release_comes_back_out_of_its_labels() -> None:
    one = replace(release(3), evidence={"test": "run-1"}, reason='a "quoted" $reason')
    assert from_labels(one.labels("shop")) == one


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"images": {}}', '{"images": {"web": {"unknown": 1}}}'])
def test_labels_that_are_not_understood_are_no_release(text: str) -> None:
    assert from_labels({DOCUMENT_LABEL: text}) is None


def test_what_serves_is_the_newest_that_was_deployed() -> None:
    assert serving([release(1), release(2), release(3, ROLLED_BACK), release(4, FAILED)]) == release(2)
    assert serving([release(1, FAILED)]) is None


def test_a_roll_back_goes_to_the_release_before() -> None:
    assert target([release(1), release(2), release(3, ROLLED_BACK)]).id == 1


def test_the_second_roll_back_goes_further_back() -> None:
    assert target([release(1), release(2), release(3), release(4, of=2)]).id == 1


def test_after_a_roll_back_and_a_deploy_the_way_back_is_to_what_served() -> None:
    # 4 brought 2 back; 3, which was left, is not where 5 goes.
    found = target([release(1), release(2), release(3), release(4, of=2), release(5)])
    assert found.images == release(2).images


def test_a_release_with_the_same_images_is_no_way_back() -> None:
    assert target([release(1), release(2, image="sha256:same"), release(3, image="sha256:same")]).id == 1


def test_after_a_deploy_that_paused_the_way_back_is_to_what_serves() -> None:
    assert target([release(1), release(2), release(3, PAUSED)]).id == 2
    assert target([release(1), release(2, PAUSED), release(3)]).id == 1
    assert target([release(1), release(2), release(3, PAUSED)], 1).id == 1


def test_after_a_deploy_that_was_killed_the_way_back_is_to_the_release_that_it_was_to_replace() -> None:
    known = [release(1), release(2)]
    old, fresh = container("shop-web-1", image_id="sha256:2"), container("shop-web-2", image_id="sha256:x")
    assert target(known, containers=[old]).id == 1
    assert target(known, containers=[old, fresh]).id == 2
    assert target(known, containers=[fresh]).id == 2
    assert target(known, containers=[old, replace(fresh, state="created")]).id == 1, "it has not begun to serve"
    assert target(known, containers=[old, replace(fresh, oneoff=True)]).id == 1
    assert target(known, containers=[old, replace(fresh, service="new")]).id == 1, "a release says nothing of it"


def test_a_release_can_be_named() -> None:
    assert target([release(1), release(2), release(3)], 1).id == 1
    with pytest.raises(InputError, match="no release 9"):
        target([release(1), release(2)], 9)
    with pytest.raises(InputError, match="no release 2 that was deployed"):
        target([release(1), release(2, ROLLED_BACK)], 2)


@pytest.mark.parametrize("known", [[], [release(1, FAILED)], [release(1)]])
def test_without_a_release_before_there_is_no_way_back(known: list[Release]) -> None:
    with pytest.raises(RefusedError):
        target(known)


def test_what_serves_and_the_one_before_are_never_forgotten() -> None:
    known = [release(number) for number in range(1, 6)] + [release(6, FAILED), release(7, FAILED)]
    assert [one.id for one in prunable(known, 2)] == [3, 2, 1]
    assert [one.id for one in prunable([*known, release(8, of=2)], 1)] == [7, 6, 5, 4, 3]


def test_services_whose_image_is_another_one_have_moved() -> None:
    now = {"web": Pinned("a", "1"), "db": Pinned("b", "2")}
    assert moved(now, {"web": Pinned("a", "9"), "db": Pinned("b", "2"), "new": Pinned("c", "3")}) == ("web", "new")


MODEL = {"name": "shop", "services": {"web": {"image": "shop/web:prod", "build": {"context": "/w"}, "command": ["x"]},
                                      "db": {"image": "postgres:17", "pull_policy": "always"}}}  # fmt: skip
IMAGES = {"web": Pinned("shop/web:prod", "sha256:w"), "db": Pinned("postgres:17", "sha256:d", "postgres@sha256:e")}


def test_the_model_of_a_release_names_one_image_for_each_service_and_builds_none() -> None:
    found = pinned(MODEL, IMAGES)
    assert found["services"] == {
        "web": {"image": "sha256:w", "command": ["x"]}, "db": {"image": "postgres@sha256:e"},
    }  # fmt: skip
    assert restored(found, IMAGES)["services"]["web"] == {"image": "shop/web:prod", "command": ["x"]}
    assert MODEL["services"]["web"]["build"], "what was given stays as it is"


def test_the_fingerprint_of_a_profile_does_not_know_its_secrets() -> None:
    assert fingerprint(profile(API_TOKEN="hunter2")) == fingerprint(profile(API_TOKEN="other"))
    assert fingerprint(profile(TAG="1")) != fingerprint(profile(TAG="2"))


def test_the_history_is_the_contract() -> None:
    found = rows([release(1), rolled_back_to(release(1), 3, operator="bob@host"), release(2)])
    assert [(row["id"], row["current"], row["reason"]) for row in found] == [
        (3, True, "back to 1"), (2, False, ""), (1, False, ""),
    ]  # fmt: skip
    assert json.dumps(found)
    assert found[0]["images"] == {"web": "sha256:1"}


def test_what_an_earlier_version_said_is_no_obstacle_to_going_back() -> None:
    model = {"services": {"web": {"image": "sha256:w", "x-slipway": {"upstreams": "/etc", "rollout": "blue-green"}}}}
    assert restored(model, {})["services"]["web"]["x-slipway"] == {"rollout": "blue-green"}


def test_what_does_not_run_as_before_is_brought_back() -> None:
    shop = stack({"web": {"deploy": {"replicas": 2}}, "db": {}, "job": {"x-slipway": {"job": "migrate"}}, "log": {}})
    images = {name: Pinned(name, "sha256:a") for name in ("web", "db", "job", "log", "left")}
    hashes = dict.fromkeys(images, "h")
    same = {"config_hash": "h"}
    good = [container("shop-web-1", **same), container("shop-web-2", **same), container("shop-db-1", **same),
            container("shop-log-1", **same)]  # fmt: skip

    assert to_bring_back(shop, images, hashes, good) == {}
    assert to_bring_back(shop, images, hashes, good[1:]) == {"web": "scale"}
    assert to_bring_back(shop, images, hashes, good[:3]) == {"log": "create"}
    other = [*good[1:], container("shop-web-3", config_hash="h", image_id="sha256:b")]
    assert to_bring_back(shop, images, hashes, other) == {"web": "recreate"}
    edited = [*good[:3], container("shop-log-1", config_hash="other")]
    assert to_bring_back(shop, images, hashes, edited) == {"log": "recreate"}


def test_a_database_that_is_down_is_started_for_a_backup_when_it_has_data() -> None:
    commands = {key: ["true"] for key in ("snapshot", "dump", "list", "create", "restore", "tables", "drop", "swap")}
    shop = stack(
        {
            "store": {
                "image": "store",
                "volumes": [{"type": "volume", "source": "data", "target": "/data"}],
                "x-slipway": {"role": "database", "backup": {"name": "t", **commands}},
            },
            "change": {"image": "change", "x-slipway": {"job": "migrate"}},
        },
        volumes={"data": {"name": "shop_data"}},
    )
    assert idle_database(shop, ["change"], [], ["shop_data"]) == "store"
    assert idle_database(shop, ["change"], [], []) == ""
    assert idle_database(shop, ["change"], ["store"], ["shop_data"]) == ""
    assert idle_database(shop, ["store"], [], ["shop_data"]) == ""


def test_a_job_that_ran_by_a_failed_image_is_not_kept_as_a_release_s() -> None:
    shop = stack({"web": {}, "schema": {"x-slipway": {"job": "migrate"}}, "seed": {"x-slipway": {"job": "seed"}}})
    images = {name: Pinned(f"shop/{name}:one", "sha256:a") for name in ("web", "schema", "seed")}
    found = [
        container("shop-web-1", image_id="sha256:b"), container("shop-schema-1", image_id="sha256:b", state="exited"),
        container("shop-schema-run-1", service="schema", image_id="sha256:b", oneoff=True),
        container("shop-seed-1", image_id="sha256:a", state="exited"),
    ]  # fmt: skip
    assert stale_jobs(shop, images, found) == ("shop-schema-1",)


def test_on_the_way_back_goes_what_a_killed_deploy_has_brought_and_no_orphan() -> None:
    assert kept_services({"web"}, {"web", "new"}, {"web", "new", "orphan"}) == {"web", "orphan"}


def test_a_service_of_which_some_containers_run_by_another_image_differs_from_a_release() -> None:
    images = {"web": Pinned("shop/web:one", "sha256:a"), "worker": Pinned("shop/worker:one", "sha256:a")}
    ran = {"web": frozenset({"sha256:a", "sha256:b"}), "worker": frozenset({"sha256:a"})}
    before = Before(images, {}, frozenset(), {}, ran)
    assert before.differing(images) == ("web",)


def test_a_deploy_went_back_when_that_step_was_done() -> None:
    steps = [{"name": "up web", "outcome": "failed"}, {"name": "roll back", "outcome": "done"}]
    assert went_back(steps)
    assert not went_back([*steps[:1], {"name": "roll back", "outcome": "failed"}])
