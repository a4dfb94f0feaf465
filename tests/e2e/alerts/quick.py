"""The monitoring as it is shipped, with shorter times: who waits for `for: 1h` in a test waits an hour.

Only times change, by two factors. What an expression looks back on (`[5m]`, `offset 1m`) shrinks as much as the
interval does, so that it has as many samples as with the interval that is shipped. How long an alert waits (`for`), and
how long Alertmanager does, shrink by 60. The times that are shipped are tested by promtool
(docker_project/monitoring/prometheus/tests).
"""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

SHIPPED_INTERVAL, INTERVAL = 15.0, 2.0  # seconds
_LOOKS_BACK = SHIPPED_INTERVAL / INTERVAL
_WAITS = 60.0
_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_DURATION = r"\d+(?:ms|[smhd])"
# How old something may be is no time of a rule where it can be planted as old as it is to be: a file, a lock, a backup.
# A transaction cannot be begun in the past.
_AGES = {"PostgreSQLLongTransaction": (") > 300\n", ") > 5\n")}
# Prometheus knows no Alertmanager for some seconds after its configuration was read again, and sends what it could not
# send once more: after a minute, if nothing else is said.
_AGAIN = "5s"
PLANTED_RULES = "/prometheus/planted"
FILE_SYSTEMS = {"textfile": "/textfile", "planted-ticket": "/planted/ticket", "planted-growing": "/planted/growing"}
"""The volumes that node-exporter sees as file systems of their own, by where it has them."""
SIZE, FILES = 4 << 20, 400
"""How large these file systems are, in bytes, and how many files each can have."""


def shorter(duration: str, factor: float) -> str:
    """Return a duration of Prometheus divided by a factor."""
    number, unit = re.fullmatch(r"(\d+)(ms|[smhd])", duration).groups()  # type: ignore[union-attr]
    return f"{round(int(number) * _UNITS[unit] / factor * 1000)}ms"


def rules(text: str) -> str:
    """Return the text of a rule file with shorter times."""

    def window(found: re.Match[str]) -> str:
        return re.sub(_DURATION, lambda each: shorter(each[0], _LOOKS_BACK), found[0])

    text = re.sub(rf"\[{_DURATION}(:{_DURATION})?\]|\boffset {_DURATION}", window, text)
    text = re.sub(rf"(?m)^( +for: )({_DURATION})$", lambda found: found[1] + shorter(found[2], _WAITS), text)
    for name, (before, after) in _AGES.items():
        head, found, rest = text.partition(f"- alert: {name}\n")
        if found:
            assert before in rest, f"{name} does not compare with {before!r} any more"
            text = head + found + rest.replace(before, after, 1)
    return text


def notifications(text: str) -> str:
    """Return the configuration of Alertmanager with shorter times."""
    keys = "group_wait|group_interval|repeat_interval"
    pattern = rf"(?m)^( +(?:{keys}): )({_DURATION})$"
    return re.sub(pattern, lambda found: found[1] + shorter(found[2], _WAITS), text)


def alerts(directory: Path) -> Iterator[tuple[str, str]]:
    """Yield the name and the severity of each alert of the rule files in a directory."""
    for path in sorted(directory.glob("*.yml")):
        for group in yaml.safe_load(path.read_text())["groups"]:
            for rule in group["rules"]:
                if "alert" in rule:
                    yield rule["alert"], rule["labels"]["severity"]


def change(monitoring: Path) -> None:
    """Give the monitoring in a directory shorter times, and places where faults can be planted.

    The places: a directory of rules in Prometheus' volume, and small file systems that node-exporter sees.
    """
    for path in sorted((monitoring / "prometheus" / "rules").glob("*.yml")):
        path.write_text(rules(path.read_text()))
    configuration = monitoring / "alertmanager" / "alertmanager.yml"
    configuration.write_text(notifications(configuration.read_text()))
    configuration = monitoring / "prometheus" / "prometheus.yml"
    before, found, after = configuration.read_text().partition("rule_files:\n")
    configuration.write_text(f"{before}{found}  - {PLANTED_RULES}/*.yml\n{after}")
    file = monitoring / "docker-compose.monitoring.yml"
    file.write_text(yaml.safe_dump(_composed(yaml.safe_load(file.read_text())), sort_keys=False))


def _composed(model: dict[str, Any]) -> Mapping[str, Any]:
    model["services"]["prometheus"]["command"].append(f"--rules.alert.resend-delay={_AGAIN}")
    exporter = model["services"]["node-exporter"]
    for name, place in FILE_SYSTEMS.items():
        options = {"type": "tmpfs", "device": "tmpfs", "o": f"size={SIZE},nr_inodes={FILES},mode=0755"}
        model["volumes"][name] = {"driver": "local", "driver_opts": options}
        if not any(mount.startswith(f"{name}:") for mount in exporter["volumes"]):
            exporter["volumes"].append(f"{name}:{place}")
    return model
