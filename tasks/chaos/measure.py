"""Measures what clients see while an experiment runs: the requests of its hypothesis, again and again."""

import threading
import time
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Any

from .plan import measured
from .plan.experiment import Activity, Experiment
from .plan.measured import Sample
from .providers import ActivityFailedError, request

_LONGEST = 15.0  # seconds that a request may take; one that a probe gives less time has that
_AT_ONCE = 64  # requests that wait for their answers; while there are so many no further one is sent
_MOST = 20_000  # samples that are kept: 80 minutes of one probe that is asked four times a second
_LAST = 1.0  # seconds for answers that are under way at the end

Ask = Callable[[Mapping[str, Any]], dict[str, Any]]


class Measuring:
    """Sends each measurable request of a hypothesis again and again, whether or not the one before was answered."""

    def __init__(self, experiment: Experiment, ask: Ask = request) -> None:
        self._probes = tuple(experiment.filled(probe) for probe in measured.probes(experiment))
        self._every = measured.every(experiment)
        self._ask, self._over, self._guard = ask, threading.Event(), threading.Lock()
        self._samples: dict[int, list[Sample]] = {number: [] for number in range(len(self._probes))}
        self._waiting: dict[threading.Thread, tuple[int, float]] = {}
        self._unsent = 0
        self._began, self._began_at = time.monotonic(), time.time()
        self._ticker = threading.Thread(target=self._send, daemon=True)

    def __enter__(self) -> "Measuring":
        self._began, self._began_at = time.monotonic(), time.time()
        if self._probes:
            self._ticker.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over.set()
        if self._probes:
            self._ticker.join()
        until = time.monotonic() + _LAST
        for thread in tuple(self._waiting):
            thread.join(max(0.0, until - time.monotonic()))

    def document(self) -> dict[str, Any]:
        """Return what was measured as JSON data; a request that has no answer at the end has none at all."""
        with self._guard:
            now = time.monotonic() - self._began
            taken = {number: list(samples) for number, samples in self._samples.items()}
            for number, began in self._waiting.values():
                taken[number].append(Sample(began, now - began, 0, False))
        series = [(str(probe["name"]), taken[number]) for number, probe in enumerate(self._probes)]
        return measured.document(self._began_at, series, self._unsent)

    def _send(self) -> None:
        due = time.monotonic()
        while not self._over.wait(max(0.0, due - time.monotonic())):
            due = max(due + self._every, time.monotonic())
            for number, probe in enumerate(self._probes):
                self._begin(number, probe)

    def _begin(self, number: int, probe: Activity) -> None:
        with self._guard:
            if len(self._waiting) >= _AT_ONCE or sum(map(len, self._samples.values())) >= _MOST:
                self._unsent += 1
                return
            thread = threading.Thread(target=self._one, args=(number, probe), daemon=True)
            self._waiting[thread] = (number, time.monotonic() - self._began)
        thread.start()

    def _one(self, number: int, probe: Activity) -> None:
        began = time.monotonic()
        try:
            output = self._ask(measured.within_time(probe["provider"], _LONGEST))
        except ActivityFailedError:
            output = {}
        took = time.monotonic() - began
        with self._guard:
            self._waiting.pop(threading.current_thread(), None)
            self._samples[number].append(measured.sample(probe, began - self._began, took, output))
