"""Control groups for the Pods of a cluster, of either version, and settings of the kernel that a kubelet changes."""

import contextlib
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

_ROOT = Path("/sys/fs/cgroup")
_V1 = ("cpu", "cpuacct", "cpuset", "memory", "devices", "freezer", "blkio", "pids", "systemd", "unified")
_V2 = ("cpuset", "cpu", "io", "memory", "pids")
_PATIENCE = 60.0  # seconds until the last process of a group is gone
# https://github.com/kubernetes/kubernetes/blob/v1.35.4/pkg/kubelet/cm/container_manager_linux.go, setupKernelTunables
_TUNABLES = ("vm/overcommit_memory", "vm/panic_on_oom", "kernel/panic", "kernel/panic_on_oops",
             "kernel/keys/root_maxkeys", "kernel/keys/root_maxbytes")  # fmt: skip


def _hierarchies() -> list[Path]:
    if (_ROOT / "cgroup.controllers").exists():
        return [_ROOT]
    return [path for name in _V1 if (path := _ROOT / name).is_dir()]


def make(name: str) -> None:
    """Make a group in each hierarchy: a kubelet wants its root in all of them."""
    for hierarchy in _hierarchies():
        group = hierarchy / name
        group.mkdir(exist_ok=True)
        for file in ("cpuset.cpus", "cpuset.mems"):  # version 1 gives a new group none
            if hierarchy.name == "cpuset":
                (group / file).write_text((hierarchy / file).read_text())
        for controller in _V2:
            if hierarchy == _ROOT:
                with contextlib.suppress(OSError):
                    (hierarchy / "cgroup.subtree_control").write_text(f"+{controller}")
                    (group / "cgroup.subtree_control").write_text(f"+{controller}")


def remove(name: str) -> None:
    """Remove a group and all groups in it; raises OSError when a process stays in one."""
    deadline = time.monotonic() + _PATIENCE
    for hierarchy in _hierarchies():
        while (hierarchy / name).exists():
            try:
                for path in _depth_first(hierarchy / name):
                    path.rmdir()
            except FileNotFoundError:
                continue
            except OSError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.05)


def _depth_first(path: Path) -> Iterator[Path]:
    for child in path.iterdir():
        if child.is_dir():
            yield from _depth_first(child)
    yield path


def tunables() -> dict[str, str]:
    """Return the settings of the kernel that a kubelet changes, by path below ``/proc/sys``."""
    return {name: path.read_text().strip() for name in _TUNABLES if (path := Path("/proc/sys", name)).exists()}


def restore(values: Mapping[str, str]) -> None:
    """Give settings of the kernel their former values."""
    for name, value in values.items():
        if (path := Path("/proc/sys", name)).read_text().strip() != value:
            path.write_text(value)
