"""The labels of what belongs to a project and to one of its services.

https://kubernetes.io/docs/concepts/overview/working-with-objects/common-labels/
"""

PROJECT = "app.kubernetes.io/part-of"
SERVICE = "app.kubernetes.io/name"
MANAGER = "app.kubernetes.io/managed-by"


def of_project(project: str) -> dict[str, str]:
    """Return the labels of every object of a project."""
    return {PROJECT: project}


def of_service(project: str, name: str) -> dict[str, str]:
    """Return the labels that find the Pods of a service; ``name`` is its name on Kubernetes. They never change."""
    return {PROJECT: project, SERVICE: name}
