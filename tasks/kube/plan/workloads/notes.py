"""Labels and annotations of Compose as those of the Pods.

Kubernetes takes fewer signs: a value of a label has at most 63 letters, digits, ``-``, ``_`` and ``.``. What is no
label there, or has a ``/`` in its name, is an annotation, which nothing selects by.
https://kubernetes.io/docs/concepts/overview/working-with-objects/labels/#syntax-and-character-set
"""

import re
from collections.abc import Iterable, Mapping
from typing import Any

from ....model.lazy_pattern import lazy_pattern
from ....model.stack.stack import Service, unescaped
from .. import labels
from ..outcome import KeyOutcome, ignored, translated
from ..part import Part
from ..source import KubeSource

KEYS = frozenset({"labels", "label_file", "annotations", "deploy.labels"})
# What these mean is said by other keys of the Compose file, or by nothing of it.
_TAKEN = lazy_pattern(r"(.+\.)?(kubernetes\.io|k8s\.io|slipway)|slipway\..*|helm\.sh|argocd\.argoproj\.io")
_NAME = lazy_pattern(r"[A-Za-z0-9](?:[A-Za-z0-9._-]{0,61}[A-Za-z0-9])?", re.ASCII)
_PREFIX = lazy_pattern(r"[a-z0-9](?:[a-z0-9.-]{0,251}[a-z0-9])?", re.ASCII)


def part(source: KubeSource, service: Service) -> Part:
    """Return the labels and annotations of a service's Pods."""
    raw, where = unescaped(source.raw(service.name)), f"services.{service.name}"
    notes: dict[str, str] = {}
    marks: dict[str, str] = {}
    outcomes = [*_labels(raw.get("labels") or {}, marks, notes, f"{where}.labels")]
    for key, value in (raw.get("annotations") or {}).items():
        outcomes.append(_note(str(key), str(value), notes, f"{where}.annotations.{key}"))
    about: dict[str, str] = {}
    for key, value in ((raw.get("deploy") or {}).get("labels") or {}).items():
        outcomes.append(_note(str(key), str(value), about, f"{where}.deploy.labels.{key}"))
    if raw.get("label_file"):
        outcomes.append(translated(f"{where}.label_file", "labels"))
    return Part(labels=marks, annotations=notes, about=about, outcomes=tuple(outcomes))


def _labels(said: Mapping[str, Any], marks: dict[str, str], notes: dict[str, str], where: str) -> Iterable[KeyOutcome]:
    for key, value in said.items():
        text = "" if value is None else str(value)
        if _NAME.fullmatch(key) and (not text or _NAME.fullmatch(text)) and not _TAKEN.fullmatch(key):
            marks[key] = text
            yield translated(f"{where}.{key}", "template.metadata.labels")
        else:
            yield _note(key, text, notes, f"{where}.{key}")


def _note(key: str, value: str, notes: dict[str, str], where: str) -> KeyOutcome:
    prefix, slash, name = key.rpartition("/")
    if _TAKEN.fullmatch(prefix or key) or key in (labels.PROJECT, labels.SERVICE):
        return ignored(where, "names that Kubernetes, Helm, Argo CD or Slipway use themselves are not taken from it")
    if not _NAME.fullmatch(name) or (slash and not _PREFIX.fullmatch(prefix)):
        return ignored(where, "Kubernetes takes no such name for a label or an annotation")
    notes[key] = value
    return translated(where, "annotations")
