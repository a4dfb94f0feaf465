"""Runs projects of docker/awesome-compose on the cluster of the tests: `python -m tests.bench.running DIR [PROJECT…]`.

DIR is a checkout of that repository; it works on copies. Each project is adopted, its environment prod gets a cluster,
and what it builds an image of a registry. Then it is planned, deployed, asked from outside of the Pods, deployed again,
changed, deployed, taken back and taken down. Its files stay as they are, but for the change. The exit code is 1 when a
step of a project was not as it should be.

The images that projects name are made from Debian packages where the engine has not got them (`bases_of_others`).
"""

import contextlib
import re
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from tabulate import tabulate

from tests.bench.bases_of_others import standing_in
from tests.bench.foreign import digest
from tests.cluster.cluster import Cluster, started
from tests.cluster.foreign import ENVIRONMENT, Foreign
from tests.e2e.registries import LABEL, Registry, build_image, registry
from tests.e2e.support import docker, remove, until

_ANSWERS = 60.0  # seconds until a page is as it should be
_OUT_OF_ENV = ("--env", ENVIRONMENT)


@dataclass(frozen=True)
class Project:
    """A project: what it builds, what it is built from and runs, who is asked, and what a change makes of the page.

    ``change`` is a file, a text in it and another one. ``counts``: the page counts its requests in the data, so each
    answer has a number that is greater than the one before.
    """

    name: str
    builds: tuple[str, ...]
    bases: tuple[str, ...]
    runs: tuple[str, ...]
    asked: str
    page: str
    change: tuple[str, str, str]
    changed_page: str
    counts: bool = False


PROJECTS = (
    Project(
        name="nginx-golang-postgres",
        builds=("backend",),
        bases=("docker/dockerfile:1.4", "golang:1.18-alpine"),
        runs=("nginx", "postgres"),
        asked="proxy",
        page=r'\["Blog post #0","Blog post #1","Blog post #2","Blog post #3","Blog post #4"\]\n',
        change=("backend/main.go", "Blog post #", "Post no. "),
        changed_page=r'\["Post no. 0","Post no. 1","Post no. 2","Post no. 3","Post no. 4"\]\n',
    ),
    Project(
        name="flask-redis",
        builds=("web",),
        bases=("docker/dockerfile:1.4", "python:3.10-alpine"),
        runs=("redislabs/redismod",),
        asked="web",
        page=r"This webpage has been viewed (\d+) time\(s\)",
        change=("app.py", "This webpage has been viewed", "Viewed"),
        changed_page=r"Viewed (\d+) time\(s\)",
        counts=True,
    ),
    Project(
        name="nginx-nodejs-redis",
        builds=("web1", "web2", "nginx"),
        bases=("node:14.17.3-alpine3.14", "nginx:1.21.6"),
        runs=("redislabs/redismod",),
        asked="nginx",
        page=r"web[12]: Number of visits is: (\d+)",
        change=("web/server.js", "Number of visits is", "Visits"),
        changed_page=r"web[12]: Visits: (\d+)",
        counts=True,
    ),
)


@dataclass
class Course:
    """What happened to a project: the steps that it took with their seconds, and what went wrong."""

    project: Project
    steps: dict[str, float] = field(default_factory=dict)
    visits: int = 0
    fault: str = ""

    @contextlib.contextmanager
    def step(self, name: str) -> Iterator[None]:
        """Note how long a step takes."""
        began = time.monotonic()
        yield
        self.steps[name] = time.monotonic() - began

    def asks(self, foreign: Foreign, pattern: str) -> str:
        """Wait until the page is as it should be, and return it; data that it counts in must not be lost."""
        pages: list[str] = []

        def answered() -> bool:
            pages.append(foreign.ask(self.project.asked))
            return re.fullmatch(pattern, pages[-1]) is not None

        try:
            until(answered, pattern, _ANSWERS)
        except AssertionError:
            raise AssertionError(f"the page is {pages[-1]!r}, and not {pattern}\n{foreign.namespace.told()}") from None
        if self.project.counts:
            match = re.fullmatch(pattern, pages[-1])
            assert match and int(match[1]) > self.visits, f"{pages[-1]!r} after {self.visits} visits"
            self.visits = int(match[1])
        return pages[-1]


def course(project: Project, source: Path, scratch: Path, cluster: Cluster, store: Registry) -> Course:
    """Take a project through its steps; a fault ends it."""
    taken = Course(project)
    repository = f"{store.host}/{project.name}"
    with contextlib.ExitStack() as left:
        try:
            left.enter_context(standing_in((*project.bases, *project.runs)))
            left.callback(remove, f"{project.name}-{ENVIRONMENT}")
            left.callback(_forget, repository)
            cluster.load(*(name if ":" in name else f"{name}:latest" for name in project.runs))
            namespace = left.enter_context(cluster.namespace("baseline"))
            foreign = Foreign(Path(shutil.copytree(source / project.name, scratch / project.name)), namespace)
            _lived(taken, foreign, repository)
        except (AssertionError, RuntimeError) as error:
            taken.fault = str(error)
    return taken


def _lived(taken: Course, foreign: Foreign, repository: str) -> None:
    project, before = taken.project, digest(foreign.directory)
    with taken.step("adopt"):
        foreign.adopt({name: {"image": f"{repository}/{name}:1"} for name in project.builds})
    with taken.step("plan"):
        _changes(foreign, lambda actions: set(actions.values()) == {"create"})
    with taken.step("deploy"):
        foreign.inv(f"deploy.{ENVIRONMENT}", "--yes")
    taken.asks(foreign, project.page)
    with taken.step("again"):
        outcome = foreign.json(f"deploy.{ENVIRONMENT}", "--yes")["outcome"]
        assert outcome == "unchanged", outcome
    path, old, new = project.change
    text = (foreign.directory / path).read_text("utf-8")
    assert old in text, f"{path} has no {old}"
    (foreign.directory / path).write_text(text.replace(old, new), "utf-8")
    foreign.commit("Another page")
    _changes(foreign, lambda actions: set() < _changed(actions) <= set(project.builds))
    with taken.step("change"):
        foreign.inv(f"deploy.{ENVIRONMENT}", "--yes")
    taken.asks(foreign, project.changed_page)
    with taken.step("back"):
        foreign.inv("deploy.rollback", *_OUT_OF_ENV, "--yes")
    taken.asks(foreign, project.page)
    with taken.step("down"):
        foreign.inv("deploy.down", *_OUT_OF_ENV, "--yes")
    kinds = ("deployments", "statefulsets", "services", "jobs")
    there = {kind: found for kind in kinds if (found := foreign.namespace.get(kind))}
    assert not there, f"left after deploy.down: {there}"
    after = digest(foreign.directory)
    changed = [name for name, value in before.items() if after.get(name) != value]
    assert changed == [path], f"changed files: {changed}"


def _changes(foreign: Foreign, wanted: Callable[[dict[str, str]], bool]) -> None:
    changes = foreign.json("deploy.plan", *_OUT_OF_ENV)["changes"]
    actions = {change["service"]: change["action"] for change in changes}
    assert wanted(actions), f"the plan says {actions}"


def _changed(actions: dict[str, str]) -> set[str]:
    return {service for service, action in actions.items() if action != "unchanged"}


def _forget(repository: str) -> None:
    names = docker("image", "ls", "--format", "{{.Repository}}:{{.Tag}}").split()
    if ours := [name for name in names if name.startswith(f"{repository}/") and not name.endswith(":<none>")]:
        docker("image", "rm", *ours)


def _told(taken: Course) -> Course:
    """Print what went wrong as soon as it is known."""
    if taken.fault:
        print(f"FAULT {taken.project.name}: {taken.fault}", flush=True)
    return taken


@contextlib.contextmanager
def _store(cluster: Cluster, directory: Path) -> Iterator[Registry]:
    """Yield a registry that the nodes pull from; nothing of it is left."""
    build_image()
    try:
        with registry(directory) as running, cluster.pulling_from(int(running.host.rpartition(":")[2])):
            yield running
    finally:
        if ids := docker("image", "ls", "-q", "--filter", f"label={LABEL}").split():
            docker("rmi", "--force", *ids, check=False)


def main(words: list[str]) -> int:
    """Print the table; return the exit code."""
    if not words:
        sys.stderr.write(f"{__doc__}")
        return 2
    source, names = Path(words[0]), words[1:] or [project.name for project in PROJECTS]
    with tempfile.TemporaryDirectory(prefix="running-") as scratch, started() as cluster:
        base = Path(scratch)
        (base / "registry").mkdir()
        with _store(cluster, base / "registry") as store:
            courses = [_told(course(one, source, base, cluster, store)) for one in PROJECTS if one.name in names]
    titles = list(dict.fromkeys(step for taken in courses for step in taken.steps))
    rows = [
        (taken.project.name, *(f"{taken.steps[title]:.1f} s" if title in taken.steps else "-" for title in titles))
        for taken in courses
    ]
    print(tabulate(rows, headers=("PROJECT", *titles), tablefmt="plain"))
    return 1 if not courses or any(taken.fault for taken in courses) else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
