"""Rollouts: what serves goes on serving, whatever fails, and the report says what failed."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from tests.life.load import load

from .lean import CRASHES, CRASHES_LATER, SICK, SICK_LATER, Lean, version
from .support import docker

_IN_FLIGHT = 40  # requests at most that wait for a container that has just died: two seconds of them


def assert_taken_back(lean: Lean, step: str, reason: str, crashes: bool = False, **extra: str) -> dict[str, Any]:
    """Deploy; assert that it fails at a step and that the earlier release serves; return the document.

    ``crashes``: the container ends while it serves, which loses only the requests that it has taken by then.
    """
    before = lean.running()
    with load(lean.api, 40) as requests:
        result = lean.inv("deploy.dev", "--json", code=4, **extra)
    lost = [line for line in requests.failures if not (crashes and line.endswith("status 502"))]
    assert lost == [], lean.proxy_errors()
    assert len(requests.failures) <= _IN_FLIGHT
    assert lean.running() == before
    assert lean.answer() == lean.now
    document: dict[str, Any] = json.loads(result.stdout)
    assert document["outcome"] == "rolled-back"
    assert (step, "failed") in [(taken["name"], taken["outcome"]) for taken in document["steps"]]
    said = result.stderr.splitlines()
    assert f"failed at {step}: " in said[-2], said[-2]
    assert reason in said[-2], said[-2]
    assert "the earlier release serves" in said[-1], said[-1]
    newest = lean.json("deploy.history")["releases"][0]
    assert newest["outcome"] == "rolled-back"
    assert step in newest["reason"]
    return document


@pytest.mark.parametrize(
    ("run", "reason"),
    [(CRASHES, "was restarted 3 times, exit code 7"), (CRASHES_LATER, "taking over")],
    ids=["crashes at start", "crashes in the watch period"],
)
def test_an_image_that_does_not_serve_is_taken_back(lean: Lean, run: str, reason: str) -> None:
    lean.version("two", run)
    lean.write(deploy={"update_config": {"monitor": "60s"}})
    assert_taken_back(lean, "blue-green app", reason, crashes=run == CRASHES_LATER, HEALTH_TIMEOUT="60s")


def test_a_migration_that_fails_is_the_step_that_is_named(lean: Lean) -> None:
    lean.version("two", migrate="echo no such column; exit 3")
    assert_taken_back(lean, "run migrate", "ended with exit code 3")
    jobs = docker("ps", "-aq", "--filter", f"label=com.docker.compose.project={lean.project}", "--filter",
                  "label=com.docker.compose.service=migrate").split()  # fmt: skip
    assert jobs == [], "nothing of the failed image stays"
    now = next(release["id"] for release in lean.json("deploy.history")["releases"] if release["current"])
    lean.inv("deploy.rollback", "--env", "dev", "--to", str(now))


def front(lean: Lean) -> tuple[str, str]:
    """Return the id of the proxy's container, and its configuration as it sees it."""
    found = docker("ps", "-q", "--no-trunc", "--filter", f"label=com.docker.compose.project={lean.project}",
                   "--filter", "label=com.docker.compose.service=front").split()  # fmt: skip
    assert len(found) == 1
    return found[0], docker("exec", found[0], "sh", "-c", "cat /conf/*")


def test_a_configuration_that_the_proxy_does_not_accept_is_put_back_as_it_was(lean: Lean) -> None:
    lean.version("two")
    conf = lean.project_dir / "conf" / "nginx.conf"
    good, before = conf.read_text(), front(lean)
    conf.write_text(good.replace("listen 8080;", "listen 8080; no_such_directive on;"))
    try:
        assert_taken_back(lean, "reload front", "front does not accept its configuration: docker exec")
    finally:
        conf.write_text(good)
    assert front(lean) == before


def serving(lean: Lean) -> int:
    """Return the release that serves."""
    return next(int(one["id"]) for one in lean.json("deploy.history")["releases"] if one["current"])


def test_a_roll_back_over_the_proxys_configuration_loses_nothing(lean: Lean) -> None:
    conf = lean.project_dir / "conf"
    then, before = serving(lean), front(lean)
    text = (conf / "nginx.conf").read_text()
    (conf / "nginx.conf").write_text(text.replace("listen 8080;", "listen 8080; add_header X-Release two always;"))
    (conf / "more.conf").write_text("# It is in this release only.\n")
    try:
        with load(lean.api, 40) as found:
            lean.inv("deploy.dev")
            there, later = front(lean), serving(lean)
            lean.inv("deploy.rollback", "--env", "dev", "--to", str(then))
        assert found.failures == [], lean.proxy_errors()
        assert there[0] == before[0]
        assert "X-Release two" in there[1]
        assert "in this release only" in there[1]
        assert front(lean) == before, "what the release did not have is gone, too"
        lean.inv("deploy.rollback", "--env", "dev", "--to", str(later))
        assert front(lean) == there, "and comes again"
    finally:
        (conf / "more.conf").unlink()
        (conf / "nginx.conf").write_text(text)


def test_a_roll_back_brings_services_and_configuration_of_then(lean: Lean) -> None:
    image = {"image": lean.image, "entrypoint": ["sleep", "infinity"], "stop_grace_period": "0s"}
    lean.write(more={"old": image})
    lean.inv("deploy.dev")
    then = lean.json("deploy.history")["releases"][0]["id"]
    wanted = version(lean)
    lean.write(more={"new": image}, environment={"A": "b"})
    lean.inv("deploy.dev")
    assert lean.answer() == wanted
    docker("rm", "-f", f"{lean.project}-old-1")
    with load(lean.api, 40) as requests:
        lean.inv("deploy.rollback", "--to", str(then), "--env", "dev")
    assert requests.failures == [], lean.proxy_errors()
    assert lean.answer() == lean.now
    assert set(lean.running()) == {"front", "app", "old"}
    app = json.loads(docker("inspect", lean.upstreams()[0]))[0]
    assert "A=b" not in app["Config"]["Env"]


def test_two_of_a_service_take_over_from_two(lean: Lean) -> None:
    policy = {"replicas": 2, "update_config": {"parallelism": 1, "monitor": "300ms", "delay": "200ms"}}
    lean.write(deploy=policy)
    lean.inv("deploy.dev")
    wanted = version(lean)
    with load(lean.api, 60) as requests:
        lean.inv("deploy.dev")
    assert requests.failures == [], lean.proxy_errors()
    assert lean.answer() == wanted
    assert len(lean.running()["app"]) == 2
    assert len(set(lean.running()["app"])) == 1


def test_a_rollout_that_pauses_leaves_what_serves_and_what_failed(lean: Lean) -> None:
    lean.inv("deploy.dev")
    images = next(release["images"] for release in lean.json("deploy.history")["releases"] if release["current"])
    lean.version("two", SICK_LATER)
    lean.write(deploy={"update_config": {"monitor": "60s", "failure_action": "pause"}}, interval=SICK)
    with load(lean.api, 40) as requests:
        result = lean.inv("deploy.dev", "--json", code=4)
    assert requests.failures == [], lean.proxy_errors()
    assert lean.answer() == lean.now
    assert json.loads(result.stdout)["outcome"] == "paused"
    assert "paused at blue-green app" in result.stderr.splitlines()[-2]
    assert "inv deploy.rollback --env dev goes back" in result.stderr.splitlines()[-1]
    apps = docker("ps", "-aq", "--filter", f"label=com.docker.compose.project={lean.project}", "--filter",
                  "label=com.docker.compose.service=app").split()  # fmt: skip
    assert len(apps) == 2, "what failed is there to be looked at"
    assert lean.json("deploy.history")["releases"][0]["outcome"] == "paused"
    with load(lean.api, 40) as requests:
        lean.inv("deploy.rollback", "--env", "dev")
    assert requests.failures == [], lean.proxy_errors()
    assert lean.json("deploy.history")["releases"][0]["images"] == images
    assert lean.answer() == lean.now


def test_a_second_service_is_rolled_out_behind_a_proxy_that_runs(fresh_lean: Callable[[], Lean]) -> None:
    lean = fresh_lean()
    lean.inv("deploy.dev")
    file = lean.project_dir / "compose.yaml"
    model = json.loads(file.read_text())
    app = model["services"]["app"]
    model["services"]["other"] = {**app, "depends_on": {}, "expose": ["8000"]}
    file.write_text(json.dumps(model))
    with load(lean.api, 40) as requests:
        lean.inv("deploy.dev")
        assert "server other:8000" in docker(
            "exec", f"{lean.project}-front-1", "cat", "/etc/nginx/upstreams/other.conf"
        )
        lean.version("two")
        lean.inv("deploy.dev")
    assert requests.failures == [], lean.proxy_errors()
    assert lean.answer() == "two"
    led = docker("exec", f"{lean.project}-front-1", "cat", "/etc/nginx/upstreams/other.conf")
    assert f"server {lean.project}-other-2:8000" in led, led
