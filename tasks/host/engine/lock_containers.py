"""Locks on the engine, through its SDK: a lock is a container that is created, renewed, and never started."""

import contextlib
import uuid
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from ...model.lock import TICKET_LABEL, HeldLock, Lock, from_labels, ticket
from .client import Engine

_IMAGE = "slipway-lock:1"  # an empty image, since every container needs an image
_CONFLICT = 409


class Locks:
    """The locks of an engine. All times are those of the engine: the clocks of lock holders do not matter."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    @property
    def _api(self) -> Any:
        return self._engine._api

    def now(self) -> float:
        """Return the engine's time in seconds since the epoch."""
        return _seconds(self._engine.time())

    def find(self, name: str) -> HeldLock | None:
        """Return the lock of a name, None when it is free."""
        container = self._engine._find(f"/containers/{name}/json")
        return _held(container) if container else None

    def take(self, lock: Lock) -> HeldLock | None:
        """Take a lock and return it; None when another process has it.

        The engine creates a container of a name only once, so that only one process gets the lock.
        """
        from docker.errors import APIError

        self._ensure_image()
        with self._engine._answering():
            try:
                made = self._api.create_container(_IMAGE, command=["lock"], name=lock.name, labels=lock.labels())
            except APIError as error:
                if error.status_code == _CONFLICT:
                    return None
                raise
        held = self.find(made["Id"])
        return held if held and held.token == made["Id"] else None

    def queue(self, lock: Lock) -> tuple[HeldLock, ...]:
        """Return the places in the queue for a lock, in the order in which the engine gave them out."""
        filters = {"label": [f"{TICKET_LABEL}={lock.project}", f"slipway.lock.scope={lock.scope}"]}
        listed = self._engine._read("/containers/json", all=1, filters=filters)
        places = [place for raw in listed if (place := self.find(raw["Id"]))]
        return tuple(sorted(places, key=lambda place: (place.created, place.token)))

    def queue_up(self, lock: Lock) -> HeldLock | None:
        """Take a place at the end of the queue for a lock."""
        self._ensure_image()
        name = f"{lock.name}-ticket-{uuid.uuid4().hex[:12]}"
        with self._engine._answering():
            made = self._api.create_container(_IMAGE, command=["lock"], name=name, labels=ticket(lock))
        return self.find(made["Id"])

    def renew(self, held: HeldLock) -> bool:
        """Renew a lock; return False when exactly this lock no longer exists."""
        from docker.errors import APIError, NotFound

        after = max(self.now() - held.created, 0.001)
        policy = {"Name": "on-failure", "MaximumRetryCount": int(after * 1000)}
        with self._engine._answering():
            try:
                self._api.update_container(held.token, restart_policy=policy)
            except APIError as error:
                if isinstance(error, NotFound) or error.status_code == _CONFLICT:  # gone, or being removed
                    return False
                raise
        return True

    def drop(self, held: HeldLock) -> None:
        """Remove exactly this lock, never a later one of its name; no error when it is gone already."""
        from docker.errors import APIError, NotFound

        with self._engine._answering():
            try:
                self._api.remove_container(held.token, force=True)
            except APIError as error:
                if not isinstance(error, NotFound) and error.status_code != _CONFLICT:  # its removal is in progress
                    raise

    def _ensure_image(self) -> None:
        if self._engine.image(_IMAGE) is None:
            with self._engine._answering():
                self._api.import_image_from_data(bytes(1024), repository=_IMAGE.partition(":")[0], tag="1")


def _held(raw: Mapping[str, Any]) -> HeldLock:
    created = _seconds(raw["Created"])
    # The only field of a container that can be updated and has no effect on one that is never started.
    renewals = (raw["HostConfig"].get("RestartPolicy") or {}).get("MaximumRetryCount") or 0
    return HeldLock(
        lock=from_labels(raw["Config"].get("Labels") or {}),
        token=raw["Id"],
        created=created,
        renewed=created + renewals / 1000,
        since=datetime.fromtimestamp(created, UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
    )


def _seconds(text: str) -> float:
    """Return the engine's RFC 3339 time, which has nanoseconds, in seconds since the epoch."""
    with contextlib.suppress(ValueError):
        return datetime.fromisoformat(text).timestamp()
    return 0.0
