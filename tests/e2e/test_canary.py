"""A canary gets its shares of the requests at the proxy, step by step, and nobody loses a request however it ends."""

import json
import signal
import time
from collections.abc import Callable
from typing import Any

import pytest

from tests.life.load import load

from .canary import Shares, deployed
from .lean import CRASHES_LATER, Lean, reloaded, signalled, version
from .support import docker
from .test_proxies import Fronted, behind

TAKES = 240  # seconds
_EVERY = 10.0  # seconds
_RATE = 120.0


def canary(stack: Lean, weight: tuple[int, ...] = (5, 50), every: float = _EVERY, **app: Any) -> None:
    """Write the Compose file with a canary."""
    own = {"canary": {"weight": list(weight), "every": f"{every:g}s"}}
    stack.write(**{"deploy": {"update_config": {"monitor": "500ms"}}, "x-slipway": own, **app})


def assert_shares(stack: Lean, shares: Shares, new: str, replicas: int = 1) -> None:
    """Assert that the new version got its shares of the requests, then all, and that none was lost."""
    assert shares.code == 0, shares.steps
    assert shares.requests.failures == [], stack.proxy_errors()
    assert 0.03 <= shares.measured(5, new) <= 0.06, shares.answers
    assert 0.44 <= shares.measured(50, new) <= 0.56, shares.answers
    assert stack.answer() == new
    assert len(stack.running()["app"]) == replicas
    weights = [step for step in shares.steps if step.startswith(("weight", "watch"))]
    assert [step.split(" app")[0] for step in weights] == ["weight 5 %", "watch", "weight 50 %", "watch", "watch"]


@pytest.fixture
def served(lean: Lean) -> Lean:
    """A stack with a canary that serves."""
    canary(lean)
    lean.inv("deploy.dev")
    return lean


def test_at_five_percent_at_most_six_percent_of_the_requests_see_the_new_version(served: Lean) -> None:
    """Two containers of each release: all of them count. One of each: where a canary is killed."""
    two = {"replicas": 2, "update_config": {"monitor": "500ms"}}
    canary(served, deploy=two)
    served.inv("deploy.dev")
    canary(served, deploy=two, environment={"A": "b"})
    plan = served.json("deploy.plan")
    assert [one["share"] for one in plan["operations"] if one["kind"] == "weight"] == [5, 50]
    assert "app gets 5 %, 50 % of the requests first" in served.inv("deploy.plan").stderr
    dry = served.inv("--dry", "deploy.dev").stdout
    assert dry.count(" 5 % of the requests") == 2, dry
    assert "weight=19;" in dry
    new = version(served)

    assert_shares(served, deployed(served, _RATE), new, replicas=2)


def test_a_canary_that_crashes_at_its_share_is_taken_back(served: Lean) -> None:
    before = served.running()
    served.version("two", CRASHES_LATER)
    shares = deployed(served, _RATE, "--json")

    assert shares.code == 4
    assert json.loads(shares.output)["outcome"] == "rolled-back"
    assert [line for line in shares.requests.failures if not line.endswith("status 502")] == []
    # What the container had taken when it ended, and was sent to it until the proxy was told.
    assert len(shares.requests.failures) <= 2 * _RATE * 0.05, "two seconds of its share"
    assert "weight 50 % app" not in " ".join(shares.steps)
    assert served.running() == before
    assert served.answer() == served.now
    assert "weight" not in docker("exec", f"{served.project}-front-1", "cat", "/etc/nginx/upstreams/app.conf")


def test_a_canary_that_is_killed_at_its_share_begins_again(served: Lean) -> None:
    new = version(served)

    def file() -> str:
        return docker("exec", f"{served.project}-front-1", "cat", "/etc/nginx/upstreams/app.conf")

    def shared(action: str, name: str) -> bool:
        return reloaded(action, name) and "# canary" in file()

    with load(served.api, 40) as requests:
        with signalled(served, ("deploy.dev",), shared, signal.SIGKILL) as task:
            task.wait(timeout=300)
        time.sleep(1.0)
        assert "# canary" in file()
    assert requests.failures == [], served.proxy_errors()
    assert_shares(served, deployed(served, _RATE), new)  # the only client: a turn of 20 must not meet a turn of its own


@pytest.mark.parametrize("kind", ["haproxy", "caddy", "traefik"])
def test_every_kind_of_proxy_gives_shares(kind: str, fresh_lean: Callable[[], Lean]) -> None:
    stack: Fronted = behind(kind, fresh_lean())
    canary(stack)
    if kind == "caddy":
        file = stack.project_dir / "front" / "conf" / "Caddyfile"
        few = file.read_text()
        stack.inv("deploy.dev")
        version(stack)
        assert "names too few files of app for a share of 5 %" in stack.inv("deploy.dev", code=3).stderr
        first = "{file./etc/caddy/upstreams/app.1}:8000 {file./etc/caddy/upstreams/app.backup}:8000"
        names = " ".join(f"{{file./etc/caddy/upstreams/app.{number}}}:8000" for number in range(1, 21))
        file.write_text(few.replace(first, names).replace("lb_policy first", "lb_policy round_robin"))
        slots = stack.project_dir / "front" / "upstreams"
        for number in range(2, 21):
            (slots / f"app.{number}").write_text("app\n")
        docker("rm", "--force", f"{stack.project}-front-1")
        docker("volume", "rm", f"{stack.project}_upstreams")
    stack.inv("deploy.dev")
    new = version(stack)

    assert_shares(stack, deployed(stack, _RATE), new)
