"""The table: which alert is made to fire by which fault, and which alerts no test can make fire, and why."""

from . import services, watching
from .fault import Fault

LANES: tuple[tuple[Fault, ...], ...] = (
    *((fault,) for fault in services.CONTAINERS),
    *(services.DATABASE, services.MYSQL, services.REDIS, services.PROXY, services.CERTIFICATE, services.APP),
    *(watching.PROMETHEUS, watching.NOTIFICATIONS, watching.TARGET, *watching.HOST, watching.DEPLOYS),
    watching.AGENTS,
)
"""Faults that follow each other; lanes do not disturb each other, so all of them begin at the same time."""

ALWAYS = {("Watchdog", "none")}
"""Alerts that fire from the beginning, and are never resolved."""

_THE_MACHINE = "the fault would be the whole machine's, with all that runs on it, and a busy one has it already"
NOT_PLANTED = {
    ("NodeMemoryHighUtilization", "ticket"): _THE_MACHINE,
    ("NodeMemoryMajorPagesFaults", "ticket"): _THE_MACHINE,
    ("NodeCPUHighUsage", "ticket"): _THE_MACHINE,
    ("NodeSystemSaturation", "ticket"): _THE_MACHINE,
    ("NodeDiskIOSaturation", "ticket"): _THE_MACHINE,
    ("NodeFileDescriptorLimit", "ticket"): _THE_MACHINE,
    ("NodeClockSkewDetected", "ticket"): _THE_MACHINE,
    ("NodeClockNotSynchronising", "ticket"): _THE_MACHINE,
    ("PrometheusNotConnectedToAlertmanagers", "page"): "without Alertmanager no notification can arrive",
}
"""Alerts that only promtool makes fire, with the reason."""


def planted() -> dict[tuple[str, str], str]:
    """Return the name of the fault for each alert, by the alert's name and severity."""
    return {(one.name, one.severity): fault.name for lane in LANES for fault in lane for one in fault.alerts}
