"""A throw-away container that runs a check: what it may do, its command, and how it ended."""

from dataclasses import dataclass

from ...model.command import Command
from ...model.compose import docker_env
from ...model.engine.facts import ONEOFF_LABEL, PROJECT_LABEL, SERVICE_LABEL
from ...model.profile.profile import Profile
from ...model.units import parse_size

REPORTS = "/reports"
RUN_LABEL, PROCESS_LABEL = "slipway.test", "slipway.test.holder"


@dataclass(frozen=True)
class Box:
    """A container that runs a check; ``memory`` is its limit in bytes."""

    name: str
    image: str
    service: str
    user: str
    reports: str
    memory: int
    arguments: tuple[str, ...] = ()
    environment: tuple[tuple[str, str], ...] = ()
    entrypoint: str = ""
    mounts: tuple[tuple[str, str], ...] = ()  # (directory on this machine, directory in the container); read-only


def container_user(caller: tuple[int, int], image_user: str) -> str:
    """Return the user of a test container as ``uid:gid``, "" for the image's own user; never root.

    It is the caller's user, so that the reports belong to the caller. When the caller is root it is the image's user.
    """
    if caller[0]:
        return f"{caller[0]}:{caller[1]}"
    return "" if image_user and image_user.partition(":")[0] not in ("0", "root") else "65534:65534"


def command(box: Box, profile: Profile, project: str, run: str, process: str) -> Command:
    """Return the ``docker run`` command of a check: read-only, no network, no capabilities, bounded resources.

    ``process`` identifies the process that starts it (``processes.mark``).
    """
    labels = {
        PROJECT_LABEL: project,
        SERVICE_LABEL: box.service,
        ONEOFF_LABEL: "True",
        RUN_LABEL: run,
        PROCESS_LABEL: process,
    }
    argv = ["docker", "run", f"--name={box.name}", "--pull=never", "--read-only", "--network=none"]
    argv += ["--cap-drop=ALL", "--security-opt=no-new-privileges", "--pids-limit=1024"]
    argv += [f"--memory={box.memory}", f"--memory-swap={box.memory}", "--log-driver=none"]
    # Tests are compiled and run in /tmp, so it is executable; it counts against the memory limit.
    argv += ["--tmpfs=/tmp:exec,mode=1777", f"--mount=type=bind,source={box.reports},target={REPORTS}"]
    argv += [f"--mount=type=bind,source={source},target={target},readonly" for source, target in box.mounts]
    argv += [f"--user={box.user}"] if box.user else []
    argv += [f"--entrypoint={box.entrypoint}"] if box.entrypoint else []
    argv += [f"--env={key}={value}" for key, value in box.environment]
    argv += [f"--label={key}={value}" for key, value in labels.items()]
    return Command((*argv, box.image, *box.arguments), env=docker_env(profile), reason=f"run {box.image}")


def memory_limit(profile: Profile) -> int:
    """Return the memory limit of a test container in bytes."""
    return parse_size(profile.text("TEST_MEMORY"), "TEST_MEMORY")


@dataclass(frozen=True)
class ContainerResult:
    """How the container of one service ended. ``stopped`` is why we stopped it, "" when it ended by itself."""

    service: str
    exit_code: int
    oom_killed: bool = False
    stopped: str = ""
    seconds: float = 0.0
    memory: str = ""
    log: str = ""
