"""Reads from git's output which versions of files commits added."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass

from ...model.lazy_pattern import lazy_pattern

_RAW = lazy_pattern(rb":\d{6} (?P<mode>\d{6}) [0-9a-f]+ (?P<blob>[0-9a-f]{40,64}) [A-Z]\d*")
_COMMIT = b"commit "
_FILE_MODES = (b"100644", b"100755")


@dataclass(frozen=True)
class Blob:
    """A version of a file: its object id, the commit that added it, and its path there."""

    id: str
    commit: str
    path: bytes

    def directory(self) -> bytes:
        """Return the relative path for a copy; it keeps the file's path, by which scanners know the kind of file."""
        return self.commit.encode() + b"/" + self.path


def blobs(log: bytes, present: Collection[str]) -> tuple[Blob, ...]:
    """Return the file versions in the output of ``git log --raw -z --format='commit %H'``.

    Each version is there once, with the oldest commit that added it. Those whose ids are in ``present`` are left out.
    """
    versions: dict[str, Blob] = {}
    commit, blob = "", ""
    for field in log.split(b"\0"):
        text = field.lstrip(b"\n")
        if text.startswith(_COMMIT) and not blob:
            head, _, rest = text.partition(b"\n")
            commit, text = head.removeprefix(_COMMIT).decode("ascii", "replace").strip(), rest.lstrip(b"\n")
        if blob:
            # The log begins with the newest commit, so that the oldest overwrites the others.
            if blob not in present and is_safe_path(field):
                versions[blob] = Blob(blob, commit[:12], field)
            blob = ""
        elif match := _RAW.fullmatch(text):
            blob = match["blob"].decode()
            blob = "-" if match["mode"] not in _FILE_MODES or not blob.strip("0") else blob
    versions.pop("-", None)
    return tuple(versions.values())


def is_safe_path(path: bytes) -> bool:
    """Whether a relative path stays below its directory; a hostile repository may have others."""
    return bool(path) and not path.startswith(b"/") and b".." not in path.split(b"/")


def regular_files(fields: Iterable[bytes]) -> dict[bytes, str]:
    """Return the object ids of the plain files in the output of ``git ls-files --stage -z``, by path."""
    files = {}
    for field in fields:
        head, tab, path = field.partition(b"\t")
        words = head.split()
        if tab and len(words) == 3 and words[0] in _FILE_MODES:
            files[path] = words[1].decode()
    return files
