"""The agent's own configuration: from the profile of the checkout that it was started in, never from a commit."""

import os
from pathlib import Path

from ..host.project import Project
from ..model.errors import InputError
from ..model.record import Record
from .plan import commit_status, repository, webhook
from .plan.commit_status import StatusServer
from .plan.webhook import Listening


class Configuration(Record):
    """What the keys GITOPS_* say; ``signers`` and ``gpg_keys`` are files, None where no such key is allowed."""

    repository: str
    branch: str
    interval: float
    directory: Path
    signers: Path | None
    gpg_keys: Path | None
    by_tag: bool
    tag_prefix: str
    heal: str
    heal_max: int
    heal_window: float
    heal_window_text: str
    server: StatusServer | None
    token: Path | None
    webhook: Listening | None = None


def configuration(project: Project) -> Configuration:
    """Return the configuration; raises InputError for what is missing, and for keys that a commit could change."""
    profile = project.profile
    address = profile.text("GITOPS_REPOSITORY")
    if not address:
        raise InputError(
            f"GITOPS_REPOSITORY is not set in the profile {profile.environment}",
            f"set it in {project.settings.shown(project.settings.envs_dir)}/{profile.environment}.local.env",
        )
    where = _directory(project)
    signers, gpg_keys = (_file(project, key, where) for key in ("GITOPS_ALLOWED_SIGNERS", "GITOPS_GPG_KEYS"))
    if not signers and not gpg_keys:
        raise InputError(
            "neither GITOPS_ALLOWED_SIGNERS nor GITOPS_GPG_KEYS is set: nobody may sign a commit",
            "set one of them to a file on this machine, outside of the repository",
        )
    if where.resolve() in (project.settings.root.resolve(), *project.settings.root.resolve().parents):
        raise InputError(
            f"GITOPS_DIR: {where} holds the agent's own configuration, which a commit must not change",
            "set it to a directory of its own",
        )
    interval = profile.duration("GITOPS_INTERVAL")
    if interval < 1:
        raise InputError(f"GITOPS_INTERVAL: expected at least 1s, got {interval:g}s", "60s is the default")
    server = commit_status.server(
        profile.text("GITOPS_STATUS"), profile.text("GITOPS_STATUS_API"), profile.text("GITOPS_STATUS_REPOSITORY"),
        repository.place(address),
    )  # fmt: skip
    return Configuration(
        address, profile.text("GITOPS_BRANCH"), interval, where, signers, gpg_keys,
        profile.text("GITOPS_VERIFY") == "tag", profile.text("TAG_PREFIX"), profile.text("GITOPS_HEAL"),
        profile.integer("GITOPS_HEAL_MAX"),
        profile.duration("GITOPS_HEAL_WINDOW"), profile.text("GITOPS_HEAL_WINDOW"), server,
        _token(project, where) if server else None,
        webhook.listening(profile.text("GITOPS_WEBHOOK_LISTEN"), profile.text("GITOPS_WEBHOOK_SECRET")),
    )  # fmt: skip


def _directory(project: Project) -> Path:
    if given := project.profile.text("GITOPS_DIR"):
        return Path(project.settings.root, given)
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache", "slipway", "gitops")
    return cache / f"{project.stack.project}-{project.profile.environment}"


def _file(project: Project, key: str, clone: Path) -> Path | None:
    """Return a file that a key names, None where it is not set; raises InputError where it is not there.

    A file below the agent's clone would come from the commit that it is to verify.
    """
    given = project.profile.text(key)
    if not given:
        return None
    path = Path(project.settings.root, given)
    if not path.is_file():
        raise InputError(f"{key}: {project.settings.shown(path)}: no such file", "correct the path, or make the file")
    if path.resolve().is_relative_to(clone.resolve()):
        raise InputError(
            f"{key}: {project.settings.shown(path)} is in the agent's clone, so a commit could change it",
            "keep it elsewhere, such as in /etc/slipway",
        )
    return path


def _token(project: Project, clone: Path) -> Path:
    path = _file(project, "GITOPS_TOKEN_FILE", clone)
    if path is None:
        raise InputError("GITOPS_STATUS is set, but GITOPS_TOKEN_FILE is not", "put a token into a file and name it")
    return path
