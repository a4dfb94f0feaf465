"""Gathers what a plan is made from, and makes it: for a deploy, a roll back, a way back, and for who only asks."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace

from ..plan.build import BuildPlan, Options
from ..plan.deploy import Deploy
from ..plan.desired import Desired, Wanted
from ..plan.difference import Policy
from ..plan.mounts import FILE
from ..plan.observed import Observed, State
from ..plan.readiness import health_timeout
from ..plan.reconcile import reconcile
from ..plan.release import Promotion, Release, repository
from ..plan.stack import Stack
from . import desire, observe, records, states
from .desire import Sources
from .mount_contents import Contents, place
from .project import Project


@dataclass(frozen=True)
class Prepared:
    """A deploy with everything that it was decided on."""

    deploy: Deploy
    desired: Desired
    observed: Observed

    @property
    def state(self) -> State:
        """What was noted of the containers when it was decided."""
        return self.observed.state

    @property
    def unnoted(self) -> bool:
        """Whether containers run of which nobody has noted what they mount: Slipway has not made them."""
        return any(
            one.id not in self.state.stamps and self.desired.wanted(one.service).references and not one.oneoff
            for one in self.observed.containers
        )


@dataclass(frozen=True)
class Wish:
    """What is asked: to ``build`` all images, to ``bring`` those of a promotion here; ``ready``: both are done."""

    build: bool = False
    bring: bool = False
    ready: bool = False


def today(project: Project, wish: Wish) -> Prepared:
    """Return the deploy of what the files say."""
    project.start_hashes()
    stack = project.stack
    promoted = _promoted(project, wish)
    sources = _sources(project, stack)
    build = BuildPlan((), None, {})
    if stack.built() and not promoted and not wish.ready:
        from . import builds  # only who has something to build pays for it

        build = builds.plan(project, Options(), only_changed=not wish.build, known=sources.images)
    desired = desire.today(sources, build.causes, promoted.images if promoted else None)
    prepared = _reconciled(sources, desired, replace(_policy(project, stack), pulled=wish.ready))
    return replace(prepared, deploy=Deploy(prepared.deploy.plan, build, promoted))


def _promoted(project: Project, wish: Wish) -> Promotion | None:
    """Return what is to be promoted, with its images where they are to be brought."""
    if not project.profile.text("PROMOTE_FROM"):
        return None
    from . import promotions

    found = promotions.find(project)
    return promotions.bring(project, found) if found and wish.bring else found


def earlier(project: Project, release: Release, model: Mapping[str, object]) -> Prepared:
    """Return the way to a release; ``model`` is its model with secrets in it."""
    from . import kept_files

    record = f"{repository(project.stack.project)}:{release.id}"
    known = kept_files.mounted(project.engine.kept_files(record))
    named = {one.reference for one in release.images.values()}
    sources = _sources(project, project.stack, named)
    desired = desire.recorded(sources, release, model, known)
    sources = replace(sources, containers=observe.containers(project, desired.stack))
    return _reconciled(sources, desired, replace(_policy(project, desired.stack), back=True))


def as_it_was(project: Project, before: Prepared, only: Collection[str] = ()) -> Prepared:
    """Return the way to what ran before a deploy of which nobody has a record, as far as there is one.

    What still runs counts as it is; what has been replaced is made by today's files from the image that it had.
    ``only`` these services are looked at, all without.
    """
    sources = _sources(project, project.stack)
    desired = desire.as_observed(sources, before.desired, before.observed)
    if only:
        services = {name: one if name in only else Wanted() for name, one in desired.services.items()}
        desired = replace(desired, services=services, names={})
    return _reconciled(sources, desired, replace(_policy(project, desired.stack), back=True))


def _sources(project: Project, stack: Stack, more: set[str] | None = None) -> Sources:
    contents = Contents(project)
    references = {one.image for one in stack.services.values()} | (more or set())
    return Sources(project, observe.containers(project, stack), project.engine.named(references), contents)


def _reconciled(sources: Sources, desired: Desired, policy: Policy) -> Prepared:
    project = sources.project
    state = states.read(project)
    seen = observe.observe(project, desired, sources.containers, sources.images, state, sources.contents)
    if any(one.service not in desired.stack.services and not one.oneoff for one in sources.containers):
        # Those of today too: on a way back it is they that may be new.
        known = {name for one in records.history(project) for name in one.services} | set(project.stack.services)
        policy = replace(policy, ours=frozenset(known))
    plan = reconcile(seen, desired, policy)
    plan = replace(plan, refusals=(*plan.refusals, *_missing(sources, desired)))
    return Prepared(Deploy(plan), desired, seen)


def _missing(sources: Sources, desired: Desired) -> list[tuple[str, str]]:
    """Return which files and directories are not there that containers are to mount."""
    if not sources.project.engine.local():
        return []
    found = []
    for name, wanted in desired.services.items():
        for one in wanted.references:
            makes = one.created and not desired.release  # Docker makes an empty directory of it
            if one.held == FILE and not makes and not desired.files and not place(one.source):
                found.append(
                    (f"service {name}: {one.source} does not exist ({one.name})", f"put it back: {one.source}")
                )
    return found


def _policy(project: Project, stack: Stack) -> Policy:
    profile = project.profile
    orphans = profile.text("COMPOSE_REMOVE_ORPHANS").lower()
    return Policy(
        orphans=orphans in ("1", "true", "yes", "on") if orphans else None,
        backup=profile.flag("BACKUP_BEFORE_MIGRATE"),
        smoke=any(one.slipway.smoke for one in stack.services.values()),
        timeout=profile.duration("HEALTH_TIMEOUT"),
        settle=profile.duration("SETTLE"),
        timeouts={name: health_timeout(one, profile) for name, one in stack.services.items()},
    )
