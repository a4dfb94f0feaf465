"""Slipway's own checks of the resolved Compose model and of Dockerfiles, which no scanner has: SLIP001 and so on."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from ...build.plan.dockerfile import logical_lines
from ...model.engine.sockets import is_engine_socket
from ...model.finding import CRITICAL, HIGH, LOW, MEDIUM, Finding
from ...model.lazy_pattern import lazy_pattern
from ...model.secret import is_secret_name, url_passwords
from ...model.stack.stack import Service

SCANNER = "slipway"
_DANGEROUS = {
    "ALL", "BPF", "DAC_READ_SEARCH", "MAC_ADMIN", "NET_ADMIN", "PERFMON", "SYS_ADMIN", "SYS_BOOT", "SYS_MODULE",
    "SYS_PTRACE", "SYS_RAWIO", "SYS_TIME",
}  # fmt: skip
# A mount of these, or of a directory above them, gives a container control over the host.
_HOST = ("/boot", "/dev", "/etc", "/home", "/lib", "/proc", "/root", "/run", "/sys", "/usr", "/var/lib", "/var/run")
_ROOT = ("0", "root")
_NAMESPACES = {"network_mode": "network", "pid": "processes", "ipc": "shared memory", "uts": "host name",
               "userns_mode": "users", "cgroup": "control groups"}  # fmt: skip
_ENV = lazy_pattern(r"(?:ENV|ARG)\s+(?P<rest>.+)", re.IGNORECASE | re.DOTALL)
_PAIR = lazy_pattern(r"(\w+)(?:=(\"(?:[^\"\\]|\\.)*\"|'[^']*'|\S*)|\s+(\S.*))?")


@dataclass(frozen=True)
class ModelFacts:
    """The facts about a service that its Compose model does not contain.

    ``user`` is its image's user ("" is root, None unknown), ``health_check`` whether it has a health check (None:
    unknown), ``one_off`` whether it runs to an end instead of serving.
    """

    user: str | None
    health_check: bool | None
    one_off: bool


def checks(
    services: Mapping[str, Service], model: Mapping[str, Any], facts: Mapping[str, ModelFacts], directory: str
) -> tuple[Finding, ...]:
    """Return the findings on the services; ``directory`` is the project's: its files may be mounted."""
    findings: list[Finding] = []
    for name, raw in (model.get("services") or {}).items():
        if name in services:
            findings += _service(name, raw or {}, facts[name], directory, built=services[name].build is not None)
    return tuple(findings)


def _service(name: str, raw: Mapping[str, Any], facts: ModelFacts, directory: str, built: bool) -> Iterator[Finding]:
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
        yield fault(5, MEDIUM, "healthcheck", "the service has no health check", "add a health check")
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
    for added in raw.get("cap_add") or []:
        name = str(added).upper().removeprefix("CAP_")
        severity = HIGH if name in _DANGEROUS else LOW if name == "NET_BIND_SERVICE" else MEDIUM
        yield fault(7, severity, f"cap_add: {added}", f"the capability {added} is added", "remove it if you can")
    dropped = {str(capability).upper() for capability in raw.get("cap_drop") or []}
    if not dropped & {"ALL", "CAP_ALL"}:
        yield fault(14, LOW, "cap_drop", "the container keeps Docker's default capabilities", "say cap_drop: [ALL]")
    options = [str(name).replace("=", ":").replace(" ", "") for name in raw.get("security_opt") or []]
    if not {"no-new-privileges", "no-new-privileges:true"} & set(options):
        yield fault(12, LOW, "security_opt", "a setuid program may gain privileges",
                    'say security_opt: ["no-new-privileges:true"]')  # fmt: skip
    for option in options:
        if option.endswith(":unconfined") or option == "label:disable":
            yield fault(16, HIGH, f"security_opt: {option}", "the kernel's protection is off", "remove the option")


def _mounts(raw: Mapping[str, Any], fault: Any, directory: str) -> Iterator[Finding]:
    for mount in raw.get("volumes") or []:
        if mount.get("type") != "bind":
            continue
        source = str(mount.get("source") or "")
        place = f"volumes: {source}"
        if is_engine_socket(source):
            yield fault(9, CRITICAL, place, "access to the engine's socket is root on the host", "do not mount it")
        elif source == "/" or (any(source == top or top.startswith(f"{source}/") or source.startswith(f"{top}/")
                                  for top in _HOST) and not _inside(source, directory)):  # fmt: skip
            yield fault(10, HIGH, place, "a directory of the host's system is mounted", "use a named volume")
        elif not mount.get("read_only"):
            yield fault(17, LOW if _inside(source, directory) else MEDIUM, place,
                        "the container can write to the host's files", "add :ro, or use a named volume")  # fmt: skip
    for device in raw.get("devices") or []:
        source = str(device.get("source") if isinstance(device, dict) else device)
        yield fault(18, MEDIUM, f"devices: {source}", "the container has a device of the host", "remove it if you can")


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


def unpinned_bases(text: str, path: str) -> tuple[Finding, ...]:
    """Return a finding for each base image of a Dockerfile without a digest, since a push may replace it.

    A base image without a tag is reported by hadolint (DL3006).
    """
    findings: dict[str, Finding] = {}
    stages: set[str] = set()
    for number, line in enumerate(text.splitlines(), 1):
        match = re.match(r"\s*FROM\s+(?:--platform=\S+\s+)?(\S+)(?:\s+AS\s+(\S+))?", line, re.IGNORECASE)
        if match is None:
            continue
        base = match[1]
        if base.lower() not in stages and base.lower() != "scratch" and "@" not in base and "$" not in base:
            findings.setdefault(base, Finding(
                "SLIP003", LOW, SCANNER, f"{path}:{number}", f"{base} has no digest: what is built may change",
                advice=f"docker buildx imagetools inspect {base} shows the digest",
            ))  # fmt: skip
        if match[2]:
            stages.add(match[2].lower())
    return tuple(findings.values())


def environment_secrets(text: str, path: str) -> tuple[Finding, ...]:
    """Return a finding for each ENV and ARG instruction of a Dockerfile with a secret, without its value."""
    findings = []
    for line in logical_lines(text):
        match = _ENV.match(line)
        for name, value, rest in _PAIR.findall(match["rest"]) if match else ():
            if _holds_secret(name, (value or rest).strip("\"'")) and "$" not in value:
                findings.append(Finding(
                    "SLIP004", HIGH, SCANNER, f"{path}: {name}", "a secret that everyone with the image can read",
                    advice="use RUN --mount=type=secret, or Compose secrets",
                ))  # fmt: skip
    return tuple(findings)


def stage_user(text: str, target: str) -> str | None:
    """Return the user that a stage of a Dockerfile runs as, None when its base image decides.

    ``target`` is the stage, "" the last. A stage from ``scratch`` without USER runs as root, which is "".
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
    result = users.get(target.lower(), "?") if target else users.get(current, "?")
    return None if result == "?" or "$" in result else result
