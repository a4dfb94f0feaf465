"""`inv deploy.dev` with nothing to do ÷ `docker compose up -d --wait` by hand, on stacks of many small services.

The growth is Slipway's time for each service in the largest stack, divided by that in the smallest: 1 is linear.
"""

import json
import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.bench.measure import Figure, idle_service, pairs, seconds
from tests.e2e.support import Checkout, remove

_SIZES = (10, 40, 100)
_ROUNDS = 7
_ROW = 10  # services in a row that depend on each other; the first service of a row depends on nothing


def services(count: int) -> dict[str, Any]:
    """Return services: rows in which they depend on each other, some with a health check, a config, a secret."""
    made = {}
    for number in range(count):
        service = idle_service(stop_grace_period="0s", environment={"NUMBER": str(number), "MODE": "${MODE}"})
        if number % _ROW:
            before = number - 1 if number % 2 else number - number % _ROW
            condition = "service_healthy" if before % _ROW == 0 else "service_started"
            service["depends_on"] = {f"s{before:03}": {"condition": condition}}
        else:
            service["healthcheck"] = {
                "test": ["CMD", "true"],
                "interval": "60s",
                "start_period": "5s",
                "start_interval": "1s",
            }
        if number % 4 == 1:
            service["configs"] = [{"source": "settings", "target": "/etc/settings.conf"}]
        if number % 4 == 2:
            service["secrets"] = ["token"]
        if number % 4 == 3:
            service["volumes"] = ["data:/data"]
        made[f"s{number:03}"] = service
    return made


def _model(count: int) -> dict[str, Any]:
    return {
        "services": services(count),
        "configs": {"settings": {"file": "./settings.conf"}},
        "secrets": {"token": {"file": "./token.txt"}},
        "volumes": {"data": {}},
    }


@contextmanager
def many_services(count: int) -> Iterator[Checkout]:
    """A deployed project of ``count`` services, with names of its own; everything is removed at the end."""
    name = f"slipway-bench-many-{count}-{os.getpid()}"
    with tempfile.TemporaryDirectory() as directory:
        project, envs = Path(directory, "project"), Path(directory, "envs")
        project.mkdir()
        envs.mkdir()
        (project / "compose.yaml").write_text(json.dumps(_model(count), indent=1))  # YAML is a superset of JSON
        (project / "settings.conf").write_text("level = info\n")
        (project / "token.txt").write_text("not-a-real-token-1\n")
        (envs / "base.env").write_text("MODE=quiet\n")
        (envs / "dev.env").write_text(f"COMPOSE_PROJECT_NAME={name}\nCOMPOSE_FILE=compose.yaml\nHEALTH_TIMEOUT=300s\n")
        checkout = Checkout(project, envs, [name])
        try:
            checkout.inv("deploy.dev")
            yield checkout
        finally:
            remove(name)


def _unchanged(count: int) -> Figure:
    with many_services(count) as checkout:
        values = {entry["key"]: entry["value"] for entry in checkout.json("env.show", "dev")["values"]}
        hand, env = {**checkout.environment(), **values}, checkout.environment()
        ours, theirs = pairs(
            lambda: seconds(checkout.command("deploy.dev"), env),
            lambda: seconds(["docker", "compose", "up", "-d", "--wait"], hand, str(checkout.project_dir)),
            _ROUNDS,
        )
    return Figure(f"deploy.dev with nothing to do ÷ compose up -d --wait, {count} services", ours, theirs, 0.5)


def run(sizes: tuple[int, ...] = _SIZES) -> list[Figure]:
    """Measure stacks of these sizes and return the figures, the growth last."""
    figures = [_unchanged(count) for count in sizes]
    first, last = figures[0], figures[-1]
    growth = Figure(
        f"deploy.dev with nothing to do, seconds for each service: {sizes[-1]} ÷ {sizes[0]} services",
        last.ours / sizes[-1],
        first.ours / sizes[0],
        1.0,
    )
    return [*figures, growth]


if __name__ == "__main__":
    for figure in run(tuple(int(word) for word in sys.argv[1:]) or _SIZES):
        print(figure.line())
