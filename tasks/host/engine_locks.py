"""Locks on the engine, through its SDK: a container that is created, renewed, and never started."""

import contextlib
import uuid
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from docker.errors import APIError, NotFound

from ..plan.lock import TICKET_LABEL, Held, Lock, from_labels, ticket
from .engine import Engine

_IMAGE = "slipway-lock:1"  # an empty image: a container must have one
_CONFLICT = 409


class Locks:
    """The locks of one engine. Every time is the engine's own: no clock of a holder counts."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._api = engine._api

    def now(self) -> float:
        """Return the engine's time in seconds since the epoch."""
        with self._engine._answering():
            return _seconds(self._api.info()["SystemTime"])

    def find(self, name: str) -> Held | None:
        """Return the lock of a name, None when nobody holds it."""
        with self._engine._answering():
            try:
                found = self._api.inspect_container(name)
            except NotFound:
                return None
        return _held(found)

    def take(self, lock: Lock) -> Held | None:
        """Take a lock and return it; None when somebody else has it: creating a name is what the engine does once."""
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

    def queue(self, lock: Lock) -> tuple[Held, ...]:
        """Return the places in the queue for a lock, in the order in which the engine gave them out."""
        filters = {"label": [f"{TICKET_LABEL}={lock.project}", f"slipway.lock.scope={lock.scope}"]}
        with self._engine._answering():
            listed = self._api.containers(all=True, filters=filters)
        found = [one for raw in listed if (one := self.find(raw["Id"]))]
        return tuple(sorted(found, key=lambda one: (one.created, one.token)))

    def queue_up(self, lock: Lock) -> Held | None:
        """Take a place at the end of the queue for a lock."""
        self._ensure_image()
        name = f"{lock.name}-ticket-{uuid.uuid4().hex[:12]}"
        with self._engine._answering():
            made = self._api.create_container(_IMAGE, command=["lock"], name=name, labels=ticket(lock))
        return self.find(made["Id"])

    def renew(self, held: Held) -> bool:
        """Say that a lock is held still; False when this very lock is no longer there."""
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

    def drop(self, held: Held) -> None:
        """Remove this very lock, never one that was taken after it; none is fine."""
        with self._engine._answering():
            try:
                self._api.remove_container(held.token, force=True)
            except APIError as error:
                if not isinstance(error, NotFound) and error.status_code != _CONFLICT:  # another one is removing it
                    raise

    def _ensure_image(self) -> None:
        if self._engine.image(_IMAGE) is None:
            with self._engine._answering():
                self._api.import_image_from_data(bytes(1024), repository=_IMAGE.partition(":")[0], tag="1")


def _held(found: Mapping[str, Any]) -> Held:
    created = _seconds(found["Created"])
    # Of all that can be written to a container that does not run, this number alone means nothing to the engine.
    renewals = (found["HostConfig"].get("RestartPolicy") or {}).get("MaximumRetryCount") or 0
    return Held(
        lock=from_labels(found["Config"].get("Labels") or {}),
        token=found["Id"],
        created=created,
        renewed=created + renewals / 1000,
        since=datetime.fromtimestamp(created, UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
    )


def _seconds(text: str) -> float:
    """Return the engine's RFC 3339 time, which has nanoseconds, in seconds since the epoch."""
    with contextlib.suppress(ValueError):
        return datetime.fromisoformat(text).timestamp()
    return 0.0
