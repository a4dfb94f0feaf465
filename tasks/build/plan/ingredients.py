"""What went into an image, thing by thing, so that a later build can say what made the image new."""

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from typing import Any

from .bake import Target, linked
from .copies import EVERYTHING, selection
from .dockerfile import Dockerfile, Stage
from .inputs import Inputs

ADDED, REMOVED, CHANGED = "added", "removed", "changed"
FILE, ARGUMENT, BASE, STAGE, IMAGE, SETTING, TARGET, TOOL = (
    "file", "argument", "base", "stage", "image", "setting", "target", "tool"
)  # fmt: skip
SCHEMA = "slipway/inputs/v1"
_DIGITS = 16
_REFERENCES = 200  # images of which it is noted


@dataclass(frozen=True)
class ContextFiles:
    """The files of a build's contexts, as digests by path.

    ``main`` are those of its own context and ``links`` the symbolic links among them, ``further`` those of other
    contexts (``NAME:PATH``) and the Dockerfile. ``taken`` are, by stage, the patterns of what the
    stage takes of ``main``; None for all.
    """

    main: Mapping[str, str] = field(default_factory=dict)
    links: frozenset[str] = frozenset()
    further: Mapping[str, str] = field(default_factory=dict)
    taken: Mapping[str, tuple[str, ...] | None] = field(default_factory=dict)

    def takes(self, stage: Stage, name: str) -> bool:
        """Whether an instruction of a stage takes a file of ``main``, which may be gone."""
        return EVERYTHING in stage.takes or selection(stage.takes).takes(name)

    def of(self, stage: str) -> dict[str, str]:
        """Return the files that a stage takes."""
        patterns = self.taken.get(stage)
        if patterns is None:
            return {**self.main, **self.further}
        wanted = selection(patterns)
        if any(wanted.leads(name) for name in self.links):
            return {**self.main, **self.further}
        return {**{name: text for name, text in self.main.items() if wanted.takes(name)}, **self.further}


@dataclass(frozen=True)
class Why:
    """A difference of what goes into an image; ``stages`` of the Dockerfile take a file that has changed."""

    kind: str
    name: str
    change: str
    stages: tuple[str, ...] = ()

    def words(self) -> str:
        """Return the difference in words."""
        where = f" (stage {', '.join(self.stages)})" if self.stages else ""
        return f"{self.kind} {self.name} {self.change}{where}"


@dataclass(frozen=True)
class Ingredients:
    """What goes into an image: digests by name, never values; ``tools`` are versions. ``fingerprint`` is of the whole.

    ``bases`` are images outside of the Dockerfile, ``images`` those of other services, ``settings`` further keys of the
    Compose file's ``build``.
    """

    fingerprint: str
    target: str = ""
    files: Mapping[str, str] = field(default_factory=dict)
    arguments: Mapping[str, str] = field(default_factory=dict)
    bases: Mapping[str, str] = field(default_factory=dict)
    stages: Mapping[str, str] = field(default_factory=dict)
    images: Mapping[str, str] = field(default_factory=dict)
    settings: Mapping[str, str] = field(default_factory=dict)
    tools: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Built:
    """A build as it is noted: the id of its image, what went in, and what had made the image new when it was made."""

    image: str
    ingredients: Ingredients
    made: tuple[Why, ...] = ()


def digest(value: object) -> str:
    """Return a digest of data, 16 hexadecimal digits."""
    return hashlib.sha256(json.dumps(value, sort_keys=True, default=str).encode()).hexdigest()[:_DIGITS]


def ingredients(
    target: Target, inputs: Inputs, files: ContextFiles, links: Mapping[str, str], tools: Mapping[str, str]
) -> Ingredients:
    """Return what goes into a target; ``links`` are the fingerprints of the services that it is built from."""
    dockerfile, build = inputs.dockerfile, target.build
    stage = dockerfile.find(target.target)
    return Ingredients(
        target.fingerprint,
        target.target,
        files.of(stage.name if stage else ""),
        {name: digest(value) for name, value in {**dockerfile.arguments, **target.arguments}.items()},
        {name: inputs.bases.get(name, name) for name in dockerfile.images(target.target)},
        {stage.name: stage.digest for stage in dockerfile.reach(target.target)},
        {name: links.get(name, "") for name in linked(build)},
        {"dockerfile": digest(build.dockerfile), **{name: digest(value) for name, value in build.extra.items()}},
        tools,
    )


def differences(
    then: Ingredients, now: Ingredients, dockerfile: Dockerfile, files: ContextFiles, path: str
) -> tuple[Why, ...]:
    """Return what of the ingredients is otherwise than ``then``, tools left out; ``path`` is the Dockerfile's.

    A change of the Dockerfile is told as its stages and arguments, or as a file where none of these has changed.
    """
    told = [Why(TARGET, now.target or "(last)", f"was {then.target or '(last)'}")] if then.target != now.target else []
    told += _between(ARGUMENT, then.arguments, now.arguments)
    told += _between(BASE, then.bases, now.bases)
    told += _between(STAGE, then.stages, now.stages)
    told += _between(IMAGE, then.images, now.images)
    told += _between(SETTING, then.settings, now.settings)
    parsed = any(why.kind in (ARGUMENT, BASE, STAGE) for why in told)
    changed = [why for why in _between(FILE, then.files, now.files) if not (parsed and why.name == path)]
    above = {why.name.rpartition("/")[0] for why in changed}  # a directory is no change beside a file in it
    stages = [stage for stage in dockerfile.reach(now.target) if stage.takes]
    return (
        *told,
        *(
            replace(why, stages=tuple(stage.name for stage in stages if files.takes(stage, why.name)))
            for why in changed
            if why.name not in above
        ),
    )


def tool_differences(then: Ingredients, now: Ingredients) -> tuple[Why, ...]:
    """Return the tools that have another version now, or are others."""
    return tuple(
        Why(TOOL, name, f"{then.tools.get(name) or '(none)'} → {now.tools.get(name) or '(none)'}")
        for name in sorted({*then.tools, *now.tools})
        if then.tools.get(name) != now.tools.get(name)
    )


def _between(kind: str, then: Mapping[str, str], now: Mapping[str, str]) -> list[Why]:
    changes = []
    for name in sorted({*then, *now}):
        if then.get(name) != now.get(name):
            change = ADDED if name not in then else REMOVED if name not in now else CHANGED
            changes.append(Why(kind, name, change))
    return changes


def document(known: Mapping[str, Built]) -> bytes:
    """Return what is noted of builds, by the reference of the image, as the JSON document that is stored."""
    images = {name: asdict(built) for name, built in list(known.items())[:_REFERENCES]}
    return json.dumps({"schema": SCHEMA, "images": images}, separators=(",", ":")).encode()


def builds(text: bytes) -> dict[str, Built]:
    """Return the stored notes; none when they are not understood: then nothing can be said of the last build."""
    try:
        images = json.loads(text)["images"]
        return {name: _built(entry) for name, entry in images.items()}
    except (ValueError, KeyError, TypeError, AttributeError):
        return {}


def _built(entry: Mapping[str, Any]) -> Built:
    known = {attribute.name for attribute in fields(Ingredients)}
    parts = {key: value for key, value in entry["ingredients"].items() if key in known}
    return Built(str(entry["image"]), Ingredients(**parts), tuple(_why(why) for why in entry.get("made", ())))


def _why(entry: Mapping[str, Any]) -> Why:
    return Why(str(entry["kind"]), str(entry["name"]), str(entry["change"]), tuple(entry.get("stages", ())))


def newest_first(fresh: Mapping[str, Built], known: Iterable[tuple[str, Built]]) -> dict[str, Built]:
    """Return the notes of builds with the fresh ones in front."""
    return {**fresh, **{name: built for name, built in known if name not in fresh}}
