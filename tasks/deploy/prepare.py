"""Gathers the facts of a plan and makes the plan: for a deploy, a roll back, a failed deploy, a status."""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from functools import partial

from ..host.project import Project
from ..model.compose import Source
from ..model.engine.facts import Container
from ..model.record import Record
from ..model.stack.readiness import health_timeout
from ..model.stack.stack import Stack
from ..reconcile import desire, observe
from ..reconcile import state as reconcile_state
from ..reconcile.desire import Sources
from ..reconcile.mount_contents import Contents, place
from ..reconcile.plan.desired import Desired
from ..reconcile.plan.difference import Policy, configured_otherwise
from ..reconcile.plan.mounts import FILE
from ..reconcile.plan.observed import Observed, State
from ..reconcile.plan.operation import POINT, WEIGHT, Plan
from ..reconcile.plan.reconcile import reconcile
from ..reconcile.proxy import find_proxy
from ..release import secret_key, store
from ..release.plan.release import Promotion, Release, repository
from .plan.deploy import Deploy


class Prepared(Record):
    """A deploy with the facts that it was planned from."""

    deploy: Deploy
    desired: Desired
    observed: Observed

    @property
    def state(self) -> State:
        """What Slipway had noted of the containers when the deploy was planned."""
        return self.observed.state

    @property
    def unnoted(self) -> bool:
        """Whether containers run whose mounts Slipway has not noted, since it did not make them."""
        return any(
            container.id not in self.state.stamps
            and self.desired.wanted(container.service).references
            and not container.oneoff
            for container in self.observed.containers
        )


class DeployRequest(Record):
    """What a caller asks of a deploy.

    ``build``: build all images, changed or not; ``bring``: pull the images of a promotion; ``ready``: both are done.
    ``promotion`` is the promotion when it is known already; without it PROMOTE_FROM says whether there is one.
    """

    build: bool = False
    bring: bool = False
    ready: bool = False
    promotion: Promotion | None = None


def reach(project: Project) -> None:
    """Connect to the engine; while Compose still works, begin with what a plan needs where something is built."""
    project.reach()
    if project.has_to_wait:
        project.start_version()
        from ..build import build  # noqa: F401 - see _today


def today(project: Project, wish: DeployRequest) -> Prepared:
    """Return the deploy of what the files say now."""
    project.start_hashes()
    stack = project.stack
    promoted = _promoted(project, wish)
    with project.engine.asking(secret_key.questions(project) if stack.secrets else ()):
        return _today(project, wish, stack, promoted)


def _today(project: Project, wish: DeployRequest, stack: Stack, promoted: Promotion | None) -> Prepared:
    sources = _sources(project, stack)
    build = None
    if stack.built() and not promoted and not wish.ready:
        from ..build import build as builds  # loaded only when there is something to build
        from ..build.plan.bake import Options

        build = builds.plan(project, Options(), only_changed=not wish.build, known=sources.images)
    desired = desire.desired_today(sources, build.causes if build else {}, promoted)
    prepared = _reconciled(sources, desired, replace(_policy(project, stack, sources), pulled=wish.ready))
    return replace(prepared, deploy=Deploy(prepared.deploy.plan, build, promoted))


def _promoted(project: Project, wish: DeployRequest) -> Promotion | None:
    """Return the promotion, None without one; with ``wish.bring`` its images are pulled."""
    if wish.promotion or not project.profile.text("PROMOTE_FROM"):
        return wish.promotion
    from ..release import promote

    if project.elsewhere(project.profile.text("PROMOTE_FROM")).clustered:
        from .cluster.promotion import promoted  # loaded only where the other environment is on a cluster

        return promoted(project, wish.bring)
    promotion = promote.find(project)
    return promote.pull_missing(project, promotion) if promotion and wish.bring else promotion


def earlier(project: Project, release: Release, model: Mapping[str, object], undo: bool = False) -> Prepared:
    """Return the plan that goes back to a release; ``model`` is its model with the secrets filled in.

    ``undo``: after a failed deploy; containers then keep the secrets that they have.
    """
    from ..reconcile import kept_files

    record = f"{repository(project.stack.project)}:{release.id}"
    files = project.engine.data.files(record)
    named = {image.reference for image in release.images.values()}
    sources = _sources(project, project.stack, named)
    desired = desire.desired_release(
        sources, release, model, kept_files.mounted_digests(files), kept_files.directories(files)
    )
    desired = desire.with_running_volume_secrets(sources, desired) if undo else desired
    sources = replace(sources, containers=observe.list_containers(project, desired.stack))
    return _reconciled(sources, desired, replace(_policy(project, desired.stack, sources), back=True))


def as_it_was(project: Project, before: Prepared) -> Prepared:
    """Return the plan that goes back to what ran before a deploy when no release is recorded, as far as possible.

    A container that still runs stays as it is; a replaced one is made from today's files with its earlier image.
    """
    sources = _sources(project, project.stack)
    desired = desire.desired_as_observed(sources, before.desired, before.observed)
    return _reconciled(sources, desired, replace(_policy(project, desired.stack, sources), back=True))


def _sources(project: Project, stack: Stack, more: set[str] | None = None) -> Sources:
    contents = Contents(project)
    references = {service.image for service in stack.services.values()} | (more or set())
    engine = project.engine
    asked = [partial(engine.image, reference) for reference in references]
    with engine.asking([*asked, partial(engine.containers, stack.project), partial(reconcile_state.read, project)]):
        named = engine.named(references)
        return Sources(project, observe.list_containers(project, stack), named, contents, reconcile_state.read(project))


def _reconciled(sources: Sources, desired: Desired, policy: Policy) -> Prepared:
    project = sources.project
    otherwise = any(
        configured_otherwise(container, desired.wanted(container.service)) for container in sources.containers
    )
    with project.engine.asking([partial(store.history, project)] if otherwise else ()):
        observed = _observed(sources, desired, otherwise)
    if any(
        container.service not in desired.stack.services and not container.oneoff for container in sources.containers
    ):
        # The services of today as well: after a failed deploy they may be the new ones.
        known = {name for release in store.history(project) for name in release.services} | set(project.stack.services)
        policy = replace(policy, ours=frozenset(known))
    plan = reconcile(observed, desired, policy)
    lacking = () if policy.back else _not_led(project, desired.stack, plan, sources.containers)
    plan = replace(plan, refusals=(*plan.refusals, *_missing(sources, desired), *lacking))
    return Prepared(Deploy(plan), desired, observed)


def _observed(sources: Sources, desired: Desired, otherwise: bool) -> Observed:
    """Return what runs; ``otherwise``: also what containers that are configured otherwise were created with."""
    project, containers = sources.project, sources.containers
    observed = observe.observe(project, desired, containers, sources.images, sources.state, sources.contents)
    if not otherwise:
        return observed
    from ..reconcile import configurations  # loaded only when there is such a difference to explain

    return replace(observed, made=configurations.created_with(project, desired, containers))


def _not_led(
    project: Project, stack: Stack, plan: Plan, containers: tuple[Container, ...]
) -> Iterable[tuple[str, str]]:
    """Return what the running proxy lacks to be led as the plan wants, each with a hint."""
    # With the least share of requests that a canary of the service gets, 100 for none.
    services = {operation.subject: 100 for operation in plan.operations if operation.kind == POINT}
    for operation in plan.operations:
        if operation.kind == WEIGHT:
            services[operation.subject] = min(services.get(operation.subject, 100), operation.share)
    front = find_proxy(project, stack, containers) if services else None
    if front is None or not front.settings.kind:
        return ()
    from ..reconcile import proxy_kinds  # loaded only when a proxy of a certain kind is led elsewhere

    return proxy_kinds.lacking(project, Source(project.profile, project.cwd), front, services)


def _missing(sources: Sources, desired: Desired) -> list[tuple[str, str]]:
    """Return the files and directories to mount that do not exist, each with a hint; none for a remote engine."""
    if not sources.project.engine.local():
        return []
    faults = []
    for name, wanted in desired.services.items():
        for reference in wanted.references:
            makes = reference.created and not desired.release  # Docker makes an empty directory for it
            kept = desired.files or (name, reference.target) in desired.kept
            if reference.held == FILE and not makes and not kept and not place(reference.source):
                source = reference.source
                faults.append((f"service {name}: {source} does not exist ({reference.name})", f"put it back: {source}"))
    return faults


def _policy(project: Project, stack: Stack, sources: Sources) -> Policy:
    profile = project.profile
    orphans = profile.text("COMPOSE_REMOVE_ORPHANS").lower()
    return Policy(
        orphans=orphans in ("1", "true", "yes", "on") if orphans else None,
        backup=profile.flag("BACKUP_BEFORE_MIGRATE"),
        smoke=any(service.slipway.smoke for service in stack.services.values()),
        timeout=profile.duration("HEALTH_TIMEOUT"),
        settle=profile.duration("SETTLE"),
        interval=profile.duration("MONITOR_INTERVAL"),
        timeouts={
            name: health_timeout(service, profile, sources.images.get(service.image))
            for name, service in stack.services.items()
        },
    )
