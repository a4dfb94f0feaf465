"""Deploys a verified commit as a person would: ``inv deploy.ENVIRONMENT`` in its checkout, in a process of its own.

A process of its own, because a deploy is one: its settings come from the environment and the working directory of the
process, it changes the niceness and the signals of the process, and masks the secrets of its profile until the process
ends. The agent goes on for weeks, with the profile of its own checkout. What runs is the agent's own Slipway, not
the one of the commit, with the command line and the exit codes that people rely on.
"""

import json
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from ..host import git
from ..host.lock import by_agent
from ..host.output import note
from ..host.profile.settings import layer_paths, section_of
from ..host.project import Project
from ..host.runner import capture
from ..model.command import Command
from ..model.errors import CommandError, RefusedError, SlipwayError
from ..model.record import Record
from ..model.secret import Secret
from ..reconcile.plan.operation import UNCHANGED, WAIT
from .clone import Clone
from .plan import ended
from .plan.ended import DeployEnd

AGENT = "gitops"  # the operator of its deploys
_WAY_BACK = 900.0  # seconds that a deploy gets to go back after a signal
_LOOK = 300.0  # seconds that a plan may take
INSIDE = ("project_dir", "envs_dir", "hooks_dir")  # come from the commit; where reports and backups go does not
OUTSIDE = ("reports_dir", "backups_dir")


class Checkout(Record):
    """The checkout of a commit as a deploy sees it: its working directory, its profiles, and its environment."""

    root: Path
    envs_dir: Path
    env: Mapping[str, str | Secret]


def checkout(project: Project, clone: Clone) -> Checkout:
    """Return how a deploy sees the checkout: all directories have the place in it that they have in the agent's own."""
    where = project.settings
    top = _top(project)

    def inside(path: Path) -> Path:
        real = path.resolve()
        return clone.checkout / real.relative_to(top) if real.is_relative_to(top) else path

    directories = {name: inside(getattr(where, name)) for name in INSIDE}
    root = inside(where.root) if where.root.resolve().is_relative_to(top) else clone.checkout
    directories |= {name: getattr(where, name) for name in OUTSIDE}
    env = {f"SLIPWAY_{name.upper()}": str(path) for name, path in directories.items()}
    env["SLIPWAY_ROOT"] = str(root) if section_of(root) is not None else ""
    # A name that comes from the directory, or from the commit, would make another stack.
    env["COMPOSE_PROJECT_NAME"] = project.stack.project
    return Checkout(root, directories["envs_dir"], {**env, **by_agent(AGENT)})


def _top(project: Project) -> Path:
    """Return the directory that stands for the top of the repository: that of the git checkout of the project.

    Where it is in none, it is the directory of the settings when the project is below it, else that of the project.
    """
    here, root = project.settings.project_dir.resolve(), project.settings.root.resolve()
    result = capture(git.git_command(here, "rev-parse", "--show-toplevel"))
    if result.exit_code == 0 and result.stdout.strip():
        return Path(result.stdout.strip()).resolve()
    return root if here.is_relative_to(root) else here


def place_local_layers(project: Project, clone: Clone, seen: Checkout) -> None:
    """Link the local layers of the agent's own profile into the checkout, where a commit has no such file."""
    for path in layer_paths(project.profile.environment, project.settings):
        if not path.name.endswith(".local.env"):
            continue
        link = seen.envs_dir / path.name
        if link.is_relative_to(clone.checkout) and clone.tracked(link):
            note(f"{link.name} of the commit is used, not that of this machine: a repository should have none")
        elif link != path:
            _link(link, path)


def _link(link: Path, path: Path) -> None:
    try:
        if link.is_symlink() and link.readlink() == path and path.exists():
            return
        if path.exists() or link.is_symlink():
            link.unlink(missing_ok=True)
        if path.exists():
            link.parent.mkdir(parents=True, exist_ok=True)
            link.symlink_to(path)
    except OSError as error:
        raise RefusedError(
            f"{error.filename}: {error.strerror}: the local layer of the profile is linked there",
            "GITOPS_DIR has to be writable for this user",
        ) from None


def deploying(project: Project, seen: Checkout, plan: Path | None = None) -> Command:
    """Return the command that deploys the checkout, or carries out a ``plan`` of it and nothing else."""
    only = ("--plan", str(plan)) if plan else ()
    return _inv(project, seen, f"deploy.{project.profile.environment}", "--yes", "--json", *only)


def program(project: Project) -> tuple[str, ...]:
    """Return the words that start this Slipway, not that of a commit."""
    home = project.settings.home
    return (sys.executable, str(home / "tasks" / "cli" / "program.py"), "--search-root", str(home))


def _inv(project: Project, seen: Checkout, *words: str, seconds: float | None = None) -> Command:
    return Command(
        (*program(project), *words), env=seen.env, cwd=str(seen.root), tied=True, grace=_WAY_BACK, timeout=seconds
    )


def deploy(project: Project, seen: Checkout, plan: Path | None = None) -> DeployEnd:
    """Deploy the checkout, or carry out a plan of it, and return how that ended.

    What it tells people goes to the agent's own stderr. Raises StoppedError after a signal, when the deploy has gone
    back.
    """
    with tempfile.TemporaryDirectory() as directory:
        report = Path(directory, "report.json")
        command = deploying(project, seen, plan)
        said: list[tuple[int, str]] = []

        def explain(code: int, tail: str) -> CommandError | None:
            said.append((code, tail))
            return None

        try:
            project.runner.run(replace(command, sink=str(report)), explain)
        except CommandError:
            if not said:  # it was not even started
                raise
        code, tail = said[0] if said else (0, "")
        return ended.ended(code, tail, _document(report))


def _document(report: Path) -> dict[str, Any]:
    try:
        found = json.loads(report.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def drift(project: Project, seen: Checkout, plan: Path) -> tuple[tuple[str, ...], bool]:
    """Return what of the environment is not as the checkout says, and whether a deploy would change it.

    ``plan`` is the file that the plan for that is written to. Raises SlipwayError when nothing can be known.
    """
    plan.unlink(missing_ok=True)
    words = ("deploy.plan", "--env", project.profile.environment, "--json", "--out", str(plan))
    result = capture(_inv(project, seen, *words, seconds=_LOOK))
    try:
        document = json.loads(result.stdout)
    except ValueError:
        message = ended.last_error(result.stderr) or f"exit code {result.exit_code}"
        raise SlipwayError(f"what runs could not be compared with the commit: {message}") from None
    changes = [change for change in document["changes"] if change["action"] != UNCHANGED]
    healable = plan.is_file() and any(change["action"] != WAIT for change in changes)
    return tuple(_difference(change) for change in changes), healable


def _difference(change: Mapping[str, Any]) -> str:
    causes = ", ".join(change["causes"])
    return f"{change['service']}: {change['action']}{f' ({causes})' if causes else ''}"
