"""A Compose project as tasks use it: its profile, its model, and the facts that plans are made from."""

import copy
import functools
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, cast

from invoke import Context

from ..model.compose import build_files
from ..model.engine.facts import PROJECT_LABEL, Image
from ..model.errors import InputError, SlipwayError
from ..model.lazy_pattern import lazy_pattern
from ..model.profile.profile import Profile
from ..model.secret import mask
from ..model.stack.stack import Stack, parse
from .output import INFO, add_mask, note
from .profile import head_start, identities
from .profile.load_profile import load_profile
from .profile.settings import settings
from .runner import Pending, Result, Runner

_NO_ENV_FILE = lazy_pattern(r"env file (.*) not found")
_NO_CONTEXT = lazy_pattern(r'context "([^"]*)": context not found')
# https://yaml.org/spec/1.2.2/#failsafe-schema
_TEXT, _LIST, _MAPPING = (f"tag:yaml.org,2002:{kind}" for kind in ("str", "seq", "map"))

if TYPE_CHECKING:
    from ..model.lock import LockStore
    from ..model.version import Version
    from .engine.client import Engine

Asked = TypeVar("Asked")


class Project:
    """One environment of the Compose project that the settings name."""

    def __init__(self, c: Context, environment: str = "", options: Mapping[str, str] | None = None) -> None:
        self._context, self._options = c, dict(options or {})
        self.settings = settings()
        begun = head_start.taken(environment, options)
        self.profile: Profile = begun.profile if begun else load_profile(environment, options)
        add_mask(self.profile.masked)
        add_mask(self._mask_written_out)
        identities.refuse_shared_project(self.profile)
        self.cwd = str(self.settings.project_dir)
        self.runner = Runner(dry=bool(c.config.run.dry), echo=bool(c.config.run.echo))
        # Every task that makes a Project needs the model: Compose works while Python imports the rest.
        self._model = begun.model if begun else head_start.ask_model(self.profile, self.settings)
        self._hashes: Pending | None = None  # started when a task needs them
        self._asked: tuple[Pending, ...] = ()
        self.locks: Callable[[], LockStore] | None = None  # on a cluster: what opens its locks
        self._unreached: SlipwayError | None = None

    def other(self, **options: str) -> "Project":
        """Return the same environment with other values for some keys, as from the command line."""
        return Project(self._context, self.profile.environment, {**self._options, **options})

    def elsewhere(self, environment: str) -> "Project":
        """Return another environment of the same project."""
        return Project(self._context, environment)

    @property
    def clustered(self) -> bool:
        """Whether the environment is on Kubernetes: then what works on an engine is not for it."""
        return self.profile.text("ORCHESTRATOR") == "kubernetes"

    @functools.cached_property
    def _known(self) -> dict[object, object]:
        return {}

    def once(self, ask: "Callable[[Project], Asked]") -> "Asked":
        """Return what ``ask`` returns for this project; it is called only once."""
        if ask not in self._known:
            self._known[ask] = ask(self)
        return cast("Asked", self._known[ask])

    @functools.cached_property
    def _told(self) -> set[str]:
        return set()

    def note_once(self, text: str, level: str = INFO) -> None:
        """Show a line for people unless this project has shown it before: a deploy makes its plan several times."""
        if text not in self._told:
            self._told.add(text)
            note(text, level)

    @functools.cached_property
    def wide(self) -> "Project":
        """The same environment with the services of all Compose profiles, not only of those started by default."""
        return self.other(COMPOSE_PROFILES="*")

    @functools.cached_property
    def model(self) -> Any:
        """The Compose model as data; raises InputError with Compose's own words when it does not accept the files."""
        return model(self.model_text)

    def _mask_written_out(self, text: str) -> str:
        """Mask the secrets that the Compose files and their `env_file`s write out, once these have been read."""
        return mask(text, self._written_out) if "model" in vars(self) else text

    @functools.cached_property
    def _written_out(self) -> tuple[str, ...]:
        from ..model.profile.redaction import literal_secrets

        return literal_secrets(self.model)

    @functools.cached_property
    def model_text(self) -> str:
        """The Compose model as ``docker compose config`` printed it; raises InputError as ``stack`` does."""
        return self._accepted(self._model.result()).stdout

    @property
    def has_to_wait(self) -> bool:
        """Whether Compose still works on the model: what is done now takes no time of its own."""
        return "model_text" not in vars(self) and self._model.works

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
        """Connect to the engine while Compose works; that it does not answer is reported when it is first used."""
        try:
            _ = self.engine
        except SlipwayError as error:
            self._unreached = error

    @functools.cached_property
    def address(self) -> str:
        """The address of the engine that the profile points at, without connecting to it."""
        from ..model.secret import reveal
        from .engine.connection import address

        return address({key: reveal(value) for key, value in self.profile.compose_env().items()})

    def connect(self) -> "Engine":
        """Open another connection to that engine: each thread needs its own."""
        from ..model.secret import reveal
        from .engine.client import Engine

        return Engine({key: reveal(value) for key, value in self.profile.compose_env().items()})

    def apart(self) -> "Project":
        """Return the same project with a connection of its own, for another thread."""
        project = copy.copy(self)
        project.engine = self.connect()
        return project

    @functools.cached_property
    def version(self) -> "Version":
        """The version of the checkout that the project is in."""
        from ..model.version import version
        from . import git

        return version(git.facts(self.settings.project_dir, self.profile.text("TAG_PREFIX"), self._asked))

    def start_version(self) -> None:
        """Start the git commands that the version is made from, while other work goes on."""
        if "version" not in vars(self) and not self._asked:
            from . import git

            self._asked = git.start_facts(self.settings.project_dir)

    def know_releases(self) -> None:
        """Take the git remote's tags into account before moving tags are pushed: a clone need not have them all.

        CI clones one commit or one tag; a hotfix that is built there must not become ``latest``.
        """
        if self.version.release:
            from ..model.version import withhold_moving_tags
            from . import git

            prefix = self.profile.text("TAG_PREFIX")
            self.version = withhold_moving_tags(self.version, git.remote_tags(self.settings.project_dir), prefix)

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
            from ..model.stack.foresight import refuse  # only when there is a fault
            from .profile import env_files

            refuse(env_files.missing_env_files(self.profile, self.settings, absent[1]))
        names = ", ".join(build_files(self.profile))
        raise InputError(
            f"Compose does not accept {names} (environment {self.profile.environment}): "
            + self.profile.masked(lines[-1].strip()),
            f"correct it; `inv env.show {self.profile.environment}` shows the values that the files got",
        )

    def start_hashes(self) -> Pending:
        """Ask Compose for its configuration hashes while other work goes on."""
        self._hashes = self._hashes or head_start.ask_hashes(self.profile, self.settings)
        return self._hashes

    def first_hashes(self) -> dict[str, str]:
        """Return Compose's configuration hash of each service, as the files are written."""
        return _hashes(self._accepted(self.start_hashes().result()))

    def volumes(self) -> frozenset[str]:
        """Return the volumes of the project that exist."""
        owned = self.engine.owned(f"{PROJECT_LABEL}={self.stack.project}")
        return frozenset(resource.name for resource in owned if resource.kind == "volume")

    def images(self, stack: Stack) -> dict[str, Image]:
        """Return the local images that the services name, by reference."""
        return self.engine.named(service.image for service in stack.services.values())

    def missing_secrets(self, stack: Stack) -> tuple[str, ...]:
        """Return the files of secrets that services use but that do not exist."""
        used = {name for service in stack.services.values() for name in service.secrets}
        return tuple(
            secret.file for name, secret in stack.secrets.items() if name in used and not Path(secret.file).exists()
        )


def project_for_plan(c: Context, environment: str) -> Project:
    """Return the project for a task that makes a plan; Compose answers while Python imports the rest.

    For that, the task imports what it needs after this call.
    """
    project = Project(c, environment)
    if not project.clustered:  # its objects are compared, not Compose's hashes
        project.start_hashes()
    return project


def _hashes(result: Result) -> dict[str, str]:
    return dict(line.split(" ", 1) for line in result.stdout.splitlines() if " " in line)


def model(text: str) -> Any:
    """Return the Compose model that ``docker compose config`` printed.

    It is read as YAML: Compose 2.26 leaves ``x-*`` fields of services out of its JSON. The parser is libyaml's where
    PyYAML has it (eight times as fast), else the copy that Invoke has loaded already.
    """
    try:
        from yaml import CSafeLoader  # type: ignore[import-untyped]
    except ImportError:
        from invoke.util import yaml

        return yaml.safe_load(text)  # type: ignore[no-untyped-call]
    loader = CSafeLoader(text)
    try:
        root = loader.get_single_node()
        return None if root is None else _data(root, loader)
    finally:
        loader.dispose()


def _data(node: Any, loader: Any) -> Any:
    """Return what a node says, as the ``loader`` would: its constructors take twice as long for texts.

    Whatever is no text, list, or mapping with keys that are texts is left to it, such as numbers and merged mappings.
    """
    kind = node.tag
    if kind == _TEXT:
        return node.value
    if kind == _LIST:
        return [_data(item, loader) for item in node.value]
    if kind == _MAPPING and all(key.tag == _TEXT for key, _ in node.value):
        return {key.value: _data(value, loader) for key, value in node.value}
    return loader.construct_object(node, deep=True)
