"""Runs the experiments for ``inv test --all``, in a process of their own: ``python -m tasks.chaos.worker``."""

import sys

from ..test.worker import main
from .suite import NAME, execute

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:], {NAME: execute}))
