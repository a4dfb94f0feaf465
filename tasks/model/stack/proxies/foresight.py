"""What in the Compose files keeps a certain kind of proxy from leading to new containers."""

import re
from collections.abc import Iterator
from itertools import pairwise

from ...engine.facts import Image
from ..stack import Service
from .kinds import HAPROXY, TRAEFIK

Fault = tuple[str, str]
"""A reason to refuse a deploy, and a hint."""


def unread(proxy: Service) -> Iterator[Fault]:
    """Yield why a proxy would not read its upstream files, as far as the words that start it tell.

    Without such words the image, or a file, says the same; that is looked at when the proxy runs.
    """
    settings, words = proxy.slipway.proxy, proxy.command
    directory = settings.upstreams.rstrip("/")
    where = f"services.{proxy.name}.command"
    files = [after.rstrip("/") for word, after in pairwise(words) if word == "-f"]
    if settings.kind == HAPROXY and files and directory not in files:
        yield f"{where}: haproxy does not read {directory}", f"add -f {directory}"
    flags = dict(_flag(word) for word in words if word.startswith("--"))
    if settings.kind != TRAEFIK or not any(name.startswith(("providers.", "entrypoints.")) for name in flags):
        return
    if flags.get("providers.file.directory", "").rstrip("/") != directory:
        yield f"{where}: Traefik does not read {directory}", f"add --providers.file.directory={directory}"
    if flags.get("providers.file.watch", "").lower() == "false":
        yield f"{where}: with --providers.file.watch=false Traefik does not see a new file", "take it out"
    if not any(name == "api" or name.startswith("api.") for name in flags):
        yield (
            f"{where}: Traefik's API is off, by which a deploy knows what Traefik has read",
            "add --api.insecure=true, and do not publish its port",
        )


def _flag(word: str) -> tuple[str, str]:
    name, _, value = word.removeprefix("--").partition("=")
    return name.lower(), value


def _has_labels(service: Service) -> bool:
    """Whether Traefik's Docker provider leads to a service: by a router that names no other provider."""
    routers = {
        name.split(".")[3] for name in service.labels if re.fullmatch(r"traefik\.http\.routers\.[^.]+\..+", name)
    }
    named = [service.labels.get(f"traefik.http.routers.{router}.service", "") for router in routers]
    return any("@" not in name for name in named)


def led_by_labels(service: Service) -> Iterator[Fault]:
    """Yield why a service whose labels Traefik reads cannot be rolled out as it asks."""
    if not _has_labels(service):
        return
    where = f"services.{service.name}.labels"
    if service.by_proxy:
        yield (
            f"{where}: Traefik's Docker provider leads to every container with these labels, so with rollout: "
            f"{service.rollout} both releases would serve",
            "say rollout: start-first, or let Traefik read the servers from files (docs/proxies.md)",
        )
    elif service.health_disabled:
        yield (
            f"{where}: without a health check Traefik's Docker provider leads to a container that is not ready yet",
            "give the service a healthcheck",
        )


def led_too_early(service: Service, image: Image | None) -> list[Fault]:
    """Return the doubt whether Traefik's Docker provider waits until a new container is ready."""
    checked = service.health_check or service.health_disabled or (image is not None and image.health_check)
    if checked or not _has_labels(service) or service.by_proxy:
        return []
    return [
        (
            f"services.{service.name}.labels: unless its image has a health check, Traefik's Docker provider leads to "
            "a container as soon as it runs",
            "give the service a healthcheck",
        )
    ]
