"""A lock holder: takes the deploy lock, answers `verify` on its stdin, and releases the lock when stdin ends."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

from invoke import Context

from tasks.host import lock
from tasks.host.project import Project
from tasks.model.errors import SlipwayError


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def main() -> int:
    """Keep the lock of the default environment for as long as stdin is open; returns the exit code."""
    try:
        with lock.project_lock(Project(Context()), "test", wait=float(sys.argv[1])) as deploy_lock:
            _say(f"acquired {deploy_lock.token}")
            for _ in sys.stdin:
                deploy_lock.verify()
                _say("verified")
    except SlipwayError as error:
        _say(error.message)
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
