"""Asks Compose for the model as soon as the profile is read: it works while Python loads the rest."""

import functools
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace

from ...model.compose import build_files, compose
from ...model.profile.profile import Profile
from ..runner import Pending, start
from .extensions import override_file
from .load_profile import load_profile
from .settings import Settings, settings

# Options of the program that change nothing of what a task reads; the first ones are followed by a value.
_VALUED, _SWITCHES = ("--search-root", "--log-format"), ("--dry", "-R", "--echo", "-e", "--quiet", "-q")
_LOOKS = ("deploy.plan", "deploy.status", "kube.render", "kube.report", "kube.check")
# The other tasks of the namespace that has a task for each environment: none of them makes a plan of today's files.
_OTHERS = ("deploy.down", "deploy.history", "deploy.maintenance", "deploy.rollback", "deploy.unlock")
_OTHER_PROJECT = ("--help", "-h", "--rehearse")


def ask_model(profile: Profile, where: Settings) -> Pending:
    """Ask Compose for the model, with what several files say under ``x-slipway`` merged."""
    cwd, together = str(where.project_dir), override_file(profile, where)
    if not together:
        return start(compose(profile, "config", cwd=cwd, files=build_files(profile)))
    files = (*build_files(profile), "-")
    return start(replace(compose(profile, "config", cwd=cwd, files=files), stdin=together))


def ask_hashes(profile: Profile, where: Settings) -> Pending:
    """Ask Compose for its configuration hashes."""
    words = ("config", "--hash", "*")
    return start(compose(profile, *words, cwd=str(where.project_dir), files=build_files(profile)))


class HeadStart:
    """What was asked of Compose for the first project that a process makes; it is of no use to a later one."""

    def __init__(self, environment: str) -> None:
        self._environment, self._offered = environment, True
        where = settings()
        self.profile = load_profile(environment)
        # Not the hashes as well: of two processes at once, and Python, the one that is waited for ends later.
        self.model = ask_model(self.profile, where)

    def for_project(self, environment: str) -> "HeadStart | None":
        """Return what was asked when it is for this environment, and nobody was offered it before."""
        offered, self._offered = self._offered, False
        return self if offered and environment == self._environment else None

    def end(self) -> None:
        """End what still runs: nobody wanted to know."""
        if self.model.works:
            self.model.end()


def begin() -> HeadStart | None:
    """Ask Compose for the model that the first task of the command line needs; None where that is not known yet."""
    return _begun(tuple(sys.argv[1:]))


def taken(environment: str, options: Mapping[str, str] | None) -> HeadStart | None:
    """Return what Compose was asked for the project of an environment, None when it has to be asked now."""
    begun = begin()
    offered = begun.for_project(environment) if begun else None
    return None if options else offered


@functools.cache
def _begun(words: tuple[str, ...]) -> HeadStart | None:
    environment = planned(words)
    if environment is None:
        return None
    try:
        return HeadStart(environment)
    except Exception:  # the task reads the same again, and reports it
        return None


def planned(words: Sequence[str]) -> str | None:
    """Return the environment whose files the first task of a command line reads first, "" for the default one.

    None for other tasks, and where it takes more than a look at the words to tell.
    """
    rest = list(words)
    while rest and rest[0].startswith("-"):
        option, equals, _ = rest.pop(0).partition("=")
        if option in _VALUED:
            del rest[: 0 if equals else 1]
        elif option not in _SWITCHES:
            return None
    if not rest or set(_OTHER_PROJECT) & set(rest):
        return None
    task, *options = rest
    if task in _LOOKS:
        return _env(options)
    namespace, _, name = task.partition(".")
    return name if namespace == "deploy" and name and task not in _OTHERS else None


def _env(options: Sequence[str]) -> str:
    for number, option in enumerate(options):
        name, equals, value = option.partition("=")
        if name == "--env":
            return value if equals else next(iter(options[number + 1 :]), "")
    return ""
