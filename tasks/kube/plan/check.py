"""What `inv kube.check` looks at, and what it makes of the answers."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from ...model.engine.facts import RegistryImage
from ...model.lazy_pattern import lazy_pattern
from ...model.record import Record
from ...model.reference import split_reference
from .pod_security import pod_of, violations

SCHEMA, SECURITY, IMAGES, SERVER = "schema", "security", "images", "server"
PASSED, FAILED, UNCHECKED = "passed", "failed", "not checked"
CHECKS: Mapping[str, str] = {
    SCHEMA: "every object is as the schema of its kind says",
    SECURITY: "Pods are as the level of Pod Security wants them",
    IMAGES: "every image is pinned by a digest that its registry has",
    SERVER: "the API server takes every object (dry run)",
}
Fields = Mapping[str, Any]


class ObjectFinding(Record):
    """Something to fix: what ``check`` found at an object (``Deployment web``), at ``field`` where it has one."""

    check: str
    thing: str
    message: str
    field: str = ""

    @property
    def line(self) -> str:
        """The finding as one line."""
        return ": ".join(part for part in (self.thing, self.field, self.message) if part)

    def document(self) -> dict[str, Any]:
        """Return the finding as JSON data."""
        return {"check": self.check, "object": self.thing, "field": self.field or None, "message": self.message}


def name_of(thing: Fields) -> str:
    """Return what an object is called by people: its kind and its name."""
    return f"{thing.get('kind', 'object')} {(thing.get('metadata') or {}).get('name', 'without a name')}"


def security(objects: Iterable[Fields], level: str) -> tuple[ObjectFinding, ...]:
    """Return what the Pods of objects have that a level of the Pod Security Standards forbids."""
    return tuple(
        ObjectFinding(SECURITY, name_of(thing), f"{violation.message} ({level})", violation.field)
        for thing in objects
        for violation in violations(pod_of(thing) or {}, level)
    )


def images(objects: Iterable[Fields]) -> dict[str, tuple[str, ...]]:
    """Return the images that Pods of objects run, each with the objects that name it."""
    found: dict[str, dict[str, None]] = {}
    for thing in objects:
        pod = pod_of(thing) or {}
        for container in [*(pod.get("initContainers") or ()), *(pod.get("containers") or ())]:
            found.setdefault(str(container.get("image") or ""), {})[name_of(thing)] = None
    return {image: tuple(names) for image, names in found.items()}


def asked(used: Iterable[str]) -> tuple[str, ...]:
    """Return the images whose registry is asked: those that are pinned."""
    return tuple(image for image in used if "@" in image)


def judge_images(
    used: Mapping[str, Sequence[str]], registered: Mapping[str, RegistryImage]
) -> tuple[ObjectFinding, ...]:
    """Return what is wrong with images: what a node could not pull, or would pull in another version one day."""
    findings = []
    for image, things in used.items():
        if message := _image(image, registered.get(image)):
            findings.append(ObjectFinding(IMAGES, ", ".join(things), message))
    return tuple(findings)


def _image(image: str, answer: RegistryImage | None) -> str:
    if not image:
        return "a container names no image"
    if answer is None:
        return f"{image} is not pinned by a digest: push it (inv image.push), or a node may run another image"
    if answer.fault:
        return f"{image}: its registry could not be asked: {_last_line(answer.fault)}"
    if not answer.digest:
        return f"{image}: {split_reference(image)[0].partition('/')[0]} does not have it: inv image.push"
    return ""


def server(said: str) -> tuple[ObjectFinding, ...]:
    """Return the findings in what kubectl wrote to stderr when it applied objects; lines of details belong together."""
    findings: list[ObjectFinding] = []
    for line in _together(said):
        thing = _OBJECT.search(line)
        where = f"{thing['kind'].capitalize()} {thing['name']}" if thing else ""
        finding = ObjectFinding(SERVER, where or "objects", _told(line))
        if finding not in findings:
            findings.append(finding)
    return tuple(findings)


# Where the API server names the object: `The Deployment "web" is invalid: …`, `deployments.apps "web" is forbidden: …`,
# `Error from server (BadRequest): error when creating "STDIN": Deployment in version "v1" cannot be handled …`
_OBJECT = lazy_pattern(r'(?:The )?\b(?P<kind>[A-Za-z]+?)s?(?:\.[a-z0-9.]+)? "(?P<name>[^"]+)" (?:is|in|already|not)\b')
_NOISE = lazy_pattern(
    r'^(?:Error from server(?: \(\w+\))?: |error: |Warning: |error when (?:creating|applying patch|patching) "[^"]*": )'
)


def _together(said: str) -> Iterator[str]:
    """Yield one line for each statement: `* field: …` and indented lines go with the line before."""
    head, details = "", []
    for line in said.splitlines():
        if line.startswith(("* ", " ", "\t")):
            details.append(line.strip().removeprefix("* "))
            continue
        if head:
            yield " ".join([head, "; ".join(details)]).strip()
        head, details = line.strip(), []
    if head:
        yield " ".join([head, "; ".join(details)]).strip()


def _told(line: str) -> str:
    while shorter := _NOISE.sub("", line):
        if shorter == line:
            break
        line = shorter
    return line


def _last_line(text: str) -> str:
    return (text.strip().splitlines() or [""])[-1]


def outcomes(findings: Iterable[ObjectFinding], unchecked: Mapping[str, str]) -> dict[str, str]:
    """Return what became of each check; ``unchecked`` says of a check why it was not made."""
    failed = {finding.check for finding in findings}
    return {check: UNCHECKED if check in unchecked else FAILED if check in failed else PASSED for check in CHECKS}
