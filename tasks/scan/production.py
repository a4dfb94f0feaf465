"""What a scan is about when no environment is named: what would go to production."""

import os

from ..build import build
from ..build.plan.build import Options
from ..host.output import note
from ..host.profile.settings import environments, layers_of, rehearsed_by, settings
from ..host.project import Project
from ..model.errors import InputError
from ..model.profile.profile import gather
from .plan.production import production


def environment() -> str:
    """Return the environment to scan: SLIPWAY_ENV, else prod, else the last in the promotion chain, else dev."""
    where = settings()
    if os.environ.get("SLIPWAY_ENV"):
        return where.default_env
    promotions = {}
    for name in environments():
        if not rehearsed_by(name, where):
            try:
                setting = gather(layers_of(name, where), os.environ, {}, ()).get("PROMOTE_FROM")
            except InputError:  # its own tasks report it
                continue
            promotions[name] = setting.text if setting else ""
    name = production(promotions, where.default_env)
    note(f"scanning what would go to {name}; --env names another environment")
    return name


def build_missing(project: Project) -> None:
    """Build the images that a deploy would build first: those that are not on the engine yet."""
    present = project.images(project.stack)
    missing = tuple(service.name for service in project.stack.built() if service.image not in present)
    if missing:
        note(f"not built yet: {', '.join(missing)}")
        build.carry_out(project, build.plan(project, Options(missing)))
