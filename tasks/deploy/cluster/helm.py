"""Runs helm for a deploy and looks at the Pods meanwhile: what helm waits for, and why that does not come."""

import contextlib
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from ...host.runner import Result
from ...host.story.story import current_step, show_last_words
from ...kube.live.cluster import Cluster, persistently
from ...kube.plan import labels
from ...kube.plan.live import difference, pods, watching
from ...kube.plan.live.pods import PodProblem
from ...model.command import Command
from ...model.errors import DeployError, SlipwayError
from ...model.record import Record

_LOOK = 1.0  # seconds between two looks at the Pods
_FINAL = 8.0  # seconds for which a fault that waiting does not help has to stay before the rollout is given up
_WORDS, _PODS = 10, 2  # lines that are shown of how many Pods
_KINDS = "pods,deployments.apps,statefulsets.apps,daemonsets.apps,jobs.batch,persistentvolumeclaims,replicasets.apps"


class Seen(Record):
    """What was seen of the Pods while helm waited: why they did not get ready, the last time that was looked."""

    problems: tuple[PodProblem, ...] = ()

    def words(self) -> str:
        """Return the gravest fault of each service in words."""
        first: dict[str, PodProblem] = {}
        for problem in self.problems:
            first.setdefault(problem.service, problem)
        return "; ".join(str(problem) for problem in first.values())

    @property
    def hint(self) -> str:
        """What to do about the gravest fault."""
        return next((problem.hint for problem in self.problems if problem.hint), "")


class Rollout:
    """One helm command that waits for Pods, and what is seen of them meanwhile."""

    def __init__(self, cluster: Cluster, names: Mapping[str, str]) -> None:
        self._cluster, self._names = cluster, names
        self._since = 0.0
        self._before: frozenset[str] = frozenset()  # the Pods that were there: what is wrong with them is no news
        self.seen = Seen()
        self.counts: dict[str, int] = {}  # how often new Pods had been started again when they were seen ready last
        self._words: dict[str, tuple[str, ...]] = {}  # what Pods that ended, or are sick, wrote last

    def run(self, command: Command, services: Sequence[str]) -> None:
        """Run helm; raises DeployError with what was seen when it fails, or when waiting does not help any more."""
        runner = self._cluster.project.runner
        with tempfile.TemporaryDirectory(prefix="slipway-helm-") as directory:
            out, err = Path(directory, "out"), Path(directory, "err")
            given_up = False
            self._before = frozenset(_identity(raw) for raw in persistently(lambda: look(self._cluster)))
            with runner.in_parallel() as children:
                number = children.start(command, out, err)
                while (code := children.ended(number)) is None:
                    time.sleep(_LOOK)
                    if not given_up and self._hopeless(services):
                        given_up = True
                        children.processes[number].terminate()  # helm then goes back to the revision before
            said = err.read_text(encoding="utf-8", errors="replace")
        if code or given_up:
            raise self._failed(command, code, said)

    def _listen(self, found: Sequence[difference.Raw]) -> None:
        """Keep what Pods wrote last that are not well: helm removes them when it goes back."""
        for pod in found:
            name = str(pod["metadata"]["name"])
            bad = pods.problems([pod], (), self._names)
            if bad and not bad[0].final and (pods.restarts(pod) or pods.exit_code(pod) or name not in self._words):
                previous = bool(pods.restarts(pod)) and pods.state(pod) == "restarting"
                if words := last_words(self._cluster, name, previous):
                    self._words[name] = words

    def _failed(self, command: Command, code: int, said: str) -> SlipwayError:
        for name, lines in list(self._words.items())[:_PODS]:
            show_last_words(name, "failed", lines)
        if self.seen.problems:
            return DeployError(self.seen.words(), self.seen.hint)
        return self._cluster.fault(Result(code, "", said), command)

    def _hopeless(self, services: Sequence[str]) -> bool:
        """Look at the Pods; return whether a fault that waiting does not help has stayed for a while."""
        final = False
        with contextlib.suppress(SlipwayError, ValueError):  # the API server may be away for a moment
            listed = look(self._cluster)
            new = [raw for raw in listed if _identity(raw) not in self._before]
            staying = [raw for raw in new if raw["kind"] == "Pod" and not raw["metadata"].get("deletionTimestamp")]
            objects = [raw for raw in listed if raw["kind"] not in ("Pod", difference.JOB) or raw in new]
            problems = pods.problems(staying, objects, self._names)
            # While helm goes back by itself there is nothing wrong any more: what was counts.
            self.seen = Seen(problems) if problems else self.seen
            final = any(problem.final for problem in problems)
            self.counts |= watching.counts(raw for raw in staying if pods.ready(raw))
            self._listen(staying)
            self._tell(listed, services)
        self._since = (self._since or time.monotonic()) if final else 0.0
        return final and time.monotonic() - self._since > _FINAL

    def _tell(self, listed: Sequence[difference.Raw], services: Sequence[str]) -> None:
        workloads = [raw for raw in listed if raw["kind"] in difference.PODS]
        waiting = [
            f"{difference.service_of(raw, self._names)} {words}"
            for raw in workloads
            if difference.service_of(raw, self._names) in services and (words := difference.unfinished(raw))
        ]
        if waiting:
            current_step().advance("; ".join(waiting))


def _identity(raw: difference.Raw) -> str:
    return str(raw["metadata"]["uid"])


def look(cluster: Cluster) -> tuple[difference.Raw, ...]:
    """Return the Pods, workloads and claims of the project as they are now."""
    raw = cluster.read("get", _KINDS, "--selector", f"{labels.PROJECT}={cluster.name}")
    return tuple(raw["items"])


def last_words(cluster: Cluster, pod: str, previous: bool) -> tuple[str, ...]:
    """Return the last lines that a Pod wrote, before it was started again where ``previous`` is set; none without."""
    again = ("--previous",) if previous else ()
    result = cluster.tried(cluster.kubectl("logs", pod, f"--tail={_WORDS}", *again))
    return tuple(result.stdout.splitlines()) if result.exit_code == 0 and result.stdout.strip() else ()


class Upgrade(Record):
    """What an upgrade says: its description, how many releases helm keeps, and by which lock it is known as ours.

    ``switches``: it is one of two revisions of a release, and the first is kept with the releases.
    """

    description: str
    keep: int
    mark: str
    switches: bool = False

    def words(self, cluster: Cluster, chart: Path) -> tuple[str, ...]:
        """Return the words of a command that upgrades to a chart."""
        return (
            *("upgrade", cluster.release, str(chart)),
            f"--history-max={max(self.keep, 2) + self.switches}",
            f"--description={self.description}",
            "--server-side=true",
            "--force-conflicts",
            f"--labels=slipway={self.mark}",
        )


def install(cluster: Cluster, chart: Path, upgrade: Upgrade, timeout: float, hooks: bool) -> Command:
    """Return the command that installs a chart, waits until all is ready, and goes back where that fails."""
    words = (
        *upgrade.words(cluster, chart),
        "--install",
        "--rollback-on-failure",
        "--wait=watcher",
        "--wait-for-jobs",
        f"--timeout={max(timeout, 1.0):.0f}s",
        *(() if hooks else ("--no-hooks",)),
    )
    # Ended with us: helm then goes back by itself, as far as it gets.
    return replace(cluster.helm(*words, reason=f"deploy {cluster.name}", seconds=None), tied=True)


def conclude(cluster: Cluster, chart: Path, upgrade: Upgrade) -> Command:
    """Return the command that leaves only the chart of a release whose Pods are proven: nothing is waited for."""
    words = (*upgrade.words(cluster, chart), "--no-hooks")
    return cluster.helm(*words, reason=f"remove what {cluster.name} was before", seconds=None)


def back(cluster: Cluster, revision: int, timeout: float) -> Command:
    """Return the command that goes back to a revision and waits until it serves."""
    words = ("rollback", cluster.release, str(revision), "--wait=watcher", f"--timeout={max(timeout, 1.0):.0f}s")
    more = ("--force-conflicts", "--server-side=true", "--no-hooks")
    return cluster.helm(*words, *more, reason=f"go back to release {revision}", seconds=None)
