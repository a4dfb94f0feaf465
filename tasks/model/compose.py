"""How Slipway calls ``docker compose``."""

from collections.abc import Iterable
from dataclasses import replace

from .command import Command
from .profile.profile import Profile
from .record import Record
from .secret import Secret

ANSWER_SECONDS = 120.0  # seconds that the engine has for a quick request: a dead connection may report no error
PULL_SECONDS = 3600.0  # seconds more, where images have to come from a registry first


def compose(profile: Profile, *words: str, cwd: str, reason: str = "", files: tuple[str, ...] = ()) -> Command:
    """Return a ``docker compose`` command for a profile.

    Compose gets the resolved values as its environment and ``--env-file /dev/null``, so that a stray ``.env``
    cannot leak in. ``files`` replaces COMPOSE_FILE for this call.
    """
    env = dict(profile.compose_env())
    if files:
        env["COMPOSE_FILE"] = (profile.text("COMPOSE_PATH_SEPARATOR") or ":").join(files)
    return Command(("docker", "compose", "--env-file", "/dev/null", *words), env=env, cwd=cwd, reason=reason)


def build_files(profile: Profile) -> tuple[str, ...]:
    """Return the Compose files that a build reads: with BASE_IMAGES=local also the override that maps the bases."""
    files = profile.compose_files()
    override = profile.text("BASE_IMAGES_OVERRIDE")
    return (*files, override) if profile.text("BASE_IMAGES") == "local" and override else files


class Source(Record):
    """What Compose reads: the profile's files, or the model of an earlier release."""

    profile: Profile
    cwd: str
    model: str = ""

    def compose(self, *words: str, reason: str = "", seconds: float | None = None) -> Command:
        """Return a ``docker compose`` command with a time limit in seconds; None for no limit."""
        command = compose(self.profile, *words, cwd=self.cwd, reason=reason, files=("-",) if self.model else ())
        command = replace(command, timeout=seconds)
        # The plan decides which containers are removed, not Compose while it does something else.
        if self.model:
            env = {**command.env, "COMPOSE_REMOVE_ORPHANS": "false", "COMPOSE_IGNORE_ORPHANS": "true"}
            return replace(command, env=env, stdin=self.model)
        if self.profile.text("COMPOSE_REMOVE_ORPHANS"):
            return replace(command, env={**command.env, "COMPOSE_REMOVE_ORPHANS": "false"})
        return command

    def docker(
        self, *words: str, reason: str = "", stdin: str | None = None, seconds: float | None = ANSWER_SECONDS
    ) -> Command:
        """Return a ``docker`` command for the profile's engine, with a time limit in seconds."""
        # The environment that Compose gets: a dry run then prints the exports once for both.
        env = self.profile.compose_env()
        return Command(("docker", *words), env=env, cwd=self.cwd, reason=reason, stdin=stdin, timeout=seconds)


def time_limit(
    graces: Iterable[float] = (), pulls: bool = False, waits: float = 0.0, answer: float = ANSWER_SECONDS
) -> float | None:
    """Return how long a command that works on containers may take, in seconds; None for no limit.

    In seconds: ``graces`` are the grace periods of the containers that it stops (-1: unlimited), ``waits`` is how long
    it waits for containers to be ready, ``answer`` the time for everything else. ``pulls``: it pulls images.
    """
    longest = list(graces)
    if any(grace < 0 for grace in longest):
        return None
    return answer + max(longest, default=0.0) + (PULL_SECONDS if pulls else 0.0) + waits


def docker_env(profile: Profile) -> dict[str, str | Secret]:
    """Return the variables of a profile that ``docker`` reads: the engine, and where the logins are stored."""
    return {key: value for key, value in profile.compose_env().items() if key.startswith(("DOCKER_", "BUILDX_"))}
