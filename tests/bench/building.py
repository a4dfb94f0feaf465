"""`inv build` with nothing to do ÷ bake by hand; a one-line change ÷ a cold build; image size ÷ an Alpine base."""

import itertools
import json
import subprocess
import tempfile
from pathlib import Path

from tests.bench.measure import Figure, docker, pairs, sample_stack, seconds
from tests.e2e.support import Sample

# What `docker image ls` says of alpine:3.22 (amd64), where no registry is reached to ask. Bytes.
_ALPINE = 8_310_000


def run() -> list[Figure]:
    """Measure and return the three figures."""
    with sample_stack("build") as sample:
        sample.inv("build", "--env", "staging")
        return [_unchanged(sample), _size(sample), _one_line(sample)]


def bake_graph(sample: Sample, environment: str) -> str:
    """Return the graph that `inv build` gives to bake; --pull makes the dry run print it, and is removed from it."""
    line = sample.inv("--dry", "build", "--env", environment, "--pull").stdout.splitlines()[-1]
    script = line.rpartition(" | docker buildx bake")[0]
    graph = json.loads(subprocess.run(["sh", "-c", script], capture_output=True, text=True, check=True).stdout)
    for target in graph["target"].values():
        target.pop("pull")
    return json.dumps(graph)


def _unchanged(sample: Sample) -> Figure:
    with tempfile.TemporaryDirectory() as directory:
        file = Path(directory, "bake.json")
        file.write_text(bake_graph(sample, "staging"))
        ours, theirs = pairs(
            lambda: seconds(sample.command("build", "--env", "staging"), sample.environment()),
            lambda: seconds(["docker", "buildx", "bake", "-f", str(file), "--load"]),
            9,
        )
    return Figure("inv build with nothing to do ÷ buildx bake", ours, theirs, 1.6)


def _size(sample: Sample) -> Figure:
    report = sample.json("build.size", "--env", "staging", "--service", "app")["images"][0]
    alpine = _ALPINE
    image = docker("image", "ls", "--format", "{{.ID}}", "alpine:3.22")
    if image:
        alpine = int(json.loads(docker("image", "inspect", image))[0]["Size"])
    else:
        print("no alpine:3.22 on this engine: its published size is used")
    megabyte = 1_000_000
    return Figure(
        "production image ÷ the same on Alpine",
        report["size"] / megabyte,
        (report["size"] + alpine) / megabyte,
        0.75,
        "MB",
    )


def _one_line(sample: Sample) -> Figure:
    handler = next((sample.project_dir / "app" / "src" / "handlers").glob("users.go"))
    numbers = itertools.count()

    def changed() -> float:
        handler.write_text(handler.read_text() + f"\nvar _ = {next(numbers)}\n")
        return seconds(sample.command("build", "--env", "staging", "--service", "app"), sample.environment())

    def cold() -> float:
        argv = sample.command("build", "--env", "staging", "--service", "app", "--no-cache")
        return seconds(argv, sample.environment())

    first = changed()  # does not count
    assert first
    ours, theirs = min(changed() for _ in range(3)), cold()
    return Figure("rebuild after a one-line change ÷ cold build", ours, theirs, 0.35)


if __name__ == "__main__":
    for figure in run():
        print(figure.line())
