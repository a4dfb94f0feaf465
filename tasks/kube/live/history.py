"""The releases of an environment on a cluster: helm's revisions, and a record of each."""

import json
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from ...release.plan.release import Release
from ..plan import labels
from ..plan.live import revisions
from ..plan.live.revisions import RECORD_LABEL, Revision
from .cluster import Cluster

Raw = Mapping[str, Any]


class History:
    """The history of the Helm release of a project; it is asked for once.

    ``listed`` returns the ConfigMaps that record its releases, where they are asked for already.
    """

    def __init__(self, cluster: Cluster, listed: Callable[[], Iterable[Raw]] | None = None) -> None:
        self._cluster = cluster
        self._asked = cluster.helm("history", cluster.release, "--output", "json", "--max", "256")
        self._pending = cluster.start(self._asked)
        self._listed = listed or self._list()
        self._revisions: tuple[Revision, ...] | None = None
        self._records: dict[int, Release] | None = None
        self._applied: dict[str, dict[str, str]] = {}
        self._models: dict[int, Mapping[str, Any]] = {}

    @property
    def revisions(self) -> tuple[Revision, ...]:
        """What helm lists, oldest first; nothing where nothing was installed."""
        if self._revisions is None:
            self._revisions = revisions.parsed(self._cluster.answer(self._asked, self._pending, missing="[]"))
        return self._revisions

    @property
    def records(self) -> dict[int, Release]:
        """What Slipway recorded, by revision."""
        if self._records is None:
            found = tuple(self._listed())
            self._records, self._applied = revisions.recorded(found), revisions.applied(found)
            self._models = revisions.models(found)
        return self._records

    def _list(self) -> Callable[[], Iterable[Raw]]:
        selector = f"{labels.PROJECT}={self._cluster.name},{RECORD_LABEL}"
        command = self._cluster.kubectl("get", "configmap", "--selector", selector, "--output", "json")
        pending = self._cluster.start(command)

        def listed() -> Iterable[Raw]:
            raws: list[Raw] = json.loads(self._cluster.answer(command, pending, missing='{"items": []}'))["items"]
            return raws

        return listed

    @property
    def applied(self) -> dict[str, dict[str, str]]:
        """The digests of the migrations that each job has applied last, by service."""
        _ = self.records
        return self._applied

    def model(self, release: Release) -> Mapping[str, Any] | None:
        """Return the Compose model of a release without secrets, None where it is not recorded."""
        _ = self.records
        return self._models.get(release.id) or self._models.get(release.of)

    @property
    def releases(self) -> tuple[Release, ...]:
        """Both together, oldest first."""
        return revisions.releases(self.revisions, self.records, self._cluster.place.environment)

    @property
    def taken_down(self) -> bool:
        """Whether nothing is installed: nothing was yet, or what was has been removed."""
        newest = max(self.revisions, key=lambda one: one.number, default=None)
        return newest is None or newest.status == revisions.UNINSTALLED

    @property
    def serving(self) -> Release | None:
        """The release that serves, None when there is none."""
        now = revisions.serving(self.revisions)
        return next((one for one in self.releases if now and one.id == now.number), None)


def write(
    cluster: Cluster,
    made: Release,
    migrations: Mapping[str, Mapping[str, str]] | None = None,
    model: Mapping[str, Any] | None = None,
) -> None:
    """Record a release, which migrations its jobs applied, and its Compose model without secrets."""
    text = json.dumps(revisions.record(cluster.release, cluster.name, made, migrations, model))
    words = ("apply", "--server-side", "--force-conflicts", "--field-manager=slipway", "--filename", "-")
    cluster.silently(cluster.kubectl(*words, stdin=text, reason=f"record release {made.id}"))


def prune(cluster: Cluster) -> None:
    """Remove the records of revisions that helm no longer keeps, and helm's own of steps.

    The last step stays: `helm rollback` without a number wants the revision before the newest to be there.
    """
    now = History(cluster)
    if steps := revisions.passed(now.revisions, now.records)[:-1]:
        names = [revisions.secret_name(cluster.release, number) for number in steps]
        cluster.silently(cluster.kubectl("delete", "secret", "--ignore-not-found", *names))
    if gone := revisions.surplus(now.records, now.revisions):
        names = [revisions.record_name(cluster.release, number) for number in gone]
        cluster.silently(cluster.kubectl("delete", "configmap", "--ignore-not-found", *names))
