"""Makes the environment of a rehearsal: a local layer over the environment that is rehearsed."""

import os
from collections.abc import Mapping
from pathlib import Path

from invoke import Context

from ..host import machine
from ..host import project as host_project
from ..host.output import note
from ..host.profile import compose_files
from ..host.profile.load_profile import load_profile
from ..host.profile.settings import REHEARSAL, Settings, environments, layers_of, rehearsed_by, settings
from ..host.profile.text_files import replace_text
from ..host.project import Project
from ..model.command import Command
from ..model.errors import InputError, RefusedError, SlipwayError
from ..model.profile.grammar import assignment_line
from ..model.profile.profile import Profile, gather
from ..model.secret import is_secret_name
from ..model.stack.stack import Port
from .new import ignore_local_layers
from .plan import rehearsal
from .plan.rehearsal import Rehearsed


def project_for_plan(c: Context, environment: str) -> Project:
    """Write the layer of the rehearsal of an environment and return its project; in a dry run nothing is written.

    The project is as ``host.project.project_for_plan`` returns it.

    Raises RefusedError for what the rehearsal would share with the environment itself, and for secrets that only that
    one has.
    """
    where = settings()
    environment = environment or where.default_env
    if rehearsed_by(environment, where):
        raise InputError(f"{environment} is a rehearsal already", f"run: inv deploy.{environment}")
    name = f"{environment}{REHEARSAL}"
    if name in environments() and not rehearsed_by(name, where):
        raise InputError(
            f"{where.shown(where.envs_dir / name)}.env is an environment of its own", f"run: inv deploy.{name}"
        )
    real, values = _values(c, environment, where)
    # By its own name where its layer is there: two environments must not be one project.
    trial = Project(c, name if rehearsed_by(name, where) else environment, values)
    if shared := rehearsal.shared(real.model, trial.model):
        raise RefusedError(
            f"a rehearsal would share with {environment}: {', '.join(shared)}",
            "leave names to Compose (no `name:`, `external:`, `container_name:`), and use volumes for what is written",
        )
    if missing := trial.missing_secrets(trial.stack):
        raise RefusedError(f"the secrets of development do not exist: {', '.join(missing)}", "./inv setup makes them")
    if bool(c.config.run.dry):
        lines = "".join(f"{assignment_line(key, text)}\n" for key, text in sorted(values.items()))
        shown = "".join(f"{line}\n" for line in lines.splitlines() if not is_secret_name(line.partition("=")[0]))
        trial.runner.run(Command(("tee", str(where.envs_dir / f"{name}.local.env")), stdin=shown))
        return trial
    _write(where, environment, values)
    return host_project.project_for_plan(c, name)


def _values(c: Context, environment: str, where: Settings) -> tuple[Project, dict[str, str]]:
    """Return the project of the environment itself, read with development secrets, and what its rehearsal sets."""
    setting = gather(layers_of(environment, where), os.environ, {}, compose_files.KEYS)
    variables = compose_files.examine_compose_files(setting, where, thorough=True).variables
    development = _development(environment, where)
    generated = Project(c, development.environment).stack.secrets.values() if development else ()
    written = {key: one.text for key, one in gather(layers_of(environment, where), {}, {}, ()).items()}
    secrets = rehearsal.secret_values(written, variables, development)
    real = Project(c, environment, secrets)
    rehearsed = Rehearsed(
        _without(real.profile, secrets, written),
        real.wide.stack,
        real.wide.model,
        frozenset(variables),
        str(where.project_dir),
        development,
        tuple(path for path in rehearsal.files_of(real.model) if not Path(path).exists()),
        next((secret.file for secret in generated if secret.generate == "self-signed-certificate"), ""),
    )
    if foreign := rehearsal.foreign_secrets(rehearsed):
        raise RefusedError(
            f"a rehearsal of {environment} would use its own secrets: {', '.join(foreign)}",
            f"set them for development, in {where.shown(where.envs_dir)}/"
            f"{development.environment if development else 'dev'}.local.env",
        )
    return real, rehearsal.layer(rehearsed, _ports(rehearsed, environment, where), REHEARSAL)


def _without(profile: Profile, secrets: Mapping[str, str], written: Mapping[str, str]) -> Profile:
    """Return the profile as its own files have it: without the development secrets that only let it be read."""
    kept = {key: value for key, value in profile.values.items() if key not in secrets or key in written}
    return Profile(profile.environment, kept, profile.encrypted)


def _development(environment: str, where: Settings) -> Profile | None:
    """Return the profile whose secrets a rehearsal uses: the default one, else the first that may make its secrets."""
    names = [name for name in environments() if name != environment and not rehearsed_by(name, where)]
    names.sort(key=lambda name: (name != where.default_env, name))
    for name in names:
        try:
            profile = load_profile(name)
        except SlipwayError:
            continue  # its own tasks report it
        if name == where.default_env or profile.flag("GENERATE_SECRETS"):
            return profile
    return None


def _ports(rehearsed: Rehearsed, environment: str, where: Settings) -> dict[str, int]:
    """Return the port of each variable: the one that an earlier rehearsal has, else one that is free."""
    earlier = {}
    name = f"{environment}{REHEARSAL}"
    if rehearsed_by(name, where):
        earlier = {key: one.text for key, one in gather(layers_of(name, where), {}, {}, ()).items()}
    chosen: dict[str, int] = {}
    for key, port in rehearsal.ports(rehearsed).items():
        if earlier.get(key, "").isdigit() and int(earlier[key]) not in (port, *chosen.values()):
            chosen[key] = int(earlier[key])
            continue
        chosen[key] = next(
            number
            for number in rehearsal.candidates(port)
            if number not in chosen.values() and not machine.taken_ports([Port(number, number)])
        )
    return chosen


def _write(where: Settings, environment: str, values: Mapping[str, str]) -> None:
    path = where.envs_dir / f"{environment}{REHEARSAL}.local.env"
    lines = [assignment_line(key, text) for key, text in sorted(values.items())]
    head = f"# The rehearsal of {environment} on this machine. What removes it: {_removal(environment)}\n"
    replace_text(path, head + "\n".join(lines) + "\n", 0o600)
    ignore_local_layers(where)


def _removal(environment: str) -> str:
    return f"inv clean --env {environment}{REHEARSAL} --volumes --images --yes"


def tell(project: Project) -> None:
    """Print where a rehearsal is, and the command that removes what it leaves; nothing for other environments.

    Of one that was refused before anything was made, only its profile is there.
    """
    where, name = project.settings, project.profile.environment
    environment = rehearsed_by(name, where)
    if not environment:
        return
    if _exists(project):
        ports = [
            f"{service.name} {', '.join(str(port.published) for port in service.ports)}"
            for service in project.stack.services.values()
            if service.ports
        ]
        note(f"rehearsal of {environment}{', on ports: ' + '; '.join(ports) if ports else ''}")
        note(f"  look at it: inv deploy.status --env {name}")
    else:
        layer = f"{where.shown(where.envs_dir / name)}.local.env"
        note(f"rehearsal of {environment}: nothing of it runs; its profile is {layer}")
    note(f"  remove it:  {_removal(environment)}")


def _exists(project: Project) -> bool:
    """Whether there are containers of the project; True also where the engine does not say."""
    try:
        return bool(project.engine.containers(project.stack.project))
    except SlipwayError:
        return True


def forget(project: Project) -> None:
    """Remove the layer of a rehearsal once nothing of it is left; nothing for other environments."""
    where, name = project.settings, project.profile.environment
    if rehearsed_by(name, where):
        path = where.envs_dir / f"{name}.local.env"
        project.runner.run(Command(("rm", "-f", str(path)), reason="the profile of the rehearsal"))
