"""Makes a machine ready: Docker, the engine, this machine's layer of the profile, development secrets, base images."""

import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from secrets import token_urlsafe

from ..build import sources, stand_ins
from ..host import machine
from ..host.output import note
from ..host.profile import settings
from ..host.profile.text_files import replace_text
from ..host.project import Project
from ..host.runner import Runner, available, capture
from ..model.command import Command
from ..model.errors import InputError, RefusedError, SlipwayError
from ..model.profile.profile import Profile
from ..model.stack.stack import SecretFile, Stack
from ..monitor import compose_file
from .plan import setup

_PROGRAMS = ("git", "openssl")
_ENGINE_START = 30.0  # seconds
_CERTIFICATE_DAYS = 365
_LOCAL_LAYER = "base.local.env"


def inspect_machine(wanted_programs: Sequence[str] = _PROGRAMS) -> setup.Machine:
    """Return what this machine has and lacks."""
    release = machine.os_release()
    return setup.Machine(
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
    state = inspect_machine()
    commands = setup.install(state)
    for command in commands:
        runner.run(command)
    if state.engine_answers:
        return
    if state.remote:
        raise RefusedError("the engine that DOCKER_HOST or DOCKER_CONTEXT names does not answer", "start it there")
    machine.refuse_without_permission()
    for command in setup.clear(state):
        runner.run(command)
    command, stays = setup.start_engine(state)
    runner.detach(command, setup.ENGINE_LOG if state.root else os.devnull) if stays else runner.run(command)
    if not runner.dry:
        _wait_for_engine()


def install(runner: Runner, needs: Mapping[str, str]) -> None:
    """Install what is missing of ``needs`` (the package of each program, or several with blanks between them)."""
    missing = " ".join(packages for program, packages in needs.items() if not available(program))
    if packages := tuple(dict.fromkeys(missing.split())):
        for command in setup.install(replace(inspect_machine(()), missing_programs=packages)):
            runner.run(command)


def _wait_for_engine() -> None:
    deadline = time.monotonic() + _ENGINE_START
    while machine.engine_version() is None:
        machine.refuse_without_permission()
        if time.monotonic() > deadline:
            raise RefusedError(
                f"the engine did not start within {_ENGINE_START:.0f} s: {machine.last_line(setup.ENGINE_LOG)}",
                f"its log is {setup.ENGINE_LOG}, or `journalctl -u docker`",
            )
        time.sleep(0.2)
    note(f"engine {machine.engine_version()} is running")


def probe_machine(project: Project) -> dict[str, str]:
    """Probe this machine for values that no layer of the profile sets, and return them for the local layer.

    ``BASE_IMAGES``: whether the engine reaches the registry of the base images. ``CA_BUNDLE``: the file with this
    machine's own certificate authorities, if it has any.
    """
    profile, values = project.profile, {}
    if not profile.is_set("BASE_IMAGES"):
        values["BASE_IMAGES"] = "registry" if _registry_reached(project) else "local"
    bundle = machine.local_ca_bundle()
    if bundle and not profile.is_set("CA_BUNDLE"):
        values["CA_BUNDLE"] = bundle
    return values


def _registry_reached(project: Project) -> bool:
    inputs = sources.of_project(project)
    bases = sorted({name for service_inputs in inputs.values() for name in service_inputs.dockerfile.all_images()})
    if not bases:
        return True
    note(f"asking the registry for {bases[0]}")
    return project.engine.reaches(bases[0])


def write_local_layer(runner: Runner, values: dict[str, str]) -> None:
    """Add values to ``envs/base.local.env``; its present lines are kept."""
    if not values:
        return
    where = settings.settings()
    path = where.envs_dir / _LOCAL_LAYER
    lines = [f"{key}={value}" for key, value in values.items()]
    if runner.dry:
        runner.run(Command(("tee", "-a", str(path)), stdin="".join(f"{line}\n" for line in lines)))
        return
    earlier = path.read_text(encoding="utf-8") if path.exists() else "# Found by `inv setup`; change what is wrong.\n"
    replace_text(path, earlier.rstrip("\n") + "\n" + "\n".join(lines) + "\n", None if path.exists() else 0o644)
    note(f"{where.shown(path)}: {', '.join(lines)}")


def make_secrets(runner: Runner, profile: Profile, stack: Stack) -> None:
    """Make the missing secret files for which the Compose file has a recipe, if the profile allows it."""
    if not profile.flag("GENERATE_SECRETS"):
        return
    for secret in stack.secrets.values():
        if not secret.generate or Path(secret.file).exists():
            continue
        if runner.dry:
            runner.show(f"make {secret.file} ({secret.generate})")
        elif secret.generate == "password":
            _prepare_directory(secret.file)
            replace_text(Path(secret.file), token_urlsafe(32), 0o644)
            note(f"made {secret.file}")
        else:
            _make_certificate(runner, secret, stack)


def _prepare_directory(file: str) -> None:
    """Make the directory of a secret. Only its owner may enter it, so the file may be readable, for containers."""
    directory = Path(file).parent
    if not directory.exists():
        directory.mkdir(parents=True, mode=0o700)
    elif all(entry.name == ".gitkeep" for entry in directory.iterdir()):
        directory.chmod(0o700)


def _make_certificate(runner: Runner, secret: SecretFile, stack: Stack) -> None:
    key = stack.secrets.get(secret.key)
    if key is None:
        raise InputError(
            f"x-slipway.secrets.{secret.name}.key: no file secret {secret.key!r}",
            "name the file secret that gets its private key",
        )
    _prepare_directory(secret.file)
    command = setup.certificate(secret.file, key.file, ("localhost",), _CERTIFICATE_DAYS)
    result = capture(command)
    if result.exit_code != 0:
        raise SlipwayError(
            f"openssl made no certificate: {result.stderr.strip().splitlines()[-1]}", "check that it is installed"
        )
    # openssl makes the key 0600, but containers that read it do not run as its owner; the directory protects it.
    Path(key.file).chmod(0o644)
    note(f"made {secret.file} and {key.file}")


def bases(project: Project, force: bool = False) -> None:
    """Build the stand-in base images; raises InputError when the profile names no file for them."""
    file = project.profile.text("BASE_IMAGES_FILE")
    if not file:
        raise InputError(
            "BASE_IMAGES_FILE is not set: nothing says how to build stand-in base images",
            "name a Compose file whose services build them, as docker_project/airgap/ does",
        )
    stack = stand_ins.stack(project, file)
    _make_rootfs(project, stack, Path(project.cwd, file).parent, force)
    stand_ins.make(project, stack, no_cache=force)


def missing_bases(project: Project) -> bool:
    """Whether a stand-in base image is missing on the engine."""
    file = project.profile.text("BASE_IMAGES_FILE")
    if project.profile.text("BASE_IMAGES") != "local" or not file:
        return False
    return bool(stand_ins.missing(project, stand_ins.stack(project, file)))


def provide_monitoring(project: Project) -> None:
    """Build the stand-ins for images of the monitoring that the engine has not got, where no registry is reached."""
    stand_ins.provide(project, compose_file.find(project).parent)


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
    # Under another name until it is complete: a run that was stopped leaves nothing that looks finished.
    partial = path.with_name(f"{path.stem}.partial{path.suffix}")
    partial.unlink(missing_ok=True)
    command = setup.rootfs(rootfs.suite, str(partial), rootfs.include, machine.debian_mirror())
    project.runner.run(command)
    project.runner.run(Command(("mv", str(partial), str(path))))
