"""What helm.push does: puts the chart of a stack into an OCI registry, and signs it."""

import tempfile
from pathlib import Path

from ..host.output import emit_json, emit_table
from ..host.profile.settings import read_yaml
from ..host.project import Project
from ..host.runner import available, capture
from ..image.plan.registry import exact
from ..image.plan.signing import Trust
from ..image.sign import refuse_unready, sign, trust
from ..image.transfers import run_retried
from ..model.command import Command
from ..model.errors import CommandError, InputError
from ..model.record import Record
from . import package
from .plan import pushing
from .plan.chart import ChartIdentity, fit_version

PUSHED, UNCHANGED = "pushed", "unchanged"


class Pushed(Record):
    """A chart in its registry: how it is called there, the digest, and whether it had to be sent."""

    name: str
    digest: str
    outcome: str


def run(project: Project, json: bool) -> None:
    """Push the chart of an environment and report its digest; a version that is there keeps its content.

    Raises InputError without HELM_REPOSITORY, RefusedError for a version that the registry has with other content.
    """
    repository, about = _repository(project), package.identity(project)
    if not fit_version(about.version):
        raise InputError(f"{about.version} is no version of a chart", "tag a commit vX.Y.Z (docs/versions.md)")
    refuse_unready(project)
    if not available(pushing.PROGRAM):
        raise pushing.missing()
    files = package.files(project)
    with tempfile.TemporaryDirectory(prefix="slipway-") as base:
        done = _push(project, Path(base), files, about, repository)
    if done is None:
        return
    sign(project, [f"{done.name}@{done.digest}"])
    _report(project, about, done, json)


def _repository(project: Project) -> str:
    repository = project.profile.text("HELM_REPOSITORY")
    if not repository:
        environment = project.profile.environment
        raise InputError(
            f"HELM_REPOSITORY is not set (environment {environment})",
            "name a repository, as in HELM_REPOSITORY=oci://registry.example.com/charts",
        )
    return repository


def _push(project: Project, base: Path, files: dict[str, str], about: ChartIdentity, repository: str) -> Pushed | None:
    """Return the chart in its registry, sent if it is not there; None in a dry run."""
    name = pushing.reference(repository, about.name)
    known = trust(name)
    if project.runner.dry:
        project.runner.show(f"{package.TASK} --env {project.profile.environment} --out charts")
        for command in _commands(Path("charts"), about, repository, known):
            project.runner.run(command)
        return None
    there = _there(project, base / "there", name, about, known)
    if there is not None:
        same = pushing.same(_read(base / "there" / about.name), files, lambda text: read_yaml(text, name))
        if same:
            return Pushed(name, there, UNCHANGED)
        if exact(about.version):
            raise pushing.other_content(name, about.version)
    for path, text in files.items():
        target = base / about.name / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text, encoding="utf-8", newline="")
    output = "".join(_asked(project, command, name) for command in _commands(base, about, repository, known))
    return Pushed(name, pushing.digest(output), PUSHED)


def _commands(base: Path, about: ChartIdentity, repository: str, known: Trust) -> tuple[Command, Command]:
    archive = base / f"{about.name}-{about.version}.tgz"
    return pushing.archive(str(base / about.name), str(base)), pushing.push(str(archive), repository, known)


def _there(project: Project, target: Path, name: str, about: ChartIdentity, known: Trust) -> str | None:
    """Return the digest of the chart that the registry has under this version, unpacked into a directory; else None."""
    command = pushing.pull(name, about.version, str(target), known)
    answer = run_retried(project, command, lambda result: pushing.fault(name, result.exit_code, result.stderr))
    return pushing.digest(answer.stdout + answer.stderr) if answer.exit_code == 0 else None


def _asked(project: Project, command: Command, name: str) -> str:
    if command.argv[1] == "push":
        answer = run_retried(project, command, lambda result: pushing.fault(name, result.exit_code, result.stderr))
    else:
        answer = capture(command)
    if answer.exit_code != 0:
        lines = answer.stderr.strip().splitlines() or ["no message"]
        raise CommandError(f"{command.title}: {lines[-1]}", answer.exit_code)
    return answer.stdout + answer.stderr


def _read(directory: Path) -> dict[str, str]:
    return {
        str(path.relative_to(directory)): path.read_bytes().decode(errors="replace")
        for path in directory.rglob("*")
        if path.is_file()
    }


def _report(project: Project, about: ChartIdentity, done: Pushed, json: bool) -> None:
    signed = bool(project.profile.text("SIGN_KEY"))
    if json:
        emit_json(
            {
                "schema": "slipway/helm.push/v1",
                "environment": project.profile.environment,
                "chart": about.name,
                "version": about.version,
                "reference": done.name,
                "digest": done.digest,
                "outcome": done.outcome,
                "signed": signed,
            }
        )
    else:
        row = (about.name, about.version, f"{done.name}@{done.digest}", done.outcome, "yes" if signed else "no")
        emit_table(("CHART", "VERSION", "REFERENCE", "OUTCOME", "SIGNED"), [row])
