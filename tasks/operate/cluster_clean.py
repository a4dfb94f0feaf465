"""Removes what an environment on a cluster has left in its namespace, and nothing that serves."""

from collections.abc import Iterable

from ..chaos import active
from ..host import lock
from ..host.output import confirm, note
from ..host.project import Project
from ..kube.live import leases
from ..kube.live.cluster import Cluster
from ..kube.live.history import History
from ..kube.live.inventory import KINDS, documents, refuse_foreign_namespace
from ..kube.plan import labels
from ..kube.plan.data.held import secret_name
from ..kube.plan.live import lease, revisions
from ..kube.plan.live.difference import Key, Raw, key
from ..kube.plan.live.leftovers import CLAIM, SECRET, Leftover, claims, leftovers
from ..model.lock import wait_seconds

_HISTORY = "history"
_NOTHING = '{"items": []}'


def clean(project: Project, volumes: bool, images: bool, yes: bool, wait: str = "") -> None:
    """Remove the objects of forgotten releases, their records, ended jobs and expired locks; lists them first.

    ``volumes``: also claims that nothing mounts, after asking. ``images``: where nothing serves, also the history, so
    that release numbers begin anew; images are in the registry, and stay there.
    """
    patience = wait_seconds(wait)
    cluster = Cluster(project)
    leases.use(project)
    found, disturbed = _found(cluster, volumes, images), active.found(project)
    if not found and not disturbed:
        note(f"{cluster.name}: nothing to remove from namespace {cluster.namespace}")
        return
    for line in (*(f"{one.fault} in {one.target} ({one.state})" for one in disturbed), *map(str, found)):
        project.runner.show(line) if project.runner.dry else note(f"  {line}")
    if project.runner.dry:
        return
    data = [one.name for one in found if one.kind == CLAIM]
    if data:
        confirm(f"remove the claims {', '.join(data)} of {cluster.name} and their data", yes)
    with lock.project_lock(project, "clean", patience):
        active.stop(project)
        # Again: what was left may serve by now, since a deploy may have had the lock meanwhile.
        listed = {(one.kind, one.name) for one in found}
        for kind, names in _by_kind(one for one in _found(cluster, volumes, images) if (one.kind, one.name) in listed):
            if kind == _HISTORY:
                cluster.run(cluster.helm("uninstall", cluster.release, reason="forget the history", seconds=None))
            else:
                cluster.run(cluster.kubectl("delete", kind, *names, "--ignore-not-found", seconds=None))


def _found(cluster: Cluster, volumes: bool, images: bool) -> list[Leftover]:
    """Return what is left; nothing where the namespace does not exist."""
    namespace = cluster.read("get", "namespace", cluster.namespace, missing="null")
    if namespace is None:
        return []
    refuse_foreign_namespace(cluster, namespace)
    history = History(cluster)
    serving = revisions.serving(history.revisions)
    kept = _kept(cluster, serving.number) if serving else set()
    selector = f"{labels.PROJECT}={cluster.name}"
    objects = cluster.read(
        "get",
        ",".join((*KINDS, "leases", "secrets")),
        "--selector",
        selector,
        "--show-managed-fields",
        missing=_NOTHING,
    )
    raws: list[Raw] = objects["items"]
    forgets = images and serving is None and bool(history.revisions)
    known = [one.number for one in history.revisions] if not forgets else []
    found = leftovers(raws, kept, cluster.release, known)
    found += _locks(cluster, raws)
    if serving is None:
        own = secret_name(cluster.name)
        found += [Leftover(SECRET, own, "no release serves") for raw in raws if key(raw) == (SECRET, own)]
    if volumes:
        pods = cluster.read("get", "pods", missing=_NOTHING)["items"]
        found += claims(raws, kept, pods)
    if forgets:
        found.append(Leftover(_HISTORY, cluster.release, "no release serves"))
    return found


def _kept(cluster: Cluster, revision: int) -> set[Key]:
    """Return the objects of the revision that serves, and its hooks."""
    commands = [cluster.helm("get", what, cluster.release, f"--revision={revision}") for what in ("manifest", "hooks")]
    pending = [(command, cluster.start(command)) for command in commands]
    return {key(raw) for command, one in pending for raw in documents(cluster.answer(command, one, missing=""))}


def _locks(cluster: Cluster, raws: Iterable[Raw]) -> list[Leftover]:
    """Return the locks, and places in the queue for one, that nobody has renewed in time."""
    held = [(raw, lease.held(raw)) for raw in raws if raw["kind"] == "Lease" and lease.is_lock(raw)]
    now = leases.LeaseLocks(cluster).now() if held else 0.0
    return [
        Leftover("Lease", str(raw["metadata"]["name"]), f"expired, of {one.lock.holder}@{one.lock.host}")
        for raw, one in held
        if one.lock.ttl and now - one.renewed > one.lock.ttl
    ]


def _by_kind(found: Iterable[Leftover]) -> Iterable[tuple[str, list[str]]]:
    grouped: dict[str, list[str]] = {}
    for one in found:
        grouped.setdefault(one.kind, []).append(one.name)
    return grouped.items()
