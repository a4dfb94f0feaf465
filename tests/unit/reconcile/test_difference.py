"""What counts as a difference between what runs and what is to run, and what is done about it."""

from dataclasses import replace
from typing import Any

import pytest
from support import container, desired, image

from tasks.model.engine.facts import Container, Network, Volume
from tasks.reconcile.plan.desired import Desired, Wanted
from tasks.reconcile.plan.difference import (
    Policy,
    drift,
    job_digests,
    matches,
    network_difference,
    service_change,
    stuck_state,
    volume_difference,
)
from tasks.reconcile.plan.mounts import GONE, Content
from tasks.reconcile.plan.observed import Observed, Ran, Stamp, State
from tasks.reconcile.plan.operation import Change

CONFIGURED = {"configs": [{"source": "site", "target": "/etc/site.conf"}]}
CONFIG = {"site": {"file": "/srv/site.conf"}}
RELOADS = {**CONFIGURED, "x-slipway": {"reload": {"check": ["web", "--test"], "signal": "HUP"}}}


def seen(*containers: Container, **more: Any) -> Observed:
    """Return what runs; ``noted``: contents that the first container was created with, by target."""
    noted, jobs = more.pop("noted", None), more.pop("jobs", {})
    stamps = {containers[0].id: Stamp({key: Content(digest) for key, digest in noted.items()})} if noted else {}
    return Observed(containers, state=State(stamps, jobs), **more)


def changed(service: str, observed: Observed, wanted: Desired, **policy: Any) -> Change:
    """Return what happens to a service."""
    return service_change(wanted.stack.service(service), observed, wanted, Policy(**policy))


def causes(observed: Observed, wanted: Desired) -> list[str]:
    """Return what differs of service ``web``."""
    return drift(wanted.stack.service("web"), observed, wanted)


# Images and configuration


def test_an_image_differs_when_its_content_differs() -> None:
    web = desired({"web": {"image": "shop/web:dev"}}, images={"web": "same"})

    def of(content: str) -> list[str]:
        return causes(seen(container(image_id="sha256:1"), contents={"sha256:1": content}), web)

    assert of("same") == []
    assert of("other") == ["image shop/web:dev changed"]
    assert causes(seen(container(image_id="same")), web) == [], "without a known content the image id counts"


def test_an_image_that_is_not_there_yet_is_no_difference() -> None:
    assert causes(seen(container()), desired({"web": {}}, images={"web": ""})) == []


def test_the_image_id_recorded_by_compose_counts_before_the_id_shown_by_the_engine() -> None:
    existing = container(image_id="sha256:platform", created_from="sha256:list")
    assert causes(seen(existing, contents={"sha256:list": "sha256:a"}), desired({"web": {}})) == []


def test_a_configuration_is_the_same_in_every_spelling_of_it() -> None:
    wanted = desired({"web": {}})
    several = Desired(wanted.stack, wanted.model, {"web": Wanted("sha256:a", frozenset({"one", "two"}))})

    assert [causes(seen(container(config_hash=config_hash)), several) for config_hash in ("one", "two", "")] == [
        [],
        [],
        [],
    ]
    assert causes(seen(container(config_hash="three")), several) == ["configuration changed"]


@pytest.mark.parametrize(
    ("missing", "cause"),
    [("volumes", "volume shop_data-2 is not mounted"), ("networks", "not in network shop_back-2")],
)
def test_a_volume_or_network_of_another_name_has_the_container_recreated(missing: str, cause: str) -> None:
    mounts = [{"type": "volume", "source": "data", "target": "/d"}, {"type": "bind", "source": "/srv", "target": "/s"}]
    wanted = desired(
        {"web": {"volumes": mounts, "networks": {"back": None}}},
        volumes={"data": {"name": "shop_data-2"}},
        networks={"back": {"name": "shop_back-2"}},
    )
    resources = {"volumes": ("shop_data-2",), "networks": ("shop_back-2",)}

    assert changed("web", seen(container(**resources)), wanted) == Change("web", "unchanged")
    other = seen(container(**{**resources, missing: ("shop_other",)}))
    assert changed("web", other, wanted) == Change("web", "recreate", (cause,))


def test_sharing_the_namespace_of_a_removed_container_is_a_difference() -> None:
    wanted = desired({"web": {"network_mode": "service:db"}, "db": {}})
    existing = container(shares=("id-shop-db-1",))

    assert causes(seen(existing, container("shop-db-1")), wanted) == []
    assert causes(seen(existing), wanted) == ["it shares resources of a container of db that is gone"]


EARLIER, LATER = "2026-03-01T10:00:00.4Z", "2026-03-01T10:00:00.45Z"  # the engine leaves zeros at the end out


@pytest.mark.parametrize("mode", ["network_mode", "pid", "ipc"])
@pytest.mark.parametrize(
    ("joined", "begun", "action"),
    [
        (LATER, EARLIER, "unchanged"),
        (EARLIER, LATER, "restart"),
        ("2026-03-01T10:00:00.9Z", "2026-03-01T10:00:01Z", "restart"),
        ("2026-03-01T10:00:01Z", "2026-03-01T10:00:01.000000001Z", "restart"),
        (EARLIER, EARLIER, "unchanged"),
        (EARLIER, "", "unchanged"),
    ],
)
def test_who_uses_a_namespace_that_ended_with_a_restart_is_restarted(
    mode: str, joined: str, begun: str, action: str
) -> None:
    wanted = desired({"web": {mode: "service:db"}, "db": {}})
    web = container(shares=("id-shop-db-1",), started=joined)
    change = changed("web", seen(web, container("shop-db-1", started=begun)), wanted)
    assert change.action == action
    if action == "restart":
        assert change.causes == ("shop-db-1 was started again after shop-web-1 had joined it",)


def test_volumes_of_another_container_stay_when_it_is_restarted() -> None:
    wanted = desired({"web": {"volumes_from": ["db"]}, "db": {}})
    web = container(shares=("id-shop-db-1",), started=EARLIER)
    assert changed("web", seen(web, container("shop-db-1", started=LATER)), wanted).action == "unchanged"


# What is referred to


@pytest.mark.parametrize(
    ("service", "top", "target", "cause"),
    [
        (CONFIGURED, {"configs": CONFIG}, "/etc/site.conf", "config site changed"),
        ({"secrets": [{"source": "token"}]}, {"secrets": {"token": {"file": "/t"}}}, "/run/secrets/token",
         "secret token changed"),
        ({"volumes": [{"type": "bind", "source": "/srv/a", "target": "/a"}]}, {}, "/a", "/srv/a at /a changed"),
    ],
)  # fmt: skip
def test_changed_content_recreates_the_container_and_equal_content_does_not(
    service: dict[str, Any], top: dict[str, Any], target: str, cause: str
) -> None:
    wanted = desired({"web": service}, {target: "new"}, **top)

    assert changed("web", seen(container(), noted={target: "new"}), wanted) == Change("web", "unchanged")
    assert changed("web", seen(container(), noted={target: "old"}), wanted) == Change("web", "recreate", (cause,))


def test_what_a_process_has_read_counts_and_not_what_its_mount_contains_now() -> None:
    wanted = desired({"web": CONFIGURED}, {"/etc/site.conf": "new"}, configs=CONFIG)
    existing = container()

    assert causes(seen(existing), wanted) == [], "there is no stamp of it"
    sees = {(existing.id, "/etc/site.conf"): "new"}
    assert causes(seen(existing, noted={"/etc/site.conf": "old"}, seen=sees), wanted) == ["config site changed"]
    sees = {(existing.id, "/etc/site.conf"): "old"}
    assert causes(seen(existing, noted={"/etc/site.conf": "new"}, seen=sees), wanted) == []


def test_a_mounted_directory_that_was_replaced_is_a_difference_even_if_it_is_read_live() -> None:
    bind = {"volumes": [{"type": "bind", "source": "/srv/src", "target": "/src"}], "x-slipway": {"live": ["/srv/src"]}}
    wanted = desired({"web": bind}, {"/src": "same"})
    existing = container()

    assert causes(seen(existing, noted={"/src": "same"}, seen={(existing.id, "/src"): GONE}), wanted) == [
        "/srv/src at /src changed"
    ]


def test_what_cannot_be_known_and_what_is_read_live_is_no_difference() -> None:
    bind = {"volumes": [{"type": "bind", "source": "/srv/src", "target": "/src"}]}
    unknown = desired({"web": bind}, {"/src": ""})
    live = desired({"web": {**bind, "x-slipway": {"live": ["/srv/src"]}}}, {"/src": "new"})

    assert causes(seen(container(), noted={"/src": "old"}), unknown) == []
    assert causes(seen(container(), noted={"/src": "old"}), live) == []


# Configuration that is read again


def reloaded(sees: str, noted: str = "old", **fields: Any) -> Change:
    """Return what happens to a service that reloads its config, of which its container sees something."""
    wanted = desired({"web": RELOADS}, {"/etc/site.conf": "new"}, {"web": "h"}, configs=CONFIG)
    existing = container(**fields)
    observed = seen(existing, noted={"/etc/site.conf": noted}, seen={(existing.id, "/etc/site.conf"): sees})
    return changed("web", observed, wanted)


def test_configuration_that_a_service_can_see_is_read_again_in_place() -> None:
    assert reloaded("new") == Change("web", "reload", ("config site changed",))


def test_what_a_service_cannot_see_or_what_is_more_than_that_has_it_recreated() -> None:
    assert reloaded("old").action == "recreate"
    assert reloaded("new", config_hash="other").action == "recreate"
    assert reloaded("new", image_id="sha256:b").action == "recreate"
    assert reloaded("new", noted="new").action == "unchanged"


def test_a_secret_is_not_reloaded_unless_the_service_says_so() -> None:
    service = {"secrets": [{"source": "token"}], "x-slipway": {"reload": {}}}
    wanted = desired({"web": service}, {"/run/secrets/token": "new"}, secrets={"token": {"file": "/t"}})
    existing = container()
    contents = {"noted": {"/run/secrets/token": "old"}, "seen": {(existing.id, "/run/secrets/token"): "new"}}
    assert changed("web", seen(existing, **contents), wanted).action == "recreate"


def test_an_image_that_is_to_be_built_is_no_reload() -> None:
    wanted = desired({"web": RELOADS}, {"/etc/site.conf": "new"}, builds={"web": "its sources changed"}, configs=CONFIG)
    existing = container()
    observed = seen(existing, noted={"/etc/site.conf": "old"}, seen={(existing.id, "/etc/site.conf"): "new"})
    change = changed("web", observed, wanted)
    assert change == Change("web", "recreate", ("image to be built: its sources changed", "config site changed"))


def test_a_signal_does_not_give_a_container_another_namespace() -> None:
    wanted = desired(
        {"web": {**RELOADS, "network_mode": "service:db"}, "db": {}}, {"/etc/site.conf": "new"}, configs=CONFIG
    )
    web = container(shares=("id-shop-db-1",), started=EARLIER)
    contents = {"noted": {"/etc/site.conf": "old"}, "seen": {(web.id, "/etc/site.conf"): "new"}}
    assert changed("web", seen(web, container("shop-db-1", started=EARLIER), **contents), wanted).action == "reload"
    assert changed("web", seen(web, container("shop-db-1", started=LATER), **contents), wanted).action == "recreate"


# State


@pytest.mark.parametrize(("policy", "action"), [("always", "pull"), ("daily", "pull"), ("missing", "unchanged")])
def test_a_service_that_always_pulls_is_never_unchanged(policy: str, action: str) -> None:
    wanted = desired({"web": {"pull_policy": policy}})

    assert changed("web", seen(container()), wanted).action == action
    assert changed("web", seen(container()), wanted, pulled=True).action == "unchanged"
    assert changed("web", seen(container()), wanted, back=True).action == "unchanged"


@pytest.mark.parametrize(
    ("fields", "word"),
    [({"state": "paused"}, "paused"), ({"health": "unhealthy"}, "unhealthy"), ({"health": "starting"}, ""),
     ({"state": "exited", "health": "unhealthy"}, ""), ({}, "")],
)  # fmt: skip
def test_paused_and_unhealthy_containers_are_stuck(fields: dict[str, Any], word: str) -> None:
    assert stuck_state(container(**fields)) == word


def test_what_is_stuck_or_ended_is_not_what_a_service_is_to_be() -> None:
    wanted = desired({"web": {}})

    def good(**fields: Any) -> bool:
        existing = container(**fields)
        return matches(wanted.stack.service("web"), existing, seen(existing), wanted)

    assert good()
    assert good(state="created")
    assert not good(health="unhealthy")
    assert not good(state="exited")
    assert not good(image_id="sha256:b")


# Jobs

JOB = {"web": {}, "schema": {"x-slipway": {"job": "migrate"}}}


def test_a_job_is_its_image_its_configuration_and_what_it_refers_to() -> None:
    base = Wanted("image", frozenset({"b", "a"}), contents={"/m": Content("x", "1:2")})

    assert job_digests(base) == job_digests(
        Wanted("image", frozenset({"a", "b"}), contents={"/m": Content("x", "3:4")})
    )
    others = [
        Wanted("other", base.hashes, contents=base.contents),
        Wanted("image", frozenset({"c"}), contents=base.contents),
        Wanted("image", base.hashes, contents={"/m": Content("y")}),
        Wanted("image", base.hashes, contents={"/n": Content("x")}),
    ]
    assert [len(job_digests(job)) for job in (base, *others)] == [2, 2, 1, 2, 2]
    assert len({digest for job in (base, *others) for digest in job_digests(job)}) == 9, "none has one in common"


@pytest.mark.parametrize("known", ["a", "b"])
def test_a_job_is_the_same_whether_or_not_compose_was_asked_for_further_hashes(known: str) -> None:
    def asked(*hashes: str) -> Desired:
        wanted = desired(JOB)
        services = {**wanted.services, "schema": replace(wanted.wanted("schema"), hashes=frozenset(hashes))}
        return replace(wanted, services=services)

    for then, now in ((("a", "b"), (known,)), ((known,), ("a", "b"))):
        ran = {"schema": Ran(job_digests(asked(*then).wanted("schema")), 3)}
        assert changed("schema", seen(container(), jobs=ran), asked(*now)).action == "unchanged"
        assert changed("schema", seen(container(), jobs=ran), asked("c")).action == "run"


def test_a_job_that_ran_and_whose_container_is_gone_does_not_run_again() -> None:
    wanted = desired(JOB)
    ran = {"schema": Ran(job_digests(wanted.wanted("schema")), 3)}

    assert changed("schema", seen(container(), jobs=ran), wanted) == Change("schema", "unchanged")
    assert changed("schema", seen(container(), jobs={"schema": Ran(frozenset({"other"}))}), wanted).action == "run"
    assert changed("schema", seen(container()), wanted) == Change("schema", "run", ("it has not run yet",))
    assert changed("schema", seen(jobs=ran), wanted).action == "run", "nothing is left: the data may be gone too"
    built = desired(JOB, builds={"schema": "its sources changed"})
    assert changed("schema", seen(container(), jobs=ran), built).action == "run"


def test_no_job_runs_on_a_way_back() -> None:
    for containers in ((), (container("shop-schema-1", state="exited", exit_code=1),)):
        assert changed("schema", seen(container(), *containers), desired(JOB), back=True) == Change(
            "schema", "unchanged"
        )


# Networks and volumes


def test_a_network_is_what_its_declaration_says() -> None:
    network = Network(
        "shop_back", driver="bridge", options={"mtu": "1400"}, subnets=("10.9.0.0/24",), labels={"a": "1"}
    )
    same = {"driver_opts": {"mtu": 1400}, "ipam": {"config": [{"subnet": "10.9.0.0/24"}]}, "labels": {"a": "1"}}

    assert network_difference("shop_back", same, network) == []
    assert network_difference("shop_back", {**same, "driver": "bridge", "internal": False}, network) == []


@pytest.mark.parametrize(
    ("declared", "word"),
    [
        ({"driver": "macvlan"}, "driver"), ({"internal": True}, "internal"), ({"attachable": True}, "attachable"),
        ({"enable_ipv6": True}, "enable_ipv6"), ({"driver_opts": {"mtu": 1400}}, "driver_opts"),
        ({"ipam": {"config": [{"subnet": "10.8.0.0/24"}]}}, "ipam"), ({"labels": {"a": "2"}}, "labels"),
    ],
)  # fmt: skip
def test_each_option_of_a_network_counts(declared: dict[str, Any], word: str) -> None:
    network = Network("shop_back", labels={"a": "1", "com.docker.compose.project": "shop"})
    assert network_difference("shop_back", declared, network) == [f"network shop_back: {word} changed"]


def test_the_order_of_subnets_and_labels_of_others_do_not_count() -> None:
    two = Network("n", subnets=("10.2.0.0/24", "10.1.0.0/24"), labels={"com.docker.compose.network": "n"})
    assert (
        network_difference("n", {"ipam": {"config": [{"subnet": subnet} for subnet in sorted(two.subnets)]}}, two) == []
    )


def test_a_volume_is_its_driver_and_its_options() -> None:
    volume = Volume("shop_data", options={"type": "tmpfs"})

    assert volume_difference("shop_data", {"driver_opts": {"type": "tmpfs"}, "labels": {"a": "b"}}, volume) == []
    assert volume_difference("shop_data", {"driver": "nfs"}, volume) == [
        "volume shop_data: driver changed", "volume shop_data: driver_opts changed",
    ]  # fmt: skip


def test_what_only_the_image_says_of_health_is_looked_at() -> None:
    wanted = desired({"web": {"image": "shop/web:1"}})
    images = {"shop/web:1": image(health_check=True)}
    assert changed("web", seen(container(health="starting"), images=images), wanted).action == "wait"
