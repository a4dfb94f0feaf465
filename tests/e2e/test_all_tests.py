"""`inv test`: all suites in parallel, what is not run again, flaky tests; faults that are planted close every gate."""

import itertools
import json
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from .starting import Started
from .support import Checkout, docker, go_project, leftovers, remove

COMPILES = 1800  # seconds, of the tools that check the sources where they are not there yet, on a busy machine

_NUMBERS = itertools.count()
_CODE = """package cart

func Add(a, b int) int {
	if a == 0 {
		return b
	}
	return a + b
}
"""
_GREEN = "if Add(0, 2) != 2 || Add(1, 2) != 3 { t.Fatal() }"


class Cart(Checkout):
    """A Go service of one package whose tests a test writes; its stages are those of the sample's Dockerfile."""

    def environment(self, **extra: str) -> dict[str, str]:
        """Return the process environment of a task, with a reports directory of its own."""
        return super().environment(SLIPWAY_REPORTS_DIR=str(self.reports), **extra)

    @property
    def reports(self) -> Path:
        """The directory of the reports."""
        return self.project_dir.parent / "reports"

    @property
    def source(self) -> Path:
        """The directory of the only package."""
        return self.project_dir / "app" / "src" / "cart"

    def tests(self, body: str = _GREEN, imports: str = "", more: str = "") -> None:
        """Write the test ``TestCart`` with this body."""
        lines = ["package cart", f'import ("testing"; {imports})', f"func TestCart(t *testing.T) {{ {body} }}", more]
        (self.source / "cart_test.go").write_text("\n".join(lines) + "\n")

    def unscanned(self) -> None:
        """Leave out what scans the sources: each scanner runs in a container with a cache of its own."""
        dockerfile = self.project_dir / "app" / "Dockerfile"
        text = dockerfile.read_text()
        assert " AS security\n" in text
        dockerfile.write_text(text.replace(" AS security\n", " AS unused\n"))

    def containers(self) -> list[str]:
        """Return the ids of the test containers."""
        return docker("ps", "-aq", "--filter", f"label=com.docker.compose.project={self.projects[0]}").split()


@pytest.fixture
def cart(tmp_path: Path) -> Iterator[Cart]:
    """A service with a green test."""
    name = f"slipway-cart-{os.getpid()}-{next(_NUMBERS)}"
    project, envs = go_project(tmp_path, name)
    made = Cart(project, envs, [name])
    made.source.mkdir(parents=True)
    (made.source / "cart.go").write_text(_CODE)
    made.tests()
    try:
        yield made
        assert made.containers() == []
    finally:
        remove(name)
    assert leftovers(name) == []


def _started(cart: Cart, *words: str) -> "subprocess.Popen[bytes]":
    """Start a task and wait until its container runs."""
    quiet = subprocess.DEVNULL
    process = Started(cart.command(*words), env=cart.environment(), stdin=quiet, stdout=quiet, stderr=quiet)
    deadline = time.monotonic() + 120
    while not cart.containers():
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.1)
    return process


# All suites


def suites(document: dict[str, Any]) -> dict[str, str]:
    """Return the outcome of each suite of a run."""
    return {suite["name"]: suite["outcome"] for suite in document["suites"]}


@pytest.mark.timeout(COMPILES)
def test_a_second_run_is_unchanged_until_something_changes(cart: Cart) -> None:
    first = cart.json("test")
    second = cart.json("test", "--why")

    assert suites(first)["unit"] == suites(first)["security"] == "passed"
    assert suites(second)["unit"] == suites(second)["security"] == "unchanged"
    assert second["suites"][0]["reason"] == second["run"] == first["run"]
    assert second["why"]["unit"]["reason"] == f"unchanged since run {first['run']}, passed"

    cart.unscanned()
    cart.tests(f"{_GREEN}; _ = 1")
    third = cart.json("test", "--why")

    assert suites(third)["unit"] == "passed"
    assert "app: stage tester" in third["why"]["unit"]["reason"]
    everything = suites(cart.json("test", "--force", "--all"))
    assert (everything["unit"], everything["chaos"]) == ("passed", "skipped"), "it has no experiments"


def test_a_test_that_passes_when_run_again_is_flaky_and_written_down(cart: Cart) -> None:
    cart.unscanned()
    # Each attempt has a report directory of its own: only that tells attempts apart from inside the container.
    cart.tests(
        'data, _ := os.ReadFile("/proc/self/mountinfo")\n'
        f'if !strings.Contains(string(data), "retry") {{ t.Fatal("the clock was wrong") }}; {_GREEN}',
        '"os"; "strings"',
    )

    assert suites(cart.json("test", code=5))["unit"] == "failed"
    document = cart.json("test", "--retry", "1")

    assert suites(document)["unit"] == "flaky"
    assert "failed in attempt 1, passed in attempt 2" in document["suites"][0]["reason"]
    line = json.loads((cart.reports / "flaky.jsonl").read_text().splitlines()[-1])
    assert (line["suite"], line["run"], line["attempts"]) == ("unit", document["run"], 2)
    assert "TestCart" in line["reason"]
    assert suites(cart.json("test", code=5))["unit"] == "failed"  # neither is remembered as a pass


def test_a_finding_of_the_source_scan_closes_the_gate(cart: Cart) -> None:
    (cart.source / "roll.go").write_text(
        'package cart\n\nimport "math/rand"\n\nfunc Roll() int { return rand.Intn(6) }\n'
    )

    assert "G404" in cart.inv("test.security", code=5).stdout


def test_fail_fast_stops_the_others_and_leaves_nothing(cart: Cart) -> None:
    # Unit tests hang; a finding of the scanner ends the run.
    cart.tests("select {}")
    (cart.source / "roll.go").write_text(
        'package cart\n\nimport "math/rand"\n\nfunc Roll() int { return rand.Intn(6) }\n'
    )

    result = cart.inv("test", "--json", "--fail-fast", "--all", code=5)

    document = json.loads(result.stdout)
    assert "G404" in result.stderr
    assert suites(document)["security"] == "failed"
    assert suites(document)["unit"] == "skipped"
    assert "--fail-fast" in document["suites"][0]["reason"]
    assert cart.containers() == []


def test_a_signal_ends_all_suites_and_leaves_nothing(cart: Cart) -> None:
    cart.tests("select {}")
    process = _started(cart, "test")

    process.terminate()

    assert process.wait(60) == 128 + signal.SIGTERM
    assert cart.containers() == []


def test_a_negative_retry_is_bad_input(cart: Cart) -> None:
    assert "--retry" in cart.inv("test", "--retry", "-1", code=2).stderr
