"""What the agent does: one commit one deploy, only forward, never against a person."""

from dataclasses import replace
from typing import Any

import pytest

from tasks.gitops.plan.decision import (
    APART,
    DEPLOY,
    DRIFT,
    FAILED,
    HEAL,
    LOOK,
    NEWER,
    OLDER,
    REFUSE,
    SAME,
    SYNCED,
    UNKNOWN,
    WAIT,
    Healing,
    Situation,
    about_drift,
    decide,
)  # fmt: skip
from tasks.gitops.plan.memory import Attempt, Memory, Orders
from tasks.release.plan.release import Release

OLD, NEW = "a" * 40, "b" * 40
NOON = "2026-11-30T12:00:00Z"
EARLIER, LATER = "2026-11-30T11:00:00Z", "2026-11-30T13:00:00Z"


def release(number: int = 4, commit: str = OLD, **more: Any) -> Release:
    return Release(number, "prod", "1.0.0", commit, NOON, more.pop("operator", "gitops@agent"), **more)


def seen(tip: str = OLD, outcome: str = "deployed", **more: Any) -> Situation:
    """Return the situation after a deploy of OLD by the agent, as release 4."""
    attempt = Attempt(OLD, outcome, NOON, 4, "" if outcome == "deployed" else "app is unhealthy")
    relation = SAME if tip == OLD else NEWER
    return Situation(**{
        "environment": "prod", "project": "shop", "tip": tip, "relation": relation, "to_serving": relation,
        "memory": Memory(attempt), "releases": (release(),), **more,
    })  # fmt: skip


def test_a_new_commit_is_deployed() -> None:
    assert decide(seen(NEW)).action == DEPLOY


def test_the_first_commit_is_deployed() -> None:
    assert decide(Situation("prod", "shop", NEW)).action == DEPLOY


def test_a_commit_that_is_deployed_is_compared_with_what_runs() -> None:
    decided = decide(seen())
    assert decided.action == LOOK
    assert about_drift(seen(), decided, Healing()).action == SYNCED


@pytest.mark.parametrize("outcome", ["failed", "rolled-back", "paused"])
def test_a_commit_that_failed_is_not_tried_again(outcome: str) -> None:
    decided = decide(seen(outcome=outcome))
    assert (decided.action, decided.state) == (FAILED, "failure")
    assert decided.reason == f"{outcome} at {NOON}: app is unhealthy"


def test_a_commit_that_failed_is_tried_again_when_a_person_says_so() -> None:
    assert decide(seen(outcome="failed", orders=Orders(again=NOON))).action == DEPLOY
    assert decide(seen(outcome="failed", orders=Orders(again=EARLIER))).action == FAILED


def test_the_next_commit_after_one_that_failed_is_deployed() -> None:
    assert decide(seen(NEW, outcome="failed")).action == DEPLOY


def test_a_deploy_that_was_refused_is_tried_again() -> None:
    assert decide(seen(outcome="refused")).action == DEPLOY


def test_a_commit_that_is_not_verified_changes_nothing() -> None:
    decided = decide(seen(NEW, refusal="commit b is not deployed: it is not signed", hint="sign it"))
    assert (decided.action, decided.state) == (REFUSE, "failure")
    assert (decided.reason, decided.hint) == ("commit b is not deployed: it is not signed", "sign it")


@pytest.mark.parametrize(
    ("relation", "words"),
    [
        (OLDER, "went back to bbbbbbbbbbbb, which is older"),
        (APART, "has another history"),
        (UNKNOWN, "another history"),
    ],
)
def test_a_branch_only_goes_forward(relation: str, words: str) -> None:
    rewritten = seen(NEW, relation=relation)
    decided = decide(rewritten)
    assert (decided.action, decided.state) == (REFUSE, "failure")
    assert words in decided.reason and "aaaaaaaaaaaa" in decided.reason
    assert decide(replace(rewritten, orders=Orders(rewritten=EARLIER))).action == REFUSE
    assert decide(replace(rewritten, orders=Orders(rewritten=NOON))).action == DEPLOY


def test_an_agent_without_a_memory_goes_by_the_release_that_serves() -> None:
    assert decide(seen(NEW, memory=Memory())).action == DEPLOY
    assert decide(seen(NEW, memory=Memory(), relation=APART, to_serving=APART)).action == REFUSE
    went_back = decide(seen(NEW, memory=Memory(), relation=OLDER, to_serving=OLDER))
    assert (went_back.action, went_back.state) == (REFUSE, "failure")


def test_an_agent_without_a_memory_knows_from_the_records_what_failed() -> None:
    failed = release(5, NEW, outcome="rolled-back", reason="app is unhealthy")
    known = seen(NEW, memory=Memory(), releases=(failed, release()))
    assert decide(known).action == FAILED
    assert decide(replace(known, orders=Orders(again=NOON))).action == DEPLOY
    stopped = replace(failed, reason="stopped by SIGTERM")
    assert decide(replace(known, releases=(stopped, release()))).action == DEPLOY


def test_the_records_also_tell_what_failed_after_the_last_memory() -> None:
    """An agent that was killed after a deploy had failed, and before it could remember that."""
    failed = release(5, NEW, outcome="failed", reason="app is unhealthy")
    assert decide(seen(NEW, releases=(failed, release()))).action == FAILED
    assert decide(seen(NEW, releases=(failed, release()), orders=Orders(again=NOON))).action == DEPLOY
    assert decide(seen(NEW, releases=(replace(failed, commit="c" * 40), release()))).action == DEPLOY


def test_a_suspended_agent_does_nothing() -> None:
    decided = decide(seen(NEW, orders=Orders(NOON, "ann@desk", "a fair")))
    assert (decided.action, decided.state) == (WAIT, "")
    assert decided.reason == f"suspended since {NOON} by ann@desk: a fair"


def test_what_a_person_rolled_back_stays_until_the_next_commit() -> None:
    back = release(5, "c" * 40, operator="ann@desk", of=3)
    decided = decide(seen(releases=(back, release())))
    assert (decided.action, decided.state) == (WAIT, "failure"), "never green after a roll back"
    assert "release 5 of ann@desk serves (back to release 3), not aaaaaaaaaaaa" in decided.reason
    assert decide(seen(NEW, releases=(back, release()))).action == DEPLOY
    assert decide(seen(releases=(back, release()), orders=Orders(again=NOON))).action == DEPLOY


def test_what_a_person_deployed_stays_until_the_next_commit() -> None:
    hotfix = release(5, "c" * 40, operator="ann@desk")
    assert decide(seen(releases=(hotfix, release()))).action == WAIT
    assert decide(seen(releases=(release(5, operator="ann@desk"), release()))).action == LOOK, "the same commit"


def test_a_newer_commit_that_a_person_deployed_is_not_taken_back() -> None:
    ahead = release(5, "c" * 40, operator="ann@desk")
    decided = decide(seen(NEW, releases=(ahead, release()), to_serving=OLDER))
    assert decided.action == WAIT
    assert "which is newer than bbbbbbbbbbbb" in decided.reason


def test_what_was_taken_down_stays_down() -> None:
    decided = decide(seen(running=False))
    assert (decided.action, decided.reason) == (WAIT, "shop was taken down")


def test_maintenance_suspends_healing() -> None:
    assert decide(seen(maintenance=True)).action == WAIT


@pytest.mark.parametrize("tip", [OLD, NEW])
def test_nothing_is_done_while_somebody_deploys(tip: str) -> None:
    decided = decide(seen(tip, busy="shop is locked by ann@desk (rollback)"))
    assert (decided.action, decided.state) == (WAIT, "")
    assert "ann@desk" in decided.reason


def drifted(mode: str = "heal", heals: tuple[str, ...] = (), most: int = 2, **more: Any) -> str:
    found = seen(drift=("web: start",), healable=True, memory=Memory(Attempt(OLD, "deployed", NOON, 4), heals))
    return about_drift(replace(found, **more), decide(found), Healing(mode, most, NOON)).action


def test_drift_is_reported_or_healed() -> None:
    assert drifted("report") == DRIFT
    assert drifted() == HEAL
    assert drifted(healable=False) == DRIFT, "it only waits until a container is ready"


def test_it_heals_only_so_often() -> None:
    assert drifted(heals=(LATER,)) == HEAL
    assert drifted(heals=(LATER, LATER)) == DRIFT
    assert drifted(heals=(EARLIER, EARLIER, LATER)) == HEAL, "those before the window do not count"
    assert drifted(most=0) == DRIFT


def test_a_report_names_what_differs_and_why_it_is_not_healed() -> None:
    found = seen(drift=("web: start", "db: recreate"), healable=True, memory=Memory(None, (LATER,)))
    decided = about_drift(found, decide(seen()), Healing("heal", 1, NOON, "1h"))
    assert (
        decided.reason == "what runs is not what was deployed: web: start; db: recreate; healed 1 times in 1h already"
    )
    assert decided.drift == ("web: start", "db: recreate")
