"""Integration tests: which part of them runs, how, and what they come to."""

from typing import Any

import pytest
from support import container, stack

from tasks.plan import integration, shell
from tasks.plan.errors import InputError
from tasks.plan.integration import Facts, Shard
from tasks.plan.junit import FAILED, Case, Report

PASSING = Report((Case("p", "TestOne"),))
WHOLE = Shard()
SHOP = stack({
    "web": {}, "rows": {"x-slipway": {"job": "seed"}},
    "checks": {"x-slipway": {"job": "test"}}, "more": {"x-slipway": {"job": "test"}},
})  # fmt: skip


@pytest.mark.parametrize(("text", "part"), [("", Shard()), ("1/1", Shard()), ("2/3", Shard(2, 3))])
def test_a_part_is_a_number_of_many(text: str, part: Shard) -> None:
    assert integration.shard(text) == part


@pytest.mark.parametrize("text", ["0/3", "4/3", "1/0", "1", "a/b", "-1/2", "1/2/3", "1 /2", "\u0661/2"])
def test_what_is_no_part_is_bad_input(text: str) -> None:
    with pytest.raises(InputError) as error:
        integration.shard(text)
    assert error.value.message.startswith("--shard: ")


def test_a_filter_is_a_regular_expression() -> None:
    assert integration.pattern("Users|Pages") == "Users|Pages"
    with pytest.raises(InputError, match="--filter"):
        integration.pattern("(")


def test_test_services_are_those_that_say_so() -> None:
    assert [one.name for one in integration.selected(SHOP, ())] == ["checks", "more"]
    assert [one.name for one in integration.selected(SHOP, ("more",))] == ["more"]
    with pytest.raises(InputError, match="service web does not say"):
        integration.selected(SHOP, ("web",))


def test_a_part_is_told_as_bazel_tells_it() -> None:
    words = integration.test_words("checks", "n", "/r", "1:2", "Users", Shard(2, 3), "test")
    assert words[-1] == "checks"
    assert {"--env=TEST_TOTAL_SHARDS=3", "--env=TEST_SHARD_INDEX=1", "--env=TESTBRIDGE_TEST_ONLY=Users"} <= set(words)
    assert {"--name=n", "--volume=/r:/reports", "--user=1:2"} <= set(words)
    whole = integration.test_words("checks", "n", "/r", "", "", Shard(), "test")
    assert not any("SHARD" in one or "ONLY" in one or "--user" in one for one in whole)


def judged(report: Report | None = PASSING, unreadable: str = "", part: Shard = WHOLE, **facts: Any) -> Any:
    return integration.judge(Facts("checks", **{"exit_code": 0, "stack": SHOP, **facts}), report, unreadable, part)


def test_tests_that_pass_pass() -> None:
    verdict = judged(containers=(container("shop-web-1"), container("shop-rows-1", state="exited")))
    assert verdict.passed
    assert verdict.report is PASSING


@pytest.mark.parametrize(
    ("given", "reason", "invalid"),
    [
        ({"report": Report((Case("p", "TestTwo", FAILED),)), "exit_code": 1}, "1 of 1 tests failed: TestTwo", False),
        ({"exit_code": 2}, "ended with exit code 2", False),
        ({"stopped": "not done within"}, "not done within", False),
        ({"report": None}, "wrote no /reports/junit.xml", True),
        ({"report": Report()}, "no test ran", True),
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
def test_every_gate_closes(given: dict[str, Any], reason: str, invalid: bool) -> None:
    verdict = judged(**given)
    assert (verdict.reason, verdict.invalid, verdict.passed) == (reason, invalid, False)


def test_not_every_part_of_few_tests_gets_one_but_the_first_does() -> None:
    assert judged(Report(), part=Shard(2, 3)).nothing
    assert judged(Report(), part=Shard(1, 3)).invalid


def test_who_kept_a_stack_is_told_how_to_get_in_and_rid_of_it() -> None:
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
    assert "--single-transaction" in shell.load_words(psql)
    assert shell.in_transaction(psql, "SELECT 1;\n") == "SELECT 1;\n"
    assert shell.load_words(("mariadb",)) == ("mariadb",)
    assert shell.in_transaction(("mariadb",), "SELECT 1;\n") == "BEGIN; SELECT 1;\nCOMMIT;\n"


@pytest.mark.parametrize(
    ("output", "fault"),
    [
        ('psql:<stdin>:3: ERROR:  syntax error at "SELEC"\nLINE 1: SELEC', 'line 3: syntax error at "SELEC"'),
        ("ERROR 1064 (42000) at line 7: You have an error", "line 7: You have an error"),
        ("something else", ""),
    ],
)  # fmt: skip
def test_the_line_at_fault_is_told(output: str, fault: str) -> None:
    assert shell.sql_fault(output) == fault
