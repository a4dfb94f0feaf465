"""Which versions of files a git history brought, and where each came from."""

import re
from collections.abc import Collection, Iterable
from dataclasses import dataclass

_RAW = re.compile(rb":\d{6} (?P<mode>\d{6}) [0-9a-f]+ (?P<blob>[0-9a-f]{40,64}) [A-Z]\d*")
_COMMIT = b"commit "
_FILE_MODES = (b"100644", b"100755")


@dataclass(frozen=True)
class Blob:
    """One version of a file: its id, the commit that brought it, and its path there."""

    id: str
    commit: str
    path: bytes

    def directory(self) -> bytes:
        """Return where a copy of it goes, below a directory: the path tells scanners what kind of file it is."""
        return self.commit.encode() + b"/" + self.path


def blobs(log: bytes, present: Collection[str]) -> tuple[Blob, ...]:
    """Return what ``git log --raw -z --format='commit %H'`` says was added, each version once, with its oldest commit.

    Those in ``present`` are looked at elsewhere.
    """
    found: dict[str, Blob] = {}
    commit, blob = "", ""
    for field in log.split(b"\0"):
        text = field.lstrip(b"\n")
        if text.startswith(_COMMIT) and not blob:
            head, _, rest = text.partition(b"\n")
            commit, text = head.removeprefix(_COMMIT).decode("ascii", "replace").strip(), rest.lstrip(b"\n")
        if blob:
            # Logs begin with the newest commit: what is read last is the oldest.
            if blob not in present and safe(field):
                found[blob] = Blob(blob, commit[:12], field)
            blob = ""
        elif match := _RAW.fullmatch(text):
            blob = match["blob"].decode()
            blob = "-" if match["mode"] not in _FILE_MODES or not blob.strip("0") else blob
    found.pop("-", None)
    return tuple(found.values())


def safe(path: bytes) -> bool:
    """Whether a path stays below the directory that it is relative to; git itself makes no others."""
    return bool(path) and not path.startswith(b"/") and b".." not in path.split(b"/")


def listed(fields: Iterable[bytes]) -> dict[bytes, str]:
    """Return the plain files in the output of ``git ls-files --stage -z`` with the id of each."""
    found = {}
    for field in fields:
        head, tab, path = field.partition(b"\t")
        words = head.split()
        if tab and len(words) == 3 and words[0] in _FILE_MODES:
            found[path] = words[1].decode()
    return found
