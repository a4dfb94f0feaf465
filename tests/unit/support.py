"""Builders of real values for the tests: profiles, Compose models, containers, images, git facts."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tasks.build.plan.dockerfile import parse as parse_dockerfile
from tasks.build.plan.inputs import Inputs
from tasks.model.engine.facts import Container, Image
from tasks.model.profile.interpolation import Variable
from tasks.model.profile.profile import Profile, resolve
from tasks.model.profile.schema import KEYS
from tasks.model.stack.stack import Service, Stack, parse
from tasks.model.version import GitFacts, Version, version
from tasks.reconcile.plan.desired import Desired, Wanted
from tasks.reconcile.plan.mounts import Content, references

ROOT = Path(__file__).resolve().parents[2]
COMMIT = "1a2b3c4d5e6f708192a3b4c5d6e7f8091a2b3c4d"
COMMITTED = "2026-05-06T07:08:09Z"


def profile(environment: str = "dev", **values: str) -> Profile:
    """Return a resolved profile; a key that is not in the schema is a variable of the Compose files."""
    free = {name: Variable(name, False, "docker-compose.yml:1") for name in values if name not in KEYS}
    return resolve(environment, (), values, {}, free)


def stack(services: Mapping[str, Any], project: str = "shop", **top: Any) -> Stack:
    """Return the Stack of a Compose model as ``docker compose config --format json`` prints it."""
    return parse({"name": project, "services": services, **top})


def service(name: str = "web", project: str = "shop", **fields: Any) -> Service:
    """Return one service of a model."""
    return stack({name: fields}, project).service(name)


def desired(
    services: Mapping[str, Any],
    contents: Mapping[str, str] | None = None,
    hashes: Mapping[str, str] | None = None,
    images: Mapping[str, str] | None = None,
    builds: Mapping[str, str] | None = None,
    **top: Any,
) -> Desired:
    """Return the release that is wanted of project ``shop``.

    ``contents`` are the contents of references by their target, ``hashes`` configuration hashes, ``images`` image
    contents (default ``sha256:a``, as of ``container``), ``builds`` the reasons why images are to be built.
    """
    model = {"name": "shop", "services": services, **top}
    wanted = {}
    for name in services:
        needed = references(model, name, parse(model).service(name).slipway.live)
        wanted[name] = Wanted(
            (images or {}).get(name, "sha256:a"),
            frozenset({hashes[name]}) if hashes and name in hashes else frozenset(),
            (builds or {}).get(name, ""),
            needed,
            {reference.target: Content((contents or {}).get(reference.target, "")) for reference in needed},
        )
    return Desired(parse(model), model, wanted)


def container(name: str = "shop-web-1", **fields: Any) -> Container:
    """Return a running container of project ``shop``, named as Compose does: project, service, number."""
    project, _, rest = name.partition("-")
    service_name, _, number = rest.rpartition("-")
    given = {
        "id": f"id-{name}",
        "project": project,
        "service": service_name,
        "number": int(number),
        "image_id": "sha256:a",
        "state": "running",
        **fields,
    }
    return Container(name=name, **given)


def image(identity: str = "sha256:a", **fields: Any) -> Image:
    """Return a local image."""
    return Image(id=identity, **fields)


def inputs(dockerfile: str = "FROM scratch\n", contexts_digest: str = "c0ffee", **bases: str) -> Inputs:
    """Return the inputs of a build."""
    return Inputs(parse_dockerfile(dockerfile), contexts_digest, bases)


def built(**facts: Any) -> Version:
    """Return the version of a checkout, clean and untagged unless ``facts`` say more."""
    return version(GitFacts(**{"commit": COMMIT, "committed": COMMITTED, **facts}))
