"""A process that holds the deploy lock: `verify` on its stdin is answered, its end lets go of the lock."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

from invoke import Context

from tasks.host import locks
from tasks.host.project import Project
from tasks.plan.errors import SlipwayError


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def main() -> int:
    """Hold the lock of the default environment for as long as stdin is open."""
    try:
        with locks.held(Project(Context()), "test", wait=float(sys.argv[1])) as lock:
            _say(f"held {lock.token}")
            for _ in sys.stdin:
                lock.verify()
                _say("verified")
    except SlipwayError as error:
        _say(error.message)
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
