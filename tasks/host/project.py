"""A Compose project as a task meets it: its profile, its model, and the facts that planners decide on."""

import functools
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from invoke import Context

from ..plan.build import Inputs
from ..plan.compose import build_files, compose
from ..plan.errors import InputError, SlipwayError
from ..plan.facts import PROJECT_LABEL, Image
from ..plan.profile import Profile
from ..plan.secret import mask
from ..plan.stack import Stack, parse
from ..plan.version import Version, beside, version
from . import files, git, identities
from .extensions import override_file
from .output import conceal
from .runner import Pending, Result, Runner, start

_NO_ENV_FILE = re.compile(r"env file (.*) not found")
_NO_CONTEXT = re.compile(r'context "([^"]*)": context not found')

if TYPE_CHECKING:
    from ..plan.code_scan import Database
    from .engine import Engine


class Project:
    """One environment of the Compose project that the settings name."""

    def __init__(self, c: Context, environment: str = "", options: Mapping[str, str] | None = None) -> None:
        self._context, self._options = c, dict(options or {})
        self.settings = files.settings()
        self.profile: Profile = files.load_profile(environment, options)
        conceal(self.profile.masked)
        conceal(self._without_written_out)
        identities.refuse_shared(self.profile)
        self.cwd = str(self.settings.project_dir)
        self.runner = Runner(dry=bool(c.config.run.dry), echo=bool(c.config.run.echo))
        # The model is wanted by every task that makes a Project: Compose works while Python imports the rest.
        self._model = self._start_model()
        self._hashes: Pending | None = None  # started when a task wants them
        self._asked: tuple[Pending, ...] = ()
        self._unreached: SlipwayError | None = None

    def _start(self, *words: str) -> Pending:
        return start(compose(self.profile, *words, cwd=self.cwd, files=build_files(self.profile)))

    def _start_model(self) -> Pending:
        """Ask Compose for the model, with what several files say under ``x-slipway`` put together."""
        together = override_file(self.profile, self.settings)
        if not together:
            return self._start("config")
        files = (*build_files(self.profile), "-")
        return start(replace(compose(self.profile, "config", cwd=self.cwd, files=files), stdin=together))

    def other(self, **options: str) -> "Project":
        """Return the same environment with other values for some keys, as a command line would give them."""
        return Project(self._context, self.profile.environment, {**self._options, **options})

    def elsewhere(self, environment: str) -> "Project":
        """Return another environment of the same project."""
        return Project(self._context, environment)

    @functools.cached_property
    def go_database(self) -> "Database":
        """The Go vulnerability database that SCAN_GO_DB names, asked for its date once."""
        from . import go_database  # only scans of code pay for it

        return go_database.find(self)

    @functools.cached_property
    def wide(self) -> "Project":
        """The same environment with the services of all Compose profiles, those too that nothing starts by itself."""
        return self.other(COMPOSE_PROFILES="*")

    @functools.cached_property
    def model(self) -> Any:
        """The Compose model as data; raises InputError with Compose's own words when it does not accept the files."""
        return model(self.model_text)

    def _without_written_out(self, text: str) -> str:
        """Mask the secrets that the Compose files and their `env_file`s write out, once these have been read."""
        return mask(text, self._written_out) if "model" in vars(self) else text

    @functools.cached_property
    def _written_out(self) -> tuple[str, ...]:
        from ..plan.redaction import written_out

        return written_out(self.model)

    @functools.cached_property
    def model_text(self) -> str:
        """The Compose model as ``docker compose config`` printed it; raises InputError as ``stack`` does."""
        return self._accepted(self._model.result()).stdout

    @functools.cached_property
    def stack(self) -> Stack:
        """The Compose model, typed; raises InputError as ``model`` does."""
        return parse(self.model)

    @functools.cached_property
    def engine(self) -> "Engine":
        """The engine that the profile points at."""
        if self._unreached:
            raise self._unreached
        return self.connect()

    def reach(self) -> None:
        """Connect to the engine while Compose works; that nobody answers is said when the engine is asked for."""
        try:
            _ = self.engine
        except SlipwayError as error:
            self._unreached = error

    @functools.cached_property
    def address(self) -> str:
        """The address of that engine; nobody need answer there."""
        from ..plan.secret import reveal
        from .engine import address

        return address({key: reveal(value) for key, value in self.profile.compose_env().items()})

    def connect(self) -> "Engine":
        """Open a connection of its own to that engine: one is for one thread."""
        from ..plan.secret import reveal
        from .engine import Engine

        return Engine({key: reveal(value) for key, value in self.profile.compose_env().items()})

    @functools.cached_property
    def version(self) -> Version:
        """The version of the checkout that holds the project."""
        return version(git.facts(self.settings.project_dir, self.profile.text("TAG_PREFIX"), self._asked))

    def start_version(self) -> None:
        """Ask git for what the version is made from while other work goes on."""
        if "version" not in vars(self) and not self._asked:
            self._asked = git.ask(self.settings.project_dir)

    def know_releases(self) -> None:
        """Learn of the git remote's tags before moving tags are pushed: a clone need not have them all.

        CI clones one commit or one tag; a hotfix that is built there must not become ``latest``.
        """
        if self.version.release:
            prefix = self.profile.text("TAG_PREFIX")
            self.version = beside(self.version, git.remote_tags(self.settings.project_dir), prefix)

    def _accepted(self, result: Result) -> Result:
        if result.exit_code == 0:
            return result
        from .machine import refuse_unfit_tools

        refuse_unfit_tools()
        lines = [line for line in result.stderr.splitlines() if "level=warning" not in line] or ["no message"]
        if missing := _NO_CONTEXT.search(lines[-1]):
            raise InputError(
                f"DOCKER_CONTEXT: there is no Docker context {missing[1]!r}",
                "`docker context ls` shows those that exist",
            )
        if absent := _NO_ENV_FILE.search(lines[-1]):
            from ..plan.foresight import refuse  # only for a fault
            from . import env_files

            refuse(env_files.missing(self.profile, self.settings, absent[1]))
        names = ", ".join(build_files(self.profile))
        raise InputError(
            f"Compose does not accept {names} (environment {self.profile.environment}): "
            + self.profile.masked(lines[-1].strip()),
            f"correct it; `inv env.show {self.profile.environment}` shows the values that the files got",
        )

    def start_hashes(self) -> Pending:
        """Ask Compose for its configuration hashes while other work goes on."""
        self._hashes = self._hashes or self._start("config", "--hash", "*")
        return self._hashes

    def first_hashes(self) -> dict[str, str]:
        """Return Compose's configuration hash of each service as the files spell it."""
        return _hashes(self._accepted(self.start_hashes().result()))

    def volumes(self) -> frozenset[str]:
        """Return the volumes of the project that exist."""
        owned = self.engine.owned(f"{PROJECT_LABEL}={self.stack.project}")
        return frozenset(one.name for one in owned if one.kind == "volume")

    def images(self, stack: Stack) -> dict[str, Image]:
        """Return the local images that the services name, by reference."""
        return self.engine.named(one.image for one in stack.services.values())

    def build_inputs(self, services: Sequence[str] = ()) -> dict[str, Inputs]:
        """Return what the images of the selected services, and of those that they are built from, are made from."""
        from ..plan.build import selected
        from . import sources

        return sources.inputs(selected(self.stack, services), self.engine)

    def missing_secrets(self, stack: Stack) -> tuple[str, ...]:
        """Return the files of secrets that services use and that do not exist."""
        used = {name for service in stack.services.values() for name in service.secrets}
        return tuple(one.file for name, one in stack.secrets.items() if name in used and not Path(one.file).exists())


def planned(c: Context, environment: str) -> Project:
    """Return a project for a task that makes a plan: Compose is asked all there is while Python imports the rest.

    That task imports what it needs after this call.
    """
    project = Project(c, environment)
    project.start_hashes()
    return project


def _hashes(result: Result) -> dict[str, str]:
    return dict(line.split(" ", 1) for line in result.stdout.splitlines() if " " in line)


def model(text: str) -> Any:
    """Return the Compose model that ``docker compose config`` printed.

    It is read as YAML: Compose 2.26 leaves ``x-*`` fields of services out of its JSON. The parser is libyaml's where
    PyYAML has it (eight times as fast), else the one that Invoke has loaded already.
    """
    try:
        from yaml import CSafeLoader, load  # type: ignore[import-untyped]
    except ImportError:
        from invoke.util import yaml

        return yaml.safe_load(text)  # type: ignore[no-untyped-call]
    return load(text, CSafeLoader)
