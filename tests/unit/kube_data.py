"""Builders for the tests of what containers read and write on Kubernetes."""

import json
import re
from collections.abc import Iterable, Mapping
from typing import Any

from tasks.kube.plan.labels import SERVICE
from tasks.kube.plan.outcome import KeyOutcome
from tasks.kube.plan.source import HostFile, ImageFacts, KubeSettings, KubeSource
from tasks.kube.plan.translate import Translation, translate
from tasks.model.stack.stack import parse

SHELL = ImageFacts("x", shell=True)


def kube_source(
    services: Mapping[str, Any],
    files: Mapping[str, HostFile] | None = None,
    images: Mapping[str, ImageFacts] | None = None,
    settings: KubeSettings | None = None,
    **top: Any,
) -> KubeSource:
    """Return the source of project ``shop``, of a model as ``docker compose config`` prints it."""
    model = {"name": "shop", "services": services, **top}
    return KubeSource(model, parse(model), files=files or {}, images=images or {}, settings=settings or KubeSettings())


def translation(services: Mapping[str, Any], **fields: Any) -> Translation:
    """Return what a model becomes."""
    return translate(kube_source(services, **fields))


def workload_of(made: Translation, name: str) -> Mapping[str, Any]:
    """Return the ``spec`` of the workload of a service."""
    workloads = [each for each in made.objects if "template" in each.get("spec", {})]
    spec: Mapping[str, Any] = next(each for each in workloads if each["metadata"]["labels"][SERVICE] == name)["spec"]
    return spec


def pod_of(made: Translation, name: str = "web") -> Mapping[str, Any]:
    """Return the ``spec`` of the Pods of a service."""
    pod: Mapping[str, Any] = workload_of(made, name)["template"]["spec"]
    return pod


def container_of(made: Translation, name: str = "web") -> Mapping[str, Any]:
    """Return the container of a service."""
    container: Mapping[str, Any] = pod_of(made, name)["containers"][0]
    return container


def volumes_of(made: Translation, name: str = "web") -> dict[str, Any]:
    """Return the volumes of a Pod by name, without it."""
    return {
        each["name"]: {key: value for key, value in each.items() if key != "name"}
        for each in pod_of(made, name)["volumes"]
    }


def objects_of(made: Translation, kind: str) -> list[Mapping[str, Any]]:
    """Return the objects of a kind."""
    return [each for each in made.objects if each["kind"] == kind]


def told(made: Translation, key: str, kinds: Iterable[str] = ("refused", "ignored", "inferred")) -> list[KeyOutcome]:
    """Return what a report says about a key, other than that it was translated."""
    return [outcome for outcome in made.outcomes if outcome.key == key and outcome.kind in kinds]


def expanded(text: str, **variables: str) -> str:
    """Return what Kubernetes makes of a text: an implementation of its own, one character after the other."""
    result, rest = "", text
    while rest:
        reference = re.match(r"\$\(([^)]*)\)", rest)
        if rest.startswith("$$"):
            result, rest = result + "$", rest[2:]
        elif reference:
            result, rest = result + variables.get(reference[1], reference[0]), rest[reference.end() :]
        else:
            result, rest = result + rest[0], rest[1:]
    return result


def shown(made: Translation) -> str:
    """Return everything that a translation says, as text."""
    return json.dumps([*made.objects, *[outcome.document({}) for outcome in made.outcomes]])
