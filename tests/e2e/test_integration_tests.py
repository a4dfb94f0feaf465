"""`inv test.integration` on a real engine: every gate is seen to close, and nothing stays behind."""

import json
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from .support import Checkout, Sample, copies, docker

Small = Callable[..., Checkout]
PASSING = '<testsuite name="pkg"><testcase name="TestOne" time="0.1"/></testsuite>'
COMPOSE = """
services:
  web:
    image: IMAGE
    entrypoint: [sh, -c, "WEB"]
    mem_limit: 32m
    ports: ["127.0.0.1:1:1"]
    container_name: there-is-one-of-it
  checks:
    profiles: [test]
    image: IMAGE
    entrypoint: [sh, /tests.sh]
    volumes: ["./tests.sh:/tests.sh:ro"]
    mem_limit: 64m
    memswap_limit: 64m
    x-slipway: {job: test}
networks:
  default: {name: there-is-one-of-it}
"""
EATS = "head -c 200000000 /dev/zero | tail -c 200000000 >/dev/null"


def report(xml: str) -> str:
    return f"cat >/reports/junit.xml <<'END'\n{xml}\nEND\n"


@pytest.fixture
def made(small: Small) -> Callable[..., Checkout]:
    """Make a project with one service and tests that are a shell script."""

    def make(script: str, web: str = "exec sleep 600", **profile: str) -> Checkout:
        checkout = small(COMPOSE.replace("WEB", web), "", "".join(f"{key}={one}\n" for key, one in profile.items()))
        (checkout.project_dir / "tests.sh").write_text(script)
        return checkout

    return make


def integration(checkout: Checkout, tmp_path: Path, *words: str, code: int = 0) -> tuple[dict[str, Any], str]:
    """Run the tests and return the suite's result and what was said; nothing of the stack may be left."""
    env = {"SLIPWAY_REPORTS_DIR": str(tmp_path / "reports")}
    result = checkout.inv("test.integration", "--env", "dev", "--json", *words, code=code, **env)
    assert copies(checkout.projects[0]) == []
    return json.loads(result.stdout)["suites"][0], result.stderr


def background(checkout: Checkout, tmp_path: Path, *words: str) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        checkout.command("test.integration", "--env", "dev", *words),
        env=checkout.environment(SLIPWAY_REPORTS_DIR=str(tmp_path / "reports")),
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True,
    )  # fmt: skip


def wait_for(condition: Callable[[], object], what: str) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline, what
        time.sleep(0.1)


def running(checkout: Checkout, service: str) -> str:
    labels = (f"slipway.throwaway={checkout.projects[0]}", f"com.docker.compose.service={service}")
    return docker("ps", "-q", *(word for one in labels for word in ("--filter", f"label={one}")))


def test_passing_tests_leave_their_report_and_the_logs(made: Callable[..., Checkout], tmp_path: Path) -> None:
    checkout = made(report(PASSING) + "echo tested", web="echo served; exec sleep 600")
    suite, _ = integration(checkout, tmp_path)
    assert (suite["outcome"], suite["tests"]) == ("passed", 1)
    directory = tmp_path / "reports" / "latest" / "integration"
    assert (directory / "checks" / "junit.xml").exists()
    assert (directory / "checks" / "output.log").read_text() == "tested\n"
    assert (directory / "logs" / "web.log").read_text() == "served\n"


def test_a_failing_test_closes_the_gate_and_is_shown_last(made: Callable[..., Checkout], tmp_path: Path) -> None:
    failing = '<testsuite name="p"><testcase name="TestTwo"><failure>want 1, got 2</failure></testcase></testsuite>'
    suite, said = integration(made(report(failing) + "exit 1"), tmp_path, code=5)
    assert suite["outcome"] == "failed"
    assert said.index("want 1, got 2") > said.index("---- integration")
    assert "checks: 1 of 1 tests failed: TestTwo" in said.splitlines()[-2]


@pytest.mark.parametrize(
    ("script", "reason"),
    [
        ("echo no tests here", "wrote no /reports/junit.xml"),
        ("echo nonsense >/reports/junit.xml", "is not a JUnit report"),
        ("ln -s /etc/passwd /reports/junit.xml", "cannot be read"),
        (report("<testsuite/>"), "no test ran"),
    ],
)
def test_what_cannot_be_told_is_never_a_pass(
    made: Callable[..., Checkout], tmp_path: Path, script: str, reason: str
) -> None:
    suite, said = integration(made(script), tmp_path, code=5)
    assert suite["outcome"] == "invalid"
    assert reason in said


def test_a_service_that_ends_at_start_closes_the_gate_and_its_log_is_last(
    made: Callable[..., Checkout], tmp_path: Path
) -> None:
    suite, said = integration(made(report(PASSING), web="echo out of order; exit 7"), tmp_path, code=5)
    assert suite["outcome"] == "failed"
    assert "the stack did not come up: web ended with exit code 7" in said.splitlines()[-2]
    assert said.index("out of order") > said.index("---- integration")
    assert (tmp_path / "reports" / "latest" / "integration" / "logs" / "web.log").read_text() == "out of order\n"


def test_a_service_that_ends_while_the_tests_run_closes_the_gate(made: Callable[..., Checkout], tmp_path: Path) -> None:
    _, said = integration(made("sleep 4\n" + report(PASSING), web="sleep 3; exit 3"), tmp_path, code=5)
    assert "while the tests ran, web ended with exit code 3" in said


def test_hanging_tests_are_stopped_at_the_time_limit_and_their_log_is_kept(
    made: Callable[..., Checkout], tmp_path: Path
) -> None:
    _, said = integration(made("echo began\nsleep 60\n", TEST_TIMEOUT="2s"), tmp_path, code=5)
    assert "not done within TEST_TIMEOUT=2.0 s" in said
    assert (tmp_path / "reports" / "latest" / "integration" / "checks" / "output.log").read_text() == "began\n"


@pytest.mark.parametrize(("script", "web", "guilty"), [
    (EATS, "exec sleep 600", "checks"),
    ("sleep 6\n" + report(PASSING), f"sleep 1; {EATS}", "web"),
])  # fmt: skip
def test_a_container_that_is_killed_for_memory_is_said_to_be(
    made: Callable[..., Checkout], tmp_path: Path, script: str, web: str, guilty: str
) -> None:
    _, said = integration(made(script, web=web), tmp_path, code=5)
    assert f"{guilty} needs more than its mem_limit" in said or f"{guilty} was killed for memory" in said


def test_a_stack_without_tests_is_skipped_and_said_to_be(small: Small, tmp_path: Path) -> None:
    suite, said = integration(small("services: {web: {image: IMAGE}}"), tmp_path)
    assert suite["outcome"] == "skipped"
    assert "no service says x-slipway.job: test" in said


def test_parts_are_told_to_the_tests_and_an_empty_one_is_no_pass(made: Callable[..., Checkout], tmp_path: Path) -> None:
    script = 'echo "$TEST_SHARD_INDEX of $TEST_TOTAL_SHARDS, $TESTBRIDGE_TEST_ONLY"\n' + report("<testsuite/>")
    checkout = made(script)
    suite, _ = integration(checkout, tmp_path, "--shard", "3/4", "--filter", "Users")
    assert (suite["outcome"], suite["reason"]) == ("skipped", "no test falls into shard 3/4")
    log = tmp_path / "reports" / "latest" / "integration" / "checks" / "output.log"
    assert log.read_text() == "2 of 4, Users\n"
    integration(checkout, tmp_path, "--shard", "1/4", code=5)


@pytest.mark.parametrize("shard", ["0/2", "3/2", "1", "a/b", "1/0", "-1/2"])
def test_a_part_that_is_none_is_bad_input(made: Callable[..., Checkout], shard: str) -> None:
    result = made("").inv("test.integration", "--env", "dev", f"--shard={shard}", code=2)
    assert result.stderr.startswith("--shard: ")
    assert len(result.stderr.splitlines()) == 2


def test_four_at_once_do_not_disturb_each_other(made: Callable[..., Checkout], tmp_path: Path) -> None:
    script = "ls /reports >/dev/null && sleep 2 && hostname\n" + report(PASSING)
    checkout = made(script)
    tasks = [background(checkout, tmp_path, "--json") for _ in range(4)]
    wait_for(lambda: len(running(checkout, "checks").splitlines()) == 4, "four stacks at once")
    documents = []
    for task in tasks:
        out, said = task.communicate(timeout=120)
        assert task.returncode == 0, said
        documents.append(json.loads(out))
    assert len({one["run"] for one in documents}) == 4
    logs = {(tmp_path / "reports" / one["run"] / "integration/checks/output.log").read_text() for one in documents}
    assert len(logs) == 4
    assert copies(checkout.projects[0]) == []


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
@pytest.mark.parametrize("service", ["web", "checks"])
def test_a_run_that_is_stopped_leaves_nothing(
    made: Callable[..., Checkout], tmp_path: Path, number: signal.Signals, service: str
) -> None:
    checkout = made("sleep 60")
    task = background(checkout, tmp_path)
    wait_for(lambda: running(checkout, service), f"{service} does not start")
    task.send_signal(number)
    _, said = task.communicate(timeout=60)
    assert task.returncode == 128 + number, said
    assert "Traceback" not in said
    assert copies(checkout.projects[0]) == []


def killed(checkout: Checkout, tmp_path: Path) -> None:
    """Kill a run while its tests run."""
    task = background(checkout, tmp_path)
    wait_for(lambda: running(checkout, "checks"), "the tests do not start")
    os.kill(task.pid, signal.SIGKILL)
    task.communicate(timeout=60)
    assert copies(checkout.projects[0])


def test_what_a_killed_run_left_is_removed_by_the_next_one(made: Callable[..., Checkout], tmp_path: Path) -> None:
    checkout = made("sleep 60")
    killed(checkout, tmp_path)
    (checkout.project_dir / "tests.sh").write_text(report(PASSING))
    suite, said = integration(checkout, tmp_path)
    assert suite["outcome"] == "passed"
    assert "left behind by a run that was killed, removed" in said


def test_what_a_killed_run_left_is_removed_by_clean(made: Callable[..., Checkout], tmp_path: Path) -> None:
    checkout = made("sleep 60")
    killed(checkout, tmp_path)
    checkout.inv("clean", "--env", "dev")
    assert copies(checkout.projects[0]) == []


def test_a_stack_that_somebody_works_with_is_left_alone(made: Callable[..., Checkout], tmp_path: Path) -> None:
    checkout = made("sleep 8\n" + report(PASSING))
    task = background(checkout, tmp_path)
    wait_for(lambda: running(checkout, "checks"), "the tests do not start")
    checkout.inv("clean", "--env", "dev")
    _, said = task.communicate(timeout=60)
    assert task.returncode == 0, said


def test_a_stack_that_is_kept_stays_until_clean(made: Callable[..., Checkout], tmp_path: Path) -> None:
    checkout = made(report(PASSING))
    env = {"SLIPWAY_REPORTS_DIR": str(tmp_path / "reports")}
    said = checkout.inv("test.integration", "--env", "dev", "--keep", **env).stderr
    name = next(line.split()[-1] for line in said.splitlines() if line.startswith("kept: "))
    assert f"(cd / && docker compose -p {name} down --volumes --remove-orphans)" in said
    kept = copies(checkout.projects[0])
    checkout.inv("test.integration", "--env", "dev", **env)
    assert copies(checkout.projects[0]) == kept
    shell = ("shell", "--env", "dev", "--service", "web", "--command", "echo inside")
    assert checkout.inv(*shell, COMPOSE_PROJECT_NAME=name).stdout == "inside\n"
    checkout.inv("clean", "--env", "dev")
    assert copies(checkout.projects[0]) == []


@pytest.fixture
def tested(sample: Sample) -> Iterator[Sample]:
    """The sample, and the promise that no copy of it stays."""
    yield sample
    assert copies(f"{sample.project}-test") == []


def test_the_sample_passes_with_the_coverage_of_its_binary(tested: Sample, tmp_path: Path) -> None:
    env = {"SLIPWAY_REPORTS_DIR": str(tmp_path / "reports")}
    document = json.loads(tested.inv("test.integration", "--json", **env).stdout)
    assert document["outcome"] == "passed"
    assert document["coverage"] > 50
    directory = tmp_path / "reports" / "latest" / "integration"
    assert {one.stem for one in (directory / "logs").iterdir()} >= {"app", "database", "nginx", "api-tests"}
    assert (directory / "coverage.out").read_text().startswith("mode: ")
    assert docker("image", "ls", "-q", "--filter", f"label=slipway.template={tested.project}-test")
    # The second time the database starts with its rows: nobody fills it.
    again = tested.inv("test.integration", **env)
    assert "filling a database" not in again.stderr
    assert {one.stem for one in (directory / "logs").iterdir()} == {"app", "database", "nginx", "api-tests"}


def test_the_parts_of_the_sample_are_all_of_its_tests(tested: Sample, tmp_path: Path) -> None:
    def names(*words: str) -> list[str]:
        tested.inv("test.integration", *words, SLIPWAY_REPORTS_DIR=str(tmp_path / "reports"))
        events = (tmp_path / "reports/latest/integration/api-tests/test.json").read_text().splitlines()
        found = {json.loads(one).get("Test", "") for one in events}
        return sorted(one for one in found if one and "/" not in one)

    whole, first, second = names(), names("--shard", "1/2"), names("--shard", "2/2")
    assert sorted(first + second) == whole
    assert abs(len(first) - len(second)) <= 1
    assert names("--filter", "Pages") == ["TestPagesTogetherAreTheWholeList"]


def test_another_password_gets_another_template(tested: Sample, tmp_path: Path) -> None:
    label = f"label=slipway.template={tested.project}-test"
    env = {"SLIPWAY_REPORTS_DIR": str(tmp_path / "reports")}
    tested.inv("test.integration", "--filter", "Ready", **env)
    before = docker("image", "ls", "-q", "--filter", label).splitlines()
    secrets = tmp_path / "secrets"
    secrets.mkdir(0o700)
    (secrets / "database_password").write_text("another one")
    tested.inv("test.integration", "--filter", "Ready", SECRETS_DIR=str(secrets), **env)
    assert len(docker("image", "ls", "-q", "--filter", label).splitlines()) == len(before) + 1


def test_a_file_is_loaded_whole_or_not_at_all(sample: Sample, tmp_path: Path) -> None:
    good, bad = tmp_path / "good.sql", tmp_path / "bad.sql"
    good.write_text("INSERT INTO users (name, email) VALUES ('Mae Jemison', 'mae@example.com');\n")
    bad.write_text("INSERT INTO users (name, email) VALUES ('A', 'a@example.com');\n\nSELEC 1;\n")

    def count(email: str) -> str:
        query = f"SELECT count(*) FROM users WHERE email = '{email}'"
        return sample.inv("db.shell", "--command", query).stdout.split()[2]

    sample.inv("db.seed", "--file", str(good))
    assert count("mae@example.com") == "1"
    assert (
        'bad.sql: line 3: syntax error at or near "SELEC"' in sample.inv("db.seed", "--file", str(bad), code=3).stderr
    )
    assert count("a@example.com") == "0"


@pytest.mark.parametrize(
    ("content", "reason"), [(None, "No such file"), (b"", "is empty"), (b" \n", "is empty"), (b"\xff\xfe", "UTF-8")]
)
def test_a_file_that_cannot_be_used_is_bad_input(
    sample: Sample, tmp_path: Path, content: bytes | None, reason: str
) -> None:
    file = tmp_path / "some.sql"
    if content is not None:
        file.write_bytes(content)
    result = sample.inv("db.seed", "--file", str(file), code=2)
    assert reason in result.stderr
    assert len(result.stderr.splitlines()) == 2
