"""An annotation of a deploy in Grafana: https://grafana.com/docs/grafana/latest/developers/http_api/annotations/."""

import os
import time

from ...host.output import mask_secrets
from ...host.project import Project
from ...release.plan.release import Release
from ...telemetry.post import post_json

_LIMIT = 3.0  # seconds


def annotate(project: Project, task: str, outcome: str, why: str, began: float, release: Release | None) -> None:
    """Annotate the time of a deploy; raises RefusedError when Grafana does not take it.

    ``GRAFANA_URL`` is its address, ``GRAFANA_TOKEN`` the token of a service account.
    """
    token = os.environ.get("GRAFANA_TOKEN", "")
    version = release.version if release else project.version.text
    environment = project.profile.environment
    words = f"{task} {project.stack.project} {version}: {outcome}{f' ({mask_secrets(why)})' if why else ''}"
    document = {
        "time": round(began * 1000),
        "timeEnd": round(time.time() * 1000),
        "tags": ["slipway", project.stack.project, environment, outcome],
        "text": words,
    }
    url = f"{os.environ.get('GRAFANA_URL', '').rstrip('/')}/api/annotations"
    post_json(url, document, {"Authorization": f"Bearer {token}"} if token else {}, _LIMIT)
