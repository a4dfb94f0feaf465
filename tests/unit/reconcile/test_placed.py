"""Tests for mounted directories in volumes of ours, which the executor fills, checks and exchanges in place."""

import json
from dataclasses import replace
from typing import Any

import pytest
from support import container, desired

from tasks.model.engine.facts import Container
from tasks.reconcile.plan.desired import Desired
from tasks.reconcile.plan.difference import Policy, service_change
from tasks.reconcile.plan.mounts import Content
from tasks.reconcile.plan.observed import UNFINISHED, Observed, Stamp, State, state_from
from tasks.reconcile.plan.operation import Change
from tasks.reconcile.plan.placed import (
    SECRETS,
    Place,
    configuration_digest,
    filled_volume,
    filled_volumes,
    places,
    reusable,
    volume_prefix,
    with_places,
)
from tasks.reconcile.plan.spelling import spelled_as_created

KEY = "/run/secrets/key"
CONF = {"type": "bind", "source": "/src/conf", "target": "/etc/web", "read_only": True}
MINE = "shop-web-place-1"
TOLD = {"reload": {"check": ["web", "-t"], "secrets": True}}


def web(
    contents: dict[str, str] | None = None, told: dict[str, Any] | None = None, declared: Any = None, **fields: Any
) -> Desired:
    """Return a release of a service that reloads a directory and a secret."""
    service = {"volumes": [CONF], "secrets": [{"source": "key"}], "x-slipway": told or TOLD, **fields}
    secrets = {"key": {"file": "/src/key"}} if declared is None else declared
    made = desired({"web": service}, contents or {"/etc/web": "new", KEY: "k1"}, {"web": "h"}, secrets=secrets)
    wanted = made.services["web"]
    held = {target: replace(content, directory=target != KEY) for target, content in wanted.contents.items()}
    return replace(made, services={"web": replace(wanted, contents=held)})


def mounted_at(made: Desired) -> list[str]:
    """Return the targets of the directories that can be exchanged in place."""
    return [place.target for place in places(made.model, made.stack.service("web"), made.wanted("web"))]


def running(**fields: Any) -> Container:
    """Return a container that has its directories in volumes of ours."""
    return container(config_hash="h", **{"mounted": ((MINE, "/etc/web"), ("shop-web-place-2", SECRETS)), **fields})


def changed(made: Desired, existing: Container, noted: dict[str, str], rm: bool = True) -> Change:
    """Return what happens to the service whose container was created with the ``noted`` contents."""
    state = State({existing.id: Stamp({key: Content(text) for key, text in noted.items()})})
    observed = Observed((existing,), state=state, seen={(existing.id, key): text for key, text in noted.items()},
                        clearable=frozenset({existing.id} if rm else ()))  # fmt: skip
    return service_change(made.stack.service("web"), observed, made, Policy())


# Which directories


def test_read_only_directories_and_secrets_are_in_filled_volumes() -> None:
    assert mounted_at(web()) == ["/etc/web", SECRETS]


@pytest.mark.parametrize(
    ("fields", "left"),
    [
        ({"told": {"rollout": "recreate"}}, []),
        ({"told": {"reload": {}}}, ["/etc/web"]),
        ({"volumes": [{**CONF, "read_only": False}]}, [SECRETS]),
        ({"volumes": [CONF, {"type": "volume", "source": "v", "target": "/etc/web/more"}]}, [SECRETS]),
        ({"tmpfs": ["/run/secrets/tmp:size=1m"]}, ["/etc/web"]),
        ({"secrets": [{"source": "key", "target": "/etc/key"}]}, ["/etc/web"]),
        ({"declared": {"key": {"environment": "KEY"}}}, ["/etc/web"]),
        ({"declared": {"key": {"external": True}}}, ["/etc/web"]),
        ({"contents": {"/etc/web": "", KEY: ""}}, []),
    ],
    ids=["no reload", "secrets not told", "writable", "a mount inside", "tmpfs inside", "secret elsewhere",
         "secret of a variable", "external secret", "contents unknown"],
)  # fmt: skip
def test_what_cannot_be_exchanged_stays_mounted_as_it_was(fields: dict[str, Any], left: list[str]) -> None:
    assert mounted_at(web(**fields)) == left


def test_a_file_that_is_mounted_by_itself_cannot_be_exchanged() -> None:
    made = web()
    wanted = made.services["web"]
    file = replace(wanted, contents={**wanted.contents, "/etc/web": Content("new")})
    assert mounted_at(replace(made, services={"web": file})) == [SECRETS]


# How Compose gets them


def test_compose_is_given_volumes_in_place_of_the_directory_and_of_the_secrets() -> None:
    made = with_places(web().model, "web", {"/etc/web": MINE, SECRETS: "shop-web-place-2"})
    service = made["services"]["web"]
    assert [(mount["type"], mount["source"], mount["target"], mount["read_only"]) for mount in service["volumes"]] == [
        ("volume", MINE, "/etc/web", True),
        ("volume", "shop-web-place-2", SECRETS, True),
    ]
    assert "secrets" not in service
    assert service["labels"] == {"slipway.secrets": "key:key"}, "one secret more is another configuration"
    assert made["volumes"][MINE] == {"name": MINE, "external": True}


def test_without_volumes_the_model_is_as_it_was() -> None:
    assert with_places(web().model, "web", {}) == web().model


def test_secrets_that_are_files_no_more_are_not_taken_for_what_the_container_has() -> None:
    model = web(declared={"key": {"environment": "KEY"}}).model
    made = with_places(model, "web", {SECRETS: "shop-web-place-2"})
    assert made["services"]["web"]["secrets"] == [{"source": "key"}]
    assert made["services"]["web"]["volumes"] == [CONF]


def test_a_model_is_spelled_with_the_volumes_that_a_container_has() -> None:
    made = spelled_as_created(web().model, [running()])
    assert [mount["source"] for mount in made["services"]["web"]["volumes"]] == [MINE, "shop-web-place-2"]
    assert made["volumes"].keys() == {MINE, "shop-web-place-2"}
    assert spelled_as_created(web().model, [container()])["services"]["web"]["volumes"] == [CONF]


def test_only_volumes_with_a_name_from_slipway_count() -> None:
    existing = container(mounted=(("shop_data", "/data"), (MINE, "/etc/web"), ("shop-other-place-1", "/other")))
    assert filled_volumes(existing) == {"/etc/web": MINE}
    assert volume_prefix("shop", "web") == "shop-web-place-"
    made = web().wanted("web").references
    assert [filled_volume(running(), mount) for mount in made] == ["shop-web-place-2", MINE]
    assert [filled_volume(container(), mount) for mount in made] == ["", ""]


def test_all_containers_of_a_service_mount_what_has_the_same_content() -> None:
    wanted = web().wanted("web")
    place = Place("/etc/web", tuple(reference for reference in wanted.references if reference.target == "/etc/web"))
    existing = running()
    same, other = (State({existing.id: Stamp({"/etc/web": Content(text)})}) for text in ("new", "old"))
    assert reusable(place, [existing], same, wanted) == MINE
    assert reusable(place, [existing], other, wanted) == ""
    assert reusable(place, [existing], State(), wanted) == ""
    assert reusable(place, [container()], same, wanted) == ""


def test_what_the_files_say_of_a_service_stands_for_the_hash_of_its_container() -> None:
    same, more = web().model, web(environment={"A": "1"}).model
    assert configuration_digest(same, "web") == configuration_digest(json.loads(json.dumps(same)), "web") != ""
    assert configuration_digest(same, "web") != configuration_digest(more, "web")
    assert configuration_digest(web(network_mode="service:db").model, "web") == "", "that depends on a container"
    assert configuration_digest(same, "gone") == ""


def test_the_note_of_it_is_kept() -> None:
    state = State({"id": Stamp({"/etc/web": UNFINISHED}, configuration="c")})
    assert state_from(json.loads(json.dumps(state.document()))) == state
    old = {"stamps": {"id": {"proven": True, "references": {}}}, "jobs": {}, "seconds": {}, "unrecorded": False}
    assert state_from(old) == State({"id": Stamp()}), "of an earlier version of Slipway"


# What reloads


def test_changed_configuration_and_secrets_in_filled_volumes_are_reloaded_in_place() -> None:
    assert changed(web(), running(), {"/etc/web": "new", KEY: "k1"}).action == "unchanged"
    assert changed(web(), running(), {"/etc/web": "old", KEY: "k1"}).action == "reload"
    assert changed(web(), running(), {"/etc/web": "new", KEY: "k0"}).causes == ("secret key changed",)
    assert changed(web(), running(), {"/etc/web": "new", KEY: "k0"}).action == "reload"


def test_unknown_or_unfinished_content_is_filled_again() -> None:
    assert changed(web(), running(), {KEY: "k1"}).action == "reload"
    assert changed(web(), running(), {"/etc/web": UNFINISHED.digest, KEY: "k1"}).action == "reload"
    assert changed(web(), container(config_hash="h"), {KEY: "k1"}).action == "unchanged", "a bind mount shows the disk"


def test_without_rm_in_the_image_a_directory_is_not_exchanged_and_a_secret_is() -> None:
    assert changed(web(), running(), {"/etc/web": "old", KEY: "k1"}, rm=False).action == "recreate"
    assert changed(web(), running(), {"/etc/web": "new", KEY: "k0"}, rm=False).action == "reload"


def test_a_container_whose_bind_mounts_do_not_show_the_change_is_recreated() -> None:
    assert changed(web(), container(config_hash="h"), {"/etc/web": "old", KEY: "k1"}).action == "recreate"
    assert changed(web(), container(config_hash="h"), {"/etc/web": "new", KEY: "k0"}).action == "recreate"


def test_a_secret_is_reloaded_by_a_signal_only_if_the_service_says_so() -> None:
    silent = web(told={"reload": {}})
    assert changed(silent, running(), {"/etc/web": "new", KEY: "k0"}).action == "recreate"
    existing = container(config_hash="h")
    state = State({existing.id: Stamp({"/etc/web": Content("new"), KEY: Content("k0")})})
    edited = Observed((existing,), state=state, seen={(existing.id, KEY): "k1", (existing.id, "/etc/web"): "new"})
    assert service_change(web().stack.service("web"), edited, web(), Policy()).action == "reload", (
        "the same file, edited"
    )
    assert service_change(silent.stack.service("web"), edited, silent, Policy()).action == "recreate"
