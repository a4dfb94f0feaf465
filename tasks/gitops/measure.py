"""Leaves the metrics of an agent where monitoring reads those of deploys; what cannot be told is a warning, once."""

import time

from ..host.output import WARNING, note
from ..host.project import Project
from ..model.errors import SlipwayError
from ..telemetry import textfiles
from . import stored
from .plan import agent_metrics, decision
from .plan.agent_metrics import AgentReport
from .plan.decision import AgentDecision
from .plan.memory import Attempt


class AgentMetrics:
    """Tells of the agent of an environment that looks every ``interval`` seconds, and counts heals for ``window``."""

    def __init__(self, project: Project, interval: float, window: float) -> None:
        self._project, self._interval, self._window = project, interval, window
        self._said = ""

    def looked(self, decided: AgentDecision, attempt: Attempt | None) -> None:
        """Tell of a look that decided so, and of the deploy that it led to, where it did."""
        healed = attempt is not None and attempt.good
        self._tell(decided.action, attempt, 0 if healed else len(decided.drift))

    def deploying(self, drift: int) -> None:
        """Tell that a deploy begins, while so many services are not as they should be."""
        self._tell(decision.DEPLOY, None, drift)

    def hindered(self) -> None:
        """Tell that a look was not possible."""
        self._tell("", None, 0)

    def _tell(self, action: str, attempt: Attempt | None, drift: int) -> None:
        said = ""
        try:
            if files := textfiles.find(self._project):
                report = self._report(action, attempt, drift)
                files.put({textfiles.GITOPS: agent_metrics.text(files.labels, report)})
        except SlipwayError as error:
            said = f"monitoring was not told: {error.message}"
        if said and said != self._said:
            note(said, WARNING)
        self._said = said

    def _report(self, action: str, attempt: Attempt | None, drift: int) -> AgentReport:
        memory, orders, now = stored.memory(self._project), stored.orders(self._project), time.time()
        state = agent_metrics.state(action, attempt, bool(orders.suspended)) if action else agent_metrics.ERROR
        return AgentReport(
            state, now, self._interval, drift, agent_metrics.heals(memory, now - self._window), memory.attempt
        )
