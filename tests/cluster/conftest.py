"""One cluster for all tests, a namespace for each; nothing is left of them."""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tasks.setup.check import why_not
from tasks.setup.plan.check import CLUSTER_TESTS
from tests.e2e.registries import LABEL, Registry, build_image, registry
from tests.e2e.support import docker

from . import components
from .cluster import Cluster, Namespace
from .shared import shared

_BUILD = 1800  # seconds that the first test may take, where nothing has been built yet


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Give the tests of the cluster time for the build."""
    for item in items:
        if Path(__file__).parent in item.path.parents and not components.KUBERNETES.built():
            item.add_marker(pytest.mark.timeout(_BUILD))


def common(factory: pytest.TempPathFactory) -> Path:
    """Return the directory of temporary files that all workers of this session have."""
    mine = factory.getbasetemp()
    return mine.parent if "PYTEST_XDIST_WORKER" in os.environ else mine


@pytest.fixture(scope="session")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """A cluster of one node, the same in all workers; where it can not be, its tests are skipped and say why."""
    if reason := why_not(CLUSTER_TESTS):
        pytest.skip(reason)
    with shared(common(tmp_path_factory)) as made:
        yield made


@pytest.fixture
def namespace(cluster: Cluster) -> Iterator[Namespace]:
    """A namespace that enforces the Pod Security level `restricted`."""
    with cluster.namespace() as made:
        yield made


@pytest.fixture(scope="module")
def store(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Registry]:
    """A registry that the nodes pull from."""
    build_image()
    try:
        with contextlib.ExitStack() as stack:
            running = stack.enter_context(registry(tmp_path_factory.mktemp("registry")))
            stack.enter_context(cluster.pulling_from(int(running.host.rpartition(":")[2])))
            yield running
    finally:
        for words in (("ps", "-aq"), ("image", "ls", "-q")):
            if ids := docker(*words, "--filter", f"label={LABEL}").splitlines():
                docker("rm" if words[0] == "ps" else "rmi", "--force", *ids, check=False)
