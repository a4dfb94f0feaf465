"""A deploy of four services that are rolled out in parallel ÷ the same in turn, where each depends on the one before.

What is rolled out is created, awaited, watched for its `monitor` time, and takes over while the old one serves.
"""

import itertools
import json
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.bench.measure import Figure, idle_service, pairs, seconds
from tests.e2e.support import Checkout, remove

_SERVICES, _ROUNDS = 4, 3


def _model(chained: bool) -> dict[str, Any]:
    services = {}
    for number in range(_SERVICES):
        service = idle_service(
            stop_grace_period="1s",
            environment={"WORD": "${WORD}"},
            healthcheck={"test": ["CMD", "true"], "interval": "5s", "start_period": "5s", "start_interval": "500ms"},
            deploy={"update_config": {"order": "start-first", "monitor": "3s"}},
        )
        if chained and number:
            service["depends_on"] = {f"s{number - 1}": {"condition": "service_healthy"}}
        services[f"s{number}"] = service
    return {"services": services}


@contextmanager
def _stack(name: str, chained: bool) -> Iterator[Checkout]:
    """A deployed project with a name of its own; everything is removed at the end."""
    with tempfile.TemporaryDirectory() as directory:
        project, envs = Path(directory, "project"), Path(directory, "envs")
        project.mkdir()
        envs.mkdir()
        (project / "compose.yaml").write_text(json.dumps(_model(chained)))
        (envs / "base.env").write_text("WORD=first\n")
        (envs / "dev.env").write_text(f"COMPOSE_PROJECT_NAME={name}\nHEALTH_TIMEOUT=60s\n")
        checkout = Checkout(project, envs, [name])
        try:
            checkout.inv("deploy.dev")
            yield checkout
        finally:
            remove(name)


def run() -> list[Figure]:
    """Measure and return the figure."""
    words = (f"word{number}" for number in itertools.count())
    name = f"slipway-bench-together-{os.getpid()}"
    with _stack(name, False) as free, _stack(f"{name}-chained", True) as chained:

        def deployed(made: Checkout) -> float:
            (made.envs_dir / "base.env").write_text(f"WORD={next(words)}\n")
            return seconds(made.command("deploy.dev"), made.environment())

        ours, theirs = pairs(lambda: deployed(free), lambda: deployed(chained), _ROUNDS)
    return [Figure("four rollouts that do not depend on each other ÷ four in turn", ours, theirs, 0.5)]


if __name__ == "__main__":
    for figure in run():
        print(figure.line())
