"""What Slipway itself tells monitoring, as the textfile collector of the node exporter reads it.

https://github.com/prometheus/node_exporter#textfile-collector
"""

from collections.abc import Iterable, Mapping

_HELP = {
    "slipway_deploy_last_timestamp_seconds": "When a deploy last ended so, in seconds since the epoch.",
    "slipway_deploy_duration_seconds": "How long the last deploy took.",
    "slipway_deploy_outcome": "1 for how the last deploy ended, 0 for all other ways.",
    "slipway_release_info": "The release that serves.",
    "slipway_drift": "How many differences a service has from its release.",
    "slipway_lock_held_since_seconds": "Since when a deploy has the lock, 0 when none has it.",
    "slipway_vulnerability_database_timestamp_seconds": "When the vulnerability database was made.",
    "slipway_backup_timestamp_seconds": "When the newest backup was made.",
    "slipway_gitops_last_look_timestamp_seconds": "When the GitOps agent last looked at its repository, or tried to.",
    "slipway_gitops_interval_seconds": "How long the GitOps agent waits between two looks.",
    "slipway_gitops_state": "1 for what the GitOps agent is doing, 0 for all else that it may do.",
    "slipway_gitops_suspended": "1 while people have told the GitOps agent to do nothing.",
    "slipway_gitops_drift": "How many services are not as the deployed commit says, as the GitOps agent has seen.",
    "slipway_gitops_heals": "How often the GitOps agent has healed within GITOPS_HEAL_WINDOW.",
    "slipway_gitops_commit_info": "The commit that the GitOps agent deployed last, or tried to.",
    "slipway_gitops_outcome": "1 for how the last deploy of the GitOps agent ended, 0 for all other ways.",
    "slipway_gitops_last_deploy_timestamp_seconds": "When the last deploy of the GitOps agent ended.",
}
Labels = Mapping[str, str]


def gauge(name: str, labels: Labels, samples: Iterable[tuple[Labels, float]]) -> str:
    """Return the lines of a metric, "" without samples: ``labels`` are on every line, a sample has its own besides."""
    lines = [f"{name}{{{_labels({**labels, **own})}}} {_number(value)}\n" for own, value in samples]
    return "".join((f"# HELP {name} {_HELP[name]}\n# TYPE {name} gauge\n", *lines)) if lines else ""


def drift(labels: Labels, counts: Mapping[str, int]) -> str:
    """Return how many differences each service has from its release."""
    return gauge("slipway_drift", labels, (({"service": name}, float(count)) for name, count in counts.items()))


def backup(labels: Labels, made: float) -> str:
    """Return when the newest backup was made, in seconds since the epoch."""
    return gauge("slipway_backup_timestamp_seconds", labels, [({}, made)])


def vulnerability_database(labels: Labels, made: float) -> str:
    """Return when the vulnerability database was made, in seconds since the epoch."""
    return gauge("slipway_vulnerability_database_timestamp_seconds", labels, [({}, made)])


def _labels(labels: Labels) -> str:
    def escaped(value: str) -> str:
        return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")

    return ",".join(f'{name}="{escaped(value)}"' for name, value in labels.items())


def _number(value: float) -> str:
    return f"{value:.3f}".rstrip("0").rstrip(".")
