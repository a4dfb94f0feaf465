"""Releasing under load: the requests that deploys and plain Compose lose, and how long a roll back takes.

`python -m tests.bench.releasing [DEPLOYS]`: the number of deploys, 20 by default, each of a commit that changes the
service. Its images are built before, so that the compiler does not compete with what is measured.
"""

import json
import os
import subprocess
import sys
import time
from dataclasses import dataclass, field

from tests.bench.measure import Figure, docker, seconds
from tests.life.load import Load, load
from tests.life.stack import Stack, standing
from tests.life.stacks.sample import code, make
from tests.life.week import ENVIRONMENT, deploy

_DEPLOYS, _RATE = 20, 200.0
_IDLE = 10.0  # seconds


@dataclass
class _Results:
    """The results of all deploys of a kind."""

    seconds: list[float] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)
    written: list[str] = field(default_factory=list)
    ended: list[str] = field(default_factory=list)  # the reason of each deploy that failed

    def add(self, requests: Load) -> None:
        """Add the requests of a deploy."""
        self.seconds += requests.seconds
        self.failures += requests.failures
        self.written += requests.written

    def percentile(self) -> float:
        """Return the 99th percentile of the times, in seconds."""
        ordered = sorted(self.seconds)
        return ordered[min(int(len(ordered) * 0.99), len(ordered) - 1)]

    def summary(self) -> str:
        """Return the share of failures and the 99th percentile as a text."""
        whole = len(self.seconds) + len(self.failures)
        return f"{len(self.failures)} of {whole} failed, p99 {self.percentile() * 1000:.0f} ms"


def run(deploys: int = _DEPLOYS) -> list[Figure]:
    """Measure and return the figures."""
    with standing(make) as stack:
        if (first := deploy(stack)).code:
            sys.exit(f"the first deploy failed: {first.last_line}")
        idle = _Results()
        with load(stack.api, _RATE) as quiet:
            time.sleep(_IDLE)
        idle.add(quiet)
        ours, theirs = _ours(stack, deploys), _by_hand(stack, deploys)
        missing = stack.missing([*idle.written, *ours.written], 30.0)
        print(f"load average {os.getloadavg()[0]:.1f}; idle {idle.summary()}")
        print(f"{deploys} deploys: {ours.summary()}; {deploys} times plain Compose: {theirs.summary()}")
        for line in [*ours.ended[:3], *(f"lost: {line}" for line in ours.failures[:10])]:
            print(line)
        return [
            Figure(f"of {deploys} deploys of a commit each, those that failed", len(ours.ended), 1, 0.0, "deploys"),
            Figure(f"requests lost by {deploys} deploys ÷ by plain Compose", len(ours.failures),
                   max(len(theirs.failures), 1), 0.0, "requests"),
            Figure(f"rows answered 201 that are missing after {deploys} deploys", missing, 1, 0.0, "rows"),
            Figure("p99 during deploys ÷ p99 idle", ours.percentile(), idle.percentile(), 3.0),
            Figure("roll back, from Enter to the old version served ÷ 10 s", _roll_back(stack), 10.0, 1.0),
        ]  # fmt: skip


def _change(stack: Stack) -> None:
    """Commit another version of the service and build it."""
    code(stack)
    stack.repository.commit("Code")
    stack.inv("build", "--env", ENVIRONMENT, "--service", "app")


def _ours(stack: Stack, deploys: int) -> _Results:
    total = _Results()
    for _ in range(deploys):
        _change(stack)
        with load(stack.api, _RATE) as requests:
            done = deploy(stack)
            time.sleep(1.0)  # failures on connections that the proxy keeps open count for the deploy
        total.add(requests)
        total.ended += [f"exit {done.code}: {done.last_line}"] if done.code else []
    return total


def _by_hand(stack: Stack, deploys: int) -> _Results:
    values = {entry["key"]: entry["value"] for entry in stack.json("env.show", ENVIRONMENT)["values"]}
    env, total = {**os.environ, **values}, _Results()
    for _ in range(deploys):
        _change(stack)
        with load(stack.api, _RATE) as requests:
            seconds(["docker", "compose", "up", "-d", "--wait", "--no-build"], env, str(stack.project_dir))
        total.add(requests)
    return total


def _roll_back(stack: Stack) -> float:
    """Return the seconds from the command until the proxy leads to the former image; inf if the roll back fails."""
    _change(stack)
    if (done := deploy(stack)).code:
        print(f"no roll back was measured: {done.last_line}")
        return float("inf")
    now = stack.json("deploy.history", "--env", ENVIRONMENT)["releases"][0]["images"]["app"]
    argv = stack.command("deploy.rollback", "--env", ENVIRONMENT, "--yes")
    started = time.perf_counter()
    with subprocess.Popen(
        argv, env=stack.environment(), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
    ) as running:
        while _led_to(stack.project) == now:
            if running.poll():
                print(f"the roll back failed: {running.communicate()[1].decode()[-2000:]}")
                break
            time.sleep(0.05)
        took = time.perf_counter() - started
        running.communicate()
    print(f"roll back done, with its watch and the old workers gone, after {time.perf_counter() - started:.1f} s")
    return took if running.returncode == 0 else float("inf")


def _led_to(project: str) -> str:
    """Return the image of the container that the proxy sends requests to."""
    text = docker("exec", f"{project}-nginx-1", "cat", "/etc/nginx/upstreams/app.conf")
    names = [line.split()[1].partition(":")[0] for line in text.splitlines() if line.strip().startswith("server ")]
    return str(json.loads(docker("inspect", names[0]))[0]["Image"]) if len(names) > 1 else ""


if __name__ == "__main__":
    figures = run(int(sys.argv[1]) if len(sys.argv) > 1 else _DEPLOYS)
    for figure in figures:
        print(figure.line())
    sys.exit(any(figure.ratio > figure.bar for figure in figures))
