"""The stage graph of a Dockerfile: which stages there are, what they build from and which arguments they take.

Reads the instructions of the Dockerfile reference that shape the graph (``FROM``, ``ARG``, ``COPY --from``,
``RUN --mount=…from=``); BuildKit stays the judge of everything else.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass

_FROM = re.compile(r"FROM\s+(?:--platform=\S+\s+)?(?P<base>\S+)(?:\s+AS\s+(?P<name>\S+))?\s*$", re.IGNORECASE)
_ARG = re.compile(r"ARG\s+(?P<rest>.+)", re.IGNORECASE)
_COPY_FROM = re.compile(r"--from=(?P<stage>[^\s,]+)")
_MOUNT_FROM = re.compile(r"--mount=\S*?\bfrom=(?P<stage>[^\s,]+)")
_VARIABLE = re.compile(r"\$(?:\{(?P<braced>\w+)(?::?-(?P<default>[^}]*))?\}|(?P<plain>\w+))")


@dataclass(frozen=True)
class Stage:
    """One stage: its name (or index), its base, the stages and images it copies from, its ``ARG`` names."""

    name: str
    base: str
    sources: tuple[str, ...]
    arguments: tuple[str, ...]


@dataclass(frozen=True)
class Dockerfile:
    """The stages in order, and the global arguments with their defaults."""

    stages: tuple[Stage, ...]
    arguments: Mapping[str, str]

    def names(self) -> tuple[str, ...]:
        """Return the stages that have a name, in order."""
        return tuple(stage.name for stage in self.stages if not stage.name.isdigit())

    def find(self, target: str) -> Stage | None:
        """Return the stage called ``target`` (stage names ignore case), the last one for ``""``."""
        if not target:
            return self.stages[-1] if self.stages else None
        wanted = target.lower()
        for position, stage in enumerate(self.stages):
            if stage.name.lower() == wanted or str(position) == wanted:
                return stage
        return None

    def reach(self, target: str) -> tuple[Stage, ...]:
        """Return the stages that ``target`` is made of, itself included."""
        todo, found = [self.find(target)], {}
        while todo:
            stage = todo.pop()
            if stage is None or stage.name in found:
                continue
            found[stage.name] = stage
            todo.extend(self.find(name) for name in (stage.base, *stage.sources) if name)
        return tuple(found.values())

    def images(self, target: str) -> tuple[str, ...]:
        """Return the images outside this file that ``target`` is built from, sorted."""
        return self._outside(self.reach(target))

    def all_images(self) -> tuple[str, ...]:
        """Return the images outside this file that any stage is built from, sorted."""
        return self._outside(self.stages)

    def _outside(self, stages: tuple[Stage, ...]) -> tuple[str, ...]:
        names = {name for stage in stages for name in (stage.base, *stage.sources)}
        return tuple(sorted(name for name in names if self.find(name) is None and name.lower() != "scratch"))

    def declared(self, target: str) -> frozenset[str]:
        """Return the names of the build arguments that can change ``target``."""
        names = set(self.arguments)
        for stage in self.reach(target):
            names.update(stage.arguments)
        return frozenset(names)


def _logical_lines(text: str) -> list[str]:
    """Return the instructions with continuation lines joined, comments and here-documents left out."""
    lines: list[str] = []
    pending = ""
    heredoc_end = ""
    for raw in text.splitlines():
        line = raw.strip()
        if heredoc_end:
            heredoc_end = "" if line == heredoc_end else heredoc_end
            continue
        if not line or line.startswith("#"):
            continue
        if line.endswith("\\"):
            pending += line[:-1] + " "
            continue
        whole = pending + line
        pending = ""
        lines.append(whole)
        heredoc = re.search(r"<<-?[\"']?(\w+)[\"']?", whole)
        if heredoc and whole.split(None, 1)[0].upper() in {"RUN", "COPY", "ADD"}:
            heredoc_end = heredoc[1]
    return lines + ([pending.strip()] if pending.strip() else [])


def _expand(text: str, arguments: Mapping[str, str]) -> str:
    def value(match: re.Match[str]) -> str:
        name = match["braced"] or match["plain"]
        return arguments.get(name) or match["default"] or ""

    return _VARIABLE.sub(value, text)


def _argument_names(rest: str) -> list[tuple[str, str]]:
    pairs = []
    for word in re.findall(r"(\w+)(?:=(\"[^\"]*\"|'[^']*'|\S*))?", rest):
        pairs.append((word[0], word[1].strip("\"'")))
    return pairs


def parse(text: str, given: Mapping[str, str] | None = None) -> Dockerfile:
    """Return the stage graph of a Dockerfile; ``given`` are build arguments that override global ``ARG`` defaults."""
    given = given or {}
    global_arguments: dict[str, str] = {}
    stages: list[Stage] = []
    for line in _logical_lines(text):
        if (match := _FROM.match(line)) is not None:
            base = _expand(match["base"], global_arguments)
            stages.append(Stage(match["name"] or str(len(stages)), base, (), ()))
        elif (match := _ARG.match(line)) is not None:
            pairs = _argument_names(match["rest"])
            if not stages:
                global_arguments |= {name: given.get(name, default) for name, default in pairs}
            else:
                last = stages[-1]
                names = (*last.arguments, *(name for name, _ in pairs))
                stages[-1] = Stage(last.name, last.base, last.sources, names)
        elif stages:
            found = [*_COPY_FROM.finditer(line), *_MOUNT_FROM.finditer(line)]
            last = stages[-1]
            sources = (*last.sources, *(_expand(match["stage"], global_arguments) for match in found))
            stages[-1] = Stage(last.name, last.base, sources, last.arguments)
    return Dockerfile(tuple(stages), global_arguments)
