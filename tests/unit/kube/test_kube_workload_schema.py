"""The objects of workloads are what the API server takes: field by field, none that it does not know."""

from typing import Any

import pytest
from workload_release import COMPLETED, HEALTHY, objects, release

from tasks.kube.plan.part import Part
from tasks.kube.plan.workloads.charts import of_chart

kubernetes_validate = pytest.importorskip("kubernetes_validate")

CHECK = {"test": ["CMD-SHELL", "true"], "interval": "500ms", "start_period": "30s"}
UPDATE = {"order": "start-first", "parallelism": 2, "monitor": "20s"}
SERVICES: dict[str, Any] = {
    "db": {"image": "db", "stop_grace_period": "1m0s", "healthcheck": CHECK, "x-slipway": {"role": "database"}},
    "migrate": {"image": "m", "depends_on": {"db": HEALTHY}, "restart": "on-failure:3"},
    "seed": {"image": "m", "depends_on": {"db": HEALTHY}, "x-slipway": {"job": "seed"}},
    "warm": {"image": "w", "depends_on": {"web": HEALTHY}, "x-slipway": {"job": "once"}},
    "agent": {"image": "agent", "deploy": {"mode": "global", "update_config": {"order": "start-first"}}},
    "web": {
        "image": "web",
        "command": ["serve"],
        "entrypoint": ["/bin/run"],
        "working_dir": "/srv",
        "tty": True,
        "hostname": "web",
        "extra_hosts": ["a=10.0.0.1"],
        "dns_search": ["example.org"],
        "dns_opt": ["ndots:2"],
        "labels": {"team": "shop", "rule": "Host(`a`)"},
        "healthcheck": CHECK,
        "cpus": 0.5,
        "deploy": {"replicas": 3, "update_config": UPDATE, "labels": {"tier": "front end"}},
        "depends_on": {"migrate": COMPLETED},
        "x-slipway": {"liveness": True, "scale": {"min": 2, "max": 5}},
    },
}


@pytest.mark.parametrize("version", ["1.32", "1.35"])
@pytest.mark.parametrize("name", SERVICES)
def test_every_field_is_one_of_the_schema(name: str, version: str) -> None:
    more = Part(container={"image": "registry.example/image@sha256:1"})
    made = objects(release(**SERVICES), name, more)
    chart = of_chart(made)
    for each in (*made, *chart.at_install, *chart.at_upgrade):
        kubernetes_validate.validate(each, version, strict=True)
