"""A canary under load: how many of the requests each version answers while the new one has a share."""

import json
import subprocess
import time
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from tests.life.load import Load, load

from .lean import Lean
from .starting import Started

_LATE = 1.0  # seconds that a line may be read after it was written, by a busy machine


@dataclass
class Shares:
    """What clients got during a deploy: ``answers`` while the new version had a share (in percent), and all requests.

    ``steps`` are the names of the steps that were told, ``output`` is stdout.
    """

    code: int
    requests: Load
    answers: dict[int, Counter[str]] = field(default_factory=dict)
    steps: list[str] = field(default_factory=list)
    output: str = ""

    def measured(self, share: int, version: str) -> float:
        """Return the share of the answers that a version gave, 0 to 1."""
        return self.answers[share][version] / self.answers[share].total()


def deployed(stack: Lean, rate: float, *words: str, **extra: str) -> Shares:
    """Deploy while clients ask, and count the answers from when the proxy had a share until it was given the next."""
    told: list[tuple[float, dict[str, Any]]] = []
    with load(stack.api, rate) as requests, Started(
        stack.command("--log-format", "json", "deploy.dev", *words), env=stack.environment(**extra),
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True,
    ) as task:  # fmt: skip
        for line in task.stderr or ():
            told.append((time.monotonic(), json.loads(line) if line.startswith("{") else {}))
        output = task.stdout.read() if task.stdout else ""
        task.wait()
    begun = [(moment, event["name"]) for moment, event in told if event.get("event") == "step-started"]
    ended = [(moment, event["name"]) for moment, event in told if event.get("event") == "step-finished"]
    shares = Shares(task.returncode, requests, steps=[name for _, name in ended], output=output)
    for moment, name in ended:
        if name.startswith("weight "):
            next_switch = next((then for then, other in begun if then > moment and not other.startswith("watch")), 0.0)
            shares.answers[int(name.split()[1])] = requests.between(moment, next_switch - _LATE)
    return shares
