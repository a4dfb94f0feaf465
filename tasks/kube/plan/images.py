"""What a container is started from: its image, when it is pulled, and for which machines it is made."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from ...model.stack.stack import Service
from .outcome import KeyOutcome, ignored, inferred, refused, translated
from .part import Part
from .source import KubeSource

KEYS = frozenset(
    {"image", "build", "pull_policy", "pull_refresh_after", "platform", "provider", "models", "develop", "extends"}
)

_ALWAYS, _NEVER, _ABSENT = "Always", "Never", "IfNotPresent"
_POLICIES = {"always": _ALWAYS, "never": _NEVER, "missing": _ABSENT, "if_not_present": _ABSENT}
_WASM = "wasi"
_UNUSED = {
    "develop": "it is about `docker compose watch`",
    "extends": "Compose has merged what it names",
    "pull_refresh_after": "Kubernetes knows no age of an image",
}


def part(source: KubeSource, service: Service) -> Part:
    """Return the image, its pull policy and secrets, and the nodes that can run it."""
    raw, where = source.raw(service.name), f"services.{service.name}"
    outcomes = [*_image(service, raw, where), *_pulled(raw, where), *_unused(raw, where), *_foreign(raw, where)]
    container = {"image": service.image, "imagePullPolicy": _POLICIES.get(service.pull_policy, _ABSENT)}
    pod: dict[str, Any] = {}
    if source.settings.pull_secrets:
        pod["imagePullSecrets"] = [{"name": name} for name in source.settings.pull_secrets]
    if raw.get("platform"):
        pod |= _nodes(str(raw["platform"]))
        outcomes.append(_platform(raw, f"{where}.platform"))
    return Part(container=container, pod=pod, outcomes=tuple(outcomes))


def _image(service: Service, raw: Mapping[str, Any], where: str) -> Iterator[KeyOutcome]:
    if raw.get("provider") is not None:
        yield refused(f"{where}.provider", "it is run by a plugin of Compose, not as a container", "take it out")
        return
    key = f"{where}.image"
    if not _pullable(service.image):
        yield refused(
            key,
            f"{service.image} is on this engine only, and the nodes of a cluster pull",
            "give the service an image: of a registry, and push it: inv build --push",
        )
    elif "@" in service.image:
        yield translated(key, "image")
    else:
        yield inferred(key, "image", f"{service.image} is not pinned: its tag may mean another image tomorrow")
    if raw.get("build") is None:
        return
    if registry(service.image) or not _pullable(service.image):
        yield ignored(f"{where}.build", "what Kubernetes gets is the image that was built and pushed")
    else:
        yield refused(
            f"{where}.build",
            f"it is built here, and {service.image} names no registry from which nodes could pull it",
            "name a registry in image:, and push it: inv build --push",
            accept="KUBE-NOT-PUSHED",
        )


def registry(image: str) -> str:
    """Return the host of the registry in an image's name, "" where it has none, which means Docker Hub.

    https://github.com/distribution/reference/blob/main/normalize.go: a host has a dot or a port, or is ``localhost``.
    """
    host, slash, _ = image.partition("/")
    return host if slash and (re.search(r"[.:]", host) or host == "localhost") else ""


def _pullable(image: str) -> bool:
    return not re.fullmatch(r"sha256:[0-9a-f]{64}", image)


def _pulled(raw: Mapping[str, Any], where: str) -> Iterator[KeyOutcome]:
    policy = str(raw.get("pull_policy") or "")
    if policy in _POLICIES:
        yield translated(f"{where}.pull_policy", f"imagePullPolicy: {_POLICIES[policy]}")
    elif policy:
        yield inferred(
            f"{where}.pull_policy",
            f"imagePullPolicy: {_ABSENT}",
            f"Kubernetes has no {policy}; a release names digests",
        )


def _nodes(platform: str) -> dict[str, Any]:
    """Return what chooses the nodes of a platform such as ``linux/arm64/v8``; nodes have no label of a variant."""
    system, _, rest = platform.partition("/")
    if system == _WASM:
        return {}
    architecture = rest.partition("/")[0]
    labels = {"kubernetes.io/os": system}
    return {"nodeSelector": {**labels, "kubernetes.io/arch": architecture} if architecture else labels}


def _platform(raw: Mapping[str, Any], key: str) -> KeyOutcome:
    """Return what became of a platform: no node is a machine for WebAssembly, a runtime of ordinary nodes is."""
    if str(raw["platform"]).partition("/")[0] != _WASM:
        return translated(key, "nodeSelector")
    if raw.get("runtime"):
        return ignored(key, "which nodes have the runtime says the RuntimeClass")
    return refused(key, "no node runs WebAssembly by itself", "say runtime: the name of a RuntimeClass that does")


def _unused(raw: Mapping[str, Any], where: str) -> Iterator[KeyOutcome]:
    return (ignored(f"{where}.{key}", reason) for key, reason in _UNUSED.items() if key in raw)


def _foreign(raw: Mapping[str, Any], where: str) -> Iterator[KeyOutcome]:
    if raw.get("models"):
        yield refused(
            f"{where}.models",
            "Kubernetes runs no model for Compose, and sets no variables with its address",
            "run the model as a service, and give its address as a variable",
            accept="KUBE-MODELS",
        )
