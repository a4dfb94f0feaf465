"""Looks for secrets in the working tree, and in what git keeps since the last release."""

import contextlib
import hashlib
import os
import shutil
import stat
from collections.abc import Callable, Collection, Iterator
from dataclasses import replace
from pathlib import Path

from ..plan import dockerfile_scan, history
from ..plan.errors import RefusedError, SlipwayError, StoppedError
from ..plan.finding import CLEAN, FOUND, INVALID, SKIPPED, UNCHECKED, Finding, Scan
from ..plan.history import Blob
from . import scan_tools
from .digests import Digests
from .git import asking
from .project import Project
from .records import current
from .reports import Run
from .runner import Runner, capture
from .scan_files import scratch
from .scan_tools import Program

TREE, HISTORY = "trivy: secrets in the working tree", "trivy: secrets in the git history"
# By itself trivy looks past files of tests, examples and Markdown: a key is as public there as anywhere.
_RULES = "disable-allow-rules: [tests, examples, markdown]\n"


class _Git:
    """The checkout that holds the project."""

    def __init__(self, project: Project) -> None:
        self._directory = str(project.settings.project_dir)
        top = self.text("rev-parse", "--show-toplevel")
        self.top = Path(top) if top else None

    def text(self, *words: str) -> str:
        """Return what git prints, "" when it fails."""
        result = capture(asking(self._directory, *words))
        return result.stdout.strip() if result.exit_code == 0 else ""

    def into(self, sink: Path, *words: str, source: str = "") -> None:
        """Let git print into a file, from another one where it reads."""
        Runner().run(replace(asking(str(self.top), *words), source=source, sink=str(sink)))

    def data(self, sink: Path, *words: str) -> bytes:
        """Return what git prints, byte for byte: names and contents need not be text."""
        self.into(sink, *words)
        found = sink.read_bytes()
        sink.unlink()
        return found


def _base(project: Project, git: _Git) -> str:
    """Return the commit after which the history is looked at, "" for all of it: the last release, else the last tag.

    What is released from this very commit has to be looked at since the one before.
    """
    head = git.text("rev-parse", "HEAD")
    last = current(project)
    commit = git.text("rev-parse", "--verify", "--quiet", f"{last.commit}^{{commit}}") if last else ""
    older = asking(str(git.top), "merge-base", "--is-ancestor", commit, head)
    if commit and commit != head and capture(older).exit_code == 0:
        return commit
    tag = git.text("describe", "--tags", "--abbrev=0", "HEAD^")
    return git.text("rev-parse", "--verify", "--quiet", f"{tag}^{{commit}}") if tag else ""


def parts(project: Project) -> dict[str, str]:
    """Return what the result depends on: the commit, what differs from it, since when, and the scanner."""
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
        "scanners": scan_tools.key(project, "trivy"),
    }


@contextlib.contextmanager
def scratch_file(project: Project) -> Iterator[Path]:
    """Give the name of a file in a directory of its own, gone afterwards."""
    with scratch(project, Run("key", project.settings.reports_dir)) as directory:
        yield directory / "out"


def check(project: Project, run: Run) -> list[Scan]:
    """Return what was found in the working tree and in the history; no secret itself is told, or kept."""
    try:
        program = scan_tools.find(project, "trivy")
    except RefusedError as error:
        return [Scan(name, "", UNCHECKED, reason=error.message) for name in (TREE, HISTORY)]
    version = scan_tools.version(project, program, "--version")
    git = _Git(project)
    with scratch(project, run) as directory:
        (directory / "rules.yaml").write_text(_RULES, encoding="utf-8")
        present: set[str] = set()
        tree = _guarded(TREE, version, lambda: _tree(project, git, program, directory, present))
        if git.top is None or not git.text("rev-parse", "HEAD"):
            past = Scan(HISTORY, version, SKIPPED, reason="there is no commit")
        else:
            past = _guarded(HISTORY, version, lambda: _past(project, git, program, directory, present))
            if git.text("rev-parse", "--is-shallow-repository") == "true" and not _base(project, git):
                why = "a shallow clone has no history back to the last release: git fetch --unshallow --tags"
                past = Scan(HISTORY, version, UNCHECKED, reason=why, findings=past.findings)
    return [tree, past]


def _guarded(name: str, version: str, look: Callable[[], tuple[Finding, ...]]) -> Scan:
    try:
        found = look()
    except StoppedError:
        raise
    except RefusedError as error:
        return Scan(name, version, UNCHECKED, reason=error.message)
    except SlipwayError as error:
        return Scan(name, version, INVALID, reason=error.message.splitlines()[0])
    except OSError as error:
        return Scan(name, version, INVALID, reason=f"cannot be read: {error.strerror}")
    return Scan(name, version, FOUND if found else CLEAN, findings=found)


def _tree(project: Project, git: _Git, program: Program, directory: Path, present: set[str]) -> tuple[Finding, ...]:
    """Look at the files that git tracks or would; those that it ignores are none of the project's."""
    target, sink = directory / "tree", directory / "out"
    target.mkdir()
    top = git.top or project.settings.project_dir
    if git.top is None:
        names = [os.fsencode(path.relative_to(top)) for path in top.rglob("*") if path.is_file()]
    else:
        tracked = history.listed(git.data(sink, "ls-files", "--stage", "-z").split(b"\0"))
        others = git.data(sink, "ls-files", "--others", "--exclude-standard", "-z").split(b"\0")
        changed = set(git.data(sink, "ls-files", "--modified", "--deleted", "-z").split(b"\0"))
        present.update(blob for path, blob in tracked.items() if path not in changed)
        names = [*tracked, *others]
    for name in names:
        if history.safe(name):
            _copy(Path(top, os.fsdecode(name)), target / os.fsdecode(name))
    return _look(project, program, directory, target, "")


def _copy(source: Path, target: Path) -> None:
    """Put a plain file where it is to be looked at, without a second copy of its content where that can be."""
    if source.is_symlink() or not source.is_file():
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        os.link(source, target)
    except OSError:
        shutil.copyfile(source, target)


def _past(
    project: Project, git: _Git, program: Program, directory: Path, present: Collection[str]
) -> tuple[Finding, ...]:
    """Look at every version of a file that came since the last release and is no more in the working tree."""
    target, sink, wanted = directory / "past", directory / "out", directory / "wanted"
    target.mkdir()
    base = _base(project, git)
    since = [f"{base}..HEAD"] if base else ["HEAD"]
    words = ("log", "--raw", "-z", "-m", "--root", "--no-renames", "--no-abbrev", "--format=commit %H", *since)
    found = history.blobs(git.data(sink, *words), present)
    wanted.write_text("".join(f"{one.id}\n" for one in found), encoding="ascii")
    git.into(sink, "cat-file", "--batch", source=str(wanted))
    with sink.open("rb") as stream:
        for one in found:
            size = int(stream.readline().split()[-1])
            _write(target, one, stream.read(size))
            stream.read(1)
    sink.unlink()
    return _look(project, program, directory, target, "commit ")


def _write(target: Path, one: Blob, content: bytes) -> None:
    path = Path(target, os.fsdecode(one.directory()))
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)


def _look(project: Project, program: Program, directory: Path, target: Path, prefix: str) -> tuple[Finding, ...]:
    words = ("fs", "--scanners", "secret", *scan_tools.TRIVY, "--offline-scan", "--skip-db-update")
    rules = ("--secret-config", str(directory / "rules.yaml"), "--cache-backend", "memory")
    ignore = ("--ignorefile", "", "--config", "")  # files of the project must not silence it
    result = scan_tools.run(project, program, *words, *rules, *ignore, "--format", "json", ".", cwd=str(target))

    def shown(name: str) -> str:
        commit, _, path = name.partition("/")
        return f"{prefix}{commit}: {path}" if prefix else name

    return dockerfile_scan.secrets(result.stdout, shown)
