"""Images on their way to a cluster: built, pushed, promoted, signed; Pods name them by digest."""

import os
import re
import shutil
import subprocess
from collections.abc import Iterator

import pytest

from tests.e2e.registries import Registry
from tests.e2e.support import docker

from .cluster import Cluster
from .released import Released, made

TAKES = 250


@pytest.fixture(scope="module")
def shop(cluster: Cluster, store: Registry, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Released]:
    """The stack with staging and prod on the cluster; nothing is deployed yet, and tests go on from each other."""
    name = f"slipway-released-{os.getpid()}"
    with made(tmp_path_factory.mktemp("released") / "shop", name, cluster, "staging", "prod") as shop:
        for environment in shop.places:
            shop.profile(environment, f"{store.host}/{name}")
        yield shop


def pinned(shop: Released, store: Registry) -> str:
    """Return the only image that the Pods of staging name; asserts that it is by digest."""
    (image,) = shop.images("staging")
    assert re.fullmatch(rf"{re.escape(store.host)}/{shop.name}/app@sha256:[0-9a-f]{{64}}", image)
    return image


def test_a_deploy_builds_and_pushes_and_its_pods_run_the_digest(shop: Released, store: Registry) -> None:
    dry = shop.inv("--dry", "deploy.staging").stdout
    assert "docker buildx bake" in dry
    assert re.search(rf"docker push \S*{shop.name}-staging\.staging\.1\.app", dry)
    assert shop.versions("staging").keys() == {"ConfigMap kube-root-ca.crt"}

    done = shop.json("deploy.staging")

    assert (done["outcome"], done["release"], done["version"]) == ("deployed", 1, "1.0.0")
    assert [step["name"] for step in done["steps"]][:2] == ["build", "push"]
    assert shop.answers("staging") == {f"{shop.name} 1.0.0"}
    image = pinned(shop, store)
    # The name of the release keeps it in the registry, also when the tag of the environment goes on.
    assert store.digest(f"{shop.name}/app:{shop.name}-staging.staging.1.app") == image.partition("@")[2]


def test_the_second_deploy_of_the_same_commit_writes_nothing(shop: Released) -> None:
    before = shop.versions("staging")

    again = shop.json("deploy.staging")

    assert (again["outcome"], again["steps"]) == ("unchanged", [])
    assert shop.versions("staging") == before


def test_another_commit_is_rolled_out_and_a_roll_back_brings_the_digest_before(shop: Released, store: Registry) -> None:
    first = pinned(shop, store)
    shop.release("1.1.0")
    plan = {one["service"]: one for one in shop.json("deploy.plan", "--env", "staging")["changes"]}
    assert plan["app"]["causes"] == ["image to be built: its sources, arguments or base images changed"]

    shop.inv("deploy.staging")
    second = pinned(shop, store)
    shop.inv("deploy.rollback", "--env", "staging")

    assert second != first
    assert pinned(shop, store) == first
    shop.inv("deploy.staging")
    assert pinned(shop, store) == second


def test_a_build_or_a_push_that_fails_changes_nothing(shop: Released, store: Registry) -> None:
    before = shop.versions("staging")
    dockerfile = shop.project_dir / "Dockerfile"
    text = dockerfile.read_text()
    dockerfile.write_text(text.replace("COPY index.html", "COPY absent.html"))
    assert "absent.html" in shop.inv("deploy.staging", code=4).stderr
    dockerfile.write_text(text)
    shop.release("1.2.0")
    shop.profile("staging", f"127.0.0.1:1/{shop.name}", PUSH_RETRIES="0")
    assert "127.0.0.1:1" in shop.inv("deploy.staging", code=4).stderr
    shop.profile("staging", f"{store.host}/{shop.name}")

    after = shop.versions("staging")

    assert after == before
    assert shop.answers("staging") == {f"{shop.name} 1.1.0"}


def test_prod_gets_what_staging_runs_by_digest(shop: Released, store: Registry) -> None:
    shop.inv("deploy.staging")
    shop.release("1.3.0")  # prod brings what staging runs, and not this
    shop.profile("prod", f"{store.host}/{shop.name}", PROMOTE_FROM="staging")
    plan = shop.json("deploy.plan", "--env", "prod")
    release = shop.json("deploy.history", "--env", "staging")["releases"][0]["id"]
    assert plan["promotes"] == f"staging release {release}"

    done = shop.json("deploy.prod")

    assert (done["outcome"], done["version"]) == ("deployed", "1.2.0")
    assert "build" not in [step["name"] for step in done["steps"]]
    assert shop.images("prod") == shop.images("staging")
    assert shop.json("deploy.prod")["outcome"] == "unchanged"


def test_staging_goes_ahead_and_prod_is_not_called_different(shop: Released) -> None:
    shop.inv("deploy.staging")

    status = shop.json("deploy.status", "--env", "prod")
    plan = {one["service"]: one["action"] for one in shop.json("deploy.plan", "--env", "prod")["changes"]}

    assert [row["drift"] for row in status["services"]] == [[], []]
    assert plan["app"] == "roll"


def test_image_promote_names_the_digests_of_staging_for_prod(shop: Released, store: Registry) -> None:
    shop.inv("image.push", "--env", "staging")

    moved = shop.json("image.promote", "--from", "staging", "--to", "prod")["images"]

    assert [row["service"] for row in moved] == ["app"]
    assert store.digest(f"{shop.name}/app:prod") == moved[0]["digest"] == store.digest(f"{shop.name}/app:staging")


def test_an_engine_is_promoted_to_the_cluster(shop: Released, store: Registry, cluster: Cluster) -> None:
    places = dict(shop.places)
    del shop.places["staging"]
    try:
        shop.profile("staging", f"{store.host}/{shop.name}", COMPOSE_PROJECT_NAME=f"{shop.name}-staging")
        shop.release("1.4.0", ports=[], **{"x-slipway": {}})
        shop.inv("deploy.staging")

        done = shop.json("deploy.prod")
    finally:
        shop.places.update(places)
        shop.profile("staging", f"{store.host}/{shop.name}")

    assert (done["outcome"], done["version"]) == ("deployed", "1.4.0")
    assert shop.answers("prod") == {f"{shop.name} 1.4.0"}


def test_the_cluster_is_promoted_to_an_engine(shop: Released, store: Registry) -> None:
    place = shop.places.pop("prod")
    try:
        shop.profile("prod", f"{store.host}/{shop.name}", PROMOTE_FROM="staging")
        shop.release("1.4.1", ports=[], **{"x-slipway": {}})
        shop.inv("deploy.staging")

        done = shop.json("deploy.prod")

        served = docker("ps", "-q", "--filter", f"label=com.docker.compose.project={shop.name}-prod").splitlines()
        assert (done["outcome"], done["version"], len(served)) == ("deployed", "1.4.1", 2)
        assert docker("exec", served[0], "cat", "/www/index.html") == f"{shop.name} 1.4.1"
        shop.inv("deploy.down", "--env", "prod", "--yes")
    finally:
        shop.places["prod"] = place


@pytest.mark.skipif(shutil.which("cosign") is None, reason="cosign is not installed on this machine")
def test_only_signed_images_are_deployed(shop: Released, store: Registry) -> None:
    keys = shop.project_dir / "keys"
    keys.mkdir()
    words = ("cosign", "generate-key-pair", "--output-key-prefix", str(keys / "own"))
    subprocess.run(words, check=True, capture_output=True, timeout=60, env={**os.environ, "COSIGN_PASSWORD": ""})
    profile = {"VERIFY_SIGNATURES": "true", "VERIFY_KEY": "keys/own.pub", "PROMOTE_FROM": "staging"}
    shop.release("1.5.0")
    shop.inv("deploy.staging")
    shop.profile("prod", f"{store.host}/{shop.name}", **profile)
    before = shop.versions("prod")

    refused = shop.inv("deploy.prod", code=3).stderr

    assert "is not signed (VERIFY_SIGNATURES)" in refused
    assert shop.versions("prod") == before
    shop.profile("staging", f"{store.host}/{shop.name}", SIGN_KEY="keys/own.key")
    shop.release("1.6.0")
    shop.inv("deploy.staging")
    assert shop.json("deploy.prod")["version"] == "1.6.0"
    assert shop.images("prod") == shop.images("staging")
