"""Asks registries how much there is to download; nothing is pulled, and a registry that is away is no error."""

from collections.abc import Iterable, Mapping
from dataclasses import replace

from ..host.project import Project
from ..host.runner import start
from ..model import compose
from ..model.errors import SlipwayError
from ..model.reference import split_reference
from .plan import registry
from .plan.downloads import download, platform
from .registry import insecure

_SECONDS = 10.0  # that a registry gets to answer


def sizes(project: Project, references: Iterable[str]) -> dict[str, int]:
    """Return the bytes of the compressed layers of images, by reference, as far as their registries tell."""
    known: dict[str, int] = {}
    todo = {name: name for name in dict.fromkeys(references)}
    try:
        wanted = platform(dict(project.engine.info())) if todo else ""
    except SlipwayError:
        return known
    for _ in range(2):  # the list of platforms, then the image of the engine's own platform
        digests = {}
        for name, manifest in _manifests(project, todo).items():
            size, digest = download(manifest, wanted)
            if size:
                known[name] = size
            elif digest:
                digests[name] = f"{split_reference(name.partition('@')[0])[0]}@{digest}"
        todo = digests
    return known


def _manifests(project: Project, where: Mapping[str, str]) -> dict[str, str]:
    """Return the manifests of images, asked for in parallel; "" for those that were not had."""
    env, cwd = compose.docker_env(project.profile), project.cwd
    asked = {}
    for name, reference in where.items():
        command = registry.manifest(reference, insecure(project, registry.host(reference)), env, cwd)
        asked[name] = start(replace(command, timeout=_SECONDS))
    manifests = {}
    for name, process in asked.items():
        try:
            manifests[name] = process.result().stdout
        except SlipwayError:  # it did not answer in time
            manifests[name] = ""
    return manifests
