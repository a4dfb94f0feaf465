"""The commands that put a chart into an OCI registry, and what Helm's answers mean.

https://helm.sh/docs/topics/registries/
"""

import re
from collections.abc import Callable, Mapping
from typing import Any

from ...image.plan import registry
from ...image.plan.signing import Trust
from ...model.command import Command
from ...model.errors import RefusedError
from ...model.lazy_pattern import lazy_pattern

PROGRAM = "helm"
_OCI = "oci://"
_SECONDS = 120.0
_DIGEST = lazy_pattern(r"^Digest: (sha256:[0-9a-f]{64})$", re.MULTILINE)
_ABSENT = lazy_pattern(r"not found|name unknown|manifest unknown|\b404\b", re.IGNORECASE)


def reference(repository: str, name: str) -> str:
    """Return the name of a chart in a registry, without its version: ``registry.example.com/charts/shop``."""
    return f"{repository.removeprefix(_OCI).rstrip('/')}/{name}"


def _connection(trust: Trust) -> tuple[str, ...]:
    """Return Helm's options for a registry; only one on this machine is asked without TLS, as images are."""
    authority = (f"--ca-file={trust.authority}",) if trust.authority else ()
    return (*(("--plain-http",) if trust.loopback and not trust.authority else ()), *authority)


def archive(directory: str, target: str) -> Command:
    """Return the command that makes the archive of a chart in a directory."""
    return Command((PROGRAM, "package", directory, "--destination", target), timeout=_SECONDS)


def pull(name: str, version: str, target: str, trust: Trust) -> Command:
    """Return the command that gets a chart out of its registry, unpacked."""
    words = (PROGRAM, "pull", f"{_OCI}{name}", "--version", version, "--untar", "--untardir", target)
    return Command((*words, *_connection(trust)), timeout=_SECONDS)


def push(file: str, repository: str, trust: Trust) -> Command:
    """Return the command that pushes the archive of a chart."""
    return Command((PROGRAM, "push", file, repository, *_connection(trust)), timeout=_SECONDS)


def digest(output: str) -> str:
    """Return the digest that Helm reports; "" when it reports none."""
    found = _DIGEST.search(output)
    return found[1] if found else ""


def fault(name: str, exit_code: int, errors: str) -> registry.RegistryFault | None:
    """Return why a command did not succeed; None when it did, or when there is no such chart."""
    return None if exit_code == 0 or _ABSENT.search(errors) else registry.explain(errors, name)


def same(there: Mapping[str, str], here: Mapping[str, str], read: Callable[[str], Any]) -> bool:
    """Whether two charts have the same files; Helm writes ``Chart.yaml`` anew, so that its data counts (``read``)."""
    about = "Chart.yaml"
    rest, wanted = ({path: text for path, text in files.items() if path != about} for files in (there, here))
    return rest == wanted and about in there and read(there[about]) == read(here[about])


def other_content(name: str, version: str) -> RefusedError:
    """Return the error for a version that the registry has with other content."""
    return RefusedError(
        f"{name}:{version}: the registry has this version with other content; an exact version keeps its content",
        "commit and tag a new version, or install the chart that is there",
    )


def missing() -> RefusedError:
    """Return the error for Helm that is not installed."""
    return RefusedError("helm: command not found", "install Helm 3.8 or later: https://helm.sh/docs/intro/install")
