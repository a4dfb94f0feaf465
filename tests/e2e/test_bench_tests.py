"""`inv test.bench`: a change of the code is seen, and noise is not."""

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from .support import Checkout, Sample, docker, go_project, leftovers, remove

TAKES = 120  # seconds: benchmarks are run again and again

# Shared machines are noisy: a benchmark may take several times as long while others compile. The slowdowns that are
# planted here are much larger than that.
_SETTINGS = {"BENCH_TIME": "50ms", "BENCH_REGRESSION_MAX": "900"}
_FILES = {
    "handlers/handlers.go": """package handlers

import "encoding/json"

func Respond(value any) []byte {
	body, err := json.Marshal(value)
	if err != nil {
		return nil
	}
	return body
}
""",
    "handlers/bench_test.go": """package handlers

import "testing"

func BenchmarkListUsers(b *testing.B) {
	users := make([]struct{ Name, Email string }, 20)
	for b.Loop() {
		if Respond(users) == nil {
			b.Fatal("no answer")
		}
	}
}
""",
    "models/user.go": """package models

import "strings"

func Valid(email string) bool {
	name, domain, found := strings.Cut(strings.TrimSpace(email), "@")
	return found && name != "" && strings.Contains(domain, ".")
}
""",
    "models/bench_test.go": """package models

import "testing"

func BenchmarkValidateUser(b *testing.B) {
	for b.Loop() {
		if !Valid(" ada.lovelace@example.com ") {
			b.Fatal("refused")
		}
	}
}
""",
}


class Measured(Checkout):
    """A Go service of two packages with a benchmark each; its stages are those of the sample's Dockerfile."""

    def environment(self, **extra: str) -> dict[str, str]:
        """Return the process environment of a task, with a reports directory of its own."""
        return super().environment(**{"SLIPWAY_REPORTS_DIR": str(self.reports), **_SETTINGS, **extra})

    @property
    def reports(self) -> Path:
        """The directory of the reports."""
        return self.project_dir.parent / "reports"

    @property
    def source(self) -> Path:
        """The file that tests spoil."""
        return self.project_dir / "app" / "src" / "handlers" / "handlers.go"


@pytest.fixture(scope="module")
def measured(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Measured]:
    """A service whose benchmarks have a baseline."""
    name = f"slipway-bench-{os.getpid()}"
    project, envs = go_project(tmp_path_factory.mktemp("bench"), name)
    made = Measured(project, envs, [name])
    for file, text in _FILES.items():
        (project / "app" / "src" / file).parent.mkdir(parents=True, exist_ok=True)
        (project / "app" / "src" / file).write_text(text)
    try:
        bench(made, "--save-baseline")
        yield made
    finally:
        remove(name)
    assert leftovers(name) == []


def bench(made: Measured, *words: str, code: int = 0) -> dict[str, Any]:
    return made.json("test.bench", *words, code=code)


def test_the_benchmarks_of_the_sample_run(sample: Sample, tmp_path: Path) -> None:
    settings = {"BENCH_TIME": "1ms", "SLIPWAY_REPORTS_DIR": str(tmp_path)}
    document = sample.json("test.bench", "--service", "app", "--count", "1", **settings)
    assert document["outcome"] == "passed"
    assert {"handlers.ListUsers", "models.ValidateUser"} <= {row["name"] for row in document["benchmarks"]}


def verdicts(document: dict[str, Any], unit: str) -> dict[str, str]:
    return {
        benchmark["name"]: benchmark["verdict"] for benchmark in document["benchmarks"] if benchmark["unit"] == unit
    }


def test_the_same_code_is_no_regression(measured: Measured) -> None:
    document = bench(measured)
    assert document["outcome"] == "passed"
    assert "regression" not in verdicts(document, "ns/op").values()
    assert set(verdicts(document, "allocs/op").values()) == {"no significant change"}
    assert all(benchmark["p"] is not None for benchmark in document["benchmarks"])


def test_code_that_became_slower_is_a_regression(measured: Measured) -> None:
    source, original = measured.source, measured.source.read_text()
    once = "body, err := json.Marshal(value)"
    assert once in original
    slower = f"for range 200 {{\n\t\t_, _ = json.Marshal(value)\n\t}}\n\t{once}"
    source.write_text(original.replace(once, slower))
    try:
        document = bench(measured, code=5)
    finally:
        source.write_text(original)
    assert document["suites"][0]["outcome"] == "failed"
    times = verdicts(document, "ns/op")
    assert times["handlers.ListUsers"] == "regression"
    # What was not touched did not get worse.
    assert times["models.ValidateUser"] != "regression"
    worse = next(benchmark for benchmark in document["benchmarks"] if benchmark["name"] == "handlers.ListUsers")
    assert worse["p"] <= 0.05
    assert worse["delta"] > 900


def test_too_few_samples_are_never_called_no_change(measured: Measured) -> None:
    document = bench(measured, "--count", "2", code=5)
    assert document["suites"][0]["outcome"] == "invalid"
    assert set(verdicts(document, "ns/op").values()) == {"too few samples"}
    assert "5 on both sides" in document["suites"][0]["reason"]


def test_a_baseline_of_another_machine_is_not_compared_with(measured: Measured) -> None:
    reports = measured.reports
    file = reports / "baselines" / "bench-test.json"
    kept = file.read_text()
    stored = json.loads(kept)
    stored["services"]["app"]["machine"] = "plan9/mips, abacus, 1 cores"
    file.write_text(json.dumps(stored))
    image = f"{measured.projects[0]}/app:test-bench-baseline"
    spare = f"{measured.projects[0]}/app:spare"
    docker("tag", image, spare)
    docker("rmi", image)
    try:
        document = bench(measured, code=5)
    finally:
        docker("tag", spare, image)
        docker("rmi", spare)
        file.write_text(kept)
    assert document["suites"][0]["outcome"] == "invalid"
    assert "abacus" in document["suites"][0]["reason"]


def test_benchmarks_that_are_gone_are_no_pass(measured: Measured) -> None:
    files = sorted((measured.project_dir / "app" / "src").rglob("bench_test.go"))
    assert len(files) == 2
    kept = {file: file.read_text() for file in files}
    for file in files:
        file.unlink()
    try:
        document = bench(measured, code=5)
    finally:
        for file, text in kept.items():
            file.write_text(text)
    assert document["suites"][0]["outcome"] == "invalid"
    assert "the output of this run has none" in document["suites"][0]["reason"]


def test_a_baseline_that_is_none_is_bad_input_and_not_a_pass(measured: Measured) -> None:
    reports = measured.reports
    file = reports / "baselines" / "bench-test.json"
    kept = file.read_text()
    file.write_text("[]")
    try:
        said = measured.inv("test.bench", code=2).stderr
    finally:
        file.write_text(kept)
    assert "bench-test.json: is not a baseline" in said


def test_load_tests_that_became_slower_close_the_gate(measured: Measured) -> None:
    def entry(version: str, seconds: float) -> dict[str, Any]:
        values = {"p50": seconds, "p95": seconds, "p99": seconds, "errors": 0.0}
        return {"version": version, "environment": "test", "key": "50/s for 10s", "values": values}

    reports = measured.reports
    history, baseline = reports / "history" / "load.jsonl", reports / "baselines" / "load-test.json"
    tests = [entry("1.0.0", 0.01 + number / 1e4) for number in range(5)]
    tests += [entry("1.0.1", 0.5 + number / 1e4) for number in range(5)]
    history.write_text("".join(f"{json.dumps(test)}\n" for test in tests))
    baseline.write_text(json.dumps(tests[0]))
    try:
        document = bench(measured, code=5)
    finally:
        history.unlink()
        baseline.unlink()
    assert document["suites"][0]["outcome"] == "failed"
    assert "test: load p95 ns/op +48" in document["suites"][0]["reason"]


def test_the_history_and_the_plot_are_kept(measured: Measured) -> None:
    reports = measured.reports
    history = [json.loads(line) for line in (reports / "history" / "bench.jsonl").read_text().splitlines()]
    assert len(history) >= 1
    assert len(history[0]["services"]["app"]["samples"]["handlers.ListUsers"]["ns/op"]) == 6
    page = (reports / "latest" / "bench" / "plot.html").read_text()
    assert "<svg" in page
    assert "src=" not in page


def test_a_benchmark_that_fails_closes_the_gate(measured: Measured) -> None:
    source, original = measured.source, measured.source.read_text()
    source.write_text(original.replace("return body", "return nil"))
    assert source.read_text() != original
    try:
        document = bench(measured, code=5)
    finally:
        source.write_text(original)
    assert "ended with exit code" in document["suites"][0]["reason"]


@pytest.mark.parametrize(
    ("words", "named"), [(["--count", "0"], "expected 1 to 50"), (["--count", "3", "--save-baseline"], "too few")]
)
def test_a_count_that_makes_no_sense_is_bad_input(measured: Measured, words: list[str], named: str) -> None:
    assert named in measured.inv("test.bench", *words, code=2).stderr
