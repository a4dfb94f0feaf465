"""Tests of integration tests: which shard runs, how it is run, and how its results are judged."""

from typing import Any

import pytest
from support import container, stack

from tasks.db.plan import client
from tasks.model.errors import InputError
from tasks.test.plan import integration
from tasks.test.plan.integration import ServiceRun, Shard
from tasks.test.plan.junit import FAILED, Case, JUnitReport

PASSING = JUnitReport((Case("p", "TestOne"),))
WHOLE = Shard()
SHOP = stack({
    "web": {}, "rows": {"x-slipway": {"job": "seed"}},
    "checks": {"x-slipway": {"job": "test"}}, "more": {"x-slipway": {"job": "test"}},
})  # fmt: skip


@pytest.mark.parametrize(("text", "part"), [("", Shard()), ("1/1", Shard()), ("2/3", Shard(2, 3))])
def test_a_shard_is_a_number_of_a_total(text: str, part: Shard) -> None:
    assert integration.shard(text) == part


@pytest.mark.parametrize("text", ["0/3", "4/3", "1/0", "1", "a/b", "-1/2", "1/2/3", "1 /2", "\u0661/2"])
def test_a_shard_that_does_not_exist_is_bad_input(text: str) -> None:
    with pytest.raises(InputError) as error:
        integration.shard(text)
    assert error.value.message.startswith("--shard: ")


def test_a_filter_is_a_regular_expression() -> None:
    assert integration.pattern("Users|Pages") == "Users|Pages"
    with pytest.raises(InputError, match="--filter"):
        integration.pattern("(")


def test_test_services_are_those_with_the_test_job() -> None:
    assert [service.name for service in integration.selected(SHOP, ())] == ["checks", "more"]
    assert [service.name for service in integration.selected(SHOP, ("more",))] == ["more"]
    with pytest.raises(InputError, match="service web does not say"):
        integration.selected(SHOP, ("web",))


def test_shard_and_filter_are_passed_in_the_environment_variables_of_bazel() -> None:
    words = integration.test_words("checks", "n", "/r", "1:2", "Users", Shard(2, 3), "test")
    assert words[-1] == "checks"
    assert {"--env=TEST_TOTAL_SHARDS=3", "--env=TEST_SHARD_INDEX=1", "--env=TESTBRIDGE_TEST_ONLY=Users"} <= set(words)
    assert {"--name=n", "--volume=/r:/reports", "--user=1:2"} <= set(words)
    whole = integration.test_words("checks", "n", "/r", "", "", Shard(), "test")
    assert not any("SHARD" in word or "ONLY" in word or "--user" in word for word in whole)


def judged(report: JUnitReport | None = PASSING, unreadable: str = "", part: Shard = WHOLE, **facts: Any) -> Any:
    return integration.judge(ServiceRun("checks", **{"exit_code": 0, "stack": SHOP, **facts}), report, unreadable, part)


def test_tests_that_pass_pass() -> None:
    verdict = judged(containers=(container("shop-web-1"), container("shop-rows-1", state="exited")))
    assert verdict.passed
    assert verdict.report is PASSING


@pytest.mark.parametrize(
    ("arguments", "reason", "invalid"),
    [
        (
            {"report": JUnitReport((Case("p", "TestTwo", FAILED),)), "exit_code": 1},
            "1 of 1 tests failed: TestTwo",
            False,
        ),
        ({"exit_code": 2}, "ended with exit code 2", False),
        ({"stopped": "not done within"}, "not done within", False),
        ({"report": None}, "wrote no /reports/junit.xml", True),
        ({"report": JUnitReport()}, "no test ran", True),
        ({"report": None, "unreadable": "is no report", "exit_code": 1}, "is no report", True),
        ({"containers": (container("shop-web-1", oom_killed=True),), "exit_code": 1},
         "killed for memory: web needs more than its mem_limit", False),
        ({"containers": (container("shop-web-1", state="exited", exit_code=3),)},
         "while the tests ran, web ended with exit code 3", False),
        ({"containers": (container("shop-web-1", state="exited"),)},
         "while the tests ran, web ended with exit code 0", False),
        ({"containers": (container("shop-web-1", health="unhealthy"),)},
         "while the tests ran, web became unhealthy", False),
    ],
)  # fmt: skip
def test_tests_that_do_not_pass_have_a_reason(arguments: dict[str, Any], reason: str, invalid: bool) -> None:
    verdict = judged(**arguments)
    assert (verdict.reason, verdict.invalid, verdict.passed) == (reason, invalid, False)


def test_a_later_shard_of_few_tests_can_be_empty_but_not_the_first() -> None:
    assert judged(JUnitReport(), part=Shard(2, 3)).nothing
    assert judged(JUnitReport(), part=Shard(1, 3)).invalid


def test_a_stack_that_is_kept_comes_with_the_commands_to_enter_and_to_remove_it() -> None:
    lines = "\n".join(integration.kept("shop-it-1", "test", ["web"]))
    assert "COMPOSE_PROJECT_NAME=shop-it-1 inv shell --env test --service web" in lines
    assert "docker compose -p shop-it-1 down --volumes" in lines


def test_coverage_is_read_by_the_image_that_wrote_it() -> None:
    words = integration.coverage_words("shop-it-1", "web", "sha256:a", "/r", (1000, 1000), {"whose": "shop"})
    assert "--mount=type=volume,source=shop-it-1_slipway-coverage-web,target=/coverage,readonly" in words
    assert {"--user=1000:1000", "--label=whose=shop"} <= set(words)
    assert words[words.index("sha256:a") + 1 :] == ("textfmt", "-i=/coverage", "-o=/reports/coverage.out")


def test_a_file_is_loaded_in_one_transaction() -> None:
    psql = ("psql", "--username=app")
    assert "--single-transaction" in client.load_command(psql)
    assert client.in_transaction(psql, "SELECT 1;\n") == "SELECT 1;\n"
    assert client.load_command(("mariadb",)) == ("mariadb",)
    assert client.in_transaction(("mariadb",), "SELECT 1;\n") == "BEGIN; SELECT 1;\nCOMMIT;\n"


@pytest.mark.parametrize(
    ("output", "fault"),
    [
        ('psql:<stdin>:3: ERROR:  syntax error at "SELEC"\nLINE 1: SELEC', 'line 3: syntax error at "SELEC"'),
        ("ERROR 1064 (42000) at line 7: You have an error", "line 7: You have an error"),
        ("something else", ""),
    ],
)  # fmt: skip
def test_the_line_with_the_sql_error_is_named(output: str, fault: str) -> None:
    assert client.sql_fault(output) == fault
