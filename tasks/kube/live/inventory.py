"""What a project has on a cluster, and what the API server says it would have after a deploy."""

import functools
import json
from collections.abc import Mapping, Sequence
from typing import Any

from ...host.runner import Pending, Result
from ...model.command import Command
from ...model.errors import RefusedError, SlipwayError
from ...model.record import Record
from ..plan import labels
from ..plan.live import difference
from ..plan.live.autoscalers import keeping_numbers
from ..plan.live.difference import ClusterState, Raw
from ..plan.live.revisions import RECORD_LABEL
from .cluster import MANAGER, Cluster

# Every kind that a translation makes; one that the cluster does not know is asked for only where it is wanted.
KINDS = (
    *("deployments.apps", "statefulsets.apps", "daemonsets.apps", "jobs.batch", "cronjobs.batch", "services"),
    *("configmaps", "persistentvolumeclaims", "networkpolicies.networking.k8s.io", "ingresses.networking.k8s.io"),
    *("poddisruptionbudgets.policy", "horizontalpodautoscalers.autoscaling"),
)
_SECRET, _SECRETS = "Secret", "secrets"
_WHERE_WANTED = {
    ("gateway.networking.k8s.io", "HTTPRoute"): "httproutes",
    ("", "ServiceAccount"): "serviceaccounts",
    ("security.istio.io", "PeerAuthentication"): "peerauthentications",
    ("security.istio.io", "AuthorizationPolicy"): "authorizationpolicies",
    ("networking.istio.io", "DestinationRule"): "destinationrules",
    ("networking.istio.io", "VirtualService"): "virtualservices",
    ("policy.linkerd.io", "Server"): "servers",
    ("policy.linkerd.io", "AuthorizationPolicy"): "authorizationpolicies",
    ("policy.linkerd.io", "MeshTLSAuthentication"): "meshtlsauthentications",
    ("policy.linkerd.io", "NetworkAuthentication"): "networkauthentications",
}
# Without kubectl's own validation, for which it gets the schemas of all kinds: a server-side apply takes no field that
# the API server does not know. https://kubernetes.io/docs/reference/using-api/server-side-apply/
_APPLY = (
    "apply",
    "--server-side",
    "--dry-run=server",
    "--validate=false",
    "--force-conflicts",
    f"--field-manager={MANAGER}",
)
_WARNING = "Warning: "


class Inventory:
    """Asks a cluster what a project has there, and with ``compare`` what it would have; all questions run at once."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        kinds = ",".join((*KINDS, _SECRETS))
        self._here = self._ask(self._list(kinds))

    def _ask(self, command: Command) -> tuple[Command, Pending]:
        return command, self._cluster.start(command)

    def _list(self, kinds: str) -> Command:
        selector = f"{labels.PROJECT}={self._cluster.name}"
        return self._cluster.kubectl("get", kinds, "--selector", selector, "--output", "json", "--show-managed-fields")

    @functools.cached_property
    def _listed(self) -> tuple[Raw, ...]:
        return _items(self._cluster.answer(*self._here, missing=""))

    @property
    def live(self) -> tuple[Raw, ...]:
        """The objects of the project, without its Secrets and what is not on every cluster."""
        return tuple(raw for raw in self._listed if raw["kind"] != _SECRET)

    @property
    def secrets(self) -> tuple[Raw, ...]:
        """The Secrets of the project."""
        return tuple(raw for raw in self._listed if raw["kind"] == _SECRET)

    @property
    def records(self) -> tuple[Raw, ...]:
        """The ConfigMaps that record releases."""
        return tuple(raw for raw in self._listed if RECORD_LABEL in (raw["metadata"].get("labels") or {}))

    @functools.cached_property
    def there(self) -> bool:
        """Whether the namespace exists; raises RefusedError when it is another project's.

        One that has something of the project is there, and it is the project's: nothing is asked then.
        """
        if self._listed and not self._cluster.namespace.startswith("kube-"):
            return True
        return namespace(self._cluster) is not None

    def compare(self, rendered: Sequence[Raw], names: Mapping[str, str], revision: int) -> "ClusterComparison":
        """Return what is and what would be there, why the API server would refuse objects, and its warnings.

        ``rendered`` are the objects of the chart, ``names`` the service of each name on Kubernetes, ``revision`` the
        revision that serves, 0 for none.
        """
        cluster = self._cluster
        hooks = tuple(raw for raw in rendered if difference.is_hook(raw))
        kept = (raw for raw in rendered if not difference.is_hook(raw))
        objects = difference.as_released(kept, cluster.release, cluster.namespace)
        text = json.dumps({"apiVersion": "v1", "kind": "List", "items": list(objects)})
        dry = self._ask(cluster.kubectl(*_APPLY, "--output", "json", "--filename", "-", stdin=text))
        # A Job that is there says that it ran. Helm takes 0 for the newest revision, whether it serves or not.
        told = difference.jobs_ran(ClusterState(self._listed, (), hooks, (), names, cluster.release))
        asked = cluster.helm("get", "hooks", cluster.release, f"--revision={revision}")
        ran = self._ask(asked) if revision and not told else None
        wanted_kinds = {kind for raw in rendered if (kind := _asked_for(raw))}
        more = self._ask(self._list(",".join(sorted(wanted_kinds)))) if wanted_kinds else None
        result = dry[1].result()  # first: until then it does not get the objects
        if not self.there:
            return ClusterComparison(ClusterState((), objects, hooks, (), names, cluster.release))
        live = (*self.live, *(_items(cluster.answer(*more, missing="")) if more else ()))
        seen = documents(cluster.answer(*ran, missing="")) if ran else ()
        wanted = keeping_numbers(live, _items(result.stdout))
        state = ClusterState(live, wanted, hooks, seen, names, cluster.release)
        refused = _faults(cluster, dry[0], result)
        if taken := difference.foreign(state):
            refused.append(
                RefusedError(
                    f"{', '.join(taken)} in namespace {cluster.namespace} belongs to another project",
                    "set another KUBE_NAMESPACE, or another COMPOSE_PROJECT_NAME",
                )
            )
        return ClusterComparison(state, tuple(refused), _warnings(result.stderr))


def _asked_for(raw: Raw) -> str:
    """Return how kubectl is asked for a kind that is not on every cluster, "" for one that is."""
    group = str(raw["apiVersion"]).rpartition("/")[0]
    plural = _WHERE_WANTED.get((group, str(raw["kind"])), "")
    return f"{plural}.{group}" if plural and group else plural


class ClusterComparison(Record):
    """What is and what would be on a cluster, why the API server would refuse objects, and its warnings."""

    state: ClusterState
    refused: tuple[SlipwayError, ...] = ()
    warnings: tuple[str, ...] = ()

    @property
    def refusals(self) -> list[tuple[str, str]]:
        """Why objects would be refused, each with what to do about it."""
        return [(error.message, error.hint) for error in self.refused]


def namespace(cluster: Cluster) -> Raw | None:
    """Return the namespace, None when it does not exist; raises RefusedError when it is another project's."""
    raw: Raw | None = cluster.read("get", "namespace", cluster.namespace, missing="null")
    if raw:
        refuse_foreign_namespace(cluster, raw)
    return raw


def refuse_foreign_namespace(cluster: Cluster, raw: Raw) -> None:
    """Raise RefusedError for a namespace that is another project's by its label, or the cluster's own."""
    about = raw["metadata"]
    owner = (about.get("labels") or {}).get(labels.PROJECT, cluster.name)
    if owner != cluster.name:
        raise RefusedError(
            f"KUBE_NAMESPACE={cluster.namespace}: this namespace is that of {owner} ({labels.PROJECT})",
            f"set another KUBE_NAMESPACE in the profile {cluster.place.environment}",
        )
    if cluster.namespace.startswith("kube-"):
        raise RefusedError(
            f"KUBE_NAMESPACE={cluster.namespace}: this namespace is the cluster's own", "set another KUBE_NAMESPACE"
        )


def _items(text: str) -> tuple[Raw, ...]:
    """Return the objects that kubectl printed as JSON: one, or a list of them."""
    if not text.strip():
        return ()
    raw = json.loads(text)
    return tuple(raw["items"]) if str(raw.get("kind", "")).endswith("List") else (raw,)


def _warnings(said: str) -> tuple[str, ...]:
    lines = (line.strip() for line in said.splitlines())
    return tuple(dict.fromkeys(line.removeprefix(_WARNING) for line in lines if line.startswith(_WARNING)))


def _faults(cluster: Cluster, command: Command, result: Result) -> list[SlipwayError]:
    """Return why the API server would refuse objects, one error for each; raises what concerns all of them."""
    if not result.exit_code:
        return []
    lines = [line for line in result.stderr.splitlines() if line.strip() and not line.startswith(_WARNING)]
    found = [cluster.fault(Result(result.exit_code, "", line), command) for line in lines]
    if not result.stdout.strip() and found:
        raise found[0]
    return list({error.message: error for error in found}.values())


def released(cluster: Cluster, number: int) -> tuple[Raw, ...]:
    """Return the objects of a revision as helm keeps them."""
    command = cluster.helm("get", "manifest", cluster.release, f"--revision={number}")
    return documents(cluster.answer(command, cluster.start(command)))


def documents(text: str) -> tuple[Raw, ...]:
    """Return the objects of a file of YAML documents."""
    if not text.strip():
        return ()
    import yaml  # type: ignore[import-untyped]

    loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    return tuple(raw for raw in yaml.load_all(text, loader) if isinstance(raw, Mapping))
