"""Completion scripts: they complete from a table of tasks and options that Invoke prints, and add the values.

A Tab starts Python only for values that Compose or the engine has to give, and when tasks have changed.
"""

import hashlib
import os
import shlex
from collections.abc import Iterator
from pathlib import Path

from invoke import Context

from ..host.output import emit, note
from ..host.profile.settings import settings
from ..host.project import Project
from ..host.runner import Runner
from ..model.command import Command
from ..model.errors import InputError
from ..release import store
from .plan import completion
from .plan.check import steps

_SCRIPTS = {"bash": "completion.bash", "zsh": "completion.bash", "fish": "completion.fish"}
_BASH_COMPLETION = Path("/usr/share/bash-completion/bash_completion")


def run(c: Context, shell: str, values: str, env: str, install: bool) -> None:
    """Write a completion script, or the values that an option can take, to stdout; ``install`` puts it in its place."""
    if values:
        for value in _values(c, values, env):
            emit(value)
        return
    if shell not in _SCRIPTS:
        raise InputError(f"no completion for {shell!r}", f"name the shell: {', '.join(_SCRIPTS)}")
    text = _script(shell)
    if install:
        _install(Runner(dry=bool(c.config.run.dry), echo=bool(c.config.run.echo)), shell, text)
    else:
        emit(text.rstrip("\n"))


def _values(c: Context, kind: str, env: str) -> Iterator[str]:
    if kind == "service":
        yield from Project(c, env).stack.services
    elif kind == "release":
        yield from (str(release.id) for release in store.history(Project(c, env)))
    elif kind == "only":
        yield from (step.name for step in steps("", (), ""))
    else:
        raise InputError(f"no values for {kind!r}", "there are: service, release, only")


def _script(shell: str) -> str:
    text = Path(__file__).with_name(_SCRIPTS[shell]).read_text(encoding="utf-8")
    for name, place in _places().items():
        text = text.replace(f"@{name}@", completion.fish_quoted(place) if shell == "fish" else shlex.quote(place))
    return completion.HEADS[shell] + text + completion.TAILS[shell]


def _install(runner: Runner, shell: str, text: str) -> None:
    """Write the script where the shell finds it, and a line into its start file where it looks nowhere by itself."""
    directories = {
        "home": str(Path.home()),
        "data": os.environ.get("XDG_DATA_HOME") or str(Path.home() / ".local" / "share"),
        "config": os.environ.get("XDG_CONFIG_HOME") or str(Path.home() / ".config"),
        "zsh": os.environ.get("ZDOTDIR") or str(Path.home()),
    }
    place = completion.place(shell, directories, lazy=_BASH_COMPLETION.exists())
    path = Path(place.script)
    if not runner.dry:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        note(f"wrote {path}")
    else:
        runner.run(Command(("tee", str(path)), stdin=text))
    start = Path(place.start_file) if place.start_file else None
    if start and place.line not in (start.read_text(encoding="utf-8") if start.exists() else ""):
        if runner.dry:
            runner.run(Command(("tee", "-a", str(start)), stdin=place.line + "\n"))
        else:
            with start.open("a", encoding="utf-8") as file:
                file.write(f"{place.line}\n")
            note(f"added a line to {start}")
    if not runner.dry:
        note(f"it works in every new {shell}; in this one after: {place.now}")


def _places() -> dict[str, str]:
    """Return the paths to put into a script; each checkout and directory of profiles has its own table of tasks."""
    where = settings()
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache", "slipway")
    mark = hashlib.sha256(f"{where.home}\n{where.envs_dir}".encode()).hexdigest()[:16]
    return {
        "ENVS": str(where.envs_dir),
        "HOME": str(where.home),
        "ROOT": str(where.root),
        "INV": str(where.home / "inv"),
        "VENV": str(where.home / ".venv" / "bin"),
        "TASKS": str(where.home / "tasks"),
        "SETTINGS": str(where.root / "invoke.yaml"),
        "PROJECT": str(where.project_dir),
        "BACKUPS": str(where.backups_dir),
        "CACHE": str(cache),
        "TABLE": str(cache / f"completion-{mark}"),
    }
