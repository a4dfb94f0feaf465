"""The steps of a deploy's story as spans of a trace, which is sent when it has ended."""

import os
import secrets
import time

from ...host.project import Project
from ...model.story.events import FAILED, Event, StepFinished, StepStarted
from ...release.plan.release import DEPLOYED, Release
from ..plan import trace
from ..plan.trace import Span


class Spans:
    """Takes the events of a story, and keeps a span for each step that has ended."""

    def __init__(self, project: Project, task: str) -> None:
        self._project, self._task = project, task
        self._began, self._clock = time.time(), time.monotonic()
        self._started: dict[int, float] = {}
        self._steps: list[Span] = []

    def take(self, event: Event, now: float, written: str) -> None:
        """Take an event of the story."""
        moment = self._began + now - self._clock
        if isinstance(event, StepStarted):
            self._started[event.step] = moment
        elif isinstance(event, StepFinished):
            words: dict[str, str | int | float] = {
                "slipway.step": event.step,
                "slipway.outcome": event.outcome,
                "slipway.result": event.result,
            }
            failed = (event.output[-1] if event.output else event.outcome) if event.outcome == FAILED else ""
            self._steps.append(Span(event.name, self._started.get(event.step, moment), moment, failed, words))

    def send(self, outcome: str, why: str, release: Release | None) -> None:
        """Send the trace; raises RefusedError when nothing takes it."""
        destination, parent = trace.destination(os.environ), trace.parent(os.environ.get("TRACEPARENT", ""))
        if destination is None or not parent.sampled:
            return
        from ...telemetry.post import post_json

        profile, version = self._project.profile, self._project.version
        own: dict[str, str | int | float] = {
            "slipway.project": self._project.stack.project,
            "slipway.environment": profile.environment,
            "slipway.outcome": outcome,
            "slipway.release": release.id if release else 0,
            "slipway.version": release.version if release else version.text,
            "vcs.ref.head.revision": version.commit,
        }
        failed = "" if outcome == DEPLOYED else why or outcome
        root = Span(f"{self._task} {self._project.stack.project}", self._began, time.time(), failed, own)
        ids = [secrets.token_hex(16), *(secrets.token_hex(8) for _ in range(len(self._steps) + 1))]
        about = trace.resource(os.environ, {"deployment.environment.name": profile.environment})
        document = trace.document(root, self._steps, ids, parent, about)
        post_json(destination.url, document, destination.headers, destination.limit)
