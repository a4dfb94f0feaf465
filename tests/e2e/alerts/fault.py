"""What a planted fault is."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from .stack import Stack

Step = Callable[[Stack], object]
PAGE, TICKET = "page", "ticket"


@dataclass(frozen=True)
class Expected:
    """An alert: its name and severity, and the labels that say it is about what was broken."""

    name: str
    severity: str
    labels: Mapping[str, str] = field(default_factory=dict, hash=False)

    def wanted(self, project: str) -> dict[str, str]:
        """Return the labels of the alert in a project."""
        own = {"alertname": self.name, "severity": self.severity, "project": project}
        return own | {key: value.replace("PROJECT", project) for key, value in self.labels.items()}


@dataclass(frozen=True)
class Fault:
    """A fault: what plants it, what fixes it, and the alerts that fire while it is there."""

    name: str
    alerts: tuple[Expected, ...]
    plant: Step
    fix: Step


def page(name: str, **labels: str) -> Expected:
    """Return an alert that calls somebody."""
    return Expected(name, PAGE, labels)


def ticket(name: str, **labels: str) -> Expected:
    """Return an alert that can wait."""
    return Expected(name, TICKET, labels)


def nothing(_stack: Stack) -> None:
    """Do nothing: what was planted is over by itself."""


def both(*steps: Step) -> Step:
    """Return a step that takes others in turn."""

    def step(stack: Stack) -> None:
        for one in steps:
            one(stack)

    return step
