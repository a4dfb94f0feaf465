"""Faults that a whole host feels: its engine is started anew, or its registry is away."""

import contextlib
import ctypes
import os
import platform
import resource
import shlex
import signal
import socket
import struct
import subprocess
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from fault_protocol import FaultError

_CHAINS = ("OUTPUT", "FORWARD")  # what the engine asks itself, and what containers do, such as a builder
_ENDS, _SUPERVISED, _ANSWERS = 120.0, 5.0, 120.0  # seconds until an engine has ended, somebody starts it, it answers
_POLL = 0.1
# keyctl(2) has no function in the C library.
_KEYCTL, _JOIN_SESSION_KEYRING = {"x86_64": 250, "aarch64": 219, "riscv64": 219}, 1
_NAMESPACES = ("mnt", "uts", "ipc", "net", "cgroup")


class RegistryAway:
    """New and open connections to registries are refused; undone: the rules are taken out.

    ``peers`` are ``host:port``. The rules have a comment by which they are found again, since a name may have another
    address by then.
    """

    def __init__(self, peers: Sequence[str], mark: str) -> None:
        self._peers, self._comment = peers, f"slipway-chaos {mark}"

    def begin(self) -> None:
        known = [one for peer in self._peers for one in resolved(peer)]
        if not known:
            raise FaultError(f"no registry has an address: {', '.join(self._peers)}")
        for program, address, port in known:
            for chain in _CHAINS:
                self._add(program, chain, address, port)

    def _add(self, program: str, chain: str, address: str, port: str) -> None:
        # By the address that was asked: a published port leads to another one before the rule is reached.
        # Only on the way there: the reset is a packet of the same connection.
        words = ("-p", "tcp", "-m", "conntrack", "--ctdir", "ORIGINAL", "--ctorigdst", address, "--ctorigdstport", port)
        how = ("-m", "comment", "--comment", self._comment, "-j", "REJECT", "--reject-with", "tcp-reset")
        done = _filtered(program, "-I", chain, *words, *how)
        if done.returncode:
            raise FaultError(f"the packet filter refused: {(done.stderr.strip().splitlines() or ['nothing said'])[-1]}")

    def last(self, seconds: float) -> None:
        time.sleep(seconds)

    def end(self) -> None:
        for program in ("iptables", "ip6tables"):
            for chain in _CHAINS:
                for line in _filtered(program, "-S", chain).stdout.splitlines():
                    if self._comment in (words := shlex.split(line)):
                        _filtered(program, "-D", *words[1:])
                        self._refuse_left(program, chain, words)

    def _refuse_left(self, program: str, chain: str, words: Sequence[str]) -> None:
        if _filtered(program, "-C", *words[1:]).returncode == 0:
            raise FaultError(f"{program} does not take its rule away: {chain} {' '.join(words[2:])}")


def resolved(peer: str) -> list[tuple[str, str, str]]:
    """Return the program of the packet filter, the address and the port for each address of ``host:port``.

    One that has none is away already.
    """
    host, _, port = peer.rpartition(":")
    try:
        known = {str(entry[4][0]) for entry in socket.getaddrinfo(host.strip("[]"), int(port), type=socket.SOCK_STREAM)}
    except OSError:
        return []
    return [("ip6tables" if ":" in one else "iptables", one, port) for one in sorted(known)]


def _filtered(program: str, *words: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run([program, "--wait", *words], capture_output=True, text=True, check=False)  # noqa: S603


class EngineRestart:
    """The engine is told to end, and starts again: by systemd, by whatever else looks after it, or as it was started.

    The program that waits for its end belongs to the host, and not to this container, which ends with the engine.
    """

    def __init__(self, path: str) -> None:
        self._socket = path

    def begin(self) -> None:
        # The engine ends its containers first. It starts this one again when it is back, since it has failed.
        signal.signal(signal.SIGTERM, lambda _number, _frame: os._exit(1))
        pid = _process_of(self._socket)
        unit = _unit(pid)
        if unit:
            words = ("systemctl", "restart", "--no-block", unit)
            _on_the_host(1, lambda: os.execvp(words[0], words))  # noqa: S606
        else:
            again = _Start(pid)
            _on_the_host(pid, again.wait_and_start)
            if not again.is_ready():
                raise FaultError("nothing of this container can outlive the engine, to start it again")
            os.kill(pid, signal.SIGTERM)
        ended = _until(lambda: not _runs(pid), _ENDS)
        if not ended:
            raise FaultError(f"the engine (process {pid}) has not ended after {_ENDS:g} s")
        if not _until(lambda: _answers(self._socket), _ANSWERS):
            raise FaultError(f"the engine has not answered {_ANSWERS:g} s after its end")

    def last(self, seconds: float) -> None:
        """Nothing lasts: who is here yet saw the engine come back."""

    def end(self) -> None:
        """The engine runs, or nobody would have started this program again."""


def _process_of(path: str) -> int:
    """Return the process of the engine: who listens at its socket, or the only ``dockerd`` when systemd does."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.connect(path)
        listener = int(struct.unpack("3i", connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))[0])
    if listener and _name(listener) == "dockerd":
        return listener
    found = _engines()
    if len(found) != 1:
        raise FaultError(f"which process is the engine? {len(found)} are called dockerd")
    return found[0]


def _engines() -> list[int]:
    numbers = (int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit())
    return [number for number in numbers if _name(number) == "dockerd" and _runs(number)]


def _name(pid: int | str) -> str:
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/comm").read_text().strip()
    return ""


def _unit(pid: int) -> str:
    """Return the unit of systemd that a process belongs to, "" on a host without systemd."""
    if _name(1) != "systemd":
        return ""
    groups = {line.rpartition("/")[2] for line in Path(f"/proc/{pid}/cgroup").read_text().splitlines()}
    return next((group for group in sorted(groups) if group.endswith(".service")), "")


def _runs(pid: int) -> bool:
    with contextlib.suppress(OSError):
        return ") Z " not in Path(f"/proc/{pid}/stat").read_text()
    return False


def _answers(path: str) -> bool:
    with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.settimeout(5)
        connection.connect(path)
        connection.sendall(b"GET /_ping HTTP/1.0\r\n\r\n")
        return connection.recv(64).split(b" ")[1:2] == [b"200"]
    return False


def _until(met: Callable[[], bool], seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if met():
            return True
        time.sleep(_POLL)
    return False


class _Start:
    """How a process was started, so that it can be started once more."""

    def __init__(self, pid: int) -> None:
        about = Path(f"/proc/{pid}")
        self._pid = pid
        self._program = str((about / "exe").readlink())
        self._words = (about / "cmdline").read_bytes().rstrip(b"\0").split(b"\0")
        self._environment = dict(
            pair.split(b"=", 1) for pair in (about / "environ").read_bytes().split(b"\0") if b"=" in pair
        )
        self._directory = str((about / "cwd").readlink())
        self._limits = {
            limit: resource.prlimit(pid, limit)
            for name in dir(resource)
            if name.startswith("RLIMIT_") and name != "RLIMIT_OFILE" and (limit := getattr(resource, name)) is not None
        }
        self._killed_when = (about / "oom_score_adj").read_text()
        try:
            self._out = os.open(about / "fd" / "1", os.O_WRONLY | os.O_APPEND)
        except OSError:  # a socket, such as that of a journal
            self._out = os.open(os.devnull, os.O_WRONLY)
        self._reader, self._writer = os.pipe()

    def is_ready(self) -> bool:
        """Whether the program that waits is no part of this container any more."""
        os.close(self._writer)
        return os.read(self._reader, 1) == b"+"

    def wait_and_start(self) -> None:
        """Wait until the process has ended, and start it unless somebody else does; never returns then."""
        self._leave_the_container()
        os.write(self._writer, b"+")
        if not _until(lambda: not _runs(self._pid), _ENDS):
            return
        if _until(lambda: bool(_engines()), _SUPERVISED):
            return
        os.chdir(self._directory)
        for limit, values in self._limits.items():
            with contextlib.suppress(OSError, ValueError):
                resource.setrlimit(limit, values)
        with contextlib.suppress(OSError):
            Path("/proc/self/oom_score_adj").write_text(self._killed_when)
        _speak_to(self._out)
        os.execve(self._program, self._words, self._environment)  # noqa: S606

    def _leave_the_container(self) -> None:
        """Go to the control groups of the process: those of this container are emptied when it ends."""
        mounted = Path(f"/proc/{self._pid}/mountinfo").read_text()
        groups = Path(f"/proc/{self._pid}/cgroup").read_text().splitlines()
        wanted = {line: directory for line in groups if (directory := group_of(line, mounted))}
        for directory in wanted.values():
            (directory / "cgroup.procs").write_text(str(os.getpid()))
        if not wanted or not wanted.keys() <= set(Path("/proc/self/cgroup").read_text().splitlines()):
            raise OSError


def group_of(line: str, mountinfo: str) -> Path | None:
    """Return the directory of a control group (a line of /proc/…/cgroup), None where the process has it not mounted.

    In a container a hierarchy may be mounted from the container's own group on.
    """
    _, controllers, path = line.split(":", 2)
    for mount in mountinfo.splitlines():
        fields, _, about = mount.partition(" - ")
        root, place = fields.split()[3:5]
        kind, _, options = about.split(" ", 2)
        same = kind == "cgroup2" if not controllers else set(controllers.split(",")) <= set(options.split(","))
        if kind in ("cgroup", "cgroup2") and same and Path(path).is_relative_to(root):
            return Path(place) / Path(path).relative_to(root)
    return None


def _leave_keys() -> None:
    """Have keys of one's own (session keyring): with those of this container its runtime could not start it again."""
    if number := _KEYCTL.get(platform.machine()):
        ctypes.CDLL(None).syscall(number, _JOIN_SESSION_KEYRING, None)


def _speak_to(out: int) -> None:
    """Let this process read nothing, and write to a file that is open."""
    for number, descriptor in ((0, os.open(os.devnull, os.O_RDONLY)), (1, out), (2, out)):
        os.dup2(descriptor, number)


def _on_the_host(pid: int, work: Callable[[], None]) -> None:
    """Do something in a process of its own, in the namespaces of a process, without waiting for it."""
    spaces = [
        os.open(f"/proc/{pid}/ns/{name}", os.O_RDONLY)
        for name in _NAMESPACES
        if Path(f"/proc/{pid}/ns/{name}").exists()
    ]
    child = os.fork()
    if not child:
        try:
            for space in spaces:
                os.setns(space)
            os.setsid()
            _leave_keys()
            _speak_to(os.open(os.devnull, os.O_RDWR))  # the engine waits until nobody has the container's output open
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
            if not os.fork():
                work()
        finally:
            os._exit(0)
    for space in spaces:
        os.close(space)
    os.waitpid(child, 0)
