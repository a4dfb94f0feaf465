"""What the proxy of a stack tells of the requests that came while it was deployed."""

from ..host.project import Project
from ..model.errors import SlipwayError
from ..reconcile.proxy import find_proxy
from .plan.requests import requests

_MOST = 2**23  # bytes of the proxy's log that are read
_ALL = 10**6  # lines


def requests_since(project: Project, since: float) -> str:
    """Return how many requests the proxy has had since then, and how many of them were lost; "" when it cannot tell.

    It cannot when it was started only then, when its log has no requests or is read elsewhere, and when there is more
    of it than 8 MB.
    """
    texts = []
    try:
        front = find_proxy(project, project.stack)
        for container in project.engine.containers(project.stack.project) if front else ():
            if front and container.name in front.containers:
                if container.created >= since:
                    return ""
                texts.append(project.engine.watch.logs(container.id, _ALL, _MOST, since))
    except SlipwayError:
        return ""
    if any(len(text.encode()) >= _MOST for text in texts):
        return ""
    return requests(line for text in texts for line in text.splitlines())
