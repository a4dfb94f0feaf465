"""Memory of the monitoring stack beside the sample, after some minutes of requests, in total and by container."""

import contextlib
import sys
import threading
import time
from typing import Any

from tests.bench.measure import Figure, docker, sample_stack
from tests.e2e.support import Sample, free_port

_MINUTES = 3.0
_RATE = 50.0  # requests a second
_MOST = 600.0  # MB
# Every request is traced, which nobody would do for long.
_TRACES = {"TRACES_ENDPOINT": "http://jaeger:4318", "TRACES_SAMPLE_RATIO": "1"}
_PORTS = ("PROMETHEUS_PORT", "ALERTMANAGER_PORT", "JAEGER_PORT", "GRAFANA_PORT")
_UNITS = {"B": 1.0, "KiB": 2.0**10, "MiB": 2.0**20, "GiB": 2.0**30}


def run() -> list[Figure]:
    """Measure and return the figure."""
    with sample_stack("monitoring") as sample:
        more: dict[str, Any] = {name: str(free_port()) for name in _PORTS} | _TRACES
        own = f"{sample.project}-monitoring"
        sample.inv("deploy.dev", **more)
        try:
            sample.inv("monitor.up", **more)
            _ask(sample)
            used = _used(own)
        finally:
            sample.inv("monitor.down", "--volumes", "--yes", **more)
    for name, megabytes in sorted(used.items(), key=lambda entry: -entry[1]):
        print(f"{name.removeprefix(f'{own}-'):30} {megabytes:7.1f} MB", file=sys.stderr)
    return [Figure("memory of the monitoring stack ÷ 600 MB", sum(used.values()), _MOST, 1.0, "MB")]


def _ask(sample: Sample) -> None:
    """Ask the service for the time that Prometheus, Jaeger and the exporters need to be as large as they get."""
    end = time.monotonic() + _MINUTES * 60
    paths = ("/api/users?limit=20", "/api/users/1", "/api/users/0", "/version")

    def client(number: int) -> None:
        while time.monotonic() < end:
            with contextlib.suppress(OSError):  # an answer of 4xx, too: the service counts it
                sample.get(paths[number % len(paths)])
            number += 1
            time.sleep(4 / _RATE)

    threads = [threading.Thread(target=client, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def _used(project: str) -> dict[str, float]:
    """Return the memory in MB (10⁶ bytes) that each container of a project uses, without its inactive file pages."""
    names = docker("ps", "--filter", f"label=com.docker.compose.project={project}", "--format", "{{.Names}}").split()
    if not names:
        sys.exit(f"no container of {project} runs")
    lines = docker("stats", "--no-stream", "--format", "{{.Name}} {{.MemUsage}}", *names).splitlines()
    return {line.split()[0]: _bytes(line.split()[1]) / 1e6 for line in lines}


def _bytes(text: str) -> float:
    """Return a size as `docker stats` writes it, such as 12.5MiB, in bytes."""
    unit = text.lstrip("0123456789.")
    return float(text.removesuffix(unit)) * _UNITS[unit]


if __name__ == "__main__":
    figures = run()
    for figure in figures:
        print(figure.line())
    sys.exit(any(figure.ratio > figure.bar for figure in figures))
