"""Our own checks on the resolved Compose model, of which no scanner says anything: SLIP001 and so on."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from .dockerfile import logical_lines
from .finding import CRITICAL, HIGH, LOW, MEDIUM, Finding
from .secret import is_secret_name, url_passwords
from .sockets import is_engine_socket
from .stack import Service

SCANNER = "slipway"
_DANGEROUS = {
    "ALL", "BPF", "DAC_READ_SEARCH", "MAC_ADMIN", "NET_ADMIN", "PERFMON", "SYS_ADMIN", "SYS_BOOT", "SYS_MODULE",
    "SYS_PTRACE", "SYS_RAWIO", "SYS_TIME",
}  # fmt: skip
# What a mount of these, or of a directory above them, gives away is the machine itself.
_HOST = ("/boot", "/dev", "/etc", "/home", "/lib", "/proc", "/root", "/run", "/sys", "/usr", "/var/lib", "/var/run")
_ROOT = ("0", "root")
_NAMESPACES = {"network_mode": "network", "pid": "processes", "ipc": "shared memory", "uts": "host name",
               "userns_mode": "users", "cgroup": "control groups"}  # fmt: skip
_ENV = re.compile(r"(?:ENV|ARG)\s+(?P<rest>.+)", re.IGNORECASE | re.DOTALL)
_PAIR = re.compile(r"(\w+)(?:=(\"(?:[^\"\\]|\\.)*\"|'[^']*'|\S*)|\s+(\S.*))?")


@dataclass(frozen=True)
class Facts:
    """What is known of a service beside its model.

    ``user`` is that of its image ("" is root, None not known), ``health_check`` whether it has one (None: not known).
    """

    user: str | None
    health_check: bool | None
    one_off: bool


def checks(
    services: Mapping[str, Service], model: Mapping[str, Any], facts: Mapping[str, Facts], directory: str
) -> tuple[Finding, ...]:
    """Return what is wrong with the services; ``directory`` is the project's, where mounts are expected."""
    found: list[Finding] = []
    for name, raw in (model.get("services") or {}).items():
        if name in services:
            found += _service(name, raw or {}, facts[name], directory, built=services[name].build is not None)
    return tuple(found)


def _service(name: str, raw: Mapping[str, Any], facts: Facts, directory: str, built: bool) -> Iterator[Finding]:
    def fault(number: int, severity: str, place: str, title: str, advice: str) -> Finding:
        where = f"{name}: {place}" if place else name
        return Finding(f"SLIP{number:03}", severity, SCANNER, where, title, advice=advice)

    user = str(raw.get("user") or "").partition(":")[0]
    runs_as = user or facts.user
    if runs_as is not None and (runs_as or "0").partition(":")[0] in _ROOT:
        yield fault(1, HIGH, "user", "the container runs as root", "say USER in the Dockerfile, or user: in Compose")
    image = str(raw.get("image") or "")
    tag = image.rpartition("/")[2].partition(":")[2]
    if not built and "@" not in image and tag in ("", "latest"):
        yield fault(2, HIGH, "image", f"{image} has no version: what runs may change by itself", "name a tag or digest")
    for variable, value in (raw.get("environment") or {}).items():
        if _holds_secret(variable, value):
            yield fault(4, HIGH, f"environment: {variable}", "a secret in the environment shows in `docker inspect`",
                        "use Compose secrets and a variable that ends in _FILE")  # fmt: skip
    if not facts.one_off and facts.health_check is False:
        yield fault(5, MEDIUM, "healthcheck", "nothing says whether the service works", "add a health check")
    if not raw.get("read_only"):
        yield fault(6, MEDIUM, "read_only", "the root file system can be written",
                    "say read_only: true, and tmpfs where files are made")  # fmt: skip
    yield from _capabilities(raw, fault)
    yield from _mounts(raw, fault, directory)
    yield from _host(raw, fault)
    yield from _limits(raw, fault)


def _holds_secret(variable: str, value: object) -> bool:
    text = str(value or "")
    named = is_secret_name(variable) and text != "" and not text.startswith("/")
    return named or bool(url_passwords(text))


def _capabilities(raw: Mapping[str, Any], fault: Any) -> Iterator[Finding]:
    if raw.get("privileged"):
        yield fault(8, CRITICAL, "privileged", "the container may do what root on the host may", "remove privileged")
    for one in raw.get("cap_add") or []:
        name = str(one).upper().removeprefix("CAP_")
        severity = HIGH if name in _DANGEROUS else LOW if name == "NET_BIND_SERVICE" else MEDIUM
        yield fault(7, severity, f"cap_add: {one}", f"the capability {one} is added", "do without it if you can")
    dropped = {str(one).upper() for one in raw.get("cap_drop") or []}
    if not dropped & {"ALL", "CAP_ALL"}:
        yield fault(14, LOW, "cap_drop", "the container keeps Docker's default capabilities", "say cap_drop: [ALL]")
    options = [str(one).replace("=", ":").replace(" ", "") for one in raw.get("security_opt") or []]
    if not {"no-new-privileges", "no-new-privileges:true"} & set(options):
        yield fault(12, LOW, "security_opt", "a setuid program may gain privileges",
                    'say security_opt: ["no-new-privileges:true"]')  # fmt: skip
    for option in options:
        if option.endswith(":unconfined") or option == "label:disable":
            yield fault(16, HIGH, f"security_opt: {option}", "the kernel's protection is off", "remove the option")


def _mounts(raw: Mapping[str, Any], fault: Any, directory: str) -> Iterator[Finding]:
    for one in raw.get("volumes") or []:
        if one.get("type") != "bind":
            continue
        source = str(one.get("source") or "")
        place = f"volumes: {source}"
        if is_engine_socket(source):
            yield fault(9, CRITICAL, place, "who has the engine's socket is root on the host", "do not mount it")
        elif source == "/" or (any(source == top or top.startswith(f"{source}/") or source.startswith(f"{top}/")
                                  for top in _HOST) and not _inside(source, directory)):  # fmt: skip
            yield fault(10, HIGH, place, "a directory of the host's system is mounted", "use a named volume")
        elif not one.get("read_only"):
            yield fault(17, LOW if _inside(source, directory) else MEDIUM, place,
                        "the container can write to the host's files", "add :ro, or use a named volume")  # fmt: skip
    for one in raw.get("devices") or []:
        source = str(one.get("source") if isinstance(one, dict) else one)
        yield fault(18, MEDIUM, f"devices: {source}", "a device of the host is handed over", "do without it if you can")


def _inside(path: str, directory: str) -> bool:
    return path == directory or path.startswith(f"{directory}/")


def _host(raw: Mapping[str, Any], fault: Any) -> Iterator[Finding]:
    for key, what in _NAMESPACES.items():
        if str(raw.get(key) or "") == "host":
            yield fault(11, HIGH, f"{key}: host", f"the container shares the host's {what}", f"remove {key}: host")


def _limits(raw: Mapping[str, Any], fault: Any) -> Iterator[Finding]:
    limits = ((raw.get("deploy") or {}).get("resources") or {}).get("limits") or {}
    if not raw.get("mem_limit") and not limits.get("memory"):
        yield fault(13, LOW, "mem_limit", "one container may take all memory", "say mem_limit")
    if not raw.get("pids_limit") and not limits.get("pids"):
        yield fault(13, LOW, "pids_limit", "one container may start any number of processes", "say pids_limit")


def bases(text: str, path: str) -> tuple[Finding, ...]:
    """Return the base images of a Dockerfile that a new push may replace: those without a digest.

    One without a version at all is hadolint's to find.
    """
    found: dict[str, Finding] = {}
    stages: set[str] = set()
    for number, line in enumerate(text.splitlines(), 1):
        match = re.match(r"\s*FROM\s+(?:--platform=\S+\s+)?(\S+)(?:\s+AS\s+(\S+))?", line, re.IGNORECASE)
        if match is None:
            continue
        base = match[1]
        if base.lower() not in stages and base.lower() != "scratch" and "@" not in base and "$" not in base:
            found.setdefault(base, Finding(
                "SLIP003", LOW, SCANNER, f"{path}:{number}", f"{base} has no digest: what is built may change",
                advice=f"docker buildx imagetools inspect {base} shows the digest",
            ))  # fmt: skip
        if match[2]:
            stages.add(match[2].lower())
    return tuple(found.values())


def environment(text: str, path: str) -> tuple[Finding, ...]:
    """Return the ENV and ARG instructions of a Dockerfile that hold a secret; its value is not told."""
    found = []
    for line in logical_lines(text):
        match = _ENV.match(line)
        for name, value, rest in _PAIR.findall(match["rest"]) if match else ():
            if _holds_secret(name, (value or rest).strip("\"'")) and "$" not in value:
                found.append(Finding(
                    "SLIP004", HIGH, SCANNER, f"{path}: {name}", "a secret in the image: whoever has it can read it",
                    advice="use RUN --mount=type=secret, or Compose secrets",
                ))  # fmt: skip
    return tuple(found)


def user(text: str, target: str) -> str | None:
    """Return the user that a stage of a Dockerfile (the last one for "") ends with, None when its base decides.

    Nothing but files of its own is in ``scratch``: without USER it runs as root.
    """
    users: dict[str, str] = {}
    current = ""
    for line in logical_lines(text):
        words = line.split()
        if words[0].upper() == "FROM":
            names = [word for word in words[1:] if not word.startswith("--")]
            current = names[2].lower() if len(names) > 2 else str(len(users))
            users[current] = users.get(names[0].lower(), "" if names[0].lower() == "scratch" else "?")
        elif words[0].upper() == "USER" and len(words) > 1:
            users[current] = words[1]
    found = users.get(target.lower(), "?") if target else users.get(current, "?")
    return None if found == "?" or "$" in found else found
