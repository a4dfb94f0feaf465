"""The files of the build context ``generated``: what Prometheus and the exporters are told about one stack."""

import json
from collections.abc import Mapping

from . import exporters, probes
from .targets import Watched, targets

_PROMETHEUS = "prometheus"


def files(seen: Watched, rules: Mapping[str, str]) -> dict[str, str]:
    """Return the files by their paths in the context; ``rules`` are those made for the stack, by the file's name."""
    project = seen.project
    documents: dict[str, object] = {
        "targets.json": targets(seen),
        f"{_PROMETHEUS}/exporters.json": exporters.discovery(seen.exporters, project),
        f"{_PROMETHEUS}/blackbox.json": probes.discovery(seen.probes, project),
    }
    texts = {name: f"{json.dumps(document, indent=2, ensure_ascii=False)}\n" for name, document in documents.items()}
    return texts | {f"{_PROMETHEUS}/{name}": text for name, text in rules.items()}
