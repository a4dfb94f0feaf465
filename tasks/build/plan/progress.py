"""Reads what BuildKit prints as plain text while it builds: which image does which step, and which has failed.

The format is that of ``docker buildx bake --progress=plain``: ``#7 [app builder 2/3] RUN make``, ``#7 0.42 a line``,
``#7 CACHED``, ``#7 DONE 1.3s``, ``#7 ERROR: …``. With a single target the name of the image is left out.
https://github.com/moby/buildkit/blob/v0.13.1/util/progress/progressui/printer.go
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from ...model.lazy_pattern import lazy_pattern

_LINE = lazy_pattern(r"#(?P<number>\d+) (?P<rest>.*)")
_NAME = lazy_pattern(r"\[(?P<inside>[^\]]*)\] (?P<what>.*)")
_PRINTED = lazy_pattern(r"\d+\.\d+ ?(?P<text>.*)")
_PLACE = lazy_pattern(r"(?P<stage>.*?) ?(?P<part>\d+)/(?P<parts>\d+)$")
_EXPORT = "exporting to "
_KEPT = 200  # lines of a step that are kept to be shown if it fails


@dataclass
class Instruction:
    """A step of BuildKit's: ``image`` is "" when it belongs to no image alone."""

    name: str
    image: str
    text: str
    counted: bool = False
    cached: bool = False
    output: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class BuildNews:
    """What a line tells: the image it is about, and what that image does now; ``done``: the image is exported."""

    image: str
    text: str = ""
    done: bool = False


class BuildLog:
    """Takes the lines of a build; ``services`` are the services whose images it makes, by their bake targets."""

    def __init__(self, services: Mapping[str, str]) -> None:
        self._services = services
        self._alone = next(iter(services.values())) if len(services) == 1 else ""
        self._instructions: dict[str, Instruction] = {}
        self._end: list[str] = []
        self.failed: Instruction | None = None

    def take(self, line: str) -> BuildNews:
        """Return what a line tells."""
        match = _LINE.match(line)
        if not match:
            if line.strip() and (self._end or line.startswith("---") or self.failed):
                self._end.append(line)
            return BuildNews(self._alone)
        number, rest = match["number"], match["rest"]
        known = self._instructions.get(number)
        if known is None:
            known = self._instructions[number] = self._named(rest)
            return BuildNews(known.image, known.text)
        return self._goes_on(known, rest)

    def _goes_on(self, known: Instruction, rest: str) -> BuildNews:
        if rest.startswith("DONE") or rest == "CACHED":
            known.cached = rest == "CACHED"
            return BuildNews(known.image, done=known.name.removeprefix(f"[{known.image}] ").startswith(_EXPORT))
        if rest.startswith("ERROR"):
            self.failed = self.failed or known
        elif printed := _PRINTED.match(rest):
            known.output = [*known.output[-_KEPT + 1 :], printed["text"]]
        return BuildNews(known.image, known.text)

    def _named(self, name: str) -> Instruction:
        match = _NAME.match(name)
        inside, what = (match["inside"], match["what"]) if match else ("", name)
        target, _, where = inside.partition(" ")
        image = self._services.get(target, "")
        if image:
            inside = where
        image = image or self._alone
        place = _PLACE.match(inside)
        return Instruction(name, image, f"{inside} {what}".strip(), counted=place is not None)

    def result(self, image: str) -> str:
        """Return how many steps an image took, and how many of them were in the cache."""
        mine = [known for known in self._instructions.values() if known.image == image and known.counted]
        cached = sum(instruction.cached for instruction in mine)
        steps = "1 step" if len(mine) == 1 else f"{len(mine)} steps"
        return f"{steps}, {cached} from the cache" if mine else ""

    def unfolded(self) -> Sequence[str]:
        """Return what to show of a build that has failed: the step, all that it printed, and BuildKit's conclusion."""
        if self.failed is None:
            return self._end
        excerpt = self._end
        for number, line in enumerate(self._end):
            if line.startswith("------") and number:  # the second one ends what it printed, which is shown in full
                excerpt = self._end[number + 1 :]
                break
        return [f"> {self.failed.name}", *self.failed.output, *excerpt]
