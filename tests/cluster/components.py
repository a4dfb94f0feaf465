"""The programs of the cluster, as one binary.

``python -m tests.cluster.components`` builds them when they are not there; ``inv setup --all`` does that while other
things go on.
"""

import re
import subprocess
import sys
from pathlib import Path

from .programs import Programs

MODULE = Path(__file__).with_name("components")


def version() -> str:
    """Return the version of Kubernetes, such as ``v1.35.4``."""
    found = re.search(r"^require k8s\.io/kubernetes (v\S+)$", (MODULE / "go.mod").read_text("utf-8"), re.MULTILINE)
    assert found
    return found[1]


def _flags() -> str:
    """Return the linker's flags: without a version of its own a component takes itself for a development build."""
    major, minor, _ = version().removeprefix("v").split(".", 2)
    values = {"gitVersion": version(), "gitMajor": major, "gitMinor": minor}
    packages = ("k8s.io/component-base/version", "k8s.io/client-go/pkg/version")
    return " ".join(["-s -w", *(f"-X {package}.{key}={text}" for package in packages for key, text in values.items())])


KUBERNETES = Programs(f"Kubernetes {version()}", MODULE, {"components": ".", "pause": "./pause"}, _flags())


if __name__ == "__main__":
    try:
        KUBERNETES.build()
    except (OSError, subprocess.CalledProcessError) as error:
        sys.exit(f"the programs of the test cluster could not be built: {error}")
