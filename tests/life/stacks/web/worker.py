"""Moves rows from the queue to the database; a row stays in the list `taken` until it is stored."""

import os
import signal
import sys
import time

import redis
import store

STOPPING = []


def main() -> None:
    """Work until told to stop."""
    signal.signal(signal.SIGTERM, lambda *_: STOPPING.append(True))
    while not STOPPING:
        try:
            work()
        except Exception as error:
            sys.stderr.write(f"{type(error).__name__} {error}\n")
            time.sleep(0.3)


def work() -> None:
    """Requeue what another worker left, then store rows as they come."""
    with redis.Redis(os.environ["QUEUE_HOST"], socket_timeout=5, decode_responses=True) as queue:
        while queue.lmove("taken", "rows", "LEFT", "RIGHT"):
            pass
        while not STOPPING:
            if key := queue.blmove("rows", "taken", 1, "RIGHT", "LEFT"):
                store.add(key)
                queue.lrem("taken", 1, key)


main()
