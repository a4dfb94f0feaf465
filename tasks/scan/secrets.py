"""Scans for secrets in the working tree, and in the git history since the last release."""

import contextlib
import hashlib
import os
import shutil
import stat
from collections.abc import Callable, Collection, Iterator
from dataclasses import replace
from pathlib import Path

from ..build.digests import Digests
from ..host.git import git_command
from ..host.project import Project
from ..host.reports import Run
from ..host.runner import Runner, capture
from ..model.errors import RefusedError, SlipwayError, StoppedError
from ..model.finding import CLEAN, FOUND, INVALID, SKIPPED, UNCHECKED, Finding, Scan
from ..release.store import current
from . import tools
from .plan import dockerfiles, git_history
from .plan.git_history import Blob
from .scratch import scratch
from .tools import ScanProgram

TREE, HISTORY = "trivy: secrets in the working tree", "trivy: secrets in the git history"
# By default trivy skips files of tests, examples and Markdown, where a key is as public as anywhere else.
_RULES = "disable-allow-rules: [tests, examples, markdown]\n"


class _Git:
    """The git checkout of the project; ``top`` is its directory, None without one."""

    def __init__(self, project: Project) -> None:
        self._directory = str(project.settings.project_dir)
        top = self.text("rev-parse", "--show-toplevel")
        self.top = Path(top) if top else None

    def text(self, *words: str) -> str:
        """Return git's output, "" when it fails."""
        result = capture(git_command(self._directory, *words))
        return result.stdout.strip() if result.exit_code == 0 else ""

    def into(self, sink: Path, *words: str, source: str = "") -> None:
        """Write git's output to the file ``sink``; the file ``source`` is its input."""
        Runner().run(replace(git_command(str(self.top), *words), source=source, sink=str(sink)))

    def data(self, sink: Path, *words: str) -> bytes:
        """Return git's output as bytes, since names and contents need not be text; ``sink`` is a temporary file."""
        self.into(sink, *words)
        data = sink.read_bytes()
        sink.unlink()
        return data


def _base(project: Project, git: _Git) -> str:
    """Return the commit after which the history is scanned: the last release, else the last tag, else "" for all of it.

    A release of HEAD itself does not count: the history up to it has to be scanned again.
    """
    head = git.text("rev-parse", "HEAD")
    last = current(project)
    commit = git.text("rev-parse", "--verify", "--quiet", f"{last.commit}^{{commit}}") if last else ""
    older = git_command(str(git.top), "merge-base", "--is-ancestor", commit, head)
    if commit and commit != head and capture(older).exit_code == 0:
        return commit
    tag = git.text("describe", "--tags", "--abbrev=0", "HEAD^")
    return git.text("rev-parse", "--verify", "--quiet", f"{tag}^{{commit}}") if tag else ""


def parts(project: Project) -> dict[str, str]:
    """Return what the scan's result depends on: HEAD, the changes to it, where the history begins, the scanner."""
    git = _Git(project)
    if git.top is None:
        return {"working tree": "unknown"}
    digest, files = hashlib.sha256(), Digests()
    with scratch_file(project) as sink:
        changed = git.data(sink, "status", "--porcelain", "-z", "--untracked-files=all", "--no-renames")
    for field in changed.split(b"\0"):
        digest.update(field + b"\0")
        path = Path(os.fsdecode(os.fsencode(git.top) + b"/" + field[3:]))
        with contextlib.suppress(OSError, ValueError):
            status = path.lstat()
            digest.update(f"{status.st_mode} ".encode())
            digest.update(files.digest(path, status) if stat.S_ISREG(status.st_mode) else os.fsencode(path.readlink()))
    files.keep()
    return {
        "commit": git.text("rev-parse", "HEAD") or "none",
        "since": _base(project, git),
        "shallow": git.text("rev-parse", "--is-shallow-repository"),
        "changes": digest.hexdigest(),
        "scanners": tools.key(project, "trivy"),
    }


@contextlib.contextmanager
def scratch_file(project: Project) -> Iterator[Path]:
    """Yield the path of a new file in a temporary directory that is removed afterwards."""
    with scratch(project, Run("key", project.settings.reports_dir)) as directory:
        yield directory / "out"


def check(project: Project, run: Run) -> list[Scan]:
    """Return a scan each of the working tree and of the history; no secret itself is shown or stored."""
    try:
        program = tools.find(project, "trivy")
    except RefusedError as error:
        return [Scan(name, "", UNCHECKED, reason=error.message) for name in (TREE, HISTORY)]
    version = tools.version(project, program, "--version")
    git = _Git(project)
    with scratch(project, run) as directory:
        (directory / "rules.yaml").write_text(_RULES, encoding="utf-8")
        present: set[str] = set()
        tree = _guarded(TREE, version, lambda: _scan_tree(project, git, program, directory, present))
        if git.top is None or not git.text("rev-parse", "HEAD"):
            history = Scan(HISTORY, version, SKIPPED, reason="there is no commit")
        else:
            history = _guarded(HISTORY, version, lambda: _scan_history(project, git, program, directory, present))
            if git.text("rev-parse", "--is-shallow-repository") == "true" and not _base(project, git):
                reason = "a shallow clone has no history back to the last release: git fetch --unshallow --tags"
                history = Scan(HISTORY, version, UNCHECKED, reason=reason, findings=history.findings)
    return [tree, history]


def _guarded(name: str, version: str, find: Callable[[], tuple[Finding, ...]]) -> Scan:
    try:
        findings = find()
    except StoppedError:
        raise
    except RefusedError as error:
        return Scan(name, version, UNCHECKED, reason=error.message)
    except SlipwayError as error:
        return Scan(name, version, INVALID, reason=error.message.splitlines()[0])
    except OSError as error:
        return Scan(name, version, INVALID, reason=f"cannot be read: {error.strerror}")
    return Scan(name, version, FOUND if findings else CLEAN, findings=findings)


def _scan_tree(
    project: Project, git: _Git, program: ScanProgram, directory: Path, present: set[str]
) -> tuple[Finding, ...]:
    """Return the secrets in the files that git tracks or does not ignore.

    Adds the ids of unchanged tracked files to ``present``: the history need not be scanned for them.
    """
    target, sink = directory / "tree", directory / "out"
    target.mkdir()
    top = git.top or project.settings.project_dir
    if git.top is None:
        names = [os.fsencode(path.relative_to(top)) for path in top.rglob("*") if path.is_file()]
    else:
        tracked = git_history.regular_files(git.data(sink, "ls-files", "--stage", "-z").split(b"\0"))
        others = git.data(sink, "ls-files", "--others", "--exclude-standard", "-z").split(b"\0")
        changed = set(git.data(sink, "ls-files", "--modified", "--deleted", "-z").split(b"\0"))
        present.update(blob for path, blob in tracked.items() if path not in changed)
        names = [*tracked, *others]
    for name in names:
        if git_history.is_safe_path(name):
            _link_or_copy(Path(top, os.fsdecode(name)), target / os.fsdecode(name))
    return _scan_directory(project, program, directory, target, "")


def _link_or_copy(source: Path, target: Path) -> None:
    """Make a regular file available at another path: as a hard link where possible, else as a copy."""
    if source.is_symlink() or not source.is_file():
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        os.link(source, target)
    except OSError:
        shutil.copyfile(source, target)


def _scan_history(
    project: Project, git: _Git, program: ScanProgram, directory: Path, present: Collection[str]
) -> tuple[Finding, ...]:
    """Return the secrets in all file versions since the last release that are not in the working tree any more."""
    target, sink, wanted = directory / "past", directory / "out", directory / "wanted"
    target.mkdir()
    base = _base(project, git)
    since = [f"{base}..HEAD"] if base else ["HEAD"]
    words = ("log", "--raw", "-z", "-m", "--root", "--no-renames", "--no-abbrev", "--format=commit %H", *since)
    blobs = git_history.blobs(git.data(sink, *words), present)
    wanted.write_text("".join(f"{blob.id}\n" for blob in blobs), encoding="ascii")
    git.into(sink, "cat-file", "--batch", source=str(wanted))
    with sink.open("rb") as stream:
        for blob in blobs:
            size = int(stream.readline().split()[-1])
            _write(target, blob, stream.read(size))
            stream.read(1)
    sink.unlink()
    return _scan_directory(project, program, directory, target, "commit ")


def _write(target: Path, blob: Blob, content: bytes) -> None:
    path = Path(target, os.fsdecode(blob.directory()))
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)


def _scan_directory(
    project: Project, program: ScanProgram, directory: Path, target: Path, prefix: str
) -> tuple[Finding, ...]:
    words = ("fs", "--scanners", "secret", *tools.TRIVY, "--offline-scan", "--skip-db-update")
    rules = ("--secret-config", str(directory / "rules.yaml"), "--cache-backend", "memory")
    ignore = ("--ignorefile", "", "--config", "")  # files of the project must not silence it
    result = tools.run(project, program, *words, *rules, *ignore, "--format", "json", ".", cwd=str(target))

    def shown(name: str) -> str:
        commit, _, path = name.partition("/")
        return f"{prefix}{commit}: {path}" if prefix else name

    return dockerfiles.secrets(result.stdout, shown)
