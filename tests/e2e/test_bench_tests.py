"""`inv test.bench`: a change of the code is seen, and noise is not."""

import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from .support import NOT_COPIED, Sample, docker, leftovers, make_sample, remove

# Machines that others work on too are noisy: what is looked for here is much slower than that.
_SETTINGS = {"BENCH_TIME": "50ms", "BENCH_REGRESSION_MAX": "100"}


@pytest.fixture(scope="module")
def measured(tmp_path_factory: pytest.TempPathFactory, sample: Sample) -> Iterator[Sample]:
    """A copy of the sample stack whose benchmarks have a baseline."""
    base = tmp_path_factory.mktemp("bench")
    shutil.copytree(sample.project_dir, base / "docker_project", ignore=NOT_COPIED)
    name = f"slipway-bench-{os.getpid()}"
    made = make_sample(base, name, base / "docker_project")
    layer = [f"COMPOSE_PROJECT_NAME={name}", f"IMAGE_REPOSITORY={name}"]
    (made.envs_dir / "test.local.env").write_text("\n".join(layer) + "\n")
    (made.envs_dir / "dev.local.env").unlink()  # it has the same project
    try:
        bench(made, "--save-baseline")
        yield made
    finally:
        for project in made.projects:
            remove(project)
    assert leftovers(name) == []


def bench(sample: Sample, *words: str, code: int = 0, **extra: str) -> dict[str, Any]:
    reports = str(sample.envs_dir.parent / "reports")
    settings = {**_SETTINGS, **extra}
    return sample.json("test.bench", "--service", "app", *words, code=code, SLIPWAY_REPORTS_DIR=reports, **settings)


def verdicts(document: dict[str, Any], unit: str) -> dict[str, str]:
    return {one["name"]: one["verdict"] for one in document["benchmarks"] if one["unit"] == unit}


def test_the_same_code_is_no_regression(measured: Sample) -> None:
    document = bench(measured)
    assert document["outcome"] == "passed"
    assert "regression" not in verdicts(document, "ns/op").values()
    assert set(verdicts(document, "allocs/op").values()) == {"no significant change"}
    assert all(one["p"] is not None for one in document["benchmarks"])


def test_code_that_became_slower_is_a_regression(measured: Sample) -> None:
    source = measured.project_dir / "app" / "src" / "handlers" / "response.go"
    original = source.read_text()
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
    worse = next(one for one in document["benchmarks"] if one["name"] == "handlers.ListUsers")
    assert worse["p"] <= 0.05
    assert worse["delta"] > 100


def test_too_few_samples_are_never_called_no_change(measured: Sample) -> None:
    document = bench(measured, "--count", "2", code=5)
    assert document["suites"][0]["outcome"] == "invalid"
    assert set(verdicts(document, "ns/op").values()) == {"too few samples"}
    assert "5 on both sides" in document["suites"][0]["reason"]


def test_a_baseline_of_another_machine_is_not_compared_with(measured: Sample) -> None:
    reports = measured.envs_dir.parent / "reports"
    file = reports / "baselines" / "bench-test.json"
    kept = file.read_text()
    stored = json.loads(kept)
    stored["services"]["app"]["machine"] = "plan9/mips, abacus, 1 cores"
    file.write_text(json.dumps(stored))
    image = f"{measured.project}/app:test-bench-baseline"
    spare = f"{measured.project}/app:spare"
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


def test_benchmarks_that_are_gone_are_no_pass(measured: Sample) -> None:
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
    assert "none was found" in document["suites"][0]["reason"]


def test_a_baseline_that_is_none_is_bad_input_and_not_a_pass(measured: Sample) -> None:
    reports = measured.envs_dir.parent / "reports"
    file = reports / "baselines" / "bench-test.json"
    kept = file.read_text()
    file.write_text("[]")
    try:
        said = measured.inv("test.bench", code=2, SLIPWAY_REPORTS_DIR=str(reports)).stderr
    finally:
        file.write_text(kept)
    assert "bench-test.json: is not a baseline" in said


def test_load_tests_that_became_slower_close_the_gate(measured: Sample) -> None:
    def entry(version: str, seconds: float) -> dict[str, Any]:
        values = {"p50": seconds, "p95": seconds, "p99": seconds, "errors": 0.0}
        return {"version": version, "environment": "test", "key": "50/s for 10s", "values": values}

    reports = measured.envs_dir.parent / "reports"
    history, baseline = reports / "history" / "load.jsonl", reports / "baselines" / "load-test.json"
    tests = [entry("1.0.0", 0.01 + number / 1e4) for number in range(5)]
    tests += [entry("1.0.1", 0.05 + number / 1e4) for number in range(5)]
    history.write_text("".join(f"{json.dumps(one)}\n" for one in tests))
    baseline.write_text(json.dumps(tests[0]))
    try:
        document = bench(measured, code=5)
    finally:
        history.unlink()
        baseline.unlink()
    assert document["suites"][0]["outcome"] == "failed"
    assert "test: load p95 ns/op +39" in document["suites"][0]["reason"]


def test_the_history_and_the_plot_are_kept(measured: Sample) -> None:
    reports = measured.envs_dir.parent / "reports"
    history = [json.loads(line) for line in (reports / "history" / "bench.jsonl").read_text().splitlines()]
    assert len(history) >= 1
    assert len(history[0]["services"]["app"]["samples"]["handlers.ListUsers"]["ns/op"]) == 6
    page = (reports / "latest" / "bench" / "plot.html").read_text()
    assert "<svg" in page
    assert "src=" not in page


def test_a_benchmark_that_fails_closes_the_gate(measured: Sample, tmp_path: Path) -> None:
    source = measured.project_dir / "app" / "src" / "handlers" / "status.go"
    original = source.read_text()
    source.write_text(original.replace("http.StatusOK", "http.StatusTeapot"))
    assert source.read_text() != original
    try:
        document = bench(measured, code=5)
    finally:
        source.write_text(original)
    assert "ended with exit code" in document["suites"][0]["reason"]


@pytest.mark.parametrize(
    ("words", "named"), [(["--count", "0"], "expected 1 to 50"), (["--count", "3", "--save-baseline"], "too few")]
)
def test_a_count_that_makes_no_sense_is_bad_input(measured: Sample, words: list[str], named: str) -> None:
    assert named in measured.inv("test.bench", *words, code=2).stderr
