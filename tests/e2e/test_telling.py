"""What a deploy tells monitoring on a real engine: metrics in the volume of the node exporter, and a trace."""

import json
from collections.abc import Iterator
from contextlib import contextmanager

from tests.unit.store_server import serving

from .lean import CRASHES, Lean, version
from .support import docker


@contextmanager
def exporter(lean: Lean) -> Iterator[str]:
    """Run what has the labels and the volume of the node exporter of the stack's monitoring; yields its name."""
    project = f"{lean.project}-monitoring"
    labels = {"project": project, "service": "node-exporter", "container-number": "1", "oneoff": "False"}
    words = [f"--label=com.docker.compose.{key}={value}" for key, value in labels.items()]
    words.append(f"--label=slipway.monitors={lean.project}")
    name, volume = f"{project}-node-exporter-1", f"{project}_textfile"
    try:
        docker("volume", "create", f"--label=com.docker.compose.project={project}", volume)
        docker("run", "--detach", f"--name={name}", f"--volume={volume}:/textfile:ro", *words, "--entrypoint=sleep",
               lean.image, "infinity")  # fmt: skip
        yield name
    finally:
        docker("rm", "--force", name, check=False)
        docker("volume", "rm", volume, check=False)


def test_a_deploy_leaves_metrics_and_a_trace(lean: Lean) -> None:
    version(lean)
    with exporter(lean) as name, serving(lambda _: (200, b"{}")) as server:
        endpoint = f"http://127.0.0.1:{server.port}"
        lean.inv("deploy.dev", OTEL_EXPORTER_OTLP_ENDPOINT=endpoint)
        text = docker("exec", name, "cat", f"/textfile/slipway-{lean.project}.prom")
        lock = docker("exec", name, "cat", f"/textfile/slipway-{lean.project}-lock.prom")
        drift = docker("exec", name, "cat", f"/textfile/slipway-{lean.project}-drift.prom")
        lean.version("two", CRASHES)
        lean.inv("deploy.dev", code=4, HEALTH_TIMEOUT="60s", OTEL_EXPORTER_OTLP_ENDPOINT=endpoint)
        after = docker("exec", name, "cat", f"/textfile/slipway-{lean.project}.prom")
        left = docker("ps", "-aq", "--filter", f"label=com.docker.compose.project={lean.project}-monitoring").split()
    own = f'project="{lean.project}",environment="dev"'
    assert f'slipway_deploy_outcome{{{own},outcome="deployed"}} 1\n' in f"{text}\n"
    assert f'slipway_drift{{{own},service="app"}} 0\n' in f"{drift}\n"
    assert lock.endswith("} 0")
    assert f'slipway_deploy_outcome{{{own},outcome="rolled-back"}} 1\n' in f"{after}\n"
    assert len(left) == 1, "no container by which the volume was filled"
    good, bad = (json.loads(asked.body)["resourceSpans"][0]["scopeSpans"][0]["spans"] for asked in server.requests)
    names = [span["name"] for span in good]
    assert names[0] == f"deploy {lean.project}"
    assert "build app" in names
    assert any(text.startswith("watch app-") for text in names)
    assert bad[0]["status"]["code"] == 2
    assert all(int(span["startTimeUnixNano"]) <= int(span["endTimeUnixNano"]) for span in (*good, *bad))
