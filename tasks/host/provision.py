"""Makes a machine ready: Docker, the engine, what this machine's profile layer should say, development secrets."""

import os
import secrets as random
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from ..plan import build as build_planner
from ..plan import setup as planner
from ..plan.command import Command
from ..plan.compose import compose
from ..plan.errors import InputError, RefusedError, SlipwayError
from ..plan.profile import Profile
from ..plan.stack import SecretFile, Stack, parse
from ..plan.version import UNVERSIONED
from . import builds, files, machine
from .output import note
from .project import Project, model
from .runner import Runner, available, capture

_PROGRAMS = ("git", "openssl")
_ENGINE_START = 30.0  # seconds
_CERTIFICATE_DAYS = 365
_LOCAL_LAYER = "base.local.env"
_BASES_PROJECT = "slipway-bases"


def inspect_machine(wanted_programs: Sequence[str] = _PROGRAMS) -> planner.Machine:
    """Return what this machine has and lacks."""
    release = machine.os_release()
    return planner.Machine(
        distribution=release.get("ID", ""),
        codename=release.get("VERSION_CODENAME", ""),
        root=os.geteuid() == 0,
        sudo=available("sudo"),
        systemd=Path("/run/systemd/system").is_dir(),
        mirror=machine.debian_mirror(),
        keyring=machine.debian_keyring(),
        findings=machine.tools(),
        engine_installed=available("dockerd"),
        engine_answers=machine.engine_version() is not None,
        missing_programs=tuple(name for name in wanted_programs if not available(name)),
        stale_files=machine.stale_pid_files(),
        remote=bool(os.environ.get("DOCKER_HOST") or os.environ.get("DOCKER_CONTEXT")),
    )


def install_and_start(runner: Runner) -> None:
    """Install what is missing and start the engine; raises RefusedError when that cannot be done here."""
    found = inspect_machine()
    commands = planner.install(found)
    for command in commands:
        runner.run(command)
    if found.engine_answers:
        return
    if found.remote:
        raise RefusedError("the engine that DOCKER_HOST or DOCKER_CONTEXT names does not answer", "start it there")
    machine.refuse_without_permission()
    for command in planner.clear(found):
        runner.run(command)
    command, stays = planner.start_engine(found)
    runner.detach(command, planner.ENGINE_LOG if found.root else os.devnull) if stays else runner.run(command)
    if not runner.dry:
        _wait_for_engine()


def install(runner: Runner, needs: Mapping[str, str]) -> None:
    """Install the packages of programs that are missing, by program."""
    if packages := tuple(package for program, package in needs.items() if not available(program)):
        for command in planner.install(replace(inspect_machine(()), missing_programs=packages)):
            runner.run(command)


def _wait_for_engine() -> None:
    deadline = time.monotonic() + _ENGINE_START
    while machine.engine_version() is None:
        machine.refuse_without_permission()
        if time.monotonic() > deadline:
            raise RefusedError(
                f"the engine did not start within {_ENGINE_START:.0f} s: {machine.last_line(planner.ENGINE_LOG)}",
                f"its log is {planner.ENGINE_LOG}, or `journalctl -u docker`",
            )
        time.sleep(0.2)
    note(f"engine {machine.engine_version()} is running")


def find_out(project: Project) -> dict[str, str]:
    """Probe this machine for what no layer says yet, and return it for the local layer.

    ``BASE_IMAGES``: whether the engine reaches the registry of the base images. ``CA_BUNDLE``: where this
    machine's own certificate authorities are, if it has any of its own.
    """
    profile, found = project.profile, {}
    if not profile.is_set("BASE_IMAGES"):
        found["BASE_IMAGES"] = "registry" if _registry_reached(project) else "local"
    bundle = machine.local_ca_bundle()
    if bundle and not profile.is_set("CA_BUNDLE"):
        found["CA_BUNDLE"] = bundle
    return found


def _registry_reached(project: Project) -> bool:
    inputs = project.build_inputs()
    bases = sorted({name for one in inputs.values() for name in one.dockerfile.all_images()})
    if not bases:
        return True
    note(f"asking the registry for {bases[0]}")
    return project.engine.reaches(bases[0])


def write_local_layer(runner: Runner, found: dict[str, str]) -> None:
    """Add findings to ``envs/base.local.env``; what is there is kept."""
    if not found:
        return
    where = files.settings()
    path = where.envs_dir / _LOCAL_LAYER
    lines = [f"{key}={value}" for key, value in found.items()]
    if runner.dry:
        for line in lines:
            runner.run(Command(("sh", "-c", 'echo "$1" >>"$2"', "sh", line, str(path))))
        return
    earlier = path.read_text(encoding="utf-8") if path.exists() else "# Found by `inv setup`; change what is wrong.\n"
    _write(path, earlier.rstrip("\n") + "\n" + "\n".join(lines) + "\n", 0o644)
    note(f"{where.shown(path)}: {', '.join(lines)}")


def _write(path: Path, text: str, mode: int) -> None:
    """Write a file in one step: it has the old content or the new, never a part."""
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        file.write(text)
    Path(name).chmod(mode)
    Path(name).replace(path)


def make_secrets(runner: Runner, profile: Profile, stack: Stack) -> None:
    """Make the missing secret files that the Compose file says how to make, where the profile allows it."""
    if not profile.flag("GENERATE_SECRETS"):
        return
    for secret in stack.secrets.values():
        if not secret.generate or Path(secret.file).exists():
            continue
        if runner.dry:
            runner.show(f"make {secret.file} ({secret.generate})")
        elif secret.generate == "password":
            _prepare_directory(secret.file)
            _write(Path(secret.file), random.token_urlsafe(32), 0o644)
            note(f"made {secret.file}")
        else:
            _make_certificate(runner, secret, stack)


def _prepare_directory(file: str) -> None:
    """Make the directory of a secret; nobody but its owner may enter it, so the file can be readable in containers."""
    directory = Path(file).parent
    if not directory.exists():
        directory.mkdir(parents=True, mode=0o700)
    elif all(one.name == ".gitkeep" for one in directory.iterdir()):
        directory.chmod(0o700)


def _make_certificate(runner: Runner, secret: SecretFile, stack: Stack) -> None:
    key = stack.secrets.get(secret.key)
    if key is None:
        raise InputError(
            f"x-slipway.secrets.{secret.name}.key: no file secret {secret.key!r}", "name the secret that is its key"
        )
    _prepare_directory(secret.file)
    command = planner.certificate(secret.file, key.file, ("localhost",), _CERTIFICATE_DAYS)
    result = capture(command)
    if result.exit_code != 0:
        raise SlipwayError(f"openssl made no certificate: {result.stderr.strip().splitlines()[-1]}", "is it installed?")
    # openssl makes the key 0600; the containers that read it do not run as its owner, the directory is what is closed.
    Path(key.file).chmod(0o644)
    note(f"made {secret.file} and {key.file}")


def bases(project: Project, force: bool = False) -> None:
    """Build the stand-in base images; raises InputError when the profile names no file that says how."""
    file = project.profile.text("BASE_IMAGES_FILE")
    if not file:
        raise InputError(
            "BASE_IMAGES_FILE is not set: nothing says how to build stand-in base images",
            "name a Compose file whose services build them, as docker_project/airgap/ does",
        )
    stack = _bases_stack(project, file)
    _make_rootfs(project, stack, Path(project.cwd, file).parent, force)
    from . import sources

    inputs = sources.inputs(stack.built(), project.engine)
    options = build_planner.Options(no_cache=force)
    plan = build_planner.plan(stack, project.profile, UNVERSIONED, inputs, options, project.cwd)
    builds.carry_out(project, plan)


def _bases_stack(project: Project, file: str) -> Stack:
    machine.refuse_unfit_tools()
    # A project of its own: its images are every environment's, and `clean` of one must not take them along.
    words = ("--project-name", _BASES_PROJECT, "config")
    result = capture(compose(project.profile, *words, cwd=project.cwd, files=(file,)))
    if result.exit_code != 0:
        last = (result.stderr.strip().splitlines() or ["no message"])[-1]
        raise InputError(f"Compose does not accept {file}: {last}", "correct it, or BASE_IMAGES_FILE of the profile")
    return parse(model(result.stdout))


def missing_bases(project: Project) -> bool:
    """Whether one of the stand-in base images does not exist on the engine."""
    file = project.profile.text("BASE_IMAGES_FILE")
    if project.profile.text("BASE_IMAGES") != "local" or not file:
        return False
    return any(project.engine.image(one.image) is None for one in _bases_stack(project, file).services.values())


def _make_rootfs(project: Project, stack: Stack, directory: Path, force: bool) -> None:
    rootfs = stack.rootfs
    if rootfs is None:
        return
    path = directory / rootfs.file
    if path.exists() and not force:
        return
    # Without root, mmdebstrap works in a user namespace, which newuidmap sets up.
    install(project.runner, {"mmdebstrap": "mmdebstrap", **({} if os.geteuid() == 0 else {"newuidmap": "uidmap"})})
    path.parent.mkdir(parents=True, exist_ok=True)
    # Under another name until it is whole: a run that was stopped leaves nothing that looks finished.
    partial = path.with_name(f"{path.stem}.partial{path.suffix}")
    partial.unlink(missing_ok=True)
    command = planner.rootfs(rootfs.suite, str(partial), rootfs.include, machine.debian_mirror())
    project.runner.run(command)
    project.runner.run(Command(("mv", str(partial), str(path))))
