"""What an agent waits with between two looks: its time, and hints that make it look sooner.

Whoever sends one chooses neither repository, branch nor commit, and however many come, the agent looks at most every
``LEAST`` seconds.
"""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from ..host.output import note
from ..model.errors import RefusedError
from .plan.webhook import Listening

LEAST = 5.0  # seconds between the end of a look and one that a hint brings on


class Hints:
    """What an agent waits with between two looks: until the time is over, or until a hint."""

    def __init__(self, least: float | None = None) -> None:
        self._least = LEAST if least is None else least
        self._given = threading.Event()

    def give(self) -> None:
        """Let the agent look soon."""
        self._given.set()

    def wait(self, seconds: float) -> bool:
        """Wait so long, or until a hint, also one that came since the last wait; return whether there was one.

        A hint does not shorten it below the least time.
        """
        least = min(self._least, seconds)
        time.sleep(least)
        hinted = self._given.wait(seconds - least)
        self._given.clear()
        return hinted


@contextmanager
def listened(where: Listening | None, least: float | None = None) -> Iterator[Hints]:
    """Listen during a block; raises RefusedError where that is not possible."""
    hints = Hints(least)
    if where is None:
        yield hints
        return
    from .webhook import WebhookServer  # only where somebody listens

    try:
        server = WebhookServer(where, hints.give)
    except OSError as error:
        raise RefusedError(
            f"GITOPS_WEBHOOK_LISTEN: {where.host}:{where.port}: {error.strerror or error}",
            "set a free port of this machine",
        ) from None
    server.start()
    note(f"listens for webhooks at {where}, which make it look sooner")
    try:
        yield hints
    finally:
        server.stop()
