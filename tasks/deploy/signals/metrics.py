"""Metrics of a deploy, and of what can be known of an environment besides."""

import contextlib
import time
from collections.abc import Mapping
from datetime import datetime

from ...host.project import Project
from ...model.errors import InputError
from ...release import store
from ...release.plan.release import DEPLOYED
from ...telemetry import textfiles
from ...telemetry.plan import own_metrics
from ..plan import deploy_metrics
from ..report import DeployReport


class DeployMetrics:
    """Tells of one deploy; every method raises RefusedError when nothing can be written."""

    def __init__(self, files: textfiles.Textfiles) -> None:
        self._project, self._files = files.project, files

    def locked(self) -> None:
        """Tell that a deploy has the lock from now on."""
        self._files.put({textfiles.LOCK: deploy_metrics.locked(self._files.labels, time.time())})

    def unlocked(self) -> None:
        """Tell that no deploy has the lock."""
        self._files.put({textfiles.LOCK: deploy_metrics.locked(self._files.labels, 0.0)})

    def write(self, outcome: str, began: float, report: DeployReport) -> None:
        """Tell how a deploy ended that began then, in seconds since the epoch, and that none has the lock."""
        releases = report.known if self._project.clustered else store.history(self._project)
        now, labels = time.time(), self._files.labels
        ended = deploy_metrics.Ended(outcome, now, now - began)
        texts = {
            textfiles.OUTCOME: deploy_metrics.outcome(labels, ended, releases),
            textfiles.LOCK: deploy_metrics.locked(labels, 0.0),
            **ages(self._project, labels),
        }
        if outcome == DEPLOYED:
            texts[textfiles.DRIFT] = own_metrics.drift(labels, dict.fromkeys(self._project.stack.services, 0))
        self._files.put(texts)


def tell_drift(project: Project, counts: Mapping[str, int]) -> None:
    """Tell how many differences each service has from its release, and what else has an age; a failure is a warning."""
    if files := textfiles.find(project):
        drift = own_metrics.drift(files.labels, counts)
        textfiles.warned(files, {textfiles.DRIFT: drift, **ages(project, files.labels)})


def ages(project: Project, labels: own_metrics.Labels) -> dict[str, str]:
    """Return when the newest backup and the vulnerability database were made, as far as there are any here."""
    from ...scan import vulnerability_db

    texts = dict[str, str]()
    backups = project.settings.backups_dir / project.stack.project
    if made := [path.stat().st_mtime for path in backups.rglob("*.dump")] if backups.is_dir() else []:
        texts[textfiles.BACKUP] = own_metrics.backup(labels, max(made))
    with contextlib.suppress(InputError):  # it is broken, which `inv scan.db` tells
        if database := vulnerability_db.current(project.profile, project.settings.root):
            updated = datetime.fromisoformat(database.updated).timestamp()
            texts[textfiles.DATABASE] = own_metrics.vulnerability_database(labels, updated)
    return texts
