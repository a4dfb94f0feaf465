"""The Compose file of our own that an adopted project gets: what Compose cannot say, laid over its files."""

from collections.abc import Collection, Iterator

from ...model.stack.presets import images
from ...model.stack.stack import Service
from .steps import Facts, ProductionStep

_HEAD = """\
# What Slipway has to know and Compose cannot say. It is the last of the files in COMPOSE_FILE; the others stay as they
# are. docs/compose-extension.md has all keys. A line counts when its # is taken away.
"""


def override_name(base: str) -> str:
    """Return the name of the override of a project, spelt as its first Compose file is: ``compose.slipway.yaml``."""
    stem, _, suffix = base.rpartition("/")[2].rpartition(".")
    return f"{stem if stem in ('compose', 'docker-compose') else 'compose'}.slipway.{suffix}"


def override_text(facts: Facts, steps: Collection[ProductionStep], own: Collection[str]) -> str:
    """Return the override; ``own`` are the services that it may name: Compose refuses those of an `include`."""
    database = images.main_database(facts.stack.services.values())
    lines = [_HEAD + "services:"]
    active = 0
    for service in facts.stack.services.values():
        if service.name not in own:
            continue
        suggested = list(_suggestions(service, steps))
        if service is database and facts.database:
            lines += [f"  {service.name}:", "    x-slipway:", f"      {facts.database} # for db.shell and db.backup"]
            lines += [f"      # {text}" for text in suggested]
            active += 1
        elif suggested:
            lines += [f"  # {service.name}:", "  #   x-slipway:", *(f"  #     {text}" for text in suggested)]
    if not active:
        lines[0] = lines[0].removesuffix("services:") + "x-slipway: {}\n# services:"
    return "\n".join(lines) + "\n"


def _suggestions(service: Service, steps: Collection[ProductionStep]) -> Iterator[str]:
    """Yield the settings that the steps miss for a service, without those that it has."""
    for step in steps:
        for gap in step.gaps:
            ours = gap.where == service.name and gap.line.startswith("x-slipway: {")
            if ours and gap.line.endswith("}") and images.DATABASE not in gap.line:
                yield from _inner(gap.line)


def _inner(line: str) -> tuple[str, ...]:
    """Return what is in ``x-slipway: {…}``, one setting a line."""
    return (line.removeprefix("x-slipway: {").removesuffix("}"),) if line.endswith("}") else ()
