"""What a deploy is refused for before it begins; whole plans are in ``tests/plans/*deploy.json``."""

from typing import Any

import pytest
from support import container, image, profile, stack

from tasks.build.plan.build import BuildPlan
from tasks.deploy.plan.deploy import (
    Deploy,
    other_directory,
    refuse,
    refuse_interruption,
    refuse_other_directory,
    refuse_taken_ports,
)
from tasks.model.errors import RefusedError
from tasks.reconcile.plan.observed import Observed
from tasks.reconcile.plan.operation import Change, Operation, Plan, interrupted_by
from tasks.release.plan.release import Promotion, Release

CUT = Plan(
    (Change("web", "recreate", ("configuration changed",)),), (Operation("recreate", "web", interrupts=("web",)),)
)


def test_a_wait_is_a_change_and_unchanged_is_none() -> None:
    changes = (Change("web", "unchanged"), Change("worker", "wait"), Change("cache", "create"))

    assert [change.service for change in Plan(changes).changed] == ["worker", "cache"]
    assert [change.service for change in Deploy(Plan(changes)).changed] == ["worker", "cache"]


def test_a_deploy_says_which_images_it_builds() -> None:
    assert Deploy(CUT, BuildPlan((), None, {"web": "its sources changed"})).building == ("web",)
    assert Deploy(CUT).building == ()


def test_a_deploy_says_what_it_brings_from_elsewhere() -> None:
    release = Release(4, "staging", "1.2.0", "c", "t", "ann")
    deploy = Deploy(CUT, promotion=Promotion("staging", release, {"shop/web:prod": image("sha256:w")}))

    assert (deploy.origin, deploy.promoted) == ("staging release 4", {"shop/web:prod": "sha256:w"})
    assert (Deploy(CUT).origin, Deploy(CUT).promoted) == ("", {})


def test_a_plan_says_what_it_interrupts_and_what_it_rolls_out() -> None:
    made = Plan(
        operations=(
            Operation("recreate", "db", interrupts=("db", "side")), Operation("stop", "db", interrupts=("db",)),
            Operation("watch", "web"), Operation("watch", "web"),
        )
    )  # fmt: skip

    assert made.interrupts == ("db", "side")
    assert made.rolled == ("web",)
    assert interrupted_by(made.operations, "side") == ("side",)
    assert interrupted_by(made.operations, "web") == ()


def test_an_operation_is_shown_with_its_cause_and_what_comes_before_it() -> None:
    operation = Operation(
        "recreate", "web", cause=("configuration changed", "image changed"), interrupts=("web",), after=(1,)
    )
    assert operation.document() == {
        "kind": "recreate",
        "subject": "web",
        "cause": "configuration changed; image changed",
        "interrupts": ["web"],
        "after": [1],
        "undo": [],
    }


def test_a_port_that_another_process_has_is_named_with_who_publishes_it() -> None:
    shop = stack({"web": {"ports": [{"target": 80, "published": "8080"}, {"target": 81, "published": "8081"}]}})

    refuse_taken_ports(shop, profile(), ())
    with pytest.raises(RefusedError, match="already taken on this machine: port 8081, which web publishes"):
        refuse_taken_ports(shop, profile(), (8081,))


def test_every_reason_against_a_plan_is_named_at_once() -> None:
    refuse(CUT)
    with pytest.raises(RefusedError) as caught:
        refuse(Plan(refusals=(("web is missing", "make it"), ("db is missing", "make it"))))
    assert (caught.value.message, caught.value.hint) == ("web is missing; db is missing", "make it")


def test_an_interruption_is_refused_where_the_profile_does_not_want_it() -> None:
    with pytest.raises(RefusedError) as caught:
        refuse_interruption(profile("prod", ALLOW_INTERRUPTION="false"), CUT, allowed=False)
    assert caught.value.message == (
        "not deployed to prod: web could not be reached for a while (ALLOW_INTERRUPTION=false)"
    )
    assert "inv deploy.plan --env prod" in caught.value.hint
    assert "--allow-interruption" in caught.value.hint


def test_an_interruption_that_is_allowed_or_none_at_all_is_not_refused() -> None:
    strict = profile("prod", ALLOW_INTERRUPTION="false")
    refuse_interruption(strict, CUT, allowed=True)
    refuse_interruption(profile(), CUT, allowed=False)
    refuse_interruption(strict, Plan(CUT.changes, (Operation("reload", "web"),)), allowed=False)


def ran(*directories: str, **fields: Any) -> Observed:
    """Return containers that were made from directories."""
    return Observed(
        tuple(container(f"shop-web-{n}", directory=directory, **fields) for n, directory in enumerate(directories, 1))
    )


def plan(action: str, *causes: str) -> Plan:
    return Plan((Change("web", action, causes),))


@pytest.mark.parametrize(
    ("observed", "made", "expected"),
    [
        (ran("/a"), plan("unchanged"), ("", False)),
        (ran("/b"), plan("recreate", "secret token changed"), ("", False)),
        (ran("/a", "/b"), plan("recreate", "secret token changed"), ("", False)),
        (ran(), plan("create", "no container"), ("", False)),
        (ran(""), plan("recreate", "configuration changed"), ("", False)),
        (ran("/a", oneoff=True), plan("create", "no container"), ("", False)),
        (ran("/a"), plan("recreate", "configuration changed", "config site changed"), ("/a", False)),
        (ran("/a"), plan("recreate", "secret token changed"), ("/a", True)),
        (ran("/a", "/c"), plan("remove", "it is in no Compose file any more"), ("/a, /c", True)),
    ],
)
def test_another_directory_speaks_against_a_deploy_when_it_is_another_copy(
    observed: Observed, made: Plan, expected: tuple[str, bool]
) -> None:
    assert other_directory(observed, made, "/b") == expected


def test_a_deploy_of_another_copy_is_refused_unless_it_takes_over() -> None:
    made = plan("recreate", "secret token changed")
    with pytest.raises(RefusedError) as caught:
        refuse_other_directory(ran("/a"), made, "/b", take_over=False)
    assert caught.value.message.startswith("shop was deployed from /a, with other secrets or services than /b")
    assert "change web from here with --take-over" in caught.value.hint
    assert refuse_other_directory(ran("/a"), made, "/b", take_over=True) == (
        "shop was deployed from /a; this deploy is from /b"
    )


def test_a_clone_with_the_same_secrets_goes_on_and_says_so() -> None:
    made = plan("recreate", "configuration changed")
    assert refuse_other_directory(ran("/a"), made, "/b", take_over=False) == (
        "shop was deployed from /a; this deploy is from /b"
    )
    assert refuse_other_directory(ran("/b"), made, "/b", take_over=False) == ""
