"""How Slipway calls ``docker compose``."""

from .command import Command
from .profile import Profile


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
