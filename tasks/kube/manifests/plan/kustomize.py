"""A directory for ``kubectl apply -k``: a base that the environments share, and an overlay for each of them.

https://kubectl.docs.kubernetes.io/references/kustomize/kustomization/
"""

import hashlib
import posixpath
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from .overlays import Object, applied, difference, identity, shared
from .yaml_text import document

MARK = "Made by `inv kube.render`: what is changed here is overwritten."
_HEAD = {"apiVersion": "kustomize.config.k8s.io/v1beta1", "kind": "Kustomization"}
_INDEX = "kustomization.yaml"
_BASE, _OVERLAYS, _PATCH = "base", "overlays", "patch-"
_LONGEST = 200  # characters; a name in a file system has 255 at most

Files = Mapping[str, str]


def files(environments: Mapping[str, Sequence[Object]]) -> dict[str, str]:
    """Return the text of each file by its path, for the objects of each environment.

    They depend on the objects only: the order in which environments are rendered changes no byte.
    """
    ordered = dict(sorted(environments.items()))
    base = shared(list(ordered.values()))
    result = _directory(_BASE, {"resources": sorted(file_name(one) for one in base)}, base)
    for name, objects in ordered.items():
        result |= _overlay(overlay(name), {identity(one): one for one in base}, objects)
    return dict(sorted(result.items()))


def overlay(environment: str) -> str:
    """Return the directory with all objects of an environment."""
    return f"{_OVERLAYS}/{environment}"


def file_name(one: Object) -> str:
    """Return the name of the file of an object: ``deployment-web.yaml``."""
    name = f"{one['kind'].lower()}-{one['metadata']['name']}"
    digest = hashlib.sha256(name.encode()).hexdigest()[:8]
    return f"{name}.yaml" if len(name) <= _LONGEST else f"{name[:_LONGEST]}-{digest}.yaml"


def _overlay(path: str, base: Mapping[str, Object], objects: Sequence[Object]) -> dict[str, str]:
    own = [one for one in objects if identity(one) not in base]
    patches = [(one, difference(base[identity(one)], one)) for one in objects if identity(one) in base]
    patches = sorted(((one, patch) for one, patch in patches if patch), key=lambda pair: file_name(pair[0]))
    index: dict[str, Any] = {
        "resources": [posixpath.relpath(_BASE, path), *sorted(file_name(one) for one in own)],
        **({"patches": [_patch(one) for one, _ in patches]} if patches else {}),
    }
    texts = {f"{path}/{_PATCH}{file_name(one)}": _text(patch) for one, patch in patches}
    return _directory(path, index, own) | texts


def _patch(one: Object) -> dict[str, Any]:
    group, _, version = one["apiVersion"].rpartition("/")
    target = {**({"group": group} if group else {}), "version": version, "kind": one["kind"]}
    return {"path": f"{_PATCH}{file_name(one)}", "target": {**target, "name": one["metadata"]["name"]}}


def _directory(path: str, index: Mapping[str, Any], objects: Sequence[Object]) -> dict[str, str]:
    texts = {f"{path}/{file_name(one)}": _text(one) for one in objects}
    return {f"{path}/{_INDEX}": _text({**_HEAD, **index}), **texts}


def _text(data: Any) -> str:
    return f"# {MARK}\n{document(data)}"


def environments_in(found: Files, read: Callable[[str], Any]) -> dict[str, list[Object]]:
    """Return the objects of each environment in the files of an earlier run; ``read`` parses YAML.

    Raises ValueError, KeyError or TypeError for files that are not as we write them.
    """
    data = {path: read(text) for path, text in found.items()}
    base = _resources(data, _BASE)
    names = sorted({path.split("/")[1] for path in data if path.startswith(f"{_OVERLAYS}/")})
    return {name: _resolved(data, overlay(name), base) for name in names}


def _resources(data: Mapping[str, Any], path: str) -> list[Object]:
    index = data.get(f"{path}/{_INDEX}") or {}
    return [data[f"{path}/{name}"] for name in index.get("resources") or () if not name.startswith("..")]


def _resolved(data: Mapping[str, Any], path: str, base: Sequence[Object]) -> list[Object]:
    patches = {
        (entry["target"]["kind"], entry["target"]["name"]): data[f"{path}/{entry['path']}"]
        for entry in data[f"{path}/{_INDEX}"].get("patches") or ()
    }
    named = ((one, patches.get((one["kind"], one["metadata"]["name"]), ())) for one in base)
    return [*(applied(one, patch) for one, patch in named), *_resources(data, path)]
