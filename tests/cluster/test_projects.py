"""The API server takes what projects that were written for one host become."""

from typing import Any

import pytest
from kube_data import translation
from kube_projects import FILES, PROJECTS, TOP

from tasks.kube.plan.source import ImageFacts

from .cluster import Namespace

_KNOWN = {name: ImageFacts(name, shell=True, copies=frozenset({"/code"})) for name in ("web", "db", "m", "proxy")}


@pytest.mark.parametrize("services", [services for services, refused in PROJECTS.values() if not refused])
def test_the_api_server_takes_every_object(services: dict[str, Any], namespace: Namespace) -> None:
    made = translation(services, files=FILES, images=_KNOWN, **TOP)
    assert namespace.apply(made.objects, dry=True).count("serverside-applied (server dry run)") == len(made.objects)
