"""Makes a fault, keeps its time, and undoes it: the program in the helper container of `inv chaos.inject`.

It depends on nobody: the fault ends also when the one who asked for it is killed. SIGTERM ends it early. When this
program is killed itself, the engine starts it again: it finds its mark, and only undoes the fault. It exits with 0 when
nothing of the fault is left, whether it was made or could not be.
"""

import argparse
import contextlib
import heapq
import http.client
import json
import os
import select
import signal
import socket
import struct
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import FrameType
from typing import Any

import certificate_fault
import host_fault
from fault_protocol import Fault, FaultError

ENGINE, VOLUME = "/engine.sock", "/volume"
MARK = Path("/var/tmp/begun")  # noqa: S108 - in the container's own file system, which outlives this program
IN_EFFECT, OVER, FAILED = "in effect", "over", "failed:"
DNS = "127.0.0.11"  # Docker's resolver in the network namespace of each container
QUEUE = 7  # of packets that wait
_FILL = ".slipway-chaos-fill"
_CHUNK = 1 << 20  # bytes
_ENDLESS = 1 << 50  # bytes
_TRIES = 5  # to freeze processes, which the kernel may refuse while one of them is being made


class Ended(BaseException):
    """SIGTERM: the fault is to end now."""


# --- Network: rules in the network namespace that this container shares with the target ----------------------------


class Rules:
    """Rules of the packet filter about what goes from and to some addresses, "" for all but the container's own."""

    def __init__(self, peers: Sequence[str], out: Sequence[Sequence[str]], into: Sequence[Sequence[str]]) -> None:
        self._rules: list[tuple[str, ...]] = []
        for peer in peers or [""]:
            programs = ("iptables", "ip6tables") if not peer else ("ip6tables",) if ":" in peer else ("iptables",)
            for program in programs:
                to, by = (("-d", peer), ("-s", peer)) if peer else (("!", "-o", "lo"), ("!", "-i", "lo"))
                self._rules += [(program, "OUTPUT", *to, *words) for words in out]
                self._rules += [(program, "INPUT", *by, *words) for words in into]

    def begin(self) -> None:
        for program, chain, *words in self._rules:
            done = filtered(program, "-I", chain, *words)
            if done.returncode and program == "iptables":  # a kernel without IPv6 has no rules for it
                raise FaultError(f"the packet filter refused: {done.stderr.strip().splitlines()[-1]}")

    def last(self, seconds: float) -> None:
        time.sleep(seconds)

    def end(self) -> None:
        for program, chain, *words in self._rules:
            while filtered(program, "-C", chain, *words).returncode == 0:
                if filtered(program, "-D", chain, *words).returncode:
                    raise FaultError(f"{program} does not take its rule away: {chain} {' '.join(words)}")


def filtered(program: str, *words: str) -> "subprocess.CompletedProcess[str]":
    """Run a program of the packet filter."""
    return subprocess.run([program, "--wait", *words], capture_output=True, text=True, check=False)  # noqa: S603


def cut(peers: Sequence[str]) -> Rules:
    """Nothing goes through in either direction, and nobody is told."""
    return Rules(peers, [("-j", "DROP")], [("-j", "DROP")])


def loss(peers: Sequence[str], share: float) -> Rules:
    """A share of the packets gets lost, in each direction."""
    words = ("-m", "statistic", "--mode", "random", "--probability", f"{share:.4f}", "-j", "DROP")
    return Rules(peers, [words], [words])


def reset(peers: Sequence[str]) -> Rules:
    """Connections are broken with a TCP reset, new ones too."""
    # But for the resets themselves, which go out by the same rules.
    words = ("-p", "tcp", "--tcp-flags", "RST", "NONE", "-j", "REJECT", "--reject-with", "tcp-reset")
    return Rules(peers, [words], [words])


class Slow:
    """Each packet that the target sends waits before it goes; what was connected before is slow too.

    The packets wait in a queue of the kernel (https://www.kernel.org/doc/html/latest/networking/, NFQUEUE), which every
    distribution has, unlike `netem`. Without a reader of the queue they go at once (``--queue-bypass``).
    """

    def __init__(self, peers: Sequence[str], delay: float) -> None:
        self._rules = Rules(peers, [("-j", "NFQUEUE", "--queue-num", str(QUEUE), "--queue-bypass")], [])
        self._delay, self._waiting = delay, list[tuple[float, int]]()

    def begin(self) -> None:
        try:
            self._queue = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 12)  # NETLINK_NETFILTER
            self._queue.bind((0, 0))
            self._queue.send(_netlink(2, _attribute(1, struct.pack(">BBH", 1, 0, socket.AF_INET))))  # bind the queue
            self._queue.send(_netlink(2, _attribute(2, struct.pack(">IB", 0, 1))))  # only what describes a packet
            self._queue.send(_netlink(2, _attribute(3, struct.pack(">I", 65535))))  # so many may wait
            self._rules.begin()
        except (OSError, FaultError) as error:
            raise FaultError(f"this kernel has no queue for packets (NFQUEUE): {error}") from None

    def last(self, seconds: float) -> None:
        end = time.monotonic() + seconds
        while (now := time.monotonic()) < end:
            due = self._waiting[0][0] if self._waiting else end
            if select.select([self._queue], [], [], max(0.0, min(due, end) - now))[0]:
                with contextlib.suppress(OSError):  # more came than the socket's memory holds: those went at once
                    for number in queued(self._queue.recv(1 << 16)):
                        heapq.heappush(self._waiting, (time.monotonic() + self._delay, number))
            self._let_go(time.monotonic())

    def _let_go(self, until: float) -> None:
        while self._waiting and self._waiting[0][0] <= until:
            number = heapq.heappop(self._waiting)[1]
            self._queue.send(_netlink(1, _attribute(2, struct.pack(">II", 1, number))))  # accept it

    def end(self) -> None:
        self._rules.end()
        self._let_go(float("inf"))


def _attribute(kind: int, data: bytes) -> bytes:
    return struct.pack("=HH", 4 + len(data), kind) + data + bytes(-len(data) % 4)


def _netlink(kind: int, attributes: bytes) -> bytes:
    body = struct.pack(">BBH", socket.AF_UNSPEC, 0, QUEUE) + attributes
    return struct.pack("=IHHII", 16 + len(body), 3 << 8 | kind, 1, 0, 0) + body  # NFNL_SUBSYS_QUEUE


def queued(messages: bytes) -> Iterator[int]:
    """Yield the numbers of the packets that messages of the kernel tell of."""
    at = 0
    while at + 16 <= len(messages):
        length, kind = struct.unpack_from("=IH", messages, at)
        attribute = at + 20
        while kind == 3 << 8 and attribute + 8 <= at + length:
            size, name = struct.unpack_from("=HH", messages, attribute)
            if name & 0x3FFF == 1:  # NFQA_PACKET_HDR
                yield struct.unpack_from(">I", messages, attribute + 4)[0]
            attribute += size + 3 & ~3
        at += max(length + 3 & ~3, 16)


# --- Engine: what only the engine can do to a container ------------------------------------------------------------


class _Connection(http.client.HTTPConnection):
    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(ENGINE)


class Target:
    """The container that the fault is about, through the engine's socket."""

    def __init__(self, name: str) -> None:
        self._name = name

    def ask(self, method: str, what: str, body: object = None) -> Any:
        """Return what the engine answers, None when the container is gone; raises FaultError when it refuses."""
        connection = _Connection("engine", timeout=120)
        try:
            headers = {"Content-Type": "application/json"} if body is not None else {}
            text = json.dumps(body) if body is not None else None
            connection.request(method, f"/containers/{self._name}/{what}", text, headers)
            answer = connection.getresponse()
            data = answer.read()
        except OSError as error:
            raise FaultError(f"the engine does not answer: {error}") from None
        finally:
            connection.close()
        if answer.status == 404:
            return None
        if answer.status >= 400:
            raise FaultError(f"the engine refused: {json.loads(data)['message']}")
        return json.loads(data) if data.strip() else {}

    def seen(self) -> dict[str, Any]:
        """Return what ``docker inspect`` shows, empty when the container is gone."""
        return self.ask("GET", "json") or {}

    def running(self) -> dict[str, Any]:
        """Return the same of a container that runs; raises FaultError for another."""
        seen = self.seen()
        if not seen.get("State", {}).get("Running"):
            raise FaultError(f"{self._name} does not run")
        return seen

    def start(self) -> None:
        """Start the container unless it runs, or the engine is about to start it, or it is gone."""
        state = self.seen().get("State", {"Running": True})
        if not state["Running"] and not state.get("Restarting"):
            self.ask("POST", "start")


class _OfEngine:
    """A fault that lasts without our doing."""

    def __init__(self, target: Target) -> None:
        self._target = target

    def last(self, seconds: float) -> None:
        time.sleep(seconds)


class Kill(_OfEngine):
    """The first process is killed as by a crash, so that the restart policy acts; undone: started unless it runs."""

    def begin(self) -> None:
        os.kill(int(self._target.running()["State"]["Pid"]), signal.SIGKILL)

    def end(self) -> None:
        self._target.start()


class Stop(_OfEngine):
    """Stopped with its own grace time; undone: started."""

    def begin(self) -> None:
        self._target.running()
        self._target.ask("POST", "stop")

    def end(self) -> None:
        self._target.start()


class Restart(_OfEngine):
    """Stopped and started by the engine, which does both also when this program is killed in between."""

    def begin(self) -> None:
        self._target.running()
        self._target.ask("POST", "restart")

    def end(self) -> None:
        self._target.start()


class Pause(_OfEngine):
    """All its processes stand still, and its connections stay open; undone: they go on."""

    def begin(self) -> None:
        self._target.running()
        for attempt in range(1, _TRIES + 1):
            try:
                self._target.ask("POST", "pause")
                return
            except FaultError:
                if attempt == _TRIES:
                    raise
                time.sleep(0.2)

    def end(self) -> None:
        if self._target.seen().get("State", {}).get("Paused"):
            self._target.ask("POST", "unpause")


class Limit(_OfEngine):
    """A limit of the container is lowered; undone: what it was, which is kept in a file beside the mark."""

    def __init__(self, target: Target, kept: Path) -> None:
        super().__init__(target)
        self._kept = kept

    def lowered(self, host: dict[str, Any]) -> tuple[dict[str, int], dict[str, int]]:
        """Return the values of the fault, and those that undo it."""
        raise NotImplementedError

    def begin(self) -> None:
        values, before = self.lowered(self._target.running()["HostConfig"])
        self._kept.write_text(json.dumps(before))
        self._target.ask("POST", "update", values)

    def end(self) -> None:
        if self._kept.exists():
            self._target.ask("POST", "update", json.loads(self._kept.read_text()))
            self._kept.unlink()


class Cpu(Limit):
    """It gets only a share of one processor."""

    def __init__(self, target: Target, kept: Path, share: float) -> None:
        super().__init__(target, kept)
        self._share = share

    def lowered(self, host: dict[str, Any]) -> tuple[dict[str, int], dict[str, int]]:
        if host.get("NanoCpus"):
            return {"NanoCpus": int(self._share * 10**9)}, {"NanoCpus": host["NanoCpus"]}
        period = host.get("CpuPeriod") or 100_000
        quota = {"CpuPeriod": period, "CpuQuota": max(int(self._share * period), 1000)}
        return quota, {"CpuPeriod": period, "CpuQuota": host.get("CpuQuota") or -1}


class Memory(Limit):
    """It gets no more memory than it uses now, and some bytes."""

    def __init__(self, target: Target, kept: Path, more: int) -> None:
        super().__init__(target, kept)
        self._more = more

    def lowered(self, host: dict[str, Any]) -> tuple[dict[str, int], dict[str, int]]:
        used = (self._target.ask("GET", "stats?stream=false&one-shot=true") or {}).get("memory_stats", {})
        if "usage" not in used:
            raise FaultError("the engine does not tell how much memory the container uses")
        limit = max(int(used["usage"]) + self._more, 6 << 20)  # the engine allows no less
        before = int(host.get("Memory") or 0)
        if before and before <= limit:
            raise FaultError(f"its limit of {before} bytes is no more than what it uses now and {self._more} bytes")
        # The engine cannot take a limit away again: one that no machine reaches is as good. Both at once, or the kernel
        # refuses the one that is not below the other.
        swap = int(host.get("MemorySwap") or 0)
        undone = {"Memory": before or _ENDLESS, "MemorySwap": swap if swap > 0 else _ENDLESS}
        return {"Memory": limit, "MemorySwap": limit}, undone


# --- Disk ----------------------------------------------------------------------------------------------------------


class DiskFull:
    """A file takes all the space of a file system, but for some bytes; undone: the file is removed.

    ``inside``: a path in the target's own file systems, as long as it runs; else the volume that is mounted here.
    """

    def __init__(self, target: Target, inside: str, left: int) -> None:
        self._target, self._inside, self._left = target, inside, left

    def _root(self) -> Path | None:
        """Return the root of what ``inside`` is in; None when the target does not run, and nothing is in it then."""
        if not self._inside:
            return Path("/")
        state = self._target.seen().get("State", {})
        return Path(f"/proc/{state['Pid']}/root") if state.get("Running") else None

    def _directory(self, root: Path) -> Path:
        return root / (self._inside or VOLUME).lstrip("/")

    def begin(self) -> None:
        if (root := self._root()) is None:
            raise FaultError("its container does not run")
        directory = self._directory(root)
        if not directory.is_dir() or any(path.is_symlink() for path in (directory, *directory.parents) if path != root):
            raise FaultError(f"{self._inside or 'its volume'} is no directory, or a link leads to it")
        # The engine mounts /etc/hostname from its own disk into each container, and all root file systems are there.
        if directory.stat().st_dev in (Path("/etc/hostname").stat().st_dev, root.stat().st_dev):
            raise FaultError("it is on the engine's own disk, which all containers share")
        try:
            descriptor = os.open(directory / _FILL, os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW | os.O_EXCL, 0o600)
        except OSError as error:
            raise FaultError(f"no file can be made there: {error.strerror}") from None
        with os.fdopen(descriptor, "wb", 0) as file:
            block = bytes(_CHUNK)
            with contextlib.suppress(OSError):  # no space left
                while (room := self._room(directory)) > 0:
                    file.write(block[: min(room, _CHUNK)])

    def _room(self, directory: Path) -> int:
        about = os.statvfs(directory)
        return about.f_bfree * about.f_frsize - self._left

    def last(self, seconds: float) -> None:
        time.sleep(seconds)

    def end(self) -> None:
        if (root := self._root()) is not None:
            with contextlib.suppress(FileNotFoundError, NotADirectoryError):
                (self._directory(root) / _FILL).unlink()


# --- The program ---------------------------------------------------------------------------------------------------


def fault(given: argparse.Namespace) -> Fault:
    """Return the fault that the command line names."""
    target, kept = Target(given.target), MARK.with_name("before")
    known: dict[str, Callable[[], Fault]] = {
        "cut": lambda: cut(given.peer),
        "dns": lambda: cut([DNS]),
        "loss": lambda: loss(given.peer, given.amount),
        "reset": lambda: reset(given.peer),
        "slow": lambda: Slow(given.peer, given.amount),
        "kill": lambda: Kill(target),
        "stop": lambda: Stop(target),
        "restart": lambda: Restart(target),
        "pause": lambda: Pause(target),
        "cpu": lambda: Cpu(target, kept, given.amount),
        "memory": lambda: Memory(target, kept, int(given.amount)),
        "disk-full": lambda: DiskFull(target, given.inside, int(given.amount)),
        "certificate-expired": lambda: certificate_fault.Expired(target, given.inside, given.signal),
        "registry-away": lambda: host_fault.RegistryAway(given.peer, given.mark),
        "engine-restart": lambda: host_fault.EngineRestart(ENGINE),
    }
    return known[given.fault]()


def carry_out(wanted: Fault, seconds: float) -> None:
    """Make a fault, wait and undo it; or only undo it when this program was killed before it had done so."""
    if MARK.exists():
        say("started again")
        wanted.end()
        say(OVER)
        return
    MARK.touch()
    try:
        wanted.begin()
        say(IN_EFFECT)
        wanted.last(seconds)
    except FaultError as error:
        say(f"{FAILED} {error}")
    except Ended:
        say("told to end")
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        wanted.end()
    say(OVER)


def say(line: str) -> None:
    """Tell who reads the log of this container."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def _end(_number: int, _frame: FrameType | None) -> None:
    raise Ended


def main(words: Sequence[str]) -> int:
    """Run the program and return its exit code."""
    parser = argparse.ArgumentParser()
    parser.add_argument("fault")
    parser.add_argument("--seconds", type=float, required=True)
    parser.add_argument("--amount", type=float, default=0.0)
    parser.add_argument("--peer", action="append", default=[])
    parser.add_argument("--target", default="")
    parser.add_argument("--inside", default="")
    parser.add_argument("--signal", default="")
    parser.add_argument("--mark", default="")
    given = parser.parse_args(words)
    signal.signal(signal.SIGTERM, _end)
    try:
        carry_out(fault(given), given.seconds)
    except FaultError as error:
        say(f"{FAILED} {error}")
        return 1
    except Ended:
        return 0
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
