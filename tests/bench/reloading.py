"""An edit of a Go file in the dev stack, until it is served ÷ buildx bake and `docker compose up -d --wait` by hand."""

import itertools
import sys
import time
from pathlib import Path

from tests.bench.building import bake_graph
from tests.bench.measure import Figure, by_hand, hand_environment, pairs, sample_stack, seconds
from tests.e2e.support import Sample

_LIMIT = 30.0


def run() -> list[Figure]:
    """Measure and return the figure."""
    with sample_stack("reload") as sample:
        sample.inv("deploy.dev")
        hand = hand_environment(sample)
        file = Path(sample.project_dir.parent, "bake.json")
        file.write_text(bake_graph(sample, "dev"))
        words = (f"edited-{number}" for number in itertools.count())

        def theirs() -> float:
            _edit(sample, next(words))
            built = seconds(["docker", "buildx", "bake", "-f", str(file), "--load"])
            return built + by_hand(sample, hand, "up", "-d", "--no-build", "--wait", "app")

        def ours() -> float:
            return _served(sample, next(words))

        reload, rebuild = pairs(ours, theirs, 7)
    return [Figure("edit to served by hot reload ÷ buildx bake and compose up -d --wait", reload, rebuild, 0.5)]


def _edit(sample: Sample, word: str) -> None:
    source = sample.project_dir / "app" / "src" / "handlers" / "status.go"
    before, said, after = source.read_text().partition('{"status": "')
    assert said
    source.write_text(before + said + word + after[after.index('"') :])


def _served(sample: Sample, word: str) -> float:
    """Edit and return the seconds until the answer of the stack has the word."""
    _edit(sample, word)
    started = time.perf_counter()
    while time.perf_counter() - started < _LIMIT:
        try:
            if sample.get("/health")[1]["status"] == word:
                return time.perf_counter() - started
        except OSError:
            pass
        time.sleep(0.02)
    sys.exit(f"the edit was not served within {_LIMIT} s")


if __name__ == "__main__":
    for figure in run():
        print(figure.line())
