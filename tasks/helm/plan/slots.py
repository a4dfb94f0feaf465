"""The fields of objects that a chart takes from its values, and what they are in an environment."""

from collections.abc import Mapping
from typing import Any

from ...kube.manifests.plan.overlays import Object
from ...kube.plan import labels
from ...model.record import Record

IMAGE, PLAIN = "image", "plain"
_WORKLOADS = ("Deployment", "StatefulSet", "DaemonSet", "Job", "CronJob")


class Slot(Record):
    """A field that a chart takes from the value at ``path``; ``kind`` says how: as it is, or as parts of an image.

    ``optional``: the field is there only where the value is neither empty nor missing.
    """

    path: tuple[str, ...]
    kind: str = PLAIN
    optional: bool = False


class Slotted(Record):
    """The objects of an environment with slots, and the values that fill these."""

    objects: tuple[Mapping[str, Any], ...]
    values: Mapping[str, Any]


PULL_SECRETS = Slot(("imagePullSecrets",), optional=True)


def slotted(objects: tuple[Object, ...]) -> Slotted:
    """Return objects with a slot for each field that operators of a cluster set, and today's values of them.

    A value that two fields would share, and that differs between them, stays literal in the second.
    """
    taken = _Taken(objects)
    return Slotted(tuple(taken.object(one) for one in objects), taken.values)


def parts_of_image(image: str) -> dict[str, str]:
    """Return the repository, the tag and the digest of an image; what it does not say is empty."""
    name, _, digest = image.partition("@")
    head, slash, last = name.rpartition("/")
    repository, _, tag = last.partition(":")
    return {"repository": f"{head}{slash}{repository}", "tag": tag, "digest": digest}


def filled(node: Any, values: Mapping[str, Any]) -> Any:
    """Return a tree with its slots filled; without optional fields that have no value."""
    if isinstance(node, Slot):
        found: Any = values
        for part in node.path:
            found = found[part]
        if node.kind == IMAGE:
            tag, digest = (f"{mark}{found[key]}" if found[key] else "" for mark, key in ((":", "tag"), ("@", "digest")))
            return f"{found['repository']}{tag}{digest}"
        return found
    if isinstance(node, Mapping):
        fields = {key: filled(value, values) for key, value in node.items()}
        return {key: value for key, value in fields.items() if value or not getattr(node[key], "optional", False)}
    return [filled(value, values) for value in node] if isinstance(node, list) else node


class _Taken:
    """One walk through the objects of an environment, which collects their values."""

    def __init__(self, objects: tuple[Object, ...]) -> None:
        self.values: dict[str, Any] = {"imagePullSecrets": [], "services": {}, "volumes": {}}
        self._images: dict[str, str] = {}
        for one in objects:
            pod = _pod(one) if one["kind"] in _WORKLOADS else {}
            self.values["imagePullSecrets"] = self.values["imagePullSecrets"] or pod.get("imagePullSecrets") or []
            for container in pod.get("containers", ()):
                if container["name"] == _service(one) and container.get("image"):
                    self._images.setdefault(container["image"], _service(one))

    def object(self, one: Object) -> Mapping[str, Any]:
        """Return an object with slots."""
        if one["kind"] in _WORKLOADS:
            return self._workload(one)
        name = _service(one)
        if one["kind"] == "PersistentVolumeClaim":
            return self._claim(one)
        if one["kind"] == "Ingress" and name:
            return self._ingress(one, name)
        if one["kind"] == "HTTPRoute" and name:
            hosts = {"hostnames": self._hosts(one["spec"].get("hostnames"), name)}
            return {**one, "spec": {**one["spec"], **{key: value for key, value in hosts.items() if value}}}
        return one

    def _take(self, path: tuple[str, ...], value: Any, kind: str = PLAIN) -> Any:
        """Return a slot for a value, or the value itself where another one has the slot's place already."""
        place = self.values
        for part in path[:-1]:
            place = place.setdefault(part, {})
        kept = parts_of_image(value) if kind == IMAGE else value
        if place.setdefault(path[-1], kept) != kept:
            return value
        return Slot(path, kind)

    def _workload(self, one: Object) -> Mapping[str, Any]:
        spec, name = one["spec"], _service(one)
        if one["kind"] == "CronJob":
            inner = self._spec(spec["jobTemplate"]["spec"], name)
            return {**one, "spec": {**spec, "jobTemplate": {**spec["jobTemplate"], "spec": inner}}}
        return {**one, "spec": self._spec(spec, name)}

    def _spec(self, spec: Mapping[str, Any], name: str) -> dict[str, Any]:
        made = {**spec, "template": {**spec["template"], "spec": self._pod(spec["template"]["spec"], name)}}
        if "replicas" in spec:
            made["replicas"] = self._take(("services", name, "replicas"), spec["replicas"])
        if "volumeClaimTemplates" in spec:
            made["volumeClaimTemplates"] = [self._claim(claim) for claim in spec["volumeClaimTemplates"]]
        return made

    def _pod(self, pod: Mapping[str, Any], name: str) -> dict[str, Any]:
        made = {**pod, "containers": [self._container(one, name) for one in pod["containers"]]}
        if "initContainers" in pod:
            made["initContainers"] = [self._container(one, name) for one in pod["initContainers"]]
        if (pod.get("imagePullSecrets") or []) == self.values["imagePullSecrets"]:
            made["imagePullSecrets"] = PULL_SECRETS
        return made

    def _container(self, container: Mapping[str, Any], name: str) -> dict[str, Any]:
        made, image, own = dict(container), container.get("image"), container["name"] == name
        owner = name if own else self._images.get(str(image), "")
        if image and owner:
            made["image"] = self._take(("services", owner, "image"), image, IMAGE)
        if own and "resources" in container:
            made["resources"] = self._take(("services", name, "resources"), container["resources"])
        if own and "env" in container:
            made["env"] = [self._variable(entry, name) for entry in container["env"]]
        return made

    def _variable(self, entry: Mapping[str, Any], name: str) -> Mapping[str, Any]:
        if "value" not in entry:
            return entry
        return {**entry, "value": self._take(("services", name, "environment", entry["name"]), entry["value"])}

    def _claim(self, claim: Object) -> Mapping[str, Any]:
        name, spec = claim["metadata"]["name"], claim["spec"]
        made = dict(spec)
        size = ((spec.get("resources") or {}).get("requests") or {}).get("storage")
        if size is not None:
            taken = self._take(("volumes", name, "size"), size)
            made["resources"] = {**spec["resources"], "requests": {**spec["resources"]["requests"], "storage": taken}}
        # Nothing is a class too: the cluster's default one. "" is none: for volumes that exist.
        if spec.get("storageClassName") != "":
            slot = self._take(("volumes", name, "class"), spec.get("storageClassName") or "")
            made |= {"storageClassName": Slot(slot.path, optional=True)} if isinstance(slot, Slot) else {}
        return {**claim, "spec": made}

    def _ingress(self, one: Object, name: str) -> Mapping[str, Any]:
        spec = dict(one["spec"])
        if "ingressClassName" in spec:
            spec["ingressClassName"] = self._take(("services", name, "ingress", "class"), spec["ingressClassName"])
        for key, field in (("rules", "host"), ("tls", "hosts")):
            if key in spec:
                spec[key] = [self._named(entry, field, name) for entry in spec[key]]
        return {**one, "spec": spec}

    def _named(self, entry: Mapping[str, Any], field: str, name: str) -> Mapping[str, Any]:
        if field not in entry:
            return entry
        value = entry[field]
        return {**entry, field: self._hosts(value, name) if isinstance(value, list) else self._host(value, name)}

    def _hosts(self, hosts: Any, name: str) -> list[Any]:
        return [self._host(host, name) for host in hosts or ()]

    def _host(self, host: str, name: str) -> Any:
        return self._take(("services", name, "ingress", "host"), host)


def _service(one: Object) -> str:
    return str((one["metadata"].get("labels") or {}).get(labels.SERVICE, ""))


def _pod(one: Object) -> Mapping[str, Any]:
    spec = one["spec"]["jobTemplate"]["spec"] if one["kind"] == "CronJob" else one["spec"]
    pod: Mapping[str, Any] = spec["template"]["spec"]
    return pod
