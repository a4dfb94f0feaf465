"""What it takes to make a Debian or Ubuntu machine ready."""

from collections.abc import Sequence
from dataclasses import dataclass

from ...model.command import Command
from ...model.errors import RefusedError
from ...model.tools import ToolFinding

# Debian 12's own packages are older than what is needed; these four of Debian 13 run on its C library.
_DEBIAN_PACKAGES = ("docker.io", "docker-cli", "docker-compose", "docker-buildx")
_UBUNTU_PACKAGES = ("docker.io", "docker-compose-v2", "docker-buildx")
_NEEDED_SUITE = "trixie"
_OLDER_DEBIAN = ("bookworm",)
# Packages that older Debian does not have at all, or too old: Go of Debian 13 fetches the release that a module names.
_NEW_PACKAGES = ("cosign", "promtool", "etcd-server", "golang-go", "golang-src")
_SOURCE = f"/etc/apt/sources.list.d/slipway-{_NEEDED_SUITE}.sources"
_PIN = f"/etc/apt/preferences.d/slipway-{_NEEDED_SUITE}"
ENGINE_LOG = "/var/log/dockerd.log"


@dataclass(frozen=True)
class Machine:
    """The state of this machine.

    ``mirror`` is the package source that apt itself uses, ``keyring`` the file that signs it. ``stale_files`` are pid
    files of an engine that was killed: their number may belong to another process by now.
    """

    distribution: str
    codename: str
    root: bool
    sudo: bool
    systemd: bool
    mirror: str = ""
    keyring: str = ""
    findings: tuple[ToolFinding, ...] = ()
    engine_installed: bool = False
    engine_answers: bool = False
    missing_programs: tuple[str, ...] = ()
    remote: bool = False
    stale_files: tuple[str, ...] = ()


def _as_root(machine: Machine, *argv: str, stdin: str | None = None, reason: str = "") -> Command:
    if not machine.root and not machine.sudo:
        raise RefusedError(
            "installing Docker needs root, and there is no sudo", "run ./inv setup as root, or install Docker by hand"
        )
    # sudo resets the environment, so the variables are among the command's arguments.
    quiet = {"DEBIAN_FRONTEND": "noninteractive"}
    words = argv if machine.root else ("sudo", *(f"{key}={value}" for key, value in quiet.items()), *argv)
    return Command(tuple(words), stdin=stdin, env=quiet if machine.root else {}, reason=reason)


def install(machine: Machine) -> tuple[Command, ...]:
    """Return the commands that install what is missing; empty when nothing is.

    Raises RefusedError on a distribution for which Slipway has no packages.
    """
    unfit = [finding for finding in machine.findings if finding.fatal]
    engine_missing = not machine.engine_answers and not machine.engine_installed and not machine.remote
    if not unfit and not engine_missing and not machine.missing_programs:
        return ()
    if machine.distribution not in ("debian", "ubuntu"):
        what = ", ".join([*(finding.name for finding in unfit), *machine.missing_programs]) or "Docker Engine"
        raise RefusedError(
            f"cannot install on {machine.distribution or 'this system'}: {what}",
            "install Docker Engine, Compose and Buildx by your system's own means, then run ./inv doctor",
        )
    commands: list[Command] = []
    packages: Sequence[str] = ()
    if unfit or engine_missing:
        packages = _UBUNTU_PACKAGES if machine.distribution == "ubuntu" else _DEBIAN_PACKAGES
        if machine.codename in _OLDER_DEBIAN:
            commands.extend(_newer_suite(machine))
            packages = [f"{name}/{_NEEDED_SUITE}" for name in packages]
        packages = [*packages, "iptables"]
    others = list(machine.missing_programs)
    if machine.codename in _OLDER_DEBIAN and (new := set(others) & set(_NEW_PACKAGES)):
        commands = commands or _newer_suite(machine)
        others = [f"{name}/{_NEEDED_SUITE}" if name in new else name for name in others]
    commands.append(_as_root(machine, "apt-get", "update", "-qq", reason="read the package lists"))
    words = (
        "apt-get",
        "install",
        "-y",
        "-qq",
        "-o=Dpkg::Use-Pty=0",
        "--no-install-recommends",
        *packages,
        *others,
    )
    commands.append(_as_root(machine, *words, reason="install what is missing"))
    return tuple(commands)


def _newer_suite(machine: Machine) -> list[Command]:
    if not machine.mirror:
        raise RefusedError(
            "apt names no Debian mirror to take the newer Docker packages from",
            "run `apt-get update`, or install Docker Engine, Compose and Buildx by hand",
        )
    source = f"Types: deb\nURIs: {machine.mirror}\nSuites: {_NEEDED_SUITE}\nComponents: main\n"
    if machine.keyring:
        source += f"Signed-By: {machine.keyring}\n"
    # Priority 100: a package of the newer suite is installed only if it is named with the suite.
    pin = f"Package: *\nPin: release n={_NEEDED_SUITE}\nPin-Priority: 100\n"
    reason = f"Docker's packages of Debian {_NEEDED_SUITE}, and only what is named"
    return [
        _as_root(machine, "tee", _SOURCE, stdin=source, reason=reason),
        _as_root(machine, "tee", _PIN, stdin=pin),
    ]


def clear(machine: Machine) -> tuple[Command, ...]:
    """Return the command that removes what keeps a killed engine from starting again; empty when nothing does."""
    if not machine.stale_files:
        return ()
    return (_as_root(machine, "rm", "-f", *machine.stale_files, reason="pid files of an engine that was killed"),)


def start_engine(machine: Machine) -> tuple[Command, bool]:
    """Return the command that starts the engine, and whether the command keeps running."""
    if machine.systemd:
        return _as_root(machine, "systemctl", "enable", "--now", "docker", reason="start the engine"), False
    # A container or CI machine often has no ip6tables; IPv6 is off for containers by default.
    if not machine.root:  # the log is written as root, too
        words = ("sh", "-c", f"exec dockerd --ip6tables=false >>{ENGINE_LOG} 2>&1")
        return _as_root(machine, *words, reason="start the engine; no systemd here"), True
    return _as_root(machine, "dockerd", "--ip6tables=false", reason="start the engine; no systemd here"), True


def rootfs(suite: str, file: str, include: Sequence[str], mirror: str) -> Command:
    """Return the command that makes a minimal root file system of a Debian suite as a tar file."""
    words = ["mmdebstrap", "--variant=minbase"]
    if include:
        words.append(f"--include={','.join(include)}")
    trimmed = ("/usr/share/doc/*", "/usr/share/info/*", "/usr/share/locale/*", "/usr/share/man/*")
    words += [f"--dpkgopt=path-exclude={path}" for path in trimmed]
    return Command((*words, suite, file, *([mirror] if mirror else [])), reason=f"root file system of Debian {suite}")


def certificate(certificate_file: str, key_file: str, names: Sequence[str], days: int) -> Command:
    """Return the command that makes a self-signed certificate for ``names`` (host names) and 127.0.0.1."""
    alternatives = ",".join([*(f"DNS:{name}" for name in names), "IP:127.0.0.1", "IP:::1"])
    return Command(
        (
            *("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"),
            *("-days", str(days), "-subj", f"/CN={names[0]}", "-addext", f"subjectAltName={alternatives}"),
            *("-keyout", key_file, "-out", certificate_file),
        ),
        reason="self-signed certificate for development",
    )
