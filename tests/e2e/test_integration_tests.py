"""`inv test.integration` on a real engine: every gate closes where it should, and nothing is left behind."""

import json
import os
import signal
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from .starting import Started
from .support import Checkout, Sample, copies, docker, until

Small = Callable[..., Checkout]
PASSING = '<testsuite name="pkg"><testcase name="TestOne" time="0.1"/></testsuite>'
COMPOSE = """
services:
  web:
    image: IMAGE
    entrypoint: [sh, -c, "WEB"]
    volumes: ["./tests.sh:/tests.sh:ro"]
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
GO = "until grep -q '^# go' /tests.sh; do sleep 0.1; done"  # waits for `go`
UNTIL_WEB_ENDED = "while getent hosts web >/dev/null; do sleep 0.2; done\n"
EATS = "head -c 200000000 /dev/zero | tail -c 200000000 >/dev/null"


def report(xml: str) -> str:
    return f"cat >/reports/junit.xml <<'END'\n{xml}\nEND\n"


@pytest.fixture
def made(small: Small) -> Callable[..., Checkout]:
    """Make a project with one service and tests that are a shell script."""

    def make(script: str, web: str = "exec sleep 600", **profile: str) -> Checkout:
        checkout = small(COMPOSE.replace("WEB", web), "", "".join(f"{key}={value}\n" for key, value in profile.items()))
        (checkout.project_dir / "tests.sh").write_text(script)
        return checkout

    return make


def integration(checkout: Checkout, tmp_path: Path, *words: str, code: int = 0) -> tuple[dict[str, Any], str]:
    """Run the tests, assert that nothing of the stack is left, and return the suite's result and stderr."""
    env = {"SLIPWAY_REPORTS_DIR": str(tmp_path / "reports")}
    result = checkout.inv("test.integration", "--env", "dev", "--json", *words, code=code, **env)
    assert copies(checkout.projects[0]) == []
    return json.loads(result.stdout)["suites"][0], result.stderr


def background(checkout: Checkout, tmp_path: Path, *words: str) -> "subprocess.Popen[str]":
    return Started(
        checkout.command("test.integration", "--env", "dev", *words),
        env=checkout.environment(SLIPWAY_REPORTS_DIR=str(tmp_path / "reports")),
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True,
    )  # fmt: skip


def go(checkout: Checkout) -> None:
    """Let scripts go on that wait: they are mounted, and get a line more."""
    with (checkout.project_dir / "tests.sh").open("a") as script:
        script.write("# go\n")


def running(checkout: Checkout, service: str) -> str:
    labels = (f"slipway.throwaway={checkout.projects[0]}", f"com.docker.compose.service={service}")
    return docker("ps", "-q", *(word for label in labels for word in ("--filter", f"label={label}")))


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


def test_what_cannot_be_told_is_never_a_pass(made: Callable[..., Checkout], tmp_path: Path) -> None:
    suite, said = integration(made("ln -s /etc/passwd /reports/junit.xml"), tmp_path, code=5)
    assert suite["outcome"] == "invalid"
    assert "cannot be read" in said


def test_a_service_that_ends_at_start_closes_the_gate_and_its_log_is_last(
    made: Callable[..., Checkout], tmp_path: Path
) -> None:
    checkout = made(report(PASSING), web="echo out of order; exit 7")
    file, named = checkout.project_dir / "compose.yaml", "    container_name: there-is-one-of-it\n"
    # It counts as running for a second without a check; a busy machine may take longer to start its shell.
    never = "    healthcheck: {test: [CMD, 'false'], start_period: 60s}\n"
    file.write_text(file.read_text().replace(named, f"{named}{never}", 1))
    suite, said = integration(checkout, tmp_path, code=5)
    assert suite["outcome"] == "failed"
    assert "the stack did not come up: web ended with exit code 7" in said.splitlines()[-2]
    assert said.index("out of order") > said.index("---- integration")
    assert (tmp_path / "reports" / "latest" / "integration" / "logs" / "web.log").read_text() == "out of order\n"


def test_a_service_that_ends_while_the_tests_run_closes_the_gate(made: Callable[..., Checkout], tmp_path: Path) -> None:
    checkout = made(UNTIL_WEB_ENDED + report(PASSING), web=f"{GO}; exit 3")
    task = background(checkout, tmp_path)
    until(lambda: running(checkout, "checks"), "the tests start", 120)
    go(checkout)
    _, said = task.communicate(timeout=120)
    assert task.returncode == 5, said
    assert "while the tests ran, web ended with exit code 3" in said
    assert copies(checkout.projects[0]) == []


def test_hanging_tests_are_stopped_at_the_time_limit_and_their_log_is_kept(
    made: Callable[..., Checkout], tmp_path: Path
) -> None:
    _, said = integration(made("echo began\nsleep 600\n", TEST_TIMEOUT="20s"), tmp_path, code=5)
    assert "not done within TEST_TIMEOUT=20.0 s" in said
    assert (tmp_path / "reports" / "latest" / "integration" / "checks" / "output.log").read_text() == "began\n"


@pytest.mark.parametrize(("script", "web", "guilty"), [
    (EATS, "exec sleep 600", "checks"),
    (UNTIL_WEB_ENDED + report(PASSING), f"sleep 1; {EATS}", "web"),
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


def test_a_part_that_is_none_is_bad_input(made: Callable[..., Checkout]) -> None:
    result = made("").inv("test.integration", "--env", "dev", "--shard=3/2", code=2)
    assert result.stderr.startswith("--shard: ")
    assert len(result.stderr.splitlines()) == 2


def test_four_at_once_do_not_disturb_each_other(made: Callable[..., Checkout], tmp_path: Path) -> None:
    checkout = made(f"ls /reports >/dev/null\n{GO}\nhostname\n{report(PASSING)}")
    tasks = [background(checkout, tmp_path, "--json") for _ in range(4)]
    until(lambda: len(running(checkout, "checks").splitlines()) == 4, "four stacks at once", 180)
    go(checkout)
    documents = []
    for task in tasks:
        out, said = task.communicate(timeout=120)
        assert task.returncode == 0, said
        documents.append(json.loads(out))
    assert len({document["run"] for document in documents}) == 4
    logs = {
        (tmp_path / "reports" / document["run"] / "integration/checks/output.log").read_text() for document in documents
    }
    assert len(logs) == 4
    assert copies(checkout.projects[0]) == []


@pytest.mark.parametrize(
    ("number", "service"), [(signal.SIGINT, "web"), (signal.SIGTERM, "checks"), (signal.SIGHUP, "checks")]
)
def test_a_run_that_is_stopped_leaves_nothing(
    made: Callable[..., Checkout], tmp_path: Path, number: signal.Signals, service: str
) -> None:
    checkout = made("sleep 60")
    task = background(checkout, tmp_path)
    until(lambda: running(checkout, service), f"{service} starts", 120)
    task.send_signal(number)
    _, said = task.communicate(timeout=60)
    assert task.returncode == 128 + number, said
    assert "Traceback" not in said
    assert copies(checkout.projects[0]) == []


def killed(checkout: Checkout, tmp_path: Path) -> None:
    """Kill a run while its tests run."""
    task = background(checkout, tmp_path)
    until(lambda: running(checkout, "checks"), "the tests start", 120)
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


def test_a_stack_that_another_process_uses_is_left_alone(made: Callable[..., Checkout], tmp_path: Path) -> None:
    checkout = made(f"{GO}\n{report(PASSING)}")
    task = background(checkout, tmp_path)
    until(lambda: running(checkout, "checks"), "the tests start", 120)
    checkout.inv("clean", "--env", "dev")
    go(checkout)
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
    """The sample; asserts that no copy of it is left."""
    yield sample
    assert copies(f"{sample.project}-test") == []


def names(reports: Path) -> list[str]:
    """Return the tests of the sample that the latest run has run."""
    events = (reports / "latest/integration/api-tests/test.json").read_text().splitlines()
    tests = {json.loads(event).get("Test", "") for event in events}
    return sorted(test for test in tests if test and "/" not in test)


def test_the_sample_passes_with_the_coverage_of_its_binary_and_its_parts_are_all_of_its_tests(
    tested: Sample, tmp_path: Path
) -> None:
    reports = tmp_path / "reports"
    env = {"SLIPWAY_REPORTS_DIR": str(reports)}
    document = tested.json("test.integration", **env)
    assert document["outcome"] == "passed"
    assert document["coverage"] > 50
    directory = reports / "latest" / "integration"
    assert {log.stem for log in (directory / "logs").iterdir()} >= {"app", "database", "nginx", "api-tests"}
    assert (directory / "coverage.out").read_text().startswith("mode: ")
    assert docker("image", "ls", "-q", "--filter", f"label=slipway.template={tested.project}-test")
    whole = names(reports)

    # The second time the database starts from a template, with its rows: it is not filled.
    again = tested.inv("test.integration", "--shard", "1/2", **env)
    assert "filling a database" not in again.stderr
    assert {log.stem for log in (directory / "logs").iterdir()} == {"app", "database", "nginx", "api-tests"}
    first = names(reports)
    tested.inv("test.integration", "--shard", "2/2", **env)
    second = names(reports)
    assert sorted(first + second) == whole
    assert abs(len(first) - len(second)) <= 1


def test_another_password_gets_another_template_and_a_filter_runs_what_it_names(tested: Sample, tmp_path: Path) -> None:
    label = f"label=slipway.template={tested.project}-test"
    before = docker("image", "ls", "-q", "--filter", label).splitlines()
    secrets = tmp_path / "secrets"
    secrets.mkdir(0o700)
    (secrets / "database_password").write_text("another one")
    env = {"SLIPWAY_REPORTS_DIR": str(tmp_path / "reports"), "SECRETS_DIR": str(secrets)}
    tested.inv("test.integration", "--filter", "Pages", **env)
    assert len(docker("image", "ls", "-q", "--filter", label).splitlines()) == len(before) + 1
    assert names(tmp_path / "reports") == ["TestPagesTogetherAreTheWholeList"]


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
