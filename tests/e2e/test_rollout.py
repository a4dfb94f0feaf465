"""Rollouts: what serves goes on serving, whatever fails, and the report says what failed."""

import json
import subprocess
import time
from collections.abc import Callable
from typing import Any

import pytest

from .lean import CRASHES, CRASHES_LATER, GOOD, NEVER_READY, SICK_LATER, Lean, ready, version
from .support import Sample, docker
from .traffic import traffic

_IN_FLIGHT = 40  # requests at most that wait for a container that has just died: two seconds of them


def failed(lean: Lean, step: str, reason: str, crashes: bool = False, **extra: str) -> dict[str, Any]:
    """Deploy, hold that it failed at a step with the earlier release serving, and return its document.

    ``crashes``: while it serves, which costs the requests that the container has taken by then, and no others.
    """
    before = lean.running()
    with traffic(lean.port, None, 40) as found:
        result = lean.inv("deploy.dev", "--json", code=4, **extra)
    assert [one for one in found.failures if not (crashes and one.endswith("status 502"))] == []
    assert len(found.failures) <= _IN_FLIGHT
    assert lean.running() == before
    assert lean.answer() == "one"
    document: dict[str, Any] = json.loads(result.stdout)
    assert document["outcome"] == "rolled-back"
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
    [(CRASHES, "was restarted 3 times, exit code 7"), (NEVER_READY, "not healthy within 3.0 s (HEALTH_TIMEOUT)"),
     (CRASHES_LATER, "taking over"), (SICK_LATER, "is unhealthy within 8.0 s of taking over")],
    ids=["crashes at start", "never healthy", "crashes in the watch period", "unhealthy in the watch period"],
)  # fmt: skip
def test_an_image_that_does_not_serve_is_taken_back(lean: Lean, run: str, reason: str) -> None:
    lean.version("two", run)
    lean.write(deploy={"update_config": {"monitor": "8s"}})
    timeout = "3s" if run == NEVER_READY else "60s"
    failed(lean, "blue-green app", reason, crashes=run == CRASHES_LATER, HEALTH_TIMEOUT=timeout)


def test_a_migration_that_fails_is_the_step_that_is_named(lean: Lean) -> None:
    lean.version("two", migrate="echo no such column; exit 3")
    failed(lean, "run migrate", "ended with exit code 3")
    jobs = docker("ps", "-aq", "--filter", f"label=com.docker.compose.project={lean.project}", "--filter",
                  "label=com.docker.compose.service=migrate").split()  # fmt: skip
    assert jobs == [], "nothing of the failed image stays"
    now = next(one["id"] for one in lean.json("deploy.history")["releases"] if one["current"])
    lean.inv("deploy.rollback", "--env", "dev", "--to", str(now))


def test_a_proxy_that_does_not_accept_its_file_goes_on_with_the_one_it_has(lean: Lean) -> None:
    lean.version("two")
    conf = lean.project_dir / "conf" / "nginx.conf"
    good = conf.read_text()
    led = lean.hidden()
    conf.write_text(good.replace("listen 8080;", "listen 8080; no_such_directive on;"))
    try:
        failed(lean, "blue-green app", "the proxy does not accept the servers of app")
    finally:
        conf.write_text(good)
    assert lean.hidden() == led


def test_a_failure_takes_back_what_other_services_got_in_the_same_deploy(lean: Lean) -> None:
    image = {"image": lean.image, "entrypoint": ["sleep", "infinity"], "stop_grace_period": "0s"}
    lean.write(more={"side": image})
    lean.inv("deploy.dev")
    lean.version("two", CRASHES)
    lean.write(more={"side": {**image, "environment": {"A": "b"}}, "new": image})
    failed(lean, "blue-green app", "was restarted")
    side = json.loads(docker("inspect", f"{lean.project}-side-1"))[0]
    docker("rm", "-f", "-v", f"{lean.project}-side-1")
    assert "A=b" not in side["Config"]["Env"], "an earlier image with the new configuration is no earlier release"


def test_a_first_deploy_that_fails_leaves_nothing_but_the_volumes_that_were_there(
    fresh_lean: Callable[[], Lean],
) -> None:
    lean = fresh_lean()
    lean.write(more={"side": {"image": lean.image, "entrypoint": ["sleep", "infinity"], "volumes": ["data:/data"]}})
    file = lean.project_dir / "compose.yaml"
    model = json.loads(file.read_text())
    model["volumes"]["data"] = {}
    file.write_text(json.dumps(model))
    label = ("--label", f"com.docker.compose.project={lean.project}")
    kept = docker("volume", "create", *label, "--label", "com.docker.compose.volume=data", f"{lean.project}_data")
    lean.version("one", CRASHES)
    result = lean.inv("deploy.dev", "--json", code=4)
    assert json.loads(result.stdout)["outcome"] == "failed"
    assert "nothing ran before: what this one made is removed" in result.stderr.splitlines()[-1]
    project = f"label=com.docker.compose.project={lean.project}"
    assert docker("ps", "-aq", "--filter", project) == ""
    assert docker("network", "ls", "-q", "--filter", project) == ""
    assert docker("volume", "ls", "-q", "--filter", project) == kept


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
    with traffic(lean.port, None, 40) as found:
        lean.inv("deploy.rollback", "--to", str(then), "--env", "dev")
    assert found.failures == []
    assert lean.answer() == "one"
    assert set(lean.running()) == {"front", "app", "old"}
    app = json.loads(docker("inspect", lean.hidden()[0]))[0]
    assert "A=b" not in app["Config"]["Env"]


def test_a_way_back_that_fails_is_told_as_it_is(fresh_lean: Callable[[], Lean]) -> None:
    """The earlier image is not able to start any more: as when what it needs has gone."""
    lean = fresh_lean()
    # Outside the project: what is part of it comes back with the release.
    gate = lean.project_dir.parent / "gates" / "gate"
    gate.parent.mkdir()
    gate.touch()
    volume = {"volumes": [f"{gate.parent}:/gates:ro"]}
    run = f"test -e /gates/gate || exit 9; {GOOD}"
    lean.version("gated", run)
    lean.write(**volume, **{"x-slipway": {"rollout": "recreate"}})
    lean.inv("deploy.dev")
    lean.version("two", CRASHES)
    gate.unlink()
    result = lean.inv("deploy.dev", "--json", code=4)
    assert json.loads(result.stdout)["outcome"] == "failed"
    assert "and so did the way back" in result.stderr.splitlines()[-2]
    assert "deploy.status" in result.stderr.splitlines()[-1]
    assert lean.json("deploy.history")["releases"][0]["outcome"] == "failed"


@pytest.mark.parametrize("rollout", ["blue-green", "start-first"])
def test_two_of_a_service_take_over_from_two(lean: Lean, rollout: str) -> None:
    policy = {"replicas": 2, "update_config": {"parallelism": 1, "monitor": "300ms", "delay": "200ms"}}
    lean.write(deploy=policy, **{"x-slipway": {"rollout": rollout}})
    lean.inv("deploy.dev")
    wanted = version(lean)
    with traffic(lean.port, None, 60) as found:
        lean.inv("deploy.dev")
    assert found.failures == []
    assert lean.answer() == wanted
    assert len(lean.running()["app"]) == 2
    assert len(set(lean.running()["app"])) == 1


def test_what_fails_in_the_watch_period_may_be_borne(lean: Lean) -> None:
    lean.version(
        "two", "nginx -c /app.conf; test -e /tmp/once || { touch /tmp/once; sleep 1.5; exit 7; }; sleep infinity"
    )
    lean.write(deploy={"update_config": {"monitor": "4s", "failure_action": "continue"}})
    result = lean.inv("deploy.dev")
    assert "going on (update_config.failure_action: continue)" in result.stderr


def test_a_rollout_that_pauses_leaves_what_serves_and_what_failed(lean: Lean) -> None:
    lean.inv("deploy.dev")
    images = next(one["images"] for one in lean.json("deploy.history")["releases"] if one["current"])
    lean.version("two", SICK_LATER)
    lean.write(deploy={"update_config": {"monitor": "8s", "failure_action": "pause"}})
    with traffic(lean.port, None, 40) as found:
        result = lean.inv("deploy.dev", "--json", code=4)
    assert found.failures == []
    assert lean.answer() == "one"
    assert json.loads(result.stdout)["outcome"] == "paused"
    assert "paused at blue-green app" in result.stderr.splitlines()[-2]
    assert "inv deploy.rollback --env dev goes back" in result.stderr.splitlines()[-1]
    apps = docker("ps", "-aq", "--filter", f"label=com.docker.compose.project={lean.project}", "--filter",
                  "label=com.docker.compose.service=app").split()  # fmt: skip
    assert len(apps) == 2, "what failed is there to be looked at"
    assert lean.json("deploy.history")["releases"][0]["outcome"] == "paused"
    with traffic(lean.port, None, 40) as found:
        lean.inv("deploy.rollback", "--env", "dev")
    assert found.failures == []
    assert lean.json("deploy.history")["releases"][0]["images"] == images
    assert lean.answer() == "one"


def test_of_ten_deploys_at_once_one_proceeds(lean: Lean) -> None:
    wanted = version(lean)
    tasks = [
        subprocess.Popen(lean.command("deploy.dev"), env=lean.environment(), stdin=subprocess.DEVNULL,
                         stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        for _ in range(10)
    ]  # fmt: skip
    ended = [(task.communicate(timeout=180)[1], task.returncode) for task in tasks]
    codes = sorted(code for _, code in ended)
    assert codes == [0] + [3] * 9, ended
    assert all("is locked by" in said for said, code in ended if code == 3)
    assert lean.answer() == wanted


def test_requests_that_take_five_seconds_complete_across_the_switch(sample: Sample) -> None:
    """The service's image is from scratch: nothing in it could be run to drain it."""
    sample.inv("setup", "deploy.staging")
    project = f"{sample.project}-staging"
    port = docker("port", f"{project}-nginx-1", "8443").splitlines()[0].rpartition(":")[2]
    handler = sample.project_dir / "app" / "src" / "handlers" / "users.go"
    source = handler.read_text()
    sql = "BEGIN; LOCK TABLE users; SELECT pg_sleep(5); COMMIT"
    psql = ["docker", "exec", f"{project}-database-1", "psql", "-qU", "slipway", "slipway", "-c", sql]
    ask = ["curl", "-sk", "-o", "/dev/null", "-w", "%{http_code} %{time_total}", "--max-time", "20",
           f"https://localhost:{port}/api/users?limit=1"]  # fmt: skip
    events = subprocess.Popen(
        ["docker", "events", "--filter", f"label=com.docker.compose.project={project}", "--format",
         "{{.Action}}\t{{index .Actor.Attributes \"name\"}}"], stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        handler.write_text(source + "\nvar _ = 1\n")
        task = subprocess.Popen(sample.command("deploy.staging"), env=sample.environment(), stderr=subprocess.DEVNULL)
        assert events.stdout
        next(line for line in events.stdout if ready(*line.rstrip("\n").split("\t")))
        lock = subprocess.Popen(psql, stdout=subprocess.DEVNULL)
        time.sleep(0.2)
        asked = [subprocess.Popen(ask, stdout=subprocess.PIPE, text=True) for _ in range(10)]
        answers = [one.communicate()[0].split() for one in asked]
        assert [status for status, _ in answers] == ["200"] * 10
        assert min(float(seconds) for _, seconds in answers) > 3, "they were in flight all the time"
        assert task.wait(120) == 0
        assert lock.wait(20) == 0
    finally:
        handler.write_text(source)
        events.kill()
        events.communicate()
        sample.inv("deploy.down", "--env", "staging")


def test_a_second_service_is_rolled_out_behind_a_proxy_that_runs(fresh_lean: Callable[[], Lean]) -> None:
    lean = fresh_lean()
    lean.inv("deploy.dev")
    file = lean.project_dir / "compose.yaml"
    model = json.loads(file.read_text())
    app = model["services"]["app"]
    model["services"]["other"] = {**app, "depends_on": {}, "expose": ["8000"]}
    file.write_text(json.dumps(model))
    with traffic(lean.port, None, 40) as found:
        lean.inv("deploy.dev")
        assert "server other:8000" in docker(
            "exec", f"{lean.project}-front-1", "cat", "/etc/nginx/upstreams/other.conf"
        )
        lean.version("two")
        lean.inv("deploy.dev")
    assert found.failures == []
    assert lean.answer() == "two"
    led = docker("exec", f"{lean.project}-front-1", "cat", "/etc/nginx/upstreams/other.conf")
    assert f"server {lean.project}-other-2:8000" in led, led
