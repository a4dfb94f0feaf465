"""CPU of a rollout that is drawn on a terminal ÷ CPU without a terminal: of the task and of all that it starts."""

import itertools
import os
import subprocess
import tempfile
from pathlib import Path

from tests.bench.measure import Figure, pairs, sample_stack
from tests.e2e.lean import Lean, make_lean
from tests.e2e.support import remove
from tests.terminal import session

_ROUNDS = 15  # a deploy takes 2 s of CPU, which differ by some percent from time to time
_VALUES = itertools.count()


def run() -> list[Figure]:
    """Measure and return the figures."""
    with sample_stack("drawing") as sample, tempfile.TemporaryDirectory() as directory:
        name = f"{sample.project}-lean"
        sample.inv("build.dev", "--service", "nginx")
        lean = make_lean(Path(directory, "project"), name, f"{sample.project}/nginx:dev")
        try:
            lean.inv("deploy.dev")
            return [_drawn(lean, Path(directory, "reports"))]
        finally:
            remove(name)


def _drawn(lean: Lean, reports: Path) -> Figure:
    more = {"SLIPWAY_REPORTS_DIR": str(reports), "TERM": "xterm-256color", "LANG": "C.UTF-8"}

    def ours() -> float:
        lean.write(environment={"VALUE": str(next(_VALUES))})
        with session(lean.command("deploy.dev"), lean.environment(**more), columns=100) as terminal:
            if terminal.end(120) != 0 or "\x1b[J" not in terminal.raw:
                raise SystemExit("\n".join(terminal.emulator.text()))
        return terminal.seconds

    def theirs() -> float:
        lean.write(environment={"VALUE": str(next(_VALUES))})
        with Path(os.devnull).open("r+b") as null:
            process = subprocess.Popen(
                lean.command("deploy.dev"), env=lean.environment(**more), stdin=null, stdout=null, stderr=null
            )
            _, status, usage = os.wait4(process.pid, 0)
            process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            raise SystemExit("deploy.dev failed")
        return usage.ru_utime + usage.ru_stime

    drawn, silent = pairs(ours, theirs, _ROUNDS)
    return Figure("CPU of a rollout drawn on a terminal ÷ without a terminal", drawn, silent, 1.03)


if __name__ == "__main__":
    for figure in run():
        print(figure.line())
