"""Releases as data: which serves, which a roll back goes to, which are removed, and what may not be recorded."""

import json
from dataclasses import replace
from typing import Any

import pytest
from support import container, desired, profile

from tasks.model.errors import InputError, RefusedError
from tasks.reconcile.plan.desired import release_digest
from tasks.release.plan.release import (
    DEPLOYED,
    DOCUMENT_LABEL,
    FAILED,
    PAUSED,
    ROLLED_BACK,
    Pinned,
    Release,
    changed_images,
    differ,
    fingerprint,
    from_labels,
    pinned,
    prunable,
    restored,
    rolled_back_to,
    rows,
    serving,
    target,
    went_back,
)


def release(identity: int, outcome: str = DEPLOYED, image: str = "", of: int = 0) -> Release:
    """Return a release of a single service, with an image of its own unless ``image`` or ``of`` says otherwise."""
    images = {"web": Pinned("shop/web:prod", image or f"sha256:{of or identity}")}
    return Release(
        identity, "prod", f"1.0.{identity}", "c", "2026-05-06T07:08:09Z", "ann@host", outcome, 9.0, images, of=of
    )


def test_a_release_comes_back_out_of_its_labels() -> None:
    recorded = replace(release(3), evidence={"test": "run-1"}, reason='a "quoted" $reason')
    assert from_labels(recorded.labels("shop")) == recorded


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"images": {}}', '{"images": {"web": {"unknown": 1}}}'])
def test_labels_that_are_not_understood_are_no_release(text: str) -> None:
    assert from_labels({DOCUMENT_LABEL: text}) is None


def test_a_record_of_a_later_version_is_read_without_what_only_that_knows() -> None:
    recorded = replace(release(3), services=("web",))
    document = recorded.document()
    document["images"]["web"]["flavour"] = ["new"]
    later = {**document, "approved_by": {"who": "ann"}, "schema": "slipway/release/v1"}

    assert from_labels({DOCUMENT_LABEL: json.dumps(later)}) == recorded


def test_what_serves_is_the_newest_that_was_deployed() -> None:
    assert serving([release(1), release(2), release(3, ROLLED_BACK), release(4, FAILED)]) == release(2)
    assert serving([release(1, FAILED)]) is None


def test_a_roll_back_goes_to_the_release_before() -> None:
    assert target([release(1), release(2), release(3, ROLLED_BACK)]).id == 1


def test_the_second_roll_back_goes_further_back() -> None:
    assert target([release(1), release(2), release(3), release(4, of=2)]).id == 1


def test_after_a_roll_back_and_a_deploy_the_way_back_is_to_what_served() -> None:
    # 4 brought 2 back; 3, which was left, is not where 5 goes.
    back = target([release(1), release(2), release(3), release(4, of=2), release(5)])
    assert back.images == release(2).images


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


def test_the_serving_release_and_the_one_before_are_never_forgotten() -> None:
    known = [release(number) for number in range(1, 6)] + [release(6, FAILED), release(7, FAILED)]
    assert [gone.id for gone in prunable(known, 2)] == [3, 2, 1]
    assert [gone.id for gone in prunable([*known, release(8, of=2)], 1)] == [7, 6, 5, 4, 3]


def test_where_none_is_kept_only_what_serves_stays() -> None:
    assert [gone.id for gone in prunable([release(1), release(2)], 0)] == [1]
    assert prunable([release(1)], 0) == ()
    assert [gone.id for gone in prunable([release(1), release(2), release(3, FAILED)], 0)] == [3, 1]


def test_services_whose_image_differs_have_moved() -> None:
    now = {"web": Pinned("a", "1"), "db": Pinned("b", "2")}
    assert changed_images(now, {"web": Pinned("a", "9"), "db": Pinned("b", "2"), "new": Pinned("c", "3")}) == (
        "web",
        "new",
    )


MODEL = {"name": "shop", "services": {"web": {"image": "shop/web:prod", "build": {"context": "/w"}, "command": ["x"]},
                                      "db": {"image": "postgres:17", "pull_policy": "always"}}}  # fmt: skip
IMAGES = {"web": Pinned("shop/web:prod", "sha256:w"), "db": Pinned("postgres:17", "sha256:d", "postgres@sha256:e")}


def test_the_model_of_a_release_names_one_image_for_each_service_and_builds_none() -> None:
    model = pinned(MODEL, IMAGES)
    assert model["services"] == {
        "web": {"image": "sha256:w", "command": ["x"]}, "db": {"image": "postgres@sha256:e"},
    }  # fmt: skip
    assert restored(model, {"web": "shop/web:prod"})["services"] == {
        "web": {"image": "shop/web:prod", "command": ["x"]}, "db": {"image": "postgres@sha256:e"},
    }  # fmt: skip
    assert MODEL["services"]["web"]["build"], "what was given stays as it is"
    implied = restored(model, {"web": ""})["services"]["web"]
    assert implied == {"command": ["x"], "build": {"context": "."}}, "Compose names it, as it did then"


def test_the_fingerprint_of_a_profile_does_not_know_its_secrets() -> None:
    assert fingerprint(profile(API_TOKEN="hunter2")) == fingerprint(profile(API_TOKEN="other"))
    assert fingerprint(profile(TAG="1")) != fingerprint(profile(TAG="2"))


def test_the_history_is_the_contract() -> None:
    history = rows([release(1), rolled_back_to(release(1), 3, operator="bob@host"), release(2)])
    assert [(row["id"], row["current"], row["reason"]) for row in history] == [
        (3, True, "back to 1"), (2, False, ""), (1, False, ""),
    ]  # fmt: skip
    assert json.dumps(history)
    assert history[0]["images"] == {"web": "sha256:1"}


def test_what_an_earlier_version_said_is_no_obstacle_to_going_back() -> None:
    model = {"services": {"web": {"image": "sha256:w", "x-slipway": {"upstreams": "/etc", "rollout": "blue-green"}}}}
    assert restored(model, {})["services"]["web"]["x-slipway"] == {"rollout": "blue-green"}


def test_a_deploy_went_back_when_that_step_was_done() -> None:
    steps = [{"name": "up web", "outcome": "failed"}, {"name": "roll back", "outcome": "done"}]
    assert went_back(steps)
    assert not went_back([*steps[:1], {"name": "roll back", "outcome": "failed"}])


# What makes two releases different


def test_a_release_keeps_an_image_by_a_name_of_its_own() -> None:
    assert Pinned("registry.example.com:5000/shop/web:prod", "sha256:w").kept("shop", 7) == (
        "registry.example.com:5000/shop/web:shop-release-7"
    )


def test_a_record_of_an_earlier_version_brought_the_services_that_it_has_images_of() -> None:
    document = release(3).document()
    for key in ("services", "secrets", "content"):
        document.pop(key)
    recorded = from_labels({DOCUMENT_LABEL: json.dumps(document)})
    assert recorded
    assert (recorded.services, recorded.content, recorded.secrets) == (("web",), "", {})


def test_releases_with_the_same_images_and_another_content_differ() -> None:
    first, other = (replace(release(1), content=text) for text in ("a", "b"))
    assert differ(first, other)
    assert not differ(first, replace(release(2), content="a")), "content says it all"
    assert differ(release(1), replace(release(2), content="a")), "of an earlier version only images are known"
    assert not differ(release(1), replace(release(1), content="a"))


def test_the_way_back_is_not_past_a_release_that_changed_the_configuration_only() -> None:
    known = [replace(release(number, image="sha256:same"), content=text) for number, text in enumerate("abb", 1)]
    assert target(known).id == 1
    assert target(known[:2]).id == 1


def test_what_a_killed_deploy_left_unrecorded_goes_first() -> None:
    known = [release(1), release(2)]
    assert target(known, unrecorded=True).id == 2
    assert target(known).id == 1


def contents(
    services: dict[str, Any], at: str = "/srv/a", digest: str = "x", image: str = "sha256:w", **top: Any
) -> str:
    """Return the content of a release whose references stand for something."""
    targets = dict.fromkeys(("/etc/site.conf", "/run/secrets/token", "/page"), digest)
    made = desired(services, targets, **top)
    return release_digest(made.model, {"web": Pinned("shop/web:1", image)}, made, at)


def bound(at: str) -> dict[str, Any]:
    """Return a service that mounts from a directory."""
    return {"web": {"image": "shop/web:1", "volumes": [{"type": "bind", "source": f"{at}/page", "target": "/page"}]}}


def test_a_release_is_the_same_wherever_its_project_lies() -> None:
    assert contents(bound("/srv/a"), "/srv/a") == contents(bound("/srv/b"), "/srv/b")
    assert contents(bound("/srv/a"), "/srv/a") != contents(bound("/opt/x"), "/srv/a")


def test_an_image_a_configuration_and_a_mounted_file_are_of_a_release() -> None:
    base = contents(bound("/srv/a"))
    assert contents(bound("/srv/a"), image="sha256:other") != base
    assert contents(bound("/srv/a"), digest="y") != base
    assert contents({"web": {**bound("/srv/a")["web"], "command": ["x"]}}) != base


def test_a_secret_is_not_of_a_release() -> None:
    service, declared = {"web": {"secrets": [{"source": "token"}]}}, {"token": {"file": "/srv/a/token"}}
    assert contents(service, digest="x", secrets=declared) == contents(service, digest="y", secrets=declared)
