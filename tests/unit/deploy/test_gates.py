"""The gates of a deploy: what a profile requires before it begins."""

from dataclasses import replace

import pytest
from support import profile, stack

from tasks.deploy.plan import maintenance
from tasks.deploy.plan.gates import GateFacts, evidence, mounted_from, refuse_unmet
from tasks.deploy.plan.hooks import command
from tasks.model.errors import InputError, RefusedError

MET = GateFacts("1a2b3c4d", branches=("origin/main",), tests="20260506-070809-a1b2")
ASKED = {"REQUIRE_CLEAN": "true", "REQUIRE_PUSHED": "true", "REQUIRE_EVIDENCE": "tests"}


def test_a_gate_that_is_not_asked_for_stops_nothing() -> None:
    refuse_unmet(profile(), GateFacts(dirty=True))


def test_gates_that_are_met_are_open() -> None:
    refuse_unmet(profile(**ASKED), MET)


@pytest.mark.parametrize(
    ("facts", "reason"),
    [
        (GateFacts("1a2b3c4d", True, MET.branches, MET.tests), "the checkout has uncommitted changes (REQUIRE_CLEAN)"),
        (GateFacts("", False, MET.branches, MET.tests), "this is no git checkout (REQUIRE_CLEAN)"),
        (GateFacts("1a2b3c4d", False, (), MET.tests), "no remote branch has commit 1a2b3c4 (REQUIRE_PUSHED)"),
        (GateFacts("1a2b3c4d", False, MET.branches), "no run of tests passed for these sources (REQUIRE_EVIDENCE)"),
    ],
)
def test_each_gate_closes(facts: GateFacts, reason: str) -> None:
    with pytest.raises(RefusedError) as caught:
        refuse_unmet(profile("prod", **ASKED), facts)
    assert caught.value.message == f"not deployed to prod: {reason}"
    assert caught.value.hint


def test_all_gates_that_are_not_met_are_named_at_once() -> None:
    with pytest.raises(RefusedError) as caught:
        refuse_unmet(profile(**{**ASKED, "REQUIRE_EVIDENCE": "tests,scan"}), GateFacts("1a2b3c4d", dirty=True))
    assert caught.value.message.count("(REQUIRE_") == 4
    assert "no scan of the images passed (REQUIRE_EVIDENCE)" in caught.value.message


def test_a_scan_that_passed_opens_its_gate_and_without_one_the_reason_is_told() -> None:
    wanted = profile("prod", REQUIRE_EVIDENCE="scan")
    refuse_unmet(wanted, GateFacts(scan=("passed: 1 image", "")))

    with pytest.raises(RefusedError) as caught:
        refuse_unmet(wanted, GateFacts(scan=("", "shop/web:1 was not scanned")))
    assert caught.value.message == "not deployed to prod: shop/web:1 was not scanned (REQUIRE_EVIDENCE)"
    assert caught.value.hint == "inv build --env prod && inv scan.images --env prod"
    with pytest.raises(RefusedError) as caught:
        refuse_unmet(profile("prod", REQUIRE_EVIDENCE="scan", PROMOTE_FROM="staging"), GateFacts())
    assert caught.value.hint == "inv scan.images --env staging"


def test_a_page_that_would_answer_smoke_checks_stops_a_deploy() -> None:
    with pytest.raises(RefusedError, match="not deployed to dev: the maintenance page of shop is on") as caught:
        refuse_unmet(profile(), GateFacts(hidden=(maintenance.unmet("shop", "dev"),)))
    assert caught.value.hint == "inv deploy.maintenance off --env dev"


def test_unknown_evidence_is_bad_input() -> None:
    with pytest.raises(InputError, match="unknown evidence 'tets'"):
        evidence(profile(REQUIRE_EVIDENCE="tets"))


def test_a_rollout_without_a_health_check_and_files_of_this_machine_are_refused() -> None:
    facts = GateFacts(unwatched=("web",), mounted=(("web", "/srv/shop/web.conf"),))
    with pytest.raises(RefusedError, match="web: rolled out without a health check") as caught:
        refuse_unmet(profile(), facts)
    assert "/srv/shop/web.conf" in caught.value.message


def test_what_is_mounted_from_the_checkout_is_found() -> None:
    shop = stack(
        {
            "web": {
                "volumes": [
                    {"type": "bind", "source": "/srv/shop/conf"}, {"type": "bind", "source": "/etc/web"},
                    {"type": "volume", "source": "data"},
                ],
                "secrets": [{"source": "token"}],
            }
        },
        secrets={"token": {"file": "/srv/shop/secrets/token"}},
    )  # fmt: skip
    assert mounted_from(shop, "/srv/shop") == (("web", "/srv/shop/conf"), ("web", "/srv/shop/secrets/token"))
    assert mounted_from(shop, "/srv/sho") == ()


def test_a_hook_is_told_by_its_environment() -> None:
    made = command("/srv/hooks/pre-deploy", "/srv", {"environment": "prod", "release": "7"}, 30.0)
    assert made.argv == ("/srv/hooks/pre-deploy",)
    assert made.env == {"SLIPWAY_ENVIRONMENT": "prod", "SLIPWAY_RELEASE": "7"}
    assert made.timeout == 30.0


def test_a_checkout_that_moved_while_the_deploy_waited_is_refused() -> None:
    with pytest.raises(RefusedError) as caught:
        refuse_unmet(profile(**ASKED), replace(MET, moved="9f8e7d6c"))
    assert "the checkout went from commit 1a2b3c4 to 9f8e7d6 meanwhile" in caught.value.message
