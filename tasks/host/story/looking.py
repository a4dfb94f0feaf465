"""Looks at something again and again while a block runs."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from ..forwarding import signals_blocked


@contextmanager
def looking(look: Callable[[], None], seconds: float) -> Iterator[None]:
    """Call ``look`` every so many seconds, in a thread that gets no signals and has ended when the block has."""
    ended = threading.Event()

    def work() -> None:
        while not ended.wait(seconds):
            look()

    thread = threading.Thread(target=work, name="looking", daemon=True)
    with signals_blocked():
        thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()
