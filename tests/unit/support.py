"""Builders of real values for the tests: profiles, Compose models, containers, images, git facts."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tasks.plan.build import Inputs
from tasks.plan.desired import Desired, Wanted
from tasks.plan.dockerfile import parse as parse_dockerfile
from tasks.plan.facts import Container, Image
from tasks.plan.interpolation import Variable
from tasks.plan.mounts import Content, references
from tasks.plan.profile import Profile, resolve
from tasks.plan.schema import KEYS
from tasks.plan.stack import Service, Stack, parse
from tasks.plan.version import GitFacts, Version, version

ROOT = Path(__file__).resolve().parents[2]
COMMIT = "1a2b3c4d5e6f708192a3b4c5d6e7f8091a2b3c4d"
COMMITTED = "2026-05-06T07:08:09Z"


def profile(environment: str = "dev", **values: str) -> Profile:
    """Return a resolved profile; what is no key of the schema counts as a variable of the Compose files."""
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
    """Return a release to be of project ``shop``.

    ``contents`` are what references stand for by their target, ``hashes`` configuration hashes, ``images`` image
    contents (``sha256:a`` where nothing is said, as of ``container``), ``builds`` why images are to be built.
    """
    model = {"name": "shop", "services": services, **top}
    wanted = {}
    for name in services:
        found = references(model, name, parse(model).service(name).slipway.live)
        wanted[name] = Wanted(
            (images or {}).get(name, "sha256:a"),
            frozenset({hashes[name]}) if hashes and name in hashes else frozenset(),
            (builds or {}).get(name, ""),
            found,
            {one.target: Content((contents or {}).get(one.target, "")) for one in found},
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
