"""TLS certificates of a running container that are expired, by files mounted over its own in its mount namespace.

Nothing is written where the certificates come from: the mounts are in the namespace of the container only, are taken
away when the fault ends, and are gone with the container.
"""

import contextlib
import ctypes
import json
import os
import re
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from fault_protocol import Container, FaultError

OWN = Path("/expired")  # a tmpfs of the helper: it has the private key of a certificate that is in one file with it
_MARK = "slipway-chaos-"  # begins the names of the files there, by which their mounts are known
# A day in the past, as in `openssl x509 -not_after`.
_FROM, _UNTIL = "20240101000000Z", "20240102000000Z"
_LARGEST, _DEEPEST, _MOST = 1 << 16, 2, 2000  # bytes of a file, directories below a mount, files that are looked at
_READ_AGAIN = 1.0  # seconds that a server has to read its certificate again
# https://docs.kernel.org/filesystems/mount_api.html; the numbers are those of every architecture but alpha.
_OPEN_TREE, _MOVE_MOUNT = 428, 429
_AT_FDCWD, _CLONE, _CLOEXEC, _EMPTY_PATH, _DETACH = -100, 1, 0o2000000, 4, 2
_PSEUDO = {"proc", "sysfs", "cgroup", "cgroup2", "devpts", "mqueue", "devtmpfs", "securityfs"}
_CERTIFICATE = re.compile(r"-----BEGIN CERTIFICATE-----.+?-----END CERTIFICATE-----\n?", re.DOTALL)
_KEY = re.compile(r"-----BEGIN ([A-Z ]*)PRIVATE KEY-----.+?-----END \1PRIVATE KEY-----\n?", re.DOTALL)


class Expired:
    """The certificates that a container has the private keys of are expired; undone: they are its own again.

    ``only``: the file of the certificate, "" for all that are mounted into it. ``read_again`` is the signal on which
    its server reads them again.
    """

    def __init__(self, target: Container, only: str, read_again: str) -> None:
        self._target, self._only, self._signal = target, only, read_again

    def begin(self) -> None:
        pid = int(self._target.running()["State"]["Pid"])
        places = [mount["at"] for mount in mounts(pid) if mount["kind"] not in _PSEUDO and mount["at"] != "/"]
        found = within(pid, lambda: looked_at(places, self._only))
        if self._only:
            self._only = within(pid, lambda: str(Path(self._only).resolve()))
        trees = []
        for number, (path, text) in enumerate(expired({path: one["text"] for path, one in found.items()}, self._only)):
            file = OWN / f"{_MARK}{number}"
            file.write_text(text)
            file.chmod(found[path]["mode"])
            os.chown(file, found[path]["user"], found[path]["group"])
            trees.append((_called(_OPEN_TREE, _AT_FDCWD, str(file).encode(), _CLONE | _CLOEXEC), path))
        within(pid, lambda: [_mount(tree, path) for tree, path in trees])
        self._read_again()

    def _read_again(self) -> None:
        self._target.ask("POST", f"kill?signal={self._signal}")
        time.sleep(_READ_AGAIN)

    def last(self, seconds: float) -> None:
        time.sleep(seconds)

    def end(self) -> None:
        state = self._target.seen().get("State", {})
        if not state.get("Running"):
            return  # its mount namespace is gone, and the mounts with it
        pid = int(state["Pid"])
        ours = [mount["at"] for mount in mounts(pid) if mount["kind"] == "tmpfs" and _MARK in mount["root"]]
        if ours:
            within(pid, lambda: [_unmount(path) for path in reversed(ours)])
            self._read_again()


def mounts(pid: int) -> list[dict[str, str]]:
    """Return the mounts of a process: where each is ``at``, the ``root`` of it in its file system, and the ``kind``."""
    found = []
    for line in Path(f"/proc/{pid}/mountinfo").read_text().splitlines():
        before, _, after = line.partition(" - ")
        fields = before.split()
        root, at = (re.sub(r"\\([0-7]{3})", lambda code: chr(int(code[1], 8)), text) for text in fields[3:5])
        found.append({"at": at, "root": root, "kind": after.split()[0]})
    return found


def within(pid: int, work: Callable[[], Any]) -> Any:
    """Return what ``work`` returns (as JSON has it) in the mount namespace of a process; raises FaultError."""
    namespace = os.open(f"/proc/{pid}/ns/mnt", os.O_RDONLY)
    reader, writer = os.pipe()
    child = os.fork()
    if not child:
        with contextlib.suppress(BaseException):  # it must not go on as its parent
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
            try:
                os.setns(namespace, os.CLONE_NEWNS)
                told = {"done": work()}
            except (OSError, ValueError) as error:
                told = {"failed": str(error)}
            with os.fdopen(writer, "w") as pipe:
                pipe.write(json.dumps(told))
        os._exit(0)
    os.close(writer)
    os.close(namespace)
    with os.fdopen(reader) as pipe:
        text = pipe.read()
    os.waitpid(child, 0)
    told = json.loads(text or '{"failed": "what looked into its file systems was killed"}')
    if "failed" in told:
        raise FaultError(f"its file systems cannot be reached: {told['failed']}")
    return told["done"]


def looked_at(places: Sequence[str], only: str) -> dict[str, Any]:
    """Return the files with certificates and keys at some places: text, mode, user and group by the path of each."""
    found: dict[str, Any] = {}
    beside = [Path(only), Path(only).parent] if only else []
    for path in _files([*beside, *map(Path, places)]):
        with contextlib.suppress(OSError):
            about = path.stat()
            if about.st_size > _LARGEST:
                continue
            text = path.read_bytes().decode("ascii", errors="replace")
            if _CERTIFICATE.search(text) or _KEY.search(text):
                mode = about.st_mode & 0o777
                found[str(path)] = {"text": text, "mode": mode, "user": about.st_uid, "group": about.st_gid}
    return found


def _files(places: Sequence[Path]) -> Iterator[Path]:
    """Yield the real paths of the files at some places, each once, and no more than a limit."""
    seen: set[Path] = set()
    for place in places:
        for path in _below(place):
            real = path.resolve()
            if real not in seen and real.is_file():
                seen.add(real)
                yield real
            if len(seen) >= _MOST:
                return


def _below(place: Path) -> Iterator[Path]:
    if not place.is_dir():
        yield place
        return
    for directory, directories, files in os.walk(place):
        if len(Path(directory).relative_to(place).parts) >= _DEEPEST:
            directories.clear()
        yield from (Path(directory, name) for name in sorted(files))


def expired(texts: dict[str, str], only: str) -> Iterator[tuple[str, str]]:
    """Yield the file and the expired text for each certificate whose private key is there, or for the one at ``only``.

    Raises FaultError when there is none. A certificate that is expired has names and key of the one before, and is
    signed by itself. A key that is in the same file stays in it.
    """
    keys = {public: key[0] for text in texts.values() if (key := _KEY.search(text)) and (public := _public(key[0]))}
    there = False
    for path, text in sorted(texts.items()):
        certificate = _CERTIFICATE.search(text)
        if certificate is None or (only and path != only):
            continue
        if key := keys.get(_of_certificate(certificate[0])):
            there = True
            own = _KEY.search(text)
            yield path, _resigned(certificate[0], key) + (own[0] if own else "")
    if not there:
        where = f"at {only}" if only else "among the files that are mounted into it (--path names one that is not)"
        raise FaultError(f"there is no certificate {where} whose private key is there too, without a passphrase")


def _public(key: str) -> str:
    """Return the public part of a private key, "" for one that has a passphrase, or is none."""
    return _openssl(key, "pkey", "-pubout", "-passin", "pass:", needed=False)


def _of_certificate(certificate: str) -> str:
    return _openssl(certificate, "x509", "-pubkey", "-noout", needed=False)


def _resigned(certificate: str, key: str) -> str:
    file = OWN / "key"
    file.touch(0o600)
    file.write_text(key)
    try:
        times = ("-not_before", _FROM, "-not_after", _UNTIL)
        return _openssl(certificate, "x509", "-signkey", str(file), "-passin", "pass:", *times)
    finally:
        file.unlink()


def _openssl(text: str, *words: str, needed: bool = True) -> str:
    done = subprocess.run(["openssl", *words], input=text, capture_output=True, text=True, check=False)  # noqa: S603, S607
    if done.returncode and needed:
        raise FaultError(f"openssl makes no certificate: {(done.stderr.strip().splitlines() or ['nothing said'])[0]}")
    return "" if done.returncode else done.stdout


_LIBRARY = ctypes.CDLL(None, use_errno=True)


def _called(number: int, *arguments: int | bytes) -> int:
    """Make a system call that Python has no function for; raises FaultError with the kernel's words."""
    result = int(_LIBRARY.syscall(number, *arguments))
    if result < 0:
        code = ctypes.get_errno()
        raise FaultError(f"this kernel mounts no file: {os.strerror(code)} (it takes Linux 5.2)")
    return result


def _mount(tree: int, path: str) -> None:
    if _LIBRARY.syscall(_MOVE_MOUNT, tree, b"", _AT_FDCWD, path.encode(), _EMPTY_PATH) < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()), path)


def _unmount(path: str) -> None:
    if _LIBRARY.umount2(path.encode(), _DETACH) < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()), path)
