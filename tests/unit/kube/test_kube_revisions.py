"""The history of a Helm release as releases."""

import json
from dataclasses import replace

from tasks.kube.plan.live import revisions
from tasks.release.plan.release import Pinned, Release, rows, serving


def listed(*entries: tuple[int, str, str]) -> tuple[revisions.Revision, ...]:
    """Return what ``helm history`` says: revision, status, description."""
    return revisions.parsed(
        json.dumps(
            [
                {
                    "revision": number,
                    "updated": f"2026-11-30T09:0{number}:00.123456789+01:00",
                    "status": status,
                    "chart": "shop-0.1.0",
                    "app_version": f"1.{number}.0",
                    "description": said,
                }
                for number, status, said in entries
            ]
        )
    )


def record(number: int) -> Release:
    image = Pinned("shop/app:1", f"sha256:{number}", f"shop/app@sha256:{number}")
    return Release(
        number, "prod", f"1.{number}.0", "c0ffee", "2026-11-30T08:00:00Z", "ann@laptop", images={"app": image}
    )


def test_the_release_that_helm_calls_deployed_serves() -> None:
    known = listed((1, "superseded", "Install complete"), (2, "deployed", "Upgrade complete"))

    found = revisions.releases(known, {1: record(1), 2: record(2)}, "prod")

    assert [(one["id"], one["outcome"], one["current"], one["operator"]) for one in rows(found)] == [
        (2, "deployed", True, "ann@laptop"),
        (1, "deployed", False, "ann@laptop"),
    ]
    assert rows(found)[0]["images"] == {"app": "shop/app@sha256:2"}


def test_a_failed_upgrade_that_helm_took_back_is_rolled_back() -> None:
    known = listed(
        (1, "superseded", "Install complete"),
        (2, "failed", 'Upgrade "shop" failed: resource Deployment/shop/app not ready'),
        (3, "deployed", "Rollback to 1"),
    )

    found = revisions.releases(known, {1: record(1)}, "prod")

    assert [(one.id, one.outcome) for one in found] == [(1, "deployed"), (2, "rolled-back"), (3, "deployed")]
    assert "not ready" in found[1].reason
    back = rows(found)[0]
    assert (back["id"], back["version"], back["reason"], back["current"]) == (3, "1.1.0", "back to 1", True)


def test_a_revision_that_helm_made_by_itself_is_listed() -> None:
    found = revisions.releases(listed((1, "deployed", "Install complete")), {}, "prod")

    assert [(one.version, one.operator, one.created) for one in found] == [("1.1.0", "helm", "2026-11-30T08:01:00Z")]
    assert serving(found) == found[0]


def test_a_deploy_that_was_killed_does_not_serve() -> None:
    known = listed((1, "deployed", "Install complete"), (2, "pending-upgrade", "Preparing upgrade"))

    found = revisions.releases(known, {}, "prod")

    pending = revisions.pending(known)
    assert pending is not None
    assert pending.number == 2
    assert [(one.id, one.outcome) for one in found] == [(1, "deployed"), (2, "failed")]
    assert found[1].reason == "it was stopped before it ended (pending-upgrade)"


def test_a_record_survives_the_way_to_the_cluster_and_back() -> None:
    raw = revisions.record("shop", "shop", record(7))

    assert raw["metadata"]["name"] == "shop-release-7"
    assert revisions.recorded([raw, {"data": {"release.json": "no json"}}]) == {7: record(7)}


def test_the_migrations_that_were_applied_last_count() -> None:
    first = revisions.record("shop", "shop", record(2), {"migrate": {"001_users": "aa"}})
    later = revisions.record("shop", "shop", record(10), {"migrate": {"001_users": "aa", "002_more": "bb"}})
    back = revisions.record("shop", "shop", record(11))

    assert revisions.applied([back, later, first]) == {"migrate": {"001_users": "aa", "002_more": "bb"}}
    assert "migrations.json" not in back["data"]


def test_a_release_that_was_taken_down_does_not_serve() -> None:
    found = revisions.releases(listed((1, "superseded", "one"), (2, "uninstalled", "gone")), {2: record(2)}, "prod")

    assert [(one.outcome, one.reason) for one in found] == [("deployed", ""), ("removed", "taken down")]


def test_a_release_that_a_smoke_check_refused_did_not_serve() -> None:
    known = listed((1, "superseded", "one"), (2, "superseded", "two"), (3, "deployed", "Rollback to 1"))
    refused = replace(record(2), outcome="rolled-back", reason="smoke test: status 500")

    found = revisions.releases(known, {1: record(1), 2: refused}, "prod")

    assert [(one.outcome, one.reason) for one in found][1] == ("rolled-back", "smoke test: status 500")


def test_the_model_of_a_release_is_recorded_unless_it_is_too_large() -> None:
    small, large = {"services": {"app": {"image": "x"}}}, {"services": {"app": {"image": "x" * 10**6}}}
    raws = [revisions.record("shop", "shop", record(number), None, one) for number, one in ((1, small), (2, large))]

    assert revisions.models(raws) == {1: small}


def test_records_of_what_helm_forgot_are_surplus() -> None:
    assert revisions.surplus([1, 2, 3], listed((3, "deployed", ""))) == (1, 2)


def test_nothing_installed_is_no_history() -> None:
    assert revisions.parsed("[]") == ()
    assert revisions.pending(()) is None


def test_a_release_serves_again_when_helm_went_back_to_it() -> None:
    (same,) = listed((2, "deployed", "Upgrade complete"))
    (back,) = listed((4, "deployed", "Rollback to 2"))
    (going,) = listed((4, "pending-rollback", "Rollback to 2"))
    (failed,) = listed((3, "failed", "Upgrade failed"))

    assert [revisions.serves(one, 2) for one in (same, back, going, failed)] == [True, True, False, False]


BESIDE = "Beside release 1: 1.2.0 by ann@laptop"


def test_what_stands_beside_a_release_does_not_serve() -> None:
    known = listed((1, "superseded", "Install complete"), (2, "deployed", BESIDE))

    assert revisions.beside(1, "1.2.0 by ann@laptop") == BESIDE
    found = revisions.serving(known)
    assert (found and found.number, revisions.pending(known)) == (1, known[1])
    assert not revisions.serves(known[1], 1), "it has to be gone back from"


def test_a_step_of_a_release_is_no_release() -> None:
    known = listed((1, "superseded", "Install complete"), (2, "superseded", BESIDE), (3, "deployed", "1.3.0 by ann"))

    found = revisions.releases(known, {1: record(1), 3: record(3)}, "prod")

    assert [(one.id, one.outcome) for one in found] == [(1, "deployed"), (3, "deployed")]
    assert (revisions.passed(known, {1, 3}), revisions.pending(known)) == ((2,), None)


def test_a_step_that_was_gone_back_from_is_a_release_that_failed() -> None:
    known = listed((1, "superseded", "Install complete"), (2, "superseded", BESIDE), (3, "deployed", "Rollback to 1"))

    found = revisions.releases(known, {1: record(1)}, "prod")

    assert [(one.id, one.outcome, one.of) for one in found] == [
        (1, "deployed", 0),
        (2, "rolled-back", 0),
        (3, "deployed", 1),
    ]
    assert found[1].reason == "it was stopped before it took over"
    assert revisions.passed(known, {1}) == ()


def test_who_goes_back_to_a_step_by_helm_goes_back_to_what_served_then() -> None:
    known = listed(
        *((1, "superseded", "Install complete"), (2, "superseded", BESIDE)),
        *((3, "superseded", "1.3.0 by ann"), (4, "deployed", "Rollback to 2")),
    )

    found = revisions.releases(known, {1: record(1), 3: record(3)}, "prod")

    assert [(one.id, one.version, one.of) for one in found] == [(1, "1.1.0", 0), (3, "1.3.0", 0), (4, "1.1.0", 1)]


def test_what_a_killed_helm_had_superseded_serves_until_it_has_noted_what_does() -> None:
    def now(*entries: tuple[int, str, str]) -> int | None:
        found = revisions.serving(listed(*entries))
        return found.number if found else None

    beside = revisions.beside(1, "1.2.0 by ada")
    assert now((1, "superseded", ""), (2, "pending-upgrade", "")) == 1
    assert now((1, "superseded", ""), (2, "failed", ""), (3, "pending-rollback", "")) == 1
    assert now((1, "superseded", ""), (2, "superseded", beside), (3, "pending-upgrade", "")) == 1
    assert now((1, "superseded", ""), (2, "uninstalled", ""), (3, "pending-install", "")) is None
    assert now((1, "pending-install", "")) is None
    assert now((1, "superseded", ""), (2, "failed", "")) is None
