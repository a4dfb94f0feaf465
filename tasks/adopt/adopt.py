"""Adopts a Compose project: shows what it would write, writes it after asking, and says what works and what not."""

import contextlib
import os
import shlex
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from invoke import Context

from ..build.plan.dockerignore import rules
from ..host.output import confirm, emit, emit_json, emit_table, note
from ..host.profile.settings import Settings, layer_paths, read_regular_file
from ..host.profile.text_files import write_new
from ..host.runner import capture
from ..model.command import Command
from ..model.errors import InputError, SlipwayError
from ..model.profile.profile import Profile
from ..model.secret import is_secret_name
from ..model.stack import foresight
from ..model.stack.layering import EXTENSION_KEY
from ..model.stack.presets import images
from ..model.stack.stack import Stack
from ..model.stack.stack import parse as parse_stack
from .find import Found, find
from .look import Looking, SeenProject
from .plan.layers import DEV, PROD, Draft, profiles, settings_text, shown
from .plan.override import override_name, override_text
from .plan.steps import Facts, ProductionStep, rows, steps

_PRIVATE = 0o600


@dataclass(frozen=True)
class NewFile:
    """A file to write: its path, its text and its mode; ``source`` is the file that it is a copy of."""

    path: Path
    text: str
    mode: int = 0o644
    source: str = ""


def run(c: Context, project: str, files: Sequence[str], yes: bool, json: bool) -> None:
    """Adopt the project; raises InputError when it is none, RefusedError when writing is not confirmed."""
    found = find(project, files)
    look = Looking(found).look()
    facts = _facts(found, look)
    results = steps(facts)
    new = _new_files(found, look, facts, results)
    dry = bool(c.config.run.dry)
    _show(found.where, new, emit if dry and not json else note)
    if json:
        emit_json(_document(found.where, look, new, results))
    elif not dry:
        emit_table(("STEP", "WORKS", "HOW, OR WHAT IS MISSING", "LINE TO ADD"), rows(results))
    if not new or dry:
        return
    confirm(f"write {len(new)} files into {found.where.root}", yes, f"to write them: {_command(project, files)}")
    for file in new:
        file.path.parent.mkdir(parents=True, exist_ok=True)
        write_new(file.path, file.text, file.mode)
    note(f"wrote {len(new)} files into {found.where.root}")
    _next(found, look)


def _command(project: str, files: Sequence[str]) -> str:
    options = [*(("--project", project) if project else ()), *(word for name in files for word in ("--file", name))]
    return shlex.join(("inv", "adopt", *options, "--yes"))


def _facts(found: Found, look: SeenProject) -> Facts:
    draft, services = look.draft, look.stack.services
    wanted: dict[str, tuple[str, ...]] = {}
    secrets = {line.partition("=")[0] for line in draft.shared.secrets}
    for environment in draft.files:
        own = draft.own.get(environment)
        lacking = {*draft.wanted, *(() if environment == DEV else secrets)} - {*(own.keys() if own else ())}
        wanted[environment] = tuple(sorted(lacking - _written_keys(found.where, environment)))
    envs = found.where.envs_dir
    exposed = [
        service.name for service in services.values() if service.build and _takes_in(service.build.context, envs)
    ]
    stack, database = _with_database(look)
    return Facts(
        stack,
        look.stages,
        look.written,
        (*look.refused, *_foreseen(found.where, look), *_absent(look.model)),
        wanted,
        tuple(exposed),
        look.test_file,
        capture(Command(("git", "-C", str(found.where.project_dir), "rev-parse", "HEAD"))).exit_code == 0,
        database,
        tuple(name for line in draft.empty if is_secret_name(name := line.partition("=")[0])),
        draft.files[DEV] == draft.files[PROD],
        look.optional,
        (envs / "test.env").is_file(),
        look.port_variables,
    )


def _with_database(look: SeenProject) -> tuple[Stack, str]:
    """Return the stack in which the main database says what it is, and what it says; as it is where that is said.

    A preset knows the backups; without the name of the database, or for an image of another make, it is only the role.
    """
    service = images.main_database(look.stack.services.values())
    if service is None or service.slipway.role or service.name not in look.own:
        return look.stack, ""
    texts = [f"{images.DATABASE}: {images.database(service)}"] if images.is_official(service) else []
    for text in (*texts, f"role: {images.DATABASE}"):
        key, _, value = text.partition(": ")
        raw = look.model["services"][service.name]
        said = {**raw, EXTENSION_KEY: {**(raw.get(EXTENSION_KEY) or {}), key: value}}
        with contextlib.suppress(InputError):
            return parse_stack({**look.model, "services": {**look.model["services"], service.name: said}}), text
    return look.stack, ""


def _foreseen(where: Settings, look: SeenProject) -> list[tuple[str, str]]:
    """Return what a deploy of dev would refuse because of its Compose files."""
    services = {name: raw for name, raw in look.model["services"].items() if name not in look.optional}
    stack = parse_stack({**look.model, "services": services})
    missing = frozenset(path for path in foresight.mounted_paths(stack) if not Path(path).exists())
    return foresight.refusals(stack, Profile(DEV, {}), foresight.Files(str(where.project_dir), missing))


def _absent(model: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return the external volumes and networks that the engine lacks; none where no engine answers."""
    from ..host.engine.client import Engine
    from ..host.engine.resources import Resources

    names = {
        kind: [
            str(declared.get("name") or key)
            for key, declared in (model.get(f"{kind}s") or {}).items()
            if declared and declared.get("external")
        ]
        for kind in ("volume", "network")
    }
    if not any(names.values()):
        return []
    try:
        resources = Resources(Engine())
        there: Mapping[str, Collection[str]] = {
            "volume": resources.volumes(names["volume"]),
            "network": resources.networks(names["network"]),
        }
    except SlipwayError:
        return []
    return [
        (f"{kind} {name}: is external and does not exist", f"docker {kind} create {name}")
        for kind, wanted in names.items()
        for name in wanted
        if name not in there[kind]
    ]


def _written_keys(where: Settings, environment: str) -> set[str]:
    """Return the keys that the local files of an environment set already."""
    from ..model.profile.grammar import parse

    keys: set[str] = set()
    for path in layer_paths(environment, where):
        if path.is_file():
            keys.update(entry.key for entry in parse("", read_regular_file(path)).entries)
    return keys


def _takes_in(context: str, envs: Path) -> bool:
    """Whether a build context has the local files of the profiles in it."""
    if not envs.is_relative_to(context or "/nowhere"):
        return False
    try:
        patterns = rules((Path(context) / ".dockerignore").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return True
    name, left_out = str((envs / "dev.local.env").relative_to(context)), False
    parts = name.split("/")
    paths = ["/".join(parts[:end]) for end in range(1, len(parts) + 1)]
    for rule in patterns:
        if any(rule.pattern.fullmatch(path) for path in paths):
            left_out = not rule.readmits
    return not left_out


def _new_files(found: Found, look: SeenProject, facts: Facts, results: tuple[ProductionStep, ...]) -> list[NewFile]:
    """Return the files to write, the settings last: with them the project is adopted."""
    where, draft = found.where, look.draft
    envs, first = where.envs_dir, where.project_dir / draft.files[DEV][0]
    override = first.parent / override_name(first.name)
    new = []
    if found.section:
        draft = _with_override(draft, override, where)
        new += [
            NewFile(envs / name, text, _PRIVATE if name.endswith(".local.env") else 0o644)
            for name, text in profiles(draft).items()
        ]
        new.append(NewFile(override, override_text(facts, results, look.own)))
        new.append(NewFile(envs / ".gitignore", "*.local.env\n"))
        new.append(NewFile(where.root / ".slipway" / ".gitignore", "*\n"))
        if facts.exposed and (ignore := _dockerignore(facts, look, where)):
            new.append(ignore)
    for path, example in look.copies.items():
        new.append(NewFile(path, example.read_text(encoding="utf-8"), _PRIVATE, where.shown(example)))
    if found.section:
        new.append(NewFile(where.root / found.settings_file, settings_text(found.section)))
    return [file for file in new if not (file.path.exists() or file.path.is_symlink())]


def _with_override(draft: Draft, override: Path, where: Settings) -> Draft:
    from dataclasses import replace

    name = os.path.relpath(override, where.project_dir)
    return replace(draft, files={key: (*dict.fromkeys((*files, name)),) for key, files in draft.files.items()})


def _dockerignore(facts: Facts, look: SeenProject, where: Settings) -> NewFile | None:
    """Return a `.dockerignore` for a build context that has none: else secrets would come into an image."""
    for name in facts.exposed:
        build = look.stack.services[name].build
        path = Path(build.context) / ".dockerignore" if build else None
        if path and not path.exists() and path.parent == where.root:
            return NewFile(path, "**/*.local.env\n.slipway\n")
    return None


def _show(where: Settings, new: Sequence[NewFile], write: Any) -> None:
    for file in new:
        copied = f", a copy of {file.source}" if file.source else ""
        mode = ", mode 0600" if file.mode == _PRIVATE else ""
        write(f"# write {where.shown(file.path)}{copied}{mode}")
        for line in () if file.source else shown(file.text, file.mode == _PRIVATE):
            write(f"    {line}")


def _next(found: Found, look: SeenProject) -> None:
    draft, where = look.draft, found.where
    for part in (draft.shared, *draft.own.values()):
        if part.unfit:
            note(f"{part.source}: no line of a profile can hold {', '.join(part.unfit)}: use a Compose secret")
    empty = [line.partition("=")[0] for line in draft.empty]
    if found.section and empty:
        note(f"still empty, in {where.shown(where.envs_dir / 'base.env')}: {', '.join(empty)}")
    away = "" if Path.cwd().is_relative_to(where.root) else f"cd {shlex.quote(str(where.root))} && "
    note(f"next: {away}inv env.check --env dev && inv deploy.plan, then inv deploy.dev")


def _document(
    where: Settings, look: SeenProject, new: Sequence[NewFile], results: Iterable[ProductionStep]
) -> dict[str, Any]:
    return {
        "schema": "slipway/adopt/v1",
        "project": look.draft.name,
        "directory": str(where.project_dir),
        "environments": {name: list(files) for name, files in look.draft.files.items()},
        "files": [{"path": str(file.path), "mode": f"{file.mode:04o}", "copy_of": file.source} for file in new],
        "steps": [
            {
                "name": step.name,
                "works": step.works,
                "task": step.task,
                "missing": [{"where": gap.where, "what": gap.what, "line": gap.line} for gap in step.gaps],
            }
            for step in results
        ],
    }
