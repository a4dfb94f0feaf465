"""What Argo CD is told of an environment: https://argo-cd.readthedocs.io/en/stable/operator-manual/application.yaml

The order is in the objects themselves (``kube/plan/workloads/ordering.py``): each has its sync wave, and a migration is
a hook ``Sync`` in a wave of its own, after what it needs and before what waits for it. A hook ``PreSync`` would run
before the first database is there, and before the ConfigMaps that it mounts.
"""

from typing import Any

from .exported import Exported

_NAMESPACE = "argocd"
_SERVER = "https://kubernetes.default.svc"  # the cluster that Argo CD itself runs on
_AGAIN = 2  # a migration that fails is not likely to end well later; what the API server refused for a moment is


def application(about: Exported, path: str) -> dict[str, Any]:
    """Return the Application of an environment, whose objects are in the directory ``path``.

    It has no finalizer: who deletes it keeps what runs.
    """
    return {
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "Application",
        "metadata": {"name": about.name, "namespace": _NAMESPACE},
        "spec": {
            "project": "default",
            "source": {"repoURL": about.address, "targetRevision": about.revision, "path": path},
            "destination": {"server": _SERVER, "namespace": about.namespace},
            "syncPolicy": {
                "automated": {"prune": True, "selfHeal": True},
                # As `kubectl apply --server-side` does it; what is gone goes when the rest is well; and no object is
                # taken from another Application.
                "syncOptions": ["ServerSideApply=true", "PruneLast=true", "FailOnSharedResource=true"],
                # "refresh": of the newest commit by then, which may be the one that repairs it (since 3.2).
                "retry": {"limit": _AGAIN, "refresh": True, "backoff": {"duration": "10s", "factor": 2}},
            },
        },
    }
