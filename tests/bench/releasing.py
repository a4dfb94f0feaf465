"""Releasing under load: requests lost by deploys and by plain Compose, latency, and how long a way back takes.

`python -m tests.bench.releasing [DEPLOYS]`: so many deploys, 20 unless told. Every deploy brings a changed service. Its
images are built before, so that the compiler does not compete with what is measured.
"""

import json
import os
import subprocess
import sys
import time

from tests.bench.measure import Figure, docker, sample_stack, seconds
from tests.e2e.support import Sample
from tests.e2e.traffic import Traffic, traffic

_DEPLOYS, _RATE = 20, 200.0
_IDLE = 10.0  # seconds


def run(deploys: int = _DEPLOYS) -> list[Figure]:
    """Measure and return the figures."""
    with sample_stack("release") as sample:
        sample.inv("setup", "deploy.staging")
        port = _port(sample)
        with traffic(port, sample.certificate, _RATE) as idle:
            time.sleep(_IDLE)
        ours, theirs = _ours(sample, port, deploys), _by_hand(sample, port, deploys)
        print(f"load average {os.getloadavg()[0]:.1f}; idle {_said(idle)}")
        print(f"{deploys} deploys: {_said(ours)}; {deploys} times plain Compose: {_said(theirs)}")
        for line in ours.failures[:10]:
            print(f"lost: {line}")
        return [
            Figure(f"requests lost by {deploys} deploys ÷ by plain Compose", len(ours.failures),
                   max(len(theirs.failures), 1), 0.0, "requests"),
            Figure("p99 during deploys ÷ p99 idle", ours.percentile(0.99), idle.percentile(0.99), 3.0),
            Figure("roll back, from Enter to the old version served ÷ 10 s", _way_back(sample), 10.0, 1.0),
        ]  # fmt: skip


def _said(found: Traffic) -> str:
    return f"{len(found.failures)} of {found.requests} failed, p99 {found.percentile(0.99) * 1000:.0f} ms"


def _port(sample: Sample) -> int:
    text = (sample.envs_dir / "staging.local.env").read_text()
    return int(dict(line.split("=", 1) for line in text.splitlines() if "=" in line)["HTTPS_PORT"])


def _change(sample: Sample, number: int) -> None:
    """Change the service and build it."""
    handler = sample.project_dir / "app" / "src" / "handlers" / "users.go"
    handler.write_text(handler.read_text() + f"\nvar _ = {number}\n")
    sample.inv("build", "--env", "staging", "--service", "app")


def _ours(sample: Sample, port: int, deploys: int) -> Traffic:
    total = Traffic()
    for number in range(deploys):
        _change(sample, number)
        with traffic(port, sample.certificate, _RATE) as found:
            sample.inv("deploy.staging")
        _add(total, found)
    return total


def _by_hand(sample: Sample, port: int, deploys: int) -> Traffic:
    values = {one["key"]: one["value"] for one in sample.json("env.show", "staging")["values"]}
    env, total = {**os.environ, **values}, Traffic()
    for number in range(deploys):
        _change(sample, deploys + number)
        with traffic(port, sample.certificate, _RATE) as found:
            seconds(["docker", "compose", "up", "-d", "--wait", "--no-build"], env, str(sample.project_dir))
        _add(total, found)
    return total


def _add(total: Traffic, found: Traffic) -> None:
    total.seconds += found.seconds
    total.failures += found.failures


def _way_back(sample: Sample) -> float:
    """Return how long it takes from the command until the proxy is led to the image of before."""
    _change(sample, 10_000)
    sample.inv("deploy.staging")
    known = sample.json("deploy.history", "--env", "staging")["releases"]
    now = known[0]["images"]["app"]
    project = f"{sample.project}-staging"
    argv = sample.command("deploy.rollback", "--env", "staging", "--yes")
    started = time.perf_counter()
    with subprocess.Popen(
        argv, env=sample.environment(), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
    ) as task:
        while _led_to(project) == now:
            if task.poll():
                sys.exit(f"the roll back failed: {task.communicate()[1].decode()[-2000:]}")
            time.sleep(0.05)
        took = time.perf_counter() - started
        task.communicate()
    print(f"roll back done, with its watch and the old workers gone, after {time.perf_counter() - started:.1f} s")
    return took


def _led_to(project: str) -> str:
    """Return the image of the container that the proxy leads to."""
    text = docker("exec", f"{project}-nginx-1", "cat", "/etc/nginx/upstreams/app.conf")
    names = [line.split()[1].partition(":")[0] for line in text.splitlines() if line.strip().startswith("server ")]
    return str(json.loads(docker("inspect", names[0]))[0]["Image"]) if len(names) > 1 else ""


if __name__ == "__main__":
    for figure in run(int(sys.argv[1]) if len(sys.argv) > 1 else _DEPLOYS):
        print(figure.line())
