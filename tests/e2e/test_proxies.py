"""Each kind of proxy is led elsewhere under load, and back, and goes on as it was when it cannot read its files."""

import json
import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.life.load import load
from tests.life.stack import local_images

from .lean import Lean, version
from .support import docker

FRONTS = Path(__file__).parent / "fronts"
KINDS = ("haproxy", "caddy", "traefik")
_BASE = {"debian:trixie-slim": "docker-image://slipway-base/debian:trixie"}


@dataclass
class Fronted(Lean):
    """A lean stack behind a proxy of some kind, which has its program from a package."""

    kind: str = ""

    def write(self, front: str = "", more: dict[str, Any] | None = None, **app: Any) -> None:
        """Write the Compose file, with the proxy of this kind as ``front``."""
        super().write(front, more, **app)
        file = self.project_dir / "compose.yaml"
        model = json.loads(file.read_text())
        model["services"]["front"] = {
            "image": f"{self.project}/front:one",
            "build": {"context": "./front", **({"additional_contexts": _BASE} if local_images() else {})},
            "ports": [f"127.0.0.1:{self.port}:8080"],
            "volumes": [f"upstreams:/etc/{self.kind}/upstreams", *_OPTIONS[self.kind].get("volumes", ())],
            "command": _OPTIONS[self.kind].get("command"),
            "depends_on": {"app": {"condition": "service_healthy"}},
            "stop_grace_period": "2s",
            "x-slipway": {**_OPTIONS[self.kind].get("x-slipway", {}), "proxy": _OPTIONS[self.kind]["proxy"]},
        }
        file.write_text(json.dumps(model))

    def file(self, name: str) -> str:
        """Return a file of the proxy's servers."""
        return docker("exec", f"{self.project}-front-1", "cat", f"/etc/{self.kind}/upstreams/{name}")


_OPTIONS: dict[str, dict[str, Any]] = {
    "haproxy": {"proxy": {"kind": "haproxy"}},
    "caddy": {
        "proxy": {"kind": "caddy", "maintenance": "/etc/caddy/upstreams/maintenance"},
        "volumes": ["./front/conf:/etc/caddy/conf:ro"],
        "x-slipway": {"reload": {"check": ["caddy", "validate", "--config", "/etc/caddy/Caddyfile"], "signal": "USR1"}},
    },
    "traefik": {
        "proxy": {"kind": "traefik", "api": "http://127.0.0.1:8081"},
        "command": [
            "--entrypoints.web.address=:8080", "--entrypoints.traefik.address=127.0.0.1:8081", "--api.insecure=true",
            "--providers.file.directory=/etc/traefik/upstreams", "--providers.providersthrottleduration=200ms",
        ],
    },
}  # fmt: skip
_MAIN = {"haproxy": "app.cfg", "caddy": "app.1", "traefik": "app.yml"}


def behind(kind: str, plain: Lean) -> Fronted:
    """Put a proxy of a kind in front of a lean stack that is not deployed yet."""
    stack = Fronted(plain.project_dir, plain.envs_dir, plain.projects, plain.image, plain.port, kind)
    front = stack.project_dir / "front"
    shutil.copytree(FRONTS / kind, front)
    (front / "Dockerfile").write_text((FRONTS / kind / "Dockerfile").read_text().replace("IMAGE", plain.image))
    if (program := Path(sys.executable).parent / kind).exists():  # of a wheel
        shutil.copy(program, front / kind)
    stack.write()
    return stack


@pytest.fixture(scope="module", params=KINDS)
def fronted(request: pytest.FixtureRequest, fresh_lean: Callable[[], Lean]) -> Fronted:
    """A stack that serves behind a proxy of each kind."""
    stack = behind(str(request.param), fresh_lean())
    stack.inv("deploy.dev")
    return stack


def test_blue_green_and_back_lose_no_request(fronted: Fronted) -> None:
    fronted.write()
    wanted, before = version(fronted), fronted.answer()
    with load(fronted.api, 60) as requests:
        fronted.inv("deploy.dev")
        assert fronted.answer() == wanted
        led = fronted.file(_MAIN[fronted.kind])
        fronted.inv("deploy.rollback", "--env", "dev")
        assert fronted.answer() == before
    assert requests.failures == []
    assert len(requests.written) > 50
    assert led != fronted.file(_MAIN[fronted.kind]), "it names the container that serves"
    assert len(fronted.running()["app"]) == 1


@contextmanager
def refused(stack: Fronted) -> Iterator[str]:
    """Let the proxy not accept what it is given next; yields what the deploy says about it."""
    if stack.kind == "caddy":  # no name of a server can be wrong
        file = stack.project_dir / "front" / "conf" / "Caddyfile"
        good = file.read_text()
        file.write_text(good.replace("fail_duration 1s", "fail_duration never"))
        try:
            yield "front does not accept its configuration"
        finally:
            file.write_text(good)
        return
    broken, good = {
        "haproxy": ("sed -i 's/ app:8000/ app:8000 nonsense/' app.cfg", "sed -i 's/ nonsense//' app.cfg"),
        "traefik": ("echo 'http: [' > other.yml", "rm other.yml"),
    }[stack.kind]
    inside = ("exec", "--workdir", f"/etc/{stack.kind}/upstreams", f"{stack.project}-front-1", "sh", "-c")
    docker(*inside, broken)
    try:
        yield "the proxy does not accept the servers of app"
    finally:
        docker(*inside, good)


def test_a_proxy_that_does_not_accept_its_files_serves_as_before(fronted: Fronted) -> None:
    fronted.write()
    wanted, before, files = version(fronted), fronted.answer(), fronted.file(_MAIN[fronted.kind])
    with load(fronted.api, 60) as requests, refused(fronted) as reason:
        said = fronted.inv("deploy.dev", code=4).stderr.splitlines()
        assert fronted.answer() == before
    assert requests.failures == []
    assert reason in said[-2]
    if fronted.kind == "haproxy":  # it accepts no file in this directory, so nothing is claimed of the way back
        assert "shows what serves now" in said[-1]
    else:
        assert "the earlier release serves" in said[-1]
    if fronted.kind == "caddy":  # app was rolled out before the proxy was told, and back
        assert fronted.file(_MAIN[fronted.kind]) != files
    else:
        assert fronted.file(_MAIN[fronted.kind]) == files
    fronted.inv("deploy.dev")
    assert fronted.answer() == wanted


def test_start_first_in_two_batches_loses_no_request(fronted: Fronted) -> None:
    policy = {"replicas": 2, "update_config": {"parallelism": 1, "monitor": "300ms"}}
    fronted.write(deploy=policy, **{"x-slipway": {"rollout": "start-first"}})
    fronted.inv("deploy.dev")
    wanted = version(fronted)
    with load(fronted.api, 60) as requests:
        fronted.inv("deploy.dev")
    assert requests.failures == []
    assert fronted.answer() == wanted
    assert len(set(fronted.running()["app"])) == 1
