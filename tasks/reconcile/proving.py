"""Watches new containers until they are proven: that they run, and by numbers that they do as well as the old ones.

The numbers are those that Prometheus reads from the service. While a canary has a share of the requests, old and new
containers are compared in the same time; after a switch the old ones get no requests any more, so the new ones are
compared with what the old ones did in the time before.
"""

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from ..host.output import WARNING, note
from ..host.project import Project
from ..host.story.story import current_step
from ..model.engine.facts import Container
from ..model.errors import DeployError, RefusedError
from ..model.stack.stack import Service
from ..model.stack.verdict import container_problems
from ..model.units import show_duration
from .plan.operation import Operation
from .plan.rollout import too_many_failed

if TYPE_CHECKING:
    from ..telemetry.comparison import Comparison
    from ..telemetry.plan.judging import Judgement

KEPT, BREACH, FEW, NO_METRICS = "kept", "breach", "too-few-requests", "no-metrics"
Watched = list[dict[str, Any]]
"""What numbers said, operation by operation: service, share, verdict, a line for people, and the numbers."""

_LOOK = 2.0  # seconds between two looks at the numbers
_SCRAPES = 2  # of each new container, by which it can be judged
_PATIENCE = 3  # intervals that Prometheus may take longer, until it has found a new container
_FAIL = "fail"


def watch(project: Project, service: Service, operation: Operation, watched: Watched) -> str:
    """Watch the new containers of an operation; return why they are not proven, "" when they are.

    What numbers said is appended to ``watched``. Raises DeployError where numbers are needed and there are none.
    """
    current_step().wait(operation.seconds)
    numbers = _Numbers(project, service, operation, watched) if operation.against else None
    reason = _looked_at(project, service, operation, numbers)
    if not reason and numbers:
        reason = numbers.conclude()
    if not reason:
        return ""
    since = f"of getting {operation.share} % of the requests" if operation.share else "of taking over"
    return f"{reason} within {show_duration(operation.seconds)} {since}"


def _looked_at(project: Project, service: Service, operation: Operation, numbers: "_Numbers | None") -> str:
    """Look at containers, and at their numbers, for as long as the operation says; return what is wrong, "" if nothing.

    More than ``max_failure_ratio`` of the containers have to be in trouble.
    """

    def judge(containers: Sequence[Container]) -> str:
        bad = container_problems(service, containers, operation.names)
        return "; ".join(bad) if too_many_failed(service, len(bad), len(operation.names)) else ""

    end = time.monotonic() + operation.seconds
    while True:
        left = max(end - time.monotonic(), 0.0)
        piece = min(left or _LOOK, _LOOK) if numbers else left
        outcome = project.engine.watch.wait(project.stack.project, judge, piece)
        if outcome != "timeout":
            return outcome
        late = time.monotonic() - end
        if numbers is None or (late >= 0 and not numbers.awaited(late)):
            break
        if late < 0 and (reason := numbers.look()):
            return reason
    named = [one for one in project.engine.containers(project.stack.project) if one.name in operation.names]
    return judge([full for container in named if (full := project.engine.inspect(container.id)) is not None])


class _Numbers:
    """What numbers say of the new containers of an operation, as far as there are any."""

    def __init__(self, project: Project, service: Service, operation: Operation, watched: Watched) -> None:
        self._project, self._service, self._operation, self._watched = project, service, operation, watched
        self._patience = _PATIENCE * project.profile.duration("MONITOR_INTERVAL")
        self._comparison: Comparison | None = None
        from ..telemetry.comparison import Comparison as Started  # loaded only where numbers judge
        from ..telemetry.prometheus import Prometheus

        try:
            self._comparison = Started(
                Prometheus.of(project), project.stack.project, service, operation.names, operation.against,
                operation.share,
            )  # fmt: skip
        except RefusedError as error:
            self._without(error.message, error.hint)

    def look(self) -> str:
        """Tell the numbers so far; return why watching on is of no use, "" while it is."""
        if self._comparison is None:
            return ""
        try:
            judgement = self._comparison.judgement()
        except RefusedError:
            return ""  # the end decides whether there are numbers
        current_step().wait(self._operation.seconds, judgement.line())
        return self._told(judgement) if judgement.sure else ""

    def awaited(self, late: float) -> bool:
        """Whether Prometheus has to read the metrics once more; ``late`` are the seconds since the end of the watch."""
        if self._comparison is None or late > self._patience:
            return False
        try:
            return self._comparison.scrapes() < _SCRAPES
        except RefusedError:
            return True

    def conclude(self) -> str:
        """Return why the numbers do not prove the new containers, "" when they do or cannot say."""
        if self._comparison is None:
            return ""
        try:
            if self._comparison.scrapes() < _SCRAPES:
                names = ", ".join(self._operation.names)
                raise RefusedError(
                    f"Prometheus has not read the metrics of {names} twice", "inv monitor.check says why"
                )
            judgement = self._comparison.judgement()
            self._comparison.refuse_unknown(judgement)
        except RefusedError as error:
            self._without(error.message, error.hint)
            return ""
        return self._told(judgement)

    def _told(self, judgement: "Judgement") -> str:
        rule, line = self._service.slipway.watch, judgement.line()
        verdict = BREACH if judgement.breaches else FEW if judgement.few else KEPT
        if judgement.few and rule:
            line += f": too few to judge, {rule.requests} are needed"
            note(f"{self._service.name}: {line}", WARNING)
        current_step().result = line
        self._append(verdict, line, judgement.document())
        return "; ".join(judgement.breaches)

    def _without(self, why: str, hint: str) -> None:
        """Go on without numbers, or raise DeployError, as WATCH_WITHOUT_METRICS says."""
        line = f"not judged by numbers: {why}"
        self._append(NO_METRICS, line, {})
        self._comparison = None
        if self._project.profile.text("WATCH_WITHOUT_METRICS") == _FAIL:
            raise DeployError(f"{self._service.name}: {line} (WATCH_WITHOUT_METRICS=fail)", hint)
        current_step().result = line
        note(f"{self._service.name}: {line}", WARNING)

    def _append(self, verdict: str, line: str, numbers: dict[str, Any]) -> None:
        service, share = self._service.name, self._operation.share or 100
        self._watched.append({"service": service, "share": share, "verdict": verdict, "line": line, **numbers})
