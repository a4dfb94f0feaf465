"""Carries an experiment out: hypothesis, method, hypothesis, rollbacks; and keeps its journal."""

import platform
import threading
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, Protocol

from ..host.forwarding import signals_postponed
from ..host.output import note
from ..model.errors import StoppedError
from .plan import tolerance
from .plan.experiment import Activity, Experiment
from .providers import ActivityFailedError

COMPLETED, FAILED, ABORTED, INTERRUPTED = "completed", "failed", "aborted", "interrupted"
_VERSION = "slipway"
_JOIN = 5.0  # seconds that activities in the background have after they were told to end


class Performer(Protocol):
    """What does the activities."""

    def act(self, activity: Activity) -> Any:
        """Return what an activity gives; raises ActivityFailedError."""

    def end(self) -> None:
        """End what other threads wait for."""

    def go_on(self) -> None:
        """Let activities be done again."""


class Awaited(Protocol):
    """The alert that has to fire because of what the method does."""

    def begin(self) -> None:
        """Count from now on."""

    def await_firing(self) -> None:
        """Wait until it fires, the first time that it is called."""

    def await_resolved(self) -> None:
        """Wait until it is resolved, if it has fired."""

    @property
    def as_it_should(self) -> bool:
        """Whether it has fired and is resolved, or nothing was asked."""


class _AbortedError(Exception):
    """An action of the method failed: the fault was not there, and what follows would prove nothing."""


class Conductor:
    """One run of an experiment. ``journal`` has the shape of Chaos Toolkit's ``journal.json``.

    An ``alert`` is waited for twice: until it fires, before the method ends its fault, and until it is resolved.
    """

    def __init__(self, experiment: Experiment, performer: Performer, alert: Awaited | None = None) -> None:
        self._experiment, self._performer, self._alert = experiment, performer, alert
        self._began, self._failed = time.monotonic(), False
        self.journal: dict[str, Any] = {
            "chaoslib-version": _VERSION,
            "platform": platform.platform(),
            "node": platform.node(),
            "experiment": experiment.document,
            "start": _now(),
            "status": None,
            "deviated": False,
            "steady_states": {"before": None, "after": None, "during": []},
            "run": [],
            "rollbacks": [],
        }

    def run(self) -> dict[str, Any]:
        """Carry the experiment out and return its journal; rollbacks run however the method ends, once it began."""
        journal = self.journal
        try:
            before = journal["steady_states"]["before"] = self._steady()
            if before and not before["steady_state_met"]:
                journal["status"] = FAILED
                return journal
            self._disturb()
            if self._alert and journal["status"] == COMPLETED:
                self._alert.await_resolved()
                journal["deviated"] = journal["deviated"] or not self._alert.as_it_should
        except StoppedError:
            journal["status"] = INTERRUPTED
            raise
        finally:
            journal["end"], journal["duration"] = _now(), time.monotonic() - self._began
        return journal

    def _disturb(self) -> None:
        journal = self.journal
        if self._alert:
            self._alert.begin()
        try:
            self._method()
            after = journal["steady_states"]["after"] = self._steady()
            journal["deviated"] = journal["deviated"] or bool(after and not after["steady_state_met"])
            journal["status"] = COMPLETED
        except _AbortedError:
            journal["status"] = ABORTED
        finally:
            with signals_postponed():
                self._performer.go_on()
                for activity in self._experiment.rollbacks:
                    self._perform(activity, journal["rollbacks"])

    def _steady(self) -> dict[str, Any] | None:
        """Return whether the hypothesis is met, None when there is none; it ends at the first probe that is not."""
        if not self._experiment.probes:
            return None
        state: dict[str, Any] = {"steady_state_met": True, "probes": []}
        for probe in self._experiment.probes:
            done = self._perform(probe, state["probes"])
            self._judge(probe, done)
            if not done["tolerance_met"]:
                state["steady_state_met"] = False
                break
        return state

    def _judge(self, probe: Activity, done: dict[str, Any]) -> None:
        met = done["status"] == "succeeded" and tolerance.within(probe["tolerance"], done["output"])
        done["tolerance_met"] = met
        if not met:
            note(f"{probe['name']}: not as tolerated ({probe['tolerance']}): {_seen(done)}")

    def _method(self) -> None:
        """Do the activities in their order, those in the background at the same time, and wait for all of them."""
        threads: list[threading.Thread] = []
        try:
            for activity in self._experiment.method:
                if activity.get("background"):
                    threads.append(threading.Thread(target=self._one, args=(activity,), daemon=True))
                    threads[-1].start()
                elif not self._one(activity):
                    break
            for thread in threads:
                while thread.is_alive():  # a signal is heard between two looks
                    thread.join(0.2)
            if self._failed:
                raise _AbortedError
        except BaseException:
            self._performer.end()
            for thread in threads:
                thread.join(_JOIN)
            raise

    def _one(self, activity: Activity) -> bool:
        """Do an activity of the method; return False for an action that failed, after which the rest is not done.

        A tolerance counts here too, where Chaos Toolkit looks at none: it is about what clients see during the fault.
        """
        if self._alert and self._experiment.ends_faults(activity):
            self._alert.await_firing()
        done = self._perform(activity, self.journal["run"])
        if activity["type"] == "probe":
            if "tolerance" in activity:
                self._judge(activity, done)
                self.journal["deviated"] = self.journal["deviated"] or not done["tolerance_met"]
            return True
        output = done["output"]
        if isinstance(output, dict) and set(output) == {"status", "stdout", "stderr"} and output["status"]:
            done["status"] = "failed"
        if done["status"] == "failed":
            note(f"{activity['name']}: failed: {_seen(done)}")
            self._failed = True
        return bool(done["status"] == "succeeded")

    def _perform(self, activity: Activity, into: list[dict[str, Any]]) -> dict[str, Any]:
        """Do an activity with its pauses; what came of it is appended to a part of the journal at its beginning."""
        actual = self._experiment.filled(activity)
        pauses = actual.get("pauses") or {}
        time.sleep(float(pauses.get("before") or 0))
        note(f"{activity['type']}: {activity['name']}")
        began = time.monotonic()
        done: dict[str, Any] = {"activity": dict(activity), "output": None, "start": _now()}
        into.append(done)
        try:
            done["output"], done["status"] = self._performer.act(actual), "succeeded"
        except ActivityFailedError as error:
            done["status"], done["exception"] = "failed", [error.message]
        finally:
            done["end"], done["duration"] = _now(), time.monotonic() - began
        time.sleep(float(pauses.get("after") or 0))
        return done


def _seen(done: dict[str, Any]) -> str:
    """Return in a few words what came of an activity."""
    if done.get("exception"):
        return str(done["exception"][0])
    output = done["output"]
    if not isinstance(output, dict):
        return str(output)
    said: Sequence[str] = str(output.get("stderr") or output.get("body") or "").strip().splitlines()
    return f"{output.get('status')}{f' ({said[-1][:200]})' if said else ''}"


def _now() -> str:
    return datetime.now(UTC).isoformat()
