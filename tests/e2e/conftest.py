"""Fixtures on a real engine: the sample stack, small projects, lean stacks; each asserts that it leaves nothing."""

import itertools
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from .advisories import Fixture, built
from .lean import Lean, make_lean
from .support import (
    NOT_COPIED,
    ROOT,
    Checkout,
    Sample,
    anonymous_volumes,
    leftovers,
    make_sample,
    remove,
    remove_volumes,
)

_NUMBERS = itertools.count()


@pytest.fixture(scope="session")
def project_copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of docker_project that tests may edit."""
    target = tmp_path_factory.mktemp("project") / "docker_project"
    shutil.copytree(ROOT / "docker_project", target, ignore=NOT_COPIED)
    for file in target.glob("docker-compose*.yml"):  # a process of a busy machine may wait for long
        text = file.read_text().replace(", timeout: 3s", ", timeout: 30s")
        file.write_text(text.replace("start_period: 30s", "start_period: 120s"))
    return target


@pytest.fixture(scope="session")
def sample(tmp_path_factory: pytest.TempPathFactory, project_copy: Path) -> Iterator[Sample]:
    """The sample stack deployed to dev, by the very task that a user types."""
    base = tmp_path_factory.mktemp("sample")
    made = make_sample(base, f"slipway-e2e-{os.getpid()}", project_copy)
    try:
        with anonymous_volumes(f"-{os.getpid()}") as anonymous:
            made.inv("setup", "deploy.dev")
            yield made
    finally:
        for name in made.projects:
            remove(name)
        remove_volumes(made.anonymous | anonymous)
    assert [left for name in made.projects for left in leftovers(name)] == []


@pytest.fixture
def small(tmp_path: Path, sample: Sample) -> Iterator[Callable[..., Checkout]]:
    """Make small Compose projects out of the image of the sample's database, which has a shell."""
    image = f"{sample.project}/database:dev"
    made: list[Checkout] = []

    def make(compose: str, dockerfile: str = "", profile: str = "") -> Checkout:
        name = f"slipway-small-{os.getpid()}-{next(_NUMBERS)}"
        directory = tmp_path / f"project{len(made)}"
        (directory / "envs").mkdir(parents=True)
        (directory / "compose.yaml").write_text(compose.replace("IMAGE", image))
        if dockerfile:
            (directory / "Dockerfile").write_text(dockerfile.replace("IMAGE", image))
        (directory / "envs" / "base.env").write_text(f"COMPOSE_PROJECT_NAME={name}\n")
        (directory / "envs" / "dev.env").write_text(f"HEALTH_TIMEOUT=60s\n{profile}")
        made.append(Checkout(directory, directory / "envs", [name]))
        return made[-1]

    yield make
    names = [name for checkout in made for name in checkout.projects]
    for name in reversed(names):  # a later project may use images of an earlier one
        remove(name)
    remove_volumes(volume for checkout in made for volume in checkout.anonymous)
    assert {name: left for name in names if (left := leftovers(name))} == {}


@pytest.fixture(scope="session")
def advisories() -> Iterator[Fixture]:
    """A small vulnerability database, and images with the packages that it lists. Only for tests."""
    with built() as made:
        yield made


@pytest.fixture(scope="module")
def fresh_lean(tmp_path_factory: pytest.TempPathFactory, sample: Sample) -> Iterator[Callable[[], Lean]]:
    """Make a lean stack that has not been deployed yet."""
    made: list[Lean] = []

    def make() -> Lean:
        name = f"slipway-lean-{os.getpid()}-{next(_NUMBERS)}"
        made.append(make_lean(tmp_path_factory.mktemp("lean") / "project", name, f"{sample.project}/nginx:dev"))
        return made[-1]

    yield make
    for stack in made:
        remove(stack.project)
    assert [left for stack in made for left in leftovers(stack.project)] == []


@pytest.fixture(scope="module")
def shared_lean(fresh_lean: Callable[[], Lean]) -> Lean:
    """The stack of most tests: a deploy that fails leaves it as it was."""
    return fresh_lean()


@pytest.fixture
def lean(shared_lean: Lean) -> Iterator[Lean]:
    """The shared stack, serving a version that the test knows (``now``)."""
    shared_lean.begin()
    yield shared_lean
    assert shared_lean.orphans() == []
