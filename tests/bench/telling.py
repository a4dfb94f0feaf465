"""A deploy that tells monitoring of itself ÷ the same without: a trace that a server takes, metrics in a directory."""

import os
import shutil
import sys
import tempfile
from pathlib import Path

from tests.bench.measure import Figure, pairs, sample_stack, seconds
from tests.e2e.lean import make_lean, version
from tests.e2e.support import remove
from tests.unit.store_server import serving

_ROUNDS = 9


def run() -> list[Figure]:
    """Measure and return the figure."""
    with sample_stack("telling") as sample, tempfile.TemporaryDirectory() as directory:
        sample.inv("build")
        metrics = Path(directory, "metrics")
        metrics.mkdir()
        name = f"slipway-bench-telling-{os.getpid()}"
        lean = make_lean(Path(directory, "stack"), name, f"{sample.project}/nginx:dev")
        try:
            lean.inv("deploy.dev")
            with serving(lambda _: (200, b"{}")) as server:
                told = lean.environment(
                    OTEL_EXPORTER_OTLP_ENDPOINT=f"http://127.0.0.1:{server.port}", DEPLOY_METRICS_DIR=str(metrics)
                )
                silent = lean.environment()

                def deployed(environment: dict[str, str]) -> float:
                    version(lean)
                    return seconds(lean.command("deploy.dev"), environment)

                ours, theirs = pairs(lambda: deployed(told), lambda: deployed(silent), _ROUNDS)
            if len(server.requests) != _ROUNDS + 1 or not list(metrics.iterdir()):
                sys.exit(f"{len(server.requests)} traces, metrics: {[path.name for path in metrics.iterdir()]}")
        finally:
            remove(name)
            shutil.rmtree(lean.project_dir)
    return [Figure("a rollout that sends a trace and leaves metrics ÷ one that tells nothing", ours, theirs, 1.02)]


if __name__ == "__main__":
    for figure in run():
        print(figure.line())
