"""The deploy lock."""

import pytest

from tasks.plan.lock import Lock, container_name, from_labels, stale

LOCK = Lock("shop", "ada", "laptop", 4711, "2026-05-06T07:08:09Z", "deploy")


def test_the_labels_give_the_lock_back() -> None:
    assert from_labels(LOCK.labels()) == LOCK


def test_the_name_is_the_projects_so_that_two_projects_do_not_meet() -> None:
    assert LOCK.name == container_name("shop") == "shop-slipway-lock"
    assert container_name("shop-2") != container_name("shop")


def test_the_lock_carries_no_label_of_compose_that_would_make_it_an_orphan() -> None:
    assert not any(label.startswith("com.docker.compose") for label in LOCK.labels())


@pytest.mark.parametrize("pid", ["", "x", "-1", "1.5"])
def test_a_lock_that_somebody_made_by_hand_is_read_as_far_as_it_goes(pid: str) -> None:
    assert from_labels({"slipway.lock.pid": pid}) == Lock("", "unknown", "unknown", 0, "unknown", "unknown")


@pytest.mark.parametrize(
    ("host", "pid", "alive", "expected"),
    [
        ("laptop", 4711, False, True),
        ("laptop", 4711, True, False),
        ("runner", 4711, False, False),
        ("laptop", 0, False, False),
    ],
)
def test_only_a_process_of_this_host_that_has_ended_leaves_a_stale_lock(
    host: str, pid: int, alive: bool, expected: bool
) -> None:
    held = Lock("shop", "ada", host, pid, LOCK.since, LOCK.reason)

    assert stale(held, "laptop", alive) is expected
