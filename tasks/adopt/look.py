"""Looks at a Compose project: its files by environment, its env files, its model, its Dockerfiles."""

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..build.plan.build import dockerfile_path
from ..build.plan.dockerfile import parse as parse_dockerfile
from ..env.new import additions, needed_variables
from ..host.profile import compose_files, dotenv_files, env_files, identities
from ..host.profile.extensions import override_file, parse_compose
from ..host.profile.settings import environments_in, layers_of, read_regular_file
from ..host.project import model as read_model
from ..host.runner import capture
from ..model.command import Command
from ..model.errors import InputError
from ..model.profile.interpolation import Variable
from ..model.profile.profile import Profile, Setting, Value, gather
from ..model.profile.profile import compose_files as split_files
from ..model.profile.schema import DOCKER
from ..model.stack.references import normal_name
from ..model.stack.stack import Stack, parse
from . import written
from .find import Found
from .plan.layers import (
    DEV,
    ENVIRONMENTS,
    Draft,
    Values,
    env_file_names,
    example_names,
    stands_alone,
    variants,
)

_TAKEN = ("COMPOSE_FILE", "COMPOSE_PATH_SEPARATOR", "COMPOSE_PROJECT_NAME")
_DOCKER = frozenset(key.name for key in DOCKER)


@dataclass(frozen=True)
class SeenProject:
    """What was seen of a project. ``copies`` are env files that are missing, with the example that each is made from.

    ``refused`` are reasons that Compose has not to start it, each with a hint; ``own`` the services of its own files,
    not of an `include`; ``optional`` those that only a Compose profile starts; ``model`` is the rendered model,
    ``stack`` the same typed. ``written`` are secrets in the Compose files, ``port_variables`` the variables
    that set published ports, both by service.
    """

    draft: Draft
    model: Mapping[str, Any]
    stack: Stack
    stages: Mapping[str, tuple[str, ...]]
    own: frozenset[str]
    copies: Mapping[Path, Path]
    refused: tuple[tuple[str, str], ...]
    test_file: str
    optional: frozenset[str]
    written: Mapping[str, tuple[str, ...]]
    port_variables: Mapping[str, str]


class Looking:
    """Reads one project; each question to Compose is asked once."""

    def __init__(self, found: Found) -> None:
        self.where, self._found = found.where, found
        self.directory = found.where.project_dir
        self.names = frozenset(os.listdir(self.directory))  # noqa: PTH208 - names are enough
        self.dotenv = self._env_file((".env",)) or self._env_file(example_names(".env"))
        self._answers: dict[tuple[str, ...], Any] = {}
        adopted = () if found.section else environments_in(self.where.envs_dir)
        self._profiles = {name: gather(layers_of(name, self.where), {}, {}, ()) for name in adopted}

    def look(self) -> SeenProject:
        """Return what was seen; raises InputError with Compose's own words when it does not accept the files."""
        values = self._read(self.dotenv, _TAKEN)
        base = self._base(values)
        files = {environment: self._files_of(base, environment) for environment in ENVIRONMENTS}
        missing = {path: service for names in files.values() for path, service in self._missing(names)}
        copies = {Path(path): example for path in missing if (example := _example(Path(path)))}
        variables = self._variables(files.values())
        draft = self._draft(values, files, variables)
        rendered = self._model(files[DEV])
        stack = parse(rendered)
        said = [item for item in written.services(files[DEV], self.where) if item[0] in stack.services]
        return SeenProject(
            draft,
            rendered,
            stack,
            dict(_stages(stack)),
            self._own_services(files[DEV]),
            copies,
            tuple(
                (f"{service}: env_file {path} does not exist", f"write it, or [{{path: {path}, required: false}}]")
                for path, service in missing.items()
                if Path(path) not in copies
            ),
            next(_for_tests(self.names), ""),
            frozenset(name for name, raw in (rendered.get("services") or {}).items() if raw.get("profiles")),
            {name: keys for name, raw in said if (keys := written.secrets(raw))},
            {name: variable for name, raw in said if (variable := written.port_variable(raw))},
        )

    def _env_file(self, names: Iterable[str]) -> dotenv_files.DotEnv | None:
        for name in names:
            if name in self.names and (found := dotenv_files.read_keys(self.directory / name, self.where)):
                return found
        return None

    def _read(self, dotenv: dotenv_files.DotEnv | None, keys: Iterable[str]) -> dict[str, str]:
        if dotenv is None:
            return {}
        wanted = dotenv.keys.intersection(keys)
        return dotenv_files.read_by_compose([dotenv.path], wanted, self.where, dotenv.shown)

    def _base(self, values: Mapping[str, str]) -> tuple[str, ...]:
        """Return the Compose files that make the stack today."""
        if self._found.files:
            return self._found.files
        if written := self._written(DEV):
            return written
        if values.get("COMPOSE_FILE"):
            return split_files(values["COMPOSE_FILE"], values.get("COMPOSE_PATH_SEPARATOR", ""))
        look = compose_files.examine_compose_files({}, self.where)
        if not look.discovered:
            raise InputError("\n".join(map(str, look.faults)), look.faults[0].hint)
        return look.discovered

    def _files_of(self, base: tuple[str, ...], environment: str) -> tuple[str, ...]:
        """Return the Compose files of an environment: those of its profile, else today's first and its own."""
        if written := self._written(environment):
            return written
        variant = next(iter(variants(base[0], self.names, environment)), "")
        if environment == DEV:
            # Compose's own override is what development has already.
            over = (*base, variant) if variant and len(base) == 1 else base
            return over if self._accepts(over) else base
        # Compose's own override is for development; files that were named are for all.
        alone = base if self._found.files or len(base) > 2 else base[:1]
        if variant and variant not in base:
            services = self._services((variant,))
            if services is not None and stands_alone(services, self._services(base[:1]) or ()):
                return (variant,)
            if self._accepts((*alone, variant)):
                return (*alone, variant)
        return alone if self._accepts(alone) else base

    def _written(self, environment: str) -> tuple[str, ...]:
        """Return the Compose files that the profile of an environment names, none when it names none."""
        setting = self._profiles.get(environment, {}).get("COMPOSE_FILE")
        return split_files(setting.text, "") if setting else ()

    def _accepts(self, names: tuple[str, ...]) -> bool:
        return self._services(names) is not None

    def _services(self, names: tuple[str, ...]) -> frozenset[str] | None:
        """Return the services of Compose files, None when Compose does not accept them."""
        try:
            return frozenset(self._model(names).get("services") or {})
        except InputError:
            return None

    def _model(self, names: tuple[str, ...]) -> Any:
        """Return the rendered model of Compose files, with all services."""
        if names not in self._answers:
            self._answers[names] = self._ask(names)
        if isinstance(self._answers[names], InputError):
            raise self._answers[names]
        return self._answers[names]

    def _ask(self, names: tuple[str, ...]) -> Any:
        """Ask Compose; what is not there yet counts as written: a value as 1, an env file as an empty one."""
        layer = {"COMPOSE_FILE": Setting(":".join(names), "")}
        variables = compose_files.examine_compose_files(layer, self.where, thorough=True).variables
        known = self.dotenv.keys if self.dotenv else frozenset[str]()
        wanted = [
            name for name, variable in variables.items() if variable.nonempty and not (known | {*os.environ}) & {name}
        ]
        profile = {key: setting.text for key, setting in self._profiles.get(DEV, {}).items()}
        env = {**dict.fromkeys(wanted, "1"), **profile, "COMPOSE_PROFILES": "*", "COMPOSE_FILE": ""}
        options = ["--env-file", str(self.dotenv.path) if self.dotenv else os.devnull]
        options += [word for name in names for word in ("--file", name)]
        reset = sorted({service for _, service in self._missing(names)} & self._own_services(names))
        lines = ["services:", *(f"  {service}:\n    env_file: !reset []" for service in reset)]
        profile_of_files = Profile(DEV, {"COMPOSE_FILE": Value("COMPOSE_FILE", ":".join(names), "")})
        stdin = "\n".join(lines) + "\n" if reset else override_file(profile_of_files, self.where)
        options += ["--file", "-"] if stdin else []
        result = capture(
            Command(("docker", "compose", *options, "config"), env=env, cwd=str(self.directory), stdin=stdin or None)
        )
        if result.exit_code:
            from ..host.machine import refuse_unfit_tools

            refuse_unfit_tools()
            said = [line for line in result.stderr.splitlines() if "level=warning" not in line] or ["no message"]
            return InputError(
                f"Compose does not accept {', '.join(names)}: {said[-1].strip()}",
                f"`cd {self.directory} && docker compose config` says the same; nothing was written",
            )
        return read_model(result.stdout)

    def _missing(self, names: Sequence[str]) -> tuple[tuple[str, str], ...]:
        return tuple(env_files.absent_env_files(names, self.where))

    def _variables(self, files: Iterable[Sequence[str]]) -> dict[str, Variable]:
        """Return the variables that the Compose files of all environments take."""
        variables: dict[str, Variable] = {}
        for names in dict.fromkeys(map(tuple, files)):
            layer = {"COMPOSE_FILE": Setting(":".join(names), "")}
            look = compose_files.examine_compose_files(layer, self.where, thorough=True)
            for name, variable in look.variables.items():
                if name not in variables or variable.nonempty or not variables[name].required:
                    variables[name] = variable
        return variables

    def _draft(
        self, values: Mapping[str, str], files: Mapping[str, tuple[str, ...]], variables: Mapping[str, Variable]
    ) -> Draft:
        shared = self._values(self.dotenv, variables)
        own = {name: self._values(self._env_file(env_file_names(name)), variables) for name in ENVIRONMENTS}
        name = values.get("COMPOSE_PROJECT_NAME") or ""
        layer = {"COMPOSE_FILE": Setting(":".join(files[DEV]), "")}
        if name:
            layer["COMPOSE_PROJECT_NAME"] = Setting(name, "")
        known = {key: Setting("", "") for key in (*shared.keys(), *shared.unfit)}
        needed = needed_variables(variables, known)
        return Draft(
            normal_name(identities.project_of(layer, self.where)),
            files,
            shared,
            {key: given for key, given in own.items() if given.keys()},
            tuple(f"{key}=" for key in needed if not variables[key].nonempty),
            tuple(key for key in needed if variables[key].nonempty),
        )

    def _values(self, dotenv: dotenv_files.DotEnv | None, variables: Mapping[str, Variable]) -> Values:
        if dotenv is None:
            return Values("")
        keys = set(dotenv_files.unset_keys(dotenv, {}, variables)) - _DOCKER - {*_TAKEN}
        taken = additions(self._read(dotenv, keys))
        return Values(dotenv.shown, taken.lines, taken.secrets, taken.unfit)

    def _own_services(self, names: Sequence[str]) -> frozenset[str]:
        """Return the services that the files themselves have, not those that they include."""
        own: set[str] = set()
        for name in names:
            try:
                document = parse_compose(read_regular_file(self.directory / name).decode("utf-8-sig"), name)
            except (InputError, OSError, ValueError):
                continue
            services = document.get("services") if isinstance(document, dict) else None
            own.update(services if isinstance(services, dict) else ())
        return frozenset(own)


def _for_tests(names: Iterable[str]) -> Iterator[str]:
    """Yield the Compose files that are made for tests, by their names."""
    for name in sorted(names):
        stem, _, suffix = name.rpartition(".")
        if suffix in ("yaml", "yml") and "compose" in stem and stem.endswith(("test", "tests", "ci")):
            yield name


def _example(path: Path) -> Path | None:
    return next((example for name in example_names(path.name) if (example := path.with_name(name)).is_file()), None)


def _stages(stack: Stack) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Yield each service that is built, with the stages of its Dockerfile that have a name."""
    for service in stack.services.values():
        if service.build is None:
            continue
        text = str(service.build.extra.get("dockerfile_inline") or "")
        path = dockerfile_path(service.build)
        if path and not text:
            try:
                text = read_regular_file(Path(path)).decode("utf-8-sig")
            except (OSError, ValueError):
                continue  # env.check and the build report it
        if text:
            yield service.name, parse_dockerfile(text, service.build.arguments).names()
