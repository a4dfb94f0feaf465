"""How long `inv kube.render` takes for 200 services, with Compose and all: a share of two seconds."""

import json
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import Any

from tests.bench.measure import Figure, seconds
from tests.e2e.support import Checkout

_SERVICES, _ROUNDS = 200, 7
_IMAGE = "registry.example.com/shop/app@sha256:" + "0" * 64  # nothing is asked for it


def _service(number: int) -> dict[str, Any]:
    """Return a service as it is written for production, with what takes the translation time."""
    return {
        "image": _IMAGE,
        "user": "1000:1000",
        "environment": {
            "NUMBER": str(number),
            "LOG_LEVEL": "info",
            "NEXT": f"http://s{(number + 1) % _SERVICES:03}:80",
        },
        "networks": ["front", "back"],
        "mem_limit": "64m",
        "read_only": True,
        "cap_drop": ["ALL"],
        "security_opt": ["no-new-privileges:true"],
        "tmpfs": ["/tmp:size=16m"],
        "volumes": ["./conf:/etc/conf:ro", f"data{number:03}:/data"],
        "healthcheck": {"test": ["CMD", "/bin/true"], "interval": "10s"},
        "ports": ["80"],
        **({"depends_on": [f"s{number - 1:03}"]} if number % 10 else {}),
    }


@contextmanager
def _many() -> Iterator[Checkout]:
    with tempfile.TemporaryDirectory() as directory:
        base = Path(directory)
        model = {
            "services": {f"s{number:03}": _service(number) for number in range(_SERVICES)},
            "networks": {"front": {}, "back": {"internal": True}},
            "volumes": {f"data{number:03}": {} for number in range(_SERVICES)},
        }
        (base / "conf").mkdir()
        (base / "conf" / "app.conf").write_text("level = info\n" * 50)
        (base / "envs").mkdir()
        (base / "compose.yaml").write_text(json.dumps(model, indent=1))  # YAML is a superset of JSON
        (base / "envs" / "prod.env").write_text(
            "COMPOSE_FILE=compose.yaml\nCOMPOSE_PROJECT_NAME=slipway-bench-translated\nKUBE_VOLUME_SIZE=1Gi\n"
        )
        yield Checkout(base, base / "envs", [])


def run() -> list[Figure]:
    """Measure and return the figure; each round writes into a directory that is not there yet."""
    with _many() as checkout:
        outs = [str(checkout.project_dir / f"out{number}") for number in range(_ROUNDS + 1)]
        taken = [
            seconds(checkout.command("kube.render", "--env", "prod", "--out", out), checkout.environment())
            for out in outs
        ]
    return [Figure(f"inv kube.render of {_SERVICES} services ÷ 2 s", median(taken[1:]), 2.0, 1.0)]


if __name__ == "__main__":
    for figure in run():
        print(figure.line())
