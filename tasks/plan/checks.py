"""What has to be green before a change lands."""

import sys
from collections.abc import Sequence
from dataclasses import dataclass

from .command import Command
from .errors import InputError

# A file's tests share a stack, so a file stays with one process.
_SPREAD = ("--numprocesses=auto", "--maxprocesses=4", "--dist=loadfile")
# A week of one stack beside that of another; more at once would measure how busy the machine is.
_BESIDE = ("--numprocesses=2", "--maxschedchunk=1")

# Properties that take a while each and share nothing.
_PAIR = ("--numprocesses=2", "--dist=worksteal")


@dataclass(frozen=True)
class Check:
    """One step of ``inv check``; ``fast`` ones need no engine."""

    name: str
    command: Command
    fast: bool = True


def steps(root: str, dockerfiles: Sequence[str]) -> tuple[Check, ...]:
    """Return the steps in the order in which they run: cheap ones first."""
    python = sys.executable

    def module(*words: str) -> Command:
        return Command((python, "-m", *words), cwd=root)

    return (
        Check("format", module("ruff", "format", "--check", "tasks", "tests")),
        Check("ruff", module("ruff", "check", "tasks", "tests")),
        Check("mypy", module("mypy", "--strict", "tasks")),
        Check("hadolint", Command(("hadolint", *dockerfiles), cwd=root)),
        Check("unit", module("pytest", "tests/unit", "-q")),
        Check("model", module("pytest", "tests/model", "-q", *_PAIR)),
        Check("contract", module("pytest", "tests/contract", "-q"), fast=False),
        Check("e2e", module("pytest", "tests/e2e", "-q", *_SPREAD), fast=False),
        Check("life", module("pytest", "tests/life", "-q", *_BESIDE), fast=False),
    )


def select(found: Sequence[Check], fast: bool, only: Sequence[str]) -> tuple[Check, ...]:
    """Return the steps to run; raises InputError for a name that is none."""
    names = [one.name for one in found]
    for name in only:
        if name not in names:
            raise InputError(f"no check {name!r}", f"there are: {', '.join(names)}")
    return tuple(one for one in found if (one.name in only if only else one.fast or not fast))
