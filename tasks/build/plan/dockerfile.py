"""The stage graph of a Dockerfile: which stages there are, what they build from and which arguments they take.

Reads the instructions of the Dockerfile reference that shape the graph (``FROM``, ``ARG``, ``COPY --from``,
``RUN --mount=…from=``); everything else is left to BuildKit.
"""

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import field, replace

from ...model.lazy_pattern import lazy_pattern
from ...model.record import Record
from .copies import EVERYTHING, plain, taken_paths

_FROM = lazy_pattern(r"FROM\s+(?:--platform=\S+\s+)?(?P<base>\S+)(?:\s+AS\s+(?P<name>\S+))?\s*$", re.IGNORECASE)
_ARG = lazy_pattern(r"ARG\s+(?P<rest>.+)", re.IGNORECASE)
# Flags stand between the instruction and its first argument; the same words later belong to the command.
_FLAGS = lazy_pattern(r"(?:COPY|RUN|ADD)(?P<flags>(?:\s+--\S+)+)", re.IGNORECASE)
_COPY_FROM = lazy_pattern(r"\s--from=(?P<stage>\S+)")
_MOUNT_FROM = lazy_pattern(r"\s--mount=(?:\S*,)?from=(?P<stage>[^\s,]+)")
_VARIABLE = lazy_pattern(r"\$(?:\{(?P<braced>\w+)(?::?(?P<operator>[-+])(?P<word>[^}]*))?\}|(?P<plain>\w+))")
# A word of its own: neither a here-string (<<<) nor a shift in arithmetic.
_HEREDOC = lazy_pattern(r"(?<!\S)\d*<<(?P<dash>-?)(?P<quote>[\"']?)(?P<end>\w+)(?P=quote)(?!\S)")


class Stage(Record):
    """A stage: its name (or index), its base, the stages and images it copies from, its ``ARG`` names.

    ``inherits``: the base is an earlier stage, not an image. ``takes`` are paths and patterns of the build context.
    ``digest`` is that of its instructions, without comments.
    """

    name: str
    base: str
    sources: tuple[str, ...]
    arguments: tuple[str, ...]
    inherits: bool = False
    takes: tuple[str, ...] = ()
    digest: str = field(default="", compare=False)


class Dockerfile(Record):
    """The stages in order, and the global arguments with their defaults.

    ``plain``: no directive at its head changes the meaning of its instructions.
    """

    stages: tuple[Stage, ...]
    arguments: Mapping[str, str]
    plain: bool = True

    def names(self) -> tuple[str, ...]:
        """Return the stages that have a name, in order."""
        return tuple(stage.name for stage in self.stages if not stage.name.isdigit())

    def find(self, target: str) -> Stage | None:
        """Return the stage called ``target`` (stage names ignore case), the last one for ``""``."""
        if not target:
            return self.stages[-1] if self.stages else None
        return _find(self.stages, target)

    def reach(self, target: str) -> tuple[Stage, ...]:
        """Return the stages that ``target`` is made of, itself included."""
        todo, reached = [self.find(target)], {}
        while todo:
            stage = todo.pop()
            if stage is None or id(stage) in reached:
                continue
            reached[id(stage)] = stage
            todo.extend(self.find(name) for name in stage.sources)
            if stage.inherits:
                todo.append(self._base(stage))
        return tuple(reached.values())

    def images(self, target: str) -> tuple[str, ...]:
        """Return the images outside this file that ``target`` is built from, sorted."""
        return self._outside(self.reach(target))

    def all_images(self) -> tuple[str, ...]:
        """Return the images outside this file that any stage is built from, sorted."""
        return self._outside(self.stages)

    def _outside(self, stages: tuple[Stage, ...]) -> tuple[str, ...]:
        names = {stage.base for stage in stages if stage.base and not stage.inherits}
        names |= {name for stage in stages for name in stage.sources if self.find(name) is None}
        return tuple(sorted(name for name in names if name.lower() != "scratch"))

    def _base(self, stage: Stage) -> Stage | None:
        """Return the stage that a stage starts from: the last earlier stage with that name."""
        position = next(number for number, candidate in enumerate(self.stages) if candidate is stage)
        return _find(self.stages[:position], stage.base)

    def takes(self, target: str) -> tuple[str, ...] | None:
        """Return the paths and patterns that ``target`` takes of the build context; None for all, or if unknown."""
        paths = {path for stage in self.reach(target) for path in stage.takes}
        return tuple(sorted(paths)) if self.plain and EVERYTHING not in paths else None

    def declared(self, target: str) -> frozenset[str]:
        """Return the names of the build arguments that can change ``target``."""
        names = set(self.arguments)
        for stage in self.reach(target):
            names.update(stage.arguments)
        return frozenset(names)


def _find(stages: Sequence[Stage], name: str) -> Stage | None:
    """Return the stage with a name or at a position; like BuildKit, the last of several stages with the same name."""
    wanted = name.lower()
    matches = [stage for position, stage in enumerate(stages) if wanted in (stage.name.lower(), str(position))]
    return matches[-1] if matches else None


def logical_lines(text: str, documents: bool = False) -> list[str]:
    """Return the instructions with continuation lines joined, comments left out.

    With ``documents`` the lines of here-documents follow their instruction in the same text, else they are left out.
    """
    lines: list[str] = []
    pending = ""
    heredocs: list[tuple[bool, str]] = []
    for raw in text.removeprefix("\ufeff").splitlines():
        line = raw.strip()
        if heredocs:
            tabs, end = heredocs[0]
            if (raw.lstrip("\t") if tabs else raw) == end:
                heredocs.pop(0)
            elif documents:
                lines[-1] += f"\n{raw}"
            continue
        if not line or line.startswith("#"):
            continue
        if line.endswith("\\"):
            pending += line[:-1] + " "
            continue
        whole = pending + line
        pending = ""
        lines.append(whole)
        if whole.split(None, 1)[0].upper() in {"RUN", "COPY", "ADD"}:
            heredocs = [(bool(match["dash"]), match["end"]) for match in _HEREDOC.finditer(whole)]
    return lines + ([pending.strip()] if pending.strip() else [])


def _expand(text: str, arguments: Mapping[str, str]) -> str:
    def value(match: re.Match[str]) -> str:
        argument = arguments.get(match["braced"] or match["plain"], "")
        if match["operator"] == "+":
            return match["word"] if argument else ""
        return argument or match["word"] or ""

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
    texts: list[list[str]] = []
    for whole in logical_lines(text, documents=True):
        line = whole.partition("\n")[0]
        if (match := _FROM.match(line)) is not None:
            base = _expand(match["base"], global_arguments)
            inherits = not base.isdigit() and _find(stages, base) is not None
            stages.append(Stage(match["name"] or str(len(stages)), base, (), (), inherits))
            texts.append([])
        elif (match := _ARG.match(line)) is not None:
            pairs = _argument_names(match["rest"])
            if not stages:
                for name, default in pairs:
                    global_arguments[name] = given.get(name, _expand(default, global_arguments))
            else:
                last = stages[-1]
                names = (*last.arguments, *(name for name, _ in pairs))
                stages[-1] = replace(last, arguments=names)
        for words in texts[-1:]:
            words.append(whole)
        if stages and (paths := taken_paths(line)):
            stages[-1] = replace(stages[-1], takes=(*stages[-1].takes, *paths))
        if stages and (flags := _FLAGS.match(line)) is not None:
            origins = [*_COPY_FROM.finditer(flags["flags"]), *_MOUNT_FROM.finditer(flags["flags"])]
            last = stages[-1]
            sources = (*last.sources, *(_expand(match["stage"], global_arguments) for match in origins))
            stages[-1] = replace(last, sources=sources)
    digests = [hashlib.sha256("\n".join(lines).encode(errors="surrogateescape")).hexdigest()[:16] for lines in texts]
    known = tuple(replace(stage, digest=digest) for stage, digest in zip(stages, digests, strict=True))
    return Dockerfile(known, global_arguments, plain(text))
