"""What gitops.export --oci does: puts the objects of an environment into a registry, for Flux, and signs them.

A tag for the version keeps its content; the tag of the environment, which Flux follows, moves there last, when what it
stands for is signed.
"""

import io
import shlex
import tarfile
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path

from ..helm.plan.chart import chart_name
from ..helm.plan.pushing import reference
from ..host import git
from ..host.output import emit_json, note
from ..host.project import Project
from ..host.runner import Result, available, capture
from ..image.plan import signing
from ..image.plan.registry import exact
from ..image.sign import refuse_unready, sign, trust
from ..image.transfers import run_retried
from ..kube.manifests.plan import kustomize
from ..kube.render import secret_to_make
from ..kube.translated import rendered
from ..kube.written import MadeDirectory
from ..model import compose
from ..model.command import Command
from ..model.errors import InputError, RefusedError
from ..model.record import Record
from ..model.version import EPOCH
from .export import TASK, namespace, refuse_dirty
from .plan import artifact, exported, flux
from .plan.artifact import Artifact
from .plan.exported import Exported
from .plan.repository import public

PUSHED, UNCHANGED = "pushed", "unchanged"


class PushedArtifact(Record):
    """An artifact in its registry: the digest, and whether anything had to be sent."""

    digest: str
    outcome: str


def run(project: Project, out: str, json: bool) -> None:
    """Push the artifact of an environment, and write what Flux is to be told into a directory, if one is named.

    Raises InputError for what cannot be translated or is not said, RefusedError where it should be signed and cannot,
    and for a version that the registry has with other content.
    """
    about = _about(project)
    refuse_dirty(project)
    made = rendered(project)
    objects = [flux.kept(one) for one in made.objects]
    files = flux.files(about, objects, kustomize.overlay(about.environment))
    told = {path: text for path, text in files.items() if path.startswith("flux/")}
    content = {
        **kustomize.files({about.environment: objects}),
        **{path: text for path, text in files.items() if path not in told},
    }
    registered = Registered(project, about.address.removeprefix(flux.OCI), about.environment)
    packed = artifact.artifact(archive(content), _annotations(project))
    _write(project, about, out, told)  # first: a directory with files of others is refused before anything is sent
    if project.runner.dry:
        registered.show(packed, content)
        return
    done = registered.push(packed)
    if json:
        emit_json(_document(about, registered, done, len(content)))
    note(f"{registered.name}:{about.environment}: {done.outcome}, {done.digest}, {len(content)} files")
    for line in (*secret_to_make(project, made), *_next(about, out)):
        note(line)


def _about(project: Project) -> Exported:
    profile = project.profile
    environment, repository = profile.environment, profile.text("GITOPS_OCI_REPOSITORY")
    if not repository:
        raise InputError(
            f"GITOPS_OCI_REPOSITORY is not set (environment {environment})",
            "name a repository, as in GITOPS_OCI_REPOSITORY=oci://registry.example.com/deploys",
        )
    if signing.wanted(profile) and not profile.text("SIGN_KEY"):
        raise RefusedError(
            "VERIFY_SIGNATURES is true, and nothing says with which key the artifact is signed",
            "set SIGN_KEY to the private key of cosign, or export where it is",
        )
    name = reference(repository, chart_name(project.stack.project, environment))
    known, logins = trust(name), profile.words("KUBE_PULL_SECRETS")
    return Exported(
        environment, project.stack.project, namespace(project), f"{flux.OCI}{name}", environment,
        bool(profile.text("SIGN_KEY")), logins[0] if logins else "", known.loopback and not known.authority,
    )  # fmt: skip


def archive(files: Mapping[str, str]) -> bytes:
    """Return files by path as a tar archive; no time, owner or order of this machine is in it."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for path in sorted(files):
            content = files[path].encode()
            entry = tarfile.TarInfo(path)
            entry.size = len(content)
            tar.addfile(entry, io.BytesIO(content))
    return buffer.getvalue()


def _annotations(project: Project) -> dict[str, str]:
    """Return where the artifact comes from; a directory of this machine, and what is not committed, is no source."""
    facts = git.facts(project.settings.project_dir)
    asked = git.git_command(project.settings.project_dir, "config", "--get", "remote.origin.url")
    address = public(project.profile.text("GITOPS_REPOSITORY") or capture(asked).stdout.strip())
    if address.startswith("file:") or not ("://" in address or "@" in address):
        address = ""
    return artifact.annotations(address, "" if facts.dirty else facts.commit, facts.committed or EPOCH)


class Registered:
    """The repository of a registry that has the artifacts of an environment."""

    def __init__(self, project: Project, name: str, environment: str) -> None:
        self._project, self.name = project, name
        self._trust, self._env = trust(name), compose.docker_env(project.profile)
        self._version = project.version.text
        self._exact, self._moving = f"{name}:{environment}-{self._version}", f"{name}:{environment}"

    @property
    def tags(self) -> tuple[str, str]:
        """The tags that an artifact gets: that of its version, and that of the environment."""
        return self._exact.rpartition(":")[2], self._moving.rpartition(":")[2]

    def show(self, made: Artifact, files: Mapping[str, str]) -> None:
        """Show what would be pushed."""
        runner = self._project.runner
        for path in sorted(files):
            runner.show(f"pack {path}")
        runner.run(self._load("LAYOUT", self._exact))
        sign(self._project, [f"{self.name}@{made.digest}"])
        runner.run(self._load("LAYOUT", self._moving))

    def push(self, made: Artifact) -> PushedArtifact:
        """Push an artifact that is not there yet, sign it, and then let the environment's tag stand for it."""
        if not available(signing.PROGRAM):
            raise artifact.cosign_missing()
        refuse_unready(self._project)
        with tempfile.TemporaryDirectory(prefix="slipway-") as base:
            there = Path(base, "there")
            digest = self._stored(there, made)
            layout = there if digest else _written(Path(base, "made"), made)
            if not digest:
                digest = made.digest
                self._send(layout, self._exact)
            sign(self._project, [f"{self.name}@{digest}"])
            moves = self._stands_for() != digest
            if moves:
                self._send(layout, self._moving)
        return PushedArtifact(digest, PUSHED if moves else UNCHANGED)

    def _stored(self, target: Path, made: Artifact) -> str:
        """Return the digest under which the registry has these files as this version, got into a directory; else "".

        Raises RefusedError when an exact version has other files.
        """
        command = artifact.save(self._exact, str(target), self._trust, self._env)
        answer = self._asked(command)
        if answer.exit_code:
            return ""
        digest = artifact.stored((target / "index.json").read_bytes())
        if digest and artifact.same((target / "blobs" / digest.replace(":", "/")).read_bytes(), made):
            return digest
        if exact(self._version):
            raise artifact.other_content(self._exact)
        return ""

    def _stands_for(self) -> str:
        """Return the digest that the environment's tag stands for now, "" when there is none."""
        return artifact.resolved(self._asked(artifact.resolve(self._moving, self._trust, self._env)).stdout)

    def _asked(self, command: Command) -> Result:
        """Return the answer to a question, also that there is nothing; retried while the registry does not answer."""
        return run_retried(
            self._project, command, lambda answer: artifact.fault(self.name, answer.exit_code, answer.stderr)
        )

    def _load(self, layout: str, tagged: str) -> Command:
        return artifact.load(layout, tagged, self._trust, self._env)

    def _send(self, layout: Path, tagged: str) -> None:
        """Push a layout under a tag; retried as images are."""
        run_retried(
            self._project,
            self._load(str(layout), tagged),
            lambda answer: artifact.refused(tagged, answer.exit_code, answer.stderr),
        )


def _written(directory: Path, made: Artifact) -> Path:
    """Write an artifact as a layout into a directory, which it returns."""
    for path, content in made.layout().items():
        (directory / path).parent.mkdir(parents=True, exist_ok=True)
        (directory / path).write_bytes(content)
    return directory


def _write(project: Project, about: Exported, out: str, told: Mapping[str, str]) -> None:
    """Write the objects for Flux into a directory, if one is named; other environments keep theirs in it."""
    if not out:
        return
    directory = MadeDirectory(Path(out), exported.MARK, TASK)
    own = exported.of_environment(about.environment)
    others = {path: text for path, text in directory.files().items() if not path.startswith(own)}
    directory.write(project, {**others, **told})


def _next(about: Exported, out: str) -> Iterator[str]:
    """Yield what is to be done once, so that Flux follows the tag."""
    if about.signed:
        yield f"Flux verifies it by the public key in the Secret {flux.signers(about)} (docs/gitops.md)"
    if about.login:
        yield f"Flux logs in with the Secret {about.login}, which has to be in its own namespace too"
    place = Path(out, "flux", about.environment)
    yield (
        f"once, for Flux: kubectl apply -f {shlex.quote(str(place))}"
        if out
        else ("once, for Flux: --out DIRECTORY writes its objects")
    )


def _document(about: Exported, registered: Registered, done: PushedArtifact, files: int) -> dict[str, object]:
    return {
        "schema": "slipway/gitops.export/v1",
        "environment": about.environment,
        "reference": registered.name,
        "tags": list(registered.tags),
        "digest": done.digest,
        "outcome": done.outcome,
        "signed": about.signed,
        "files": files,
    }
