"""Which Compose files an environment is made of, and the texts of the profiles."""

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

DEV, STAGING, PROD = ENVIRONMENTS = ("dev", "staging", "prod")
# The words by which projects call the Compose files and the env files of an environment, the likeliest first.
_WORDS = {
    DEV: ("dev", "development", "local"),
    STAGING: ("staging", "stage", "prod", "production"),
    PROD: ("prod", "production"),
}
OWN_WORDS = {**_WORDS, STAGING: ("staging", "stage")}


@dataclass(frozen=True)
class Values:
    """The values of an env file of the project: its name, lines fit for a profile, and lines with secrets.

    ``unfit`` are the keys whose values no line of a profile can hold.
    """

    source: str
    lines: tuple[str, ...] = ()
    secrets: tuple[str, ...] = ()
    unfit: tuple[str, ...] = ()

    def keys(self) -> tuple[str, ...]:
        """Return the keys that are taken over."""
        return tuple(sorted(line.partition("=")[0] for line in (*self.lines, *self.secrets)))


@dataclass(frozen=True)
class Draft:
    """What the profiles are made of; ``files`` and ``own`` are by environment.

    ``shared`` are the values of the .env, ``own`` those of files such as .env.prod. ``empty`` are the lines of
    variables that nothing sets, ``wanted`` the variables that must not be empty.
    """

    name: str
    files: Mapping[str, tuple[str, ...]]
    shared: Values
    own: Mapping[str, Values] = field(default_factory=dict)
    empty: tuple[str, ...] = ()
    wanted: tuple[str, ...] = ()


def variants(base: str, names: Collection[str], environment: str) -> tuple[str, ...]:
    """Return the Compose files in a directory that are made for an environment, by their names, the likeliest first.

    For ``compose.yaml`` and prod: ``compose.prod.yaml``, ``compose-prod.yml``, ``docker-compose.production.yml``, …
    """
    stems = dict.fromkeys((base.rpartition(".")[0], "compose", "docker-compose"))
    return tuple(
        name
        for word in _WORDS[environment]
        for stem in stems
        for joint in (".", "-", "_")
        for suffix in ("yaml", "yml")
        if (name := f"{stem}{joint}{word}.{suffix}") in names and name != base
    )


def env_file_names(environment: str) -> tuple[str, ...]:
    """Return the names of env files that are an environment's own: ``.env.prod``, ``prod.env``, ``.env.production``."""
    return tuple(name for word in OWN_WORDS[environment] for name in (f".env.{word}", f"{word}.env"))


def example_names(name: str) -> tuple[str, ...]:
    """Return the names under which projects keep an example of an env file."""
    words = ("example", "sample", "template", "dist", "default", "defaults")
    bare = name.removeprefix(".")
    return (
        *(f"{name}.{word}" for word in words),
        *(f"{name}-{word}" for word in words),
        *(f"{bare}.{word}" for word in words),
        *(f"{word}.{bare}" for word in words),
        *(f".{word}.{bare}" for word in words[:1]),
    )


def project_names(name: str) -> dict[str, str]:
    """Return the Compose project of each environment: dev has the name that the project has today."""
    name = name or "project"
    return {DEV: name, **{environment: f"{name}-{environment}" for environment in (STAGING, PROD)}}


def profiles(draft: Draft) -> dict[str, str]:
    """Return the texts of the profile files by name; those with secrets end in ``.local.env``."""
    texts = {"base.env": _base(draft)}
    for environment in ENVIRONMENTS:
        texts[f"{environment}.env"] = _own(draft, environment)
    for environment in ENVIRONMENTS:
        values = draft.own.get(environment)
        parts = [values] if values else []
        if environment == DEV:
            parts.insert(0, draft.shared)
        # Of a key that both files set, the environment's own line is the last: it wins.
        secrets = {line.partition("=")[0]: line for part in parts for line in part.secrets}
        if secrets:
            sources = " and ".join(part.source for part in parts if part.secrets)
            head = f"# Secrets of {environment}, from {sources}. This file is not tracked.\n"
            texts[f"{environment}.local.env"] = head + "".join(f"{line}\n" for line in secrets.values())
    return texts


def _base(draft: Draft) -> str:
    lines = [
        f"# What all environments of {draft.name} share. Later layers win:",
        "# base.env < base.local.env < ENV.env < ENV.local.env < process environment < command-line option",
        "# `inv env.show dev` prints every value with its origin.",
    ]
    if draft.shared.lines:
        lines += ["", f"# From {draft.shared.source}; Compose reads that file by itself, Slipway reads profiles only."]
        lines += draft.shared.lines
    if draft.empty:
        lines += ["", "# The Compose files take these, and nothing sets them: to Compose they are empty. Write values,"]
        lines += ["# secrets into *.local.env.", *draft.empty]
    if draft.wanted:
        lines += ["", "# The Compose files refuse these empty: write values, secrets into *.local.env."]
        lines += [f"# {name}=" for name in draft.wanted]
    return "\n".join(lines) + "\n"


_ABOUT = {
    DEV: "Development: `inv deploy.dev`. It is the stack that `docker compose up` starts today.",
    STAGING: "Staging: `inv deploy.staging`, where a release proves itself.",
    PROD: "Production: `inv deploy.prod` asks before it starts.",
}


def _own(draft: Draft, environment: str) -> str:
    files = ":".join(draft.files[environment])
    lines = [f"# {_ABOUT[environment]}", "", f"COMPOSE_PROJECT_NAME={project_names(draft.name)[environment]}"]
    lines.append(f"COMPOSE_FILE={files}")
    values = draft.own.get(environment)
    if values and values.lines:
        lines += ["", f"# From {values.source}.", *values.lines]
    if environment != DEV:
        lines += [
            "",
            "# The engine to deploy to; without one, the engine of this machine.",
            f"# DOCKER_HOST=ssh://deploy@{environment}.example.com",
        ]
        secrets = {line.partition("=")[0] for line in draft.shared.secrets}
        secrets -= {line.partition("=")[0] for line in (values.secrets if values else ())}
        if secrets:
            lines += ["", f"# Secrets of its own go to {environment}.local.env: {', '.join(sorted(secrets))}"]
    if environment == PROD:
        lines += ["", "# Ask before a deploy; a script answers with --yes.", "CONFIRM_DEPLOY=true"]
    return "\n".join(lines) + "\n"


def shown(text: str, secret: bool) -> tuple[str, ...]:
    """Return the lines of a text that say something, for people: without comments, secrets masked."""
    lines = [line for line in text.splitlines() if line.strip() and not line.lstrip().startswith("#")]
    return tuple(re.sub(r"=.*", "=***", line) if secret else line for line in lines)


def settings_text(section: Mapping[str, str]) -> str:
    """Return the text of the settings file."""
    lines = [
        "# Where Slipway's tasks find this project; they work from this directory and all below it.",
        "slipway:",
        *(f"  {key}: {value}" for key, value in section.items()),
    ]
    return "\n".join(lines) + "\n"


def stands_alone(services: Collection[str], base: Collection[str]) -> bool:
    """Whether a Compose file that Compose accepts by itself is a whole stack: it has all services of the base file."""
    return set(base) <= set(services)
