"""The chart of a stack with a real registry and real Helm: pushed once, kept, signed, and what comes back renders."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from .registries import IMAGE, LABEL, Registry, Shop, build_image, make_shop, registry
from .support import docker, leftovers, remove

BINARIES = Path.home() / ".cache" / "slipway" / "bin"
HELM = shutil.which("helm", path=f"{os.environ['PATH']}:{BINARIES}")

pytestmark = pytest.mark.skipif(HELM is None, reason="no helm here")


@pytest.fixture(scope="module")
def where(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Registry]:
    """A registry for the charts and images of these tests."""
    try:
        if not docker("image", "ls", "-q", "slipway-base/debian:trixie"):
            request.getfixturevalue("sample")  # makes the stand-ins where no registry can be reached
        build_image()
        with registry(tmp_path_factory.mktemp("registry")) as made:
            yield made
    finally:
        for words in (("ps", "-aq"), ("image", "ls", "-q")):
            if ids := docker(*words, "--filter", f"label={LABEL}").splitlines():
                docker("rm" if words[0] == "ps" else "rmi", "--force", *ids, check=False)
        assert docker("image", "ls", "-q", IMAGE) == ""


@pytest.fixture
def shop(where: Registry, tmp_path: Path) -> Iterator[Shop]:
    """A project at v1.4.2 whose images are pushed."""
    made = make_shop(tmp_path, f"slipway-charts-{os.getpid()}", where.host)
    profile = made.envs_dir / "staging.env"
    profile.write_text(f"{profile.read_text()}HELM_REPOSITORY=oci://{where.host}/charts\n")
    made.release()
    made.inv("build", "--push", "--env", "staging")
    yield made
    for name in made.projects:
        remove(name)
        assert leftovers(name) == []


def test_a_chart_is_pushed_once_and_comes_back(where: Registry, shop: Shop, tmp_path: Path) -> None:
    path = {"PATH": f"{os.environ['PATH']}:{BINARIES}"}
    first = shop.json("helm.push", "--env", "staging", **path)
    again = shop.json("helm.push", "--env", "staging", **path)
    name = shop.projects[0]
    assert (first["chart"], first["version"], first["outcome"]) == (name, "1.4.2", "pushed")
    assert (again["outcome"], again["digest"]) == ("unchanged", first["digest"])
    assert where.digest(f"charts/{name}:1.4.2") == first["digest"]

    words = [str(HELM), "template", "rel", f"oci://{where.host}/charts/{name}", "--version", "1.4.2", "--plain-http"]
    done = subprocess.run([*words, "--skip-tests"], capture_output=True, text=True, check=True, timeout=60)
    images = {
        container["image"]
        for one in yaml.safe_load_all(done.stdout)
        if one and one["kind"] == "Deployment"
        for container in one["spec"]["template"]["spec"]["containers"]
    }
    assert images == {
        f"{where.host}/{name}/{service}@{where.digest(f'{name}/{service}:1.4.2')}" for service in ("web", "worker")
    }

    shop.inv("kube.render", "--env", "staging", "--out", str(tmp_path / "kubernetes"))
    shop.release("v1.4.2", "other\n")
    shop.inv("build", "--env", "staging")
    (shop.project_dir / "compose.yaml").write_text(
        (shop.project_dir / "compose.yaml").read_text() + "    command: [a]\n"
    )
    shop.release("v1.4.2")
    refused = shop.inv("helm.push", "--env", "staging", code=3, **path)
    assert "an exact version keeps its content" in refused.stderr
