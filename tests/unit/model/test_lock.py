"""The deploy lock: its labels, and when it is no longer valid."""

import dataclasses

import pytest

from tasks.model.errors import InputError
from tasks.model.lock import (
    BACKUP,
    HeldLock,
    Lock,
    container_name,
    from_labels,
    same_machine,
    stale,
    time_to_live,
    wait_seconds,
)

LOCK = Lock("shop", "ada", "laptop", 4711, "deploy", "boot/1/500", 60.0)
HELD = HeldLock(LOCK, "c0ffee", 1000.0, 1030.0, "2026-05-06T07:08:09Z")
ASKING = Lock("shop", "alan", "laptop", 4712, "deploy", "boot/1/900")


def test_the_labels_give_the_lock_back() -> None:
    assert from_labels(LOCK.labels()) == LOCK


def test_the_name_is_the_projects_so_that_two_projects_do_not_meet() -> None:
    assert LOCK.name == container_name("shop") == "shop-slipway-lock"
    assert container_name("shop-2") != container_name("shop") != container_name("shop", BACKUP)


def test_the_lock_carries_no_label_of_compose_that_would_make_it_an_orphan() -> None:
    assert not any(label.startswith("com.docker.compose") for label in LOCK.labels())


@pytest.mark.parametrize("text", ["", "x", "-1", "1.5.2"])
def test_invalid_labels_of_a_lock_are_read_as_unknown(text: str) -> None:
    labels = {"slipway.lock.pid": text, "slipway.lock.ttl": text}
    assert from_labels(labels) == Lock("", "unknown", "unknown", 0, "unknown", ttl=0.0)


def test_a_lock_holder_is_shown_with_host_time_and_reason() -> None:
    assert str(HELD) == "ada@laptop since 2026-05-06T07:08:09Z (deploy)"


@pytest.mark.parametrize(
    ("changed", "alive", "expected"),
    [
        ({}, False, "that process is gone"),
        ({}, True, ""),
        ({"host": "runner"}, False, ""),
        ({"process": "another boot/1/500"}, False, ""),
        ({"process": "boot/another container/500"}, False, ""),
        ({"process": ""}, False, ""),
        ({"pid": 0}, False, ""),
    ],
)
def test_only_a_process_of_this_very_machine_that_has_ended_leaves_a_stale_lock(
    changed: dict[str, str], alive: bool, expected: str
) -> None:
    held = dataclasses.replace(HELD, lock=dataclasses.replace(LOCK, **changed))

    assert stale(held, ASKING, alive, now=1031.0) == expected


@pytest.mark.parametrize(("now", "expected"), [(1089.9, False), (1090.1, True), (9999.0, True)])
def test_a_lock_expires_its_own_time_to_live_after_it_was_renewed(now: float, expected: bool) -> None:
    elsewhere = dataclasses.replace(ASKING, host="runner", ttl=5.0)

    assert stale(HELD, elsewhere, True, now).startswith("it was not renewed for") is expected


def test_a_lock_without_a_time_to_live_never_expires() -> None:
    held = dataclasses.replace(HELD, lock=dataclasses.replace(LOCK, ttl=0.0))

    assert stale(held, dataclasses.replace(ASKING, host="runner"), True, 1e9) == ""


def test_processes_of_unknown_machines_are_not_on_the_same_machine() -> None:
    unknown = dataclasses.replace(LOCK, process="")

    assert not same_machine(unknown, unknown)
    assert same_machine(LOCK, ASKING)


def test_a_time_to_live_that_no_renewal_fits_in_is_refused() -> None:
    assert time_to_live("1m30s") == 90.0
    with pytest.raises(InputError, match="LOCK_TTL: expected at least 2s, got '500ms'"):
        time_to_live("500ms")


def test_how_long_to_wait_is_a_duration_and_not_at_all_without_one() -> None:
    assert (wait_seconds(""), wait_seconds("5m")) == (0.0, 300.0)
    with pytest.raises(InputError, match="--wait: expected a duration such as 5m, got 'soon'"):
        wait_seconds("soon")
