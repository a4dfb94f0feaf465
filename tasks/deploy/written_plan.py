"""Writes a plan to a file, and finds out what has moved since."""

import json
import shlex
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ..build.ingredients import IngredientReader
from ..build.plan.build import local_contexts
from ..host import lock
from ..host.output import note
from ..host.profile.settings import read_regular_file, rehearsed_by
from ..host.profile.text_files import replace_text
from ..host.project import Project
from ..model.engine.facts import Container
from ..model.errors import InputError
from ..model.quoting import json_text
from ..model.record import Record
from ..model.secret import reveal
from ..release import secret_key, store
from ..release.plan.release import serving
from .plan import agreed
from .plan.agreed import AgreedPlan, Fact
from .plan.deploy import Deploy
from .plan.shown import ShownPlan
from .prepare import Prepared

_MOST = 256 << 20  # bytes of a plan: it names each file that goes into an image
_SECTIONS = {
    "services": "service",
    "networks": "network",
    "volumes": "volume",
    "configs": "config",
    "secrets": "secret",
}
_CREDENTIALS = "KUBECONFIG"  # names a file of this machine; which cluster it is says its namespace


def require_file(option: str, name: str) -> None:
    """Raise InputError for an empty name, as an unset variable of a script gives it."""
    if not name:
        raise InputError(f"{option} names no file", f"write {option} FILE, or leave it out")


def require_key(project: Project) -> None:
    """Make the key of the project's fingerprints where there is none yet, under the deploy lock."""
    if not secret_key.find(project) and not project.runner.dry:
        with lock.project_lock(project, "plan", 0.0):
            secret_key.key(project)


class PlannedFrom(Record):
    """What a plan was made from, besides the profile and the Compose files.

    ``key`` is the project's, which seals the plan. ``facts`` are where it is carried out and what is there: name,
    value, and in words what of it is no secret. ``contents`` are the digests of what is mounted and of what goes into
    images, by name, and ``places`` the directories and files of this machine that these come from.
    """

    key: bytes
    facts: tuple[tuple[str, Any, str], ...]
    contents: tuple[tuple[str, str], ...]
    places: tuple[str, ...]


def of_engine(project: Project, prepared: Prepared) -> PlannedFrom:
    """Return what the plan of a deploy to an engine was made from."""
    mounted = [reference.source for wanted in prepared.desired.services.values() for reference in wanted.references]
    return PlannedFrom(
        secret_key.find(project),
        tuple(_engine_facts(project, prepared)),
        (*_mounted(project, prepared), *ingredients(project, prepared.deploy)),
        (*mounted, *contexts(prepared.deploy)),
    )


def write(
    project: Project, shown: ShownPlan, name: str, planned: PlannedFrom, again: Callable[[], PlannedFrom]
) -> None:
    """Write a plan to a file that only its owner can read; raises InputError where that is not possible.

    ``again`` looks once more at what the plan is made from: with the file, it may be another plan.
    """
    if project.runner.dry:
        project.runner.show(f"write the plan to {name}")
        return
    created = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    facts = _facts(project, planned)
    content = agreed.document(shown, project.profile.environment, created, facts, planned.key)
    try:
        replace_text(Path(name), f"{json_text(content, 1)}\n", 0o600)
    except OSError as error:
        raise InputError(f"--out {name}: {error.strerror}", "name a file where you may write") from None
    if any(place.startswith("/") and Path(name).resolve().is_relative_to(place) for place in planned.places):
        _refuse_inside(project, name, facts, again())
    carry_out = shlex.join(("inv", f"deploy.{project.profile.environment}", "--plan", name))
    note(f"the plan is in {name}: {carry_out} carries it out")


def _refuse_inside(project: Project, name: str, facts: Mapping[str, Fact], now: PlannedFrom) -> None:
    """Raise InputError, and remove the file, where it goes into an image or a service itself: that is another plan."""
    fact = _fact_with(project, now.key)
    if other := [thing for thing, value in now.contents if facts.get(thing) != fact(value)]:
        Path(name).resolve().unlink(missing_ok=True)
        raise InputError(
            f"--out {name}: with a file there the plan would be another one: {', '.join(other)}",
            "name a file elsewhere, or one that .dockerignore leaves out",
        )


def read(project: Project, name: str) -> AgreedPlan:
    """Return the plan in a file; raises InputError for a file that is no plan of this environment."""
    environment = project.profile.environment
    try:
        text = read_regular_file(Path(name), _MOST).decode("utf-8")
    except UnicodeDecodeError:
        text = ""
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise InputError(
            f"--plan {name}: {reason}", f"make it: inv deploy.plan --env {environment} --out {shlex.quote(name)}"
        ) from None
    plan = agreed.parse(text, name, environment)
    rehearsed = rehearsed_by(environment, project.settings)
    agreed.refuse_another(plan, name, environment, project.stack.project, rehearsed)
    return plan


def refuse_moved(project: Project, prepared: Prepared, plan: AgreedPlan, pulled: bool = False) -> None:
    """Raise RefusedError that says what has moved since a plan was made, or that another would be carried out.

    ``pulled``: promoted images that the plan knew by name only are here now, so that less may be left to do; so may it
    where a container has got ready.
    """
    now = refuse_otherwise(project, of_engine(project, prepared), plan)
    if pulled or agreed.got_ready(plan.facts, now):
        agreed.refuse_more(plan, prepared.deploy.plan)
    elif not missing(prepared):
        agreed.refuse_other_plan(plan, prepared.deploy.plan)


def refuse_otherwise(project: Project, now: PlannedFrom, plan: AgreedPlan) -> dict[str, Fact]:
    """Return the facts as they are now; raises RefusedError where a plan was edited or made from something else."""
    facts = _facts(project, now)
    agreed.refuse_edited(plan, facts, now.key)
    agreed.refuse_moved(plan, facts)
    return facts


def missing(prepared: Prepared) -> bool:
    """Whether images of a promotion have to be pulled before it is known what differs."""
    return bool(prepared.deploy.promotion and prepared.deploy.promotion.missing)


def _fact_with(project: Project, key: bytes) -> Callable[..., Fact]:
    """Return what makes a fact of a value, and of words that are no secret."""

    def fact(value: Any, words: str = "") -> Fact:
        # A fresh clone elsewhere with the same content is the same. JSON contains no NUL: ./data never becomes /data.
        text = json.dumps(value, sort_keys=True, default=str).replace(json.dumps(project.cwd)[1:-1], "\0")
        return Fact(agreed.fingerprint(key, text), words)

    return fact


def _facts(project: Project, planned: PlannedFrom) -> dict[str, Fact]:
    """Return everything that a plan depends on, by name."""
    fact, version = _fact_with(project, planned.key), project.version
    facts = {"the version of the checkout": fact([version.text, version.commit], version.text)}
    for name, entry in project.profile.values.items():
        if name != _CREDENTIALS:
            facts[f"profile key {name}"] = fact(reveal(entry.value))
    for section in _SECTIONS:
        for name, raw in (project.model.get(section) or {}).items():
            facts[f"{section.removesuffix('s')} {name} of the Compose files"] = fact(raw)
    facts.update((name, fact(value)) for name, value in planned.contents)
    facts.update((name, fact(value, words)) for name, value, words in planned.facts)
    return facts


def _mounted(project: Project, prepared: Prepared) -> Iterator[tuple[str, str]]:
    """Yield what is mounted, thing by thing, with its digest."""
    for name, wanted in prepared.desired.services.items():
        for reference in wanted.references:
            what = reference.name.replace(f"{project.cwd}/", "")
            yield f"{what} of {name}", wanted.contents[reference.target].digest


def contexts(deploy: Deploy) -> Iterator[str]:
    """Yield the directories of this machine from which images are built."""
    for one in deploy.build.services.values() if deploy.build else ():
        yield from local_contexts(one.recipe())


def ingredients(project: Project, deploy: Deploy) -> Iterator[tuple[str, str]]:
    """Yield what goes into the images that the project builds, thing by thing, with its digest."""
    if deploy.build is None:
        return
    reader = IngredientReader(project, tuple(deploy.build.services.values()))
    targets = {target.service: target for target in deploy.build.every}
    for name, target in targets.items():
        found = reader.of(target, targets)
        kinds: Mapping[str, Mapping[str, str]] = {
            "file": found.files,
            "build argument": found.arguments,
            "base image": found.bases,
            "setting": found.settings,
        }
        for kind, entries in kinds.items():
            for entry, value in entries.items():
                yield f"{kind} {entry} of the image of {name}", value


def _engine_facts(project: Project, prepared: Prepared) -> Iterator[tuple[str, Any, str]]:
    """Yield the engine and what runs on it: name, value, and in words what of it is no secret."""
    observed, state, engine = prepared.observed, prepared.state, project.engine.info()
    yield agreed.ENGINE, engine.get("ID"), str(engine.get("Name") or "")
    for container in observed.containers:
        value = [container.id, container.config_hash, container.image_id, *sorted(container.networks)]
        yield f"container {container.name}", value, _state(container)
    for name, image in observed.images.items():
        yield f"image {name}", image.content or image.id, ""
    for name, network in observed.networks.items():
        yield f"network {name}", [network.id, network.driver, network.internal, dict(network.options)], ""
    for name, volume in observed.volumes.items():
        yield f"volume {name}", [volume.driver, dict(volume.options)], ""
    release = serving(store.history(project))
    yield "the release that serves", release.id if release else 0, str(release.id) if release else "none"
    notes = state.document()
    yield "what earlier deploys noted", {key: notes[key] for key in ("stamps", "jobs", "unrecorded")}, ""
    yield "the promoted release", prepared.deploy.origin, prepared.deploy.origin


def _state(container: Container) -> str:
    return f"{container.state}, {container.health}" if container.health else container.state
