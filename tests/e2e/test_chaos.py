"""Faults in real containers: each is there, is limited to what was asked for, and ends whoever is killed."""

import json
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from typing import Any

import pytest

from tasks.chaos.plan.injection import PROJECT

from .chaotic import NAMES, Chaotic, make_chaotic
from .support import copies, docker, remove, until

TAKES = 180  # seconds
_SIZE = 4 * 2**20  # bytes of the volume `small`


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chaotic]:
    project = f"e2e-chaos-{os.getpid()}"
    try:
        made = make_chaotic(tmp_path_factory.mktemp("chaos") / "project", project)
        yield made
        made.remove_helpers()
    finally:
        remove(project)


@pytest.fixture
def chaotic(stack: Chaotic) -> Iterator[Chaotic]:
    """The stack without a fault, whatever the test before has left."""
    yield stack
    stack.remove_helpers()
    subprocess.run(["docker", "unpause", f"{stack.project}-back-1"], capture_output=True, check=False)
    stack.served()


def test_a_cut_between_two_services_ends_by_itself_though_its_runner_was_killed(chaotic: Chaotic) -> None:
    words = ("chaos.inject", "cut", "--service", "back", "--from", "front", "--for", "25s", "--stay", "--env", "test")
    runner = chaotic.begin(*words)
    try:
        until(lambda: "cut" in chaotic.active() and chaotic.ask() == 504, "the cut is there", 120)
        began = time.monotonic()
    finally:
        os.killpg(runner.pid, signal.SIGKILL)
        runner.wait()
    assert chaotic.ask() == 504
    other = docker("exec", f"{chaotic.project}-other-1", "curl", "-s", "--max-time", "20", "http://back:8081/")
    assert other == "served", "only the traffic between the two is cut"
    chaotic.served(120)
    assert time.monotonic() - began < 90
    until(lambda: chaotic.active() == {"cut": "undone"}, "it is over")
    assert chaotic.inspected("cut")["State"]["ExitCode"] == 0


def test_a_helper_that_is_killed_itself_is_started_again_and_undoes_its_fault(chaotic: Chaotic) -> None:
    chaotic.inject("pause", "--for", "10m")
    assert chaotic.state() == "paused" and chaotic.ask() == 504
    _kill_processes(chaotic, "pause")
    assert chaotic.served(120) < 90, "long before its ten minutes are over"
    assert chaotic.state() == "running"


def _kill_processes(chaotic: Chaotic, fault: str) -> None:
    """Kill the first process of a helper, as the engine's host could."""
    docker("run", "--rm", "--pid=host", "--cap-add=KILL", "--entrypoint=python3", _helper(chaotic, fault), "-c",
           f"import os; os.kill({chaotic.inspected(fault)['State']['Pid']}, 9)")  # fmt: skip


def _helper(chaotic: Chaotic, fault: str) -> str:
    return str(chaotic.inspected(fault)["Config"]["Image"])


def test_what_a_helper_left_that_the_engine_was_told_to_kill_is_undone_by_the_next_run(chaotic: Chaotic) -> None:
    chaotic.inject("cut", "--from", "front", "--for", "10m")
    docker("kill", chaotic.helpers()[0])
    assert chaotic.active() == {"cut": "left"} and chaotic.ask() == 504
    assert "its helper was killed; undoing it" in chaotic.inject("cpu", "--for", "10m")
    chaotic.served()
    assert chaotic.active() == {"cpu": "active"}
    assert chaotic.inspected()["HostConfig"]["CpuQuota"] == 10_000
    assert "cpu in" in chaotic.inv("chaos.stop", "--env", "test").stderr
    assert chaotic.inspected()["HostConfig"]["CpuQuota"] == -1
    assert chaotic.helpers() == []


def test_slow_reset_and_loss_are_seen_by_clients_and_only_while_they_last(chaotic: Chaotic) -> None:
    def timed() -> float:
        started = time.monotonic()
        assert chaotic.ask() == 200
        return time.monotonic() - started

    chaotic.inject("slow", "--from", "front", "--amount", "300ms", "--for", "25s")
    times = [timed() for _ in range(3)]
    assert 0.6 < min(times) < 2.0, "the answer to the connection, and that to the request"
    until(lambda: chaotic.active() == {"slow": "undone"}, "it is over", 120)
    until(lambda: timed() < 0.6, "it is as fast as before")
    chaotic.inject("reset", "--from", "front", "--for", "10m")
    assert chaotic.ask() == 502, "refused at once"
    chaotic.inv("chaos.stop", "--env", "test")
    chaotic.inject("loss", "--amount", "100%", "--for", "10m")
    assert chaotic.ask() == 504
    chaotic.inv("chaos.stop", "--env", "test")
    chaotic.served()


def test_a_killed_container_is_restarted_by_its_policy_and_a_stopped_one_when_the_time_is_over(
    chaotic: Chaotic,
) -> None:
    before = chaotic.inspected()
    chaotic.inject("kill", "--for", "3s")
    until(lambda: chaotic.inspected()["RestartCount"] == before["RestartCount"] + 1, "its policy has restarted it", 60)
    chaotic.served()
    until(lambda: chaotic.active() == {"kill": "undone"}, "its time is over: it starts what does not run then")
    chaotic.inject("stop", "--for", "25s")
    assert chaotic.state() == "exited" and chaotic.ask() in (502, 504)
    assert chaotic.served(120) < 90


def test_a_disk_is_full_where_it_has_an_end_and_never_the_engines_own(chaotic: Chaotic) -> None:
    def free(path: str) -> int:
        text = docker("exec", f"{chaotic.project}-back-1", "df", "--block-size=1", "--output=avail", path)
        return int(text.split()[-1])

    for path in ("/small", "/tmp"):
        chaotic.inject("disk-full", "--path", path, "--amount", "64KiB", "--for", "10m")
        assert free(path) <= 64 * 1024
        chaotic.inv("chaos.stop", "--env", "test")
        assert free(path) > _SIZE - 64 * 1024
    said = chaotic.inject("disk-full", "--path", "/data", code=3)
    assert "is on the engine's own disk, which all containers share" in said
    assert chaotic.helpers() == []
    assert "is a directory of the host" in chaotic.inject("disk-full", "--path", "/conf", code=3)


def test_a_certificate_is_expired_until_its_helper_is_killed_and_nothing_is_written_where_it_comes_from(
    chaotic: Chaotic,
) -> None:
    before, file = chaotic.certificate(), (chaotic.project_dir / "cert.pem").read_bytes()
    assert NAMES in before and "2024" not in before
    chaotic.inject("certificate-expired", "--for", "10m")
    assert "notAfter=Jan  2 00:00:00 2024 GMT" in chaotic.certificate() and NAMES in chaotic.certificate()
    assert (chaotic.project_dir / "cert.pem").read_bytes() == file
    _kill_processes(chaotic, "certificate-expired")
    until(lambda: chaotic.certificate() == before, "it is its own again", 120)
    until(lambda: chaotic.active() == {"certificate-expired": "undone"}, "it is over", 60)
    assert "at /conf/nginx.conf whose private key" in chaotic.inject(
        "certificate-expired", "--path", "/conf/nginx.conf", code=3
    )
    assert chaotic.certificate() == before


def test_memory_is_limited_to_what_is_used_and_afterwards_as_before(chaotic: Chaotic) -> None:
    before = chaotic.inspected()["HostConfig"]
    chaotic.inject("memory", "--amount", "2MiB", "--for", "10m")
    assert chaotic.inspected()["HostConfig"]["Memory"] < before["Memory"]
    chaotic.inv("chaos.stop", "--env", "test")
    after = chaotic.inspected()["HostConfig"]
    assert (after["Memory"], after["MemorySwap"]) == (before["Memory"], before["MemorySwap"])


def test_faults_are_refused_where_they_must_not_be(chaotic: Chaotic) -> None:
    assert "prod is production" in chaotic.inv(
        *("chaos.inject", "kill", "--service", "back", "--env", "prod"), code=3
    ).stderr  # fmt: skip
    assert "which environment?" in chaotic.inv("chaos.inject", "kill", "--service", "back", code=2).stderr
    assert "no service 'nope' in project" in chaotic.inv(
        *("chaos.inject", "kill", "--service", "nope", "--env", "test"), code=2
    ).stderr  # fmt: skip
    assert "in no network together" in chaotic.inject("cut", "--from", "alone", code=2)
    dry = chaotic.inv("--dry", "chaos.inject", "kill", "--service", "back", "--env", "test").stdout
    assert f"# containers: {chaotic.project}-back-1" in dry and "docker run --detach" in dry
    lock = f"{chaotic.project}-slipway-lock"
    labels = {"slipway.lock": chaotic.project, "slipway.lock.holder": "ada", "slipway.lock.host": "elsewhere"}
    docker("create", f"--name={lock}", *(f"--label={k}={v}" for k, v in labels.items()), _nginx(chaotic), "lock")
    try:
        assert f"{chaotic.project} is locked by ada@elsewhere" in chaotic.inject("kill", code=3)
    finally:
        docker("rm", "-f", lock)
    assert chaotic.helpers() == []


def _nginx(chaotic: Chaotic) -> str:
    return str(chaotic.inspected()["Config"]["Image"])


def experiment(
    chaotic: Chaotic, name: str, *method: dict[str, Any], url: str = "", tolerated: object = (502, 504)
) -> str:
    """Write an experiment about ``back`` into the library of the stack and return its name.

    After the first action of its method it looks whether clients are refused, as is ``tolerated``.
    """
    request = {"type": "http", "url": url or f"http://127.0.0.1:{chaotic.port}/", "timeout": 5}
    probe = {"type": "probe", "name": "clients are served", "tolerance": 200, "provider": request}
    library = chaotic.project_dir / "chaos"
    library.mkdir(exist_ok=True)
    refused = {**probe, "name": "clients are refused", "tolerance": tolerated}
    front = {"type": "env", "key": "CHAOS_ADDRESS_FRONT"}
    document = {
        "title": f"{name} of back", "description": "What clients of front see.",
        "configuration": {"env": {"type": "env", "key": "SLIPWAY_ENV"}, "front": front},
        "steady-state-hypothesis": {"title": "Clients are served", "probes": [probe]},
        "method": [*method[:1], refused, *method[1:]],
        "rollbacks": [end_it()],
    }  # fmt: skip
    (library / f"{name}.yaml").write_text(json.dumps(document))
    return name


def end_it() -> dict[str, Any]:
    arguments = "chaos.stop --env ${env}"
    return {"type": "action", "name": "end it", "provider": {"type": "process", "path": "inv", "arguments": arguments}}


def injected(fault: str, *words: str) -> dict[str, Any]:
    arguments = ["chaos.inject", fault, "--service", "back", "--env", "${env}", *words]
    return {"type": "action", "name": fault, "provider": {"type": "process", "path": "inv", "arguments": arguments}}


def wait(seconds: float) -> dict[str, Any]:
    """Return a probe that sees nothing and takes its time."""
    return {"type": "probe", "name": "wait", "provider": {"type": "process", "path": "sleep", "arguments": [seconds]}}


def test_an_experiment_runs_and_its_journal_says_what_was_seen(chaotic: Chaotic) -> None:
    name = experiment(chaotic, "short", injected("cut", "--from", "front", "--for", "12s"), wait(25))
    done = chaotic.json("chaos.run", name, "--env", "test")
    assert (done["deviated"], done["steady_state_met"]) == (False, {"before": True, "after": True})
    journal = json.loads((chaotic.reports / done["journal"].partition("reports/")[2]).read_text())
    assert [one["output"]["status"] for one in journal["run"][:2]] == [0, 504]
    assert journal["experiment"]["title"] == "short of back"
    [told] = chaotic.json("chaos.report", str(chaotic.reports / done["journal"].partition("reports/")[2]))[
        "experiments"
    ]
    before, during, afterwards = told["measured"][0]["phases"]
    assert before["failed"] == 0 and afterwards["failed"] < afterwards["requests"], "served again, and seen"
    assert during["failed"] >= 4 and told["faults"][0]["fault"] == "cut"


def test_a_hypothesis_that_is_not_met_before_lets_nothing_be_done(chaotic: Chaotic) -> None:
    name = experiment(chaotic, "late", injected("kill"))
    before = chaotic.inspected()["State"]["StartedAt"]
    chaotic.inject("cut", "--for", "10m")
    said = chaotic.inv("chaos.run", name, "--env", "test", code=5).stderr
    assert "the hypothesis is not met before anything was done: the method did not run" in said
    chaotic.inv("chaos.stop", "--env", "test")
    assert chaotic.inspected()["State"]["StartedAt"] == before


def test_rollbacks_run_when_somebody_stops_the_experiment(chaotic: Chaotic) -> None:
    name = experiment(chaotic, "stopped", {**injected("cut", "--for", "10m"), "pauses": {"after": 600}})
    runner = chaotic.begin("chaos.run", name, "--env", "test")
    until(lambda: chaotic.ask() == 504, "the cut is there", 60)
    runner.send_signal(signal.SIGINT)
    assert runner.wait(60) == 130
    chaotic.served()
    assert chaotic.helpers() == []
    journal = json.loads(max(chaotic.reports.glob("*/chaos/journal.json")).read_text())
    assert (journal["status"], journal["rollbacks"][0]["status"]) == ("interrupted", "succeeded")


def test_an_experiment_that_could_not_work_is_refused_before_it_begins(chaotic: Chaotic) -> None:
    name = experiment(chaotic, "unknown", injected("tickle"))
    assert "no fault 'tickle'" in chaotic.inv("chaos.run", name, "--env", "test", code=2).stderr
    code = {"type": "action", "name": "code", "provider": {"type": "python", "module": "os", "func": "getcwd"}}
    name = experiment(chaotic, "code", code)
    assert "runs Python code of os" in chaotic.inv("chaos.run", name, "--env", "test", code=3).stderr
    assert "there is no experiment 'nothing'" in chaotic.inv("chaos.run", "nothing", "--env", "test", code=2).stderr
    assert chaotic.helpers() == []


def test_the_library_runs_against_a_copy_and_the_stack_itself_is_left_alone(chaotic: Chaotic) -> None:
    before = chaotic.inspected()["State"]["StartedAt"]
    for path in (chaotic.project_dir / "chaos").glob("*"):
        path.unlink()
    fault, url = injected("stop", "--for", "10m"), "http://${front}:8080/"
    experiment(chaotic, "good", fault, end_it(), url=url)
    experiment(chaotic, "bad", fault, end_it(), url=url, tolerated=200)
    results = {one["name"]: one for one in chaotic.json("test.chaos", code=5)["suites"]}
    assert {name: one["outcome"] for name, one in results.items()} == {"good": "passed", "bad": "failed"}
    assert "a probe saw what is not tolerated" in results["bad"]["reason"]
    journal = json.loads((chaotic.reports / results["bad"]["reports"][0]).read_text())
    assert journal["steady_states"]["after"]["steady_state_met"] is True
    assert journal["run"][1]["output"]["status"] in (502, 504)
    assert copies(chaotic.project) == []
    assert chaotic.inspected()["State"]["StartedAt"] == before
    labelled = docker("ps", "-a", "--filter", f"label={PROJECT}", "--format", f'{{{{.Label "{PROJECT}"}}}}').split()
    assert [name for name in labelled if name.startswith(chaotic.project)] == []


def test_clean_undoes_faults_before_it_removes_the_containers(stack: Chaotic) -> None:
    stack.inject("cut", "--for", "10m")
    said = stack.inv("clean", "--env", "test").stderr
    assert f"cut in {stack.project}-back-1 (active)" in said
    assert stack.helpers() == []
    assert docker("ps", "-aq", "--filter", f"label=com.docker.compose.project={stack.project}") == ""
