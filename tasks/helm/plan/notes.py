"""What Helm prints after an install: what is needed, where the stack is, how to test it."""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from ...kube.manifests.plan.overlays import Object
from ...kube.plan import labels


def text(chart: str, hosts: Sequence[str], keys: Sequence[str], secret: str) -> str:
    """Return the template of the notes of a chart.

    ``hosts`` are the services that are led to from outside, ``keys`` those that the Secret ``secret`` has to have.
    """
    where = "--namespace {{ .Release.Namespace }}"
    lines = [f"{chart} {{{{ .Chart.AppVersion }}}} is release {{{{ .Release.Name }}}} in {{{{ .Release.Namespace }}}}."]
    for service in hosts:
        place = f'dig {json.dumps(service)} "ingress" "host" "" .Values.services'
        lines.append(f"{{{{- with {place} }}}}\n  https://{{{{ . }}}}\n{{{{- end }}}}")
    if keys:
        named = f"{{{{ .Values.secret | default {json.dumps(secret)} }}}}"
        lines += ["", f"It reads these keys of the Secret {named}, which has to be there:"]
        lines += [f"  {key}" for key in keys]
    lines += [
        "",
        f"Watch it:  kubectl {where} get pods --watch",
        f"Test it:   helm test {{{{ .Release.Name }}}} {where}",
        f"Go back:   helm rollback {{{{ .Release.Name }}}} {where}",
    ]
    return "\n".join(lines) + "\n"


def led_to(objects: Iterable[Object]) -> list[str]:
    """Return the services that an Ingress or a route leads to by the name of a host."""
    found = {_service(one) for one in objects if one["kind"] in ("Ingress", "HTTPRoute") and _has_host(one)}
    return sorted(found - {""})


def _service(one: Object) -> str:
    return str((one["metadata"].get("labels") or {}).get(labels.SERVICE, ""))


def _has_host(one: Object) -> bool:
    return bool(one["spec"].get("hostnames")) or any(rule.get("host") for rule in one["spec"].get("rules") or ())


def secret_keys(node: Any, secret: str) -> Iterator[str]:
    """Yield the keys of a Secret that objects refer to, as a variable or as a file."""
    if isinstance(node, Mapping):
        if node.get("name") == secret and "key" in node:
            yield str(node["key"])
        if node.get("name") == secret or node.get("secretName") == secret:
            yield from (str(item["key"]) for item in node.get("items") or ())
        for value in node.values():
            yield from secret_keys(value, secret)
    elif isinstance(node, list | tuple):
        for value in node:
            yield from secret_keys(value, secret)
